"""Backends: where moments, losses and gradients of all processes are reduced."""

from abc import ABC, abstractmethod

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
        """Wrap a module such that its gradients are averaged over all processes."""


class LocalBackend(Backend):
    """Backend of a single process: it reduces nothing."""

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
