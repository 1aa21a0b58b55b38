"""Ordered codes: a network whose first components can be decoded alone."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput
from sk_autoencoder.nn._dense import with_activations
from sk_autoencoder.nn._losses import Error, trimmed_mean

# Of the gradient of prefixes, that part reaches the encoder: with the whole of it, some
# tables lost a tenth of the R² of the whole code, and with none prefixes gained half.
ENCODER_SHARE = 0.25
# From one step with the error of prefixes to the next. With every second step the whole
# code lost more and a fit took longer, with every fourth prefixes gained less.
PREFIX_STEPS = 3


class PrefixDecoder(nn.Module):
    """Decoder of the first components of a code, however many.

    It sees the first components, the others as zeros, and which of them are there: a bias
    for each number of components.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of components, of units of each hidden layer, and of features.
    activation : callable
        Makes the nonlinearity of the hidden layers.
    """

    code_scale: Tensor

    def __init__(self, sizes: Sequence[int], activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.n_components = sizes[0]
        pairs = pairwise([2 * sizes[0], *sizes[1:]])
        linears = [nn.Linear(n_in, n_out) for n_in, n_out in pairs]
        self.layers = with_activations(linears, activation)
        self.linear: nn.Linear | None = None
        self.register_buffer("code_scale", torch.ones(sizes[0]))

    def forward(self, code: Tensor, n_kept: int | Tensor) -> Tensor:
        """Decode the first components of `code` (batch, n_components) to scaled rows.

        `n_kept` is their number, for all rows or of shape (batch, 1).
        """
        places = torch.arange(self.n_components, device=code.device)
        is_kept = (places < n_kept).to(code.dtype).expand_as(code)
        code = code * is_kept
        output = self.layers(torch.cat([code / self.code_scale, is_kept], dim=-1))
        return output if self.linear is None else output + self.linear(code)

    @torch.no_grad()
    def start_from(self, init: LinearInit) -> None:
        """Start at the decoder of a linear autoencoder: at PCA of each number of axes."""
        self.linear = nn.Linear(*init.decode_weight.T.shape)
        self.linear.weight.copy_(init.decode_weight)
        self.linear.bias.copy_(init.decode_bias)
        self.code_scale.copy_(init.code_scale)
        for parameter in self.layers[-1].parameters():
            parameter.zero_()


class OrderedNetwork(Network):
    """A network whose first components can be decoded alone.

    The whole code is decoded by `network`, and its first components by a decoder of their
    own: one decoder for both would reconstruct worse from the whole code.

    Parameters
    ----------
    network : Network
    decoder : PrefixDecoder
    """

    def __init__(self, network: Network, decoder: PrefixDecoder) -> None:
        super().__init__()
        self.network = network
        self.decoder = decoder
        self.n_kept = decoder.n_components

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to the kept components (batch, n_kept)."""
        return self.network.encode(x)[..., : self.n_kept]

    def decode(self, code: Tensor) -> Tensor:
        """Decode the first components `code` (batch, up to n_components) to rows."""
        n_kept = code.shape[-1]
        if n_kept == self.decoder.n_components:
            return self.network.decode(code)
        return self.decode_first(code, n_kept)

    def decode_first(self, code: Tensor, n_kept: int | Tensor) -> Tensor:
        """Decode the first `n_kept` components, a number or one for each row."""
        n_missing = self.decoder.n_components - code.shape[-1]
        return self.decoder(nn.functional.pad(code, (0, n_missing)), n_kept)

    def start_from(self, init: LinearInit) -> bool:
        """Initialise network and decoder at a linear autoencoder, if they can be."""
        is_linear = self.network.start_from(init)
        if is_linear:
            self.decoder.start_from(init)
        return is_linear

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        is_whole = code.shape[-1] == self.decoder.n_components
        return self.network.decode_linearly(code) if is_whole else None

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Compute the squared gradient norms of the code, if they have a closed form."""
        squares = self.network.squared_gradients(x)
        return None if squares is None else squares[..., : self.n_kept]


class WhitenedNetwork(Network):
    """A network whose code is whitened by a triangular map.

    The first components of the white code depend on the first components of the code alone,
    and reconstructions stay as they are.

    Parameters
    ----------
    network : Network
    center : Tensor of shape (n_components,)
        Mean of the codes.
    factor : Tensor of shape (n_components, n_components)
        Lower triangular factor of their covariance, in float64.
    """

    center: Tensor
    factor: Tensor
    whitening: Tensor

    def __init__(self, network: Network, center: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("center", center.float())
        self.register_buffer("factor", factor.float())
        self.register_buffer("whitening", torch.linalg.inv(factor).float())

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to white codes (batch, n_components)."""
        return (self.network.encode(x) - self.center) @ self.whitening.mT

    def decode(self, code: Tensor) -> Tensor:
        """Decode the first components `code` (batch, up to n_components) to rows."""
        return self.network.decode(self._color(code))

    def decode_first(self, code: Tensor, n_kept: int | Tensor) -> Tensor | None:
        """Decode the first `n_kept` components; None for a network without an order."""
        return self.network.decode_first(self._color(code), n_kept)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return self.network.decode_linearly(self._color(code))

    def _color(self, code: Tensor) -> Tensor:
        """Convert white codes, or their first components, to those of the network."""
        n_kept = code.shape[-1]
        return code @ self.factor[:n_kept, :n_kept].mT + self.center[:n_kept]


class PrefixError:
    """Error of rows of which a random number of first components are decoded.

    The last component is always left out: the error of the whole code is that of the
    objective. This is nested dropout [1]_. Every third step has the error, three times: a
    third of the time for the same sum.

    Parameters
    ----------
    error : callable
        ``(output, x) -> (batch,)``
    trim_fraction : float
        Fraction of the rows, those with the largest errors, that the mean leaves out.
    n_components : int
        Number of components of the code, two or more.

    References
    ----------
    .. [1] O. Rippel, M. A. Gelbart and R. P. Adams, "Learning ordered representations with
       nested dropout", ICML 2014.
       NOTE[DIFF]: uniform numbers of components, a decoder of their own, a quarter of its
       gradient for the encoder, and the error of the whole code beside it.
    """

    def __init__(self, error: Error, trim_fraction: float, n_components: int) -> None:
        self.error = error
        self.trim_fraction = trim_fraction
        self.n_components = n_components
        self.n_calls = 0

    def __call__(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor | None:
        """Compute the mean error, times the steps that leave it out and this one.

        None in those steps, and outside training.
        """
        if not network.training:
            return None
        self.n_calls += 1
        if self.n_calls % PREFIX_STEPS:
            return None
        n_kept = torch.randint(1, self.n_components, (len(x), 1), device=x.device)
        code = out.code.detach().lerp(out.code, ENCODER_SHARE)
        output = cast(OrderedNetwork, network).decode_first(code, n_kept)
        return PREFIX_STEPS * trimmed_mean(self.error(output, x), self.trim_fraction)

    def row_errors(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the errors of each row by its first 1, 2, 4, ... components.

        Returns
        -------
        errors : Tensor of shape (batch, n_numbers)
        """
        counts = [2**i for i in range(self.n_components.bit_length())]
        outputs = (
            cast(OrderedNetwork, network).decode_first(out.code, count)
            for count in counts
            if count < self.n_components
        )
        return torch.stack([self.error(output, x) for output in outputs], dim=-1)
