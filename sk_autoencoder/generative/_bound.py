"""The posteriors of a fitted variational autoencoder, and its bound on the likelihood."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.distributions import Normal
from torch.quasirandom import SobolEngine

from sk_autoencoder.metrics import active_components
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.nn._variational import (
    importance_bound,
    kl_divergences,
    mixture_log_prob,
    normal_log_prob,
)

TINY = 1e-6  # shares at which a normal distribution is cut off


def posteriors(module: nn.Module, rows: Tensor) -> Tensor:
    """Return means and standard deviations of codes, of shape (batch, 2, n_components)."""

    def both(one: Autoencoder, rows: Tensor) -> Tensor:
        found = one.network.posterior(one.scaler(rows))
        return torch.stack([found.mean, found.scale], dim=-2)

    found = module.map_members(
        both, rows
    )  # of an ensemble (n_members, batch, 2, n_components)
    return found if found.ndim == 3 else found.movedim(0, 2).flatten(2)


def component_usage(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much components say about rows, given what :func:`posteriors` found.

    Returns
    -------
    nats : ndarray of shape (n_components,)
        Mean divergence from the standard normal prior.
    is_active : ndarray of shape (n_components,) of bool
        Whether the means vary over rows.
    """
    mean, std = found[:, 0], found[:, 1]  # each (n_rows, n_components)
    nats = kl_divergences(Normal(torch.from_numpy(mean), torch.from_numpy(std)))
    return nats.mean(0).numpy(), active_components(mean)


def warn_of_collapse(is_active: np.ndarray, beta: float) -> None:
    """Warn that most components say nothing about a row."""
    warnings.warn(
        f"{(~is_active).sum()} of {len(is_active)} components have collapsed to the "
        f"prior: they say nothing about a row. Lower n_components or beta={beta}, or "
        "raise free_bits.",
        UserWarning,
        stacklevel=2,
    )


def log_bound(density: GaussianMixture | None, n_draws: int, n_components: int) -> Callable:
    """Return ``(module, rows) -> (batch,)``, the bound in nats for rows in the units of X.

    Parameters
    ----------
    density : GaussianMixture or None
        Density of the codes; None is the standard normal one.
    n_draws : int
        Draws of a code a row, the same for all rows and all calls.
    n_components : int
        Of one member's code.
    """
    # Spread evenly: they cover the posterior better than independent draws.
    even = SobolEngine(n_components, scramble=True, seed=0).draw(n_draws)
    draws = Normal(0.0, 1.0).icdf(even.clamp(TINY, 1 - TINY))[:, None]
    log_prior = _log_density(density)

    def bound(one: Autoencoder, rows: Tensor) -> Tensor:
        x = one.scaler(rows)
        found = importance_bound(one.network, x, log_prior, draws.to(x))
        volume = torch.where(
            x.isnan(), 0.0, one.network.likelihood.log_abs_det_jacobian().to(x)
        )
        return (found - volume.sum(-1)) / observed_share(x)

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        found = module.map_members(bound, rows).reshape(-1, rows.shape[0])
        return found.logsumexp(0) - np.log(len(found))  # of the members' mixture

    return score


def _log_density(density: GaussianMixture | None) -> Callable[[Tensor], Tensor]:
    if density is None:
        return normal_log_prob
    parts = (density.weights_, density.means_, density.precisions_cholesky_)
    tensors = [torch.tensor(part) for part in parts]
    return lambda code: mixture_log_prob(code, *[part.to(code) for part in tensors])
