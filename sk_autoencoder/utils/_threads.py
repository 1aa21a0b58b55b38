"""The number of threads that torch uses."""

from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def limit_threads(work: float, share: float):
    """Use one torch thread for each `share` of the `work`, as far as there are threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(np.clip(work / share, 1, before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
