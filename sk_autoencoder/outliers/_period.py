"""Estimation of a window length from the autocorrelation of time series."""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from sk_autoencoder.outliers._windows import Series

# Chosen on the series of benchmarks.timeseries, 2026-11.
MIN_CORRELATION_ERRORS = 4.0  # of the largest autocorrelation, in standard errors
MIN_PEAK_AUTOCORRELATION = 0.3  # at a period
MAX_PEAK_DIFFERENCE = 0.1  # of the autocorrelation at a later, higher peak
MIN_WINDOW, MAX_WINDOW, MAX_PERIOD = 8, 256, 512  # in timestamps
N_WINDOWS_PER_SERIES = 16  # without overlap, in the shortest series, without a period
MIN_PERIODS_PER_SERIES = 8  # in the shortest series


def autocorrelation(series: Series, n_lags: int) -> np.ndarray:
    """Compute the autocorrelation at lags 0 to `n_lags`, averaged over channels.

    Missing values are replaced by the mean of their channel in their series.
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


def estimate_window(series: Series) -> int:
    """Estimate a window length, in timestamps, from the autocorrelation of the series.

    The length is one period, or a fraction of the shortest series if there is no period.
    It is 1 if rows are independent of each other.
    """
    length = series.shortest()[0]
    n_lags = min(2 * MAX_PERIOD, length // 3)
    if n_lags < MIN_WINDOW:
        return 1
    correlation = autocorrelation(series, n_lags)
    if correlation[1:].max() < MIN_CORRELATION_ERRORS / np.sqrt(series.n_timestamps):
        return 1
    period = _find_period(correlation, min(MAX_PERIOD, length // MIN_PERIODS_PER_SERIES))
    return period or int(np.clip(length // N_WINDOWS_PER_SERIES, MIN_WINDOW, MAX_WINDOW))


def _find_period(correlation: np.ndarray, max_period: int) -> int | None:
    """Find the lag of the first high peak of the autocorrelation behind a valley."""
    from scipy.signal import find_peaks  # slow to import, and used by few fits

    peaks, _ = find_peaks(correlation, height=MIN_PEAK_AUTOCORRELATION)
    for peak in peaks[(peaks >= MIN_WINDOW) & (peaks <= max_period)]:
        # find_peaks has no such conditions: its prominence needs a valley on both sides.
        is_high = correlation[peak] >= correlation[peak:].max() - MAX_PEAK_DIFFERENCE
        if is_high and correlation[:peak].min() < correlation[peak] / 2:
            # Noise splits a peak into several: take the highest one nearby.
            return int(peak + correlation[peak : peak + peak // 4 + 1].argmax())
    return None
