"""The complete torch module of an estimator: network, scaler, corruption and link."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._scalers import Scaler


class Autoencoder(nn.Module):
    """Network with the scaler of its input, a corruption and the link of its output.

    ``forward`` is for training and takes scaled rows. The other methods take and return
    rows in the units of X.

    Parameters
    ----------
    network : Network
    scaler : Scaler
    corruption : nn.Module
        Changes scaled rows in training mode.
    link : nn.Module
        Maps the decoder's output to scaled rows, for example the identity or a sigmoid.
    corrupt_validation : bool, default=False
        Whether ``forward`` corrupts validation rows too, so that the validation loss
        measures denoising.
    """

    n_members = 1

    def __init__(
        self,
        network: Network,
        scaler: Scaler,
        corruption: nn.Module,
        link: nn.Module,
        corrupt_validation: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.scaler = scaler
        self.corruption = corruption
        self.link = link
        self.corrupt_validation = corrupt_validation

    def train(self, mode: bool = True) -> "Autoencoder":
        """Set the mode; `corrupt_validation` keeps the corruption in training mode."""
        super().train(mode)
        self.corruption.train(mode or self.corrupt_validation)
        return self

    def with_imputation(self, completion: nn.Module) -> "Autoencoder":
        """Copy this module, with `completion` as the imputation before its network."""
        result = copy.deepcopy(self)
        result.network = result.network.with_imputation(copy.deepcopy(completion))
        return result

    def forward(self, x: Tensor) -> NetworkOutput:
        """Corrupt, encode and decode scaled rows `x` of shape (batch, n_features)."""
        return self.network(self.scaler.bound(self.corruption(x)))

    def map_members(self, function: Callable, rows: Tensor) -> Any:
        """Apply ``function(autoencoder, rows)``, along a new first axis of length 1.

        `rows` has the shape (batch, n_features), or that axis too.
        """
        result = function(self, rows if rows.ndim == 2 else rows.squeeze(0))
        return tree_map(lambda value: value.unsqueeze(0), result)

    def iter_members(self, function: Callable, rows: Tensor) -> Iterator[Tensor]:
        """Yield ``function(autoencoder, rows)``."""
        yield function(self, rows)

    # A batch of rows for training has no axis of members here: the axis would cost a tenth
    # of a step of a small network.

    def map_batch(self, function: Callable, batch: Any) -> Any:
        """Apply ``function(autoencoder, batch)``."""
        return function(self, batch)

    def sum_losses(self, function: Callable, batch: Any) -> tuple[dict[str, Tensor], Any]:
        """Apply ``function(autoencoder, batch)``, which returns losses and an output."""
        return function(self, batch)

    def encode(self, x: Tensor) -> Tensor:
        """Encode rows `x` (batch, n_features) to codes (batch, n_components)."""
        return self.encode_scaled(self.scaler(x))

    def encode_scaled(self, x: Tensor) -> Tensor:
        """Encode scaled rows `x` (batch, n_features) to codes (batch, n_components)."""
        return self.network.encode(self.scaler.bound(x))

    def decode(self, code: Tensor) -> Tensor:
        """Decode `code` (batch, n_components) to rows (batch, n_features)."""
        return self.unscaled(self.network.decode(code))

    def unscaled(self, output: Tensor) -> Tensor:
        """Convert the decoder's `output` to rows (batch, n_features) in the units of X."""
        return self.scaler.inverse(self.link(output))

    def reconstruct_scaled(self, x: Tensor) -> Tensor:
        """Reconstruct scaled rows `x` (batch, n_features), in scaled units."""
        return self.link(self.network.reconstruct(self.scaler.bound(x)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstruct rows `x` of shape (batch, n_features)."""
        output = self.network.decode(self.encode(x))
        return self.scaler.match(self.link(output), x)
