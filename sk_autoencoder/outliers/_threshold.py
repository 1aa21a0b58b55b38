"""The threshold of a detector."""

import numpy as np

FENCE_QUANTILE = 0.2  # of the scores: quantile below which the fence lies
FENCE_DISTANCE = 0.25  # of the fence, in distances between this and the opposite quantile


def threshold(scores: np.ndarray, false_positive_rate: float | None) -> float:
    """Compute the score below which rows are flagged.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of rows by models that were not fitted to them.
    false_positive_rate : float or None
        Fraction of new regular rows to flag; `scores` have to be those of regular rows.
        None puts a fence below the lowest fifth of the scores.
    """
    if false_positive_rate is not None:
        rank = int(false_positive_rate * (len(scores) + 1))
        return float(np.sort(scores)[max(rank - 1, 0)])
    low, high = np.quantile(scores, [FENCE_QUANTILE, 1 - FENCE_QUANTILE])
    return float(low - FENCE_DISTANCE * (high - low))
