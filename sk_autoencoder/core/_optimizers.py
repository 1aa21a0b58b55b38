"""Optimizers by name."""

import inspect
from collections.abc import Callable

import torch

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def check_optimizer(optimizer: Callable, lr: float) -> None:
    """Check that a user's `optimizer` makes optimizers like those of torch."""
    if optimizer in OPTIMIZERS.values():
        return
    expected = "It has to be a class like those of torch.optim, or a callable like one."
    try:
        made = optimizer([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    except Exception as error:
        raise TypeError(f"optimizer={optimizer!r} fails: {error}. {expected}") from error
    if not (hasattr(made, "step") and hasattr(made, "zero_grad")):
        raise TypeError(
            f"optimizer={optimizer!r} returned a {type(made).__name__}. {expected}"
        )


def supported_options(optimizer: Callable, **options) -> dict:
    """Select the options that `optimizer` has, under skorch's names."""
    parameters = inspect.signature(optimizer).parameters
    return {f"optimizer__{k}": v for k, v in options.items() if k in parameters}
