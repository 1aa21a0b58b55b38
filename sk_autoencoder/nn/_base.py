"""Base classes of networks, their output and their linear initialisation.

:class:`Network` is the contract of all networks. :class:`LinearSkipNetwork` adds a linear
skip connection, which makes an initialisation at PCA or another linear model exact.
"""

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sk_autoencoder.utils._constraints import MAX_COUNT
from sk_autoencoder.utils._torch_compat import is_exporting

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
    """Output of a network: code, reconstruction and posterior.

    Attributes
    ----------
    code : Tensor of shape (batch, n_components)
    reconstruction : Tensor of shape (batch, n_features)
        In scaled units, before the link of the loss (a sigmoid for cross-entropy).
    posterior : torch.distributions.Distribution or None
        Distribution of the code; None for a deterministic network.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense
    >>> Dense()(8, 2)(torch.zeros(5, 8)).reconstruction.shape
    torch.Size([5, 8])
    """

    code: Tensor
    reconstruction: Tensor
    posterior: torch.distributions.Distribution | None = None


class LinearInit(NamedTuple):
    """Weights of a linear autoencoder, at which a network can be initialised.

    Attributes
    ----------
    encode_weight : Tensor of shape (n_components, n_features)
    encode_bias : Tensor of shape (n_components,)
    decode_weight : Tensor of shape (n_features, n_components)
    decode_bias : Tensor of shape (n_features,)
    code_scale : Tensor of shape (n_components,)
        Standard deviation of each component of the code.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense, LinearInit
    >>> eye, zeros, ones = torch.eye(3)[:2], torch.zeros(3), torch.ones(2)
    >>> network = Dense()(3, 2)
    >>> network.start_from(LinearInit(eye, zeros[:2], eye.T, zeros, ones))
    True
    >>> network.eval().reconstruct(torch.tensor([[1.0, 2.0, 3.0]])).round().abs()
    tensor([[1., 2., 0.]], grad_fn=<AbsBackward0>)
    """

    encode_weight: Tensor
    encode_bias: Tensor
    decode_weight: Tensor
    decode_bias: Tensor
    code_scale: Tensor


class Network(nn.Module):
    """Base class of networks; a subclass defines ``encode`` and ``decode``.

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

    @property
    def takes_members(self) -> bool:
        """Whether it takes the stacked weights of an ensemble.

        Rows have the shape (n_members, batch, n_features) then.
        """
        return False

    def forward(self, x: Tensor) -> NetworkOutput:
        """Encode and decode `x` of shape (batch, n_features)."""
        code = self.encode(x)
        return NetworkOutput(code, self.decode(code))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstruct `x` of shape (batch, n_features) without random numbers."""
        return self.decode(self.encode(x))

    def start_from(self, init: LinearInit) -> bool:
        """Initialise at a linear autoencoder; False if the network has no such start."""
        return False

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return None

    def decode_first(self, code: Tensor, n_kept: int | Tensor) -> Tensor | None:
        """Decode the first `n_kept` components; None for a network without an order."""
        return None

    def squared_gradients(self, x: Tensor) -> Tensor | None:
        """Compute the squared gradient norms (batch, n_components) of the code.

        None if they have no closed form.
        """
        return None

    def layer_specs(self) -> list[tuple[int, Callable[[int, int], "Network"]]]:
        """List width and specification of each layer that can be trained alone."""
        return []

    def load_layers(self, layers: "Sequence[Network]") -> None:
        """Copy the weights of trained networks, one for each of :meth:`layer_specs`."""

    def with_imputation(self, completion: nn.Module) -> "Network":
        """Prepend a layer that imputes the missing entries of the input."""
        return ImputedNetwork(self, completion)


