"""What compressed rows lack, so that no cell is off by more than a bound."""

import numpy as np

from sk_autoencoder.compression._coding import LARGEST, Table
from sk_autoencoder.compression._quantizer import Quantiser

SLACK = 1e-3  # share of the bound that is left to rounding


class Residuals:
    """Rounds what is left of rows to steps of twice the bound.

    Whole numbers stay whole: their step is odd, and a bound below 1 loses nothing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in their own type.
    restored : ndarray of shape (n_samples, n_features)
        What they are without residuals.
    max_error : float
        The bound, in the units of X.
    """

    tables: list[Table]

    def __init__(self, X: np.ndarray, restored: np.ndarray, max_error: float) -> None:
        self.max_error = max_error
        step = self._step(X.dtype)
        left = X.astype(np.float64) - _whole(restored, X.dtype)
        self.tables = Quantiser(left, np.full(left.shape[1], step), 0, False).tables

    def _step(self, dtype: np.dtype) -> float:
        if dtype.kind == "f":
            return 2 * self.max_error * (1 - SLACK)
        return 2 * np.floor(self.max_error) + 1

    def numbers(self, X: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """Return the whole numbers (n_samples, n_features) that residuals become."""
        self._check(X)
        rows = X.astype(np.float64)
        numbers = np.rint((rows - _whole(restored, X.dtype)) / self._step(X.dtype))
        if not (np.abs(numbers) <= LARGEST).all():
            raise ValueError(
                f"max_error={self.max_error} is too small for X, whose cells are up to "
                f"{np.abs(rows).max():.6g}: a residual has more than {LARGEST} steps."
            )
        return numbers.astype(np.int64)

    def _check(self, X: np.ndarray) -> None:
        largest = np.abs(X.astype(np.float64)).max()
        if X.dtype.kind == "f":
            too_large = np.finfo(X.dtype).eps * largest > SLACK * self.max_error
        else:
            too_large = largest > LARGEST
        if too_large:
            raise ValueError(
                f"max_error={self.max_error} is finer than {X.dtype} resolves in X, whose "
                f"cells are up to {largest:.6g}. Raise it, or use max_error=None."
            )

    def add(self, restored: np.ndarray, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return rows with their residuals."""
        return _whole(restored, dtype) + numbers * self._step(dtype)


def _whole(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return rows if dtype.kind == "f" else np.rint(rows)


def as_type(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return `rows` in a type: rounded, and kept within its range, for integers."""
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
