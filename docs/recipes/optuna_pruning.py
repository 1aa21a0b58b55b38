"""Let optuna choose the learning rate, and end trials early that lag behind."""

import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sk_autoencoder import AutoencoderTransformer

X_train, X_valid = train_test_split(load_digits().data, random_state=0)


def objective(trial):
    """Train one epoch after another, until optuna stops the trial."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    model = AutoencoderTransformer(8, lr=lr, random_state=0)
    for epoch in range(6):
        score = model.partial_fit(X_train).score(X_valid)
        trial.report(score, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return score


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.RandomSampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
)
study.optimize(objective, n_trials=8)
print(study.best_params, study.best_value)

# Checked by `make recipes`:
states = [trial.state.name for trial in study.trials]
assert {"PRUNED", "COMPLETE"} <= set(states)
assert study.best_value > 0.75
