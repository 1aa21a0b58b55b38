"""Networks of 2-d convolutions, for rows that are flattened images."""

from collections.abc import Callable, Sequence
from functools import partial

from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional

from sk_autoencoder.nn._base import Network, check_positive_sizes, get_activation
from sk_autoencoder.nn._bottleneck import (
    BottleneckNetwork,
    MapsLayer,
    check_kernel_size,
    convolution,
    upsampling,
    zero_parameters,
)
from sk_autoencoder.utils._checks import check_image_shape, default_image_shape

FORMATS = ("channels_last", "channels_first")


class Patches(MapsLayer):
    """Reshape flat images to maps (batch, n_maps, height, width) of patches.

    Parameters
    ----------
    size : sequence of int
        Number of channels, height and width of an image, in pixels.
    last : bool
        Whether the channels of a pixel are adjacent in a row (``"channels_last"``).
    patch : int
        Side of a patch, in pixels. Each patch becomes one place of the maps [1]_.
    multiple : int
        Images are padded with zeros, below and to the right, to a height and a width that
        are multiples of that many pixels.

    Attributes
    ----------
    n_maps : int
        Number of channels times ``patch ** 2``.
    places : tuple of int
        Height and width of the maps.

    References
    ----------
    .. [1] W. Shi et al., "Real-time single image and video super-resolution using an
       efficient sub-pixel convolutional neural network", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Patches
    >>> patches = Patches((1, 8, 8), last=True, patch=2, multiple=4)
    >>> rows = torch.arange(64.0).expand(5, 64)
    >>> maps = patches(rows)
    >>> maps.shape
    torch.Size([5, 4, 4, 4])
    >>> bool((patches.inverse(maps) == rows).all())
    True
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
        """Reshape rows `x` (batch, n_features) to maps of patches."""
        if self.last:
            shape = (self.height, self.width, self.n_channels)
            images = x.unflatten(-1, shape).movedim(-1, -3)
        else:
            images = x.unflatten(-1, (self.n_channels, self.height, self.width))
        images = functional.pad(images, (0, self.fill[0], 0, self.fill[1]))
        return functional.pixel_unshuffle(images, self.patch)

    def inverse(self, maps: Tensor) -> Tensor:
        """Reshape maps of patches to the rows (batch, n_features)."""
        images = functional.pixel_shuffle(maps, self.patch)
        images = images[..., : self.height, : self.width]
        return (images.movedim(-3, -1) if self.last else images).flatten(-3)


convolution_2d = partial(convolution, 2)


class ImageNetwork(Network):
    """U-shaped network from image to image; the code is the image itself.

    The network starts at the identity. It has no linear skip: a linear map that was fitted
    to the training images fits them better than new ones, and training would build on that.
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
            convolution_2d(patches.n_maps, channels[0], kernel_size),
            activation(),
            Level(channels, kernel_size, activation),
            convolution_2d(channels[0], patches.n_maps, kernel_size),
        )
        zero_parameters(self.body[-1])

    def encode(self, x: Tensor) -> Tensor:
        """Use the image `x` (batch, n_features) as its code."""
        return x

    def decode(self, code: Tensor) -> Tensor:
        """Add the output of the convolutions to `code` (batch, n_features)."""
        return code + self.patches.inverse(self.body(self.patches(code)))


class Level(nn.Module):
    """Resolution level of a U-shaped network: residuals of this and of coarser levels."""

    def __init__(
        self, channels: Sequence[int], kernel_size: int, activation: Callable
    ) -> None:
        super().__init__()
        width = channels[0]
        self.layer = nn.Sequential(convolution_2d(width, width, kernel_size), activation())
        self.inner: nn.Module | None = None
        if len(channels) > 1:
            self.inner = nn.Sequential(
                convolution_2d(width, channels[1], kernel_size, stride=2),
                activation(),
                Level(channels[1:], kernel_size, activation),
                upsampling(2, channels[1], width),
                activation(),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add residuals to maps `x` (batch, n_maps, height, width)."""
        x = x + self.layer(x)
        return x if self.inner is None else x + self.inner(x)


class Convolutional(BaseEstimator):
    """Specification of a convolutional network for images.

    Rows of X are flattened images in scikit-learn's order: pixel by pixel from left to
    right, line by line from the top.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        Shape of an unflattened row, in pixels: ``(height, width)``, with several channels
        ``(height, width, n_channels)`` or, for ``data_format="channels_first"``,
        ``(n_channels, height, width)``. None takes a square with one channel, or a single
        line of pixels if the number of features is not a square number.
    channels : int or sequence of int, default=(32, 64)
        Number of maps of each convolution. Each convolution after the first halves height
        and width.
    kernel_size : int, default=3
        Height and width of the convolutions' kernels, in places, odd.
    patch_size : int, default=2
        Side of the square patches of pixels, each of which is one place of the first
        convolution's input [1]_. 2 leaves a quarter of the places, which saves time.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without arguments
        that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Fraction of the hidden units next to the code that is dropped in each training step.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Order of a row: the channels of a pixel are adjacent (scikit-learn, matplotlib,
        Pillow), or each channel is a contiguous image (torch).

    Notes
    -----
    Height and width may be odd. Images are padded with zeros, the mean of the scaled
    pixels, and reconstructions are cropped to the original size.

    With fewer components than features, the code is a linear map of the last convolution's
    maps, and the decoder mirrors the encoder. With as many components as features, the code
    is the image itself and the decoder is a U-shaped network [2]_, which starts at the
    identity. Each entry of `channels` adds a coarser level and so enlarges its receptive
    field. :class:`~sk_autoencoder.DenoisingAutoencoder` uses it by default.

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
    >>> digits = load_digits().data[:500]
    >>> denoiser = DenoisingAutoencoder(network=Convolutional((8, 8)), max_epochs=2)
    >>> denoiser.fit(digits).denoise(digits[:3]).shape
    (3, 64)
    """

    identity_code = True  # with n_components == n_features, the code is the row itself

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
        """Build the network for the given numbers of features and components."""
        channels = check_positive_sizes("channels", self.channels, n_min=1)
        kernel_size = check_kernel_size(self.kernel_size)
        (patch,) = check_positive_sizes("patch_size", self.patch_size)
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
        """Determine the number of channels, height and width of the images.

        Parameters
        ----------
        n_features : int
            Number of columns of X.

        Raises
        ------
        ValueError
            If `image_shape` does not match the number of columns.
        """
        last = self._is_last()
        if self.image_shape is None:
            return [1, *default_image_shape(n_features)]
        sides = tuple(check_positive_sizes("image_shape", self.image_shape))
        shape = check_image_shape(sides, n_features)
        if len(shape) == 2:
            return [1, *shape]
        return [shape[2], *shape[:2]] if last else [*shape]
