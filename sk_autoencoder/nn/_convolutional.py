"""Convolutional networks: rows are images."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isqrt, prod

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional

from sk_autoencoder.nn._base import (
    LinearSkipNetwork,
    Network,
    check_positive_sizes,
    get_activation,
)
from sk_autoencoder.utils._checks import check_image_shape

FORMATS = ("channels_last", "channels_first")


class Patches(nn.Module):
    """Make maps (batch, n_maps, rows, columns) of flat images, and flat images of maps.

    Each square of `patch` pixels a side becomes the maps of one place; images are filled up
    with zeros, below and to the right, to whole numbers of `multiple` pixels.
    """

    def __init__(self, size: Sequence[int], last: bool, patch: int, multiple: int) -> None:
        super().__init__()
        self.n_channels, self.height, self.width = size
        self.last, self.patch = last, patch
        self.fill = (-self.width % multiple, -self.height % multiple)
        self.n_maps = self.n_channels * patch**2
        full = (self.height + self.fill[1], self.width + self.fill[0])
        self.places = (full[0] // patch, full[1] // patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of rows `x` (batch, n_features)."""
        if self.last:
            shape = (self.height, self.width, self.n_channels)
            images = x.unflatten(-1, shape).movedim(-1, -3)
        else:
            images = x.unflatten(-1, (self.n_channels, self.height, self.width))
        images = functional.pad(images, (0, self.fill[0], 0, self.fill[1]))
        return functional.pixel_unshuffle(images, self.patch)

    def inverse(self, maps: Tensor) -> Tensor:
        """Return the rows (batch, n_features) that maps stand for."""
        images = functional.pixel_shuffle(maps, self.patch)
        images = images[..., : self.height, : self.width]
        return (images.movedim(-3, -1) if self.last else images).flatten(-3)


class ToRows(nn.Module):
    """The way back from maps to rows."""

    def __init__(self, patches: Patches) -> None:
        super().__init__()
        self.patches = patches

    def forward(self, maps: Tensor) -> Tensor:
        return self.patches.inverse(maps)


@torch.no_grad()
def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()


