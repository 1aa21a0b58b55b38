"""Optimizers by name."""

import inspect
from collections.abc import Callable

import torch

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def supported_options(optimizer: Callable, **options) -> dict:
    """Select the options that `optimizer` has, under skorch's names."""
    parameters = inspect.signature(optimizer).parameters
    return {f"optimizer__{k}": v for k, v in options.items() if k in parameters}
