"""What default fits and scores cost, beside an earlier version, PCA and IsolationForest.

One thread, CPU seconds. Each version of this library works in a process of its own; fits of
one table follow each other, so that a busy machine slows all down alike. The tables are
split into two halves, even and odd places in the order of names. Tables of less than 1,000
rows keep one split for all seeds, so that the spread over seeds is that of random states.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.reconstruction import CLASSIFIERS, split

SMALL = 1_000  # rows
PARTS = ("tables", "rows", "small", "detector", "detector_tables", "import")
SMALL_TABLES = "iris,wine,glass"
MAX_ROWS_BEFORE = 20_000  # of generated rows for an earlier version, which takes hours
WORKER = """
import json, sys, time
import numpy as np
start = time.process_time()
import sk_autoencoder
imported = time.process_time() - start
import torch
torch.set_num_threads(1)
for line in sys.stdin:
    task = json.loads(line)
    estimator = getattr(sk_autoencoder, task["name"])(**task["parameters"])
    seconds = {"import": imported}
    for i, (method, given, result) in enumerate(task["calls"]):
        start = time.process_time()
        X = np.load(given)
        value = getattr(estimator, method)(X)
        seconds[f"{method} {i}"] = time.process_time() - start
        if result:
            np.save(result, value)
    print(json.dumps(list(seconds.values())), flush=True)
"""


class Version:
    """A version of this library, in a process of its own.

    Parameters
    ----------
    folder : Path
        A checkout of the version.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        )
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def run(
        self,
        name: str,
        X: np.ndarray,
        calls: list[tuple[str, np.ndarray]] = [],  # noqa: B006 (not changed)
        **parameters: Any,
    ) -> tuple[list[float], list[np.ndarray]]:
        """Fit an estimator, and call methods.

        Parameters
        ----------
        name : str
            Name of the estimator's class.
        X : ndarray
            The rows to fit to.
        calls : list of (str, ndarray)
            Names of methods and their rows.
        **parameters
            Parameters of the estimator.

        Returns
        -------
        seconds : list of float
            Of the import, of the fit and of each call.
        results : list of ndarray
            Of each call.
        """
        folder = Path(self._folder.name)
        files = []
        for i, (method, rows) in enumerate([("fit", X), *calls]):
            np.save(folder / f"{i}.npy", rows)
            result = str(folder / f"result_{i}.npy") if i else ""
            files.append((method, str(folder / f"{i}.npy"), result))
        task = {"name": name, "parameters": parameters, "calls": files}
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        asked.write(json.dumps(task) + "\n")
        asked.flush()
        answer = answered.readline()
        if not answer:
            raise RuntimeError(f"The process that fits {name} has ended.")
        return json.loads(answer), [np.load(result) for *_, result in files[1:]]


def standardised(table: _datasets.Table, seed: int) -> tuple[np.ndarray, ...]:
    """Split a table, and give its columns unit variance."""
    X_fit, X, y_fit, y = split(table, seed)
    scaler = StandardScaler().fit(X_fit)
    return scaler.transform(X_fit), scaler.transform(X), y_fit, y


def r2_of_pca(X_fit: np.ndarray, X: np.ndarray, n_components: int) -> tuple[float, float]:
    """Compute the R² of PCA, and the CPU seconds of its fit."""
    start = time.process_time()
    pca = PCA(n_components, random_state=0).fit(X_fit)
    seconds = time.process_time() - start
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum()
    return 1 - error / ((X - X.mean(axis=0)) ** 2).sum(), seconds


def measure(version: Version, parts, n_components: int, seed: int, has_classes: bool):
    """Fit a default transformer, and compute R², accuracies and seconds."""
    X_fit, X, y_fit, y = parts
    calls = [("score", X), ("transform", X_fit), ("transform", X)]
    (_, seconds, *_), (r2, codes_fit, codes) = version.run(
        "AutoencoderTransformer", X_fit, calls, n_components=n_components, random_state=seed
    )
    result = {"seconds": seconds, "r2": float(r2)}
    if has_classes:
        for name, classifier in CLASSIFIERS.items():
            fitted = clone(classifier).fit(codes_fit, y_fit)
            result[name] = fitted.score(codes, y)
    return result


