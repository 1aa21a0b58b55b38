"""Optimizers by name."""

import inspect
from collections.abc import Callable

import torch

# torch wraps these methods for its compiler, and imports the compiler when they are called:
# that takes more than two seconds of the first fit of a process.
ADD_PARAM_GROUP = inspect.unwrap(torch.optim.Optimizer.add_param_group)
ZERO_GRAD = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class Adam(torch.optim.Adam):
    """torch's Adam, without its compiler."""

    add_param_group, zero_grad = ADD_PARAM_GROUP, ZERO_GRAD


class AdamW(torch.optim.AdamW):
    """torch's AdamW, without its compiler."""

    add_param_group, zero_grad = ADD_PARAM_GROUP, ZERO_GRAD


class SGD(torch.optim.SGD):
    """torch's SGD, without its compiler."""

    add_param_group, zero_grad = ADD_PARAM_GROUP, ZERO_GRAD


OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


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
