"""Campaigns of hostile input over the catalogue.

``python tests/campaigns.py --minutes 10`` runs them, and so does ``make fuzz``.

Each trial ends finite (a right result), refused (an error for the user), or fails. The
tests run few trials of each campaign, ``make fuzz`` as many as its minutes allow.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import torch
from catalogue import CATALOGUE, CLASSES, ONE_OF_EACH, PLAIN
from hostile import MORE_VALUES, VALUES, list_parameters, try_parameter
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils import _safe_indexing

from sk_autoencoder import load, save
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._losses import ROW_LOSSES
from sk_autoencoder.persistence._files import DIGITS, _seal

IRIS = load_iris().data[::3]
METHODS = ("transform", "reconstruct", "score_samples", "predict")
ROW_METHODS = (*METHODS, "denoise", "explain")
PRIVATE = re.compile(r"\b(_\w+|Base\w+|\w+Mixin)\b(?=\()")  # classes that are no one's
ESTIMATORS = st.sampled_from(ONE_OF_EACH)
OF_ROWS = [each for each in CATALOGUE if not hasattr(each, "window")]
SEEDS = st.integers(0, 2**31 - 1)


def outputs(estimator, X, methods=METHODS):
    """Compute what each method of a fitted estimator gives."""
    names = [name for name in methods if hasattr(estimator, name)]
    values = [getattr(estimator, name)(X) for name in names]
    return [v.toarray() if hasattr(v, "toarray") else np.asarray(v) for v in values]


def is_finite(values):
    """Tell whether numbers are finite; a column without an observed cell stays missing."""
    if values.dtype == object:
        values = [cell for cell in values.ravel() if not pd.isna(cell)]
        values = [cell for cell in values if not isinstance(cell, str)]
    return np.isfinite(np.asarray(values, dtype=float)).all()


def restore(estimator, seed_, X=IRIS):
    """Fit a quick copy of an estimator."""
    return clone(estimator).set_params(random_state=seed_).fit(X)


# Tables


@st.composite
def tables(draw):
    """Draw a table with columns of several kinds, as an array, a frame or sparse rows."""
    rng = np.random.default_rng(draw(SEEDS))
    n_rows, n_columns = draw(st.integers(1, 40)), draw(st.integers(1, 8))
    columns = []
    for _ in range(n_columns):
        values = rng.normal(size=n_rows)
        kind = draw(
            st.sampled_from(["normal", "constant", "count", "few", "heavy", "same"])
        )
        if kind == "constant":
            values = np.full(n_rows, values[0])
        elif kind == "count":
            values = rng.poisson(2.0, n_rows).astype(float)
        elif kind == "few":
            values = (rng.random(n_rows) < 0.1).astype(float)
        elif kind == "heavy":
            values = rng.standard_cauchy(n_rows)
        elif kind == "same" and columns:
            values = columns[-1]
        power = draw(st.sampled_from([0, 0, 0, -300, -30, -5, 5, 30, 300]))
        offset = draw(st.sampled_from([0.0, 0.0, 1.0, 1e9]))
        with np.errstate(over="ignore"):
            columns.append(values * 10.0**power + offset)
    X = np.stack(columns, axis=1)
    fraction = draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]))
    X[rng.random(X.shape) < fraction] = draw(st.sampled_from([np.nan, np.nan, np.inf]))
    with np.errstate(over="ignore", invalid="ignore"):
        X = X.astype(draw(st.sampled_from(["f8", "f8", "f4", "f2", "i8", "?", "O"])))
    names = [f"column {i}" for i in range(n_columns)]
    containers = {
        "array": lambda: X,
        "Fortran": lambda: np.asfortranarray(X),
        "list": X.tolist,
        "pandas": lambda: pd.DataFrame(X, columns=names),
        "polars": lambda: pl.DataFrame(X.astype(float), schema=names),
        "CSR": lambda: csr_array(X.astype(float)),
        "CSC": lambda: csc_array(X.astype(float)),
    }
    return containers[draw(st.sampled_from(sorted(containers)))]()


def try_table(outcomes, estimator, X, seed_):
    """Fit to a table: finite outputs, or a clear refusal, and no warning of numpy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            fitted = restore(estimator, seed_, X)
            values = outputs(fitted, X)
        except (ValueError, TypeError, MemoryError) as error:
            refusal, values = str(error), []
        else:
            refusal = ""
    assert not PRIVATE.search(refusal)
    assert all(is_finite(value) for value in values)
    outcomes["refused" if refusal else "finite"] += 1


# Rows


