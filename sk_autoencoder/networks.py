"""Networks: an encoder and a decoder in one torch module.

A specification such as :class:`Dense` is a small scikit-learn estimator that builds a
:class:`Network` when it is called with the number of features and of components.
Anything else that does the same may stand in its place.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import NamedTuple, cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.func import vjp

from sk_autoencoder.corruptions import GaussianNoise

__all__ = [
    "ACTIVATIONS",
    "Dense",
    "LinearStart",
    "Network",
    "Output",
]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Output(NamedTuple):
    """What a network returns and an objective looks at.

    Attributes
    ----------
    code : Tensor of shape (batch, n_components)
    reconstruction : Tensor of shape (batch, n_features)
        In scaled units, before the link of the loss (a sigmoid for cross-entropy).
    posterior : torch.distributions.Distribution or None
        Distribution of the code, where the network emits one.
    """

    code: Tensor
    reconstruction: Tensor
    posterior: torch.distributions.Distribution | None = None


class LinearStart(NamedTuple):
    """A linear autoencoder, from which a network may start.

    Attributes
    ----------
    encode_weight : Tensor of shape (n_components, n_features)
    encode_bias : Tensor of shape (n_components,)
    decode_weight : Tensor of shape (n_features, n_components)
    decode_bias : Tensor of shape (n_features,)
    code_scale : Tensor of shape (n_components,)
        Standard deviation of each component of the code.
    """

    encode_weight: Tensor
    encode_bias: Tensor
    decode_weight: Tensor
    decode_bias: Tensor
    code_scale: Tensor


class Network(nn.Module):
    """Base class of networks: give it ``encode`` and ``decode``.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.networks import Network
    >>> class Linear(Network):
    ...     def __init__(self, n_features, n_components):
    ...         super().__init__()
    ...         self.encode = torch.nn.Linear(n_features, n_components)
    ...         self.decode = torch.nn.Linear(n_components, n_features)
    >>> Linear(8, 2)(torch.zeros(5, 8)).code.shape
    torch.Size([5, 2])
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Output:
        """Encode and decode `x` of shape (batch, n_features)."""
        code = self.encode(x)
        return Output(code, self.decode(code))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return what `x` of shape (batch, n_features) becomes, without any draw."""
        return self.decode(self.encode(x))

    def start_from(self, start: LinearStart) -> bool:
        """Start at a linear autoencoder; return whether this network can."""
        return False

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return None

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Return |d component / d x|² (batch, n_components), if there is a closed form."""
        return None

    def layer_specs(self) -> list[tuple[int, Callable[[int, int], "Network"]]]:
        """Return the width and the specification of each layer, if it can stand alone."""
        return []

    def take_layers(self, layers: "Sequence[Network]") -> None:
        """Take the weights of networks that :meth:`layer_specs` has specified."""


class DenseNetwork(Network):
    """Fully connected layers, mirrored in the decoder; see :class:`Dense`."""

    code_scale: Tensor

    def __init__(
        self,
        sizes: Sequence[int],  # n_features, hidden layers, n_components
        activation: Callable[[], nn.Module],
        dropout: float,
        tied_weights: bool,
        code_layer: nn.Module | None = None,
    ) -> None:
        super().__init__()
        linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        if tied_weights:
            mirrored: list[nn.Module] = [Transposed(a) for a in reversed(linears)]
        else:
            mirrored = [nn.Linear(a, b) for a, b in pairwise(reversed(sizes))]
        self.encoder = _with_activations(linears, activation, dropout)
        self.decoder = _with_activations(mirrored, activation, dropout)
        self.activation, self.widths = activation, list(sizes[1:])
        self.tied_weights = tied_weights
        self.code_layer = code_layer
        self.linear: LinearPath | None = None
        self.register_buffer("code_scale", torch.ones(sizes[-1]))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        code = self.encoder(x)
        if self.code_layer is not None:
            return self.code_layer(code)
        return code if self.linear is None else code + self.linear.encode(x)

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction (batch, n_features) of `code` (batch, n_components)."""
        if self.linear is None:
            return self.decoder(code)
        return self.decoder(code / self.code_scale) + self.linear.decode(code)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return None if self.linear is None else self.linear.decode(code)

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Return |d component / d x|² (batch, n_components) of a single layer."""
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

    def take_layers(self, layers: Sequence[Network]) -> None:
        """Take the weights of networks that :meth:`layer_specs` has specified."""
        own = [m for m in (*self.encoder, *self.decoder) if _has_weights(m)]
        trained = [layer.get_submodule("encode.1") for layer in layers]
        trained += [layer.get_submodule("decode.1") for layer in reversed(layers)]
        for layer, like in zip(own, trained, strict=True):
            layer.load_state_dict(like.state_dict())

    @torch.no_grad()
    def start_from(self, start: LinearStart) -> bool:
        """Put a linear path beside the layers, whose output starts at zero."""
        if self.code_layer is not None:  # a bounded or noisy code is not PCA's
            return False
        self.linear = LinearPath(start, self.tied_weights)
        self.code_scale.copy_(start.code_scale)
        self.eval()  # no dropout
        self.encoder[-1].get_parameter("weight").zero_()
        if not self.tied_weights:  # else its first layer has just become zero
            self.decoder[-1].get_parameter("weight").zero_()
        n_features, n_components = start.decode_weight.shape
        for layers, n_inputs in ((self.encoder, n_features), (self.decoder, n_components)):
            constant = layers(torch.zeros(1, n_inputs))[0]
            layers[-1].get_parameter("bias").sub_(constant)
        return True


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


class LinearPath(nn.Module):
    """A linear autoencoder beside a nonlinear one."""

    def __init__(self, start: LinearStart, tied_weights: bool) -> None:
        super().__init__()
        self.encode_weight = nn.Parameter(start.encode_weight.clone())
        self.encode_bias = nn.Parameter(start.encode_bias.clone())
        self.decode_weight = (
            None if tied_weights else nn.Parameter(start.decode_weight.clone())
        )
        self.decode_bias = nn.Parameter(start.decode_bias.clone())

    def encode(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.encode_weight, self.encode_bias)

    def decode(self, code: Tensor) -> Tensor:
        if self.decode_weight is None:
            return nn.functional.linear(code, self.encode_weight.T, self.decode_bias)
        return nn.functional.linear(code, self.decode_weight, self.decode_bias)


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
    >>> from sk_autoencoder.networks import Dense
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
            _activation(self.activation),
            self.dropout,
            self.tied_weights,
            self._code_layer(),
        )

    def widths(self) -> list[int]:
        """Return the widths of the hidden layers, or raise a ValueError."""
        hidden = self.hidden_layer_sizes
        sizes = list(hidden) if isinstance(hidden, Iterable) else [hidden]
        if not all(isinstance(size, Integral) and size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes={hidden!r} has to hold positive integers."
            )
        return sizes

    def _code_layer(self) -> nn.Module | None:
        if self.code_activation == "identity" and not self.code_noise:
            return None
        squash = _activation(self.code_activation)()
        return nn.Sequential(squash, GaussianNoise(self.code_noise))


def _activation(name: str | Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return ACTIVATIONS[name] if isinstance(name, str) else name
