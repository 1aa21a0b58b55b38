"""The only imports of scikit-learn's private names."""

import numpy as np
from sklearn.base import _fit_context
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
    "allows_nan",
    "ensure_all_finite",
    "feature_names",
    "fit_context",
    "missing_mask",
    "wrap_like",
]

fit_context = _fit_context(prefer_skip_nested_validation=True)


def allows_nan(estimator) -> bool:
    """Whether `estimator` takes missing values; None stands for a default that does."""
    return estimator is None or get_tags(estimator).input_tags.allow_nan


def ensure_all_finite(estimator) -> bool | str:
    """Choose ``ensure_all_finite`` of scikit-learn's input checks by the tags."""
    return "allow-nan" if get_tags(estimator).input_tags.allow_nan else True


def wrap_like(X, values: np.ndarray):
    """Wrap `values` in a frame with the columns and the index of X, if X is a frame."""
    library = type(X).__module__.split(".")[0]
    if library not in ADAPTERS_MANAGER.adapters:
        return values
    return ADAPTERS_MANAGER.adapters[library].create_container(values, X, list(X.columns))
