"""Adversarial regularisation of codes: priors, energy distance and the critic's penalty.

A prior is a callable ``(n_codes, n_components)`` that returns samples of this shape. The
priors of this module use torch's global generator, and their components have mean 0 and
variance 1.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.utils._torch_compat import call_with_tensors

Prior = Callable[[int, int], Any]
N_MIXTURE_COMPONENTS, MIXTURE_COMPONENT_STD = 10, 0.25  # of the prior "mixture"
SAMPLES_PER_CODE = 4  # of the prior: cheap, and more reduce the variance of the loss
N_VALIDATION_SAMPLES = 512  # of the prior, for the energy distance of validation codes
DISTANCE_WEIGHT = 10.0  # of the energy distance, relative to the critic's loss
N_MOMENT_SAMPLES = 10_000  # of a user's prior, to estimate its mean and variance


def sample_normal(n_codes: int, n_components: int) -> Tensor:
    """Sample independent standard normal codes (n_codes, n_components)."""
    return torch.randn(n_codes, n_components)


def sample_uniform(n_codes: int, n_components: int) -> Tensor:
    """Sample independent codes (n_codes, n_components), uniform between -√3 and √3."""
    return math.sqrt(3) * (2 * torch.rand(n_codes, n_components) - 1)


def sample_mixture(n_codes: int, n_components: int) -> Tensor:
    """Sample codes (n_codes, n_components) of ten Gaussians with means on a circle.

    The circle lies in the first two components, in which the standard deviation of each
    Gaussian is 0.25. Further components are standard normal. A single component is the
    first coordinate on the circle.
    """
    codes = torch.randn(n_codes, n_components)
    angle = torch.randint(N_MIXTURE_COMPONENTS, (n_codes,)) * (
        2 * math.pi / N_MIXTURE_COMPONENTS
    )
    circle = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], -1)
    on_plane = math.sqrt(
        1 - MIXTURE_COMPONENT_STD**2
    ) * circle + MIXTURE_COMPONENT_STD * torch.randn(n_codes, 2)
    return torch.cat([on_plane, codes[:, 2:]], -1)[:, :n_components]


PRIORS: dict[str, Prior] = {
    "mixture": sample_mixture,
    "normal": sample_normal,
    "uniform": sample_uniform,
}


def sample_codes(prior: Prior, n_codes: int, n_components: int) -> Tensor:
    """Sample from `prior` as a float32 tensor of shape (n_codes, n_components).

    Raises
    ------
    ValueError
        If `prior` returns another shape.
    """
    try:
        samples = torch.as_tensor(prior(n_codes, n_components), dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"prior={prior!r} fails: {error}. It has to be a callable (n_codes, "
            "n_components) -> array of one code a row."
        ) from error
    if samples.shape != (n_codes, n_components):
        raise ValueError(
            f"prior({n_codes}, {n_components}) returned draws of shape "
            f"{tuple(samples.shape)}, and should return ({n_codes}, {n_components}): one "
            "row a code."
        )
    return samples


def prior_moments(prior: Prior, n_components: int) -> tuple[Tensor, Tensor]:
    """Estimate mean and standard deviation of each component of `prior` by sampling.

    Raises
    ------
    ValueError
        If a sample is not finite, or has the wrong shape.
    """
    if prior in PRIORS.values():
        return torch.zeros(n_components), torch.ones(n_components)
    samples = sample_codes(prior, N_MOMENT_SAMPLES, n_components)
    if not samples.isfinite().all():
        raise ValueError("prior returned draws that are not finite.")
    std = samples.std(0)
    return samples.mean(0), torch.where(std > 0, std, 1.0)


def energy_distance(code: Tensor, samples: Tensor) -> Tensor:
    r"""Compute the contribution of each code to the energy distance from `samples`.

    .. math:: 2 \, \mathrm{E}\|z - p\| - \mathrm{E}\|p - p'\| - \mathrm{E}\|z - z'\|

    for codes :math:`z` and samples :math:`p`. The mean over codes is an unbiased estimate:
    its expectation is zero if both have the same distribution, and positive otherwise.

    Parameters
    ----------
    code : Tensor of shape (n_codes, n_components)
    samples : Tensor of shape (n_samples, n_components)
        Samples of the prior.

    Returns
    -------
    distances : Tensor of shape (n_codes,)

    References
    ----------
    G. J. Szekely and M. L. Rizzo, "Energy statistics: a class of statistics based on
    distances", Journal of Statistical Planning and Inference 143, 2013.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import energy_distance
    >>> codes = torch.tensor([[0.0], [2.0]])
    >>> energy_distance(codes + 100, codes)
    tensor([194., 198.])
    """
    n_codes, n_samples = len(code), len(samples)
    within = torch.cdist(samples, samples).sum() / (n_samples * (n_samples - 1))
    # A single code has no distance to other codes: take the samples' mean distance.
    among = torch.cdist(code, code).sum(-1) / (n_codes - 1) if n_codes > 1 else within
    return 2 * torch.cdist(code, samples).mean(-1) - within - among


class AdversarialPenalty(nn.Module):
    r"""Adversarial penalty on the distance of the codes' distribution from a prior.

    A critic :math:`D` is trained to return low values for codes :math:`z` and high values
    for samples :math:`p` of the prior [1]_. The encoder is trained to raise the values of
    its codes [2]_. One step trains both, with the gradients of

    .. math::
        \tfrac12 \mathrm{E}\log\big(1 + e^{D(\bar z)}\big)
        + \tfrac12 \mathrm{E}\log\big(1 + e^{-D(p)}\big)
        + V \Big( \mathrm{E}\log\big(1 + e^{-\bar D(z)}\big) + 10 \, \Delta(z, p) \Big)

    where a bar means "no gradient": the first two terms train the critic, and the others
    the encoder. :math:`\Delta` is the energy distance. :math:`V` is the total variance of
    the batch: penalty and squared error change by the same factor with the scale of `x`.

    The value in training is :math:`V (\log 2 - L + 10 \Delta)`, where :math:`L` is the sum
    of the first two terms. :math:`\log 2 - L` is a lower bound on the Jensen-Shannon
    divergence in nats. The value in evaluation mode is one number per row,
    :math:`10 V \Delta`, without the critic: losses of different critics cannot be compared
    between epochs.

    Parameters
    ----------
    prior : callable
        ``(n_codes, n_components) -> samples`` of this shape.
    n_components : int
    sizes : sequence of int, default=(128, 128)
        Widths of the critic's hidden layers.

    References
    ----------
    .. [1] A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey, "Adversarial
       autoencoders", 2016.
    .. [2] I. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, section 3: the
       loss of the encoder, which does not saturate.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import AdversarialPenalty, Dense
    >>> x, network = torch.randn(50, 3), Dense()(3, 2)
    >>> penalty = AdversarialPenalty(torch.randn, n_components=2)
    >>> penalty(network, x, network(x)).shape
    torch.Size([])
    >>> penalty.eval()(network, x, network(x)).shape
    torch.Size([50])
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self, prior: Prior, n_components: int, sizes: Sequence[int] = (128, 128)
    ) -> None:
        super().__init__()
        self.prior = prior
        center, scale = prior_moments(prior, n_components)
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        widths, layers = [n_components, *sizes], []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.GELU()]
        self.critic = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the penalty: a scalar in training, else one number per row of `x`."""
        total_variance = x.var(-2, correction=0).sum()
        if not self.training:
            code = self._standardise(out.code)
            samples = self._sample(out.code, N_VALIDATION_SAMPLES)
            return DISTANCE_WEIGHT * total_variance * energy_distance(code, samples)
        # Codes of uncorrupted rows, as ``transform`` computes them.
        code = self._standardise(network.encode(x))
        samples = self._sample(code, SAMPLES_PER_CODE * len(x))
        critic_loss = self.critic_loss(code.detach(), samples)
        encoder_loss = total_variance * self.encoder_loss(code)
        divergence = total_variance * (math.log(2) - critic_loss)
        distance = DISTANCE_WEIGHT * total_variance * energy_distance(code, samples).mean()
        # Both losses enter by their gradients alone: these differences are zero.
        gradients = critic_loss - critic_loss.detach()
        gradients = gradients + (encoder_loss - encoder_loss.detach())
        return divergence.detach() + gradients + distance

    def critic_loss(self, code: Tensor, samples: Tensor) -> Tensor:
        """Compute the critic's mean cross-entropy in nats; log 2 is that of chance."""
        code_loss = F.softplus(self.critic(code)).mean()
        sample_loss = F.softplus(-self.critic(samples)).mean()
        return (code_loss + sample_loss) / 2

    def encoder_loss(self, code: Tensor) -> Tensor:
        """Compute the encoder's loss in nats, without a gradient for the critic."""
        frozen = {name: p.detach() for name, p in self.critic.named_parameters()}
        return F.softplus(-call_with_tensors(self.critic, frozen, (code,))).mean()

    def _standardise(self, code: Tensor) -> Tensor:
        return (code - self.center) / self.scale

    def _sample(self, like: Tensor, n_codes: int) -> Tensor:
        samples = sample_codes(self.prior, n_codes, like.shape[-1])
        return self._standardise(samples.to(like))
