"""Ensembles of autoencoders, whose members are trained and applied at once by vmap."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._pytree import tree_map

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._corruptions import ROWWISE_CORRUPTIONS
from sk_autoencoder.nn._missing import PreserveMissing
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.utils._torch_compat import call_with_tensors


def _member_axis(leaf: Any) -> int | None:
    return 0 if isinstance(leaf, Tensor) else None


def transpose_matrices(weights: Tensor) -> Tensor:
    """Transpose stacked matrices; stacked vectors stay as they are."""
    return weights.mT if weights.ndim == 3 else weights


def stack_weights(weights: list[Tensor]) -> nn.Parameter:
    """Stack the members' weights as one parameter, trainable if the first one is."""
    stacked = transpose_matrices(torch.stack(weights).detach()).contiguous()
    return nn.Parameter(stacked, weights[0].requires_grad)


class Ensemble(nn.Module):
    """Ensemble of autoencoders with one architecture and different weights.

    An ensemble has the interface of an autoencoder. Its code is the concatenation of the
    members' codes, and its reconstruction is the mean of the members' reconstructions.

    Parameters
    ----------
    members : sequence of Autoencoder
        All members use the scaler, the corruption and the link of the first.

    Notes
    -----
    Each weight of the network is one tensor with the members along its first axis, and
    ``vmap`` maps a function of one member over that axis. Matrices are stored transposed,
    in the layout of their multiplication: a step would otherwise copy them and their
    gradients, which is a large part of the time of a small network.
    """

    def __init__(self, members: Sequence[Autoencoder]) -> None:
        super().__init__()
        self.n_members = len(members)
        self.member = copy.deepcopy(members[0])
        for kind, stack in (("parameters", stack_weights), ("buffers", torch.stack)):
            # Tensors that several layers share are stacked once, and stay shared.
            stacked: dict[Tensor, Tensor] = {}
            for path, name, tensor in self._named_tensors(kind):
                if tensor not in stacked:
                    layers = [member.get_submodule(path) for member in members]
                    stacked[tensor] = stack([getattr(layer, name) for layer in layers])
                setattr(self.member.get_submodule(path), name, stacked[tensor])

    def _named_tensors(self, kind: str) -> Iterator[tuple[str, str, Tensor]]:
        """Yield the path of each layer of the network, with the name and tensor in it.

        A layer with several paths is yielded once. ``functional_call`` would otherwise
        replace its tensors twice, and restore the replacements of the first time.
        """
        for path, layer in self.network.named_modules(prefix="network"):
            for name, tensor in getattr(layer, f"_{kind}").items():
                if tensor is not None:
                    yield path, name, tensor

    def _tensors(self, kind: str) -> dict[str, Tensor]:
        """Collect the tensors of the network by their names within the ensemble."""
        named_tensors = self._named_tensors(kind)
        return {f"member.{path}.{name}": tensor for path, name, tensor in named_tensors}

    @property
    def network(self) -> Network:
        """The network, with the stacked weights of all members."""
        return self.member.network

    @property
    def scaler(self) -> Scaler:
        """The scaler of all members."""
        return self.member.scaler

    @property
    def corruption(self) -> nn.Module:
        """The corruption of all members."""
        return self.member.corruption

    def extract(self, index: int) -> Autoencoder:
        """Copy one member as an autoencoder of its own."""
        result = copy.deepcopy(self.member)
        for kind in ("parameters", "buffers"):
            single: dict[Tensor, Tensor] = {}  # tensors that layers share stay shared
            for path, name, tensor in self._named_tensors(kind):
                if tensor not in single:
                    value = tensor.detach()[index]
                    if kind == "parameters":
                        value = nn.Parameter(
                            (value.mT if value.ndim == 2 else value).clone(),
                            tensor.requires_grad,
                        )
                    single[tensor] = value if kind == "parameters" else value.clone()
                setattr(result.get_submodule(path), name, single[tensor])
        return result

    def with_imputation(self, completion: nn.Module) -> "Ensemble":
        """Copy this ensemble, with one `completion` as imputation before all members."""
        shared = copy.deepcopy(completion)
        for name, buffer in shared.named_buffers():
            shared.register_buffer(name, buffer.expand(self.n_members, *buffer.shape))
        result = copy.deepcopy(self)
        result.member.network = result.network.with_imputation(shared)
        return result

    def forward(self, function: Callable[[Autoencoder, Tensor], Any], x: Tensor) -> Any:
        """Apply ``function(member, x)`` with the weights that are currently in place."""
        return function(self.member, x)

    def map_members(self, function: Callable[[Autoencoder, Any], Any], rows: Any) -> Any:
        """Apply ``function(member, rows)`` to all members, along a new first axis.

        `rows` are the same for all members, of shape (batch, n_features), or a tensor or a
        tuple of tensors with the members along the first axis.
        """
        weights = self._tensors("parameters")
        weights = {name: transpose_matrices(weight) for name, weight in weights.items()}
        buffers = self._tensors("buffers")

        def apply_member(state: dict[str, Tensor], rows: Any) -> Any:
            return call_with_tensors(self, state, (function, rows))

        is_shared = isinstance(rows, Tensor) and rows.ndim == 2
        in_dims = (0, None if is_shared else tree_map(_member_axis, rows))
        map_over_members = vmap(apply_member, in_dims, randomness="different")
        return map_over_members({**weights, **buffers}, rows)

    def iter_members(self, function: Callable, rows: Tensor) -> Iterator[Tensor]:
        """Yield ``function(member, rows)`` of one member after the other.

        For many rows that is faster than all members at once, whose values leave a
        processor's cache.
        """
        weights = self._tensors("parameters")
        weights = {name: transpose_matrices(weight) for name, weight in weights.items()}
        tensors = {**weights, **self._tensors("buffers")}
        for i in range(self.n_members):
            state = {name: tensor[i] for name, tensor in tensors.items()}
            yield call_with_tensors(self, state, (function, rows))

    def map_batch(self, function: Callable, batch: Any) -> Any:
        """Apply ``function(member, batch)`` to all members, each to rows of its own."""
        return self.map_members(function, batch)

    def sum_losses(self, function: Callable, batch: Any) -> tuple[dict[str, Tensor], Any]:
        """Apply ``function(member, batch)`` to all members, and sum each loss over them.

        Each member trains as if alone, on rows of its own.
        """
        losses, output = self.map_members(function, batch)
        return {name: loss.sum() for name, loss in losses.items()}, output

    @property
    def takes_stacked_rows(self) -> bool:
        """Whether all parts work on stacked weights and rows, without ``vmap``."""
        corruption = self.corruption
        if isinstance(corruption, PreserveMissing):
            corruption = corruption.corruption
        return isinstance(corruption, ROWWISE_CORRUPTIONS) and self.network.takes_members

    def sum_stacked_losses(
        self, function: Callable, batch: Any
    ) -> tuple[dict[str, Tensor], Any]:
        """Compute what :meth:`sum_losses` does, by one call with the stacked weights.

        That saves half of the time of a step of small networks.
        """
        losses, output = function(self.member, batch)
        return {name: loss.sum() for name, loss in losses.items()}, output

    def encode(self, x: Tensor) -> Tensor:
        """Concatenate the members' codes to (batch, n_members * n_components)."""
        codes = self.map_members(Autoencoder.encode, x)  # (n_members, batch, n_components)
        return codes.movedim(0, 1).flatten(1)

    def decode(self, code: Tensor) -> Tensor:
        """Average the rows that the members decode from their components of `code`."""
        codes = code.unflatten(1, (self.n_members, -1)).movedim(1, 0)
        return self.map_members(Autoencoder.decode, codes).mean(0)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Average the members' reconstructions (batch, n_features) of rows `x`."""
        return self.map_members(Autoencoder.reconstruct, x).mean(0)
