"""Variational networks: rows become distributions of codes, codes those of rows."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput
from sk_autoencoder.nn._likelihoods import Likelihood
from sk_autoencoder.nn._objective import Objective

SCALE_HEAD_WIDTH = 64  # hidden units of what gives the scales of the posterior
INITIAL_LOG_SCALE = -1.0  # of the posterior, where there is no linear start
LOG_SCALE_RANGE = (-10.0, 3.0)  # of the posterior: no infinite and no empty ones
SAMPLES_PER_CHUNK = 8  # of codes, to bound the memory


class VariationalNetwork(Network):
    r"""A network whose code is a normal distribution with independent components.

    Its mean is what any network encodes. The scales are a function of the mean alone:
    where noise is Gaussian the posterior's precision at its mode, :math:`I + J^T J /
    \sigma^2` with the decoder's Jacobian :math:`J`, is one. So every network can be made
    variational, also a trained one.

    Parameters
    ----------
    body : Network
        Encodes rows to means, and decodes codes to what the likelihood takes.
    n_components : int
    likelihood : Likelihood
    """

    encode_gain: Tensor
    decode_gain: Tensor

    def __init__(self, body: Network, n_components: int, likelihood: Likelihood) -> None:
        super().__init__()
        self.body = body
        self.likelihood = likelihood
        last = nn.Linear(SCALE_HEAD_WIDTH, n_components)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, INITIAL_LOG_SCALE)
        self.log_scale = nn.Sequential(
            nn.Linear(n_components, SCALE_HEAD_WIDTH), nn.GELU(), last
        )
        self.register_buffer("encode_gain", torch.ones(n_components))
        self.register_buffer("decode_gain", torch.ones(n_components))

    def encode(self, x: Tensor) -> Tensor:
        """Return the mean codes (batch, n_components) of `x` (batch, n_features)."""
        return self.body.encode(x) * self.encode_gain

    def decode(self, code: Tensor) -> Tensor:
        """Return the output (batch, n_features) for `code` (batch, n_components)."""
        return self.body.decode(code * self.decode_gain)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return self.body.decode_linearly(code * self.decode_gain)

    def posterior(self, x: Tensor) -> Normal:
        """Return the distribution of the codes of `x` (batch, n_features)."""
        mean = self.encode(x)
        scale = self.log_scale(mean).clamp(*LOG_SCALE_RANGE).exp()
        return Normal(mean, scale, validate_args=False)

    def forward(self, x: Tensor) -> NetworkOutput:
        """Decode a code drawn from the posterior of `x` (batch, n_features)."""
        posterior = self.posterior(x)
        # Not by ``rsample``, which draws in place: vmap has no way for that.
        code = posterior.mean + posterior.scale * torch.randn_like(posterior.mean)
        return NetworkOutput(code, self.decode(code), posterior)

    def with_imputation(self, completion: nn.Module) -> Network:
        """Return this network behind what fills in the missing cells of its input."""
        self.body = self.body.with_imputation(completion)
        self.likelihood.skips_missing = True
        return self

    @torch.no_grad()
    def start_from(self, start: LinearInit) -> bool:
        """Start at a linear autoencoder whose code has the scale of the prior.

        The body's own code has the scale of x, so that it may be tied.
        """
        into, out = start.encode_weight.norm(dim=1), start.decode_weight.norm(dim=0)
        into[into == 0] = 1.0
        out[out == 0] = 1.0
        plain = LinearInit(
            encode_weight=start.encode_weight / into[:, None],
            encode_bias=start.encode_bias / into,
            decode_weight=start.decode_weight / out,
            decode_bias=start.decode_bias,
            code_scale=out,  # what the prior's codes have when they come to the body
        )
        started = self.body.start_from(plain)
        if started:
            self.encode_gain.copy_(into)
            self.decode_gain.copy_(out)
        return started

    @torch.no_grad()
    def start_scales(self, scales: Tensor) -> None:
        """Start with the same posterior for all rows; components without one have none."""
        bias = self.log_scale[-1].get_parameter("bias")
        bias.zero_()
        bias[: len(scales)] = scales.log()


class ELBO(Objective):
    """Minus a bound on the log-likelihood: the error is the network's own likelihood."""

    def errors(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Return minus the log-likelihood of each row, of shape (batch,)."""
        return cast(VariationalNetwork, network).likelihood(out.reconstruction, x)


def kl_divergences(posterior: torch.distributions.Distribution) -> Tensor:
    """Return KL(posterior, standard normal) in nats, of shape (batch, n_components)."""
    prior = Normal(torch.zeros_like(posterior.mean), 1.0, validate_args=False)
    return kl_divergence(posterior, prior)


class KLDivergence(nn.Module):
    """KL divergence of the posterior from the standard normal prior, in nats a row.

    Parameters
    ----------
    free_bits : float, default=0.0
        What the mean of each component over a training batch costs at least, in nats, so
        that nothing is won by less [1]_.

    Attributes
    ----------
    warmth : float
        Weight while training, beside the penalty's own; `kl_warmup` raises it.

    References
    ----------
    .. [1] D. P. Kingma et al., "Improving variational inference with inverse autoregressive
       flow", NeurIPS 2016, appendix C.8.

    Examples
    --------
    >>> import torch
    >>> from torch.distributions import Normal
    >>> from sk_autoencoder.nn import Output
    >>> from sk_autoencoder.nn import Divergence
    >>> posterior = Normal(torch.tensor([[1.0, 0.0]]), torch.ones(1, 2))
    >>> out = Output(posterior.mean, posterior.mean, posterior)
    >>> Divergence()(torch.nn.Identity().eval(), posterior.mean, out)
    tensor([0.5000])
    """

    def __init__(self, free_bits: float = 0.0) -> None:
        super().__init__()
        self.free_bits = free_bits
        self.annealing_factor = 1.0

    def forward(self, network: nn.Module, x: Tensor, out: NetworkOutput) -> Tensor:
        """Return one number a row; while training their mean, with free bits."""
        nats = kl_divergences(cast(Normal, out.posterior))
        if not network.training:
            return nats.sum(-1)
        return self.annealing_factor * nats.mean(-2).clamp(min=self.free_bits).sum(-1)


def normal_log_prob(code: Tensor) -> Tensor:
    """Return the log-density (batch,) of `code` (batch, n_components), standard normal."""
    prior = Normal(torch.zeros_like(code), 1.0, validate_args=False)
    return prior.log_prob(code).sum(-1)


def mixture_log_prob(
    code: Tensor, weights: Tensor, means: Tensor, precisions: Tensor
) -> Tensor:
    """Return the log-density (batch,) of `code` under a mixture of normal distributions.

    Parameters
    ----------
    code : Tensor of shape (batch, n_components)
    weights : Tensor of shape (n_parts,)
    means : Tensor of shape (n_parts, n_components)
    precisions : Tensor of shape (n_parts, n_components, n_components)
        Factors P of the inverse covariances P @ P.T, upper triangular.
    """
    whitened = torch.einsum("pij,bpi->bpj", precisions, code[:, None] - means)
    log_volume = precisions.diagonal(dim1=-2, dim2=-1).log().sum(-1)  # (n_parts,)
    parts = normal_log_prob(whitened) + log_volume + weights.log()
    return parts.logsumexp(-1)


def importance_bound(
    network: VariationalNetwork,
    x: Tensor,
    log_prior: Callable[[Tensor], Tensor],
    draws: Tensor,
) -> Tensor:
    r"""Return the importance-weighted bound on the log-likelihood of each row, in nats.

    .. math:: \log \frac1S \sum_{s=1}^S
       \frac{p(x \mid z_s)\, p(z_s)}{q(z_s \mid x)}, \qquad z_s \sim q(z \mid x)

    for densities of scaled rows; equation 8 of [1]_.

    Parameters
    ----------
    network : VariationalNetwork
    x : Tensor of shape (batch, n_features)
        Scaled rows.
    log_prior : callable
        Log-density (batch,) of codes (batch, n_components).
    draws : Tensor of shape (n_draws, batch or 1, n_components)
        Standard normal numbers, of each row or the same for all.

    Returns
    -------
    bound : Tensor of shape (batch,)

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016.
    """
    posterior = network.posterior(x)
    log_volume = posterior.scale.log().sum(-1)  # (batch,)
    found = []
    for some in draws.split(SAMPLES_PER_CHUNK):
        code = posterior.mean + posterior.scale * some  # (n, batch, n_components)
        output = network.decode(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        weight = log_prior(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        weight = weight - network.likelihood(output, x.expand_as(output))
        found.append(weight + log_volume - normal_log_prob(some))
    return torch.cat(found).logsumexp(0) - math.log(len(draws))
