"""A network with what surrounds it: scaling, corruption and link."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from sk_autoencoder.likelihoods import count_mean
from sk_autoencoder.networks import Network, Output


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


class Autoencoder(nn.Module):
    """A network with what surrounds it: scaling, corruption and link.

    ``forward`` takes scaled rows and serves training; the other methods take and give
    rows in the units of X.

    Parameters
    ----------
    network : Network
    scaler : Scaler
    corruption : nn.Module
        Changes scaled rows while training.
    link : nn.Module
        Makes the decoder's output a scaled row: the identity, or a sigmoid.
    judge_corrupted : bool, default=False
        Whether ``forward`` corrupts the held-out rows too.
    """

    n_members = 1

    def __init__(
        self,
        network: Network,
        scaler: Scaler,
        corruption: nn.Module,
        link: nn.Module,
        judge_corrupted: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.scaler = scaler
        self.corruption = corruption
        self.link = link
        self.judge_corrupted = judge_corrupted

    def train(self, mode: bool = True) -> "Autoencoder":
        """Switch to training or to evaluation; some corruptions stay on."""
        super().train(mode)
        self.corruption.train(mode or self.judge_corrupted)
        return self

    def completed(self, completion: nn.Module) -> "Autoencoder":
        """Return a copy whose network sees rows behind `completion`."""
        other = copy.deepcopy(self)
        other.network = other.network.completed(copy.deepcopy(completion))
        return other

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return what goes in and what should come out, each (batch, n_features).

        The same, unless rows of (batch, 2 * n_features) hold both side by side.
        """
        n_features = len(self.scaler.center)
        return rows[..., :n_features], rows[..., -n_features:]

    def forward(self, x: Tensor) -> Output:
        """Corrupt, encode and decode scaled rows `x` of shape (batch, n_features)."""
        return self.network(self.corruption(x))

    def each(self, function: Callable, x: Tensor) -> Tensor:
        """Return ``function(autoencoder, x)``; an ensemble asks each of its members."""
        return function(self, x)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of rows `x` (batch, n_features)."""
        return self.network.encode(self.scaler(x))

    def decode(self, code: Tensor) -> Tensor:
        """Return the rows (batch, n_features) that `code` (batch, n_components) means."""
        return self.unscaled(self.network.decode(code))

    def unscaled(self, output: Tensor) -> Tensor:
        """Return the rows (batch, n_features) that the decoder's `output` means."""
        return self.scaler.inverse(self.link(output))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the reconstruction of rows `x` of shape (batch, n_features)."""
        output = self.network.decode(self.encode(x))
        return self.scaler.match(self.link(output), x)