def try_rows(outcomes, estimator, X, seed_):
    """Ask for rows alone and in another order: the same as together, to rounding."""
    try:
        with warnings.catch_warnings(action="ignore"):
            fitted = restore(estimator, seed_, X)
            together = outputs(fitted, X, ROW_METHODS)
    except (ValueError, TypeError, MemoryError):
        outcomes["refused"] += 1
        return
    order = np.random.default_rng(seed_).permutation(len(together[0]))
    shuffled = outputs(fitted, _safe_indexing(X, order), ROW_METHODS)
    singles = (_safe_indexing(X, row) for row in order[:6, None])
    alone = [outputs(fitted, row, ROW_METHODS) for row in singles]
    for values, *others in zip(together, shuffled, *alone, strict=True):
        eps = np.finfo(np.float32 if values.dtype == np.float32 else np.float64).eps
        # Detectors divide by errors; others compute with rows in scaled units. Rows whose
        # length is ignored are not centred: an offset of 1e9 costs nine digits.
        tolerance = 1e-3 if hasattr(fitted, "offset_") else 1e4 * eps
        if getattr(fitted, "loss", None) in ROW_LOSSES:
            tolerance = max(tolerance, 1e-6)
        expected = values[order].astype(float)
        tolerance *= max(1.0, np.abs(expected).max())
        for other in (others[0], np.concatenate(others[1:])):
            assert (np.abs(expected[: len(other)] - other) <= tolerance).all()
    outcomes["same"] += 1


# Parameters


def try_value(outcomes, cls, index, value):
    """Fit with a hostile value of a parameter."""
    names = list_parameters(cls)
    name = names[index % len(names)]
    if name == "verbose" or (name == "max_epochs" and isinstance(value, int) and value > 1):
        return
    with warnings.catch_warnings(action="ignore"):
        problem = try_parameter(cls, name, value, IRIS[:30])
    assert problem is None, f"{cls.__name__}({name}={value!r}): {problem}"
    outcomes["finite or refused"] += 1


# Interruptions


def try_interruption(outcomes, estimator, n_steps, kind, seed_):
    """Interrupt a fit: it is as it was, or it ends with the best weights so far."""
    fitted = restore(estimator, seed_)
    before, state = outputs(fitted, IRIS), dict(vars(fitted))
    rng_state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    step, calls = AutoencoderNet.train_step_single, Counter()

    def interrupted(net, batch, **kwargs):
        calls["steps"] += 1
        if calls["steps"] == n_steps:
            raise kind
        return step(net, batch, **kwargs)

    AutoencoderNet.train_step_single = interrupted
    try:
        with warnings.catch_warnings(action="ignore"):
            fitted.set_params(random_state=seed_ + 1).fit(IRIS)
        outcomes["fitted"] += 1
    except (KeyboardInterrupt, MemoryError):
        del state["random_state"]
        assert all(vars(fitted)[key] is state[key] for key in state)
        for now, then in zip(outputs(fitted, IRIS), before, strict=True):
            np.testing.assert_array_equal(now, then)
        outcomes["as before"] += 1
    finally:
        AutoencoderNet.train_step_single = step
    assert all(np.isfinite(value).all() for value in outputs(fitted, IRIS))
    assert torch.equal(torch.get_rng_state(), rng_state)
    assert torch.get_num_threads() == n_threads


def try_moment(outcomes, estimator, milliseconds, seed_):
    """Press Ctrl-C at any moment of a fit: it is as it was, or it is fitted anew.

    The signal may come between the end of the fit and that of the call. Then the fit is
    whole.
    """
    fitted = restore(estimator, seed_)
    before, state = outputs(fitted, IRIS), dict(vars(fitted))

    def interrupt(number, frame):
        if frame.f_code.co_name == "gc_callback":  # of hypothesis, where errors are lost
            signal.setitimer(signal.ITIMER_REAL, 1e-3)
        else:
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
        with warnings.catch_warnings(action="ignore"):
            fitted.fit(IRIS)
    except KeyboardInterrupt:
        if all(vars(fitted)[key] is value for key, value in state.items()):
            outcomes["as before"] += 1
        else:
            with warnings.catch_warnings(action="ignore"):
                before = outputs(restore(estimator, seed_).fit(IRIS), IRIS)
            outcomes["fitted, then interrupted"] += 1
        for now, then in zip(outputs(fitted, IRIS), before, strict=True):
            np.testing.assert_array_equal(now, then)
    else:
        outcomes["fitted"] += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert all(np.isfinite(value).all() for value in outputs(fitted, IRIS))


# Files


