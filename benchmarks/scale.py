"""Rows beyond memory and fits beyond one process: memory, time and equality.

Four parts. ``lazy``: fit and transform of rows on disk, by dask, zarr and parquet, beside
a fit to the same rows in memory, each in a process of its own. ``growth``: ever more rows
from generated chunks that nobody stores. ``torchrun``: two processes with equal and
unequal shards beside one. ``searches``: a grid search by threads and by dask beside a
serial one.

Memory is the largest rise of anonymous memory during a call, of a process that has
imported everything. Pages of mapped files are left out: the system takes them back when it
needs them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._report import Claims, Table

N_DIMENSIONS, NOISE = 12, 0.3  # of the generated rows
MAX_RISE = 400.0  # MB, of a fit or a transform
MAX_R2_LOSS, MAX_TIME_RATIO = 0.005, 1.5  # beside rows in memory
MAX_R2_LOSS_DISTRIBUTED = 0.003
CHUNK_BYTES = 10 * 2**20
PARTS = ("lazy", "growth", "torchrun", "searches")
KINDS = ("memory", "dask", "zarr", "parquet")
PERIOD = 0.01  # seconds between two looks at memory


def make_chunk(i: int, n_rows: int, n_columns: int) -> np.ndarray:
    """Make chunk `i` of the rows: a curved sheet of twelve dimensions, and noise."""
    weights = np.random.default_rng(0).normal(size=(N_DIMENSIONS, n_columns))
    rng = np.random.default_rng([1, i])
    rows = np.tanh(rng.normal(size=(n_rows, N_DIMENSIONS)) @ weights)
    return (rows + NOISE * rng.normal(size=rows.shape)).astype(np.float32)


def iter_chunks(n_rows: int, n_columns: int) -> Iterator[np.ndarray]:
    """Make all rows, chunk by chunk."""
    size = max(CHUNK_BYTES // (4 * n_columns), 1)
    for i, start in enumerate(range(0, n_rows, size)):
        yield make_chunk(i, min(size, n_rows - start), n_columns)


def anonymous_memory() -> float:
    """Read the anonymous memory of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def measure(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Call a function; return its value, its CPU seconds and its rise of memory in MB."""
    start, seconds = anonymous_memory(), time.process_time()
    largest, is_over = start, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not is_over.wait(PERIOD):
            largest = max(largest, anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        value = call()
    finally:
        is_over.set()
        watcher.join()
    return value, time.process_time() - seconds, max(largest, anonymous_memory()) - start


def make_model():
    """Make the estimator that is measured."""
    from sk_autoencoder import AutoencoderTransformer

    return AutoencoderTransformer(8, hidden_layer_sizes=(64, 32), random_state=0)


def store(kind: str, path: Path, n_rows: int, n_columns: int) -> None:
    """Write all rows to a file or a folder."""
    if kind == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        names = [f"x{i}" for i in range(n_columns)]
        schema = pa.schema([(name, pa.float32()) for name in names])
        with parquet.ParquetWriter(path, schema, compression="none") as writer:
            for rows in iter_chunks(n_rows, n_columns):
                writer.write_table(pa.Table.from_arrays(list(rows.T.copy()), schema=schema))
        return
    import zarr

    size = max(CHUNK_BYTES // (4 * n_columns), 1)
    shape, chunks = (n_rows, n_columns), (min(size, n_rows), n_columns)
    options = {"dtype": "float32", "compressors": None}
    array = zarr.create_array(path, shape=shape, chunks=chunks, **options)
    start = 0
    for rows in iter_chunks(n_rows, n_columns):
        array[start : start + len(rows)] = rows
        start += len(rows)


def open_rows(kind: str, path: Path, n_rows: int, n_columns: int) -> Any:
    """Open rows as an object that estimators read in chunks, or as an array in memory."""
    from sk_autoencoder.streaming import Chunks

    if kind == "generated":
        return Chunks(lambda: iter_chunks(n_rows, n_columns), n_columns, n_rows)
    if kind == "parquet":
        from pyarrow import dataset

        return dataset.dataset(path)
    import zarr

    array = zarr.open_array(path, mode="r")
    if kind == "memory":
        return array[:]
    if kind == "dask":
        import dask.array

        return dask.array.from_zarr(array)
    return array


def run_one(kind: str, path: Path, n_rows: int, n_columns: int) -> dict[str, float]:
    """Fit and transform in this process, and measure both."""
    import torch

    torch.set_num_threads(1)
    X = open_rows(kind, path, n_rows, n_columns)
    model, fit_seconds, fit_rise = measure(lambda: make_model().fit(X))

    def transform() -> None:
        codes = model.transform(X)
        if kind == "dask":  # block by block: a lazy array needs no room for all codes
            for block in codes.to_delayed().ravel():
                block.compute(scheduler="synchronous")

    _, seconds, rise = measure(transform)
    new = make_chunk(-1 % 2**32, 5_000, n_columns)
    if kind == "parquet":
        import pandas

        new = pandas.DataFrame(new, columns=[f"x{i}" for i in range(n_columns)])
    return {
        "fit_rise": fit_rise,
        "fit_seconds": fit_seconds,
        "transform_rise": rise,  # with the codes, but of dask
        "transform_seconds": seconds,
        "r2": model.score(new),
        "steps": sum(epoch["steps"] for epoch in model.history_),
    }


def spawn(*arguments: Any, launcher: tuple[str, ...] = ()) -> dict:
    """Run a part of this benchmark in a process of its own, and return what it prints."""
    command = [sys.executable, *launcher, "-m", "benchmarks.scale", "--measure", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    output = subprocess.run(
        list(map(str, command)), env=environment, check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    return json.loads(output.strip().splitlines()[-1])


def compare_kinds(arguments: argparse.Namespace, folder: Path, claims: Claims) -> None:
    """Compare rows on disk with rows in memory, for half of the rows and for all."""
    columns = ["rows", "MB", "kind", "fit MB", "fit s", "transform MB", "transform s"]
    table = Table("Rows on disk and in memory", [*columns, "R²"])
    rises: dict[tuple[str, int], tuple[float, float]] = {}
    for n_rows in (arguments.rows // 2, arguments.rows):
        in_memory: dict[str, float] = {}
        for kind in KINDS:
            path = folder / ("x.parquet" if kind == "parquet" else "x.zarr")
            if not path.exists():
                store(kind, path, n_rows, arguments.columns)
            result = spawn(kind, path, n_rows, arguments.columns)
            in_memory = in_memory or result
            rises[kind, n_rows] = result["fit_rise"], result["transform_rise"]
            size = 4 * n_rows * arguments.columns / 2**20
            names = ("fit_rise", "fit_seconds", "transform_rise", "transform_seconds", "r2")
            table.add(n_rows, size, kind, *(result[name] for name in names))
            print(table.line(-1), flush=True)
            if kind == "memory":
                continue
            name = f"{kind}, {n_rows} rows"
            claims.add(f"{name}: MB of fit", result["fit_rise"], "<=", MAX_RISE)
            claims.add(f"{name}: MB of transform", result["transform_rise"], "<=", MAX_RISE)
            loss = in_memory["r2"] - result["r2"]
            claims.add(f"{name}: R² below that in memory", loss, "<=", MAX_R2_LOSS)
            ratio = result["fit_seconds"] / in_memory["fit_seconds"]
            claims.add(f"{name}: CPU time of that in memory", ratio, "<=", MAX_TIME_RATIO)
        for path in folder.glob("x.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    table.show(arguments.out, "scale_lazy")


def compare_sizes(arguments: argparse.Namespace, folder: Path, claims: Claims) -> None:
    """Let the number of rows grow, of chunks that are generated as they are read."""
    table = Table(
        "Generated rows", ["rows", "steps", "fit MB", "fit s", "s per 1,000 steps"]
    )
    rises = []
    for n_rows in arguments.growth:
        result = spawn("generated", folder, n_rows, arguments.columns)
        seconds = result["fit_seconds"]
        per_step = 1_000 * seconds / result["steps"]
        table.add(n_rows, result["steps"], result["fit_rise"], seconds, per_step)
        print(table.line(-1), flush=True)
        rises.append(result["fit_rise"])
    table.show(arguments.out, "scale_growth")
    claims.add("generated: largest MB of fit", max(rises), "<=", MAX_RISE)


def run_shard(n_rows: int, n_columns: int, n_seeds: int, *, share: float) -> dict | None:
    """Fit to the rows of this process of a group; the first one returns the result."""
    import torch
    from torch import distributed as group

    from sk_autoencoder import distributed

    torch.set_num_threads(1)
    group.init_process_group("gloo")
    X = np.concatenate(list(iter_chunks(n_rows, n_columns)))
    cut = int(share * n_rows)
    shard = X[:cut] if group.get_rank() == 0 else X[cut:]
    new, scores, start = make_chunk(-1 % 2**32, 5_000, n_columns), [], time.perf_counter()
    for seed in range(n_seeds):
        model = distributed.fit(make_model().set_params(random_state=seed), shard)
        scores.append(model.score(new))
    if group.get_rank():
        return None
    return {
        "r2": float(np.mean(scores)),
        "deviation": float(np.std(scores)),
        "wall_seconds": (time.perf_counter() - start) / n_seeds,
        "steps": sum(epoch["steps"] for epoch in model.history_),
    }


def compare_processes(arguments: argparse.Namespace, claims: Claims) -> None:
    """Compare two processes under torchrun with one."""
    columns = ["shards", "mean R²", "deviation over seeds", "wall s of a fit", "steps"]
    table = Table("Processes under torchrun", columns)
    size = arguments.shard_rows, arguments.columns, arguments.seeds
    alone: dict = {}
    for name, n_processes, share in (("one", 1, 1), ("equal", 2, 0.5), ("7:3", 2, 0.7)):
        count = f"--nproc-per-node={n_processes}"
        launcher = ("-m", "torch.distributed.run", "--standalone", count)
        result = spawn("shard", ".", *size, share, launcher=launcher)
        alone = alone or result
        names = ("r2", "deviation", "wall_seconds", "steps")
        table.add(name, *(result[name] for name in names))
        print(table.line(-1), flush=True)
        if n_processes > 1:
            loss = abs(alone["r2"] - result["r2"])
            what = f"{name} shards: R² away from one process"
            claims.add(what, loss, "<=", MAX_R2_LOSS_DISTRIBUTED)
    table.show(arguments.out, "scale_torchrun")


def compare_searches(claims: Claims) -> None:
    """Compare grid searches by threads and by dask with a serial one."""
    from dask.distributed import Client
    from joblib import parallel_config
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV

    from sk_autoencoder import AutoencoderTransformer

    X = load_digits().data.astype(np.float32)
    model = AutoencoderTransformer(hidden_layer_sizes=(16,), max_epochs=2, random_state=0)
    search = GridSearchCV(model, {"n_components": [2, 4]}, cv=2, n_jobs=2)
    with parallel_config("sequential"):
        serial = search.fit(X).cv_results_["mean_test_score"]
    with parallel_config("threading"):
        threads = search.fit(X).cv_results_["mean_test_score"]
    claims.add("search by threads", float(abs(threads - serial).max()), "<=", 0)
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with Client(dashboard_address=None, **options), parallel_config("dask"):
        scores = search.fit(X).cv_results_["mean_test_score"]
    claims.add("search by dask, two threads", float(abs(scores - serial).max()), "<=", 0)


def main() -> None:
    """Run the parts, and state what held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--rows", type=int, default=40_000, help="2_000_000 make 2 GB")
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--shard-rows", type=int, default=20_000)
    parser.add_argument("--growth", type=int, nargs="+", default=[40_000, 80_000])
    parser.add_argument("--seeds", type=int, default=1, help="of fits under torchrun")
    parser.add_argument("--folder", help="where rows are stored meanwhile")
    parser.add_argument("--out", default="results")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        kind, path, *numbers = arguments.measure
        if kind == "shard":
            result = run_shard(*[int(n) for n in numbers[:3]], share=float(numbers[3]))
        else:
            result = run_one(kind, Path(path), *map(int, numbers))
        if result is not None:
            print(json.dumps(result), flush=True)
        return
    claims, parts = Claims(), arguments.parts.split(",")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if "lazy" in parts:
            compare_kinds(arguments, Path(folder), claims)
        if "growth" in parts:
            compare_sizes(arguments, Path(folder), claims)
    if "torchrun" in parts:
        compare_processes(arguments, claims)
    if "searches" in parts:
        compare_searches(claims)
    claims.show()


if __name__ == "__main__":
    main()
