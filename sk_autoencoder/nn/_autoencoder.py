"""A network with what surrounds it: scaling, corruption and link."""

import copy
from collections.abc import Callable

from torch import Tensor, nn

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._scalers import Scaler


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

    def with_imputation(self, completion: nn.Module) -> "Autoencoder":
        """Return a copy whose network sees rows behind `completion`."""
        other = copy.deepcopy(self)
        other.network = other.network.with_imputation(copy.deepcopy(completion))
        return other

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return what goes in and what should come out, each (batch, n_features).

        The same, unless rows of (batch, 2 * n_features) hold both side by side.
        """
        n_features = len(self.scaler.center)
        return rows[..., :n_features], rows[..., -n_features:]

    def forward(self, x: Tensor) -> NetworkOutput:
        """Corrupt, encode and decode scaled rows `x` of shape (batch, n_features)."""
        return self.network(self.corruption(x))

    def map_members(self, function: Callable, x: Tensor) -> Tensor:
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
