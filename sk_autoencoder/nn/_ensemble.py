"""Several autoencoders as one: the members are trained and used side by side."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._scalers import Scaler


def transpose_matrices(weights: Tensor) -> Tensor:
    """Return the matrices of all members transposed, and other weights as they are."""
    return weights.mT if weights.ndim == 3 else weights


def stack_weights(weights: list[Tensor]) -> nn.Parameter:
    """Return the members' weights as one, which learns if the first's does."""
    stacked = transpose_matrices(torch.stack(weights).detach()).contiguous()
    return nn.Parameter(stacked, weights[0].requires_grad)


class Ensemble(nn.Module):
    """Autoencoders of one architecture, whose networks differ in their weights.

    The weights at one place of the network are one tensor with the members along its first
    axis, and ``vmap`` turns what one member does into what all do at once. Matrices lie
    transposed, as they are multiplied: else each step would copy them and their gradients,
    up to a third of the time of a small network. To its users an ensemble is an
    autoencoder: its code holds the members' codes side by side, and its reconstruction is
    the mean of theirs.

    Parameters
    ----------
    members : sequence of Autoencoder
        They share the scaler, the corruption and the link of the first.
    """

    def __init__(self, members: Sequence[Autoencoder]) -> None:
        super().__init__()
        self.n_members = len(members)
        self.member = copy.deepcopy(members[0])
        for kind, stack in (("parameters", stack_weights), ("buffers", torch.stack)):
            stacked: dict[Tensor, Tensor] = {}  # the network may use one in several places
            for path, name, own in self._named_tensors(kind):
                if own not in stacked:
                    layers = [each.get_submodule(path) for each in members]
                    stacked[own] = stack([getattr(layer, name) for layer in layers])
                setattr(self.member.get_submodule(path), name, stacked[own])

    def _named_tensors(self, kind: str) -> Iterator[tuple[str, str, Tensor]]:
        """Yield the path of each layer of a member's network, and names and tensors in it.

        Once for a layer that stands in several places: ``functional_call`` would put back
        what it found there the second time, which is what it had put there itself.
        """
        for path, layer in self.network.named_modules(prefix="network"):
            for name, tensor in getattr(layer, f"_{kind}").items():
                if tensor is not None:
                    yield path, name, tensor

    def _tensors(self, kind: str) -> dict[str, Tensor]:
        """Return the tensors of the network, named as seen from here."""
        places = self._named_tensors(kind)
        return {f"member.{path}.{name}": tensor for path, name, tensor in places}

    @property
    def network(self) -> Network:
        """The network of the members, with the weights of all."""
        return self.member.network

    @property
    def scaler(self) -> Scaler:
        """The scaler of all members."""
        return self.member.scaler

    @property
    def corruption(self) -> nn.Module:
        """The corruption of all members."""
        return self.member.corruption

    def with_imputation(self, completion: nn.Module) -> "Ensemble":
        """Return a copy whose members all see rows behind one `completion`."""
        shared = copy.deepcopy(completion)
        for name, buffer in shared.named_buffers():
            shared.register_buffer(name, buffer.expand(self.n_members, *buffer.shape))
        other = copy.deepcopy(self)
        other.member.network = other.network.with_imputation(shared)
        return other

    def forward(self, function: Callable[[Autoencoder, Tensor], Any], x: Tensor) -> Any:
        """Return ``function(member, x)`` for the one member whose weights are in place."""
        return function(self.member, x)

    def map_members(self, function: Callable[[Autoencoder, Tensor], Any], x: Tensor) -> Any:
        """Return ``function(member, x)`` for all members, along a new first axis.

        Rows `x` of shape (batch, n_features) go to every member; of rows of shape
        (n_members, batch, n_features) each member gets its own.
        """
        weights = self._tensors("parameters")
        weights = {name: transpose_matrices(weight) for name, weight in weights.items()}
        buffers = self._tensors("buffers")

        def one(state: dict[str, Tensor], rows: Tensor) -> Any:
            return functional_call(self, state, (function, rows), tie_weights=False)

        in_dims = (0, 0 if x.ndim > 2 else None)
        return vmap(one, in_dims, randomness="different")({**weights, **buffers}, x)

    def encode(self, x: Tensor) -> Tensor:
        """Return the members' codes (batch, n_members * n_components), side by side."""
        codes = self.map_members(Autoencoder.encode, x)  # (n_members, batch, n_components)
        return codes.movedim(0, 1).flatten(1)

    def decode(self, code: Tensor) -> Tensor:
        """Return the mean of the rows that the members' parts of `code` mean."""
        codes = code.unflatten(1, (self.n_members, -1)).movedim(1, 0)
        return self.map_members(Autoencoder.decode, codes).mean(0)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the mean of the members' reconstructions (batch, n_features) of `x`."""
        return self.map_members(Autoencoder.reconstruct, x).mean(0)
