"""Rows that are read in chunks: a sample in memory that stands for all of them."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_random_state, gen_batches
from torch import Tensor

from sk_autoencoder.core._backend import Backend, LocalBackend
from sk_autoencoder.core._chunkwise import check_n_rows
from sk_autoencoder.core._data import Batch, RowDataset, RowSource, as_tensor
from sk_autoencoder.core._memory import BUFFER_BYTES, CHUNK_BYTES, SAMPLE_BYTES, rows_within
from sk_autoencoder.core._recipe import Recipe
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.streaming import (
    Reader,
    bytes_per_row,
    count_rows,
    has_missing_cells,
    make_reader,
    read_in_memory,
    stack_rows,
    take_rows,
)
from sk_autoencoder.utils._lazy_types import find_lazy_type
from sk_autoencoder.utils._random import draw_seed

MIN_SAMPLE_ROWS = 1_000  # however wide the rows are
SLACK = 1.25  # rows that are kept while they are read, in samples
MIN_BUFFERED_BATCHES = 4  # however wide the rows are


@dataclass(frozen=True)
class Shard:
    """Rows of one of several processes that train together.

    Parameters
    ----------
    rows : array-like, frame or rows that are read in chunks
    backend : Backend
    """

    rows: Any
    backend: Backend


class Places(NamedTuple):
    """Where rows of a sample stand, each an array of shape (n_rows,)."""

    process: np.ndarray  # rank of the process that reads the row
    part: np.ndarray  # of the reader of that process
    offset: np.ndarray  # from the beginning of the part


@dataclass(frozen=True)
class LazySample:
    """A uniform random sample of rows that are read in chunks, of bounded size.

    Parameters
    ----------
    reader : Reader
        All rows of this process.
    backend : Backend
    rows : ndarray, CSR array or frame
        The sample of the rows of all processes, in order.
    places : Places
    counts : ndarray of shape (n_processes,)
        Number of all rows, by process.
    is_whole : bool
        Whether these are all rows, in one process: they are as good as rows in memory.
    is_incomplete : bool
        Whether a cell of any row is missing.
    """

    reader: Reader
    backend: Backend
    rows: Any
    places: Places
    counts: np.ndarray
    is_whole: bool
    is_incomplete: bool

    @property
    def n_rows(self) -> int:
        """Number of all rows."""
        return int(self.counts.sum())


class _Piece(NamedTuple):
    """Rows of a sample that come from one chunk."""

    numbers: np.ndarray  # drawn uniformly; the rows with the least are kept
    part: np.ndarray
    offset: np.ndarray
    rows: Any

    def cut(self, limit: float) -> "_Piece":
        """Keep the rows with a number of at most `limit`."""
        chosen = np.flatnonzero(self.numbers <= limit)
        if len(chosen) == len(self.numbers):
            return self
        columns = (column[chosen] for column in self[:3])
        return _Piece(*columns, take_rows(self.rows, chosen))


class _Reservoir:
    """The rows with the least random numbers of all that have been seen [1]_.

    References
    ----------
    .. [1] J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on
       Mathematical Software 11, 1985.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pieces: list[_Piece] = []
        self.capacity = math.inf
        self.limit = math.inf
        self.is_incomplete = False

    def add(self, chunk: Any, part: int, offset: int) -> None:
        n_rows = count_rows(chunk)
        if not self.pieces:
            row_bytes = bytes_per_row(chunk)
            self.capacity = rows_within(SAMPLE_BYTES, row_bytes, MIN_SAMPLE_ROWS)
        self.is_incomplete = self.is_incomplete or has_missing_cells(chunk)
        numbers = self.rng.random(n_rows)
        limit = min(self.limit, self.find_limit(numbers))
        chosen = np.flatnonzero(numbers <= limit)
        if not len(chosen) and self.pieces:
            return
        rows = take_rows(chunk, chosen)
        parts = np.full(len(chosen), part)
        self.pieces.append(_Piece(numbers[chosen], parts, offset + chosen, rows))
        numbers = self.numbers()
        if len(numbers) > SLACK * self.capacity:
            self.cut(self.find_limit(numbers))

    def find_limit(self, numbers: np.ndarray) -> float:
        """Find the largest number of a sample; infinity if all have a place."""
        if len(numbers) <= self.capacity:
            return math.inf
        return np.partition(numbers, int(self.capacity) - 1)[int(self.capacity) - 1]

    def cut(self, limit: float) -> None:
        self.limit = limit
        pieces = (piece.cut(limit) for piece in self.pieces)
        self.pieces = [piece for piece in pieces if len(piece.numbers)]

    def numbers(self) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(piece.numbers for piece in self.pieces)])


