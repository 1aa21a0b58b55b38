"""Rows that a function reads in chunks, any number of times."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Chunks:
    """Rows that are read in chunks, for what no library has a type for.

    Give it to ``fit``, ``transform`` and the like in place of an array. Rows are read
    several times, chunk by chunk, and never kept whole.

    Parameters
    ----------
    read : callable
        ``() -> iterable of chunks``: begins a new pass through the rows. A chunk is an
        array, a sparse matrix or a frame of some rows. Each pass gives the same rows in
        the same order.
    n_features : int or None, default=None
        Number of columns, which each chunk is checked to have. None takes that of the
        first chunk.
    n_rows : int or None, default=None
        Number of rows, which spares results a copy. None counts them.

    Raises
    ------
    TypeError
        If `read` cannot be called, as a generator cannot: it gives its rows only once.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> from sk_autoencoder.streaming import Chunks
    >>> X = np.random.default_rng(0).normal(size=(600, 4))
    >>> chunks = Chunks(lambda: (X[i : i + 200] for i in range(0, 600, 200)))
    >>> model = AutoencoderTransformer(2, max_epochs=2, random_state=0).fit(chunks)
    >>> model.transform(chunks).shape
    (600, 2)
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Any]],
        n_features: int | None = None,
        n_rows: int | None = None,
    ) -> None:
        if not callable(read):
            raise TypeError(
                f"read is a {type(read).__name__}, and a pass through the rows begins by a "
                "call of it: give Chunks(lambda: read_chunks()) in place of "
                "Chunks(read_chunks()), since a generator gives its rows only once."
            )
        self.read = read
        self.n_features = n_features
        self.n_rows = n_rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.read())
