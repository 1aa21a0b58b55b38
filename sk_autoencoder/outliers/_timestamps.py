"""Timestamps of rows: their order, their step, and the holes between them."""

from typing import Any

import numpy as np

from sk_autoencoder.utils._warnings import warn_user

MAX_JITTER = 0.25  # of the distance of two timestamps, in steps
MAX_HOLE = 512  # missing rows put into one hole: longer than any window that is estimated


def as_frame(X: Any) -> Any:
    """Convert a series of pandas or polars to a frame of one column."""
    is_series = hasattr(X, "to_frame") and len(X.shape) == 1
    return X.to_frame() if is_series else X


def read_timestamps(X: Any) -> np.ndarray | None:
    """Read the times of rows from a DatetimeIndex, as floats; None without one."""
    index = getattr(X, "index", None)
    if getattr(getattr(index, "dtype", None), "kind", "") != "M":
        return None
    return index.asi8.astype(np.float64)


def check_order(times: np.ndarray, name: str) -> None:
    """Raise a ValueError if a time is earlier than the one before."""
    if (np.diff(times) < 0).any():
        raise ValueError(
            f"{name} is not in the order of time: its DatetimeIndex goes back. Sort it, "
            "X.sort_index(), or name the series of each row by groups=."
        )


def find_step(times: list[np.ndarray]) -> float | None:
    """Find the step of timestamps, in any unit; None if they keep none.

    Distances have to be multiples of the step, up to a quarter of it. Times that repeat
    are as good as a step apart.
    """
    distances = np.concatenate([np.diff(each) for each in times])
    distances = distances[distances > 0]
    if not len(distances):
        return None
    steps = distances / np.median(distances)
    is_regular = (np.abs(steps - steps.round()) <= MAX_JITTER) & (steps > 0.5)
    return float(np.median(distances)) if is_regular.all() else None


def find_positions(times: np.ndarray, step: float) -> np.ndarray:
    """Find the position of each row in a series without holes."""
    steps = (np.diff(times) / step).round().clip(1, MAX_HOLE + 1).astype(int)
    return np.concatenate([[0], np.cumsum(steps)])


def warn_of_holes(positions: list[np.ndarray], can_be_missing: bool) -> None:
    """Warn once that timestamps are missing, and of what that means."""
    n_holes = sum(int((np.diff(each) > 1).sum()) for each in positions)
    if not n_holes:
        return
    what = "are taken as rows without a value"
    if not can_be_missing:
        what = (
            "are passed over, since the detector takes no missing values: windows reach "
            "across them"
        )
    warn_user(
        f"The DatetimeIndex of X has {n_holes} holes, which {what}.",
    )
