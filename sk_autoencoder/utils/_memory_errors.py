"""Out of memory as an error with a way out."""

from contextlib import contextmanager

import torch


@contextmanager
def explained_memory_errors(n_rows: int, n_features: int):
    """Raise a MemoryError that says what to do, where memory ends within a context."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_out = isinstance(error, MemoryError | torch.OutOfMemoryError)
        is_explained = str(error).startswith("Out of memory at")
        if is_explained or not (is_out or "allocate memory" in str(error)):
            raise
        raise MemoryError(
            f"Out of memory at {n_rows} rows of {n_features} columns ({error}). Lower "
            "hidden_layer_sizes, n_components or batch_size, give rows of float32, or "
            "fewer at once."
        ) from error
