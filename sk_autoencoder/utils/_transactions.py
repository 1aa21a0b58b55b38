"""Fits that happen as a whole or not at all, and fitted estimators that stay so."""

from collections.abc import Callable
from functools import wraps

from sklearn.base import BaseEstimator, clone

FITTED_PARAMS = "_fitted_params"  # attribute: the parameters of the last fit


def shallow_copy(estimator: BaseEstimator) -> BaseEstimator:
    """Copy an estimator without copies of its attributes, fitted or not."""
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


def adopt(estimator: BaseEstimator, state: dict) -> BaseEstimator:
    """Replace all attributes of `estimator` by those of `state`, in one assignment.

    The parameters become those of the fit, for methods that :func:`as_fitted` decorates.
    """
    estimator.__dict__ = state | fitted_params(estimator)
    return estimator


def fitted_params(estimator: BaseEstimator) -> dict[str, dict]:
    """Make the attribute that keeps the parameters of a fit; estimators are cloned."""
    params = {
        name: clone(value) if isinstance(value, BaseEstimator) else value
        for name, value in estimator.get_params(deep=False).items()
    }
    return {FITTED_PARAMS: params}


def as_fitted(method: Callable) -> Callable:
    """Decorate a method of a fitted estimator such that it sees the parameters of the fit.

    ``set_params`` after ``fit`` is for the next ``fit``.
    """

    @wraps(method)
    def call_as_fitted(self, *args, **kwargs):
        frozen = shallow_copy(self)
        vars(frozen).update(vars(self).get(FITTED_PARAMS, {}))
        return method(frozen, *args, **kwargs)

    return call_as_fitted


def drop_unchanged(state: dict) -> dict:
    """Leave out parameters of a fit that are still those of the estimator, for a file."""
    if FITTED_PARAMS not in state:
        return state
    params = state[FITTED_PARAMS].items()
    changed = {name: value for name, value in params if state[name] is not value}
    return state | {FITTED_PARAMS: changed}


def add_unchanged(state: dict, names: list[str]) -> dict:
    """Add the parameters that :func:`drop_unchanged` has left out."""
    if FITTED_PARAMS not in state:
        return state
    params = {name: state[name] for name in names} | state[FITTED_PARAMS]
    return state | {FITTED_PARAMS: params}


def atomic(fit: Callable) -> Callable:
    """Decorate a ``fit`` method such that a fit that fails changes nothing.

    The method runs on a copy of the estimator, and the estimator takes over all attributes
    of the copy at the end.
    """

    @wraps(fit)
    def fit_atomically(self, *args, **kwargs):
        draft = shallow_copy(self)
        vars(draft).pop(FITTED_PARAMS, None)  # they are of an earlier fit
        fit(draft, *args, **kwargs)
        return adopt(self, vars(draft))

    return fit_atomically
