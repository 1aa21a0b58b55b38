"""Networks of 1-d convolutions, for rows that are windows of time series."""

from collections.abc import Callable, Sequence

from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional

from sk_autoencoder.nn._base import check_positive_sizes, get_activation
from sk_autoencoder.nn._bottleneck import BottleneckNetwork, MapsLayer, check_kernel_size


class ToMaps(MapsLayer):
    """Reshape flat windows to maps (batch, n_channels, n_timestamps).

    Parameters
    ----------
    n_channels : int
    window : int
        Number of timestamps of a window.
    multiple : int
        Windows are padded with zeros at their end to a multiple of that many timestamps.
    """

    def __init__(self, n_channels: int, window: int, multiple: int) -> None:
        super().__init__()
        self.n_maps, self.window = n_channels, window
        self.fill = -window % multiple
        self.places = (window + self.fill,)

    def forward(self, x: Tensor) -> Tensor:
        """Reshape rows `x` (batch, window * n_channels) to maps."""
        maps = x.unflatten(-1, (self.window, self.n_maps)).transpose(-1, -2)
        return functional.pad(maps, (0, self.fill))

    def inverse(self, maps: Tensor) -> Tensor:
        """Reshape maps to the rows (batch, window * n_channels)."""
        return maps[..., : self.window].transpose(-1, -2).flatten(-2)


class Temporal(BaseEstimator):
    """Specification of a network of convolutions over time.

    Rows of X are flattened windows in the order of
    :class:`~sk_autoencoder.TimeSeriesOutlierDetector`: timestamp by timestamp, with the
    channels of a timestamp adjacent. On long windows it has fewer weights than a dense
    network.

    Parameters
    ----------
    n_channels : int or None, default=None
        Number of values of each timestamp. None takes 1, or the number of channels of the
        series inside :class:`~sk_autoencoder.TimeSeriesOutlierDetector`.
    channels : int or sequence of int, default=(32, 64)
        Number of maps of each convolution. Each convolution after the first halves the
        number of timestamps.
    kernel_size : int, default=5
        Length of the convolutions' kernels, in timestamps, odd.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without arguments
        that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Fraction of the hidden units next to the code that is dropped in each training step.

    Notes
    -----
    Windows may have any length. They are padded with zeros, the mean of scaled values, and
    reconstructions are cropped to the original length.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> from sk_autoencoder.nn import Temporal
    >>> windows = np.sin(np.arange(30) / 4 + np.arange(200)[:, None])
    >>> coder = AutoencoderTransformer(2, network=Temporal(), max_epochs=5)
    >>> coder.fit_transform(windows).shape
    (200, 2)
    """

    def __init__(
        self,
        n_channels: int | None = None,
        channels: int | Sequence[int] = (32, 64),
        kernel_size: int = 5,
        activation: str | Callable[[], nn.Module] = "gelu",
        dropout: float = 0.0,
    ) -> None:
        self.n_channels = n_channels
        self.channels = channels
        self.kernel_size = kernel_size
        self.activation = activation
        self.dropout = dropout

    def __call__(self, n_features: int, n_components: int) -> BottleneckNetwork:
        """Build the network for the given numbers of features and components."""
        (n_channels,) = check_positive_sizes("n_channels", self.n_channels or 1)
        kernel_size = check_kernel_size(self.kernel_size)
        if n_features % n_channels:
            raise ValueError(
                f"n_channels={n_channels} does not divide the {n_features} columns of X. "
                "Rows have to be windows, with as many values for each timestamp."
            )
        channels = check_positive_sizes("channels", self.channels, n_min=1)
        to_maps = ToMaps(n_channels, n_features // n_channels, 2 ** (len(channels) - 1))
        activation = get_activation(self.activation)
        return BottleneckNetwork(
            to_maps, channels, kernel_size, activation, self.dropout, n_components
        )