class ImputedNetwork(Network):
    """A network behind a layer that imputes the missing entries of its input.

    Parameters
    ----------
    network : Network
    completion : nn.Module
        Imputes rows (batch, n_features), in which missing entries are NaN.
    """

    def __init__(self, network: Network, completion: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.completion = completion

    @property
    def takes_members(self) -> bool:
        """Whether both parts take the stacked weights of an ensemble."""
        return self.network.takes_members and getattr(
            self.completion, "takes_members", False
        )

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to codes (batch, n_components)."""
        return self.network.encode(self.completion(x))

    def decode(self, code: Tensor) -> Tensor:
        """Decode `code` (batch, n_components) to rows (batch, n_features)."""
        return self.network.decode(code)

    def start_from(self, init: LinearInit) -> bool:
        """Initialise the inner network at a linear autoencoder, if it can be."""
        return self.network.start_from(init)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return self.network.decode_linearly(code)

    def decode_first(self, code: Tensor, n_kept: int | Tensor) -> Tensor | None:
        """Decode the first `n_kept` components; None for a network without an order."""
        return self.network.decode_first(code, n_kept)


class LinearSkipNetwork(Network):
    """Base class of networks with an optional linear skip connection.

    A subclass defines the layers ``encoder`` and ``decoder``, and ``zero_output``, which
    makes both return zeros. The network then starts exactly at the linear autoencoder.
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
        """Encode `x` (batch, n_features) to codes (batch, n_components)."""
        code = self.encoder(x)
        return code if self.linear is None else code + self.linear.encode(x)

    def decode(self, code: Tensor) -> Tensor:
        """Decode `code` (batch, n_components) to rows (batch, n_features)."""
        if self.linear is None:
            return self.decoder(code)
        scaled = code / align_rows(self.code_scale)
        return self.decoder(scaled) + self.linear.decode(code)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return None if self.linear is None else self.linear.decode(code)

    @torch.no_grad()
    def start_from(self, init: LinearInit) -> bool:
        """Add a linear skip, and set the output of the nonlinear layers to zero."""
        self.linear = LinearSkip(init, self.tied_weights)
        self.code_scale.copy_(init.code_scale)
        self.zero_output()
        return True

    def zero_output(self) -> None:
        """Set the last layers such that encoder and decoder return zeros."""
        raise NotImplementedError


class LinearSkip(nn.Module):
    """Linear autoencoder that is added to a nonlinear one."""

    def __init__(self, init: LinearInit, tied_weights: bool) -> None:
        super().__init__()
        self.encode_weight = nn.Parameter(init.encode_weight.clone())
        self.encode_bias = nn.Parameter(init.encode_bias.clone())
        self.decode_weight = (
            None if tied_weights else nn.Parameter(init.decode_weight.clone())
        )
        self.decode_bias = nn.Parameter(init.decode_bias.clone())

    def encode(self, x: Tensor) -> Tensor:
        return apply_linear(x, self.encode_weight, self.encode_bias)

    def decode(self, code: Tensor) -> Tensor:
        if self.decode_weight is None:
            return apply_linear(code, self.encode_weight.mT, self.decode_bias)
        return apply_linear(code, self.decode_weight, self.decode_bias)


def align_rows(vectors: Tensor) -> Tensor:
    """Align a vector, or one of each member, with rows (..., batch, length)."""
    return vectors if vectors.ndim == 1 else vectors[:, None]


def map_parts(function: Callable, size: int, *rows: Tensor, dim: int = -2) -> Tensor:
    """Apply a function to at most `size` rows at a time, and concatenate its results.

    A graph that is exported has all rows in one part.
    """
    if is_exporting():
        return function(*rows)
    parts = zip(*(x.split(size, dim) for x in rows), strict=True)
    return torch.cat([function(*part) for part in parts], dim)


def apply_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a linear layer, or those of all members of an ensemble at once.

    Parameters
    ----------
    x : Tensor of shape (batch, n_in), or (n_members, batch, n_in)
    weight : Tensor of shape (n_out, n_in), or (n_members, n_in, n_out)
        An ensemble stores matrices transposed.
    bias : Tensor of shape (n_out,), or (n_members, n_out)
    """
    if weight.ndim == 2:
        return nn.functional.linear(x, weight, bias)
    return torch.baddbmm(bias[:, None], x, weight)


def get_activation(
    name: str | Callable[[], nn.Module], parameter: str = "activation"
) -> Callable[[], nn.Module]:
    """Look up the factory of a nonlinearity by `name`; a callable stays as it is.

    Raises
    ------
    TypeError
        If a callable does not return a module.
    ValueError
        If a name is unknown.
    """
    if isinstance(name, str):
        if name not in ACTIVATIONS:
            raise ValueError(f"{parameter}={name!r} is none of {sorted(ACTIVATIONS)}.")
        return ACTIVATIONS[name]
    is_module = isinstance(name, nn.Module)
    if is_module or not isinstance(name(), nn.Module):
        raise TypeError(
            f"{parameter}={name!r} has to be a callable without arguments that returns a "
            "torch module, such as the class torch.nn.ReLU."
        )
    return name


def check_positive_sizes(
    name: str, value: int | Sequence[int], n_min: int = 0
) -> list[int]:
    """Check that the `value` of parameter `name` holds positive integers, as a list."""
    sizes = list(value) if isinstance(value, Iterable) else [value]
    are_counts = [isinstance(size, Integral) and 0 < size <= MAX_COUNT for size in sizes]
    if not all(are_counts) or any(isinstance(size, bool) for size in sizes):
        raise ValueError(f"{name}={value!r} has to hold positive integers.")
    if len(sizes) < n_min:
        raise ValueError(f"{name}={value!r} has to hold {n_min} or more integers.")
    return sizes
