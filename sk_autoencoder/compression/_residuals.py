"""Residuals of compressed rows, which bound the error of every entry."""

import numpy as np

from sk_autoencoder.compression._entropy import MAX_SYMBOL, Table
from sk_autoencoder.compression._quantizer import Quantizer
from sk_autoencoder.nn._tables import TableLayout

ROUNDING_MARGIN = 1e-3  # fraction of the bound for rounding errors
LEVEL_BOUND = 0.25  # error of a level's 0 or 1: the largest level is the right one


def bound_levels(layout: TableLayout) -> np.ndarray:
    """Compute the largest errors (n_entries,) with which levels come back exactly.

    A level with an order is the difference of two entries. Numbers have no such error.
    """
    bounds = np.where(layout.is_level, LEVEL_BOUND, np.inf)
    return bounds if layout.is_sum is None else bounds / (1 + layout.is_sum)


class Residuals:
    """Quantizer of residuals with a step of twice the bound.

    The step of integer rows is odd, so that restored rows are integers. A bound below 1 is
    lossless for integers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows in their original type.
    restored : ndarray of shape (n_samples, n_features)
        Decoded rows without residuals.
    max_error : float
        The bound that was asked for, in the units of X.
    bounds : float or ndarray of shape (n_features,)
        That bound, or a smaller one of some entries.
    """

    tables: list[Table]

    def __init__(
        self,
        X: np.ndarray,
        restored: np.ndarray,
        max_error: float,
        bounds: float | np.ndarray,
    ) -> None:
        self.max_error = max_error
        self._bounds = np.broadcast_to(np.float64(bounds), X.shape[1])
        step = self._step(X.dtype)
        residuals = X.astype(np.float64) - _round_integers(restored, X.dtype)
        self.tables = Quantizer(residuals, step, 0, False).tables

    def _step(self, dtype: np.dtype) -> np.ndarray:
        if dtype.kind == "f":
            return 2 * self._bounds * (1 - ROUNDING_MARGIN)
        return 2 * np.floor(self._bounds) + 1

    def numbers(self, X: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """Quantize the residuals of X to integers (n_samples, n_features)."""
        self._check(X)
        rows = X.astype(np.float64)
        numbers = np.rint((rows - _round_integers(restored, X.dtype)) / self._step(X.dtype))
        if not (np.abs(numbers) <= MAX_SYMBOL).all():
            raise ValueError(
                f"max_error={self.max_error} is too small for X, whose entries are up to "
                f"{np.abs(rows).max():.6g}: a residual has more than {MAX_SYMBOL} steps."
            )
        return numbers.astype(np.int64)

    def _check(self, X: np.ndarray) -> None:
        sizes = np.abs(X.astype(np.float64)).max(axis=0)
        largest = sizes.max()
        if X.dtype.kind == "f":
            rounding = np.finfo(X.dtype).eps * sizes
            too_large = (rounding > ROUNDING_MARGIN * self._bounds).any()
        else:
            too_large = largest > MAX_SYMBOL
        if too_large:
            raise ValueError(
                f"max_error={self.max_error} is finer than {X.dtype} resolves in X, whose "
                f"entries are up to {largest:.6g}. Raise it, or use max_error=None."
            )

    def add(self, restored: np.ndarray, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Add residuals to decoded rows."""
        return _round_integers(restored, dtype) + numbers * self._step(dtype)


def _round_integers(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return rows if dtype.kind == "f" else np.rint(rows)


def as_type(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert `rows` to a type: integers are rounded and clipped to its range."""
    if dtype.kind == "b":
        return rows > 0.5
    if dtype.kind == "f":
        bound = np.finfo(dtype).max
        return rows.clip(-bound, bound).astype(dtype)
    info = np.iinfo(dtype)
    above, below = rows >= info.max, rows <= info.min  # as floats these may not fit
    rows = np.where(above | below, 0, np.rint(rows)).astype(dtype)
    rows[above], rows[below] = info.max, info.min
    return rows
