"""Optimizers by name."""

import inspect
from collections.abc import Callable

import torch

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def supported_options(optimizer: Callable, **wished) -> dict:
    """Return those `wished` options that `optimizer` takes, in skorch's names."""
    known = inspect.signature(optimizer).parameters
    return {f"optimizer__{k}": v for k, v in wished.items() if k in known}
