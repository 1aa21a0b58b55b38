"""Every public estimator: whoever exports one has it tested."""

import inspect
import pickle
from dataclasses import fields

import joblib
import pytest
from sklearn.base import BaseEstimator, clone

import sk_autoencoder
from sk_autoencoder import AutoencoderTransformer

# What is tested besides default parameters, or, where small tables ask for it, instead.
VARIANTS = {
    "AdversarialAutoencoder": [  # in as many components as columns PCA makes no error
        {"n_components": 2},
        {"n_components": 2, "prior": "mixture", "code_density": "prior"},
    ],
    "AutoencoderOutlierDetector": [{}, {"novelty": True}],
    "AutoencoderTransformer": [{}, {"ordered": True}],
    "ConvolutionalAutoencoder": [{"n_components": 2}],
    "DenoisingAutoencoder": [  # fewer epochs leave the second at its start
        {},
        {"noise_std": "auto", "scaling": "global", "max_epochs": 5},
    ],
    "TextAutoencoder": [{"n_components": 2}],
    "SparseAutoencoder": [
        {"n_active": 3},  # five atoms a row leave nothing to learn of six columns
        {"sparsity": "topk"},
        {"sparsity": "l1"},
        {"sparsity": "kl"},
    ],
    "TimeSeriesOutlierDetector": [{"window": 1}],  # longer ones see the order of rows
}
CLASSES = [
    value
    for name in sk_autoencoder.__all__
    if inspect.isclass(value := getattr(sk_autoencoder, name))
    and issubclass(value, BaseEstimator)
]
OWN_TRAINING = (
    "AdversarialAutoencoder",
    "AutoencoderTransformer",
    "ConvolutionalAutoencoder",
    "SparseAutoencoder",
    "VAETransformer",
)
QUICK = {"hidden_layer_sizes": (16,), "channels": (8, 16), "max_epochs": 3}
QUICK |= {"batch_size": 64, "random_state": 0}


def quick(cls, **parameters):
    """Return a quick estimator of `cls`."""
    known = {field.name for field in fields(cls) if field.init}
    return cls(**{k: v for k, v in QUICK.items() if k in known} | parameters)


AUTOENCODERS = [
    quick(cls, **parameters)
    for cls in CLASSES
    if hasattr(cls, "inverse_transform") and not hasattr(cls, "compress")
    for parameters in VARIANTS.get(cls.__name__, [{}])
]
PLAIN = next(each for each in AUTOENCODERS if type(each) is AutoencoderTransformer)
DETECTORS = [
    cls(random_state=0, **parameters)
    for cls in CLASSES
    if hasattr(cls, "predict")
    for parameters in VARIANTS.get(cls.__name__, [{}])
]
DETECTORS += [
    cls(PLAIN, random_state=0, **parameters)
    for cls in dict.fromkeys(map(type, DETECTORS))
    if hasattr(cls, "n_estimators")
    for parameters in ({}, {"n_estimators": 3}, {"method": "score_samples"})
]
IMPUTERS = [
    cls(autoencoder, random_state=0)
    for cls in CLASSES
    if hasattr(cls, "sample_posterior")
    for autoencoder in (None, PLAIN)
]
COMPRESSORS = [
    cls(autoencoder, bytes_per_row=3, random_state=0)
    for cls in CLASSES
    if hasattr(cls, "compress")
    for autoencoder in (None, PLAIN)
]
CATALOGUE = AUTOENCODERS + DETECTORS + IMPUTERS + COMPRESSORS
assert {type(estimator) for estimator in CATALOGUE} == set(CLASSES)


# The default designs of imputers and compressors have many steps.
_QUICKEST_FIRST = AUTOENCODERS + DETECTORS + IMPUTERS[::-1] + COMPRESSORS[::-1]
ONE_OF_EACH = [next(e for e in _QUICKEST_FIRST if type(e) is cls) for cls in CLASSES]


# Each class with steps of its own from rows to weights; the others change a loss.
ONE_OF_EACH_TRAINING = [e for e in ONE_OF_EACH if type(e).__name__ in OWN_TRAINING]
# Those, and one of each class around an autoencoder.
ONE_OF_EACH_KIND = [
    e for e in ONE_OF_EACH if e in ONE_OF_EACH_TRAINING or e not in AUTOENCODERS
]


def one_of_each(estimators, quick=ONE_OF_EACH):
    """Return parameters of a test: one estimator of each class, and the others as slow."""
    return [
        pytest.param(each, id=name(each), marks=[] if each in quick else [pytest.mark.slow])
        for each in estimators
    ]


def in_turn(parameters, first):
    """Return parameters of a test: every second from `first` on, and the others as slow.

    Tests of one kind begin at 0 and at 1: each estimator has half of them, and each of them
    half of the estimators, that of the plain autoencoder always.
    """
    parameters = [p if isinstance(p, type(slow())) else pytest.param(p) for p in parameters]
    plain = (PLAIN, type(PLAIN))
    quick = [p for p in parameters if not p.marks and p.values[0] not in plain]
    others = quick[1 - first :: 2]
    return [
        pytest.param(*p.values, id=p.id, marks=pytest.mark.slow) if p in others else p
        for p in parameters
    ]


def slow(*values):
    """Return parameters of a test that ``make test-all`` runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


def name(estimator):
    """Return what a test of `estimator` is called."""
    parameters = estimator.get_params(deep=False)
    inner = parameters.get("autoencoder")
    shown = [type(estimator).__name__, inner and type(inner).__name__]
    keys = ("sparsity", "noise_std", "prior", "method", "n_estimators")
    shown += [parameters.get(key) for key in keys]
    shown += ["novelty" * parameters.get("novelty", False)]
    return "-".join(str(part) for part in shown if part)


def label(value):
    """Return how an estimator, a class or a function is named in the id of a test."""
    return name(value) if hasattr(value, "fit") else getattr(value, "__name__", None)


_FITTED = {}


def fit_once(estimator, X):
    """Return an estimator fitted to X, which tests share and do not change."""
    key = joblib.hash((estimator, X))
    if key not in _FITTED:
        _FITTED[key] = clone(estimator).fit(X)
    return _FITTED[key]


def fitted(estimator, X):
    """Return a copy of an estimator fitted to X, for a test that changes it."""
    return pickle.loads(pickle.dumps(fit_once(estimator, X)))
