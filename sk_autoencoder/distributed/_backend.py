"""The backend of a group of torch.distributed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor, distributed, nn

from sk_autoencoder.core._backend import Backend
from sk_autoencoder.core._data import Batch
from sk_autoencoder.core._moments import Moments
from sk_autoencoder.utils._random import draw_seed
from sk_autoencoder.utils._torch_compat import parallelize


class WeightedGradients(nn.Module):
    """Losses of a batch, with gradients that count as often as its rows do.

    The mean over processes is then the gradient of the mean over all rows, whatever the
    number of rows of each process is.

    Parameters
    ----------
    losses : module
        ``batch -> (terms, reconstruction)``
    """

    def __init__(self, losses: nn.Module) -> None:
        super().__init__()
        self.losses = losses

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the terms and the reconstructions of a batch."""
        terms, reconstruction = self.losses(batch)
        for term in terms.values():
            if term.requires_grad and batch.share != 1:
                term.register_hook(lambda gradient: gradient * batch.share)
        return terms, reconstruction


class DistributedBackend(Backend):
    """Backend of all processes of a group, by gloo or NCCL.

    Parameters
    ----------
    group : ProcessGroup
    """

    def __init__(self, group: distributed.ProcessGroup) -> None:
        self.group = group
        is_on_gpu = distributed.get_backend(group) == "nccl"
        self.device = torch.device("cuda" if is_on_gpu else "cpu")

    @property
    def rank(self) -> int:
        """Number of this process, from 0 on."""
        return distributed.get_rank(self.group)

    @property
    def size(self) -> int:
        """Number of processes."""
        return distributed.get_world_size(self.group)

    def merge(self, moments: Moments) -> Moments:
        """Merge the moments of the rows of all processes, in the order of their ranks."""
        merged = self.broadcast(moments)
        for rank in range(1, self.size):  # one by one: matrices of products are large
            merged = merged.merge(self.broadcast(moments, rank))
        return merged

    def sum(self, totals: Tensor) -> Tensor:
        """Sum the totals of all processes, entry by entry."""
        result = totals.detach().clone().to(self.device)
        distributed.all_reduce(result, group=self.group)
        return result.to(totals.device)

    def concatenate(self, values: np.ndarray) -> np.ndarray:
        """Agree on values of held-out rows, which all processes have."""
        return self.broadcast(values)

    def parallelize(self, module: nn.Module) -> nn.Module:
        """Wrap a module such that its gradients are averaged over all processes."""
        return parallelize(WeightedGradients(module), self.group)

    def gather(self, value: Any) -> list[Any]:
        """Gather a value of each process, in the order of their ranks."""
        values = [None] * self.size
        distributed.all_gather_object(values, value, group=self.group)
        return values

    def broadcast(self, value: Any, rank: int = 0) -> Any:
        """Return the value that one process has to all of them."""
        values = [value]
        source = distributed.get_global_rank(self.group, rank)
        distributed.broadcast_object_list(values, src=source, group=self.group)
        return values[0]

    def share_random_state(self, random_state: Any) -> int:
        """Agree on the seed of the first process."""
        is_seed = isinstance(random_state, int | np.integer)
        seed = random_state if is_seed else draw_seed(check_random_state(random_state))
        return int(self.broadcast(seed))

    @contextmanager
    def own_noise(self, seed: int) -> Iterator[None]:
        """Seed torch by the rank within a context, and restore its generators."""
        with torch.random.fork_rng():
            # torch's generators on a CPU take 32 bits of a seed, and no more.
            sequence = np.random.SeedSequence([seed, self.rank])
            torch.manual_seed(int(sequence.generate_state(1)[0]))
            yield