def draw_sample(X: Any, random_state: Any) -> LazySample | None:
    """Draw a sample of rows that are read in chunks, in one pass; None for rows in memory.

    A ``RandomState`` stays as it is.

    Raises
    ------
    ValueError
        If there are no rows, or a pass gives other than the number that is known.
    """
    if find_lazy_type(X) is None:
        return None
    is_shard = isinstance(X, Shard)
    backend = X.backend if is_shard else LocalBackend()
    rows = X.rows if is_shard else X
    reader = make_reader(rows) or read_in_memory(rows)
    seed = draw_seed(copy.deepcopy(check_random_state(random_state)))
    reservoir, n_rows = _Reservoir(np.random.default_rng([seed, backend.rank])), 0
    for part in range(len(reader.parts)):
        offset = 0
        for chunk in reader.iter_part(part):
            reservoir.add(chunk, part, offset)
            offset += count_rows(chunk)
        n_rows += offset
    check_n_rows(n_rows, reader)
    known = backend.gather((n_rows, reservoir.capacity, reservoir.is_incomplete))
    counts, capacities, are_incomplete = map(np.array, zip(*known, strict=True))
    if not counts.all():
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    reservoir.capacity = min(capacities)
    numbers = np.concatenate(backend.gather(reservoir.numbers()))
    reservoir.cut(reservoir.find_limit(numbers))
    pieces = [
        (np.full(len(piece.part), rank), *piece[1:])
        for rank, of_process in enumerate(backend.gather(reservoir.pieces))
        for piece in of_process
    ]
    *places, rows = zip(*pieces, strict=True)
    return LazySample(
        reader,
        backend,
        stack_rows(rows),
        Places(*map(np.concatenate, places)),
        counts,
        is_whole=len(numbers) == counts.sum() and not is_shard,
        is_incomplete=bool(are_incomplete.any()),
    )


def to_sample(method: Callable) -> Callable:
    """Decorate a method that needs all rows at once, such as ``fit`` of an imputer.

    Rows that are read in chunks are replaced by a uniform random sample of them.
    """

    @wraps(method)
    def call(self, X, y=None, sample_weight=None):
        sample = draw_sample(X, self.random_state)
        if sample is None:
            return method(self, X, y, sample_weight)
        check_alone(y, sample_weight)
        return method(self, sample.rows)

    return call


def check_alone(y: Any, sample_weight: Any) -> None:
    """Raise a ValueError if rows that are read in chunks come with targets or weights."""
    if sample_weight is not None:
        raise ValueError(
            "sample_weight is for rows in memory or in a memory map, and X is read in "
            "chunks. Leave it out, or repeat rows in the chunks."
        )
    if y is not None and len(getattr(y, "shape", ())) == 2:
        raise ValueError(
            "y has two axes, and X is read in chunks. Pairs of rows have to be in memory "
            "or in memory maps (numpy.load with mmap_mode='r')."
        )


