"""The only imports of scikit-learn's private names."""

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.impute._base import _BaseImputer as BaseImputer
from sklearn.utils import get_tags
from sklearn.utils._mask import _get_mask as missing_mask
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER
from sklearn.utils.validation import _check_feature_names_in as feature_names

__all__ = [
    "BaseImputer",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "feature_names",
    "finite",
    "fit_context",
    "missing_mask",
    "with_owner",
    "wrap_like",
]

fit_context = _fit_context(prefer_skip_nested_validation=True)


def finite(estimator) -> bool | str:
    """Return what scikit-learn's checks of input call ``ensure_all_finite``."""
    return "allow-nan" if get_tags(estimator).input_tags.allow_nan else True


def wrap_like(X, values: np.ndarray):
    """Return `values` as a frame with the columns and the index of X, if X is a frame."""
    library = type(X).__module__.split(".")[0]
    if library not in ADAPTERS_MANAGER.adapters:
        return values
    return ADAPTERS_MANAGER.adapters[library].create_container(values, X, list(X.columns))


def with_owner(state: dict, owner) -> dict:
    """Set the owner of metadata requests in the state of an estimator.

    It is the estimator, which a file cannot hold as a part of itself, or its class's name.
    """
    if "_metadata_request" not in state:
        return state
    request = clone(state["_metadata_request"])
    for part in (request, *vars(request).values()):
        if hasattr(part, "owner"):
            part.owner = owner
    return state | {"_metadata_request": request}
