"""Fully connected networks."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.func import vjp

from sk_autoencoder.nn._base import (
    LinearInit,
    LinearSkipNetwork,
    Network,
    check_positive_sizes,
    get_activation,
)
from sk_autoencoder.nn._corruptions import GaussianNoise


class DenseNetwork(LinearSkipNetwork):
    """Fully connected layers, mirrored in the decoder; see :class:`Dense`."""

    def __init__(
        self,
        sizes: Sequence[int],  # n_features, hidden layers, n_components
        activation: Callable[[], nn.Module],
        dropout: float,
        tied_weights: bool,
        code_layer: nn.Module | None = None,
    ) -> None:
        super().__init__(sizes[-1], tied_weights)
        linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        if tied_weights:
            mirrored: list[nn.Module] = [Transposed(a) for a in reversed(linears)]
        else:
            mirrored = [nn.Linear(a, b) for a, b in pairwise(reversed(sizes))]
        self.encoder = _with_activations(linears, activation, dropout)
        self.decoder = _with_activations(mirrored, activation, dropout)
        self.activation, self.widths = activation, list(sizes[1:])
        self.code_layer = code_layer

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        code = super().encode(x)
        return code if self.code_layer is None else self.code_layer(code)

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Return norms² of the gradients of the code (batch, n_components) of a layer."""
        if len(self.encoder) > 1:
            return None
        weight = cast(nn.Linear, self.encoder[0]).weight  # (n_components, n_features)
        if self.code_layer is None:
            whole = weight if self.linear is None else weight + self.linear.encode_weight
            return whole.square().sum(-1).expand(len(x), -1)
        code, pull_back = vjp(self.code_layer, self.encoder(x))[:2]
        (slope,) = pull_back(torch.ones_like(code))  # of each unit, by its own drive
        return slope.square() * weight.square().sum(-1)

    def layer_specs(self) -> list[tuple[int, Callable[[int, int], Network]]]:
        """Return the width and the specification of each layer with its mirror."""
        if self.code_layer is not None:
            return []
        inner = [self.activation] * (len(self.widths) - 1)
        befores = zip([nn.Identity, *inner], [*inner, nn.Identity], strict=True)
        return [
            (width, partial(DenseLayer, tied_weights=self.tied_weights, befores=each))
            for width, each in zip(self.widths, befores, strict=True)
        ]

    def load_layers(self, layers: Sequence[Network]) -> None:
        """Take the weights of networks that :meth:`layer_specs` has specified."""
        own = [m for m in (*self.encoder, *self.decoder) if _has_weights(m)]
        trained = [layer.get_submodule("encode.1") for layer in layers]
        trained += [layer.get_submodule("decode.1") for layer in reversed(layers)]
        for layer, like in zip(own, trained, strict=True):
            layer.load_state_dict(like.state_dict())

    def start_from(self, start: LinearInit) -> bool:
        """Put a linear path beside the layers, whose output starts at zero."""
        # A bounded or noisy code is not PCA's.
        return self.code_layer is None and super().start_from(start)

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder give zeros."""
        self.eval()  # no dropout
        self.encoder[-1].get_parameter("weight").zero_()
        if not self.tied_weights:  # else its first layer has just become zero
            self.decoder[-1].get_parameter("weight").zero_()
        n_features = cast(nn.Linear, self.encoder[0]).in_features
        for layers, width in ((self.encoder, n_features), (self.decoder, self.widths[-1])):
            constant = layers(torch.zeros(1, width))[0]
            layers[-1].get_parameter("bias").sub_(constant)


class DenseLayer(Network):
    """A layer of a dense network with its mirror, cut before the activations.

    The code is what the activation behind the layer would see: so outputs are linear, and
    no unit of them can die.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        befores: Sequence[Callable[[], nn.Module]],  # of the layer and of its mirror
        tied_weights: bool,
    ) -> None:
        super().__init__()
        layer = nn.Linear(n_features, n_components)
        mirror = Transposed(layer) if tied_weights else nn.Linear(n_components, n_features)
        self.encode = nn.Sequential(befores[0](), layer)
        self.decode = nn.Sequential(befores[1](), mirror)


class Transposed(nn.Module):
    """A layer with the transposed weights of another and a bias of its own."""

    def __init__(self, mirror: nn.Linear) -> None:
        super().__init__()
        # Not registered: functional_call loses the weights of a module with two names.
        self.mirror = (mirror,)
        self.bias = nn.Parameter(torch.zeros(mirror.in_features))

    @property
    def weight(self) -> Tensor:
        return self.mirror[0].weight.T

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


def _has_weights(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Transposed)


def _with_activations(
    linears: Sequence[nn.Module], activation: Callable[[], nn.Module], dropout: float
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for linear in linears[:-1]:
        layers += [linear, activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, linears[-1])


class Dense(BaseEstimator):
    """Specification of a fully connected network.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(128, 64)
        Widths of the hidden layers of the encoder; the decoder mirrors them.
    activation : str or callable, default="gelu"
        Name of a nonlinearity (a key of ``ACTIVATIONS``), or a callable without
        arguments that returns a ``torch.nn.Module``.
    dropout : float, default=0.0
        Share of the hidden units that is dropped in each training step.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    code_activation : str or callable, default="identity"
        Nonlinearity of the code. A bounded one, like ``"tanh"``, keeps the decoder from
        following rows that lie far out.
    code_noise : float, default=0.0
        Standard deviation of Gaussian noise that is added to the code while training;
        with a bounded code it limits how much the code can carry.

    Notes
    -----
    A network with a bounded or noisy code does not start from PCA.

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
        """Build the network for that many features and components."""
        return DenseNetwork(
            [n_features, *self.widths(), n_components],
            get_activation(self.activation),
            self.dropout,
            self.tied_weights,
            self._code_layer(),
        )

    def widths(self) -> list[int]:
        """Return the widths of the hidden layers, or raise a ValueError."""
        return check_positive_sizes("hidden_layer_sizes", self.hidden_layer_sizes)

    def _code_layer(self) -> nn.Module | None:
        if self.code_activation == "identity" and not self.code_noise:
            return None
        squash = get_activation(self.code_activation)()
        return nn.Sequential(squash, GaussianNoise(self.code_noise))
