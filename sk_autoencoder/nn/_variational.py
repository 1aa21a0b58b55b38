"""Variational networks, the evidence lower bound and densities of codes."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput
from sk_autoencoder.nn._likelihoods import Likelihood
from sk_autoencoder.nn._objective import Objective

SCALE_HEAD_WIDTH = 64  # hidden units of the network of the posterior's scales
INITIAL_LOG_SCALE = -1.0  # of the posterior, without a linear initialisation
LOG_SCALE_RANGE = (-10.0, 3.0)  # of the posterior, so that scales are finite and positive
SAMPLES_PER_CHUNK = 8  # of codes, to bound the memory of the importance-weighted bound


class VariationalNetwork(Network):
    r"""Variational network around any network, with independent Gaussian components.

    The mean of the posterior is the code of the inner network. Its scales are a function of
    the mean. Any network can therefore be made variational, also after training.

    Parameters
    ----------
    body : Network
        Encodes rows to means, and decodes codes to the input of the likelihood.
    n_components : int
    likelihood : Likelihood

    Notes
    -----
    For Gaussian noise, the posterior's precision at its mode is
    :math:`I + J^T J / \sigma^2` with the decoder's Jacobian :math:`J`, which is a function
    of the mean alone.
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
        """Encode `x` (batch, n_features) to posterior means (batch, n_components)."""
        return self.body.encode(x) * self.encode_gain

    def decode(self, code: Tensor) -> Tensor:
        """Decode `code` (batch, n_components) to the output (batch, n_features)."""
        return self.body.decode(code * self.decode_gain)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return self.body.decode_linearly(code * self.decode_gain)

    def posterior(self, x: Tensor) -> Normal:
        """Compute the posterior distribution of the codes of `x` (batch, n_features)."""
        mean = self.encode(x)
        scale = self.log_scale(mean).clamp(*LOG_SCALE_RANGE).exp()
        return Normal(mean, scale, validate_args=False)

    def forward(self, x: Tensor) -> NetworkOutput:
        """Sample a code from the posterior of `x` (batch, n_features), and decode it."""
        posterior = self.posterior(x)
        # Not by ``rsample``, which samples in place: vmap does not support that.
        code = posterior.mean + posterior.scale * torch.randn_like(posterior.mean)
        return NetworkOutput(code, self.decode(code), posterior)

    def with_imputation(self, completion: nn.Module) -> Network:
        """Impute missing entries of the input, and skip them in the likelihood."""
        self.body = self.body.with_imputation(completion)
        self.likelihood.skips_missing = True
        return self

    @torch.no_grad()
    def start_from(self, init: LinearInit) -> bool:
        """Initialise at a linear autoencoder whose code has the scale of the prior.

        The weights of the body are normalised, so that its code has the scale of `x` and
        its weights may be tied. The gains convert between both scales.
        """
        encode_gain = init.encode_weight.norm(dim=1)
        decode_gain = init.decode_weight.norm(dim=0)
        encode_gain[encode_gain == 0] = 1.0
        decode_gain[decode_gain == 0] = 1.0
        normalized = LinearInit(
            encode_weight=init.encode_weight / encode_gain[:, None],
            encode_bias=init.encode_bias / encode_gain,
            decode_weight=init.decode_weight / decode_gain,
            decode_bias=init.decode_bias,
            code_scale=decode_gain,  # of the prior's codes at the body's decoder
        )
        is_initialized = self.body.start_from(normalized)
        if is_initialized:
            self.encode_gain.copy_(encode_gain)
            self.decode_gain.copy_(decode_gain)
        return is_initialized

    @torch.no_grad()
    def start_scales(self, scales: Tensor) -> None:
        """Set the same initial posterior scales for all rows; further components get 1."""
        bias = self.log_scale[-1].get_parameter("bias")
        bias.zero_()
        bias[: len(scales)] = scales.log()


