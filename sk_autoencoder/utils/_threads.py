"""The number of threads that torch uses, and forks of a process with threads."""

import os
import threading
from contextlib import contextmanager

import numpy as np
import torch


class ForkSafeLock:
    """A lock that one thread may take several times, and that is free in a forked child.

    The thread that holds a lock does not live in a child: nothing would release it there.
    ``with`` takes the attribute `lock`: Ctrl-C may hit methods in Python between the
    lock and the block that releases it, and hits no method of C there.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


class _Contexts:
    """The contexts that limit threads now, in all Python threads."""

    def __init__(self) -> None:
        self._counting = ForkSafeLock()
        self.n_open = 0
        self.n_before = 0  # threads of torch before the first of the open contexts
        self.is_forked = False
        os.register_at_fork(after_in_child=self._begin_child)

    def _begin_child(self) -> None:
        self.n_open, self.is_forked = 0, True
        vars(_IN_THREAD).clear()

    def enter(self) -> int:
        """Count a context, and return the number of threads before all of them."""
        with self._counting.lock:
            if not self.n_open:
                self.n_before = torch.get_num_threads()
            self.n_open += 1
            return self.n_before

    def exit(self) -> None:
        """Forget a context."""
        with self._counting.lock:
            self.n_open -= 1


_IN_THREAD = threading.local()
_CONTEXTS = _Contexts()


def use_one_thread_after_fork() -> None:
    """Let torch use one thread in a forked child, for good.

    torch's other threads do not live in the child, and torch would wait for them forever
    (https://github.com/pytorch/pytorch/issues/17199).
    """
    if _CONTEXTS.is_forked:
        torch.set_num_threads(1)


@contextmanager
def limit_threads(work: float, work_per_thread: float):
    """Limit torch to the number of threads that `work` keeps busy, within a context.

    Contexts of several Python threads may overlap. torch gives the last number that was
    set to threads that begin later, so the end of a context sets the number from before
    all open ones. A context within another in the same thread may lower the number only.
    """
    use_one_thread_after_fork()
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
