"""Networks of 1-d convolutions: rows are windows of time series."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional

from sk_autoencoder.nn._base import LinearSkipNetwork, check_positive_sizes, get_activation


class ToMaps(nn.Module):
    """Make maps (batch, n_channels, n_timestamps) of flat windows.

    Windows are filled up at their end, with zeros, to whole numbers of `multiple`.
    """

    def __init__(self, n_channels: int, window: int, multiple: int) -> None:
        super().__init__()
        self.n_channels, self.window = n_channels, window
        self.fill = -window % multiple

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of rows `x` (batch, window * n_channels)."""
        maps = x.unflatten(-1, (self.window, self.n_channels)).transpose(-1, -2)
        return functional.pad(maps, (0, self.fill))


class ToWindows(nn.Module):
    """The way back from maps to flat windows."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, maps: Tensor) -> Tensor:
        """Return the rows (batch, window * n_channels) that maps stand for."""
        return maps[..., : self.window].transpose(-1, -2).flatten(-2)


class TemporalNetwork(LinearSkipNetwork):
    """Convolutions over time to a code and, mirrored, back; see :class:`Temporal`."""

    def __init__(
        self,
        n_channels: int,
        window: int,
        channels: Sequence[int],
        kernel_size: int,
        activation: Callable[[], nn.Module],
        dropout: float,
        n_components: int,
    ) -> None:
        super().__init__(n_components)
        stages = list(pairwise(channels))
        drop = [nn.Dropout(dropout)] if dropout else []
        to_maps = ToMaps(n_channels, window, 2 ** len(stages))
        shape = (channels[-1], (window + to_maps.fill) // 2 ** len(stages))
        down = [_convolution(n_channels, channels[0], kernel_size), activation()]
        up: list[nn.Module] = []
        for a, b in stages:
            down += [_convolution(a, b, kernel_size, stride=2), activation()]
            up = [nn.ConvTranspose1d(b, a, 2, stride=2), activation(), *up]
        n_maps = shape[0] * shape[1]
        self.encoder = nn.Sequential(
            to_maps, *down, nn.Flatten(-2), *drop, nn.Linear(n_maps, n_components)
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, n_maps),
            nn.Unflatten(-1, shape),
            activation(),
            *drop,
            *up,
            _convolution(channels[0], n_channels, kernel_size),
            ToWindows(window),
        )

    @torch.no_grad()
    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder give zeros."""
        for layer in (self.encoder[-1], self.decoder[-2]):
            for parameter in layer.parameters():
                parameter.zero_()


def _convolution(n_in: int, n_out: int, kernel_size: int, stride: int = 1) -> nn.Conv1d:
    return nn.Conv1d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2)


class Temporal(BaseEstimator):
    """Specification of a network of convolutions over time.

    Rows of X are flattened windows, timestamp by timestamp, the channels of each side by
    side, as :class:`~sk_autoencoder.TimeSeriesOutlierDetector` makes them. The longer the
    window, the fewer weights it has beside a dense network.

    Parameters
    ----------
    n_channels : int or None, default=None
        Number of values of each timestamp. None takes 1, or what
        :class:`~sk_autoencoder.TimeSeriesOutlierDetector` sees around it.
    channels : int or sequence of int, default=(32, 64)
        Number of maps of each convolution; from one to the next, the number of timestamps
        is halved.
    kernel_size : int, default=5
        Number of timestamps that a convolution sees, odd.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without arguments
        that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Share of the hidden units beside the code that is dropped in each training step.

    Notes
    -----
    Windows of any length are fine: they are filled up with zeros, that is with the mean of
    scaled values, and reconstructions are cut to the same length.

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

    def __call__(self, n_features: int, n_components: int) -> TemporalNetwork:
        """Build the network for that many features and components."""
        (n_channels,) = check_positive_sizes("n_channels", self.n_channels or 1)
        (kernel_size,) = check_positive_sizes("kernel_size", self.kernel_size)
        if not kernel_size % 2:
            raise ValueError(f"kernel_size={kernel_size} has to be odd.")
        if n_features % n_channels:
            raise ValueError(
                f"n_channels={n_channels} does not divide the {n_features} columns of X. "
                "Rows have to be windows, with as many values for each timestamp."
            )
        return TemporalNetwork(
            n_channels,
            n_features // n_channels,
            check_positive_sizes("channels", self.channels),
            kernel_size,
            get_activation(self.activation),
            self.dropout,
            n_components,
        )
