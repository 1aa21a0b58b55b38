"""The threshold of a detector."""

import numpy as np

FENCE_QUANTILE, FENCE = 0.2, 0.25  # a quarter of the distance between fifths, beyond it


def threshold(scores: np.ndarray, false_positive_rate: float | None) -> float:
    """Return the score below which rows are flagged.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Of rows that the scoring models have not seen.
    false_positive_rate : float or None
        Share of new regular rows to flag, where `scores` are of regular rows. None draws
        a fence below the lowest fifth.
    """
    if false_positive_rate is not None:
        rank = int(false_positive_rate * (len(scores) + 1))
        return float(np.sort(scores)[max(rank - 1, 0)])
    low, high = np.quantile(scores, [FENCE_QUANTILE, 1 - FENCE_QUANTILE])
    return float(low - FENCE * (high - low))


def find_offset(
    scores: np.ndarray,
    contamination: float | str,
    false_positive_rate: float | None = None,
) -> float:
    """Compute the score below which rows are outliers.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of training rows; for ``contamination="auto"`` by models that were not fitted
        to them.
    contamination : float or "auto"
        Share of the training rows that are outliers; ``"auto"`` takes :func:`threshold`.
    false_positive_rate : float or None, default=None
        See :func:`threshold`.
    """
    if contamination == "auto":
        return threshold(scores, false_positive_rate)
    return float(np.percentile(scores, 100 * contamination))


def label(scores):
    """Compute labels, +1 of inliers and -1 of outliers, from scores less the threshold.

    A row whose score is not known (NaN) is an outlier. For arrays and for tensors.
    """
    return 2 * (scores >= 0) - 1
