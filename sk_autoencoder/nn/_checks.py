"""Checks of what users give in torch: networks, losses and corruptions."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._convolutional import Convolutional
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._modules import Modules
from sk_autoencoder.nn._temporal import Temporal

# Each call of these builds another network, which needs no copy: in a detector, copies of
# the members were a tenth of a fit to few rows.
BUILDERS = (Convolutional, Dense, Modules, Temporal)


def as_specification(network: Any) -> Callable:
    """Convert `network` to a callable ``(n_features, n_components) -> Network``.

    Each call copies what was given: training leaves a user's own modules as they are.
    """
    if isinstance(network, Network):
        return lambda n_features, n_components: copy.deepcopy(network)
    if isinstance(network, torch.nn.Module):
        raise TypeError(
            f"network={type(network).__name__}(...) is one torch module. Give a pair "
            "(encoder, decoder), or derive it from sk_autoencoder.nn.Network."
        )
    if not isinstance(network, tuple | list):
        return partial(_call_specification, network)
    are_modules = [isinstance(module, torch.nn.Module) for module in network]
    if are_modules != [True, True]:
        raise TypeError(
            f"network={network!r} has to hold two torch modules, encoder and decoder."
        )
    return Modules(*network)


def _call_specification(network: Callable, n_features: int, n_components: int) -> Any:
    try:
        result = network(n_features, n_components)
        return result if type(network) in BUILDERS else copy.deepcopy(result)
    except TypeError as error:
        raise TypeError(
            f"network={network!r} cannot be called with n_features={n_features} and "
            f"n_components={n_components}: {error}"
        ) from error


def check_loss(loss: Callable, n_features: int) -> None:
    """Check that a user's `loss` maps outputs and rows to one number a row."""
    x = torch.zeros(2, n_features)
    check_callable("loss", loss, (x.clone(), x), (2,), "(output, x) -> error of each row")


def check_corruption(corruption: Callable, n_features: int) -> None:
    """Check that a user's `corruption` maps rows to rows."""
    with torch.random.fork_rng(devices=[]):
        x = torch.zeros(2, n_features)
        check_callable("corruption", corruption, (x,), (2, n_features), "rows -> rows")


def check_callable(
    name: str, function: Callable, args: tuple, shape: tuple[int, ...], signature: str
) -> None:
    """Check that ``function(*args)`` is a tensor of `shape`; `name` is its parameter."""
    expected = f"It has to be a callable {signature}, in torch."
    try:
        with torch.no_grad():
            result = function(*args)
    except Exception as error:
        raise TypeError(f"{name}={function!r} fails: {error}. {expected}") from error
    if not isinstance(result, torch.Tensor):
        kind = type(result).__name__
        raise TypeError(f"{name}={function!r} returned a {kind}. {expected}")
    if result.shape != shape:
        raise ValueError(
            f"{name}={function!r} returned the shape {tuple(result.shape)} for 2 rows of "
            f"{args[0].shape[1]} features, and should return {shape}. {expected}"
        )


def check_network(network: Any, n_features: int, n_components: int) -> None:
    """Check that a `network` codes `n_features` features in `n_components` numbers.

    Raises a TypeError for other objects, and a ValueError for a wrong shape.
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"network= has to return a sk_autoencoder.nn.Network, and returned a "
            f"{type(network).__name__}. Derive your torch module from Network."
        )
    sizes = f"X has {n_features} features, and n_components={n_components}."
    x = torch.zeros(2, n_features)
    with torch.no_grad():
        try:
            code = network.eval().encode(x)
            check_output("code", code, n_components, sizes)
            check_output("reconstruction", network(x).reconstruction, n_features, sizes)
        except RuntimeError as error:
            raise ValueError(f"The given network fails ({error}): {sizes}") from error


def check_output(name: str, output: torch.Tensor, width: int, sizes: str) -> None:
    """Check that the `output` of a network for 2 rows has the given `width`."""
    if output.shape != (2, width):
        raise ValueError(
            f"The {name} of the given network has shape {tuple(output.shape)} for 2 rows, "
            f"and should have (2, {width}): {sizes}"
        )
