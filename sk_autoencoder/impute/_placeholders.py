"""Placeholders of missing values: numbers, NaN, None, pandas.NA or strings."""

import math
from numbers import Real
from typing import Any

import numpy as np

from sk_autoencoder.utils._sklearn_compat import missing_mask, wrap_like


def is_number(placeholder: Any) -> bool:
    """Check whether a placeholder is a number, which NaN is not."""
    return isinstance(placeholder, Real) and not math.isnan(placeholder)


def replace_placeholder(X: Any, placeholder: Any) -> Any:
    """Replace a placeholder that is no number by NaN, in an array or a frame like X."""
    is_nan = isinstance(placeholder, Real)
    if is_nan or (not hasattr(X, "__array__") and not isinstance(X, list)):
        return X
    values = np.asarray(X, dtype=object)
    if values.ndim != 2:
        return X
    if isinstance(placeholder, str):
        check_no_nan(missing_mask(values, np.nan), placeholder)
    return wrap_like(X, np.where(missing_mask(values, placeholder), np.nan, values))


def check_no_nan(is_nan: np.ndarray, placeholder: Any) -> None:
    """Raise a ValueError if values are NaN beside a placeholder."""
    if is_nan.any():
        raise ValueError(
            f"X has NaN, and missing_values={placeholder!r} stands for what is missing. "
            "Use missing_values=np.nan, or replace NaN."
        )
