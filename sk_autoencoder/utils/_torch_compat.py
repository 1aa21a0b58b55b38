"""Differences between the versions of torch, and gaps of all of them."""

from contextlib import contextmanager

import torch
from torch._C._functorch import is_batchedtensor as is_batched  # within vmap

__all__ = ["is_batched", "is_exporting", "raised_interrupts"]

# torch < 2.7 has no word for export alone.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


@contextmanager
def raised_interrupts():
    """Raise KeyboardInterrupt where torch's ``vmap`` and ``vjp`` make a RuntimeError of it.

    They do so if they are interrupted on their way in: they leave a level that they have
    not entered.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
