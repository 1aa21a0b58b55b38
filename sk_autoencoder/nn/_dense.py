"""Fully connected networks, their layers with tied weights, and :class:`Dense`."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.func import vjp

from sk_autoencoder.nn._base import (
    ACTIVATIONS,
    LinearInit,
    LinearSkipNetwork,
    Network,
    apply_linear,
    check_positive_sizes,
    get_activation,
)
from sk_autoencoder.nn._corruptions import GaussianNoise
from sk_autoencoder.utils._torch_compat import is_batched


class Linear(nn.Linear):
    """Linear layer that takes the stacked weights of an ensemble too."""

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` (..., batch, in_features) to (..., batch, out_features)."""
        return apply_linear(x, self.weight, self.bias)


class Dropout(nn.Dropout):
    """Dropout that draws a byte for each entry, in a quarter of the time on a CPU.

    The probability is rounded to a multiple of 1 / 256 there, unless that is 0 or 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop random entries of `x` in training."""
        n_dropped = round(256 * self.p)  # of the 256 values of a byte
        by_torch = not self.training or is_batched(x) or x.device.type != "cpu"
        if by_torch or n_dropped in {0, 256}:
            return super().forward(x)
        n_words = -(-x.numel() // 8)
        words = torch.empty(n_words, dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (drawn >= n_dropped).to(x.dtype).mul_(256 / (256 - n_dropped))


ENTRYWISE = [*ACTIVATIONS.values(), Dropout, GaussianNoise]


class DenseNetwork(LinearSkipNetwork):
    """Fully connected network with a mirrored decoder; see :class:`Dense`."""

    def __init__(
        self,
        sizes: Sequence[int],  # n_features, hidden layers, n_components
        activation: Callable[[], nn.Module],
        dropout: float,
        tied_weights: bool,
        code_layer: nn.Module | None = None,
    ) -> None:
        super().__init__(sizes[-1], tied_weights)
        linears = [Linear(n_in, n_out) for n_in, n_out in pairwise(sizes)]
        if tied_weights:
            mirrored: list[nn.Module] = [Transposed(layer) for layer in reversed(linears)]
        else:
            pairs = pairwise(reversed(sizes))
            mirrored = [Linear(n_in, n_out) for n_in, n_out in pairs]
        self.encoder = with_activations(linears, activation, dropout)
        self.decoder = with_activations(mirrored, activation, dropout)
        self.activation, self.widths = activation, list(sizes[1:])
        self.code_layer = code_layer

    @property
    def takes_members(self) -> bool:
        """Whether all layers take the stacked weights of an ensemble."""
        layers = [*self.encoder, *self.decoder]
        if self.code_layer is not None:
            layers += cast(nn.Sequential, self.code_layer)
        return all(type(layer) in (Linear, Transposed, *ENTRYWISE) for layer in layers)

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to codes (batch, n_components)."""
        code = super().encode(x)
        return code if self.code_layer is None else self.code_layer(code)

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Compute squared gradient norms (batch, n_components) of a one-layer encoder."""
        if len(self.encoder) > 1:
            return None
        weight = cast(nn.Linear, self.encoder[0]).weight  # (n_components, n_features)
        if self.code_layer is None:
            total = weight if self.linear is None else weight + self.linear.encode_weight
            return total.square().sum(-1).expand(len(x), -1)
        code, pull_back = vjp(self.code_layer, self.encoder(x))[:2]
        # The code layer acts on each unit alone, so that its Jacobian is diagonal.
        (slope,) = pull_back(torch.ones_like(code))
        return slope.square() * weight.square().sum(-1)

    def layer_specs(self) -> list[tuple[int, Callable[[int, int], Network]]]:
        """List width and specification of each layer with its mirror."""
        if self.code_layer is not None:
            return []
        inner = [self.activation] * (len(self.widths) - 1)
        activations = zip([nn.Identity, *inner], [*inner, nn.Identity], strict=True)
        return [
            (width, partial(DenseLayer, tied_weights=self.tied_weights, activations=pair))
            for width, pair in zip(self.widths, activations, strict=True)
        ]

    def load_layers(self, layers: Sequence[Network]) -> None:
        """Copy the weights of trained networks, one for each of :meth:`layer_specs`."""
        layers_here = [m for m in (*self.encoder, *self.decoder) if _has_weights(m)]
        trained = [layer.get_submodule("encode.1") for layer in layers]
        trained += [layer.get_submodule("decode.1") for layer in reversed(layers)]
        for layer, trained_layer in zip(layers_here, trained, strict=True):
            layer.load_state_dict(trained_layer.state_dict())

    def start_from(self, init: LinearInit) -> bool:
        """Add a linear skip, unless the code has an activation or noise."""
        # A linear code cannot be reproduced behind an activation or noise.
        return self.code_layer is None and super().start_from(init)

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder return zeros."""
        self.eval()  # no dropout
        self.encoder[-1].get_parameter("weight").zero_()
        if not self.tied_weights:  # else the decoder's first layer has just become zero
            self.decoder[-1].get_parameter("weight").zero_()
        n_features = cast(nn.Linear, self.encoder[0]).in_features
        for layers, width in ((self.encoder, n_features), (self.decoder, self.widths[-1])):
            constant = layers(torch.zeros(1, width))[0]
            layers[-1].get_parameter("bias").sub_(constant)


class DenseLayer(Network):
    """One layer of a dense network with its mirror, for layer-wise training.

    The code is the input of the activation that follows the layer. The output is linear,
    so that no unit can die.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        activations: Sequence[Callable[[], nn.Module]],  # before the layer and its mirror
        tied_weights: bool,
    ) -> None:
        super().__init__()
        layer = nn.Linear(n_features, n_components)
        mirror = Transposed(layer) if tied_weights else nn.Linear(n_components, n_features)
        self.encode = nn.Sequential(activations[0](), layer)
        self.decode = nn.Sequential(activations[1](), mirror)


class TiedLayer(nn.Module):
    """Base class of decoder layers that may use the weight of an encoder layer.

    Parameters
    ----------
    mirror : nn.Module or None
        The encoder layer, which keeps the weight.
    """

    def __init__(self, mirror: nn.Module | None) -> None:
        super().__init__()
        # The tuple keeps torch from registering the encoder layer under a second name:
        # functional_call would lose the weights of a module with two names.
        self.mirror = (mirror,)

    @property
    def mirror_weight(self) -> Tensor:
        """The weight of the encoder layer, of shape (n_out, n_in) of that layer."""
        return cast(nn.Linear, self.mirror[0]).weight


class Transposed(TiedLayer):
    """Linear layer with the transposed weight of another layer and a separate bias."""

    def __init__(self, mirror: nn.Linear) -> None:
        super().__init__(mirror)
        self.bias = nn.Parameter(torch.zeros(mirror.in_features))

    @property
    def weight(self) -> Tensor:
        """The transposed weight."""
        return self.mirror_weight.mT

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` (..., batch, mirror.out_features) to (..., batch, mirror.in_features)."""
        return apply_linear(x, self.weight, self.bias)


def _has_weights(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Transposed)


def with_activations(
    linears: Sequence[nn.Module], activation: Callable[[], nn.Module], dropout: float = 0
) -> nn.Sequential:
    """Put activations, and dropout if there is any, between linear layers."""
    layers: list[nn.Module] = []
    for linear in linears[:-1]:
        layers += [linear, activation()]
        if dropout:
            layers.append(Dropout(dropout))
    return nn.Sequential(*layers, linears[-1])


class Dense(BaseEstimator):
    """Specification of a fully connected network.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(128, 64)
        Widths of the hidden layers of the encoder. The decoder mirrors them.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without
        arguments that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Fraction of the hidden units that is dropped in each training step.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    code_activation : str or callable, default="identity"
        Nonlinearity of the code. A bounded one, such as ``"tanh"``, keeps the decoder from
        reconstructing outliers.
    code_noise : float, default=0.0
        Standard deviation of Gaussian noise that is added to the code in training. On a
        bounded code it limits the information in the code.

    Notes
    -----
    A network with a nonlinear or noisy code cannot be initialised at PCA.

    Examples
    --------
    >>> from sk_autoencoder.nn import Dense
    >>> Dense(hidden_layer_sizes=(32,), activation="tanh")(10, 2).encoder
    Sequential(
      (0): Linear(in_features=10, out_features=32, bias=True)
      (1): Tanh()
      (2): Linear(in_features=32, out_features=2, bias=True)
    )
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        activation: str | Callable[[], nn.Module] = "gelu",
        dropout: float = 0.0,
        tied_weights: bool = False,
        code_activation: str | Callable[[], nn.Module] = "identity",
        code_noise: float = 0.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.tied_weights = tied_weights
        self.code_activation = code_activation
        self.code_noise = code_noise

    def __call__(self, n_features: int, n_components: int) -> DenseNetwork:
        """Build the network for the given numbers of features and components."""
        return DenseNetwork(
            [n_features, *self.widths(), n_components],
            get_activation(self.activation),
            self.dropout,
            self.tied_weights,
            self._code_layer(),
        )

    def widths(self) -> list[int]:
        """Check and list the widths of the hidden layers."""
        return check_positive_sizes("hidden_layer_sizes", self.hidden_layer_sizes)

    def _code_layer(self) -> nn.Module | None:
        if self.code_activation == "identity" and not self.code_noise:
            return None
        activation = get_activation(self.code_activation, "code_activation")()
        return nn.Sequential(activation, GaussianNoise(self.code_noise))
