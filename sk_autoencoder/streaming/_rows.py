"""Chunks of rows: arrays, CSR arrays and frames alike."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import narwhals as nw
import numpy as np
from scipy.sparse import csr_array, issparse, vstack


def as_chunk(rows: Any) -> Any:
    """Convert rows to an array, a CSR array or a frame.

    Raises
    ------
    ValueError
        If they have other than two axes.
    """
    if issparse(rows):
        return csr_array(rows)
    if type(rows).__name__ == "RecordBatch":  # of pyarrow, which is no frame
        rows = import_module("pyarrow").Table.from_batches([rows])
    frame = as_frame(rows)
    if frame is not None:
        is_arrow = frame.implementation.is_pyarrow() and holds_floats(frame)
        # The array of a table of pyarrow takes 20 times as long, and is one of float64.
        return rows.to_pandas() if is_arrow and find_spec("pandas") else rows
    rows = np.asarray(rows)
    if rows.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {rows.ndim}D array instead: a chunk has the shape "
            f"{rows.shape}, and rows are (n_rows, n_features)."
        )
    return rows


def as_frame(rows: Any) -> nw.DataFrame | None:
    """Wrap a frame by narwhals; None for what is no frame."""
    frame = nw.from_native(rows, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def holds_floats(frame: nw.DataFrame) -> bool:
    """Check whether all columns of a frame hold floats."""
    return all(dtype.is_float() for dtype in frame.schema.values())


def count_rows(chunk: Any) -> int:
    """Count the rows of a chunk."""
    return chunk.shape[0]


def bytes_per_row(chunk: Any) -> float:
    """Estimate the bytes of a row in memory: numbers that are no floats become float64."""
    n_rows, n_columns = chunk.shape
    if issparse(chunk):
        return 12 * chunk.nnz / max(n_rows, 1) + 8
    frame = as_frame(chunk)
    if frame is not None:
        return max(frame.estimated_size() / max(n_rows, 1), 8 * n_columns)
    return n_columns * (chunk.itemsize if chunk.dtype.kind == "f" else 8)


def take_rows(chunk: Any, indices: np.ndarray) -> Any:
    """Take the rows at `indices`, as a copy."""
    frame = as_frame(chunk)
    return chunk[indices] if frame is None else frame[indices.tolist()].to_native()


def stack_rows(chunks: Sequence[Any]) -> Any:
    """Stack chunks of one type."""
    if len(chunks) == 1:
        return chunks[0]
    if issparse(chunks[0]):
        return vstack(chunks, format="csr")
    frames = [as_frame(chunk) for chunk in chunks]
    if frames[0] is None:
        return np.concatenate(chunks)
    return nw.concat(frames, how="vertical").to_native()


def has_missing_cells(chunk: Any) -> bool:
    """Check whether a cell of a chunk is missing."""
    if issparse(chunk) or count_rows(chunk) == 0:
        return False
    frame = as_frame(chunk)
    if frame is None:
        if chunk.dtype.kind == "O":
            return any(cell is None or cell != cell for cell in chunk.ravel())
        return chunk.dtype.kind == "f" and bool(np.isnan(np.min(chunk)))
    if holds_floats(frame):
        return bool(np.isnan(np.min(frame.to_numpy())))
    columns = map(frame.get_column, frame.columns)
    return any(
        column.is_null().any() or (column.dtype.is_float() and column.is_nan().any())
        for column in columns
    )
