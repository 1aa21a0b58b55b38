"""What every network is, and the linear path that stands beside most of them."""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

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


class NetworkOutput(NamedTuple):
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


class LinearInit(NamedTuple):
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
    >>> from sk_autoencoder.nn import Network
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

    def forward(self, x: Tensor) -> NetworkOutput:
        """Encode and decode `x` of shape (batch, n_features)."""
        code = self.encode(x)
        return NetworkOutput(code, self.decode(code))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return what `x` of shape (batch, n_features) becomes, without any draw."""
        return self.decode(self.encode(x))

    def start_from(self, start: LinearInit) -> bool:
        """Start at a linear autoencoder; return whether this network can."""
        return False

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return None

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Return norms² of the code's gradients (batch, n_components), or None.

        That is, if they have no closed form.
        """
        return None

    def layer_specs(self) -> list[tuple[int, Callable[[int, int], "Network"]]]:
        """Return the width and the specification of each layer, if it can stand alone."""
        return []

    def load_layers(self, layers: "Sequence[Network]") -> None:
        """Take the weights of networks that :meth:`layer_specs` has specified."""

    def with_imputation(self, completion: nn.Module) -> "Network":
        """Return this network behind what fills in the missing cells of its input."""
        return ImputedNetwork(self, completion)


class ImputedNetwork(Network):
    """A network that sees rows with missing cells, which are filled in first.

    Parameters
    ----------
    network : Network
    completion : nn.Module
        Takes and returns rows (batch, n_features); missing cells are NaN.
    """

    def __init__(self, network: Network, completion: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.completion = completion

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        return self.network.encode(self.completion(x))

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction (batch, n_features) of `code` (batch, n_components)."""
        return self.network.decode(code)

    def start_from(self, start: LinearInit) -> bool:
        """Start at a linear autoencoder; return whether the network can."""
        return self.network.start_from(start)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return self.network.decode_linearly(code)


class LinearSkipNetwork(Network):
    """Base class of networks beside which a linear path may stand.

    A network gives it ``encoder`` and ``decoder``, and says what is silent at the start.
    """

    code_scale: Tensor
    encoder: nn.Sequential
    decoder: nn.Sequential

    def __init__(self, n_components: int, tied_weights: bool = False) -> None:
        super().__init__()
        self.tied_weights = tied_weights
        self.linear: LinearSkip | None = None
        self.register_buffer("code_scale", torch.ones(n_components))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        code = self.encoder(x)
        return code if self.linear is None else code + self.linear.encode(x)

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction (batch, n_features) of `code` (batch, n_components)."""
        if self.linear is None:
            return self.decoder(code)
        return self.decoder(code / self.code_scale) + self.linear.decode(code)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return None if self.linear is None else self.linear.decode(code)

    @torch.no_grad()
    def start_from(self, start: LinearInit) -> bool:
        """Put a linear path beside the layers, whose output starts at zero."""
        self.linear = LinearSkip(start, self.tied_weights)
        self.code_scale.copy_(start.code_scale)
        self.zero_output()
        return True

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder give zeros."""
        raise NotImplementedError


class LinearSkip(nn.Module):
    """A linear autoencoder beside a nonlinear one."""

    def __init__(self, start: LinearInit, tied_weights: bool) -> None:
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


def get_activation(name: str | Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Return what makes the nonlinearity called `name`, or `name` itself."""
    return ACTIVATIONS[name] if isinstance(name, str) else name


def check_positive_sizes(name: str, given: int | Sequence[int]) -> list[int]:
    """Return the numbers of parameter `name`, or raise a ValueError."""
    sizes = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(f"{name}={given!r} has to hold positive integers.")
    return sizes
