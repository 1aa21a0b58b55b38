"""Residuals of compressed rows, which bound the error of every entry."""

import numpy as np

from sk_autoencoder.compression._entropy import MAX_SYMBOL, Table
from sk_autoencoder.compression._quantizer import Quantizer

ROUNDING_MARGIN = 1e-3  # fraction of the bound for rounding errors
LEVEL_BOUND = 0.25  # error of a level's 0 or 1: the largest level is the right one


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
        The bound, in the units of X.
    is_level : ndarray of bool of shape (n_features,) or None, default=None
        Entries that are levels of a category, 0 or 1: these come back exactly.
    """

    tables: list[Table]

    def __init__(
        self,
        X: np.ndarray,
        restored: np.ndarray,
        max_error: float,
        is_level: np.ndarray | None = None,
    ) -> None:
        self.max_error = max_error
        self._bounds = np.full(X.shape[1], float(max_error))
        if is_level is not None:
            self._bounds[is_level] = np.minimum(max_error, LEVEL_BOUND)
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
