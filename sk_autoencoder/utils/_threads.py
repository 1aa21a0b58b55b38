"""The number of threads that torch uses."""

import threading
from contextlib import contextmanager

import numpy as np
import torch


class _Contexts:
    """The contexts that limit threads now, in all Python threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_open = 0
        self.n_before = 0  # threads of torch before the first of the open contexts

    def enter(self) -> int:
        """Count a context, and return the number of threads before all of them."""
        with self.lock:
            if not self.n_open:
                self.n_before = torch.get_num_threads()
            self.n_open += 1
            return self.n_before

    def exit(self) -> None:
        """Forget a context."""
        with self.lock:
            self.n_open -= 1


_CONTEXTS = _Contexts()
_IN_THREAD = threading.local()


@contextmanager
def limit_threads(work: float, work_per_thread: float):
    """Limit torch to the number of threads that `work` keeps busy, within a context.

    Contexts of several Python threads may overlap. torch gives the last number that was
    set to threads that begin later, so the end of a context sets the number from before
    all open ones. A context within another in the same thread may lower the number only.
    """
    outer = getattr(_IN_THREAD, "n_threads", None)
    before = _CONTEXTS.enter() if outer is None else outer
    n_threads = int(np.clip(work / work_per_thread, 1, before))
    torch.set_num_threads(n_threads)
    _IN_THREAD.n_threads = n_threads
    try:
        yield
    finally:
        _IN_THREAD.n_threads = outer
        torch.set_num_threads(before)
        if outer is None:
            _CONTEXTS.exit()
