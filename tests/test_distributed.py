"""Fits by several processes: what they have in common with a fit by one."""

import multiprocessing
import pickle
import time

import dask
import dask.array as da
import distributed_fits
import numpy as np
import pytest
import torch
from catalogue import AUTOENCODERS, ONE_OF_EACH_TRAINING, label, one_of_each
from dask.distributed import Client, LocalCluster
from distributed_fits import N_ROWS, PLAIN, SHARDS, RecordBatches, make_rows, without_noise
from sklearn.base import clone
from sklearn.utils import get_tags
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from sk_autoencoder import distributed
from sk_autoencoder.core._data import Batch
from sk_autoencoder.core._lazy_rows import StreamedRows

ORDERED = [each for each in AUTOENCODERS if getattr(each, "ordered", False)]
TRAININGS = ONE_OF_EACH_TRAINING + ORDERED[:1]  # whose steps leave weights unused
ROWS = make_rows()


def rows_for(estimator):
    """Return rows that a loss of shares takes too."""
    return abs(ROWS) if get_tags(estimator).input_tags.positive_only else ROWS


@pytest.fixture(scope="module")
def server():
    """Import once what processes need, where they are forked from."""
    multiprocessing.set_forkserver_preload(["distributed_fits", "torch._dynamo"])
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield "forkserver"


@pytest.fixture(scope="module")
def torchrun(server, tmp_path_factory):
    """Run two processes as torchrun does, the second of which dies at the end."""
    folder = tmp_path_factory.mktemp("fits")
    address = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}  # --standalone
    config = LaunchConfig(
        1, 1, 2, run_id="fits", max_restarts=0, start_method=server, **address
    )
    with pytest.raises(ChildFailedError) as failure:
        elastic_launch(config, distributed_fits.main)(folder)
    return folder, failure.value, time.time()


@pytest.fixture(scope="module")
def results(torchrun):
    """Return the results of all scenarios, by process."""
    folder, failure, _ = torchrun
    files = [folder / f"{rank}.pkl" for rank in range(2)]
    assert all(file.exists() for file in files), failure
    return [pickle.loads(file.read_bytes()) for file in files]


