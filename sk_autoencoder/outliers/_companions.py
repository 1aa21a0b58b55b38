"""Scores of timestamps beside those of the window autoencoder, in the default design.

The autoencoder sees windows. Its companion is a set of samples of windows for a series of
one channel, and a detector of single timestamps for one of several channels.
"""

import numpy as np

from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._windows import Series, has_value

# Chosen on one half of the groups of benchmarks.timeseries, 2026-11: NAB's traffic, known
# causes and artificial series, valve 1 of SKAB, and the series with switches.
N_WINDOW_SAMPLES, WINDOW_SAMPLE_SIZE = 16, 32
N_SAMPLE_AXES = 16  # principal axes that distances between windows are measured along
SAMPLES_WEIGHT, ROWS_WEIGHT = 1.0, 2.0  # in weights of the autoencoder
SPREAD_QUANTILES = 0.5, 0.9  # of training scores, whose difference is their unit
MIN_SPREAD = 1e-3  # least difference of them, in medians


def draw_window_samples(windows: np.ndarray, seed: int) -> np.ndarray:
    """Draw samples (n_samples, sample_size, window) of the windows of one channel.

    Missing entries get the mean of the channel.
    """
    rng = np.random.RandomState(seed)
    size = min(WINDOW_SAMPLE_SIZE, max(len(windows) // 2, 1))
    drawn = [rng.permutation(len(windows))[:size] for _ in range(N_WINDOW_SAMPLES)]
    return np.nan_to_num(windows[np.stack(drawn)])


def fit_row_detector(series: Series, seed: int) -> AutoencoderOutlierDetector:
    """Fit a detector to the timestamps of all series that have an observed value."""
    rows = np.concatenate([part[has_value(part)] for part in series])
    return AutoencoderOutlierDetector(random_state=seed).fit(rows)


def find_axes(samples: np.ndarray) -> np.ndarray:
    """Find the principal axes (window, n_axes) of the windows of all samples."""
    windows = samples.reshape(-1, samples.shape[-1])
    axes = np.linalg.svd(windows - windows.mean(axis=0), full_matrices=False)[2]
    return axes[:N_SAMPLE_AXES].T


def measure_distances(
    windows: np.ndarray, samples: np.ndarray, axes: np.ndarray
) -> np.ndarray:
    """Compute the mean distance of windows to the nearest one of each sample.

    Distances are along the axes, which leaves out noise. Those of windows with missing
    entries are over observed entries, and rescaled by their fraction of a window.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, window)
        Missing entries are NaN; each window has an observed one.
    samples : ndarray of shape (n_samples, sample_size, window)
    axes : ndarray of shape (window, n_axes)

    Returns
    -------
    distances : ndarray of shape (n_windows,)
    """
    is_observed = ~np.isnan(windows)
    filled = np.where(is_observed, windows, 0)
    has_gaps = ~is_observed.all(axis=1)
    fraction = is_observed.mean(axis=1)
    axes = axes.astype(windows.dtype)
    codes, total = filled @ axes, np.zeros(len(windows), windows.dtype)
    for sample in samples.astype(windows.dtype):
        nearest = find_nearest(codes, sample @ axes)
        gaps = is_observed[has_gaps].astype(windows.dtype)
        nearest[has_gaps] = find_nearest(filled[has_gaps], sample, gaps)
        # The difference itself is exact: that of squares rounds to more than 0 for a
        # window that is in the sample.
        difference = (filled - sample[nearest]) * is_observed
        total += np.sqrt(((difference @ axes) ** 2).sum(axis=1) / fraction)
    return total / len(samples)


def find_nearest(
    rows: np.ndarray, others: np.ndarray, is_observed: np.ndarray | None = None
) -> np.ndarray:
    """Find the nearest of other rows, over observed entries; missing ones are 0."""
    squares = others**2
    lengths = squares.sum(axis=1) if is_observed is None else is_observed @ squares.T
    return (lengths - 2 * rows @ others.T).argmin(axis=1)


def average_nearby(values: np.ndarray, width: int) -> np.ndarray:
    """Average the values of `width` timestamps around each one; ends are repeated.

    Sums are by position, as in ``overlap_average``: a running sum would add the rounding
    error of the largest values to all others.

    Parameters
    ----------
    values : ndarray of shape (n_timestamps, ...)
    width : int
    """
    before = width // 2
    padding = [(before, width - 1 - before)] + [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values, padding, mode="edge")
    total = np.zeros_like(values)
    for i in range(width):
        total += padded[i : i + len(values)]
    return total / width


def measure_spread(scores: np.ndarray) -> float:
    """Compute the unit of positive training scores, in which parts are added."""
    middle, high = np.quantile(scores, SPREAD_QUANTILES)
    return float(max(high - middle, MIN_SPREAD * middle)) or 1.0
