"""Estimation of a window length from the autocorrelation of time series."""

import warnings

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from sk_autoencoder.outliers._windows import Series

# Chosen on the series of benchmarks.timeseries, 2026-11.
MIN_CORRELATION_ERRORS = 4.0  # of the largest autocorrelation, in standard errors
MIN_PEAK_AUTOCORRELATION = 0.3  # at a period
MAX_PEAK_DIFFERENCE = 0.1  # of the autocorrelation at a later, higher peak
MIN_WINDOW, MAX_WINDOW, MAX_PERIOD = 8, 256, 512  # in timestamps
N_WINDOWS_PER_SERIES = 16  # without overlap, in the shortest series, without a period
MIN_PERIODS_PER_SERIES = 8  # in the shortest series
HIGH_AUTOCORRELATION = 0.5  # at short lags, of series with a trend or levels
FENCE = 3.0  # for wild values, in interquartile ranges beyond the quartiles


def autocorrelation(
    series: Series, n_lags: int, smoothing: int | None = None
) -> np.ndarray:
    """Compute the autocorrelation at lags 0 to `n_lags`, averaged over channels.

    Wild values are clipped, and pairs with a missing value are left out.

    Parameters
    ----------
    series : Series
    n_lags : int
    smoothing : int or None, default=None
        Length of a moving average to subtract, which removes trends and levels. None
        subtracts the mean of each channel in each series.
    """
    products = np.zeros((n_lags + 1, series.n_channels))
    for rows in series:
        is_observed = ~np.isnan(rows)
        rows = clip_wild_values(rows.astype(np.float64))
        if smoothing is None:
            centred = np.nan_to_num(rows - _mean(rows))
        else:
            centred = np.nan_to_num(rows - _moving_average(rows, smoothing))
        n_pairs = _lagged_products(is_observed.astype(np.float64), n_lags)
        n_possible = len(rows) - np.arange(n_lags + 1)[:, None]
        weight = n_possible / np.maximum(n_pairs.round(), 1)
        products += _lagged_products(centred, n_lags) * weight
    varies = products[0] > 0
    if not varies.any():
        return np.zeros(n_lags + 1)
    return (products[:, varies] / products[0, varies]).mean(axis=1)


def _lagged_products(values: np.ndarray, n_lags: int) -> np.ndarray:
    """Sum the products of values 0 to `n_lags` timestamps apart."""
    n = next_fast_len(len(values) + n_lags, real=True)
    power = np.abs(rfft(values, n, axis=0)) ** 2
    return irfft(power, n, axis=0)[: n_lags + 1]


def clip_wild_values(rows: np.ndarray) -> np.ndarray:
    """Clip each channel to its fences, and no narrower than to the inner 98 %.

    The fences are Tukey's outer ones: three interquartile ranges beyond the quartiles. One
    wild value would otherwise be all that an autocorrelation shows.
    """
    with warnings.catch_warnings(action="ignore"):  # a channel without a value
        quantiles = np.nanquantile(rows, [0.01, 0.25, 0.75, 0.99], axis=0)
    least, low, high, most = quantiles
    margin = FENCE * (high - low)
    return rows.clip(np.fmin(least, low - margin), np.fmax(most, high + margin))


def _mean(rows: np.ndarray) -> np.ndarray:
    n_observed = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    return np.nansum(rows, axis=0) / n_observed


def _moving_average(rows: np.ndarray, length: int) -> np.ndarray:
    """Average the observed values of `length` timestamps around each one."""
    values = np.stack([np.nan_to_num(rows), ~np.isnan(rows)])
    sums = uniform_filter1d(values, length, axis=1, mode="constant")
    return sums[0] / np.maximum(sums[1], 0.5 / length)


def estimate_window(series: Series) -> int:
    """Estimate a window length, in timestamps, from the autocorrelation of the series.

    The length is one period, or a fraction of the shortest series if there is no period.
    It is 1 if rows are independent of each other. A period that a trend or levels hide is
    looked for once they are removed.
    """
    length = series.shortest()[0]
    n_lags = min(2 * MAX_PERIOD, length // 3)
    if n_lags < MIN_WINDOW:
        return 1
    correlation = autocorrelation(series, n_lags)
    if correlation[1:].max() < MIN_CORRELATION_ERRORS / np.sqrt(series.n_timestamps):
        return 1
    max_period = min(MAX_PERIOD, length // MIN_PERIODS_PER_SERIES)
    period = _find_period(correlation, max_period)
    if period is None and correlation[1 : MIN_WINDOW + 1].min() > HIGH_AUTOCORRELATION:
        level_free = autocorrelation(series, n_lags, smoothing=max_period | 1)
        period = _find_period(level_free, max_period)
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
