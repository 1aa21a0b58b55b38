"""Rows of arrays as batches of tensors."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from torch import Tensor
from torch.utils.data import Dataset

from sk_autoencoder.core._memory import CACHE_BYTES, CHUNK_BYTES, FORWARD_BYTES, rows_within
from sk_autoencoder.nn._scalers import Scaler

if TYPE_CHECKING:
    from sk_autoencoder.core._moments import Moments


MAX_ORDERED_ROWS = 1_000  # up to which rows have an order of their own
MAX_REPETITION = 10  # of a row of mean weight, where rows are repeated for their weights


class Batch(NamedTuple):
    """Rows of one step, in scaled units. Missing entries are NaN.

    For an ensemble each tensor has the members along its first axis.
    """

    x: Tensor  # (..., batch, n_features)
    target: Tensor  # like x; `x` itself if rows are their own targets
    weight: Tensor | None = None  # (..., batch); None stands for equal weights
    share: float = 1.0  # of rows, relative to the mean of all processes

    @property
    def n_rows(self) -> int:
        """Number of rows, per member."""
        return self.x.shape[-2]

    @property
    def total_weight(self) -> float:
        """Total weight of the rows, per member: their number if weights are equal."""
        return self.n_rows if self.weight is None else float(self.weight.sum(-1).mean())

    def map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to each tensor; a target that is `x` stays `x`."""
        x = function(self.x)
        target = x if self.target is self.x else function(self.target)
        weight = None if self.weight is None else function(self.weight)
        return Batch(x, target, weight, self.share)

    def put(self, where: slice, rows: "Batch") -> None:
        """Copy rows to the places `where`; batches have no axis of members."""
        self.x[where] = rows.x
        if self.target is not self.x:
            self.target[where] = rows.target
        if self.weight is not None:
            self.weight[where] = rows.weight

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
        A row of weight 2 is a row given twice, and one of weight 0 is not given.
    """

    is_sample = False  # whether the rows stand for more, which are read in chunks

    def __init__(self, X, targets=None, weight: np.ndarray | None = None) -> None:
        self.X = X
        self.targets = X if targets is None else targets
        self.weight = weight
        self.has_weight = None if weight is None else weight > 0

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

    @property
    def weighted_rows(self) -> np.ndarray:
        """Indices of the rows that have a weight."""
        if self.has_weight is None:
            return np.arange(self.n_rows)
        return np.flatnonzero(self.has_weight)

    @cached_property
    def fitted_rows(self) -> np.ndarray:
        """Indices of rows to fit to: those that are observed and have a weight."""
        rows = self.observed_rows
        return rows if self.has_weight is None else rows[self.has_weight[rows]]

    def count_rows(self, indices: np.ndarray) -> int:
        """Count the rows that those at `indices` stand for: themselves."""
        return len(indices)

    def iter_targets(
        self, indices: np.ndarray
    ) -> "Iterator[tuple[Any, np.ndarray | None]]":
        """Yield the targets of the rows at `indices` and their weights, in chunks."""
        if issparse(self.targets):
            yield self.targets[indices], select(self.weight, indices)
            return
        for chunk in split_chunks(self.targets, indices):
            yield self.targets[chunk], select(self.weight, chunk)

    def training_rows(self, scaler: Scaler, indices: np.ndarray) -> "RowDataset":
        """Make the data set that batches of training rows are drawn from.

        Parameters
        ----------
        scaler : Scaler
        indices : ndarray of shape (n_members, n_rows)
        """
        return RowDataset(self, scaler, indices)

    def in_order(self) -> "RowSource":
        """Put few rows in an order of their own, and repeat those of whole weights.

        The result of a fit to few rows depends on no order of theirs then, and a row of
        weight 2 is a row given twice, to the last digit. Many rows stay where they are, and
        equal weights become None.
        """
        rows, weight = self.fitted_rows, self.weight
        n_rows = len(rows) if weight is None else weight[rows].sum()
        if max(n_rows, len(rows)) > MAX_ORDERED_ROWS:
            return self.without_equal_weights()
        if weight is not None and (weight == np.floor(weight)).all():
            rows, weight = np.repeat(rows, weight[rows].astype(int)), None
        parts = [self.X[rows], *([self.targets[rows]] if self.has_targets else [])]
        order = find_order(parts)
        targets = parts[1][order] if self.has_targets else None
        source = RowSource(parts[0][order], targets, select(weight, rows[order]))
        return source.without_equal_weights()

    def select_fitted(self) -> "RowSource":
        """Select the rows to fit to, in order: the others are not given."""
        source = self.in_order()
        rows = source.fitted_rows
        if len(rows) == source.n_rows:
            return source
        targets = source.targets[rows] if source.has_targets else None
        return RowSource(source.X[rows], targets, select(source.weight, rows))

    def without_equal_weights(self) -> "RowSource":
        """Drop the weights if all rows that have one have the same."""
        positive = None if self.weight is None else self.weight[self.has_weight]
        if positive is None or (positive != positive[0]).any():
            return self
        source = self.with_inputs(self.X)
        source.weight = None
        return source

    def split(self) -> "Iterator[RowSource]":
        """Split the rows that have a weight, in order, into sources of bounded size."""
        for chunk in split_chunks(self.X, self.weighted_rows):
            X = self.X[chunk]
            targets = self.targets[chunk] if self.has_targets else None
            yield RowSource(X, targets, select(self.weight, chunk))

    def with_inputs(self, X) -> "RowSource":
        """Replace the input rows; rows that are their own targets stay so."""
        source = RowSource(X, self.targets if self.has_targets else None, self.weight)
        source.has_weight = self.has_weight
        return source


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
        is_sparse = issparse(source.X) or issparse(source.targets)
        self._row_bytes = 4 * source.n_features * (1 + source.has_targets)
        self._fits_in_memory = (
            not is_sparse and indices.size * self._row_bytes <= CACHE_BYTES
        )
        chunk_bytes = FORWARD_BYTES if self._fits_in_memory else CHUNK_BYTES
        chunk_bytes = 0 if is_sparse else chunk_bytes  # sparse rows are dense for one batch
        # Rows that are read at once, per member.
        self.chunk_size = rows_within(chunk_bytes // self.n_members, self._row_bytes)

    @cached_property
    def cached(self) -> Batch | None:
        """The scaled rows of all members, read when they are first used, if they fit."""
        with torch.inference_mode(mode=False):  # steps use them, after an evaluation too
            return self._read_in_chunks() if self._fits_in_memory else None

    @property
    def X(self):
        """The input rows of the source, all of them."""
        return self.source.X

    @property
    def rows_in_memory(self) -> torch.Tensor | None:
        """Scaled inputs of all members (n_members * n_rows, n_features), if in memory."""
        return None if self.cached is None else self.cached.x

    @property
    def weight(self) -> np.ndarray | None:
        """Weights of these rows, of shape (n_members * n_rows,); None for equal ones."""
        return select(self.source.weight, self.indices)

    def repeated_indices(self) -> np.ndarray:
        """List the rows of all members by their index in X, each once.

        A row of weight 2 is listed twice.
        """
        return repeat_by_weight(np.unique(self.indices), self.source.weight)

    def thin(self, n_max: int) -> "RowDataset":
        """Select at most `n_max` rows of each member, evenly spaced."""
        positions = evenly_spaced_indices(len(self), n_max)
        indices = self.indices.reshape(self.n_members, -1)[:, positions]
        return RowDataset(self.source, self.scaler, indices)

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

    def _read_in_chunks(self) -> Batch:
        """Read all rows into one batch; only a chunk at a time is copied in float64."""
        n_rows = len(self.indices)
        first, *others = gen_batches(n_rows, rows_within(FORWARD_BYTES, self._row_bytes))
        batch = self._read(self.indices[first])
        if not others:
            return batch
        whole = batch.map(lambda t: t.new_empty(n_rows, *t.shape[1:]))
        whole.put(first, batch)
        for chunk in others:
            whole.put(chunk, self._read(self.indices[chunk]))
        return whole

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

    def in_memory(self) -> "RowDataset":
        """Return these rows: they are at hand."""
        return self

    def iter_pass(self, batch_size: int, shuffle: bool) -> Iterator[Batch]:
        """Yield the batches of one pass through the rows."""
        n = len(self)
        order = self.permutation(shuffle)
        chunk = max(self.chunk_size // batch_size, 1) * batch_size
        for where in gen_batches(n, n if self.chunk_size >= n else chunk):
            batch = self[order[..., where]]
            batch = batch._replace(weight=None) if shuffle else batch
            yield from batch.split(batch_size)

    def permutation(self, shuffle: bool) -> np.ndarray:
        """Order the positions of all rows, of shape (n_rows,) or (n_members, n_rows).

        Shuffled rows with weights are drawn by them.
        """
        n_rows = len(self)
        weight = self.weight if shuffle else None
        order = torch.randperm if shuffle else torch.arange
        orders = []
        for start in range(0, self.n_members * n_rows, n_rows):
            positions = order(n_rows).numpy()
            if weight is not None:
                positions = draw_by_weight(weight[start : start + n_rows])[positions]
            orders.append(positions + start)
        return orders[0] if self.n_members == 1 else np.stack(orders)


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


def select(weight: np.ndarray | None, indices: np.ndarray) -> np.ndarray | None:
    """Select the weights of the rows at `indices`; None stays None."""
    return None if weight is None else weight[indices]


def repeat_by_weight(indices: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Repeat indices of rows as often as the weights of all rows say."""
    if weight is None:
        return indices
    return indices[spread_indices(len(indices), np.inf, weight[indices])]


