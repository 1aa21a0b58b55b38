"""Methods of fitted estimators for rows that are read in chunks."""

from collections.abc import Callable, Iterator
from functools import wraps
from itertools import chain
from types import FunctionType
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.streaming import Reader, count_rows, make_reader, stack_rows
from sk_autoencoder.utils._lazy_types import find_lazy_type
from sk_autoencoder.utils._transactions import shallow_copy

ROW_METHODS = (  # whose result for a row depends on no other row
    "decision_function",
    "denoise",
    "inverse_transform",
    "p_values",
    "reconstruct",
    "score_samples",
    "transform",
)


class ChunkwiseMixin:
    """Mixin of estimators whose :data:`ROW_METHODS` take rows that are read in chunks.

    A dask array gives a dask array, and a dask frame a dask array or frame; each is
    computed when it is asked for. Other rows are read in order, and give an array of the
    results.
    """

    def __init_subclass__(cls, **kwargs) -> None:
        for name in ROW_METHODS:
            method = vars(cls).get(name)
            if isinstance(method, FunctionType):
                setattr(cls, name, chunkwise(method))
        super().__init_subclass__(**kwargs)


def chunkwise(method: Callable) -> Callable:
    """Decorate a method ``(self, X, **kwargs)`` of rows such that it reads X in chunks."""

    @wraps(method)
    def call(self, X, *args, **kwargs):
        key = find_lazy_type(X)
        if key is None:
            return method(self, X, *args, **kwargs)
        check_is_fitted(self)
        frozen = shallow_copy(self)  # a later fit does not change what is lazy

        def apply(rows):
            return method(frozen, rows, *args, **kwargs)

        return MAPS.get(key, _map_reader)(apply, X)

    return call


def _map_reader(apply: Callable, X: Any) -> Any:
    """Apply a function to the chunks of X in order, and fill an array with its values."""
    reader = make_reader(X)
    values = map(apply, reader)
    first = next(values, None)
    if first is None:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    if reader.n_rows is None or not isinstance(first, np.ndarray):
        return stack_rows([first, *values])
    result = np.empty((reader.n_rows, *first.shape[1:]), first.dtype)
    n_filled = 0
    for value in chain([first], values):
        result[n_filled : n_filled + len(value)] = value
        n_filled += len(value)
    check_n_rows(n_filled, reader)
    return result


def check_n_rows(n_read: int, reader: Reader) -> None:
    """Raise a ValueError if a pass gave other than the number of rows that is known."""
    if reader.n_rows not in (None, n_read):
        raise ValueError(
            f"A pass through X gave {n_read} rows, and {reader.n_rows} were expected: each "
            "pass has to give the same rows."
        )


def _map_dask_array(apply: Callable, X: Any) -> Any:
    make_reader(X)  # checks its axes
    if len(X.chunks[1]) > 1:
        X = X.rechunk({1: -1})
    example = apply(np.zeros((1, X.shape[1]), X.dtype))
    options = {"dtype": example.dtype, "meta": example[:0]}
    if example.ndim == 1:
        return X.map_blocks(_skip_empty(apply, example), drop_axis=1, **options)
    chunks = X.chunks[0], (example.shape[1],)
    return X.map_blocks(_skip_empty(apply, example), chunks=chunks, **options)


def _map_dask_frame(apply: Callable, X: Any) -> Any:
    example = apply(X.head(1, npartitions=-1))
    return X.map_partitions(_skip_empty(apply, example), meta=example[:0])


def _skip_empty(apply: Callable, example: Any) -> Callable:
    """Make a function of blocks that may have no rows."""

    def apply_to_block(rows):
        return apply(rows) if count_rows(rows) else example[:0]

    return apply_to_block


MAPS = {("dask", "Array"): _map_dask_array, ("dask", "DataFrame"): _map_dask_frame}


def iter_weighted_chunks(
    X: Any, sample_weight: np.ndarray | None
) -> Iterator[tuple[Any, np.ndarray | None]]:
    """Yield chunks of X with the weights of their rows; rows in memory are one chunk.

    Raises
    ------
    ValueError
        If the number of weights is not that of rows.
    """
    reader = make_reader(X)
    if reader is None:
        yield X, sample_weight
        return
    weight = None if sample_weight is None else np.asarray(sample_weight)
    start = 0
    for chunk in reader:
        stop = start + count_rows(chunk)
        yield chunk, None if weight is None else weight[start:stop]
        start = stop
    if weight is not None and len(weight) != start:
        raise ValueError(f"sample_weight has {len(weight)} entries, and X {start} rows.")
