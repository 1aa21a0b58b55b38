"""Posteriors of a fitted variational autoencoder and its bound on the log-likelihood."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.distributions import Normal
from torch.quasirandom import SobolEngine

from sk_autoencoder.generative._stacking import Average, ScaledFunction
from sk_autoencoder.metrics import active_components
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._variational import (
    importance_bound,
    kl_divergences,
    mixture_log_prob,
    normal_log_prob,
)
from sk_autoencoder.utils._warnings import warn_user

TAIL_PROBABILITY = 1e-6  # at which samples of a normal distribution are truncated


def posterior_moments(module: nn.Module, rows: Tensor) -> Tensor:
    """Compute means and standard deviations of codes, (batch, 2, n_components)."""

    def member_moments(member: Autoencoder, rows: Tensor) -> Tensor:
        posterior = member.network.posterior(member.scaler.bounded(rows))
        return torch.stack([posterior.mean, posterior.scale], dim=-2)

    # (n_members, batch, 2, n_components): the codes of members stand side by side.
    return module.map_members(member_moments, rows).movedim(0, 2).flatten(2)


def component_usage(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure the information in each component.

    Parameters
    ----------
    moments : ndarray of shape (n_rows, 2, n_components)
        Output of :func:`posterior_moments`.

    Returns
    -------
    nats : ndarray of shape (n_components,)
        Mean divergence from the standard normal prior.
    is_active : ndarray of shape (n_components,) of bool
        Whether the means vary over rows.
    """
    mean, std = moments[:, 0], moments[:, 1]  # (n_rows, n_components)
    nats = kl_divergences(Normal(torch.from_numpy(mean), torch.from_numpy(std)))
    return nats.mean(0).numpy(), active_components(mean)


def warn_of_collapse(
    is_active: np.ndarray, beta: float, scaling: str | None, has_mixed_units: bool
) -> None:
    """Warn that most components carry no information about a row."""
    remedy = f"Lower n_components or beta={beta}, or raise free_bits."
    if has_mixed_units:
        remedy = (
            f"Some features vary much more than others, perhaps by their units alone, and "
            f"with scaling={scaling!r} the others hardly count. Set scaling='auto' or "
            f"'standard'. Otherwise lower n_components or beta={beta}, or raise free_bits."
        )
    warn_user(
        f"{(~is_active).sum()} of {len(is_active)} components have collapsed to the "
        f"prior and carry no information about a row. {remedy}",
    )


def make_scaled_bound(
    density: GaussianMixture | None, n_samples: int, n_components: int
) -> ScaledFunction:
    """Make a function that computes the bound for densities of scaled rows, in nats.

    Parameters
    ----------
    density : GaussianMixture or None
        Density of the codes; None stands for the standard normal distribution.
    n_samples : int
        Number of codes sampled for each row, the same for all rows and all calls.
    n_components : int
        Number of components of one member's code.
    """
    # A Sobol sequence covers the posterior better than independent samples.
    uniform = SobolEngine(n_components, scramble=True, seed=0).draw(n_samples)
    noise = Normal(0.0, 1.0).icdf(uniform.clamp(TAIL_PROBABILITY, 1 - TAIL_PROBABILITY))[
        :, None
    ]
    log_prior = _log_density(density)

    def scaled_bound(member: Autoencoder, x: Tensor) -> Tensor:
        posterior = member.network.posterior(member.scaler.bound(x))
        return importance_bound(member.network, x, posterior, log_prior, noise.to(x))

    return scaled_bound


def log_likelihood_bound(
    scaled_bound: ScaledFunction,
    observed_share: Callable[[Tensor], Tensor],
    average: Average | None = None,
) -> Callable:
    """Make a function ``(module, rows) -> (batch,)`` that computes the bound.

    The bound is in nats, for rows and densities in the units of X.

    Parameters
    ----------
    scaled_bound : callable
        Result of :func:`make_scaled_bound`.
    observed_share : callable
        ``x -> (batch,)``: the fraction of a row that is observed.
    average : callable or None, default=None
        Averages the density with another one, by
        :func:`~sk_autoencoder.generative._stacking.make_average`.
    """

    def member_bound(member: Autoencoder, rows: Tensor) -> Tensor:
        x = member.scaler(rows)
        # The score of a row without observed entries is that of its imputation.
        is_empty = x.isnan().all(-1, keepdim=True)
        x = torch.where(is_empty, member.reconstruct_scaled(x), x)
        log_det = member.network.likelihood.log_abs_det_jacobian().to(x)
        bound = scaled_bound(member, x) - torch.where(x.isnan(), 0.0, log_det).sum(-1)
        if average is not None:
            bound = average(bound, rows)
        return bound / observed_share(x)

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        bounds = module.map_members(member_bound, rows)
        score = bounds.logsumexp(0) - np.log(len(bounds))  # equal mixture of the members
        return score.clamp(min=torch.finfo(score.dtype).min)

    return score


def _log_density(density: GaussianMixture | None) -> Callable[[Tensor], Tensor]:
    if density is None:
        return normal_log_prob
    arrays = (density.weights_, density.means_, density.precisions_cholesky_)
    tensors = [torch.tensor(array) for array in arrays]
    return lambda code: mixture_log_prob(code, *[tensor.to(code) for tensor in tensors])
