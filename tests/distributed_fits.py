"""Fits by processes of torchrun, whose results tests/test_distributed.py reads."""

import os
import pickle
import time
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch.distributed import destroy_process_group, get_rank, init_process_group

from sk_autoencoder import AutoencoderOutlierDetector, AutoencoderTransformer, distributed
from sk_autoencoder.streaming import Chunks

N_ROWS, SEED = 600, 0
PATIENCE = timedelta(seconds=60)  # of a process for the other one
SHARDS = {"equal": 300, "unequal": 420}  # rows of the first process
PLAIN = AutoencoderTransformer(
    2, hidden_layer_sizes=(8,), batch_size=64, random_state=SEED, device="cpu"
)


def make_rows():
    rng = np.random.default_rng(1)
    rows = np.tanh(rng.normal(size=(N_ROWS, 3)) @ rng.normal(size=(3, 6)))
    return (rows + 0.1 * rng.normal(size=rows.shape)).astype(np.float32)


def without_noise(**parameters):
    return {"noise_level": 0, "max_epochs": 4, **parameters}


def stopping_early():
    """Return parameters with which training stops before its last epoch."""
    return {"tol": 0.2, "n_iter_no_change": 1, "max_epochs": 60}


class RecordBatches(Callback):
    """Record the training rows of each step."""

    batches = []  # noqa: RUF012 (fit clones callbacks)

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.batches.append(batch.x.numpy().copy())


class RecordNoise(Callback):
    """Record a random number of training."""

    drawn = []  # noqa: RUF012 (fit clones callbacks)

    def on_train_begin(self, net, **kwargs):
        self.drawn.append(float(torch.rand(())))


class Dies(Callback):
    """End the second process, as a lack of memory would."""

    def on_epoch_end(self, net, **kwargs):
        if get_rank() == 1 and len(net.history) == 2:
            os._exit(3)


def fit(shard, **parameters):
    RecordBatches.batches = []
    start = time.perf_counter()
    model = distributed.fit(clone(PLAIN).set_params(**parameters), shard)
    return {
        "train": model.loss_curve_,
        "valid": model.validation_curve_,
        "best_epoch": model.best_epoch_,
        "codes": model.transform(make_rows()),
        "r2": model.score(make_rows()),
        "batches": RecordBatches.batches,
        "seconds": time.perf_counter() - start,
    }


def printed_by(estimator, shard):
    """Return what this process prints while the group fits an estimator."""
    with redirect_stdout(StringIO()) as text:
        distributed.fit(estimator, shard)
    return text.getvalue()


def wait_for(file, seconds=60):
    """Wait until a file exists, and return whether it does."""
    end = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return file.exists()


def run(rows, rank, folder):
    """Return the results of all scenarios that come to an end."""
    results = {}
    for name, n_first in SHARDS.items():
        shard = rows[:n_first] if rank == 0 else rows[n_first:]
        results[name] = fit(shard, **without_noise(callbacks=[RecordBatches]))
    parts = np.array_split(shard, 3)
    results["chunks"] = fit(Chunks(lambda: parts), **without_noise())
    results["noise"] = fit(shard, max_epochs=20, callbacks=[RecordNoise])
    results["drawn"] = RecordNoise.drawn
    results["stopping"] = fit(shard, **stopping_early())
    ordered = clone(PLAIN).set_params(n_components=0.9, ordered=True, max_epochs=5)
    distributed.fit(ordered, shard)
    results["fraction"] = ordered.explained_variance_ratio_
    results["no seed"] = fit(shard, random_state=None, max_epochs=1)
    detector = distributed.fit(AutoencoderOutlierDetector(random_state=0), shard)
    results["detector"] = detector.score_samples(rows)
    talkative = clone(PLAIN).set_params(verbose=1, max_epochs=2)
    detector = AutoencoderOutlierDetector(talkative, random_state=0)
    very_talkative = clone(talkative).set_params(verbose=2)
    results["printed"] = [
        printed_by(each, shard) for each in (talkative, detector, very_talkative)
    ]
    passes = iter([False, rank == 1])  # the second pass of the second process fails

    def read():
        if next(passes):
            raise OSError("The disk is gone.")
        return parts

    try:
        distributed.fit(clone(PLAIN), Chunks(read))
    except Exception as error:
        results["error"] = type(error).__name__
    (folder / f"{rank} has an error").touch()
    # The process that has failed is alive until the other has an error too.
    results["both have"] = wait_for(folder / f"{1 - rank} has an error")
    return results | {"end": time.time()}


def die(half, rank, store):
    """Train in a new group until the second process dies."""
    destroy_process_group()  # the last fit has ended in an error
    address = {"init_method": f"file://{store}", "rank": rank, "world_size": 2}
    init_process_group("gloo", timeout=PATIENCE, **address)
    fit(half, callbacks=[Dies])


def main(folder):
    """Fit all scenarios, then train until the second process dies."""
    torch.set_num_threads(1)
    init_process_group("gloo", timeout=PATIENCE)
    rank, rows = get_rank(), make_rows()
    with (folder / f"{rank}.pkl").open("wb") as file:
        pickle.dump(run(rows, rank, folder), file)
    half = rows[: N_ROWS // 2] if rank == 0 else rows[N_ROWS // 2 :]
    try:
        die(half, rank, folder / "store")
    except RuntimeError:
        time.sleep(5)  # the launcher sees the death first, and ends this process
        raise
    (folder / f"{rank} is alive").touch()
