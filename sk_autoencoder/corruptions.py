"""Corruptions: layers that change scaled rows while training and not otherwise."""

import torch
from torch import Tensor, nn

__all__ = ["GaussianNoise"]


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
    >>> from sk_autoencoder.corruptions import GaussianNoise
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

    def extra_repr(self) -> str:
        return f"std={self.std}"
