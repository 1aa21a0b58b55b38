"""Random draws of missing entries, for multiple imputation."""

import torch
from torch import Tensor
from torch.distributions import Normal

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._variational import normal_log_prob

N_GIBBS_STEPS = 30  # of one chain per draw


def sample_missing(module: Autoencoder, rows: Tensor) -> Tensor:
    """Sample the missing entries of `rows` (batch, n_features), given the observed ones.

    Metropolis within Gibbs [1]_: each step samples entries given a code, proposes a code
    from the posterior of the imputed row, and accepts it by the Metropolis-Hastings ratio.

    References
    ----------
    .. [1] P.-A. Mattei and J. Frellsen, "Leveraging the exact likelihood of deep latent
       variable models", NeurIPS 2018, algorithm 1.
    """
    network, is_missing = module.network, rows.isnan()

    def impute(output: Tensor) -> Tensor:
        sample = network.likelihood.sample(module.unscaled(output))
        return torch.where(is_missing, sample, rows)

    def log_weight(code: Tensor, output: Tensor, proposal: Normal, x: Tensor) -> Tensor:
        log_joint = normal_log_prob(code) - network.likelihood(output, x)
        return log_joint - proposal.log_prob(code).sum(-1)

    code = network.posterior(module.scaler.bounded(rows)).sample()
    output = network.decode(code)
    for _ in range(N_GIBBS_STEPS):
        x = module.scaler(impute(output))
        proposal = network.posterior(module.scaler.bound(x))
        new_code = proposal.sample()
        new_output = network.decode(new_code)
        log_ratio = log_weight(new_code, new_output, proposal, x)
        log_ratio = log_ratio - log_weight(code, output, proposal, x)
        is_accepted = (torch.rand_like(log_ratio).log() < log_ratio)[:, None]
        code = torch.where(is_accepted, new_code, code)
        output = torch.where(is_accepted, new_output, output)
    return impute(output)
