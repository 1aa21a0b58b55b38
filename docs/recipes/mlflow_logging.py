"""Log parameters and the losses of each epoch in MLflow."""

import mlflow
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sk_autoencoder import AutoencoderTransformer


class MLflowLosses(Callback):
    """Log the losses of each epoch."""

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        losses = {name: epoch[name] for name in ("train_loss", "valid_loss")}
        mlflow.log_metrics(losses, step=epoch["epoch"])


mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = AutoencoderTransformer(8, max_epochs=5, callbacks=[MLflowLosses()], random_state=0)
with mlflow.start_run() as run:
    mlflow.log_params(model.get_params())
    model.fit(load_digits().data)
    mlflow.log_metric("r2", model.score(load_digits().data))

# Checked by `make recipes`:
logged = mlflow.MlflowClient().get_metric_history(run.info.run_id, "valid_loss")
assert [metric.value for metric in logged] == model.validation_curve_
