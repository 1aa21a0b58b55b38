"""Draws of missing entries."""

import torch
from torch import Tensor
from torch.distributions import Normal

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._variational import normal_log_prob

N_GIBBS_STEPS = 30  # of a chain, for each draw of missing cells


def sample_missing(module: Autoencoder, rows: Tensor) -> Tensor:
    """Return `rows` (batch, n_features), missing cells drawn given the observed ones.

    Metropolis within Gibbs [1]_: cells are drawn given a code, and a code is proposed by
    the posterior of the row that they complete, and accepted by how probable both are.

    References
    ----------
    .. [1] P.-A. Mattei and J. Frellsen, "Leveraging the exact likelihood of deep latent
       variable models", NeurIPS 2018, algorithm 1.
    """
    network, is_missing = module.network, rows.isnan()

    def fill(output: Tensor) -> Tensor:
        drawn = network.likelihood.draw(module.unscaled(output))
        return torch.where(is_missing, drawn, rows)

    def log_weight(code: Tensor, output: Tensor, proposal: Normal, x: Tensor) -> Tensor:
        log_joint = normal_log_prob(code) - network.likelihood(output, x)
        return log_joint - proposal.log_prob(code).sum(-1)

    code = network.posterior(module.scaler(rows)).sample()
    output = network.decode(code)
    for _ in range(N_GIBBS_STEPS):
        x = module.scaler(fill(output))
        proposal = network.posterior(x)
        other = proposal.sample()
        means = network.decode(other)
        gain = log_weight(other, means, proposal, x) - log_weight(code, output, proposal, x)
        is_accepted = (torch.rand_like(gain).log() < gain)[:, None]
        code = torch.where(is_accepted, other, code)
        output = torch.where(is_accepted, means, output)
    return fill(output)
