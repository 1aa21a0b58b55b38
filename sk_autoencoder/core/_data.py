"""Rows of arrays as batches of tensors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import hstack, issparse
from sklearn.utils import gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from sk_autoencoder.nn._scalers import Scaler

if TYPE_CHECKING:
    from sk_autoencoder.core._moments import Moments

MAX_CACHED_BYTES = 64 * 2**20  # scaled rows are kept as one tensor up to this size
CHUNK_BYTES = 8 * 2**20  # larger dense arrays are shuffled and scaled in such chunks


class InputTargetRows:
    """Input and target rows, read as one array with both side by side.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
    targets : ndarray or CSR array of shape (n_samples, n_features)
    """

    def __init__(self, X, targets) -> None:
        self.X = X
        self.targets = targets
        self.shape = X.shape
        self.dtype = np.result_type(X.dtype, targets.dtype)

    def __getitem__(self, index):
        join = hstack if issparse(self.X) or issparse(self.targets) else np.hstack
        return join([self.X[index], self.targets[index]])  # (n_rows, 2 * n_features)


def input_rows(X):
    """Get the input rows: those of :class:`InputTargetRows`, or X itself."""
    return getattr(X, "X", X)


def target_rows(X):
    """Get the target rows: those of :class:`InputTargetRows`, or X itself."""
    return getattr(X, "targets", X)


class RowDataset(Dataset):
    """Rows of an array as scaled float32 tensors, without a copy of the array.

    Parameters
    ----------
    X : ndarray, memory map, CSR array or InputTargetRows, of shape (n_samples, n_features)
    scaler : Scaler
    indices : ndarray of shape (n_rows,) or (n_members, n_rows)
        The rows of X to use, or those that each member of an ensemble uses.
    moments : Moments, optional
        Moments of these rows before they are centred and divided, if they are known.
    """

    def __init__(
        self, X, scaler: Scaler, indices: np.ndarray, moments: "Moments | None" = None
    ) -> None:
        self.X = X
        self.moments = moments
        self.scaler = scaler
        self.indices = indices.ravel()
        self.n_members = len(indices) if indices.ndim > 1 else None
        self.cached: Tensor | None = None
        row_bytes = 4 * X[:1].shape[1]
        if not issparse(X) and indices.size * row_bytes <= MAX_CACHED_BYTES:
            self.cached = self[np.arange(indices.size)]
        chunk_bytes = 0 if issparse(X) else CHUNK_BYTES // (self.n_members or 1)
        self.chunk_size = len(self) if self.cached is not None else chunk_bytes // row_bytes

    def __len__(self) -> int:
        """Count the rows, per member of an ensemble."""
        return len(self.indices) // (self.n_members or 1)

    def __getitem__(self, where: np.ndarray | int) -> Tensor:
        shape = (*np.shape(where), -1)
        flat = np.reshape(where, -1)
        if self.cached is not None:  # three times as fast as indexing
            index = torch.from_numpy(flat).to(self.cached.device)
            return self.cached.index_select(0, index).reshape(shape)
        rows = as_tensor(self.X[self.indices[flat]], self.scaler.center.device)
        # (n_rows, 1 or 2, n_features): targets are scaled as inputs are.
        inputs_and_targets = rows.unflatten(-1, (-1, self.X.shape[1]))
        return self.scaler(inputs_and_targets).to(torch.float32).reshape(shape)

    def permutation(self, shuffle: bool) -> np.ndarray:
        """Order the positions of all rows, of shape (n_rows,) or (n_members, n_rows)."""
        n_rows = len(self)
        order = torch.randperm if shuffle else torch.arange
        if self.n_members is None:
            return order(n_rows).numpy()
        return np.stack([order(n_rows) + i * n_rows for i in range(self.n_members)])


def has_targets(rows: RowDataset) -> bool:
    """Check whether `rows` have target rows of their own."""
    return target_rows(rows.X) is not rows.X


def as_tensor(rows, device: torch.device | str) -> Tensor:
    """Convert rows of an array, dense or sparse, to a dense tensor on `device`.

    The tensor is contiguous: the memory order of the array must not change rounding.
    """
    dense = rows.toarray() if issparse(rows) else np.ascontiguousarray(rows)
    if not dense.flags.writeable:  # torch would warn: it has no read-only tensors
        dense = dense.copy()
    return torch.from_numpy(dense).to(device)


def evenly_spaced_indices(n_rows: int, n_max: int) -> np.ndarray:
    """Space at most `n_max` positions evenly over `n_rows` rows."""
    return np.linspace(0, n_rows - 1, min(n_rows, n_max)).astype(int)


class BatchIterator:
    """Batches of one epoch, in a new order for each iteration."""

    def __init__(self, rows: RowDataset, batch_size: int, shuffle: bool) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[Tensor]:
        n = len(self.rows)
        order = self.rows.permutation(self.shuffle)
        chunk = max(self.rows.chunk_size // self.batch_size, 1) * self.batch_size
        for where in gen_batches(n, n if self.rows.chunk_size >= n else chunk):
            yield from self.rows[order[..., where]].split(self.batch_size, dim=-2)


def iter_chunks(X, indices: np.ndarray) -> Iterator:
    """Yield the rows `indices` of X in chunks of bounded size."""
    size = max(CHUNK_BYTES // (8 * X.shape[1]), 1)
    for where in gen_batches(len(indices), size):
        yield X[indices[where]]
