"""Scalers of rows as torch modules: forward, inverse, and the same for arrays."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from sk_autoencoder.nn._likelihoods import count_mean

MARGIN = 10.0  # beyond the range of training rows, in widths of that range


class Scaler(nn.Module):
    """Subtract a center and divide by a scale, in the precision of the input.

    Parameters
    ----------
    center : Tensor of shape (n_features,)
        In the units of X. float64, so that a large center loses no digits of X.
    scale : Tensor of shape (n_features,)
        In the units of X. float64.

    Attributes
    ----------
    low, high : Tensor of shape (n_features,)
        Range of training rows in scaled units; infinite until ``set_range``.
    """

    center: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.register_buffer("low", torch.full_like(center, -torch.inf))
        self.register_buffer("high", torch.full_like(center, torch.inf))

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` of shape (batch, n_features)."""
        return (x - self.center.to(x.dtype)).div_(self.scale.to(x.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        """Convert scaled `x` of shape (batch, n_features) to the units of X."""
        return x * self.scale.to(x.dtype) + self.center.to(x.dtype)

    def match(self, x: Tensor, like: Tensor) -> Tensor:
        """Convert scaled `x` to the units of X, as a reconstruction of the rows `like`."""
        return self.inverse(x)

    def match_scaled(self, x: Tensor, like: Tensor) -> Tensor:
        """Make scaled `x` a reconstruction of the scaled rows `like`."""
        return x

    def bound(self, x: Tensor) -> Tensor:
        """Clip scaled `x` to the range of training rows and ten widths of it beyond.

        No network sees an entry further away: one wild entry would change the whole row
        without bound. Columns with heavy tails have new entries far beyond the range of
        training rows: a margin of half its width cost half of the R² of some tables.
        """
        low, high = self.low.to(x.dtype), self.high.to(x.dtype)
        margin = MARGIN * (high - low)
        return x.clamp(low - margin, high + margin)

    def bounded(self, x: Tensor) -> Tensor:
        """Scale rows `x` (batch, n_features) and bound them, for a network."""
        return self.bound(self(x))

    def set_range(self, low: np.ndarray, high: np.ndarray) -> None:
        """Set the range of training rows.

        Parameters
        ----------
        low, high : ndarray of shape (n_features,)
            After ``flatten``, before they are centred and divided; NaN for a column without
            an entry.
        """
        self.low.copy_(self._scale_flat(low).nan_to_num())
        self.high.copy_(self._scale_flat(high).nan_to_num())

    def widen(self, low: np.ndarray, high: np.ndarray) -> None:
        """Extend the range of training rows by `low` and `high` of further ones."""
        self.low.copy_(torch.fmin(self.low, self._scale_flat(low)))
        self.high.copy_(torch.fmax(self.high, self._scale_flat(high)))

    def _scale_flat(self, values: np.ndarray) -> Tensor:
        return (torch.from_numpy(values).to(self.center) - self.center) / self.scale

    def restore_constants(self, x: Tensor) -> Tensor:
        """Set columns of `x`, in the units of X, that were constant to their constant."""
        is_constant = self.low == self.high
        return torch.where(is_constant, self.inverse(self.low.to(x.dtype)), x)

    @property
    def units(self) -> np.ndarray:
        """Units in which columns of X have equal weights, of shape (n_features,)."""
        return self.scale.cpu().numpy()

    @staticmethod
    def flatten(X: Any) -> Any:
        """Return X unchanged; subclasses transform X before its moments are computed."""
        return X


class LogScaler(Scaler):
    """Center and scale the logarithms ``log1p`` of counts.

    Parameters
    ----------
    center, scale : Tensor of shape (n_features,)
        Center and scale of the logarithms.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Scale the logarithms of counts `x` of shape (batch, n_features)."""
        return super().forward(x.log1p())

    def inverse(self, x: Tensor) -> Tensor:
        """Convert scaled logarithms `x` (batch, n_features) to mean counts."""
        return count_mean(super().inverse(x))

    @property
    def units(self) -> np.ndarray:
        """Ones: all columns are counts."""
        return np.ones(len(self.scale))

    @staticmethod
    def flatten(X: Any) -> Any:
        """Compute ``log1p`` of an array, dense or sparse."""
        return np.log1p(X)


class RowScaler(Scaler):
    """Normalise rows to unit length (L2), for losses that ignore the length of a row.

    Parameters
    ----------
    center : Tensor of shape (n_features,)
        Zeros: the losses compare proportions or angles of rows that are not centred.
    scale : Tensor of shape (n_features,)
        Divisor of rows of unit length.
    size : float, default=1.0
        Norm of the rows that ``inverse`` returns, in the units of X.
    order : int, default=2
        Order of that norm.
    """

    def __init__(
        self, center: Tensor, scale: Tensor, size: float = 1.0, order: int = 2
    ) -> None:
        super().__init__(center, scale)
        self.size = size
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` of shape (batch, n_features)."""
        return super().forward(x / _length(x, 2))

    def inverse(self, x: Tensor) -> Tensor:
        """Convert scaled `x` (batch, n_features) to rows with the norm `size`."""
        return x / _length(x, self.order) * self.size

    def restore_constants(self, x: Tensor) -> Tensor:
        """Return `x`: no column is constant by itself where rows have one length."""
        return x

    def match(self, x: Tensor, like: Tensor) -> Tensor:
        """Convert scaled `x` to rows, each with the norm of the same row of `like`."""
        return self.match_scaled(x, like)

    def match_scaled(self, x: Tensor, like: Tensor) -> Tensor:
        """Give the rows of scaled `x` the norms of the scaled rows `like`."""
        return x / _length(x, self.order) * _length(like, self.order)

    @property
    def units(self) -> np.ndarray:
        """Ones: all columns share a unit."""
        return np.ones(len(self.scale))

    @staticmethod
    def flatten(X: Any) -> Any:
        """Normalise the rows of an array, dense or sparse, to unit length."""
        factors = 1 / row_lengths(X, 2)[:, None]
        return X.multiply(factors).tocsr() if issparse(X) else X * factors


def _length(x: Tensor, order: int) -> Tensor:
    """Compute the norm (batch, 1) of each row of `x`; 1 for rows of zeros."""
    length = torch.linalg.vector_norm(x, order, -1, keepdim=True)
    return torch.where(length > 0, length, 1.0)


def row_lengths(X: Any, order: int) -> np.ndarray:
    """Compute the norm of each row of an array, dense or sparse; 1 for rows of zeros."""
    if issparse(X):
        sums = np.asarray(abs(X).power(order).sum(axis=1)).ravel()
    else:
        sums = (np.abs(X) ** order).sum(axis=1)
    length = sums ** (1 / order)
    return np.where(length > 0, length, 1.0)
