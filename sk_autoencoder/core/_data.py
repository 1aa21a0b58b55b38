"""Rows of arrays as batches of tensors."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from sk_autoencoder.core._memory import CACHE_BYTES, CHUNK_BYTES, rows_within
from sk_autoencoder.nn._scalers import Scaler

if TYPE_CHECKING:
    from sk_autoencoder.core._moments import Moments


class Batch(NamedTuple):
    """Rows of one step, in scaled units. Missing entries are NaN.

    For an ensemble each tensor has the members along its first axis.
    """

    x: Tensor  # (..., batch, n_features)
    target: Tensor  # like x; `x` itself if rows are their own targets
    weight: Tensor | None = None  # (..., batch); None stands for equal weights

    @property
    def n_rows(self) -> int:
        """Number of rows, per member."""
        return self.x.shape[-2]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to each tensor; a target that is `x` stays `x`."""
        x = function(self.x)
        target = x if self.target is self.x else function(self.target)
        return Batch(x, target, None if self.weight is None else function(self.weight))

    def split(self, size: int) -> "Iterator[Batch]":
        """Split the rows into batches of `size`."""
        axis = self.x.ndim - 2
        for start in range(0, self.n_rows, size):
            length = min(size, self.n_rows - start)
            yield self.map(lambda t, s=start, n=length: t.narrow(axis, s, n))


def has_missing(X) -> bool:
    """Check whether an entry of X is NaN."""
    return not issparse(X) and bool(np.isnan(np.min(X)))  # makes no array as large as X


class RowSource:
    """Rows of arrays: dense ones, memory maps, CSR arrays, or rows imputed when read.

    Parameters
    ----------
    X : ndarray, memory map, CSR array or ImputedRows of shape (n_samples, n_features)
    targets : the same, optional
        Target rows; by default rows are their own targets.
    weight : ndarray of shape (n_samples,), optional
    """

    def __init__(self, X, targets=None, weight: np.ndarray | None = None) -> None:
        self.X = X
        self.targets = X if targets is None else targets
        self.weight = weight

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.X.shape[0]

    @cached_property
    def is_incomplete(self) -> bool:
        """Whether an entry of the input rows is missing."""
        return has_missing(self.X)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    @property
    def has_targets(self) -> bool:
        """Whether rows have targets other than themselves."""
        return self.targets is not self.X

    @cached_property
    def observed_rows(self) -> np.ndarray:
        """Indices of rows with an observed entry: nothing can be learned from others."""
        if not self.is_incomplete:
            return np.arange(self.n_rows)
        return np.flatnonzero(~np.isnan(self.X).all(axis=1))

    def with_inputs(self, X) -> "RowSource":
        """Replace the input rows; rows that are their own targets stay so."""
        return RowSource(X, self.targets if self.has_targets else None, self.weight)


class RowDataset(Dataset):
    """Rows of a source as scaled float32 tensors, without a copy of the source.

    Parameters
    ----------
    source : RowSource
    scaler : Scaler
    indices : ndarray of shape (n_members, n_rows), or (n_rows,) for one member
        The rows that each member uses.
    moments : Moments, optional
        Moments of these rows before they are centred and divided, if they are known.
    """

    def __init__(
        self,
        source: RowSource,
        scaler: Scaler,
        indices: np.ndarray,
        moments: "Moments | None" = None,
    ) -> None:
        self.source = source
        self.scaler = scaler
        self.indices = indices.ravel()
        self.moments = moments
        self.n_members = len(np.atleast_2d(indices))
        self.cached: Batch | None = None
        is_sparse = issparse(source.X) or issparse(source.targets)
        row_bytes = 4 * source.n_features * (1 + source.has_targets)
        if not is_sparse and indices.size * row_bytes <= CACHE_BYTES:
            self.cached = self[np.arange(indices.size)]
        self.chunk_size = len(self)  # rows that are read at once, per member
        if self.cached is None:  # sparse rows are dense for one batch only
            chunk_bytes = 0 if is_sparse else CHUNK_BYTES // self.n_members
            self.chunk_size = rows_within(chunk_bytes, row_bytes)

    @property
    def X(self):
        """The input rows of the source, all of them."""
        return self.source.X

    def __len__(self) -> int:
        """Count the rows of each member."""
        return len(self.indices) // self.n_members

    def __getitem__(self, where: np.ndarray) -> Batch:
        shape, flat = np.shape(where), np.reshape(where, -1)
        if self.cached is not None:  # three times as fast as indexing
            index = torch.from_numpy(flat).to(self.cached.x.device)
            batch = self.cached.map(lambda t: t.index_select(0, index))
        else:
            batch = self._read(self.indices[flat])
        return batch.map(lambda t: t.reshape(*shape, *t.shape[1:]))

    def _read(self, indices: np.ndarray) -> Batch:
        source, device = self.source, self.scaler.center.device
        x = target = self._scale(source.X[indices])
        if source.has_targets:  # targets are scaled as inputs are
            target = self._scale(source.targets[indices])
        weight = None
        if source.weight is not None:
            weight = as_tensor(source.weight[indices], device).to(torch.float32)
        return Batch(x, target, weight)

    def _scale(self, rows) -> Tensor:
        return self.scaler(as_tensor(rows, self.scaler.center.device)).to(torch.float32)

    def permutation(self, shuffle: bool) -> np.ndarray:
        """Order the positions of all rows, of shape (n_rows,) or (n_members, n_rows)."""
        n_rows = len(self)
        order = torch.randperm if shuffle else torch.arange
        if self.n_members == 1:
            return order(n_rows).numpy()
        return np.stack([order(n_rows) + i * n_rows for i in range(self.n_members)])


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

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.rows)
        order = self.rows.permutation(self.shuffle)
        chunk = max(self.rows.chunk_size // self.batch_size, 1) * self.batch_size
        for where in gen_batches(n, n if self.rows.chunk_size >= n else chunk):
            yield from self.rows[order[..., where]].split(self.batch_size)


def iter_chunks(X, indices: np.ndarray) -> Iterator:
    """Yield the rows `indices` of X in chunks of bounded size, in float64 too."""
    for where in gen_batches(len(indices), rows_within(CHUNK_BYTES, 8 * X.shape[1])):
        yield X[indices[where]]
