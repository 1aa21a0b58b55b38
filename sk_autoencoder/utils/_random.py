"""Seeds and random generators."""

from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state


def draw_seed(rng: np.random.RandomState) -> int:
    """Draw a seed for another random generator."""
    return int(rng.randint(np.iinfo(np.int32).max))


def clone_with_seed(estimator, random_state, seed: int):
    """Return a clone, with `seed` for its own unless `random_state` is None."""
    copied = clone(estimator)
    own = copied.get_params(deep=False)
    if random_state is not None and "random_state" in own:
        copied.set_params(random_state=seed)
    return copied


@contextmanager
def seeded(random_state, device: torch.device, offset: int = 0):
    """Seed torch from `random_state`, and leave its generators as they were found.

    Yields the seed: an integer `random_state` itself, so that the PCA of a start is the
    PCA that has this `random_state`.
    """
    if isinstance(random_state, Integral):
        seed = int(random_state)
    else:
        seed = draw_seed(check_random_state(random_state))
    with draws_of(seed + offset, device):
        yield seed


@contextmanager
def draws_of(seed: int, device: torch.device):
    """Let torch draw what `seed` gives, and leave its generators as they were found."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield
