"""The threshold of a detector."""

import warnings

import numpy as np

FENCE_QUANTILE = 0.2  # of the scores: quantile below which the fence lies
ROUNDING = 1e-5  # of a score in float32, in multiples of a typical one
FENCE_DISTANCE = 0.25  # of the fence, in distances between this and the opposite quantile
FEW_ROWS = 10  # that say next to nothing about what is usual


def warn_of_few_rows(n_rows: int) -> None:
    """Warn that a threshold from few training rows means little."""
    if n_rows <= FEW_ROWS:
        warnings.warn(
            f"A detector fitted to {n_rows} rows flags many regular ones: {FEW_ROWS} rows "
            "or fewer do not show what is usual. Fit to more rows, or compare scores "
            "instead of labels.",
            stacklevel=5,
        )


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


def find_offset(
    scores: np.ndarray,
    contamination: float | str,
    false_positive_rate: float | None = None,
) -> float:
    """Compute the score below which rows are outliers.

    It is a little lower than the threshold: rows whose scores equal the threshold up to
    rounding, as in a table of mostly identical rows, are all inliers.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of training rows. For ``contamination="auto"``, by models that were not
        fitted to the rows.
    contamination : float or "auto"
        Fraction of the training rows that are outliers; ``"auto"`` takes :func:`threshold`.
    false_positive_rate : float or None, default=None
        Fraction of new regular rows to flag, see :func:`threshold`.
    """
    if contamination == "auto":
        offset = threshold(scores, false_positive_rate)
    else:
        offset = float(np.percentile(scores, 100 * contamination))
    return offset - ROUNDING * max(abs(offset), float(np.median(np.abs(scores))))


def label(scores):
    """Compute labels, +1 for inliers and -1 for outliers, from scores less the threshold.

    A row with the score NaN is an outlier. The scores may be an array or a tensor.
    """
    return 2 * (scores >= 0) - 1
