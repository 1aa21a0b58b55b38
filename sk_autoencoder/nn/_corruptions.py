"""Corruptions: layers that change scaled rows in training mode, and in no other.

A corruption with independent changes of entries may define ``moments``, its effect on the
mean and variance of a column. A linear denoiser then needs no Monte Carlo samples.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Largest share of rows that lose what an incomplete row misses. Columns that are missing
# together, of four tables, December 2026: 0.5 lowers the error by 2 to 10 %, 1 by up to 4 %
# more on two of them. Where cells are missing at random it changes by -5 to 3 %.
MAX_PATTERN_SHARE = 0.75
N_FEW_PATTERNS = 50  # patterns of which half of that share is drawn


class GaussianNoise(nn.Module):
    """Add independent Gaussian noise to all entries in training.

    Parameters
    ----------
    std : float or Tensor of shape (n_features,)
        Standard deviation of the noise, in scaled units.

    References
    ----------
    C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
    Neural Computation 7, 1995.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import GaussianNoise
    >>> GaussianNoise(0.3).eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    std: float | Tensor

    def __init__(self, std: float | Tensor) -> None:
        super().__init__()
        self.is_zero = not torch.as_tensor(std).any()
        if isinstance(std, Tensor):
            self.register_buffer("std", std)
        else:
            self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to `x` in training."""
        if not self.training or self.is_zero:
            return x
        return torch.randn_like(x).mul_(self.std).add_(x)

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[float, Tensor, Tensor]:
        """Compute the kept fraction of an entry, and the new mean and variance."""
        return 1.0, mean, variance + self.std**2

    def extra_repr(self) -> str:
        return f"std={self.std}"


def draw_uniform(x: Tensor, columns: Tensor | None) -> Tensor:
    """Draw a uniform number for each entry of `x` (batch, n_features).

    Entries with one index in `columns`, of shape (n_features,), get the same number.
    """
    if columns is None:
        return torch.rand_like(x)
    shape = *x.shape[:-1], int(columns.max()) + 1
    drawn = torch.rand(shape, dtype=x.dtype, device=x.device)
    return drawn.index_select(-1, columns)


class ReplacementNoise(nn.Module):
    """Base class of corruptions that replace random entries in training.

    Parameters
    ----------
    probability : float in [0, 1]
        Probability that an entry is replaced, independently of the others.
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry, whose entries are replaced together, as those of
        a category; None stands for columns of one entry.

    References
    ----------
    P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
    Research 11, 2010, section 3.5.
    """

    columns: Tensor | None

    def __init__(self, probability: float, columns: Tensor | None = None) -> None:
        super().__init__()
        self.probability = probability
        self.register_buffer("columns", columns)

    def replacement(self, x: Tensor) -> Tensor:
        """Compute the replacement of each entry of `x`, of the same shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Replace random entries of `x` in training."""
        if not self.training or self.probability == 0:
            return x
        is_replaced = draw_uniform(x, self.columns) < self.probability
        return torch.where(is_replaced, self.replacement(x), x)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and variance of the replacements in each column."""
        raise NotImplementedError

    def moments(
        self, mean: Tensor, variance: Tensor
    ) -> tuple[float, Tensor, Tensor] | None:
        """Compute the kept fraction of an entry, and the new mean and variance.

        None stands for entries that do not change independently.
        """
        if self.columns is not None:
            return None
        p_kept, p_replaced = 1 - self.probability, self.probability
        new_mean, new_variance = self.replacement_moments(mean, variance)
        between = p_kept * p_replaced * (new_mean - mean) ** 2
        variance = p_kept * variance + p_replaced * new_variance + between
        return p_kept, p_kept * mean + p_replaced * new_mean, variance

    def extra_repr(self) -> str:
        return f"probability={self.probability}"


