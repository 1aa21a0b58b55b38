"""A classical density of rows beside that of an autoencoder.

The density of a row is the mean of both, with shares that held-out rows choose (stacking of
density estimators [1]_): it is never far below the better one.

References
----------
.. [1] P. Smyth and D. Wolpert, "Linearly combining density estimators via stacking",
   Machine Learning 36, 1999.
"""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.generative._density import (
    MAX_SELECTION_CODES,
    MIN_CODES_PER_PART,
    search_mixtures,
)
from sk_autoencoder.generative._product_mixture import (
    ProductMixture,
    log_joint_of_observed,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._likelihoods import Gaussian
from sk_autoencoder.nn._variational import mixture_log_prob

ScaledFunction = Callable[[Autoencoder, Tensor], Tensor]  # of a member and scaled rows
Average = Callable[[Tensor, Tensor], Tensor]  # (log-densities, rows) -> log of their mean

VARIANCE_FLOOR = 1e-6  # of parts of a mixture, in squared scaled units, as in scikit-learn
SHRINKAGES = (0.0, 0.1, 0.3, 1.0)  # of their covariances, in rows for each column
PATIENCE = 2  # sizes of a mixture that are no better, before the search ends
EM_STEPS = 100  # for two shares
MIN_STANDARD_ERRORS = 1.0  # of the gain in held-out log-likelihood


def as_float64(tensor: Tensor) -> np.ndarray:
    """Copy a tensor to an array in float64."""
    return tensor.detach().cpu().double().numpy().copy()


def log_average(log_density: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Compute the log of the mean of two densities, the second with weight `share`."""
    return np.logaddexp(np.log1p(-share) + log_density, np.log(share) + other)


def choose_share(log_density: np.ndarray, other: np.ndarray) -> float:
    """Choose the share of the second density under which rows are most likely.

    By expectation maximisation, with half a row more for each density.

    Parameters
    ----------
    log_density, other : ndarray of shape (n_rows,)
        Logarithms of two densities of held-out rows.

    Returns
    -------
    share : float
        Between 0 and 1, both excluded.
    """
    share = 0.5
    for _ in range(EM_STEPS):
        mean = log_average(log_density, other, share)
        posterior = np.exp(np.log(share) + other - mean)
        share = float(posterior.sum() + 0.5) / (len(mean) + 1)
    return share


def find_share(log_density: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    """Choose the share of the second density; None if held-out rows gain nothing by it."""
    share = choose_share(log_density, other)
    gain = log_average(log_density, other, share) - log_density
    error = gain.std() / len(gain) ** 0.5
    return np.array(share) if gain.mean() > MIN_STANDARD_ERRORS * error else None


def map_scaled(
    fitted: Fitted, function: ScaledFunction, X, indices: np.ndarray
) -> np.ndarray:
    """Apply ``function(member, x)`` to the scaled rows `indices` of X."""

    def scale_and_apply(module: Autoencoder, rows: Tensor) -> Tensor:
        return function(module, module.scaler(rows))

    chunks = fitted.iter_map(scale_and_apply, X, indices)
    return np.concatenate(list(chunks)).astype(np.float64)


def stack_gaussians(
    rows: np.ndarray,
    held_out: np.ndarray,
    log_density: np.ndarray,
    likelihood: Gaussian,
    seed: int,
) -> dict[str, np.ndarray] | None:
    """Fit a Gaussian mixture by which an autoencoder's density gains.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Scaled training rows.
    held_out : ndarray of shape (n_held_out, n_features)
    log_density : ndarray of shape (n_held_out,)
        Log-densities of the held-out rows by the autoencoder.
    likelihood : Gaussian
        That of the autoencoder. Its variance is that of constant columns, too.
    seed : int

    Returns
    -------
    arrays : dict of ndarray or None
        ``weights``, ``means`` and ``precisions`` of the mixture, for rows less ``center``
        and over ``scale``, and its ``share``; None if held-out rows gain nothing.
    """
    rows = rows[:MAX_SELECTION_CODES]
    noise = as_float64(likelihood.variance.expand(rows.shape[1]))
    is_constant = rows.min(axis=0) == rows.max(axis=0)

    def compute_log_density(mixture: GaussianMixture) -> np.ndarray:
        precisions = give_variance(mixture.precisions_cholesky_, is_constant, noise)
        arrays = mixture.weights_, mixture.means_, precisions
        return mixture_log_prob(*map(torch.from_numpy, (held_out, *arrays))).numpy()

    def judge(mixture: GaussianMixture) -> float:
        other = compute_log_density(mixture)
        return log_average(log_density, other, choose_share(log_density, other)).mean()

    try:
        mixture = search_mixtures(
            rows,
            judge,
            seed,
            floor=VARIANCE_FLOOR,
            shrinkages=SHRINKAGES,
            patience=PATIENCE,
            min_codes=max(MIN_CODES_PER_PART, rows.shape[1]),
        ).mixture
    except (ValueError, np.linalg.LinAlgError):  # of columns of wild entries
        return None
    share = find_share(log_density, compute_log_density(mixture))
    if share is None:
        return None
    precisions = give_variance(mixture.precisions_cholesky_, is_constant, noise)
    return {
        "weights": mixture.weights_.astype(np.float32),
        "means": mixture.means_.astype(np.float32),
        "precisions": precisions.astype(np.float32),
        "center": as_float64(likelihood.center),
        "scale": as_float64(likelihood.scale),
        "share": share,
    }


def give_variance(
    precisions: np.ndarray, columns: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Give the constant `columns` of a mixture their variance.

    `precisions` are the factors (n_parts, n_features, n_features) of scikit-learn.
    """
    precisions = precisions.copy()
    precisions[:, columns] = precisions[:, :, columns] = 0
    where = np.flatnonzero(columns)
    precisions[:, where, where] = variance[where] ** -0.5
    return precisions


def stack_products(
    mixture: ProductMixture, held_out: Tensor, log_density: np.ndarray
) -> dict[str, np.ndarray] | None:
    """Put a mixture of products beside an autoencoder, if its density gains by that.

    Parameters
    ----------
    mixture : ProductMixture
    held_out : Tensor of shape (n_held_out, n_levels)
        Weights of levels, zeros for missing cells.
    log_density : ndarray of shape (n_held_out,)
        Log-probabilities of the held-out rows by the autoencoder.

    Returns
    -------
    arrays : dict of ndarray or None
        ``weights`` and ``levels`` of the mixture, and its ``share``; None if held-out rows
        gain nothing.
    """
    other = log_joint_of_observed(mixture, held_out).logsumexp(1).double().numpy()
    share = find_share(log_density, other)
    if share is None:
        return None
    return {
        "weights": mixture.weights.numpy(),
        "levels": mixture.levels.numpy(),
        "share": share,
    }


def make_average(arrays: dict[str, np.ndarray]) -> Average:
    """Make the function that averages densities with a stacked one.

    Parameters
    ----------
    arrays : dict of ndarray
        Result of :func:`stack_gaussians` or :func:`stack_products`.

    Returns
    -------
    average : callable
        ``(log_density, rows) -> Tensor`` of shape (batch,), for rows and densities in the
        units of X. A Gaussian mixture adds nothing to rows with missing entries.
    """
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}

    def classical(rows: Tensor) -> Tensor:
        if "levels" in tensors:
            mixture = ProductMixture(tensors["weights"], tensors["levels"], torch.empty(0))
            return log_joint_of_observed(mixture, rows.nan_to_num()).logsumexp(-1)
        names = ("center", "scale", "weights", "means", "precisions")
        center, scale, *mixture = (tensors[name].to(rows) for name in names)
        log_density = mixture_log_prob((rows - center) / scale, *mixture)
        log_density = log_density - tensors["scale"].log().sum().to(rows)
        return log_density.nan_to_num(nan=-torch.inf)

    def average(log_density: Tensor, rows: Tensor) -> Tensor:
        share = tensors["share"]
        weights = torch.stack([1 - share, share]).log().to(rows)
        both = torch.stack([log_density, classical(rows)])
        return (weights[:, None] + both).logsumexp(0)

    return average
