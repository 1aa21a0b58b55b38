"""Apply functions in torch to the rows of an array, in bounded memory.

Training runs in float32. Rows of float64 pass through a copy of the weights that is cast
up, so that the result of a row does not depend on the other rows.
"""

import copy
import threading
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sk_autoencoder.core._data import as_tensor
from sk_autoencoder.core._memory import (
    FORWARD_BYTES,
    FORWARD_BYTES_IN_TURN,
    MIN_FORWARD_ROWS,
    rows_within,
)
from sk_autoencoder.utils._threads import limit_threads

ROW_MULTIPLE = 16  # of the rows of a matrix product that gives each row the same bits
MULTIPLICATIONS_PER_THREAD = 3 * 2**19  # of a batch, which keep one thread busy


def encode(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Encode `rows`, in the units of X."""
    return module.encode(rows)


def decode(module: nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Decode `codes` to rows, in the units of X."""
    return module.decode(codes)


class Replicas(threading.local):
    """Copies of a module for inference, one a thread and precision.

    Threads need copies of their own: an ensemble puts the weights of its members into one
    network as it is applied. A copy is made once, and later uses refresh its weights.
    """

    def __init__(self) -> None:
        self.tensors: list[torch.Tensor] = []  # of the module that was copied
        self.copies: dict[np.dtype, nn.Module] = {}

    def get(self, module: nn.Module, dtype: np.dtype) -> nn.Module:
        """Copy `module` for rows of `dtype`, or bring an earlier copy up to date."""
        tensors = list_tensors(module)
        are_same = [a is b for a, b in zip(tensors, self.tensors, strict=False)]
        if len(tensors) != len(self.tensors) or not all(are_same):
            self.tensors, self.copies = tensors, {}
        if dtype in self.copies:
            with torch.no_grad():
                for weights, source in zip(
                    list_tensors(self.copies[dtype]), tensors, strict=True
                ):
                    weights.copy_(source)
        else:
            self.copies[dtype] = replicate(module, dtype)
        return self.copies[dtype]


def list_tensors(module: nn.Module) -> list[torch.Tensor]:
    """List the parameters and buffers of a module."""
    return [*module.parameters(), *module.buffers()]


def replicate(module: nn.Module, dtype: np.dtype) -> nn.Module:
    """Copy `module`, in float64 for rows of float64."""
    replica = copy.deepcopy(module)
    return replica.double() if dtype == np.float64 else replica


def map_array(
    module: nn.Module, function: Callable, X, *, in_float32: bool = False
) -> np.ndarray:
    """Apply ``function(module, rows)`` to all rows of X, in chunks of bounded size.

    Parameters
    ----------
    module : Autoencoder or Ensemble
        Cast up if X has float64 and the module has not.
    function : callable
        ``(module, rows) -> Tensor`` with one entry a row along the first axis.
    X : ndarray or CSR array of shape (n_samples, n_features)
    in_float32 : bool, default=False
        Whether the module stays in float32 for X in float64: `function` casts scaled rows,
        and applies one member after the other.

    Returns
    -------
    values : ndarray of shape (n_samples, ...)
        In the precision of X.
    """
    module = module.eval()
    device = module.scaler.center.device
    if not in_float32 and X.dtype == np.float64 and has_float32(module):
        module = replicate(module, X.dtype)
    n_rows = X.shape[0]
    if in_float32:
        row_bytes, n_bytes = 4.0 * X.shape[1], FORWARD_BYTES_IN_TURN
    else:
        row_bytes = X.dtype.itemsize * X.shape[1] * module.n_members**0.5
        n_bytes = FORWARD_BYTES
    size = rows_within(n_bytes, row_bytes, MIN_FORWARD_ROWS)
    result = None
    with torch.inference_mode():
        for start in range(0, n_rows, size):
            rows = as_tensor(X[start : start + size], device)
            values = function(module, rows).cpu().numpy()
            if result is None:
                result = np.empty((n_rows, *values.shape[1:]), values.dtype)
            result[start : start + size] = values
    return result


def pad_rows(function: Callable) -> Callable:
    """Make `function` see numbers of rows that are multiples of 16.

    In float32 the last bits of a matrix product depend on the number of rows, but for
    multiples: a row gets the same bits beside any others.
    """

    def apply(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        n_rows = len(rows)
        n_more = -n_rows % ROW_MULTIPLE
        if n_more:
            rows = torch.cat([rows, rows[-1:].expand(n_more, -1)])
        return function(module, rows)[:n_rows]

    return apply


def has_float32(module: nn.Module) -> bool:
    """Check whether a parameter of `module` has float32."""
    return any(p.dtype == torch.float32 for p in module.parameters())


def busy_threads(module: nn.Module, n_rows: int):
    """Limit torch to the threads that batches of `n_rows` keep busy, within a context."""
    n_weights = sum(p.numel() for p in module.parameters())
    return limit_threads(n_rows * n_weights, MULTIPLICATIONS_PER_THREAD)
