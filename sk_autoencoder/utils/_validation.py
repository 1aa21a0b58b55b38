"""scikit-learn's validation of rows, with errors that name a column and a remedy."""

from datetime import date, time, timedelta
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

TEMPORAL = (date, time, timedelta, np.datetime64, np.timedelta64)
REMEDIES = {
    "text": "Give a frame to an estimator of tables, such as AutoencoderTransformer, or "
    "put sk_autoencoder.preprocessing.TableEncoder before, in a Pipeline.",
    "time": "Give a frame to an estimator of tables, such as AutoencoderTransformer, put "
    "sk_autoencoder.preprocessing.TableEncoder before, in a Pipeline, or convert such "
    "columns to numbers, such as days since a date.",
}


def validate_rows(estimator, X: Any, **options):
    """Check rows by ``validate_data`` of scikit-learn.

    Raises
    ------
    ValueError, TypeError
        In scikit-learn's words, or with the name of a column that holds no numbers.
    """
    check_temporal_columns(X)  # which some libraries convert to nanoseconds
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # the sum of inf and -inf
            rows = validate_data(estimator, X, **options)
    except (ValueError, TypeError) as error:
        if reason := _find_reason(X):
            raise ValueError(reason) from error
        raise
    if issparse(rows) and np.isnan(rows.data.sum()) and np.isnan(rows.data).any():
        raise ValueError(
            "X is sparse and has missing values (NaN). Fill them in, or give dense rows."
        )
    return rows


def check_temporal_columns(X: Any) -> None:
    """Raise a ValueError if a column of a frame holds dates, times or durations."""
    for name, dtype in _list_dtypes(X):
        is_temporal = getattr(dtype, "is_temporal", None)  # of polars
        if is_temporal() if is_temporal else getattr(dtype, "kind", "") in "mM":
            raise ValueError(f"Column {name!r} of X holds {dtype}. {REMEDIES['time']}")


def _list_dtypes(X: Any) -> list[tuple[Any, Any]]:
    """List names and dtypes of the columns of a frame; an array has one dtype."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return list(zip(X.columns, X.dtypes, strict=True))
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":
        return [(0, X.dtype)]
    return []


def _find_reason(X: Any) -> str | None:
    """Find out why scikit-learn does not take X; None if its own words say it."""
    shape = np.shape(X) if not issparse(X) else X.shape
    if len(shape) > 2:
        width = int(np.prod(shape[1:]))
        return (
            f"Found array with dim {len(shape)}, of shape {shape}, and rows have 2. "
            f"Flatten images, X.reshape(len(X), {width}), and give image_shape="
            f"{tuple(shape[1:])} to ConvolutionalAutoencoder."
        )
    if issparse(X):
        return None
    if len(shape) == 1:
        text = next((value for value in np.asarray(X, object) if value is not None), None)
        if not isinstance(text, str):
            return None
        return (
            f"X holds {shape[0]} texts ({text!r:.60}), and rows are numbers. Put "
            "sklearn.feature_extraction.text.TfidfVectorizer before, in a Pipeline. "
            "Expected 2D array, got 1D array instead."
        )
    names = getattr(X, "columns", range(shape[1]))
    columns = np.asarray(X, dtype=object).T
    for name, column in zip(names, columns, strict=True):
        if culprit := _find_culprit(column):
            value, kind = culprit
            return f"Column {name!r} of X holds {value!r:.60}. {REMEDIES[kind]}"
    return None


def _find_culprit(column: np.ndarray) -> tuple[Any, str] | None:
    """Find a value that is no number, and its kind."""
    for value in column:
        if isinstance(value, TEMPORAL):
            return value, "time"
        if isinstance(value, str):
            try:
                float(value)
            except ValueError:
                return value, "text"
    return None
