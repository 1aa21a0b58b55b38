"""Readers of rows in chunks, one for each type that is known."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sk_autoencoder.streaming._chunks import Chunks
from sk_autoencoder.streaming._rows import as_chunk, as_frame, count_rows, take_rows
from sk_autoencoder.utils._lazy_types import LazyType, find_lazy_type

CHUNK_BYTES = 8 * 2**20  # of rows of an array or a file that are read at once
BATCH_ROWS = 16_384  # of a row group or of a query that are read at once
READ_AHEAD = 1  # batches, by pyarrow


@dataclass(frozen=True)
class Reader:
    """Rows in parts, each of which can be read alone, chunk by chunk.

    Parameters
    ----------
    parts : list of callable
        ``() -> iterable of chunks``, which begins a new pass through the part.
    n_rows : int or None
        Number of rows, where it is known.
    n_features : int or None
        Number of columns that chunks have to have.
    """

    parts: list[Callable[[], Iterable[Any]]]
    n_rows: int | None = None
    n_features: int | None = None

    def __iter__(self) -> Iterator[Any]:
        for part in range(len(self.parts)):
            yield from self.iter_part(part)

    def iter_part(self, part: int) -> Iterator[Any]:
        """Yield the chunks of a part: arrays, CSR arrays or frames.

        Raises
        ------
        ValueError
            If a chunk is not of two axes, or has another number of columns.
        """
        for chunk in map(as_chunk, self.parts[part]()):
            if self.n_features not in (None, chunk.shape[1]):
                raise ValueError(
                    f"A chunk of X has {chunk.shape[1]} columns, and n_features="
                    f"{self.n_features}."
                )
            if count_rows(chunk):
                yield chunk


def make_reader(X: Any) -> Reader | None:
    """Make a reader of rows that are read in chunks; None for rows in memory.

    Raises
    ------
    TypeError
        If X can be read only once.
    ValueError
        If X has other than two axes.
    """
    key = find_lazy_type(X)
    return None if key is None else READERS[key](X)


def read_in_memory(X: Any) -> Reader:
    """Make a reader of rows in memory, which are read in slices."""
    if issparse(X):
        X = X.tocsr()
    elif as_frame(X) is None:
        X = np.asarray(X)
        _check_two_axes(X)
    row_bytes = 8 * X.shape[1]
    bounds = _split_rows(X.shape[0], CHUNK_BYTES // row_bytes)
    is_frame = as_frame(X) is not None

    def read(start: int, stop: int) -> list:
        return [take_rows(X, np.arange(start, stop)) if is_frame else X[start:stop]]

    parts = [partial(read, *bound) for bound in bounds]
    return Reader(parts, X.shape[0], X.shape[1])


def _read_chunks(X: Chunks) -> Reader:
    return Reader([lambda: X], X.n_rows, X.n_features)


def _read_dask_array(X: Any) -> Reader:
    _check_two_axes(X)
    if len(X.chunks[1]) > 1:
        X = X.rechunk({1: -1})
    blocks = X.to_delayed().ravel()
    n_rows = None if np.isnan(X.shape[0]) else X.shape[0]
    return Reader([partial(_compute, block) for block in blocks], n_rows, X.shape[1])


def _read_dask_frame(X: Any) -> Reader:
    partitions = X.to_delayed()
    return Reader([partial(_compute, each) for each in partitions], None, len(X.columns))


def _compute(block: Any) -> list:
    return [block.compute()]


def _read_stored_array(X: Any) -> Reader:
    """Make a reader of an array of zarr or h5py, in multiples of its chunks."""
    _check_two_axes(X)
    n_rows, n_features = X.shape
    stored = X.chunks[0] if X.chunks else 1  # rows that are stored together
    size = CHUNK_BYTES // (X.dtype.itemsize * n_features) // stored * stored
    bounds = _split_rows(n_rows, max(size, stored))
    parts = [partial(_read_slice, X, *bound) for bound in bounds]
    return Reader(parts, n_rows, n_features)


def _read_slice(X: Any, start: int, stop: int) -> list:
    return [X[start:stop]]


def _read_arrow(X: Any) -> Reader:
    """Make a reader of a data set of pyarrow, of which row groups are parts."""
    fragments = []
    for fragment in X.get_fragments():
        split = getattr(fragment, "split_by_row_group", None)
        fragments += [fragment] if split is None else split()
    options = {
        "schema": X.schema,
        "batch_size": BATCH_ROWS,
        "batch_readahead": READ_AHEAD,
        "fragment_readahead": READ_AHEAD,
    }
    parts = [partial(fragment.to_batches, **options) for fragment in fragments]
    return Reader(parts, X.count_rows(), len(X.schema))


def _read_polars(X: Any) -> Reader:
    if hasattr(X, "collect_batches"):
        return Reader([partial(X.collect_batches, chunk_size=BATCH_ROWS)])
    return Reader([partial(_iter_slices, X)])


def _iter_slices(X: Any) -> Iterator[Any]:
    """Collect a query slice by slice, as older versions of polars have to."""
    start = 0
    while len(rows := X.slice(start, BATCH_ROWS).collect()):
        yield rows
        start += len(rows)


def _check_two_axes(X: Any) -> None:
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array, got {len(X.shape)}D array instead: X has the shape "
            f"{tuple(X.shape)}."
        )


def _split_rows(n_rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of slices of `size` rows, one at least; the last may be shorter."""
    size = max(size, 1)
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


READERS: dict[LazyType, Callable[[Any], Reader]] = {
    ("dask", "Array"): _read_dask_array,
    ("dask", "DataFrame"): _read_dask_frame,
    ("h5py", "Dataset"): _read_stored_array,
    ("polars", "LazyFrame"): _read_polars,
    ("pyarrow", "Dataset"): _read_arrow,
    ("sk_autoencoder", "Chunks"): _read_chunks,
    ("zarr", "Array"): _read_stored_array,
}