def try_kill(outcomes, milliseconds, seed_):
    """Kill a process while it saves over a file: the file is one or the other, whole."""
    first, second = restore(PLAIN, 0), restore(PLAIN, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.skops"
        save(first, path)
        with warnings.catch_warnings(action="ignore"):  # threads do not outlive a fork
            child = os.fork()
        if not child:
            while True:
                save(second, path)
                save(first, path)
        time.sleep(milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        codes = load(path).transform(IRIS)
    is_one = [np.array_equal(codes, e.transform(IRIS)) for e in (first, second)]
    assert any(is_one)
    outcomes["whole"] += 1


def try_damage(outcomes, content, kind, seed_):
    """Load a damaged file, or one with a valid seal around damaged bytes."""
    rng = np.random.default_rng(seed_)
    where = int(rng.integers(len(content)))
    junk = rng.bytes(int(rng.integers(1, 20)))
    damaged = {
        "cut": content[:where],
        "flip": content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :],
        "insert": content[:where] + junk + content[where:],
        "overwrite": content[:where] + junk + content[where + len(junk) :],
    }[kind.removeprefix("sealed ")]
    if kind.startswith("sealed"):
        try:
            damaged = _seal(damaged[:-DIGITS])
        except Exception:  # no zip file any more
            outcomes["refused"] += 1
            return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.skops"
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings(action="ignore"):
                load(path)
            outcomes["read"] += 1
        except ValueError:
            outcomes["refused"] += 1


# Threads


def try_threads(outcomes, estimators, seed_):
    """Fit several estimators in threads: the same as one after the other."""
    seeds = range(seed_, seed_ + len(estimators))
    serial = [outputs(restore(e, s), IRIS) for e, s in zip(estimators, seeds, strict=True)]
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    with ThreadPoolExecutor(len(estimators)) as pool:
        fits = pool.map(lambda e, s: outputs(restore(e, s), IRIS), estimators, seeds)
        for expected, values in zip(serial, fits, strict=True):
            for first, second in zip(expected, values, strict=True):
                np.testing.assert_array_equal(first, second)
            outcomes["equal"] += 1
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


@cache
def saved_content() -> bytes:
    """Save an estimator, and return the bytes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.skops"
        save(restore(PLAIN, 0), path)
        return path.read_bytes()


DAMAGES = [f"{sealed}{kind}" for sealed in ("", "sealed ") for kind in ("cut", "flip")]
DAMAGES += [
    f"{sealed}{kind}" for sealed in ("", "sealed ") for kind in ("insert", "overwrite")
]
INTERRUPTS = st.sampled_from([KeyboardInterrupt, MemoryError])
CAMPAIGNS = {
    "tables": (try_table, (ESTIMATORS, tables(), SEEDS)),
    "rows": (try_rows, (st.sampled_from(OF_ROWS), tables(), SEEDS)),
    "parameters": (
        try_value,
        (
            st.sampled_from(CLASSES),
            st.integers(0, 100),
            st.sampled_from([*VALUES, *MORE_VALUES]),
        ),
    ),
    "interruptions": (
        try_interruption,
        (ESTIMATORS, st.integers(1, 20), INTERRUPTS, SEEDS),
    ),
    "moments": (try_moment, (ESTIMATORS, st.integers(1, 60), SEEDS)),
    "kills": (try_kill, (st.integers(0, 60), SEEDS)),
    "files": (try_damage, (st.builds(saved_content), st.sampled_from(DAMAGES), SEEDS)),
    "threads": (
        try_threads,
        (st.lists(ESTIMATORS, min_size=2, max_size=4), SEEDS),
    ),
}


def run(name: str, n_trials: int, seed_: int, outcomes: Counter) -> None:
    """Run trials of a campaign; the first failure is raised, as small as possible."""
    trial, strategies = CAMPAIGNS[name]

    @seed(seed_)
    @settings(
        max_examples=n_trials,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def campaign(arguments):
        outcomes["tried"] += 1
        trial(outcomes, *arguments)

    campaign()


def main() -> int:
    """Run all campaigns in turns until the time is over, and print their counts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    sizes = {"tables": 100, "rows": 50, "parameters": 100, "files": 200}
    counts = {name: Counter() for name in CAMPAIGNS}
    seed_ = options.seed
    while time.monotonic() < end:
        seed_ += 1
        for name, outcomes in counts.items():
            try:
                run(name, sizes.get(name, 20), seed_, outcomes)
            except Exception:
                outcomes["failed"] += 1
                print(f"{name}, --seed {seed_ - 1}:", flush=True)
                traceback.print_exc(limit=-8)
    for name, outcomes in counts.items():
        shown = ", ".join(f"{kind} {n}" for kind, n in outcomes.items())
        print(f"{name:15} {shown}")
    return int(any(outcomes["failed"] for outcomes in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
