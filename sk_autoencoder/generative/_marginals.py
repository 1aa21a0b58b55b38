"""Map the columns of sampled rows to the distributions of the columns of training rows."""

from collections.abc import Callable

import numpy as np

MAX_LEVELS, MIN_LEVELS = 1_000, 32  # quantiles of a column
ROWS_PER_LEVEL = 3  # a file keeps fewer values than training rows had
MAX_KNOTS = 500_000  # quantiles of all columns of a set of rows, which a file keeps


def count_levels(n_rows: int, n_features: int) -> int:
    """Count the quantiles of a column that rows of a shape are worth."""
    n_most = max(MAX_KNOTS // max(n_features, 1), MIN_LEVELS)
    return max(min(n_rows // ROWS_PER_LEVEL, n_most, MAX_LEVELS), 2)


def find_quantiles(rows: np.ndarray, n_levels: int) -> np.ndarray:
    """Find values of each column at equal distances in rank.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN is skipped.
    n_levels : int

    Returns
    -------
    quantiles : ndarray of shape (n_levels, n_features)
        Values of `rows`, from the smallest to the largest; NaN for an empty column.
    """
    ordered = np.sort(rows, axis=0)  # NaN at the end
    n_observed = (~np.isnan(rows)).sum(axis=0)
    last = np.maximum(n_observed - 1, 0)
    where = np.rint(np.linspace(0, 1, n_levels)[:, None] * last).astype(int)
    return np.take_along_axis(ordered, where, axis=0)


def match_quantiles(
    rows: np.ndarray, marginals: np.ndarray, uniform: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Map each column of sampled rows to the quantiles of training rows.

    The map of a column is monotone. It keeps the order of rows in each column, and hence
    their dependence. A column of few values keeps to these values, and one of whole numbers
    to whole numbers.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    marginals : ndarray of shape (2, n_levels, n_features)
        Quantiles of sampled rows, and of training rows.
    uniform : callable
        ``n -> ndarray`` of uniform numbers in [0, 1), which break ties.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features)
    """
    n_levels = marginals.shape[1]
    result = np.empty_like(rows)
    for j, column in enumerate(rows.T):
        sampled, real = marginals[:, :, j]
        position = find_ranks(column, sampled, uniform)
        if len(np.unique(real)) < n_levels / 2:  # values, and not points of a curve
            matched = real[np.rint(position).astype(int)]
        else:
            matched = np.interp(position, np.arange(n_levels), real)
        is_whole = (real == np.rint(real)).all()
        result[:, j] = np.rint(matched) if is_whole else matched
    return result


def find_ranks(
    column: np.ndarray, knots: np.ndarray, uniform: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Find where the values of a column lie among knots, from 0 to the last index.

    A value that is several knots gets one of their ranks at random.
    """
    last = len(knots) - 1
    first, behind = (np.searchsorted(knots, column, side) for side in ("left", "right"))
    below = np.clip(first - 1, 0, max(last - 1, 0))
    # Halves, since the distance of the largest floats overflows.
    low, high = knots[below] / 2, knots[below + 1] / 2
    gap = high - low
    share = np.divide(column / 2 - low, gap, out=np.zeros_like(gap), where=gap > 0)
    ranks = below + np.nan_to_num(share).clip(0, 1)
    n_ties = behind - first
    is_tied = n_ties > 1
    tied = first + uniform(len(column)) * (n_ties - 1)
    return np.where(is_tied, tied, ranks)
