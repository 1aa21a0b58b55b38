"""Stretches of abnormal timestamps, as a table."""

from collections.abc import Iterator
from typing import Any

import narwhals as nw
import numpy as np

MIN_CHANNEL_SHARE = 0.5  # of a stretch's score, that the named channels have together


def find_stretches(is_outlier: np.ndarray, max_gap: int) -> np.ndarray:
    """Find stretches of outliers, the first and the last position of each.

    Parameters
    ----------
    is_outlier : ndarray of shape (n_timestamps,)
    max_gap : int
        Largest number of inliers, in timestamps, between two stretches that become one.

    Returns
    -------
    stretches : ndarray of shape (n_stretches, 2)
    """
    positions = np.flatnonzero(is_outlier)
    if not len(positions):
        return np.empty((0, 2), int)
    breaks = np.flatnonzero(np.diff(positions) > max_gap + 1)
    starts = positions[np.r_[0, breaks + 1]]
    ends = positions[np.r_[breaks, len(positions) - 1]]
    return np.stack([starts, ends], axis=1)


def iter_series(groups: Any, n_timestamps: int) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield the name and the rows of each series; None is the name of a single one."""
    if groups is None:
        yield None, np.arange(n_timestamps)
        return
    groups = np.asarray(groups)
    for name in np.unique(groups):
        yield name, np.flatnonzero(groups == name)


def name_channels(shares: np.ndarray, names: np.ndarray) -> list:
    """Name the channels with the largest shares, until they have half of the sum.

    Parameters
    ----------
    shares : ndarray of shape (n_timestamps, n_channels)
    names : ndarray of shape (n_channels,)
    """
    total = shares.sum(axis=0)
    order = np.argsort(-total, kind="stable")
    covered = np.cumsum(total[order])
    n_named = 1 + int((covered < MIN_CHANNEL_SHARE * covered[-1]).sum())
    return names[order[:n_named]].tolist()


def make_table(X: Any, columns: dict[str, list | np.ndarray]) -> Any:
    """Make a frame of the library of X, or a structured array if X is no frame."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return nw.from_dict(columns, backend=frame.implementation).to_native()
    arrays = {name: as_column(values) for name, values in columns.items()}
    dtype = [(name, values.dtype) for name, values in arrays.items()]
    table = np.empty(len(next(iter(arrays.values()))), dtype)
    for name, values in arrays.items():
        table[name] = values
    return table


def as_column(values: list | np.ndarray) -> np.ndarray:
    """Convert a column to an array; lists stay as they are, each in a cell."""
    if isinstance(values, np.ndarray):
        return values
    column = np.empty(len(values), object)
    column[:] = values
    return column


def read_labels(X: Any, positions: np.ndarray) -> Any:
    """Read the labels of rows from the index of X, or their positions without one."""
    index = getattr(X, "index", None)
    return positions if index is None or callable(index) else index[positions]
