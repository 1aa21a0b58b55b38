"""A Gaussian mixture of the normal scores of columns: a density of rows of numbers.

The normal score of an entry is the normal quantile of its rank in its column. Columns of
any shape have normal scores alike, and a mixture of them is the dependence between columns
(a Gaussian mixture copula).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from sk_autoencoder.generative._density import fit_mixture
from sk_autoencoder.generative._marginals import find_ranks

Uniform = Callable[[int], np.ndarray]  # n -> numbers in [0, 1)
Interval = tuple[float, float]  # of an entry, both ends included

SMALLEST = 1e-300  # probability


class RowMixture(NamedTuple):
    """A Gaussian mixture of normal scores; in float32, as files keep it."""

    weights: np.ndarray  # (n_parts,)
    means: np.ndarray  # (n_parts, n_features)
    covariances: np.ndarray  # (n_parts, n_features, n_features)


def middle(n_numbers: int) -> np.ndarray:
    """Return 0.5 for each number: the middle of ranks."""
    return np.full(n_numbers, 0.5)


def normal_scores(rows: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Compute the normal scores of rows; ties get their middle rank.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    knots : ndarray of shape (n_levels, n_features)
        Quantiles of each column.

    Returns
    -------
    scores : ndarray of shape (n_rows, n_features)
        Zeros for constant columns.
    """
    n_levels = len(knots)
    scores = np.zeros(rows.shape)
    for j in np.flatnonzero(knots[0] < knots[-1]):
        ranks = find_ranks(rows[:, j], knots[:, j], middle)
        scores[:, j] = ndtri((ranks + 0.5) / n_levels)
    return scores


def fit_row_mixture(rows: np.ndarray, knots: np.ndarray, seed: int) -> RowMixture:
    """Fit a mixture to the normal scores of rows; held-out rows select its size.

    Zeros and ones of a category stay two points each, which parts of the mixture tell
    apart: ranks that break ties at random would hide that just one of them is a one.
    """
    mixture = fit_mixture(normal_scores(rows, knots), seed)
    arrays = (mixture.weights_, mixture.means_, mixture.covariances_)
    return RowMixture(*(array.astype(np.float32) for array in arrays))


def interval_scores(
    interval: Interval, sampled: np.ndarray, real: np.ndarray
) -> tuple[float, float]:
    """Convert an interval of a column to one of normal scores that are sampled.

    Parameters
    ----------
    interval : (float, float)
        In the units of X.
    sampled, real : ndarray of shape (n_levels,)
        Quantiles of sampled scores, and of training rows.
    """
    last = len(real) - 1
    low = find_ranks(np.array(interval[:1]), real, np.zeros)[0]
    high = find_ranks(np.array(interval[1:]), real, np.ones)[0]
    ends = np.interp([low - 0.5, high + 0.5], np.arange(last + 1), sampled)
    ends[0] = -np.inf if low <= 0 else ends[0]
    ends[1] = np.inf if high >= last else ends[1]
    return float(ends[0]), float(ends[1])


def sample_within(
    mixture: RowMixture,
    intervals: dict[int, tuple[float, float]],
    n_rows: int,
    uniform: Uniform,
    n_proposals: int | None = None,
) -> np.ndarray:
    """Sample a mixture given intervals of some of its columns.

    Given columns come from truncated normal distributions, one after the other, each given
    those before it. The weight of a proposal is the product of the probabilities of its
    intervals (the GHK simulator [1]_). Proposals are resampled by their weights.

    Parameters
    ----------
    mixture : RowMixture
    intervals : dict of int to (float, float)
        Interval of each given column.
    n_rows : int
    uniform : callable
        ``n -> ndarray`` of numbers in [0, 1).
    n_proposals : int or None, default=None
        Number of proposals that rows are resampled from; None takes one for each row.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features)

    References
    ----------
    .. [1] V. Hajivassiliou, D. McFadden and P. Ruud, "Simulation of multivariate normal
       rectangle probabilities and their derivatives", Journal of Econometrics 72, 1996.
    """
    n_proposals = n_proposals or n_rows
    weights, means, covariances = (array.astype(np.float64) for array in mixture)
    n_features = means.shape[1]
    given = list(intervals)
    order = np.r_[given, np.setdiff1d(np.arange(n_features), given)].astype(int)
    factors = np.linalg.cholesky(covariances[:, order][:, :, order])
    means = means[:, order]
    cumulated = np.cumsum(weights)
    part = np.searchsorted(cumulated, uniform(n_proposals) * cumulated[-1], side="right")
    noise = np.empty((n_proposals, n_features))
    log_weight = np.zeros(n_proposals)
    for i, column in enumerate(given):
        center = means[part, i] + (factors[part, i, :i] * noise[:, :i]).sum(axis=1)
        std = factors[part, i, i]
        low, high = ((end - center) / std for end in intervals[column])
        flip = low > 0  # the tail of small probabilities has more digits
        low, high = np.where(flip, -high, low), np.where(flip, -low, high)
        below, above = ndtr(low), ndtr(high)
        p = below + uniform(n_proposals) * (above - below)
        value = ndtri(p.clip(SMALLEST, 1 - 1e-16)).clip(low, high)
        noise[:, i] = np.where(flip, -value, value)
        log_weight += np.log((above - below).clip(SMALLEST))
    weight = np.exp(log_weight - log_weight.max())
    cumulated = np.cumsum(weight)
    # Equal steps through the weights: systematic resampling.
    steps = (np.arange(n_rows) + uniform(1)) / n_rows * cumulated[-1]
    chosen = np.searchsorted(cumulated, steps, side="right").clip(max=n_proposals - 1)
    rest = n_features - len(given)
    noise, part = noise[chosen], part[chosen]
    noise[:, len(given) :] = ndtri(uniform(n_rows * rest).reshape(n_rows, rest) + 1e-16)
    rows = np.empty((n_rows, n_features))
    for k in np.unique(part):
        where = np.flatnonzero(part == k)
        rows[np.ix_(where, order)] = means[k] + noise[where] @ factors[k].T
    return rows
