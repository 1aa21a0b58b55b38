"""Likelihoods of rows given the output of a variational decoder, in nats.

A likelihood maps ``(output, x)``, the decoder's output and scaled rows of shape
(batch, n_features), to the negative log-likelihood (batch,) of the observed entries. Its
method ``sample`` draws rows given their means, in the units of X.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial as NegativeBinomialDistribution
from torch.distributions import Poisson as PoissonDistribution
from torch.nn import functional as F

# In squared scaled units: the density of exactly reconstructed rows would be infinite.
MIN_DECODER_VARIANCE = 1e-4
MIN_COUNT_MEAN = 1e-6  # of a count: the logarithm of zero is infinite
SOFTPLUS_SHARPNESS = 10.0  # per unit of log1p(count): the softplus bends below about 0.2
MAX_LOG_COUNT = 20.0  # of log1p(count): the exponential stays finite


def count_mean(log1p: Tensor) -> Tensor:
    """Invert ``log1p`` of a mean count, with a positive result.

    A linear model of log-counts may return negative numbers. A softplus makes them
    positive, and changes numbers above about 0.2 very little.
    """
    positive = F.softplus(SOFTPLUS_SHARPNESS * log1p) / SOFTPLUS_SHARPNESS
    return positive.clamp(max=MAX_LOG_COUNT).expm1()


class Likelihood(nn.Module):
    """Base class of likelihoods of scaled rows given the decoder's output.

    A subclass defines ``nll_per_entry`` and ``sample``. Entries of a row are independent
    given the output.

    Parameters
    ----------
    n_features : int

    Attributes
    ----------
    skips_missing : bool
        Whether entries of `x` may be missing (NaN). The likelihood is then that of the
        observed entries.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Likelihood
    >>> class Laplace(Likelihood):
    ...     def nll_per_entry(self, output, x):
    ...         return (x - output).abs() + torch.tensor(2.0).log()
    >>> Laplace(n_features=2)(torch.zeros(1, 2), torch.tensor([[1.0, -2.0]]))
    tensor([4.3863])
    """

    center: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.skips_missing = False
        self.register_buffer("center", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))

    @torch.no_grad()
    def start_from(self, center: Tensor, scale: Tensor, variance: Tensor) -> None:
        """Store the scaling of X, and initialise the noise `variance` in scaled units."""
        self.center.copy_(center)
        self.scale.copy_(scale)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each row of `x`, of shape (batch,)."""
        if not self.skips_missing:
            return self.nll_per_entry(output, x).sum(-1)
        is_missing = x.isnan()
        # Missing entries are filled before the error: masking its result would leave NaN in
        # the gradients.
        errors = self.nll_per_entry(output, torch.where(is_missing, 0.0, x))
        return torch.where(is_missing, 0.0, errors).sum(-1)

    def nll_per_entry(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each entry of `x` (batch, n_features)."""
        raise NotImplementedError

    def sample(self, mean: Tensor) -> Tensor:
        """Draw rows with the given `mean` (batch, n_features), in the units of X."""
        raise NotImplementedError

    def log_abs_det_jacobian(self) -> Tensor:
        """Compute the log absolute determinant of the scaling, per feature.

        A log-density in the units of X is that in scaled units minus this, of shape
        (n_features,). It is zero for a discrete distribution.
        """
        return torch.zeros_like(self.scale)


class Gaussian(Likelihood):
    """Gaussian likelihood, with one variance or with one per feature.

    Parameters
    ----------
    n_features : int
    per_feature : bool, default=False
        Whether each feature has a separate variance.
    learned : bool, default=True
        Whether training changes the variance.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Gaussian
    >>> x, output = torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)
    >>> Gaussian(n_features=2, learned=False)(output, x)  # log(2 pi) + 2 ** 2 / 2
    tensor([3.8379])
    """

    def __init__(
        self, n_features: int, per_feature: bool = False, learned: bool = True
    ) -> None:
        super().__init__(n_features)
        shape = (n_features if per_feature else 1,)
        self.log_variance = nn.Parameter(torch.zeros(shape), requires_grad=learned)

    @torch.no_grad()
    def start_from(self, center: Tensor, scale: Tensor, variance: Tensor) -> None:
        """Store the scaling of X, and initialise the noise `variance` in scaled units."""
        super().start_from(center, scale, variance)
        initial = variance.expand(self.scale.shape)[: len(self.log_variance)]
        self.log_variance.copy_(initial.clamp(min=MIN_DECODER_VARIANCE).log())

    @property
    def variance(self) -> Tensor:
        """Noise variances of shape (1 or n_features,), in squared scaled units."""
        return self.log_variance.exp().clamp(min=MIN_DECODER_VARIANCE)

    def nll_per_entry(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-density of each entry of `x`, in scaled units."""
        variance = self.variance
        return ((x - output).square() / variance + (2 * math.pi * variance).log()) / 2

    def sample(self, mean: Tensor) -> Tensor:
        """Draw rows (batch, n_features) with the given `mean`, in the units of X."""
        std = self.scale.to(mean) * self.variance.sqrt()
        return mean + std * torch.randn_like(mean)

    def log_abs_det_jacobian(self) -> Tensor:
        """Compute the logarithms (n_features,) of the scale of each feature."""
        return self.scale.log()


