"""Fits that happen as a whole or not at all."""

from collections.abc import Callable
from functools import wraps

from sklearn.base import BaseEstimator


def shallow_copy(estimator: BaseEstimator) -> BaseEstimator:
    """Copy an estimator without copies of its attributes, fitted or not."""
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


def adopt(estimator: BaseEstimator, state: dict) -> BaseEstimator:
    """Replace all attributes of `estimator` by those of `state`, in one assignment."""
    estimator.__dict__ = state
    return estimator


def atomic(fit: Callable) -> Callable:
    """Decorate a ``fit`` method such that a fit that fails changes nothing.

    The method runs on a copy of the estimator, and the estimator takes over all attributes
    of the copy at the end.
    """

    @wraps(fit)
    def fit_atomically(self, *args, **kwargs):
        draft = shallow_copy(self)
        fit(draft, *args, **kwargs)
        return adopt(self, vars(draft))

    return fit_atomically
