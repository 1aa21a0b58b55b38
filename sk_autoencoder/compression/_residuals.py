"""Residuals of compressed rows, which bound the error of every entry."""

import numpy as np

from sk_autoencoder.compression._entropy import MAX_SYMBOL, Table
from sk_autoencoder.compression._quantizer import Quantizer

ROUNDING_MARGIN = 1e-3  # fraction of the bound for rounding errors


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
    """

    tables: list[Table]

    def __init__(self, X: np.ndarray, restored: np.ndarray, max_error: float) -> None:
        self.max_error = max_error
        step = self._step(X.dtype)
        residuals = X.astype(np.float64) - _round_integers(restored, X.dtype)
        steps = np.full(residuals.shape[1], step)
        self.tables = Quantizer(residuals, steps, 0, False).tables

    def _step(self, dtype: np.dtype) -> float:
        if dtype.kind == "f":
            return 2 * self.max_error * (1 - ROUNDING_MARGIN)
        return 2 * np.floor(self.max_error) + 1

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
        largest = np.abs(X.astype(np.float64)).max()
        if X.dtype.kind == "f":
            too_large = np.finfo(X.dtype).eps * largest > ROUNDING_MARGIN * self.max_error
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
