"""Scaling of rows as torch modules, and its inverse."""

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from sk_autoencoder.nn._likelihoods import count_mean


class Scaler(nn.Module):
    """Subtract a center and divide by a scale, in the precision of the input.

    Parameters
    ----------
    center : Tensor of shape (n_features,)
        In the units of X, float64, so that a large offset costs no digits.
    scale : Tensor of shape (n_features,)
        In the units of X, float64.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Scale `x` of shape (batch, n_features)."""
        return (x - self.center.to(x.dtype)).div_(self.scale.to(x.dtype))

    def inverse(self, x: Tensor) -> Tensor:
        """Bring `x` of shape (batch, n_features) back to the units of X."""
        return x * self.scale.to(x.dtype) + self.center.to(x.dtype)

    def match(self, x: Tensor, like: Tensor) -> Tensor:
        """Return the rows in the units of X that scaled `x` means for rows `like`."""
        return self.inverse(x)

    @staticmethod
    def flatten(X: Any) -> Any:
        """Return what is centred and scaled of an array, dense or sparse: itself."""
        return X


class LogScaler(Scaler):
    """Center and scale the logarithms ``log1p`` of counts.

    Parameters
    ----------
    center, scale : Tensor of shape (n_features,)
        Of the logarithms.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Scale the logarithms of counts `x` of shape (batch, n_features)."""
        return super().forward(x.log1p())

    def inverse(self, x: Tensor) -> Tensor:
        """Return the mean counts that scaled logarithms `x` (batch, n_features) mean."""
        return count_mean(super().inverse(x))

    @staticmethod
    def flatten(X: Any) -> Any:
        """Return what is centred and scaled of an array, dense or sparse: its ``log1p``."""
        return np.log1p(X)


class RowScaler(Scaler):
    """Bring rows to one length (L2), for losses that ignore how long a row is.

    Parameters
    ----------
    center : Tensor of shape (n_features,)
        Zeros: shares and angles are those of the rows themselves.
    scale : Tensor of shape (n_features,)
        By which rows of unit length are divided.
    size : float, default=1.0
        Norm of the rows that scaled ones mean, in the units of X.
    order : int, default=2
        Of that norm.
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
        """Return the rows of the usual norm that scaled `x` (batch, n_features) means."""
        return x / _length(x, self.order) * self.size

    def match(self, x: Tensor, like: Tensor) -> Tensor:
        """Return the rows that scaled `x` means, each with the norm of that of `like`."""
        return x / _length(x, self.order) * _length(like, self.order)

    @staticmethod
    def flatten(X: Any) -> Any:
        """Return what is scaled of an array, dense or sparse: its rows at unit length."""
        shrink = 1 / row_lengths(X, 2)[:, None]
        return X.multiply(shrink).tocsr() if issparse(X) else X * shrink


def _length(x: Tensor, order: int) -> Tensor:
    """Return the norm of each row of `x`, of shape (batch, 1); 1 for rows of zeros."""
    length = torch.linalg.vector_norm(x, order, -1, keepdim=True)
    return torch.where(length > 0, length, 1.0)


def row_lengths(X: Any, order: int) -> np.ndarray:
    """Return the norm of each row of an array, dense or sparse; 1 for rows of zeros."""
    if issparse(X):
        sums = np.asarray(abs(X).power(order).sum(axis=1)).ravel()
    else:
        sums = (np.abs(X) ** order).sum(axis=1)
    length = sums ** (1 / order)
    return np.where(length > 0, length, 1.0)
