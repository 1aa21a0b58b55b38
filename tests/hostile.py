"""Hostile parameters: values of wrong types and sizes, and what an estimator may do."""

import math
import re
from dataclasses import fields

import numpy as np
import torch
from scipy.sparse import issparse

from sk_autoencoder import AutoencoderTransformer

SHARED = {field.name for field in fields(AutoencoderTransformer)}
VALUES = [
    None,
    True,
    -1,
    0,
    10**30,
    1e300,
    math.nan,
    "a",
    [],
    {},
    int,
    math,
    np.array([1.0, 2.0]),
]
MORE_VALUES = [
    False,
    1,
    0.5,
    [1],
    [-1],
    set(),
    (1, "a"),
    np.array(["a"]),
    object(),
    torch.nn.Linear(2, 2),
    torch.nn.ReLU,
    lambda *args: None,
]
METHODS = ("transform", "score_samples", "reconstruct")


def list_parameters(cls):
    """Return the parameters of a class; those that all share belong to the transformer."""
    names = cls().get_params(deep=False)
    is_first = cls is AutoencoderTransformer
    return [n for n in names if is_first or n not in SHARED or n in cls.__annotations__]


def try_parameter(cls, name, value, X):
    """Fit with a parameter; return None if the outcome is right, or what is wrong.

    Right are finite results, and a ValueError, TypeError, MemoryError or ImportError that
    names the parameter.
    """
    known = cls().get_params(deep=False)
    quick = {"max_epochs": 1, "random_state": 0, "image_shape": (2, X.shape[1] // 2)}
    if hasattr(cls, "compress") or name != "sample_posterior":
        quick["autoencoder"] = AutoencoderTransformer(max_epochs=1)
    options = {k: v for k, v in quick.items() if k in known and k != name}
    try:
        estimator = cls(**options).set_params(**{name: value}).fit(X)
        for method in METHODS:
            if hasattr(estimator, method):
                values = getattr(estimator, method)(X)
                values = values.toarray() if issparse(values) else values
                if not np.isfinite(values).all():
                    return f"{method} is not finite"
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        if not re.search(rf"\b{name}\b", str(error)):
            return f"the error names no {name}: {error!r}"
    except Exception as error:
        return f"not an error of a user: {error!r}"
    return None
