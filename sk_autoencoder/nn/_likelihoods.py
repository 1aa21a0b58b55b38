"""Likelihoods: what a variational decoder says of rows, in nats.

A likelihood takes ``(output, x)``, the decoder's output and scaled rows, both of shape
(batch, n_features), and gives minus the log-likelihood of each row: of its observed cells,
where cells may be missing (NaN). Its ``draw`` makes rows, in the units of X, of their
means.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial as NegativeBinomialDistribution
from torch.distributions import Poisson as PoissonDistribution
from torch.nn import functional as F

LEAST_VARIANCE = 1e-4  # in squared scaled units: exact rows have no finite density
LEAST_MEAN = 1e-6  # of counts: the logarithm of zero is not finite
SHARPNESS, LARGEST_LOG = 10.0, 20.0  # of the positive part of a log-count


def count_mean(log1p: Tensor) -> Tensor:
    """Return the positive mean whose ``log1p`` is, nearly, the given number.

    Below about 0.2, where a linear model of log-counts may go negative, the number is
    bent to stay positive.
    """
    return (F.softplus(SHARPNESS * log1p) / SHARPNESS).clamp(max=LARGEST_LOG).expm1()


class Likelihood(nn.Module):
    """Base class of likelihoods of the columns of scaled rows, given the decoder's output.

    Parameters
    ----------
    n_features : int

    Attributes
    ----------
    skips_missing : bool
        Whether cells of `x` may be missing.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.skips_missing = False
        self.register_buffer("center", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    @torch.no_grad()
    def start_from(self, center: Tensor, scale: Tensor, variance: Tensor) -> None:
        """Learn the scale of X, and start at noise of a `variance` in scaled units."""
        self.center.copy_(center)
        self.scale.copy_(scale)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of each row of `x`, of shape (batch,)."""
        if not self.skips_missing:
            return self.cells(output, x).sum(-1)
        is_missing = x.isnan()  # filled first: NaN would come back in gradients
        found = self.cells(output, torch.where(is_missing, 0.0, x))
        return torch.where(is_missing, 0.0, found).sum(-1)

    def cells(self, output: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of each cell of `x` (batch, n_features)."""
        raise NotImplementedError

    def log_abs_det_jacobian(self) -> Tensor:
        """Return what the log-density of a cell in scaled units has to lose.

        To be one in those of X; of shape (n_features,).
        """
        return torch.zeros_like(self.scale)


class Gaussian(Likelihood):
    """Normal noise, of one variance or one a feature.

    Parameters
    ----------
    n_features : int
    per_feature : bool, default=False
        Whether each feature has a variance of its own.
    learned : bool, default=True
        Whether training changes the variance.
    """

    def __init__(
        self, n_features: int, per_feature: bool = False, learned: bool = True
    ) -> None:
        super().__init__(n_features)
        shape = (n_features if per_feature else 1,)
        self.log_variance = nn.Parameter(torch.zeros(shape), requires_grad=learned)

    @torch.no_grad()
    def start_from(self, center: Tensor, scale: Tensor, variance: Tensor) -> None:
        """Learn the scale of X, and start at noise of a `variance` in scaled units."""
        super().start_from(center, scale, variance)
        wished = variance.expand(self.scale.shape)[: len(self.log_variance)]
        self.log_variance.copy_(wished.clamp(min=LEAST_VARIANCE).log())

    @property
    def variance(self) -> Tensor:
        """Variances of the noise, of shape (1 or n_features,), in squared scaled units."""
        return self.log_variance.exp().clamp(min=LEAST_VARIANCE)

    def cells(self, output: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-density of each cell of `x`, in scaled units."""
        variance = self.variance
        return ((x - output).square() / variance + (2 * math.pi * variance).log()) / 2

    def draw(self, mean: Tensor) -> Tensor:
        """Return rows (batch, n_features) drawn around `mean`, in the units of X."""
        return mean + self.scale * self.variance.sqrt() * torch.randn_like(mean)

    def log_abs_det_jacobian(self) -> Tensor:
        """Return what the log-density of a cell has to lose, of shape (n_features,)."""
        return self.scale.log()


class Bernoulli(Likelihood):
    """Coins whose logits are the decoder's output; other values in [0, 1] are shares."""

    def cells(self, output: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of each cell of `x`."""
        return F.binary_cross_entropy_with_logits(output, x, reduction="none")

    def draw(self, mean: Tensor) -> Tensor:
        """Return rows of zeros and ones whose `mean` (batch, n_features) is given."""
        return torch.bernoulli(mean)


class Counts(Likelihood):
    """Base class of likelihoods of counts, of which ``log1p`` is what is scaled."""

    distribution: Callable[[Tensor], torch.distributions.Distribution]

    def cells(self, output: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-likelihood of the count behind each cell of `x`."""
        counts = (x * self.scale + self.center).expm1().round()
        mean = count_mean(output * self.scale + self.center)
        distribution = self.distribution(mean.clamp(min=LEAST_MEAN))
        return -distribution.log_prob(counts)

    def draw(self, mean: Tensor) -> Tensor:
        """Return counts whose `mean` (batch, n_features) is given."""
        return self.distribution(mean.clamp(min=LEAST_MEAN)).sample()


class Poisson(Counts):
    """Counts as variable as their mean."""

    def distribution(self, mean: Tensor) -> torch.distributions.Distribution:
        """Return the distribution of counts of that `mean`."""
        return PoissonDistribution(mean, validate_args=False)


class NegativeBinomial(Counts):
    r"""Counts more variable than their mean: :math:`\mu + \mu^2 / \theta`.

    Each feature has its own :math:`\theta`, which is learned.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.log_theta = nn.Parameter(torch.ones(n_features))

    def distribution(self, mean: Tensor) -> torch.distributions.Distribution:
        """Return the distribution of counts of that `mean`."""
        logits = mean.log() - self.log_theta
        return NegativeBinomialDistribution(
            self.log_theta.exp().expand_as(mean), logits=logits, validate_args=False
        )


LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
}


def make_likelihood(name: str, n_features: int, variance: Any) -> Likelihood:
    """Return the likelihood `name`; a Gaussian one with a `variance` learned or given.

    Parameters
    ----------
    name : str
        A key of ``LIKELIHOODS``.
    n_features : int
    variance : {"shared", "per_feature"} or a number or array
        What is given is not learned.
    """
    if name != "gaussian":
        return LIKELIHOODS[name](n_features)
    is_given = not isinstance(variance, str)
    return Gaussian(n_features, is_given or variance == "per_feature", not is_given)
