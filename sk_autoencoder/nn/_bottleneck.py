"""Strided convolutions to a narrow code and back, in one or two dimensions.

The networks of images (:mod:`._convolutional`) and of time series (:mod:`._temporal`)
differ in how flat rows become maps, and in nothing else.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from sk_autoencoder.nn._base import LinearSkipNetwork, check_positive_sizes
from sk_autoencoder.nn._dense import Dropout

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d}
TRANSPOSED_CONVOLUTIONS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}


class MapsLayer(nn.Module):
    """Base class of layers that reshape flat rows to maps (batch, n_maps, *places).

    Attributes
    ----------
    n_maps : int
    places : tuple of int
        Size of a map, one number for each dimension.
    """

    n_maps: int
    places: tuple[int, ...]

    def inverse(self, maps: Tensor) -> Tensor:
        """Reshape maps to the rows (batch, n_features)."""
        raise NotImplementedError


class ToRows(nn.Module):
    """Reshape maps to flat rows, the inverse of a :class:`MapsLayer`."""

    def __init__(self, to_maps: MapsLayer) -> None:
        super().__init__()
        self.to_maps = to_maps

    def forward(self, maps: Tensor) -> Tensor:
        """Reshape `maps` (batch, n_maps, *places) to rows (batch, n_features)."""
        return self.to_maps.inverse(maps)


class BottleneckNetwork(LinearSkipNetwork):
    """Convolutions that halve their maps, a narrow code, and the mirrored decoder.

    Parameters
    ----------
    to_maps : MapsLayer
        Makes maps whose sizes are multiples of ``2 ** (len(channels) - 1)``.
    channels : sequence of int
        Number of maps of each convolution.
    kernel_size : int
    activation : callable
        Returns a new module of the nonlinearity.
    dropout : float
    n_components : int
    """

    def __init__(
        self,
        to_maps: MapsLayer,
        channels: Sequence[int],
        kernel_size: int,
        activation: Callable[[], nn.Module],
        dropout: float,
        n_components: int,
    ) -> None:
        super().__init__(n_components)
        n_dims, n_maps = len(to_maps.places), to_maps.n_maps
        stages = list(pairwise(channels))
        drop = [Dropout(dropout)] if dropout else []
        shape = (channels[-1], *(size // 2 ** len(stages) for size in to_maps.places))
        down = [convolution(n_dims, n_maps, channels[0], kernel_size), activation()]
        up: list[nn.Module] = []
        for n_in, n_out in stages:
            down += [convolution(n_dims, n_in, n_out, kernel_size, stride=2), activation()]
            up = [upsampling(n_dims, n_out, n_in), activation(), *up]
        self.encoder = nn.Sequential(
            to_maps,
            *down,
            nn.Flatten(-len(shape)),
            *drop,
            nn.Linear(prod(shape), n_components),
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, prod(shape)),
            nn.Unflatten(-1, shape),
            activation(),
            *drop,
            *up,
            convolution(n_dims, channels[0], n_maps, kernel_size),
            ToRows(to_maps),
        )

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder return zeros."""
        zero_parameters(self.encoder[-1])
        zero_parameters(self.decoder[-2])


def convolution(
    n_dims: int, n_in: int, n_out: int, kernel_size: int, stride: int = 1
) -> nn.Module:
    """Make a convolution that keeps the size of maps, or divides it by `stride`."""
    return CONVOLUTIONS[n_dims](n_in, n_out, kernel_size, stride, padding=kernel_size // 2)


def upsampling(n_dims: int, n_in: int, n_out: int) -> nn.Module:
    """Make a transposed convolution that doubles the size of maps."""
    return TRANSPOSED_CONVOLUTIONS[n_dims](n_in, n_out, 2, stride=2)


@torch.no_grad()
def zero_parameters(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero, in place."""
    for parameter in layer.parameters():
        parameter.zero_()


def check_kernel_size(value: int) -> int:
    """Check that the parameter `kernel_size` is odd, so that maps keep their size."""
    (kernel_size,) = check_positive_sizes("kernel_size", value)
    if not kernel_size % 2:
        raise ValueError(f"kernel_size={kernel_size} has to be odd.")
    return kernel_size
