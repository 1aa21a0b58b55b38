"""A progress bar of the fit that a process runs now, where someone looks at it."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from time import perf_counter

from tqdm import tqdm

SWITCH = "SKAUTOENCODER_PROGRESS"  # environment variable: "0" shows no bar
MIN_SECONDS = 3.0  # of a fit that has a bar, as far as its first steps tell
LOOK_SECONDS = 0.5  # of training before its end is estimated
LAYOUT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} so far, {remaining} left"


class _Bar(tqdm):
    monitor_interval = 0  # no thread of tqdm beside the fit: a child would not have it


class Progress:
    """The steps of the trainings of one fit, as a bar once the fit turns out to be long.

    Parameters
    ----------
    name : str
        Name of the estimator.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin = perf_counter()
        self.bar: tqdm | None = None
        self.n_trainings = self.n_steps = self.n_done = 0

    def expect(self, n_steps: int) -> None:
        """Begin a training of at most `n_steps` steps; of 0 steps to be left out."""
        self.n_trainings += 1
        self.n_steps, self.n_done, self.training_begin = n_steps, 0, perf_counter()
        if self.bar is not None:
            self.bar.set_description_str(self._describe(), refresh=False)
            self.bar.reset(n_steps)

    def advance(self) -> None:
        """Count a step."""
        self.n_done += 1
        if self.bar is not None:
            self.bar.update()
        elif self._is_long():
            size = get_terminal_size()  # 80 times 24 where a terminal says 0
            self.bar = _Bar(
                desc=self._describe(),
                total=self.n_steps,
                bar_format=LAYOUT,
                leave=False,
                ncols=size.columns,
                nrows=size.lines,
                mininterval=0.2,
                file=sys.stderr,
            )
            self.bar.start_t -= perf_counter() - self.training_begin
            self.bar.update(self.n_done)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()

    def _is_long(self) -> bool:
        now = perf_counter()
        seconds = now - self.training_begin
        if seconds < LOOK_SECONDS:
            return False
        remaining = seconds / self.n_done * (self.n_steps - self.n_done)
        return now - self.begin + remaining > MIN_SECONDS

    def _describe(self) -> str:
        count = f", training {self.n_trainings}" if self.n_trainings > 1 else ""
        return f"{self.name}{count}"


# `progress` of the outermost fit in a thread, or None; and `is_silent`
_IN_THREAD = threading.local()
_BAR_IS_TAKEN = threading.Lock()  # by the fit of another thread


@contextmanager
def silence(is_wanted: bool = True) -> Iterator[None]:
    """Let the fits of this thread show and print nothing within a context, if wanted.

    One of several processes that train together shows their progress.
    """
    before, _IN_THREAD.is_silent = is_silent(), is_wanted
    try:
        yield
    finally:
        _IN_THREAD.is_silent = before


def is_silent() -> bool:
    """Check whether the fits of this thread show and print nothing."""
    return getattr(_IN_THREAD, "is_silent", False)


def is_seen() -> bool:
    """Check whether a person can see a bar: in a terminal or a notebook."""
    if os.environ.get(SWITCH) == "0" or sys.stderr is None or is_silent():
        return False
    if multiprocessing.current_process().name != "MainProcess":
        return False  # each process of a search would show one
    is_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    return is_notebook or sys.stderr.isatty()


@contextmanager
def progress_of(name: str, *, is_wanted: bool = True):
    """Show the progress of a fit within a context, one bar in a process.

    Fits inside of this one move its bar, and fits of other threads have none meanwhile.

    Parameters
    ----------
    name : str
        Name of the estimator.
    is_wanted : bool, default=True
        Whether nothing else shows the progress of this fit.
    """
    if hasattr(_IN_THREAD, "progress"):
        yield
        return
    has_bar = is_wanted and is_seen() and _BAR_IS_TAKEN.acquire(blocking=False)
    _IN_THREAD.progress = progress = Progress(name) if has_bar else None
    try:
        yield
    finally:
        del _IN_THREAD.progress
        if progress is not None:
            progress.close()
            _BAR_IS_TAKEN.release()


def expect_steps(n_steps: int) -> None:
    """Tell the bar of this thread, if any, how many steps a training takes at most."""
    if (progress := getattr(_IN_THREAD, "progress", None)) is not None:
        progress.expect(n_steps)


def watch(steps: Iterable) -> Iterable:
    """Move the bar of this thread, if any, with each of `steps`."""
    progress = getattr(_IN_THREAD, "progress", None)
    is_watched = progress is not None and progress.n_steps
    return _watch(progress, steps) if is_watched else steps


def _watch(progress: Progress, steps: Iterable) -> Iterator:
    for step in steps:
        yield step
        progress.advance()
