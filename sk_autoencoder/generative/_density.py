"""Gaussian mixtures whose size held-out rows select."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

COVARIANCE_FLOOR = 1e-3  # added to the variances of the mixture, in squared scaled units
N_PARTS = (1, 5, 10, 20, 40, 80)  # of a mixture, among which held-out codes choose
MIN_CODES_PER_PART = 15  # of the codes that the mixtures to choose from are fitted to
SHRINKAGES = (0.1, 0.3, 1.0, 3.0)  # of covariances, in codes for each component of a code
HELD_OUT_SHARE, MIN_HELD_OUT = 0.125, 15  # of codes; fewer cannot choose
MAX_SELECTION_CODES, SELECTION_STEPS = 5_000, 30  # steps of EM


class MixtureSize(NamedTuple):
    """Number of components of a mixture, and the shrinkage of their covariances."""

    n_parts: int
    shrinkage: float


def fit_mixture(codes: np.ndarray, seed: int) -> GaussianMixture:
    """Fit a Gaussian mixture whose size held-out codes select.

    Covariances are shrunk to the mean covariance within components: those of components of
    few codes most.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
    seed : int

    Returns
    -------
    mixture : GaussianMixture
    """
    # The initialisation by k-means needs numpy, whatever the arrays of the user are.
    with warnings.catch_warnings(), config_context(array_api_dispatch=False):
        # Samples of a mixture that has not converged are good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        size = _select_size(codes, seed)
        mixture = _make_mixture(size.n_parts, seed).fit(codes)
    return shrink_covariances(mixture, codes, size.shrinkage)


def _make_mixture(n_parts: int, seed: int, **options) -> GaussianMixture:
    return GaussianMixture(
        n_parts, reg_covar=COVARIANCE_FLOOR, random_state=seed, **options
    )


def _select_size(codes: np.ndarray, seed: int) -> MixtureSize:
    """Select the size under which held-out codes are most likely."""
    order = np.random.default_rng(seed).permutation(len(codes))[:MAX_SELECTION_CODES]
    n_held_out = int(HELD_OUT_SHARE * len(order))
    if n_held_out < MIN_HELD_OUT:
        return MixtureSize(1, SHRINKAGES[0])
    held_out, rest = codes[order[:n_held_out]], codes[order[n_held_out:]]
    best, best_score = MixtureSize(1, SHRINKAGES[0]), -np.inf
    for n_parts in N_PARTS:
        if n_parts > 1 and len(rest) < MIN_CODES_PER_PART * n_parts:
            break
        mixture = _make_mixture(n_parts, seed, max_iter=SELECTION_STEPS).fit(rest)
        scores = {
            MixtureSize(n_parts, s): shrink_covariances(mixture, rest, s).score(held_out)
            for s in (SHRINKAGES if n_parts > 1 else SHRINKAGES[:1])
        }
        size = max(scores, key=lambda size: scores[size])
        if scores[size] <= best_score:
            break
        best, best_score = size, scores[size]
    return best


def shrink_covariances(
    mixture: GaussianMixture, codes: np.ndarray, shrinkage: float
) -> GaussianMixture:
    """Shrink the covariances of a mixture to their mean, as far as codes are few.

    Parameters
    ----------
    mixture : GaussianMixture
        Fitted to `codes`, with full covariances.
    codes : ndarray of shape (n_codes, n_components)
    shrinkage : float
        Weight of the mean covariance, in codes for each component of a code.

    Returns
    -------
    shrunk : GaussianMixture
    """
    n_codes, n_dims = codes.shape
    share = 1 / (1 + shrinkage * n_dims / np.maximum(n_codes * mixture.weights_, 1e-12))
    mean = np.tensordot(mixture.weights_, mixture.covariances_, 1)
    weight = share[:, None, None]
    result = GaussianMixture(**mixture.get_params())
    vars(result).update(vars(mixture))
    result.covariances_ = weight * mixture.covariances_ + (1 - weight) * mean
    factors = np.linalg.inv(np.linalg.cholesky(result.covariances_)).swapaxes(1, 2)
    # Copies in files are contiguous, and products round by the order in memory.
    result.precisions_cholesky_ = np.ascontiguousarray(factors)
    result.precisions_ = factors @ factors.swapaxes(1, 2)
    return result