def draw_by_weight(weight: np.ndarray) -> np.ndarray:
    """Draw as many positions as there are weights, by systematic sampling [1]_.

    A row of twice the mean weight is drawn twice. One of half the mean weight is drawn in
    every other epoch.

    References
    ----------
    .. [1] W. G. Madow, "On the theory of systematic sampling, II", Annals of Mathematical
       Statistics 20, 1949.
    """
    ends, n_rows = np.cumsum(weight), len(weight)
    ticks = (np.arange(n_rows) + float(torch.rand(()))) / n_rows * ends[-1]
    return np.minimum(np.searchsorted(ends, ticks, side="right"), n_rows - 1)


def spread_indices(n_rows: int, n_max: float, weight: np.ndarray | None) -> np.ndarray:
    """Spread at most `n_max` positions over rows, as densely as their weights ask for.

    A row of weight 2 is taken twice where all rows are taken, by systematic sampling.

    Parameters
    ----------
    n_rows : int
    n_max : int or infinity
    weight : ndarray of shape (n_rows,) or None
        None gives :func:`evenly_spaced_indices`.
    """
    if weight is None:
        return evenly_spaced_indices(n_rows, int(min(n_rows, n_max)))
    ends = np.cumsum(weight)
    size = max(n_rows, math.ceil(ends[-1] - 1e-6))
    size = int(min(n_max, size, MAX_REPETITION * n_rows))
    middles = (np.arange(size) + 0.5) / size * ends[-1]
    return np.minimum(np.searchsorted(ends, middles, side="right"), n_rows - 1)


