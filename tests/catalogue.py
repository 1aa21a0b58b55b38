"""Every public estimator: whoever exports one has it tested."""

import inspect

from sklearn.base import BaseEstimator

import sk_autoencoder

CLASSES = [
    value
    for name in sk_autoencoder.__all__
    if inspect.isclass(value := getattr(sk_autoencoder, name))
    and issubclass(value, BaseEstimator)
]
AUTOENCODERS = [
    cls(hidden_layer_sizes=(16,), max_epochs=8, random_state=0)
    for cls in CLASSES
    if hasattr(cls, "transform")
]
DETECTORS = [cls(random_state=0) for cls in CLASSES if hasattr(cls, "predict")]
DETECTORS += [
    type(detector)(AUTOENCODERS[0], random_state=0, **parameters)
    for detector in DETECTORS
    for parameters in ({}, {"n_estimators": 3}, {"method": "score_samples"})
]
CATALOGUE = AUTOENCODERS + DETECTORS
assert {type(estimator) for estimator in CATALOGUE} == set(CLASSES)


def name(estimator):
    """Return what a test of `estimator` is called."""
    parameters = estimator.get_params(deep=False)
    inner = parameters.get("autoencoder")
    shown = [type(estimator).__name__, inner and type(inner).__name__]
    shown += [parameters.get("method"), parameters.get("n_estimators")]
    return "-".join(str(part) for part in shown if part)
