"""Apply functions in torch to the rows of an array, in bounded memory.

Training runs in float32. Rows of float64 pass through a copy of the weights that is cast
up, so that the result of a row does not depend on the other rows.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sk_autoencoder.core._data import as_tensor
from sk_autoencoder.utils._threads import limit_threads

MAX_CHUNK_BYTES = 2**20  # of rows in one forward pass, so that they stay in the cache
MIN_CHUNK_ROWS = 16  # in one forward pass, however wide the rows are
MULTIPLICATIONS_PER_THREAD = 3 * 2**19  # of a batch, which keep one thread busy


def encode(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Encode `rows`, in the units of X."""
    return module.encode(rows)


def decode(module: nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Decode `codes` to rows, in the units of X."""
    return module.decode(codes)


def map_array(module: nn.Module, function: Callable, X) -> np.ndarray:
    """Apply ``function(module, rows)`` to all rows of X, in chunks of bounded size.

    Parameters
    ----------
    module : Autoencoder or Ensemble
    function : callable
        ``(module, rows) -> Tensor`` with one entry a row along the first axis.
    X : ndarray or CSR array of shape (n_samples, n_features)

    Returns
    -------
    values : ndarray of shape (n_samples, ...)
        In the precision of X.
    """
    module = module.eval()
    device = module.scaler.center.device
    if X.dtype == np.float64:
        module = copy.deepcopy(module).double()
    n_rows = X.shape[0]
    row_bytes = X.dtype.itemsize * X.shape[1] * module.n_members**0.5
    size = max(int(MAX_CHUNK_BYTES / row_bytes), MIN_CHUNK_ROWS)
    result = None
    with torch.inference_mode():
        for start in range(0, n_rows, size):
            rows = as_tensor(X[start : start + size], device)
            values = function(module, rows).cpu().numpy()
            if result is None:
                result = np.empty((n_rows, *values.shape[1:]), values.dtype)
            result[start : start + size] = values
    return result


def busy_threads(module: nn.Module, n_rows: int):
    """Limit torch to the threads that batches of `n_rows` keep busy, within a context."""
    n_weights = sum(p.numel() for p in module.parameters())
    return limit_threads(n_rows * n_weights, MULTIPLICATIONS_PER_THREAD)
