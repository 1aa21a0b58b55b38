"""The threshold of a detector, and p-values."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sk_autoencoder.utils._warnings import warn_user

BANDWIDTH = 0.6  # of the density of scores, in those of Silverman's rule
MAX_BINS = 4_096
BINS_PER_BANDWIDTH = 4
MIN_RISE = 2.0  # of the density behind a valley, in multiples of its depth
MIN_OUTLIERS, MIN_OUTLIER_SHARE, MAX_OUTLIER_SHARE = 5, 0.002, 0.45  # behind a valley
FENCE_QUANTILES = 0.4, 0.6  # up to 40 % of outliers do not move them
FENCE_DISTANCE = 3.3  # of the fence, in distances between them
EQUAL = 1e-4  # scores that differ by less, in parts of them, are taken for equal
MIN_SCORE = 1e-3  # scores below it are no different
ROUNDING = 1e-5  # of a score in float32, in multiples of a typical one
ROUNDINGS = 8.0  # units in the last place of a log-likelihood
FEW_ROWS = 10  # that say next to nothing about what is usual


def warn_of_few_rows(n_rows: int) -> None:
    """Warn that a threshold from few training rows means little."""
    if n_rows <= FEW_ROWS:
        warn_user(
            f"A detector fitted to {n_rows} rows flags many regular ones: {FEW_ROWS} rows "
            "or fewer do not show what is usual. Fit to more rows, or compare scores "
            "instead of labels.",
        )


def find_offset(
    scores: np.ndarray,
    contamination: float | str,
    false_positive_rate: float | None = None,
    *,
    are_positive: bool = False,
) -> float:
    """Compute the score below which rows are outliers.

    It is a little lower than the threshold: rows whose scores equal the threshold up to
    rounding, as in a table of mostly identical rows, are all inliers.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of training rows: the lower, the more abnormal. For ``contamination="auto"``,
        by models that were not fitted to the rows.
    contamination : float or "auto"
        Fraction of the training rows that are outliers; ``"auto"`` looks for a valley
        between regular rows and outliers, and else takes a fence.
    false_positive_rate : float or None, default=None
        Fraction of new regular rows to flag; `scores` have to be those of regular rows.
    are_positive : bool, default=False
        Whether the scores are minus ratios: their logarithms show a valley.
    """
    if false_positive_rate is not None:
        rank = int(false_positive_rate * (len(scores) + 1))
        offset = float(np.sort(scores)[max(rank - 1, 0)])
    elif contamination == "auto":
        valley = find_valley(-scores, are_positive=are_positive)
        offset = -find_fence(-scores, are_positive) if valley is None else -valley
    else:
        offset = float(np.percentile(scores, 100 * contamination))
    return offset - margin(scores, offset, ROUNDING, are_positive)


def margin(scores: np.ndarray, at: float, share: float, are_positive: bool) -> float:
    """Compute by how much scores have to differ from one `at` a place to be different.

    It is a `share` of a typical score if scores are ratios, and else of their spread: the
    zero of a log-likelihood means nothing.
    """
    if are_positive:
        return share * max(abs(at), float(np.median(np.abs(scores))), MIN_SCORE)
    finite = scores[np.isfinite(scores)]
    spread = np.subtract(*np.quantile(finite, [0.75, 0.25])) if len(finite) else 0.0
    return float(share * spread + ROUNDINGS * np.finfo(scores.dtype).eps * abs(at))


def find_valley(anomaly: np.ndarray, *, are_positive: bool) -> float | None:
    """Find the first valley in the density of scores behind its main mode.

    Parameters
    ----------
    anomaly : ndarray of shape (n_samples,)
        Scores: the higher, the more abnormal.
    are_positive : bool
        Whether the scores are positive ratios: the density is that of their logarithms.

    Returns
    -------
    threshold : float or None
        None if there is no valley, or too few or too many rows behind it.
    """
    values = np.log(np.maximum(anomaly, MIN_SCORE)) if are_positive else anomaly
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    low, high = np.quantile(values, [0.25, 0.75])
    spread = min(values.std(), (high - low) / 1.34)
    bandwidth = BANDWIDTH * spread * len(values) ** -0.2
    width = np.ptp(values)
    if not bandwidth > 0 or width <= EQUAL * max(abs(np.median(values)), MIN_SCORE):
        return None
    # What lies farther away than bins resolve is put in the last ones: bins as wide as the
    # range of wild scores would hide a valley beside the main mode.
    reach = MAX_BINS // 2 * bandwidth / BINS_PER_BANDWIDTH
    middle = np.median(values)
    values = values.clip(middle - reach, middle + reach)
    n_bins = int(np.ceil(np.ptp(values) * BINS_PER_BANDWIDTH / bandwidth)) + 1
    counts, edges = np.histogram(values, n_bins)
    step = edges[1] - edges[0]
    density = gaussian_filter1d(counts.astype(float), bandwidth / step, mode="constant")
    behind = density[density.argmax() :]
    lowest = np.minimum.accumulate(behind)
    rises = (behind >= MIN_RISE * lowest) & (behind > density.max() * 1e-12)
    if not rises.any():
        return None
    valley = behind[: rises.argmax() + 1]
    place = density.argmax() + np.median(np.flatnonzero(valley == valley.min()))
    threshold = edges[0] + (place + 0.5) * step
    n_outliers = (values > threshold).sum()
    least = max(MIN_OUTLIERS, MIN_OUTLIER_SHARE * len(values))
    if not least <= n_outliers <= MAX_OUTLIER_SHARE * len(values):
        return None
    return float(np.exp(threshold) if are_positive else threshold)


def find_fence(anomaly: np.ndarray, are_positive: bool = False) -> float:
    """Put a fence above the lower rows; rows of equal scores are on one side of it.

    Rows with an infinite score are behind it.
    """
    anomaly = anomaly[np.isfinite(anomaly)]
    if not len(anomaly):
        return float(np.finfo(np.float64).max)
    low, high = np.quantile(anomaly, FENCE_QUANTILES)
    fence = float(high + FENCE_DISTANCE * (high - low))
    apart = margin(anomaly, fence, EQUAL, are_positive)
    inside = float(anomaly[anomaly <= fence + apart].max())
    above = anomaly[anomaly > inside + apart]
    if fence > inside + apart or not len(above):
        return max(fence, inside)
    return float((inside + above.min()) / 2)


def rank_scores(scores: np.ndarray, regular: np.ndarray) -> np.ndarray:
    """Rank scores among those of regular rows: conformal p-values.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The lower, the more abnormal.
    regular : ndarray of shape (n_regular,)
        Sorted scores of regular rows, by models that were not fitted to them.
    """
    n_lower = np.searchsorted(regular, scores, side="right")
    return (1 + n_lower) / (len(regular) + 1)


def reject(p: np.ndarray, false_discovery_rate: float) -> np.ndarray:
    """Find the p-values that a false discovery rate rejects: Benjamini and Hochberg."""
    order = np.argsort(p)
    bounds = false_discovery_rate * np.arange(1, len(p) + 1) / len(p)
    passed = np.flatnonzero(p[order] <= bounds)
    return p <= (p[order][passed[-1]] if len(passed) else -1.0)


def label(scores):
    """Compute labels, +1 for inliers and -1 for outliers, from scores less the threshold.

    A row with the score NaN is an outlier. The scores may be an array or a tensor.
    """
    return 2 * (scores >= 0) - 1
