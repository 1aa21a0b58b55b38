"""Seeds and random number generators."""

from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from sk_autoencoder.utils._threads import ForkSafeLock, use_one_thread_after_fork
from sk_autoencoder.utils._torch_compat import raised_interrupts

_GENERATORS = ForkSafeLock()  # of torch, which are those of the process


def draw_seed(rng: np.random.RandomState) -> int:
    """Draw a seed for another random generator."""
    return int(rng.randint(np.iinfo(np.int32).max))


def draw_torch_seed() -> int:
    """Draw a seed from torch's generator."""
    return int(torch.randint(2**31, ()))


def clone_with_seed(estimator, random_state, seed: int):
    """Clone an estimator, and set its seed to `seed` unless `random_state` is None."""
    result = clone(estimator)
    if random_state is not None and "random_state" in result.get_params(deep=False):
        result.set_params(random_state=seed)
    return result


@contextmanager
def seeded_fit(random_state, device: torch.device, offset: int = 0):
    """Seed torch from `random_state` within a context, and restore its generators.

    Yields the seed. An integer `random_state` is the seed, so that the initial PCA equals
    scikit-learn's PCA of this `random_state`.
    """
    if isinstance(random_state, Integral):
        seed = int(random_state)
    else:
        seed = draw_seed(check_random_state(random_state))
    with fork_rng_with_seed(seed + offset, device):
        yield seed


@contextmanager
def fork_rng_with_seed(seed: int, device: torch.device):
    """Seed torch within a context, and restore its generators.

    One thread at a time holds torch's generators; others wait. Layers draw their weights,
    and dropout and ``torch.distributions`` their samples, from these generators alone.
    """
    use_one_thread_after_fork()
    cuda = [device] if device.type == "cuda" else []
    generators = torch.random.fork_rng(devices=cuda)
    with raised_interrupts(), _GENERATORS.lock, generators:
        torch.default_generator.manual_seed(seed)
        for cuda_device in cuda:
            with torch.cuda.device(cuda_device):
                torch.cuda.manual_seed(seed)
        yield
