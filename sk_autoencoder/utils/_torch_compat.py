"""Differences between the versions of torch, and gaps of all of them."""

import inspect
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import (
    get_dynamic_layer_stack_depth,
    pop_dynamic_layer_stack_and_undo_to_depth,
)
from torch._C._functorch import is_batchedtensor as is_batched  # within vmap
from torch.func import functional_call

__all__ = [
    "call_with_tensors",
    "is_batched",
    "is_exporting",
    "parallelize",
    "raised_interrupts",
]

# torch < 2.7 has no word for export alone.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


def call_with_tensors(module: nn.Module, tensors: dict[str, Tensor], args: tuple) -> Any:
    """Call `module` with `tensors` by name in place of its own.

    That is ``functional_call``, but an interrupt on its way in, which leaves tensors in
    place there, leaves the module as it was.
    """
    parts = (name.rpartition(".") for name in tensors)
    places = []
    for path, _, name in parts:
        layer = vars(module.get_submodule(path))
        kind = "_parameters" if name in layer["_parameters"] else "_buffers"
        places.append((layer[kind], name, layer[kind][name]))
    try:
        return functional_call(module, tensors, args, tie_weights=False)
    except BaseException:
        for place, name, tensor in places:
            place[name] = tensor
        raise


@contextmanager
def raised_interrupts():
    """Let interrupts of torch's ``vmap`` and ``vjp`` be interrupts, within a context.

    Interrupted on their way in, these raise a RuntimeError, since they leave a level that
    they have not entered. Or they stay in a level that they have entered, where no random
    number can be drawn: it is left here.
    """
    depth = get_dynamic_layer_stack_depth()
    try:
        yield
    except BaseException as error:
        if get_dynamic_layer_stack_depth() > depth:
            pop_dynamic_layer_stack_and_undo_to_depth(depth)
        is_raised = isinstance(error, RuntimeError)
        if is_raised and isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def parallelize(module: nn.Module, group) -> nn.Module:
    """Average the gradients of `module` over a group of processes; buffers stay.

    A step may leave weights unused, such as those of components after the first few.
    """
    kind = nn.parallel.DistributedDataParallel
    names = "forward_sync_buffers", "broadcast_buffers"  # the former from 2.13 on
    known = inspect.signature(kind).parameters
    option = next(name for name in names if name in known)
    options = {option: False, "find_unused_parameters": True}
    return kind(module, process_group=group, **options)
