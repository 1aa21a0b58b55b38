"""Backends: where moments, losses and gradients of all processes are reduced."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from torch import Tensor, nn

from sk_autoencoder.core._moments import Moments


class Backend(ABC):
    """The processes that train one autoencoder, each on rows of its own."""

    @abstractmethod
    def merge(self, moments: Moments) -> Moments:
        """Merge the moments of the rows of all processes."""

    @abstractmethod
    def sum(self, totals: Tensor) -> Tensor:
        """Sum the totals of all processes, entry by entry."""

    @abstractmethod
    def concatenate(self, values: np.ndarray) -> np.ndarray:
        """Concatenate the values that all processes have of their rows."""

    @abstractmethod
    def parallelize(self, module: nn.Module) -> nn.Module:
        """Wrap a module such that its gradients are averaged over all processes.

        The gradients of a process count as often as ``Batch.share`` says.
        """

    @abstractmethod
    def gather(self, value: Any) -> list[Any]:
        """Gather a value of each process, in the order of their ranks."""

    @abstractmethod
    def share_random_state(self, random_state: Any) -> Any:
        """Agree on the random state of a fit, of which weights and splits are drawn."""

    @abstractmethod
    def own_noise(self, seed: int) -> AbstractContextManager:
        """Give each process noise and an order of rows of its own, within a context."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Number of this process, from 0 on."""


class LocalBackend(Backend):
    """Backend of a single process: it reduces nothing."""

    rank = 0

    def merge(self, moments: Moments) -> Moments:
        """Return `moments` as they are."""
        return moments

    def sum(self, totals: Tensor) -> Tensor:
        """Return `totals` as they are."""
        return totals

    def concatenate(self, values: np.ndarray) -> np.ndarray:
        """Return `values` as they are."""
        return values

    def parallelize(self, module: nn.Module) -> nn.Module:
        """Return `module` as it is."""
        return module

    def gather(self, value: Any) -> list[Any]:
        """Return `value` in a list."""
        return [value]

    def share_random_state(self, random_state: Any) -> Any:
        """Return `random_state` as it is."""
        return random_state

    def own_noise(self, seed: int) -> AbstractContextManager:
        """Change nothing."""
        return nullcontext()
