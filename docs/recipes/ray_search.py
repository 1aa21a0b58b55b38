"""Run a grid search of scikit-learn on the workers of Ray."""

from joblib import parallel_config
from ray.util.joblib import register_ray
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sk_autoencoder import AutoencoderTransformer

X = load_digits().data[:300]
model = AutoencoderTransformer(max_epochs=1, random_state=0)
search = GridSearchCV(model, {"n_components": [4, 8]}, cv=2, n_jobs=2)
register_ray()
with parallel_config("ray"):
    search.fit(X)
print(search.best_params_)

# Checked by `make recipes`:
scores = search.cv_results_["mean_test_score"]
with parallel_config("sequential"):
    serial = search.fit(X).cv_results_["mean_test_score"]
assert (scores == serial).all()