@pytest.fixture
def group(tmp_path):
    """A group of one process, this one."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def replay(batches, monkeypatch):
    """Fit in one process to the rows that two processes had in each step."""
    batches = iter([torch.from_numpy(np.concatenate(pair)) for pair in batches])

    def iter_pass(self, batch_size, shuffle):
        for _ in range(-(-len(self) // batch_size)):
            x = next(batches)
            yield Batch(x, x)

    monkeypatch.setattr(StreamedRows, "iter_pass", iter_pass)
    model = distributed.fit(clone(PLAIN).set_params(**without_noise()), ROWS)
    assert next(batches, None) is None
    return model


@pytest.mark.parametrize("shards", SHARDS)
def test_losses_are_those_of_one_process_with_the_same_batches(
    shards, results, group, monkeypatch
):
    first, second = (result[shards] for result in results)
    batches = list(zip(first["batches"], second["batches"], strict=True))
    alone = replay(batches, monkeypatch)
    np.testing.assert_allclose(first["train"], alone.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(first["valid"], alone.validation_curve_, rtol=1e-5)
    np.testing.assert_allclose(first["r2"], alone.score(ROWS), atol=1e-5)
    share = np.mean([len(a) / (len(a) + len(b)) for a, b in batches])
    assert abs(share - SHARDS[shards] / N_ROWS) < 0.03


def test_all_processes_get_the_same_estimator(results):
    first, second = results
    for name, fitted in first.items():
        if isinstance(fitted, dict):
            other = second[name]
            assert fitted["train"] == other["train"], name
            assert fitted["valid"] == other["valid"], name
            np.testing.assert_array_equal(fitted["codes"], other["codes"])
    np.testing.assert_array_equal(first["detector"], second["detector"])


def test_shards_that_are_read_in_chunks_are_those_in_memory(results):
    # Order and buffer are alike for rows of 8 MiB or less: in one part.
    chunks, rows = results[0]["chunks"], results[0]["unequal"]
    np.testing.assert_allclose(chunks["train"], rows["train"], rtol=1e-6)


def test_with_noise_the_reconstruction_is_as_good(results):
    alone = clone(PLAIN).set_params(max_epochs=20).fit(ROWS)
    assert abs(results[0]["noise"]["r2"] - alone.score(ROWS)) < 0.003


def test_processes_have_noise_of_their_own(results):
    first, second = (result["drawn"][0] for result in results)
    initial = float(
        torch.rand((), generator=torch.Generator().manual_seed(PLAIN.random_state))
    )
    assert len({first, second, initial}) == 3


def test_processes_stop_early_together(results):
    first, second = (result["stopping"] for result in results)
    n_epochs = len(first["train"])
    assert 1 < n_epochs < 60
    assert n_epochs == len(second["train"])
    assert first["best_epoch"] == second["best_epoch"]


def test_processes_agree_on_the_components_for_a_fraction(results):
    first, second = (result["fraction"] for result in results)
    np.testing.assert_array_equal(first, second)
    assert first.sum() >= 0.9 > first[:-1].sum()


def test_one_process_prints_the_epochs(results):
    # Every process printed its table: losses of all rows, as many times as processes.
    first, second = (result["printed"] for result in results)
    table, of_detector, all_terms = first
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["0/2", "1/2", "2/2"]
    assert "2/2" in of_detector
    assert "train_loss" in all_terms
    assert second == ["", "", ""]


def test_an_error_in_one_process_ends_all(results):
    assert [result["error"] for result in results] == ["RuntimeError", "OSError"]
    assert all(result["both have"] for result in results)  # while both are alive


def test_a_process_that_dies_ends_all(torchrun, results):
    folder, failure, end = torchrun
    assert "exitcode  : 3" in str(failure)
    assert not list(folder.glob("* is alive"))
    assert end - max(result["end"] for result in results) < 60


def test_workers_of_dask_fit_together(server):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    lazy = da.from_array(ROWS, chunks=(100, 3))
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        model = distributed.fit_dask(clone(PLAIN).set_params(max_epochs=2), lazy, client)
        with pytest.raises(ValueError, match="needs values in"):
            distributed.fit_dask(clone(PLAIN).set_params(loss="binary_cross_entropy"), lazy)
    alone = clone(PLAIN).set_params(max_epochs=2).fit(ROWS)
    assert abs(model.score(ROWS) - alone.score(ROWS)) < 0.003
    assert model.n_iter_ == 2
    with pytest.raises(TypeError, match="needs a dask array"):
        distributed.fit_dask(clone(PLAIN), ROWS)


def test_without_a_group_the_error_says_how_to_start_one(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
    with pytest.raises(RuntimeError, match="torchrun"):
        distributed.fit(clone(PLAIN), ROWS)


@pytest.mark.parametrize("estimator", one_of_each(AUTOENCODERS, TRAININGS), ids=label)
def test_every_autoencoder_trains_in_a_group(estimator, group):
    rows = rows_for(estimator)[:200]
    model = distributed.fit(clone(estimator), rows)
    alone = clone(estimator).fit(rows)
    assert model.score(rows) > alone.score(rows) - 0.1
    assert pickle.loads(pickle.dumps(model)).n_iter_ == model.n_iter_


def test_a_shard_with_fewer_rows_than_steps_is_refused(group):
    with pytest.raises(ValueError, match="has 1 training rows, and a pass"):
        StreamedRows.iter_pass(_Few(), 2, True).__next__()


class _Few:
    """Rows of two processes, of which one has a single one."""

    counts = np.array([9, 1])

    def __len__(self):
        return 10


def test_batches_are_recorded_for_the_replay(results):
    assert not RecordBatches.batches  # of this process
    assert all(result["equal"]["batches"] for result in results)
