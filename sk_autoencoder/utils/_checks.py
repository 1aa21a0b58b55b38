"""Checks of arrays and parameters."""

from collections.abc import Sequence
from math import isqrt, prod
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from sk_autoencoder.utils._sklearn_compat import read_sample_weight


def as_floats(value, name: str) -> np.ndarray:
    """Convert the `value` of parameter `name` to an array of floats."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={value!r} has to hold numbers: {error}.") from error


def count_rows(X) -> int:
    """Count the rows of X before it is checked; 0 if X has none that can be counted."""
    try:
        return X.shape[0] if hasattr(X, "shape") else len(X)
    except (IndexError, TypeError):
        return 0


def check_variance(variance: np.ndarray, names: Sequence | None = None) -> None:
    """Raise a ValueError if the variance of a column of X is not finite.

    The error names the column by `names`, or by its number.
    """
    wild = np.flatnonzero(~np.isfinite(variance))
    if len(wild):
        name = wild[0] if names is None else repr(names[wild[0]])
        raise ValueError(
            f"Column {name} of X has values so large that their variance is not finite "
            "in float64. Divide X by a constant, or clip wild values."
        )


def check_n_observed(n_rows: int, n_min: int) -> None:
    """Raise a ValueError if fewer than `n_min` rows of X have an observed value."""
    if n_rows < n_min:
        raise ValueError(
            f"X has {n_rows} row(s) with an observed value, and {n_min} are needed."
        )


def check_weights(sample_weight, X) -> np.ndarray | None:
    """Check the weights of rows X, and convert them to float64; None stays None.

    Raises
    ------
    ValueError
        If their number or a value is wrong, or if all are zero.
    """
    if sample_weight is None:
        return None
    weight = read_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        where = int(np.argmin(weight))
        raise ValueError(
            f"sample_weight[{where}]={weight[where]:.6g} is negative: weights of rows have "
            "to be 0 or larger."
        )
    if not weight.any():  # scikit-learn 1.8 or older, from 1.9 on it says so
        raise ValueError("sample_weight is zero for every row: some rows need a weight.")
    return weight


def check_n_weighted(weight: np.ndarray | None, n_min: int) -> None:
    """Raise a ValueError if fewer than `n_min` rows have a positive weight."""
    n_weighted = np.inf if weight is None else int((weight > 0).sum())
    if n_weighted < n_min:
        raise ValueError(
            f"sample_weight is positive for {n_weighted} row(s), and {n_min} are needed."
        )


def check_columns(X) -> None:
    """Raise a ValueError if a column of X has no observed value."""
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        raise ValueError(
            f"Column {empty[0]} of X has no observed value, and nothing can be learned of "
            "it. Leave such columns out."
        )


def check_range(X, low: float, high: float, parameter: str) -> None:
    """Raise a ValueError if X has values outside the range that a `parameter` needs."""
    values = X.data if issparse(X) else X
    if np.isinf([low, high]).all() or not values.size:
        return
    smallest, largest = np.nanmin(values), np.nanmax(values)
    if smallest < low or largest > high:
        prefix = "Negative values in data: " if np.isinf(high) else ""
        raise ValueError(
            f"{prefix}{parameter} needs values in [{low}, {high}], and X reaches from "
            f"{smallest:.6g} to {largest:.6g}. Use another loss or likelihood, or "
            "sklearn.preprocessing.MinMaxScaler(clip=True)."
        )


def check_counts(X, likelihood: str) -> None:
    """Raise a ValueError if a value of X is not a count."""
    values = X.data if issparse(X) else X
    wrong = values[(values < 0) | (values != np.floor(values))]
    wrong = wrong[~np.isnan(wrong)]
    if wrong.size:
        raise ValueError(
            f"likelihood={likelihood!r} needs counts (0, 1, 2, …), and X has the value "
            f"{wrong[0]:.6g}. Use likelihood='gaussian' for other numbers."
        )


def default_image_shape(n_features: int) -> tuple[int, int]:
    """Choose the shape of images without one: a square, or else a line of pixels."""
    side = isqrt(n_features)
    return (side, side) if side**2 == n_features else (1, n_features)


def check_image_shape(image_shape: Sequence[int], n_features: int) -> tuple[int, ...]:
    """Check the shape of images, with two or three sides, that rows are flattened from."""
    shape = tuple(int(side) for side in image_shape)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(
            f"image_shape={image_shape!r} has to be (height, width), or to hold the number "
            "of channels too."
        )
    if prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {prod(shape)} entries, and rows have "
            f"{n_features} columns."
        )
    return shape


def as_dense(X, name: str, finite: bool | str = True) -> np.ndarray:
    """Validate X as a dense array of float64."""
    X = X.toarray() if issparse(X) else X
    return check_array(X, dtype=np.float64, ensure_all_finite=finite, input_name=name)


def check_same_width(n_components, fitted: int) -> None:
    """Raise a ValueError if a warm start changes the number of components."""
    if isinstance(n_components, Integral) and n_components != fitted:
        raise ValueError(
            f"n_components={n_components}, but warm_start=True goes on from a fit with "
            f"{fitted} components. Set warm_start=False to start anew."
        )
