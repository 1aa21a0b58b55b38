"""Checks of the parameter `network`: its type and the shapes of its output."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._modules import Modules


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
        return lambda n_features, n_components: copy.deepcopy(
            network(n_features, n_components)
        )
    are_modules = [isinstance(module, torch.nn.Module) for module in network]
    if are_modules != [True, True]:
        raise TypeError(
            f"network={network!r} has to hold two torch modules, encoder and decoder."
        )
    return Modules(*network)


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
