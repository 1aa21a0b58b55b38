"""Types of rows that are read in chunks, known by name: no module of theirs is imported."""

from collections.abc import Iterator
from typing import Any

LazyType = tuple[str, str]  # top package and name of a class

LAZY_TYPES: dict[LazyType, str] = {  # to how they become rows in memory
    ("dask", "Array"): "X.compute()",
    ("dask", "DataFrame"): "X.compute()",
    ("h5py", "Dataset"): "X[:]",
    ("polars", "LazyFrame"): "X.collect()",
    ("pyarrow", "Dataset"): "X.to_table()",
    ("sk_autoencoder", "Chunks"): "numpy.concatenate(list(X))",
    ("sk_autoencoder", "Shard"): "X.rows",
    ("zarr", "Array"): "X[:]",
}
ONE_SHOT_TYPES: dict[LazyType, str] = {  # to what can be read again
    ("pyarrow", "RecordBatchReader"): "the pyarrow Dataset that it reads, or Chunks("
    "lambda: pyarrow.dataset.dataset(path).to_batches())",
    ("torch", "DataLoader"): "Chunks(lambda: (rows.numpy() for rows in loader))",
}
RE_READ = "Chunks(lambda: read_chunks()), where read_chunks() begins a new pass"


def find_lazy_type(X: Any) -> LazyType | None:
    """Find the type of rows that are read in chunks; None for any other object.

    Raises
    ------
    TypeError
        If X can be read only once: a fit reads its rows several times.
    """
    for cls in type(X).__mro__:
        key = cls.__module__.partition(".")[0], cls.__name__
        if key in LAZY_TYPES:
            return key
        if key in ONE_SHOT_TYPES:
            raise TypeError(_describe_one_shot(X, ONE_SHOT_TYPES[key]))
    if isinstance(X, Iterator):
        raise TypeError(_describe_one_shot(X, RE_READ))
    return None


def _describe_one_shot(X: Any, remedy: str) -> str:
    return (
        f"X is a {type(X).__name__}, which does not give rows a second time, and they are "
        f"needed more than once. Give {remedy}. Chunks is in sk_autoencoder.streaming."
    )


def check_in_memory(X: Any) -> None:
    """Raise a TypeError if X is read in chunks."""
    key = find_lazy_type(X)
    if key is not None:
        raise TypeError(
            f"X is a {'.'.join(key)}, which this method does not read in chunks. Give rows "
            f"in memory, such as {LAZY_TYPES[key]}, or call it for one chunk after another."
        )