class ELBO(Objective):
    """Negative evidence lower bound, whose error is the network's likelihood."""

    def errors(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the negative log-likelihood of each row, of shape (batch,)."""
        return cast(VariationalNetwork, network).likelihood(out.reconstruction, x)


def kl_divergences(posterior: torch.distributions.Distribution) -> Tensor:
    """Compute KL(posterior, standard normal) in nats, of shape (batch, n_components)."""
    prior = Normal(torch.zeros_like(posterior.mean), 1.0, validate_args=False)
    return kl_divergence(posterior, prior)


class KLDivergence(nn.Module):
    """KL divergence of the posterior from the standard normal prior, in nats per row.

    Parameters
    ----------
    free_bits : float, default=0.0
        Lower limit in nats of the divergence of each component, averaged over a training
        batch. Smaller divergences do not lower the loss, which prevents collapse [1]_.

    Attributes
    ----------
    annealing_factor : float
        Factor of the penalty in training, which `kl_warmup` raises from epoch to epoch.

    References
    ----------
    .. [1] D. P. Kingma et al., "Improving variational inference with inverse autoregressive
       flow", NeurIPS 2016, appendix C.8.

    Examples
    --------
    >>> import torch
    >>> from torch.distributions import Normal
    >>> from sk_autoencoder.nn import KLDivergence, NetworkOutput
    >>> posterior = Normal(torch.tensor([[1.0, 0.0]]), torch.ones(1, 2))
    >>> out = NetworkOutput(posterior.mean, posterior.mean, posterior)
    >>> KLDivergence()(torch.nn.Identity().eval(), posterior.mean, out)
    tensor([0.5000])
    """

    def __init__(self, free_bits: float = 0.0) -> None:
        super().__init__()
        self.free_bits = free_bits
        self.annealing_factor = 1.0

    def forward(self, network: nn.Module, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the divergence of each row; in training their mean, with free bits."""
        nats = kl_divergences(cast(Normal, out.posterior))
        if not network.training:
            return nats.sum(-1)
        return self.annealing_factor * nats.mean(-2).clamp(min=self.free_bits).sum(-1)


def normal_log_prob(code: Tensor) -> Tensor:
    """Compute the standard normal log-density (batch,) of `code` (batch, n_components)."""
    prior = Normal(torch.zeros_like(code), 1.0, validate_args=False)
    return prior.log_prob(code).sum(-1)


def mixture_log_prob(
    code: Tensor, weights: Tensor, means: Tensor, precisions: Tensor
) -> Tensor:
    """Compute the log-density (batch,) of `code` under a Gaussian mixture.

    Parameters
    ----------
    code : Tensor of shape (batch, n_components)
    weights : Tensor of shape (n_mixture_components,)
    means : Tensor of shape (n_mixture_components, n_components)
    precisions : Tensor of shape (n_mixture_components, n_components, n_components)
        Upper triangular factors P of the inverse covariances P @ P.T.
    """
    whitened = torch.einsum("pij,bpi->bpj", precisions, code[:, None] - means)
    log_abs_det = precisions.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_joint = normal_log_prob(whitened) + log_abs_det + weights.log()
    return log_joint.logsumexp(-1)  # over the mixture's components


def importance_bound(
    network: VariationalNetwork,
    x: Tensor,
    posterior: Normal,
    log_prior: Callable[[Tensor], Tensor],
    noise: Tensor,
) -> Tensor:
    r"""Compute the importance-weighted bound on the log-likelihood of each row, in nats.

    .. math:: \log \frac1S \sum_{s=1}^S
       \frac{p(x \mid z_s)\, p(z_s)}{q(z_s \mid x)}, \qquad z_s \sim q(z \mid x)

    for densities of scaled rows; equation 8 of [1]_.

    Parameters
    ----------
    network : VariationalNetwork
    x : Tensor of shape (batch, n_features)
        Scaled rows.
    posterior : Normal
        Of the codes of these rows, (batch, n_components).
    log_prior : callable
        Log-density (batch,) of codes (batch, n_components).
    noise : Tensor of shape (n_samples, batch or 1, n_components)
        Standard normal numbers, separate for each row or common to all rows.

    Returns
    -------
    bound : Tensor of shape (batch,)

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016.
    """
    log_abs_det_jacobian = posterior.scale.log().sum(-1)  # (batch,), of noise to code
    log_weights = []
    for chunk in noise.split(SAMPLES_PER_CHUNK):
        code = posterior.mean + posterior.scale * chunk  # (n, batch, n_components)
        output = network.decode(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        log_joint = log_prior(code.flatten(0, 1)).unflatten(0, code.shape[:2])
        log_joint = log_joint - network.likelihood(output, x.expand_as(output))
        log_weights.append(log_joint + log_abs_det_jacobian - normal_log_prob(chunk))
    return torch.cat(log_weights).logsumexp(0) - math.log(len(noise))