def compare(
    table: _datasets.Table, versions: dict[str, Version], n_seeds: int
) -> dict[str, Any]:
    """Fit each version with several seeds; lists of each measure by version."""
    results: dict[str, Any] = {"pca": []}
    for seed in range(n_seeds):
        parts = standardised(table, seed if len(table.X) >= SMALL else 0)
        k = min(32, max(2, parts[0].shape[1] // 6), *parts[0].shape)
        results["pca"].append(r2_of_pca(parts[0], parts[1], k)[0])
        for name, version in versions.items():
            run = measure(version, parts, k, seed, table.y is not None)
            for key, value in run.items():
                results.setdefault(f"{name} {key}", []).append(value)
    return results


def measure_tables(
    tables: list[_datasets.Table],
    versions: dict[str, Version],
    n_seeds: int,
    claims: Claims,
) -> Table:
    """Compare the versions on tables, by halves."""
    names = sorted(table.name for table in tables)
    columns = ["table", "half", "rows", "PCA"]
    for name in versions:
        columns += [f"{name}: R²", "spread", "knn", "lr", "seconds"]
    report = Table("R² of held-out rows and CPU seconds of a default fit", columns)
    rows = []
    for table in tables:
        result = compare(table, versions, n_seeds)
        half = names.index(table.name) % 2
        cells = [table.name, half, len(table.X), float(np.mean(result["pca"]))]
        for name in versions:
            values = [result.get(f"{name} {m}", [np.nan]) for m in ("knn", "lr", "seconds")]
            r2 = result[f"{name} r2"]
            cells += [float(np.mean(r2)), float(np.std(r2))]
            cells += [float(np.mean(value)) for value in values]
        rows.append(cells)
        report.add(*cells)
        print(report.line(-1), flush=True)
    claim_tables(rows, list(versions), claims)
    return report


def claim_tables(rows: list[list], versions: list[str], claims: Claims) -> None:
    """State the figures of both halves."""
    for half in (0, 1):
        chosen = [row[2:] for row in rows if row[1] == half]
        if not chosen:
            continue
        values = np.array(chosen, dtype=float)
        n_rows, pca, *measures = values.T
        r2, spread, knn, lr, seconds = measures[-5:]
        is_small = n_rows < SMALL
        claims.add(f"half {half}: R² less PCA's, worst", (r2 - pca).min(), ">=", -0.002)
        if len(versions) == 1:
            continue
        r2_, spread_, knn_, lr_, seconds_ = measures[:5]
        claims.add(f"half {half}: R² less before, mean", (r2 - r2_).mean(), ">=", -0.002)
        claims.add(f"half {half}: R² less before, worst", (r2 - r2_).min(), ">=", -0.01)
        for name, gain in (("knn", knn - knn_), ("lr", lr - lr_)):
            what = f"half {half}: {name} less before, mean"
            claims.add(what, np.nanmean(gain), ">=", -0.003)
        for name, rows_, bound in (("small", is_small, 0.6), ("large", ~is_small, 0.35)):
            if rows_.any():
                ratio = np.median(seconds[rows_] / seconds_[rows_])
                claims.add(f"half {half}: time over before, {name}", ratio, "<=", bound)
        if is_small.any():
            ratio = spread[is_small].mean() / max(spread_[is_small].mean(), 1e-12)
            claims.add(f"half {half}: spread over before, small", ratio, "<=", 0.5)


def generate(n_rows: int, seed: int) -> np.ndarray:
    """Generate rows of 30 columns on a curved surface of five dimensions, with noise."""
    shape = np.random.default_rng(0)
    inner, outer = shape.normal(size=(5, 60)), shape.normal(size=(60, 30)) / 60**0.5
    rng = np.random.default_rng(seed)
    rows = np.tanh(rng.normal(size=(n_rows, 5)) @ inner) @ outer
    return rows + rng.normal(0, 0.1, size=rows.shape)


def measure_rows(versions: dict[str, Version], max_rows: int, claims: Claims) -> Table:
    """Fit to more and more generated rows."""
    names = list(versions)
    columns = ["rows", "PCA", "PCA, s"]
    for name in names:
        columns += [f"{name}: R²", f"{name}, s"]
    report = Table("generated rows of 30 columns, 5 components", columns)
    X = generate(10_000, seed=2)
    fits = {}
    for n_rows in 10 ** np.arange(3, 1 + int(np.log10(max_rows))):
        X_fit = generate(n_rows, seed=1)
        cells = [int(n_rows), *r2_of_pca(X_fit, X, 5)]
        for name, version in versions.items():
            if name != names[-1] and n_rows > MAX_ROWS_BEFORE:
                cells += [np.nan, np.nan]
                continue
            (_, seconds, _), (r2,) = version.run(
                "AutoencoderTransformer",
                X_fit,
                [("score", X)],
                n_components=5,
                random_state=0,
            )
            cells += [float(r2), seconds]
        fits[int(n_rows)] = cells
        report.add(*cells)
        print(report.line(-1), flush=True)
    r2 = np.array([cells[-2] for cells in fits.values()])
    claims.add("R² from fewer to more rows, smallest step", np.diff(r2).min(), ">=", -0.002)
    if 10**6 in fits:
        claims.add("seconds of 10⁶ rows", fits[10**6][-1], "<=", 60)
    return report


def measure_small(
    tables: list[_datasets.Table], versions: dict[str, Version], claims: Claims
) -> Table:
    """Time fits to small tables, after a first one."""
    report = Table("small tables, CPU seconds of a fit", ["table", "rows", *versions])
    for table in tables:
        X = standardised(table, 0)[0]
        cells = []
        for version in versions.values():
            parameters = {"n_components": 2, "random_state": 0}
            runs = [
                version.run("AutoencoderTransformer", X, **parameters)[0][1]
                for _ in range(3)
            ]
            cells.append(min(runs[1:]))
        report.add(table.name, len(X), *cells)
        claims.add(f"{table.name}: seconds of a fit", cells[-1], "<=", 0.4)
    return report


def time_forest(X: np.ndarray, *parts: np.ndarray) -> list[float]:
    """Measure the CPU seconds in which IsolationForest is fitted, and scores each part."""
    forest = IsolationForest(random_state=0)
    times = [time.process_time()]
    forest.fit(X)
    times.append(time.process_time())
    for rows in parts:
        forest.score_samples(rows)
        times.append(time.process_time())
    return np.diff(times).tolist()


def measure_detector_on_tables(
    tables: list[_datasets.Table], version: Version, claims: Claims
) -> Table:
    """Time fit and scores on tables, beside IsolationForest."""
    report = Table("detector on tables, CPU seconds", ["table", "rows", "ours", "forest"])
    for table in tables:
        calls = [("score_samples", table.X)]
        (_, *ours), _ = version.run(
            "AutoencoderOutlierDetector", table.X, calls, random_state=0
        )
        report.add(table.name, len(table.X), sum(ours), sum(time_forest(table.X, table.X)))
    ratio = np.median([ours / forest for *_, ours, forest in report.rows])
    claims.add("fit and score over IsolationForest's, median of tables", ratio, "<=", 1)
    return report


def measure_detector(versions: dict[str, Version], claims: Claims) -> Table:
    """Time the scores of 100,000 rows, beside IsolationForest."""
    report = Table(
        "detector, 100,000 x 64, CPU seconds", ["", "fit", "score", "score, float32"]
    )
    X = np.random.default_rng(0).normal(size=(100_000, 64))
    for name, version in versions.items():
        calls = [("score_samples", X), ("score_samples", X.astype(np.float32))]
        name_ = "AutoencoderOutlierDetector"
        (_, *seconds), _ = version.run(name_, X, calls, random_state=0)
        report.add(name, *seconds)
    report.add("IsolationForest", *time_forest(X, X, X.astype(np.float32)))
    ours, forest_ = report.rows[-2], report.rows[-1]
    claims.add("fit over IsolationForest's", ours[1] / forest_[1], "<=", 1)
    claims.add("score over IsolationForest's", ours[2] / forest_[2], "<=", 1)
    claims.add("score over IsolationForest's, float32", ours[3] / forest_[3], "<=", 0.5)
    return report


def measure_import(folders: dict[str, Path], n_rounds: int = 3) -> Table:
    """Time the import, the first fit and the second fit of a process."""
    report = Table("a new process, CPU seconds", ["", "import", "first fit", "second fit"])
    X = np.random.default_rng(0).normal(size=(100, 4))
    for name, folder in folders.items():
        runs = []
        for _ in range(n_rounds):
            with Version(folder) as version:
                fits = [version.run("AutoencoderTransformer", X)[0] for _ in range(2)]
            runs.append([fits[0][0], fits[0][1], fits[1][1]])
        report.add(name, *np.min(runs, axis=0).tolist())
    return report


def load_small(folders: list[Path]) -> Iterator[_datasets.Table]:
    """Yield the small tables that are known by name."""
    for table in _datasets.load(folders, SMALL):
        if _datasets.is_named(table, SMALL_TABLES):
            yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas between")
    parser.add_argument("--tables", default="*", help="names, with commas between")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--max-rows", type=int, default=10_000, help="larger tables are cut"
    )
    parser.add_argument("--max-generated", type=int, default=10**6)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    parts = options.parts.split(",")
    folders = {"before": options.before.resolve()} if options.before else {}
    folders["now"] = Path(__file__).resolve().parents[1]
    claims = Claims()
    with ExitStack() as stack:
        versions = {
            name: stack.enter_context(Version(folder)) for name, folder in folders.items()
        }
        tables = [
            table
            for table in _datasets.load(options.data, options.max_rows)
            if _datasets.is_named(table, options.tables)
        ]
        reports = {
            "tables": lambda: measure_tables(tables, versions, options.seeds, claims),
            "rows": lambda: measure_rows(versions, options.max_generated, claims),
            "small": lambda: measure_small(
                list(load_small(options.data)), versions, claims
            ),
            "detector": lambda: measure_detector(versions, claims),
            "detector_tables": lambda: measure_detector_on_tables(
                tables, versions["now"], claims
            ),
            "import": lambda: measure_import(folders),
        }
        for part in parts:
            reports[part]().show(options.out, f"speed_{part}")
    claims.show()


if __name__ == "__main__":
    main()
