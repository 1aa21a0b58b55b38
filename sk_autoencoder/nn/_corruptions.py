"""Corruptions: layers that change scaled rows while training and not otherwise.

One that changes each cell for itself may say by ``moments`` what that does to a column of
known mean and variance; a linear denoiser then needs no draws.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """Add independent Gaussian noise to every cell while training.

    Parameters
    ----------
    std : float
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

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, with noise while training."""
        if not self.training or self.std == 0:
            return x
        return torch.randn_like(x).mul_(self.std).add_(x)

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return the share of a cell that is kept, and mean and variance afterwards."""
        return 1.0, mean, variance + self.std**2

    def extra_repr(self) -> str:
        return f"std={self.std}"


class ReplacementNoise(nn.Module):
    """Replace a share of the cells, each drawn for itself, while training.

    Parameters
    ----------
    share : float in [0, 1]
        Probability that a cell is replaced.

    References
    ----------
    P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
    Research 11, 2010, section 3.5.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def replacement(self, x: Tensor) -> Tensor:
        """Return what may stand in place of each cell of `x`, of the same shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, with replaced cells while training."""
        if not self.training or self.share == 0:
            return x
        return torch.where(torch.rand_like(x) < self.share, self.replacement(x), x)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of what replaces a cell, for each column."""
        raise NotImplementedError

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return the share of a cell that is kept, and mean and variance afterwards."""
        kept, new_mean, new_variance = (
            1 - self.share,
            *self.replacement_moments(mean, variance),
        )
        between = kept * self.share * (new_mean - mean) ** 2
        variance = kept * variance + self.share * new_variance + between
        return kept, kept * mean + self.share * new_mean, variance

    def extra_repr(self) -> str:
        return f"share={self.share}"


class MaskingNoise(ReplacementNoise):
    """Set a share of the cells to zero, the mean of scaled rows, while training.

    Parameters
    ----------
    share : float in [0, 1]
        Probability that a cell is replaced.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import MaskingNoise
    >>> MaskingNoise(1.0)(torch.ones(1, 2))
    tensor([[0., 0.]])
    """

    def replacement(self, x: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(x)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return zeros."""
        return torch.zeros_like(mean), torch.zeros_like(variance)


class SaltAndPepperNoise(ReplacementNoise):
    """Set a share of the cells to the column's lowest or highest value while training.

    Parameters
    ----------
    share : float in [0, 1]
        Probability that a cell is replaced.
    low, high : Tensor of shape (n_features,)
        The two values of each column, equally likely, in scaled units.

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

    def __init__(self, share: float, low: Tensor, high: Tensor) -> None:
        super().__init__(share)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def replacement(self, x: Tensor) -> Tensor:
        """Return the lowest or the highest values."""
        return torch.where(torch.rand_like(x) < 0.5, self.low, self.high)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the middle of the range, and the square of half of it."""
        low, high = self.low.to(mean), self.high.to(mean)
        return (low + high) / 2, ((high - low) / 2) ** 2


class SwapNoise(ReplacementNoise):
    """Give a share of the cells the value of another row of the batch while training.

    A cell so gets a value that its column really has, which suits tables whose columns
    are counts, codes or far from Gaussian.

    Parameters
    ----------
    share : float in [0, 1]
        Probability that a cell is replaced.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import SwapNoise
    >>> SwapNoise(1.0)(torch.tensor([[1.0, 10.0], [2.0, 20.0]]))
    tensor([[ 2., 20.],
            [ 1., 10.]])
    """

    def replacement(self, x: Tensor) -> Tensor:
        """Return for each cell the value of a row other than its own, if there is one."""
        n_rows = len(x)
        steps = torch.rand_like(x).mul(n_rows - 1).floor().long() + 1
        own = torch.arange(n_rows, device=x.device).unsqueeze(1)
        return x.gather(0, (own + steps) % n_rows)

    def replacement_moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the column has."""
        return mean, variance


class RandomMissing(nn.Module):
    """Make a share of the observed cells missing (NaN) while training.

    How large a share is drawn for each row, between half and one and a half times the
    given one; a row keeps one observed cell at least.

    Parameters
    ----------
    share : float in [0, 2/3]
        Mean probability that a cell is hidden.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Hiding
    >>> 0.2 < Hiding(0.3)(torch.ones(200, 9)).isnan().float().mean() < 0.4
    tensor(True)
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, with cells hidden while training."""
        if not self.training or self.share == 0:
            return x
        share = self.share * (0.5 + torch.rand_like(x[..., :1]))
        found = torch.where(torch.rand_like(x) < share, torch.nan, x)
        is_empty = found.isnan().all(-1, keepdim=True)
        return torch.where(is_empty, x, found)

    def extra_repr(self) -> str:
        return f"share={self.share}"


class WhileTraining(nn.Module):
    """Apply a function to scaled rows while training.

    Parameters
    ----------
    function : callable
        Takes and returns a tensor of shape (batch, n_features).

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
        """Return the function of `x` while training, and `x` otherwise."""
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
