"""Fits and inference in threads: the same numbers, and nothing left behind."""

import inspect
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from catalogue import (
    CATALOGUE,
    COMPRESSORS,
    DETECTORS,
    ONE_OF_EACH_KIND,
    fit_once,
    in_turn,
    one_of_each,
)
from sklearn.base import clone
from test_properties import assert_same, baseline, outputs

from sk_autoencoder.utils._random import seeded_fit
from sk_autoencoder.utils._threads import limit_threads

N_THREADS = 4


def run_together(functions):
    """Run functions in threads of their own, which begin at the same time."""
    barrier = threading.Barrier(len(functions))

    def run(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


@pytest.mark.parametrize("estimator", in_turn(one_of_each(CATALOGUE, ONE_OF_EACH_KIND), 1))
def test_fits_in_threads_are_serial_ones_bit_for_bit(estimator, pixels):
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    each = [clone(estimator), clone(estimator).set_params(random_state=1), clone(estimator)]
    fits = [lambda e=e: outputs(e.fit(pixels), pixels) for e in each]
    for index, values in enumerate(run_together(fits)):
        if index != 1:
            assert_same(baseline(estimator, pixels), values)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator", [*DETECTORS[:1], *COMPRESSORS[:1]])
def test_inference_in_threads_is_serial_inference(estimator, dtype, pixels):
    estimator, X = fit_once(estimator, pixels), np.tile(pixels.astype(dtype), (20, 1))
    expected = outputs(estimator, X)
    for values in run_together([lambda: outputs(estimator, X)] * N_THREADS):
        assert_same(expected, values)


def test_one_thread_at_a_time_holds_the_generators_of_torch():
    cpu, open_contexts, most = torch.device("cpu"), [], []

    def draw(seed):
        with seeded_fit(seed, cpu):
            open_contexts.append(seed)
            most.append(len(open_contexts))
            with seeded_fit(seed, cpu):  # the same thread may enter again
                values = [float(torch.rand(())) for _ in range(100)]
            open_contexts.pop()
        return values

    state = torch.get_rng_state()
    together = run_together([lambda s=s: draw(s) for s in range(N_THREADS)])
    assert together == [draw(s) for s in range(N_THREADS)]
    assert set(most) == {1}
    assert torch.equal(torch.get_rng_state(), state)


def test_contexts_that_overlap_put_the_number_of_threads_back():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    first_is_open, second_is_open = threading.Event(), threading.Event()
    inside = []

    def first():
        with limit_threads(1, 1):
            first_is_open.set()
            second_is_open.wait()
        inside.append(torch.get_num_threads())

    def second():
        first_is_open.wait()
        with limit_threads(2, 1):
            second_is_open.set()
            thread.join()
            with limit_threads(8, 1):  # an inner context lowers the number only
                inside.append(torch.get_num_threads())
        inside.append(torch.get_num_threads())

    thread = threading.Thread(target=first)
    thread.start()
    second()
    try:
        assert inside == [3, 2, 3]
        assert run_together([torch.get_num_threads]) == [3]
    finally:
        torch.set_num_threads(before)


FORK = """
import multiprocessing
import threading

import numpy as np
import torch
from sklearn.base import clone

from sk_autoencoder import AutoencoderOutlierDetector, AutoencoderTransformer
from sk_autoencoder.utils._random import seeded_fit

torch.set_num_threads(2)
large = torch.ones(2_000, 2_000)
large @ large, large + large  # torch's threads begin
rng = np.random.default_rng(0)
X, many = rng.normal(size=(200, 8)), rng.normal(size=(5_000, 8)).astype(np.float32)
autoencoder = AutoencoderTransformer(2, max_epochs=2, random_state=0)
fitted = AutoencoderOutlierDetector(autoencoder, n_estimators=2, random_state=0).fit(X)
expected = fitted.score_samples(many)


def work(queue):
    codes = clone(autoencoder).fit_transform(many[:1_000])[:3]
    queue.put((codes, (fitted.score_samples(many) == expected).all()))


def hold(has_begun, may_end):  # torch's generators, while the process forks
    with seeded_fit(0, torch.device("cpu")):
        has_begun.set()
        may_end.wait()


has_begun, may_end = threading.Event(), threading.Event()
holder = threading.Thread(target=hold, args=(has_begun, may_end))
holder.start()
has_begun.wait()
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=work, args=(queue,))
child.start()
may_end.set()
codes, are_equal = queue.get(timeout=100)
child.join()
assert are_equal
serial = clone(autoencoder).fit_transform(many[:1_000])[:3]
np.testing.assert_allclose(codes, serial, rtol=1e-4)
assert torch.get_num_threads() == 2
"""


def test_a_forked_child_fits_and_scores():
    # Threads that spin while they wait take the time of other tests.
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=200, env=environment)


def test_an_interrupt_at_any_call_leaves_the_generators_free():
    def take():
        with seeded_fit(0, torch.device("cpu")):
            pass

    def interrupt_at(n_events):
        """Take the generators, and press Ctrl-C at the beginning or end of a call."""
        n_seen = 0

        def trace(frame, event, arg):
            nonlocal n_seen
            # Python looks for signals where functions begin and have ended. A generator
            # ends in its caller: what a trace raises at a yield, no block would see.
            is_generator = frame.f_code.co_flags & inspect.CO_GENERATOR
            is_moment = event == "call" or (event == "return" and not is_generator)
            if is_moment and Path(frame.f_code.co_filename).name in PLACES:
                n_seen += 1
                if n_seen == n_events:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        tracing = sys.gettrace()
        sys.settrace(trace)
        try:
            take()
        finally:
            sys.settrace(tracing)

    state, n_interrupts = torch.get_rng_state(), 0
    while True:
        try:
            interrupt_at(n_interrupts + 1)
            break
        except KeyboardInterrupt:
            n_interrupts += 1
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive(), n_interrupts
        assert torch.equal(torch.get_rng_state(), state)
    assert n_interrupts > 10


PLACES = ("_random.py", "_threads.py", "contextlib.py")  # where the lock is taken
