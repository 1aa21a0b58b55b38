"""State of estimators as plain objects, whose tensors are arrays on the CPU.

Pickle, joblib, ``copy.deepcopy`` and skops all ask an estimator for this state.
"""

import io
import pickle
from collections import defaultdict
from os import PathLike
from types import BuiltinFunctionType, FunctionType

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Optimizer

from sk_autoencoder.persistence._files import save
from sk_autoencoder.utils._devices import available_device
from sk_autoencoder.utils._sklearn_compat import with_owner
from sk_autoencoder.utils._transactions import add_unchanged, drop_unchanged

# What is not looked into: it has no tensors, or, as estimators do, exchanges its own.
LEAVES = (
    np.ndarray,
    np.generic,
    np.ufunc,
    np.random.RandomState,
    BaseEstimator,
    type,
    FunctionType,
    BuiltinFunctionType,
)
BLANK = vars(nn.Module())  # what every module has


class PersistenceMixin:
    """Base class of estimators that are saved, pickled and copied as plain data."""

    def __getstate__(self):
        state = with_owner(super().__getstate__(), type(self).__name__)
        return self._exchange(drop_unchanged(state))

    def __setstate__(self, state):
        state = add_unchanged(self._exchange(state), self._get_param_names())
        super().__setstate__(with_owner(state, self))

    def _exchange(self, state: dict) -> dict:
        # What was learned is one graph. A parameter is one by itself: other estimators may
        # share it.
        names = set(self._get_param_names())
        given = {k: exchange(v) for k, v in state.items() if k in names}
        return given | exchange({k: v for k, v in state.items() if k not in names})

    def save(self, path: str | PathLike) -> None:
        """Write the estimator to one file, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file, by convention ``*.skops``; replaced if it exists.

        Raises
        ------
        TypeError
            If an attribute can only be pickled, such as a lambda function.

        See Also
        --------
        sk_autoencoder.load : Read the file.
        """
        save(self, path)


class HeldTensor:
    """A tensor as an array.

    Parameters
    ----------
    tensor : Tensor
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        # Axes from the longest stride to the shortest: sums round by the order in memory.
        self.axes = sorted(range(tensor.ndim), key=lambda axis: -tensor.stride(axis))
        self.array = tensor.detach().cpu().numpy().transpose(self.axes)
        self.device = str(tensor.device)
        self.requires_grad = tensor.requires_grad
        self.is_parameter = isinstance(tensor, nn.Parameter)

    def restore(self) -> torch.Tensor:
        """Make the tensor, on its device or, where that is missing, on the CPU."""
        array = self.array if self.array.flags.writeable else self.array.copy()
        order = [self.axes.index(axis) for axis in range(array.ndim)]
        tensor = torch.from_numpy(array).permute(order)
        tensor = tensor.to(available_device(self.device))
        if self.is_parameter:
            return nn.Parameter(tensor, self.requires_grad)
        return tensor.requires_grad_(self.requires_grad)


class HeldObject:
    """A module or an optimizer as its class and its state.

    Parameters
    ----------
    value : Module or Optimizer
    """

    def __init__(self, value: nn.Module | Optimizer) -> None:
        self.kind = type(value)
        if isinstance(value, Optimizer):
            tensors = list(value.state.items())  # they are keys, which files cannot hold
            self.state = value.__getstate__() | {"state": tensors}
        else:
            # A parametrised module has no state: its class has no name to be found by.
            state = vars(value) if is_parametrized(value) else value.__getstate__()
            self.state = {k: v for k, v in state.items() if k not in BLANK or v != BLANK[k]}

    def full_state(self) -> dict:
        """Complete the state by what is the same for all."""
        if issubclass(self.kind, nn.Module):
            return vars(nn.Module()) | self.state
        return self.state | {"state": defaultdict(dict, self.state["state"])}


class Exchange(pickle.Pickler):
    """The first half of a copy in memory: leaves are written as references."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        super().__init__(self.file, pickle.HIGHEST_PROTOCOL)
        self.leaves: dict[int, tuple] = {}  # by id: a leaf, and what takes its place
        self.is_needed = False

    def persistent_id(self, value):
        """Refer to a leaf by its id; None for what is none."""
        if id(value) not in self.leaves:
            if (stand_in := _stand_in(value)) is None:
                return None
            self.leaves[id(value)] = value, stand_in
            self.is_needed |= stand_in is not value
        return id(value)

    def reducer_override(self, value):
        """Write modules and optimizers as plain objects, or back."""
        if isinstance(value, HeldObject):
            self.is_needed = True
            return object.__new__, (value.kind,), value.full_state()
        if isinstance(value, nn.Module | Optimizer):
            return object.__new__, (HeldObject,), vars(HeldObject(value))
        return NotImplemented


class ExchangeReader(pickle.Unpickler):
    """The second half of a copy in memory."""

    def __init__(self, exchange: Exchange) -> None:
        exchange.file.seek(0)
        super().__init__(exchange.file)
        self.leaves = exchange.leaves

    def persistent_load(self, reference: int):
        """Look up what takes the place of a leaf."""
        return self.leaves[reference][1]


def exchange(value):
    """Copy a graph of objects with plain objects for tensors and optimizers, or back.

    What is shared is shared in the copy, also if it refers to itself. Arrays are not
    copied, and nothing is where there is nothing to exchange.
    """
    writer = Exchange()
    writer.dump(value)
    return ExchangeReader(writer).load() if writer.is_needed else value


def _stand_in(value):
    """Choose what takes the place of a leaf; None for what is none."""
    if isinstance(value, HeldTensor):
        return value.restore()
    if isinstance(value, torch.Tensor):
        try:
            return HeldTensor(value)
        except (TypeError, RuntimeError):  # bfloat16, sparse: pickle has its own way
            return value
    if isinstance(value, np.memmap):
        return np.asarray(value)
    is_leaf = isinstance(value, LEAVES) and not isinstance(value, NeuralNet)
    return value if is_leaf else None
