"""Classes and functions by name, and which of them a file may name."""

import importlib
import inspect
from collections.abc import Callable, Collection

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from skorch import NeuralNet, callbacks
from skorch.dataset import ValidSplit
from skorch.history import History
from torch import nn, optim
from torch.optim.lr_scheduler import LRScheduler

from sk_autoencoder.utils._sklearn_compat import ProgressBar

# Neither files nor networks: those of skorch's callbacks that do no more than train.
CALLBACKS = (
    callbacks.BatchScoring,
    callbacks.EarlyStopping,
    callbacks.EpochScoring,
    callbacks.EpochTimer,
    callbacks.GradientNormClipping,
    callbacks.LRScheduler,
    callbacks.PassthroughScoring,
    callbacks.PrintLog,
)


# What may be named without the user's word: classes derived from these, by package.
TRUSTED_CLASSES = {
    "numpy": (np.generic,),
    "sk_autoencoder": (BaseEstimator, callbacks.Callback, NeuralNet, nn.Module, tuple),
    "sklearn": (BaseEstimator, BaseCrossValidator, BaseShuffleSplit, ProgressBar),
    "skorch": (*CALLBACKS, History, ValidSplit),
    "torch.nn": (nn.Module,),
    "torch.optim": (optim.Optimizer, LRScheduler),
}
TRUSTED_FUNCTIONS = (  # of tensors and arrays
    "sk_autoencoder.nn",
    "sk_autoencoder.metrics",
    "sklearn.metrics",
    "torch.nn.functional",
)
TRUSTED_NAMES = {  # of ours, and what skorch's nets and scikit-learn's searches refer to
    "builtins.print",
    "sk_autoencoder.compression._codec.Codec",
    "sk_autoencoder.compression._quantizer.Quantizer",
    "sk_autoencoder.compression._residuals.Residuals",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "skorch.dataset.Dataset",
    "skorch.setter.optimizer_setter",
    "torch.utils.data.dataloader.DataLoader",
}


class UntrustedError(ValueError):
    """A name that a file may only use if the user trusts it."""


def name_of(named: type | Callable) -> str:
    """Return the full name of a class or function."""
    return f"{named.__module__}.{named.__qualname__}"


def is_within(name: str, package: str) -> bool:
    """Whether a full `name` lies within `package`, and not among its tests."""
    return name.startswith(package + ".") and not {"tests", "conftest"} & {*name.split(".")}


def is_trusted(named: type | Callable) -> bool:
    """Whether a class or function may be named without the user's word."""
    name = name_of(named)
    if inspect.isclass(named):
        bases = [kind for p, kind in TRUSTED_CLASSES.items() if is_within(name, p)]
        is_known = any(issubclass(named, kind) for kind in bases)
    else:
        is_known = any(is_within(name, package) for package in TRUSTED_FUNCTIONS)
        is_known &= "." not in named.__qualname__  # no methods
    return is_known or name in TRUSTED_NAMES


def find(name: str, trusted: Collection[str]) -> type | Callable:
    """Return the class or function of a full name, if it is trusted.

    Nothing is imported but the packages above and what the user trusts.

    Raises
    ------
    UntrustedError
        If it is not.
    """
    packages = (*TRUSTED_CLASSES, *TRUSTED_FUNCTIONS)
    known = name in TRUSTED_NAMES or any(is_within(name, p) for p in packages)
    if known or name in trusted:
        named = look_up(name)
        if name in trusted or (named is not None and is_trusted(named)):
            return named
    raise UntrustedError(
        f"The file names {name}, which is not trusted: it may run code of any kind. If you "
        f"know who made the file, use load(path, trusted=[{name!r}])."
    )


def look_up(name: str) -> type | Callable | None:
    """Return what is defined under a full name, or None."""
    module, last, found = name, "", None
    while found is None and "." in module:
        module, _, part = module.rpartition(".")
        last = f"{part}.{last}" if last else part
        found = _find_in(module, last)
    return found


def _find_in(module: str, qualified: str) -> type | Callable | None:
    try:
        found = importlib.import_module(module)
        for part in qualified.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        return None
    is_named = inspect.isclass(found) or inspect.isroutine(found)
    return found if is_named and name_of(found) == f"{module}.{qualified}" else None