class SampledSource(RowSource):
    """A sample of rows in memory, and all rows that it stands for, in chunks.

    Rows at some indices of the sample stand for all rows but the others of the sample.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_rows, n_features)
        The sample, checked and encoded.
    sample : LazySample
    encode : callable
        Checks and encodes a chunk.
    is_incomplete : bool
        Whether encoded rows have missing entries.
    """

    is_sample = True

    def __init__(
        self, X, sample: LazySample, encode: Callable[[Any], Any], is_incomplete: bool
    ) -> None:
        super().__init__(X)
        self.sample = sample
        self.encode = encode
        self.is_incomplete = is_incomplete

    def others(self, indices: np.ndarray) -> np.ndarray:
        """List the rows of the sample that are not at `indices`."""
        return np.setdiff1d(np.arange(self.n_rows), indices)

    def count_rows(self, indices: np.ndarray) -> int:
        """Count the rows that those at `indices` stand for, in all processes."""
        return int(self.count_by_process(indices).sum())

    def count_by_process(self, indices: np.ndarray) -> np.ndarray:
        """Count the rows that those at `indices` stand for, in each process."""
        process = self.sample.places.process[self.others(indices)]
        return self.sample.counts - np.bincount(process, minlength=len(self.sample.counts))

    def iter_targets(self, indices: np.ndarray) -> Iterator[tuple[Any, None]]:
        """Yield the rows that those at `indices` stand for, in chunks, without weights."""
        order = np.arange(len(self.sample.reader.parts))
        return ((rows, None) for rows in self.iter_rows(indices, order))

    def training_rows(self, scaler: Scaler, indices: np.ndarray) -> "StreamedRows":
        """Make the data set of the rows that those at `indices` stand for."""
        return StreamedRows(self, scaler, indices.ravel())

    def iter_rows(self, indices: np.ndarray, order: np.ndarray) -> Iterator[Any]:
        """Yield the rows that those at `indices` stand for in slices, parts in an order.

        Raises
        ------
        ValueError
            If a pass gives another number of rows than the first one.
        """
        sample, others = self.sample, self.others(indices)
        rank, n_read = sample.backend.rank, 0
        process, part_of, offset_of = (place[others] for place in sample.places)
        for part in order:
            skipped = offset_of[(process == rank) & (part_of == part)]
            offset = 0
            for chunk in sample.reader.iter_part(part):
                rows, n_rows = self.encode(chunk), count_rows(chunk)
                is_taken = np.ones(n_rows, dtype=bool)
                inside = (offset <= skipped) & (skipped < offset + n_rows)
                is_taken[skipped[inside] - offset] = False
                yield from self._iter_slices(rows, is_taken)
                offset += n_rows
            n_read += offset
        if n_read != sample.counts[rank]:
            raise ValueError(
                f"A pass through X gave {n_read} rows, and the first one "
                f"{sample.counts[rank]}: each pass has to give the same rows."
            )

    def _iter_slices(self, rows: Any, is_taken: np.ndarray) -> Iterator[Any]:
        if self.is_incomplete:  # nothing can be learned from rows without a value
            is_taken &= ~np.isnan(rows).all(axis=1)
        size = rows_within(CHUNK_BYTES, 8 * self.n_features)
        for where in gen_batches(len(is_taken), size):
            if is_taken[where].all():
                yield rows[where]
            elif is_taken[where].any():
                yield rows[where][is_taken[where]]


def make_sampled_source(
    check_rows: Callable, recipe: Recipe, source: RowSource, sample: LazySample
) -> SampledSource:
    """Make the source of rows that are read in chunks, of which a sample was checked.

    Parameters
    ----------
    check_rows : callable
        Checks and encodes a chunk, as :meth:`TableMixin.check_rows` of the estimator that
        has seen the sample.
    recipe : Recipe
    source : RowSource
        The sample, checked and encoded.
    sample : LazySample
    """

    def encode(chunk):
        rows = check_rows(chunk, reset=False)
        recipe.check(rows)
        return rows

    is_incomplete = source.is_incomplete or (sample.is_incomplete and recipe.imputes)
    return SampledSource(source.X, sample, encode, is_incomplete)


