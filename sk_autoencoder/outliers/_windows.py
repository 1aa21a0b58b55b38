"""Windows of time series: views of the rows, and averages over the windows."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sk_autoencoder.core._memory import CHUNK_BYTES, rows_within
from sk_autoencoder.outliers._timestamps import check_order

COVERING_RANGE = 8, 32  # windows that cover a timestamp, if they are as long
COVERING_CHANNELS = 640  # of the windows that cover a timestamp, between these bounds


class Series:
    """Rows of X, split into series; the rows of a series are contiguous and in time order.

    Iteration yields the rows of each series, with those that fill holes.

    Parameters
    ----------
    X : ndarray of shape (n_timestamps, n_channels)
        Rows of one or more series. Rows of different series may alternate.
    groups : ndarray of shape (n_timestamps,) or None
        The series of each row; None for one series.
    times : ndarray of shape (n_timestamps,) or None, default=None
        Times of the rows, in any unit.

    Raises
    ------
    ValueError
        If the times of a series are not in order.
    """

    def __init__(
        self,
        X: np.ndarray,
        groups: np.ndarray | None,
        times: np.ndarray | None = None,
    ) -> None:
        self.n_timestamps, self.n_channels = X.shape
        self.names = np.array([None])
        self.order, ends = None, []
        if groups is not None:
            self.names, codes = np.unique(groups, return_inverse=True)
            self.order = np.argsort(codes, kind="stable")
            ends = np.cumsum(np.bincount(codes))[:-1].tolist()
        rows = np.ascontiguousarray(X if self.order is None else X[self.order])
        self.arrays = np.split(rows, ends)
        self.positions: list[np.ndarray] = []  # of the rows of X in the arrays
        self.times = None
        if times is not None:
            times = times if self.order is None else times[self.order]
            self.times = np.split(times, ends)
            for i, of_series in enumerate(self.times):
                check_order(of_series, self._name(i))

    def fill(self, positions: list[np.ndarray]) -> None:
        """Put rows at `positions` of their series, and rows without a value between."""
        self.positions, filled = positions, []
        for rows, where in zip(self.arrays, positions, strict=True):
            filled.append(np.full((where[-1] + 1, self.n_channels), np.nan, rows.dtype))
            filled[-1][where] = rows
        self.arrays = filled
        self.n_timestamps = sum(map(len, filled))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.arrays)

    def shortest(self) -> tuple[int, str]:
        """Find the length of the shortest series and its name."""
        lengths = [len(rows) for rows in self.arrays]
        i = int(np.argmin(lengths))
        return lengths[i], self._name(i)

    def check(self, window: int) -> None:
        """Raise a ValueError if a series is shorter than `window` or has no value."""
        length, name = self.shortest()
        if length < window:
            raise ValueError(
                f"{name} has n_samples={length} timestamps, fewer than window={window}. "
                "Leave it out, or fit with a shorter window."
            )
        for i, rows in enumerate(self.arrays):
            if np.isnan(rows).all():
                raise ValueError(f"{self._name(i)} has no observed value. Leave it out.")

    def _name(self, i: int) -> str:
        return "X" if self.order is None else f"Series {self.names[i]} of groups"

    def restore_order(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Concatenate an array for each series, in the row order of X."""
        if self.positions:
            pairs = zip(arrays, self.positions, strict=True)
            arrays = [values[where] for values, where in pairs]
        joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        if self.order is None:
            return joined
        result = np.empty_like(joined)
        result[self.order] = joined
        return result


def window_view(rows: np.ndarray, window: int) -> np.ndarray:
    """View all windows of a contiguous series as rows, without a copy.

    A row holds the timestamps of a window one after another, and the channels of a
    timestamp side by side. This order makes a window one contiguous block of memory.

    Parameters
    ----------
    rows : ndarray of shape (n_timestamps, n_channels)
    window : int

    Returns
    -------
    windows : ndarray of shape (n_timestamps - window + 1, window * n_channels)
        Read-only.
    """
    n_channels = rows.shape[1]
    return sliding_window_view(rows.reshape(-1), window * n_channels)[::n_channels]


def choose_stride(window: int, n_channels: int) -> int:
    """Choose the largest stride with which enough windows cover a timestamp.

    Windows of many channels take longer to score: fewer are enough.
    """
    n_covering = int(np.clip(COVERING_CHANNELS // n_channels, *COVERING_RANGE))
    return max(window // n_covering, 1)


def window_starts(n_timestamps: int, window: int, stride: int) -> np.ndarray:
    """Compute the first timestamp of each window; the last window ends at the last one."""
    last = n_timestamps - window
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def iter_starts(view: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
    """Split `starts` into chunks whose windows are of bounded size together."""
    size = rows_within(CHUNK_BYTES, view.itemsize * view.shape[1])
    for i in range(0, len(starts), size):
        yield starts[i : i + size]


def has_value(rows: np.ndarray) -> np.ndarray:
    """Mark the rows with at least one observed value."""
    return ~np.isnan(rows).all(axis=1)


def observed_windows(rows: np.ndarray, window: int, starts: np.ndarray) -> np.ndarray:
    """Select the `starts` of windows with at least one observed value."""
    n_observed = np.cumsum(np.r_[0, has_value(rows)])
    return starts[n_observed[starts + window] > n_observed[starts]]


def mark_covered(starts: np.ndarray, window: int, n_timestamps: int) -> np.ndarray:
    """Mark the timestamps that a window covers."""
    n_begun = np.bincount(starts, minlength=n_timestamps + 1)
    n_ended = np.bincount(starts + window, minlength=n_timestamps + 1)
    return np.cumsum(n_begun - n_ended)[:n_timestamps] > 0


def overlap_average(values: np.ndarray, starts: np.ndarray, window: int, n_timestamps: int):
    """Average the values of the windows that cover a timestamp, for every timestamp.

    Timestamps that no window covers are interpolated linearly.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ...)
    starts : ndarray of shape (n_windows,)
    window : int
    n_timestamps : int

    Returns
    -------
    means : ndarray of shape (n_timestamps, ...)
    """
    total = np.zeros((n_timestamps, *values.shape[1:]), values.dtype)
    count = np.zeros(n_timestamps, values.dtype)
    # Sums by position, not differences of cumulative sums: those would add the rounding
    # error of the largest values to all others.
    for i in range(window):
        total[starts + i] += values
        count[starts + i] += 1
    is_covered = count > 0
    total[is_covered] /= count[is_covered].reshape(-1, *[1] * (total.ndim - 1))
    return interpolate(total, is_covered)


def interpolate(values: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Interpolate unknown values linearly in time, for each column."""
    if is_known.all():
        return values
    known, gaps = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    values = values.copy()
    for column in values.reshape(len(values), -1).T:
        column[gaps] = np.interp(gaps, known, column[known])
    return values