class BottleneckNetwork(LinearSkipNetwork):
    """Convolutions to a narrow code and, mirrored, back; see :class:`Convolutional`."""

    def __init__(
        self,
        patches: Patches,
        channels: Sequence[int],
        kernel_size: int,
        activation: Callable[[], nn.Module],
        dropout: float,
        n_components: int,
    ) -> None:
        super().__init__(n_components)
        stages, drop = list(pairwise(channels)), [nn.Dropout(dropout)] if dropout else []
        shape = (channels[-1], *(n // 2 ** len(stages) for n in patches.places))
        down = [convolution(patches.n_maps, channels[0], kernel_size), activation()]
        up: list[nn.Module] = []
        for a, b in stages:
            down += [convolution(a, b, kernel_size, stride=2), activation()]
            up = [nn.ConvTranspose2d(b, a, 2, stride=2), activation(), *up]
        self.encoder = nn.Sequential(
            patches, *down, nn.Flatten(-3), *drop, nn.Linear(prod(shape), n_components)
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, prod(shape)),
            nn.Unflatten(-1, shape),
            activation(),
            *drop,
            *up,
            convolution(channels[0], patches.n_maps, kernel_size),
            ToRows(patches),
        )

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder give zeros."""
        _zero(self.encoder[-1])
        _zero(self.decoder[-2])


def convolution(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2)


class ImageNetwork(Network):
    """A U-shaped network that changes an image; the code is the image itself.

    It starts at the identity, and by no linear map: one that was fitted to the same images
    makes them too easy.
    """

    def __init__(
        self,
        patches: Patches,
        channels: Sequence[int],
        kernel_size: int,
        activation: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.patches = patches
        self.body = nn.Sequential(
            convolution(patches.n_maps, channels[0], kernel_size),
            activation(),
            Level(channels, kernel_size, activation),
            convolution(channels[0], patches.n_maps, kernel_size),
        )
        _zero(self.body[-1])

    def encode(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def decode(self, code: Tensor) -> Tensor:
        """Return `code` and what the convolutions add."""
        return code + self.patches.inverse(self.body(self.patches(code)))


class Level(nn.Module):
    """Add what two convolutions give, then what coarser levels give."""

    def __init__(
        self, channels: Sequence[int], kernel_size: int, activation: Callable
    ) -> None:
        super().__init__()
        width = channels[0]
        self.layer = nn.Sequential(convolution(width, width, kernel_size), activation())
        self.inner: nn.Module | None = None
        if len(channels) > 1:
            self.inner = nn.Sequential(
                convolution(width, channels[1], kernel_size, stride=2),
                activation(),
                Level(channels[1:], kernel_size, activation),
                nn.ConvTranspose2d(channels[1], width, 2, stride=2),
                activation(),
            )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer(x)
        return x if self.inner is None else x + self.inner(x)


class Convolutional(BaseEstimator):
    """Specification of a convolutional network.

    Rows of X are flattened images, as scikit-learn keeps them: pixel by pixel from left to
    right, line by line from the top.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        ``(height, width)``, or with several channels ``(height, width, n_channels)`` or,
        for ``data_format="channels_first"``, ``(n_channels, height, width)``, in pixels:
        the shape that a row was flattened from. None takes a square with one channel, and
        a single line of pixels where the number of features is no square number.
    channels : int or sequence of int, default=(32, 64)
        Number of maps of each convolution; from one to the next, height and width are
        halved.
    kernel_size : int, default=3
        Height and width of the convolutions, odd.
    patch_size : int, default=2
        Squares of that many pixels a side enter as one place [1]_: with 2, a quarter of the
        places, at the same number of weights about a third of the time.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without arguments
        that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Share of the hidden units beside the code that is dropped in each training step.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Whether the channels of a pixel stand side by side in a row, as scikit-learn,
        matplotlib and Pillow have them, or channel after channel, as torch has them.

    Notes
    -----
    Sides may be odd: images are filled up with zeros, that is with the mean of the scaled
    pixels, and reconstructions are cut to the same size.

    With fewer components than features, the code is a linear map of the last convolution's
    maps, and the decoder mirrors the encoder. With as many components as features nothing
    has to be squeezed: the code is the image itself, and the decoder a U-shaped network
    [2]_ that starts at the identity and sees further the more `channels` there are. That is
    for denoising, and what :class:`~sk_autoencoder.DenoisingAutoencoder` takes by default.

    References
    ----------
    .. [1] W. Shi et al., "Real-time single image and video super-resolution using an
       efficient sub-pixel convolutional neural network", CVPR 2016.
    .. [2] O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for
       biomedical image segmentation", MICCAI 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import DenoisingAutoencoder
    >>> from sk_autoencoder.nn import Convolutional
    >>> digits = load_digits().data
    >>> denoiser = DenoisingAutoencoder(network=Convolutional((8, 8)), max_epochs=5)
    >>> denoiser.fit(digits).denoise(digits[:3]).shape
    (3, 64)
    """

    identity_code = True  # whether a code as wide as the rows is the rows themselves

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        channels: int | Sequence[int] = (32, 64),
        kernel_size: int = 3,
        patch_size: int = 2,
        activation: str | Callable[[], nn.Module] = "gelu",
        dropout: float = 0.0,
        data_format: str = "channels_last",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.kernel_size = kernel_size
        self.patch_size = patch_size
        self.activation = activation
        self.dropout = dropout
        self.data_format = data_format

    def __call__(self, n_features: int, n_components: int) -> Network:
        """Build the network for that many features and components."""
        channels = check_positive_sizes("channels", self.channels)
        (kernel_size,) = check_positive_sizes("kernel_size", self.kernel_size)
        (patch,) = check_positive_sizes("patch_size", self.patch_size)
        if not kernel_size % 2:
            raise ValueError(f"kernel_size={kernel_size} has to be odd.")
        last = self._is_last()
        size = self.image_size(n_features)
        patches = Patches(size, last, patch, patch * 2 ** (len(channels) - 1))
        activation = get_activation(self.activation)
        if n_components == n_features:
            return ImageNetwork(patches, channels, kernel_size, activation)
        return BottleneckNetwork(
            patches, channels, kernel_size, activation, self.dropout, n_components
        )

    def _is_last(self) -> bool:
        if self.data_format not in FORMATS:
            raise ValueError(
                f"data_format={self.data_format!r} has to be one of {FORMATS}."
            )
        return self.data_format == "channels_last"

    def image_size(self, n_features: int) -> list[int]:
        """Return the number of channels, height and width, or raise a ValueError.

        Parameters
        ----------
        n_features : int
            Number of columns of X.
        """
        last = self._is_last()
        if self.image_shape is None:
            side = isqrt(n_features)
            return [1, side, side] if side**2 == n_features else [1, 1, n_features]
        sides = tuple(check_positive_sizes("image_shape", self.image_shape))
        shape = check_image_shape(sides, n_features)
        if len(shape) == 2:
            return [1, *shape]
        return [shape[2], *shape[:2]] if last else [*shape]
