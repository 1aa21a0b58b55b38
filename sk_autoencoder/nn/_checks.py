"""Checks of a user's network."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._modules import Modules


def as_specification(network: Any) -> Callable:
    """Return what builds a network: `network` itself, or what builds copies of it."""
    if isinstance(network, Network):
        return lambda n_features, n_components: copy.deepcopy(network)
    if isinstance(network, torch.nn.Module):
        raise TypeError(
            f"network={type(network).__name__}(...) is one torch module. Give a pair "
            "(encoder, decoder), or derive it from sk_autoencoder.nn.Network."
        )
    if not isinstance(network, tuple | list):
        return network
    modules = [isinstance(part, torch.nn.Module) for part in network]
    if modules != [True, True]:
        raise TypeError(
            f"network={network!r} has to hold two torch modules, encoder and decoder."
        )
    return Modules(*network)


def check_network(network: Any, n_features: int, n_components: int) -> None:
    """Raise if `network` is not a network of that many features and components."""
    if not isinstance(network, Network):
        raise TypeError(
            f"network= has to return a sk_autoencoder.nn.Network, and returned a "
            f"{type(network).__name__}. Derive your torch module from Network."
        )
    given = f"X has {n_features} features, and n_components={n_components}."
    x = torch.zeros(2, n_features)
    with torch.no_grad():
        try:
            code = network.eval().encode(x)
            check_output("code", code, n_components, given)
            check_output("reconstruction", network(x).reconstruction, n_features, given)
        except RuntimeError as error:
            raise ValueError(f"The given network fails ({error}): {given}") from error


def check_output(name: str, found: torch.Tensor, width: int, given: str) -> None:
    """Raise a ValueError if an output of a network for 2 rows has not that `width`."""
    if found.shape != (2, width):
        raise ValueError(
            f"The {name} of the given network has shape {tuple(found.shape)} for 2 rows, "
            f"and should have (2, {width}): {given}"
        )
