"""Windows over time series: views of the rows, and the way back to timestamps."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, next_fast_len, rfft

PIECE_BYTES = 8 * 2**20  # windows are scored in pieces of that size
SIGNIFICANT = 4.0  # standard errors of an autocorrelation beyond those of unordered rows
PERIODIC = 0.3  # autocorrelation of a peak that is taken for a period
HIGHEST = 0.1  # by which later peaks are higher at most
SHORTEST, LONGEST, LONGEST_PERIOD = 8, 256, 512  # window that is chosen for ordered rows
WINDOWS, PERIODS = 16, 8  # side by side in the shortest series


class Series:
    """The rows of X by series, in time order, each ``series[i]`` contiguous.

    Parameters
    ----------
    X : ndarray of shape (n_timestamps, n_channels)
    groups : ndarray of shape (n_timestamps,) or None
        The series that each row belongs to; None for one series. Rows of several series
        may take turns: each series keeps the order of its own.
    """

    def __init__(self, X: np.ndarray, groups: np.ndarray | None) -> None:
        self.n_timestamps, self.n_channels = X.shape
        self.names = np.array([None])
        self.order, ends = None, []
        if groups is not None:
            self.names, codes = np.unique(groups, return_inverse=True)
            self.order = np.argsort(codes, kind="stable")
            ends = np.cumsum(np.bincount(codes))[:-1].tolist()
        rows = np.ascontiguousarray(X if self.order is None else X[self.order])
        self.parts = np.split(rows, ends)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.parts)

    def shortest(self) -> tuple[int, str]:
        """Return the length of the shortest series, and what to call it."""
        lengths = [len(part) for part in self.parts]
        i = int(np.argmin(lengths))
        return lengths[i], self._name(i)

    def check(self, window: int) -> None:
        """Raise a ValueError if a series is shorter than a window, or without any value."""
        length, name = self.shortest()
        if length < window:
            raise ValueError(
                f"{name} has n_samples={length} timestamps, fewer than window={window}. "
                "Leave it out, or fit with a shorter window."
            )
        for i, part in enumerate(self.parts):
            if np.isnan(part).all():
                raise ValueError(f"{self._name(i)} has no observed value. Leave it out.")

    def _name(self, i: int) -> str:
        return "X" if self.order is None else f"Series {self.names[i]} of groups"

    def in_order_of_rows(self, parts: list[np.ndarray]) -> np.ndarray:
        """Return what was found for each series, joined and in the order of X."""
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if self.order is None:
            return joined
        result = np.empty_like(joined)
        result[self.order] = joined
        return result


def window_view(rows: np.ndarray, window: int) -> np.ndarray:
    """Return all windows of a contiguous series as rows of a view, without a copy.

    Timestamp by timestamp, the channels of each side by side: so a window is one stretch of
    memory, also with several channels.

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


def window_starts(n_timestamps: int, window: int, stride: int) -> np.ndarray:
    """Return where windows start; the last one ends at the end, whatever the stride."""
    last = n_timestamps - window
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def pieces(view: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the `starts` of windows in pieces of bounded size."""
    size = max(PIECE_BYTES // (view.itemsize * view.shape[1]), 1)
    for i in range(0, len(starts), size):
        yield starts[i : i + size]


def observed_windows(rows: np.ndarray, window: int, starts: np.ndarray) -> np.ndarray:
    """Return those `starts` whose windows have at least one observed value."""
    n_observed = np.cumsum(np.r_[0, ~np.isnan(rows).all(axis=1)])
    return starts[n_observed[starts + window] > n_observed[starts]]


def over_windows(values: np.ndarray, starts: np.ndarray, window: int, n_timestamps: int):
    """Return for each timestamp the mean of what was found for the windows that cover it.

    Timestamps that no window covers lie in a gap: they take what lies on its two sides,
    in proportion.

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
    for i in range(window):  # differences of sums would keep the rounding of the largest
        total[starts + i] += values
        count[starts + i] += 1
    covered = np.flatnonzero(count)
    total[covered] /= count[covered].reshape(-1, *[1] * (total.ndim - 1))
    if len(covered) < n_timestamps:
        gaps = np.flatnonzero(count == 0)
        for column in total.reshape(n_timestamps, -1).T:
            column[gaps] = np.interp(gaps, covered, column[covered])
    return total


def autocorrelation(series: Series, n_lags: int) -> np.ndarray:
    """Return the autocorrelation at lags 0 to `n_lags`, the mean over channels.

    Missing values count as the mean of their channel in their series.
    """
    products = np.zeros((n_lags + 1, series.n_channels))
    for rows in series:
        centred = rows - np.nan_to_num(_mean(rows))
        centred = np.nan_to_num(centred.astype(np.float64))
        n = next_fast_len(len(rows) + n_lags, real=True)
        power = np.abs(rfft(centred, n, axis=0)) ** 2
        products += irfft(power, n, axis=0)[: n_lags + 1]
    varies = products[0] > 0
    if not varies.any():
        return np.zeros(n_lags + 1)
    return (products[:, varies] / products[0, varies]).mean(axis=1)


def _mean(rows: np.ndarray) -> np.ndarray:
    n_observed = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    return np.nansum(rows, axis=0, dtype=np.float64) / n_observed


def find_window(series: Series) -> int:
    """Return the length of a window that suits the autocorrelation of the series.

    One period where there is one, else a share of the shortest series. Rows that do not
    depend on those before them are windows of their own: 1.
    """
    length = series.shortest()[0]
    n_lags = min(2 * LONGEST_PERIOD, length // 3)
    if n_lags < SHORTEST:
        return 1
    found = autocorrelation(series, n_lags)
    if found[1:].max() < SIGNIFICANT / np.sqrt(series.n_timestamps):
        return 1
    period = _find_period(found, min(LONGEST_PERIOD, length // PERIODS))
    return period or int(np.clip(length // WINDOWS, SHORTEST, LONGEST))


def _find_period(found: np.ndarray, longest: int) -> int | None:
    """Return the lag of the first high peak of the autocorrelation behind a valley."""
    is_peak = (found[1:-1] >= found[:-2]) & (found[1:-1] > found[2:])
    peaks = np.flatnonzero(is_peak & (found[1:-1] > PERIODIC)) + 1
    for peak in peaks[(peaks >= SHORTEST) & (peaks <= longest)]:
        is_high = found[peak] >= found[peak:].max() - HIGHEST
        if is_high and found[:peak].min() < found[peak] / 2:
            near = found[peak : peak + peak // 4 + 1]  # noise makes several peaks
            return int(peak + near.argmax())
    return None
