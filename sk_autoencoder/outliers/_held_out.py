"""P-values of timestamps, by detectors that were not fitted to a part of the series."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from sk_autoencoder.outliers._stretches import iter_series
from sk_autoencoder.streaming import take_rows

N_FOLDS = 4


class Fold(NamedTuple):
    """A detector that was fitted without a quarter of each series.

    Parameters
    ----------
    detector : TimeSeriesOutlierDetector
    minima : ndarray of shape (n_blocks,)
        Sorted lowest scores of the blocks of the quarters.
    """

    detector: Any
    minima: np.ndarray


def fit_folds(detector: Any, X: Any, groups: Any) -> list[Fold]:
    """Fit a detector without each quarter of the series in turn.

    Parameters
    ----------
    detector : TimeSeriesOutlierDetector
        Fitted to X; it stays as it is.
    X : ndarray or frame of shape (n_timestamps, n_channels)
    groups : array-like of shape (n_timestamps,) or None
        The series of each row.

    Raises
    ------
    ValueError
        If a series is shorter than four windows.
    """
    window = detector.window_
    series = [rows for _, rows in iter_series(groups, len(X))]
    shortest = min(map(len, series))
    if shortest < N_FOLDS * window:
        raise ValueError(
            f"calibrate=True needs series of at least {N_FOLDS} windows, and one has "
            f"{shortest} timestamps where window={window}. Leave it out, or fit with a "
            "shorter window."
        )
    quarters = [np.arange(len(rows)) * N_FOLDS // len(rows) for rows in series]
    without = clone(detector).set_params(window=window, calibrate=False)
    folds = []
    for i in range(N_FOLDS):
        pairs = list(zip(series, quarters, strict=True))
        pieces = [rows[side] for rows, q in pairs for side in (q < i, q > i)]
        pieces = [piece for piece in pieces if len(piece) >= window]
        names = np.repeat(np.arange(len(pieces)), list(map(len, pieces)))
        with warnings.catch_warnings(action="ignore"):  # of the fit to all rows
            fitted = clone(without).fit(take_rows(X, np.concatenate(pieces)), groups=names)
            scores = fitted.score_samples(X, groups)
        minima = [find_minima(scores[rows[q == i]], window) for rows, q in pairs]
        folds.append(Fold(fitted, np.sort(np.concatenate(minima))))
    return folds


def find_minima(scores: np.ndarray, size: int) -> np.ndarray:
    """Find the lowest score of each block of `size` timestamps, but for a shorter rest."""
    n_blocks = len(scores) // size
    return scores[: n_blocks * size].reshape(n_blocks, size).min(axis=1)


def compute_p_values(folds: list[Fold], X: Any, groups: Any) -> np.ndarray:
    """Rank scores among those of blocks that the same detector was not fitted to.

    These are cross-conformal p-values [1]_, of blocks in place of rows [2]_.

    References
    ----------
    .. [1] V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
       Intelligence 74, 2015.
    .. [2] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Exact and robust conformal inference
       methods for predictive machine learning with dependent data", COLT 2018.
    """
    n_lower = sum(
        np.searchsorted(fold.minima, fold.detector.score_samples(X, groups), side="right")
        for fold in folds
    )
    return (1 + n_lower) / (1 + sum(len(fold.minima) for fold in folds))