class MaskingNoise(ReplacementNoise):
    """Set random entries to zero, the mean of scaled rows, in training.

    Parameters
    ----------
    probability : float in [0, 1]
        Probability that an entry is replaced, independently of the others.
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry; entries of one column change together.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import MaskingNoise
    >>> MaskingNoise(1.0)(torch.ones(1, 2))
    tensor([[0., 0.]])
    """

    def replacement(self, x: Tensor) -> Tensor:
        """Replace all entries by zeros."""
        return torch.zeros_like(x)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Set mean and variance to zeros."""
        return torch.zeros_like(mean), torch.zeros_like(variance)


class SaltAndPepperNoise(ReplacementNoise):
    """Set random entries to the lowest or highest value of their column in training.

    Parameters
    ----------
    probability : float in [0, 1]
        Probability that an entry is replaced, independently of the others.
    low, high : Tensor of shape (n_features,)
        The two values of each column, with equal probabilities, in scaled units.
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry; entries of one column change together.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import SaltAndPepperNoise
    >>> noise = SaltAndPepperNoise(1.0, low=torch.zeros(2), high=torch.ones(2))
    >>> sorted(set(noise(torch.full((50, 2), 0.5)).flatten().tolist()))
    [0.0, 1.0]
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        probability: float,
        low: Tensor,
        high: Tensor,
        columns: Tensor | None = None,
    ) -> None:
        super().__init__(probability, columns)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def replacement(self, x: Tensor) -> Tensor:
        """Choose the lowest or the highest value at random."""
        return torch.where(torch.rand_like(x) < 0.5, self.low, self.high)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the middle of the range, and the square of half its width."""
        low, high = self.low.to(mean), self.high.to(mean)
        return (low + high) / 2, ((high - low) / 2) ** 2


class SwapNoise(ReplacementNoise):
    """Replace random entries by the entry of another row of the batch in training.

    Corrupted entries have the distribution of their column. This suits tables with counts,
    categories or other columns that are far from Gaussian.

    Parameters
    ----------
    probability : float in [0, 1]
        Probability that an entry is replaced, independently of the others.
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry; entries of one column change together.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import SwapNoise
    >>> SwapNoise(1.0)(torch.tensor([[1.0, 10.0], [2.0, 20.0]]))
    tensor([[ 2., 20.],
            [ 1., 10.]])
    """

    def replacement(self, x: Tensor) -> Tensor:
        """Gather each entry from a random other row, if there is one."""
        n_rows = len(x)
        steps = draw_uniform(x, self.columns).mul(n_rows - 1).floor().long() + 1
        indices = torch.arange(n_rows, device=x.device).unsqueeze(1)
        return x.gather(0, (indices + steps) % n_rows)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Keep mean and variance of the column."""
        return mean, variance


class RandomMissing(nn.Module):
    """Set random observed entries to NaN in training.

    The probability is drawn for each row, uniformly between 0.5 and 1.5 times the given
    one. In up to three quarters of the rows, the more patterns there are, those of a random
    pattern are hidden instead. A row without any observed entry left stays unchanged.

    Parameters
    ----------
    probability : float in [0, 2/3]
        Mean probability that an entry is hidden.
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry; entries of one column are hidden together.
    patterns : Tensor of shape (n_patterns, n_features) or None, default=None
        Which entries real rows miss, of bool.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._corruptions import RandomMissing
    >>> 0.2 < RandomMissing(0.3)(torch.ones(200, 9)).isnan().float().mean() < 0.4
    tensor(True)
    """

    columns: Tensor | None

    def __init__(
        self,
        probability: float,
        columns: Tensor | None = None,
        patterns: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.probability = probability
        self.register_buffer("columns", columns)
        n_patterns = 0 if patterns is None else len(patterns)
        # No buffer: the number of patterns may change from training to training.
        self.patterns = patterns if n_patterns else None
        self.pattern_share = MAX_PATTERN_SHARE * n_patterns / (n_patterns + N_FEW_PATTERNS)

    def forward(self, x: Tensor) -> Tensor:
        """Hide random entries of `x` in training."""
        if not self.training or self.probability == 0:
            return x
        probabilities = self.probability * (0.5 + torch.rand_like(x[..., :1]))
        is_hidden = draw_uniform(x, self.columns) < probabilities
        if self.patterns is not None:
            drawn = torch.rand_like(x[..., 0]).mul(len(self.patterns)).long()
            has_pattern = torch.rand_like(x[..., :1]) < self.pattern_share
            pattern = self.patterns.to(x.device)[drawn]
            is_hidden = torch.where(has_pattern, pattern, is_hidden)
        result = torch.where(is_hidden, torch.nan, x)
        is_empty = result.isnan().all(-1, keepdim=True)
        return torch.where(is_empty, x, result)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"


# Corruptions of each row by itself, whatever axes come first.
ROWWISE_CORRUPTIONS = (nn.Identity, GaussianNoise, MaskingNoise, RandomMissing)


class WhileTraining(nn.Module):
    """Apply a function to scaled rows in training, as a corruption.

    Parameters
    ----------
    function : callable
        Maps a tensor of shape (batch, n_features) to one of the same shape.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import WhileTraining
    >>> halve = WhileTraining(lambda x: x / 2)
    >>> halve(torch.ones(1, 2)), halve.eval()(torch.ones(1, 2))
    (tensor([[0.5000, 0.5000]]), tensor([[1., 1.]]))
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function to `x` in training."""
        if not self.training:
            return x
        corrupted = self.function(x)
        if corrupted.shape != x.shape:
            raise ValueError(
                f"corruption={self.function!r} has made a tensor of shape "
                f"{tuple(corrupted.shape)} from one of shape {tuple(x.shape)}; it has to "
                "keep the shape."
            )
        return corrupted