class BatchIterator:
    """Batches of one epoch, in a new order for each pass through the rows.

    An iteration yields one pass, or the next `n_batches` of all passes.

    Shuffled rows are drawn by their weights, and have equal ones then: each statistic of a
    batch is that of rows given as often as their weights say.
    """

    def __init__(
        self,
        rows: RowDataset,
        batch_size: int,
        shuffle: bool,
        n_batches: int | None = None,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.n_batches = n_batches
        self.passes = chain.from_iterable(self.iter_pass() for _ in count())

    def __iter__(self) -> Iterator[Batch]:
        return (
            self.iter_pass() if not self.n_batches else islice(self.passes, self.n_batches)
        )

    def iter_pass(self) -> Iterator[Batch]:
        """Yield the batches of one pass through the rows."""
        return self.rows.iter_pass(self.batch_size, self.shuffle)


def find_order(parts: list) -> np.ndarray:
    """Find the lexicographic order of rows, which come in parts of their columns.

    The parts are arrays or CSR arrays. Columns are read until they tell all rows apart that
    are different.
    """
    n_rows = parts[0].shape[0]
    n_different = len(set(zip(*map(row_bytes, parts), strict=True)))
    rank = np.zeros(n_rows, dtype=int)
    columns = chain.from_iterable(map(iter_columns, parts))
    for column in columns if n_different > 1 else ():
        value = np.unique(column, return_inverse=True)[1]
        labels, rank = np.unique(rank * n_rows + value, return_inverse=True)
        if len(labels) == n_different:
            break
    return np.argsort(rank, kind="stable")


def row_bytes(rows) -> list[bytes]:
    """Convert each row of an array, or of a CSR array, to bytes."""
    if not issparse(rows):
        return [row.tobytes() for row in rows]
    rows.sort_indices()
    ends = rows.indptr[1:-1]
    pairs = zip(np.split(rows.indices, ends), np.split(rows.data, ends), strict=True)
    return [indices.tobytes() + data.tobytes() for indices, data in pairs]


def iter_columns(rows) -> Iterator[np.ndarray]:
    """Yield the columns of an array, or of a CSR array."""
    columns = rows.tocsc() if issparse(rows) else rows
    for j in range(rows.shape[1]):
        yield columns[:, [j]].toarray().ravel() if issparse(rows) else columns[:, j]


def split_chunks(
    X, indices: np.ndarray, n_bytes: int = CHUNK_BYTES
) -> Iterator[np.ndarray]:
    """Yield the indices of chunks of rows of X, of bounded size in float64 too."""
    for where in gen_batches(len(indices), rows_within(n_bytes, 8 * X.shape[1])):
        yield indices[where]


def iter_chunks(X, indices: np.ndarray) -> Iterator:
    """Yield the rows `indices` of X in chunks of bounded size, in float64 too."""
    return (X[chunk] for chunk in split_chunks(X, indices))
