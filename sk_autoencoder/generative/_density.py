"""Gaussian mixtures whose size held-out rows select."""

import warnings
from collections.abc import Callable
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


class MixtureFit(NamedTuple):
    """A mixture, its size, and what a judge says of it."""

    mixture: GaussianMixture
    size: MixtureSize
    score: float


def fit_mixture(
    codes: np.ndarray,
    seed: int,
    size: MixtureSize | None = None,
) -> GaussianMixture:
    """Fit a Gaussian mixture of a size that held-out codes select, unless it is given.

    Covariances are shrunk to the mean covariance within components: those of components of
    few codes most.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
    seed : int
    size : MixtureSize or None, default=None

    Returns
    -------
    mixture : GaussianMixture
    """
    size = select_size(codes, seed) if size is None else size
    mixture = _fit_gaussians(codes, size.n_parts, seed, reg_covar=COVARIANCE_FLOOR)
    return shrink_covariances(mixture, codes, size.shrinkage)


def select_size(codes: np.ndarray, seed: int) -> MixtureSize:
    """Select the size under which held-out codes are most likely."""
    order = np.random.default_rng(seed).permutation(len(codes))[:MAX_SELECTION_CODES]
    n_held_out = int(HELD_OUT_SHARE * len(order))
    if n_held_out < MIN_HELD_OUT:
        return MixtureSize(1, SHRINKAGES[0])
    held_out, rest = codes[order[:n_held_out]], codes[order[n_held_out:]]
    return search_mixtures(rest, lambda mixture: mixture.score(held_out), seed).size


def search_mixtures(
    codes: np.ndarray,
    judge: Callable[[GaussianMixture], float],
    seed: int,
    *,
    floor: float = COVARIANCE_FLOOR,
    shrinkages: tuple[float, ...] = SHRINKAGES,
    patience: int = 1,
    min_codes: int = MIN_CODES_PER_PART,
) -> MixtureFit:
    """Search for the number of components and the shrinkage that a judge likes best.

    The number grows until the judge likes `patience` numbers no better.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
        To fit mixtures to.
    judge : callable
        ``mixture -> float``, the larger the better.
    seed : int
    floor : float, default=1e-3
        Added to the variances of each component of a mixture.
    shrinkages : tuple of float, default=(0.1, 0.3, 1.0, 3.0)
    patience : int, default=1
    min_codes : int, default=15
        Number of codes for each component.

    Returns
    -------
    best : MixtureFit
    """
    best: MixtureFit | None = None
    n_worse = 0
    for n_parts in N_PARTS:
        if best is not None and len(codes) < min_codes * n_parts:
            break
        options = {"max_iter": SELECTION_STEPS, "reg_covar": floor}
        mixture = _fit_gaussians(codes, n_parts, seed, **options)
        fits = []
        for shrinkage in shrinkages if n_parts > 1 else shrinkages[:1]:
            shrunk = shrink_covariances(mixture, codes, shrinkage)
            size = MixtureSize(n_parts, shrinkage)
            fits.append(MixtureFit(shrunk, size, judge(shrunk)))
        liked = max(fits, key=lambda fit: fit.score)
        if best is None or liked.score > best.score:
            best, n_worse = liked, 0
            continue
        n_worse += 1
        if n_worse == patience:
            break
    assert best is not None
    return best


def _fit_gaussians(
    codes: np.ndarray, n_parts: int, seed: int, **options
) -> GaussianMixture:
    # The initialisation by k-means needs numpy, whatever the arrays of the user are.
    with warnings.catch_warnings(), config_context(array_api_dispatch=False):
        # A mixture that has not converged is good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(n_parts, random_state=seed, **options).fit(codes)


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
