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
CATALOGUE = [cls(hidden_layer_sizes=(16,), max_epochs=8, random_state=0) for cls in CLASSES]
