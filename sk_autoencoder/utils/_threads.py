"""The number of threads that torch uses."""

from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def limit_threads(work: float, work_per_thread: float):
    """Limit torch to the number of threads that `work` keeps busy, within a context."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(np.clip(work / work_per_thread, 1, before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
