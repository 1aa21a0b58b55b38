"""Critics: they learn to tell codes from draws of a prior, and the encoder to prevent it.

A prior is a callable ``(n_codes, n_components)`` that returns so many draws. Those here use
torch's own generator, and each of their components has mean 0 and variance 1.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from sk_autoencoder.nn._base import Network, NetworkOutput

Prior = Callable[[int, int], Any]
N_MIXTURE_COMPONENTS, MIXTURE_COMPONENT_STD = 10, 0.25  # of the mixture
SAMPLES_PER_CODE = 4  # draws cost nothing, and more of them make the critic steadier
N_VALIDATION_SAMPLES = 512  # that held-out codes are compared with
DISTANCE_WEIGHT = 10.0  # of the distance from the prior, in units of the critic's weight
N_MOMENT_SAMPLES = 10_000


def sample_normal(n_codes: int, n_components: int) -> Tensor:
    """Draw (n_codes, n_components) independent standard normal numbers."""
    return torch.randn(n_codes, n_components)


def sample_uniform(n_codes: int, n_components: int) -> Tensor:
    """Draw (n_codes, n_components) independent numbers between -√3 and √3."""
    return math.sqrt(3) * (2 * torch.rand(n_codes, n_components) - 1)


def sample_mixture(n_codes: int, n_components: int) -> Tensor:
    """Draw (n_codes, n_components) from ten normal distributions on a circle.

    Their standard deviation is 0.25 in the first two components, in which their means lie
    on a circle; further components are standard normal. Of a single component, it is the
    circle's shadow.
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
    """Return draws of `prior` as a float32 tensor of shape (n_codes, n_components).

    Raises
    ------
    ValueError
        If they have another shape.
    """
    drawn = torch.as_tensor(prior(n_codes, n_components), dtype=torch.float32)
    if drawn.shape != (n_codes, n_components):
        raise ValueError(
            f"prior({n_codes}, {n_components}) returned draws of shape "
            f"{tuple(drawn.shape)}, and should return ({n_codes}, {n_components}): one "
            "row a code."
        )
    return drawn


def prior_moments(prior: Prior, n_components: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each component of `prior`, by many draws.

    Raises
    ------
    ValueError
        If a draw is not finite, or has the wrong shape.
    """
    if prior in PRIORS.values():
        return torch.zeros(n_components), torch.ones(n_components)
    drawn = sample_codes(prior, N_MOMENT_SAMPLES, n_components)
    if not drawn.isfinite().all():
        raise ValueError("prior returned draws that are not finite.")
    std = drawn.std(0)
    return drawn.mean(0), torch.where(std > 0, std, 1.0)


def energy_distance(code: Tensor, drawn: Tensor) -> Tensor:
    r"""Return what each code adds to the energy distance from `drawn` codes.

    .. math:: 2 \, \mathrm{E}\|z - p\| - \mathrm{E}\|p - p'\| - \mathrm{E}\|z - z'\|

    without bias: the mean is zero on average if both have one distribution, and positive
    if not.

    Parameters
    ----------
    code : Tensor of shape (n_codes, n_components)
    drawn : Tensor of shape (n_drawn, n_components)

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
    n_codes, n_drawn = len(code), len(drawn)
    within = torch.cdist(drawn, drawn).sum() / (n_drawn * (n_drawn - 1))
    # A code alone has no others: as if they were spread as the draws are.
    among = torch.cdist(code, code).sum(-1) / (n_codes - 1) if n_codes > 1 else within
    return 2 * torch.cdist(code, drawn).mean(-1) - within - among


class AdversarialPenalty(nn.Module):
    r"""A critic that pulls codes towards a prior; trained with the encoder, by one step.

    A critic :math:`D` gives codes :math:`z` low and draws :math:`p` of the prior high
    values; the encoder tries to get high ones. The gradients are those of

    .. math::
        \tfrac12 \mathrm{E}\log\big(1 + e^{D(\bar z)}\big)
        + \tfrac12 \mathrm{E}\log\big(1 + e^{-D(p)}\big)
        + V \Big( \mathrm{E}\log\big(1 + e^{-\bar D(z)}\big) + 10 \, \Delta(z, p) \Big)

    where a bar stands for "no gradient", so that the first two terms train the critic and
    the others the encoder; :math:`\Delta` is the energy distance, and :math:`V` the total
    variance of the batch, to which the error is proportional too. The value while training
    is :math:`V (\log 2 - L + 10 \Delta)`, :math:`L` being the first two terms:
    :math:`\log 2 - L` is the Jensen-Shannon divergence in nats, as far as the critic sees
    it.

    In evaluation mode the value is one number a row, :math:`10 V \Delta`: what a critic
    says cannot be compared from epoch to epoch.

    Parameters
    ----------
    prior : callable
        ``(n_codes, n_components) -> draws``
    n_components : int
    sizes : sequence of int, default=(128, 128)
        Widths of the critic's hidden layers.

    References
    ----------
    .. [1] A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey, "Adversarial
       autoencoders", 2016.
    .. [2] I. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, section 3: the
       encoder's term, which does not saturate.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import CriticPenalty, normal
    >>> from sk_autoencoder.nn import Dense
    >>> x, network = torch.randn(50, 3), Dense()(3, 2)
    >>> penalty = CriticPenalty(normal, 2)
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
        """Return one number while training, and else one a row of `x`."""
        total_variance = x.var(-2, correction=0).sum()
        if not self.training:
            code, drawn = (
                self._standardise(out.code),
                self._draw(out.code, N_VALIDATION_SAMPLES),
            )
            return DISTANCE_WEIGHT * total_variance * energy_distance(code, drawn)
        # The codes of rows without noise, which are those that are used later.
        code = self._standardise(network.encode(x))
        drawn = self._draw(code, SAMPLES_PER_CODE * len(x))
        loss = self.critic_loss(code.detach(), drawn)
        fooled = total_variance * self.encoder_loss(code)
        divergence = total_variance * (math.log(2) - loss)
        distance = DISTANCE_WEIGHT * total_variance * energy_distance(code, drawn).mean()
        gradients = (loss - loss.detach()) + (fooled - fooled.detach())  # of value zero
        return divergence.detach() + gradients + distance

    def critic_loss(self, code: Tensor, drawn: Tensor) -> Tensor:
        """Return the critic's mean cross-entropy in nats; log 2 if it cannot tell."""
        told = F.softplus(self.critic(code)).mean() + F.softplus(-self.critic(drawn)).mean()
        return told / 2

    def encoder_loss(self, code: Tensor) -> Tensor:
        """Return what the encoder minimises, with no gradient for the critic."""
        frozen = {name: p.detach() for name, p in self.critic.named_parameters()}
        return F.softplus(-functional_call(self.critic, frozen, (code,))).mean()

    def _standardise(self, code: Tensor) -> Tensor:
        return (code - self.center) / self.scale

    def _draw(self, like: Tensor, n_codes: int) -> Tensor:
        drawn = sample_codes(self.prior, n_codes, like.shape[-1])
        return self._standardise(drawn.to(like))