class Bernoulli(Likelihood):
    """Bernoulli likelihood with the decoder's output as logits.

    Entries between 0 and 1 are expected values of zeros and ones. Their error is the
    cross-entropy.

    Parameters
    ----------
    n_features : int

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Bernoulli
    >>> Bernoulli(n_features=2)(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))  # 2 log(2)
    tensor([1.3863])
    """

    def nll_per_entry(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each entry of `x`."""
        return F.binary_cross_entropy_with_logits(output, x, reduction="none")

    def sample(self, mean: Tensor) -> Tensor:
        """Draw rows of zeros and ones with the given `mean` (batch, n_features)."""
        return torch.bernoulli(mean)


class Counts(Likelihood):
    """Base class of likelihoods of counts, for rows of scaled ``log1p`` of counts."""

    distribution: Callable[[Tensor], torch.distributions.Distribution]

    def nll_per_entry(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-likelihood of the count of each entry of `x`."""
        center, scale = self.center.to(x.dtype), self.scale.to(x.dtype)
        counts = (x * scale + center).expm1().round()
        mean = count_mean(output * scale + center)
        distribution = self.distribution(mean.clamp(min=MIN_COUNT_MEAN))
        return -distribution.log_prob(counts)

    def sample(self, mean: Tensor) -> Tensor:
        """Draw counts with the given `mean` (batch, n_features)."""
        return self.distribution(mean.clamp(min=MIN_COUNT_MEAN)).sample()


class Poisson(Counts):
    """Poisson likelihood of counts, whose variance is their mean.

    Parameters
    ----------
    n_features : int

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Poisson
    >>> likelihood = Poisson(n_features=1)
    >>> counts = torch.tensor([[0.0], [3.0]])
    >>> likelihood(torch.tensor([[0.0], [3.0]]).log1p(), counts.log1p()) < 2
    tensor([True, True])
    """

    def distribution(self, mean: Tensor) -> torch.distributions.Distribution:
        """Make the distribution of counts with the given `mean`."""
        return PoissonDistribution(mean, validate_args=False)


class NegativeBinomial(Counts):
    r"""Negative binomial likelihood of counts, with variance :math:`\mu + \mu^2 / \theta`.

    Training learns one dispersion parameter :math:`\theta` per feature.

    Parameters
    ----------
    n_features : int

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import NegativeBinomial
    >>> likelihood = NegativeBinomial(n_features=2)
    >>> counts = torch.tensor([[0.0, 7.0]])
    >>> likelihood(counts.log1p(), counts.log1p()).shape
    torch.Size([1])
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.log_theta = nn.Parameter(torch.ones(n_features))

    def distribution(self, mean: Tensor) -> torch.distributions.Distribution:
        """Make the distribution of counts with the given `mean`."""
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
    """Make the likelihood called `name`.

    Parameters
    ----------
    name : str
        A key of ``LIKELIHOODS``.
    n_features : int
    variance : {"shared", "per_feature"} or a number or array
        Variance of a Gaussian likelihood. A number or an array stays fixed.
    """
    if name != "gaussian":
        return LIKELIHOODS[name](n_features)
    is_fixed = not isinstance(variance, str)
    return Gaussian(n_features, is_fixed or variance == "per_feature", not is_fixed)