class StreamedRows:
    """Training rows that are read in chunks and shuffled in a buffer.

    Parts are read in a new order in each pass. The buffer is filled, shuffled, and gives
    half of its rows, again and again.

    Parameters
    ----------
    source : SampledSource
    scaler : Scaler
    indices : ndarray of shape (n_rows,)
        Rows of the sample that the training rows are those of.
    """

    n_members = 1
    rows_in_memory = None

    def __init__(self, source: SampledSource, scaler: Scaler, indices: np.ndarray) -> None:
        self.source = source
        self.scaler = scaler
        self.indices = indices
        self.counts = source.count_by_process(indices)

    def __len__(self) -> int:
        """Count the rows of all processes."""
        return int(self.counts.sum())

    def in_memory(self) -> RowDataset:
        """Return the rows of the sample."""
        return RowDataset(self.source, self.scaler, self.indices)

    def iter_pass(self, batch_size: int, shuffle: bool) -> Iterator[Batch]:
        """Yield the batches of one pass through the rows, in about equal numbers of rows.

        Each process takes part in each of `batch_size` rows by its share of all rows, such
        that all of them take as many steps.

        Raises
        ------
        ValueError
            If a process has fewer rows than a pass has steps.
        """
        n_steps = math.ceil(len(self) / batch_size)
        if self.counts.min() < n_steps:
            raise ValueError(
                f"A process has {self.counts.min()} training rows, and a pass through "
                f"those of all has {n_steps} steps, each with a row of every process. "
                "Share the rows out more evenly, or raise batch_size."
            )
        bounds = self.counts[:, None] * np.arange(n_steps + 1) // n_steps
        sizes = np.diff(bounds)  # (n_processes, n_steps)
        sizes_here = sizes[self.source.sample.backend.rank]
        shares = len(sizes) * sizes_here / sizes.sum(axis=0)
        n_buffered = rows_within(
            BUFFER_BYTES, 4 * self.source.n_features, MIN_BUFFERED_BATCHES * batch_size
        )
        rows = cut(self._shuffle(n_buffered), sizes_here.tolist())
        for x, share in zip(rows, shares.tolist(), strict=True):
            yield Batch(x, x, None, share)

    def _shuffle(self, n_buffered: int) -> Iterator[Tensor]:
        """Yield shuffled rows of one pass after the other, in scaled units."""
        while True:
            buffer, n_rows = [], 0
            parts = torch.randperm(len(self.source.sample.reader.parts)).numpy()
            for rows in self.source.iter_rows(self.indices, parts):
                for x in self._scale(rows):
                    buffer.append(x)
                    n_rows += len(x)
                    if n_rows >= n_buffered:
                        pool = permute(torch.cat(buffer))
                        yield pool[: n_rows // 2]
                        buffer, n_rows = [pool[n_rows // 2 :]], n_rows - n_rows // 2
            if not n_rows:
                raise ValueError("A process has no training row with an observed value.")
            yield permute(torch.cat(buffer))

    def _scale(self, rows: Any) -> Iterator[Tensor]:
        """Scale rows; sparse ones are made dense a part at a time."""
        device = self.scaler.center.device
        size = rows_within(CHUNK_BYTES, 4 * self.source.n_features)
        for where in gen_batches(rows.shape[0], size) if issparse(rows) else [slice(None)]:
            yield self.scaler(as_tensor(rows[where], device)).to(torch.float32)


def permute(rows: Tensor) -> Tensor:
    """Put rows into a random order."""
    return rows[torch.randperm(len(rows)).to(rows.device)]


def cut(pieces: Iterator[Tensor], sizes: list[int]) -> Iterator[Tensor]:
    """Cut rows that come in pieces into pieces of other sizes."""
    rest = next(pieces)
    for size in sizes:
        taken = [rest[:size]]
        rest, n_missing = rest[size:], size - len(taken[0])
        while n_missing:
            piece = next(pieces)
            taken.append(piece[:n_missing])
            rest, n_missing = piece[n_missing:], n_missing - len(taken[-1])
        yield taken[0] if len(taken) == 1 else torch.cat(taken)
