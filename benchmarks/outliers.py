"""Whether the detector, with default parameters, is better than IsolationForest.

Tables with outliers among their training rows, 70/30 stratified split, three seeds: how
well the scores rank the held-out rows, what ``contamination="auto"`` flags, and what both
cost. Rivals get standardised columns where they need them. Then the speed of scoring, and
whether a planted fault is found by ``explain``.
"""

import argparse
import contextlib
import io
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.overhead import interleaved
from sk_autoencoder import AutoencoderOutlierDetector, VAETransformer

FOREST, OURS, OURS_VAE = "IsolationForest", "ours", "ours, VAETransformer"
PYOD_VAE = "PyOD VAE"


class PCAReconstruction(OutlierMixin, BaseEstimator):
    """Minus the squared error of PCA with 90 % of the variance."""

    def fit(self, X, y=None):
        """Fit PCA."""
        self.pca_ = PCA(0.9, svd_solver="full").fit(X)
        return self

    def score_samples(self, X):
        """Return minus the squared error of each row."""
        rows = self.pca_.inverse_transform(self.pca_.transform(X))
        return -((X - rows) ** 2).sum(axis=1)


class PyOD(OutlierMixin, BaseEstimator):
    """A detector of PyOD in scikit-learn's convention: higher is more normal."""

    def __init__(self, detector=None):
        self.detector = detector

    def fit(self, X, y=None):
        """Fit the detector."""
        with contextlib.redirect_stderr(io.StringIO()):
            self.detector_ = self.detector.fit(X)
        return self

    def score_samples(self, X):
        """Return minus PyOD's score of each row."""
        return -self.detector_.decision_function(X)


def rivals(seed: int) -> dict:
    """Return all detectors, with default parameters, by name."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.ecod import ECOD
    from pyod.models.knn import KNN
    from pyod.models.vae import VAE

    quiet = {"verbose": 0, "device": "cpu", "random_state": seed}
    scaled = {
        "PCA": PCAReconstruction(),
        "ECOD": PyOD(ECOD()),
        "KNN": PyOD(KNN()),
        "PyOD AutoEncoder": PyOD(AutoEncoder(**quiet)),
        PYOD_VAE: PyOD(VAE(**quiet)),
    }
    return {
        FOREST: IsolationForest(random_state=seed),
        OURS: AutoencoderOutlierDetector(random_state=seed),
        OURS_VAE: AutoencoderOutlierDetector(VAETransformer(), random_state=seed),
        **{name: make_pipeline(StandardScaler(), each) for name, each in scaled.items()},
    }


def measure(detector, X_fit, X, y) -> dict[str, float]:
    """Fit a detector, and return how it ranks the rows X, and seconds."""
    start = time.perf_counter()
    detector.fit(X_fit)
    score = -detector.score_samples(X)
    seconds = time.perf_counter() - start
    auc, precision = roc_auc_score(y, score), average_precision_score(y, score)
    return {"auc": auc, "ap": precision, "s": seconds}


def flagged(detector, X_fit, X, y_fit, y) -> dict[str, float]:
    """Return what ``predict`` makes of X, and of inliers after a fit to inliers."""
    found = detector.predict(X) == -1
    alarms = detector.fit(X_fit[y_fit == 0]).predict(X[y == 0]) == -1
    return {
        "f1": f1_score(y, found),
        "off": abs(found.mean() - y.mean()),
        "alarms": alarms.mean(),
    }


def compare(table: _datasets.Table, seed: int, with_rivals: bool) -> dict[str, dict]:
    """Return what each detector reaches with one split of a table."""
    X_fit, X, y_fit, y = train_test_split(
        table.X, table.y, test_size=0.3, random_state=seed, stratify=table.y
    )
    results = {}
    for name, detector in rivals(seed).items():
        if with_rivals or name in (FOREST, OURS):
            results[name] = measure(detector, X_fit, X, y)
        if name in (FOREST, OURS):
            results[name] |= flagged(detector, X_fit, X, y_fit, y)
    return results


def mean_over_seeds(results: list[dict[str, dict]]) -> dict[str, dict[str, float]]:
    """Return the mean of each measure of each detector."""
    return {
        name: {key: np.mean([r[name][key] for r in results]) for key in measures}
        for name, measures in results[0].items()
    }


def show_summary(tables: dict[str, dict], folder: str) -> None:
    """Print the means of all detectors over the tables."""
    names = list(next(iter(tables.values())))
    auc = np.array([[t[n]["auc"] for n in names] for t in tables.values()])
    ranks = (-auc).argsort(axis=1).argsort(axis=1).mean(axis=0) + 1
    report = Table("detectors", ["detector", "AUROC", "AP", "rank", "above IF", "seconds"])
    for i, name in enumerate(names):
        precision = float(np.mean([t[name]["ap"] for t in tables.values()]))
        seconds = float(np.sum([t[name]["s"] for t in tables.values()]))
        above = int((auc[:, i] > auc[:, names.index(FOREST)]).sum())
        report.add(
            name, float(auc[:, i].mean()), precision, float(ranks[i]), above, seconds
        )
    report.show(folder, "outlier_detectors")


def show_tables(tables: dict[str, dict], folder: str) -> None:
    """Print both detectors, table by table."""
    keys = ["auc", "ap", "f1", "off", "alarms", "s"]
    columns = [f"{key} {who}" for key in keys for who in ("IF", OURS)]
    report = Table("tables", ["table", *columns])
    for name, t in tables.items():
        report.add(name, *(float(t[who][key]) for key in keys for who in (FOREST, OURS)))
    report.show(folder, "outlier_tables")


def claim(tables: dict[str, dict], claims: Claims) -> None:
    """Compare the detector with IsolationForest."""

    def column(who: str, key: str) -> np.ndarray:
        return np.array([t[who][key] for t in tables.values()])

    def gain(key: str) -> np.ndarray:
        return column(OURS, key) - column(FOREST, key)

    ratio = column(OURS, "s") / column(FOREST, "s")
    total = column(OURS, "s").sum() / column(FOREST, "s").sum()
    alarms = gain("alarms").mean()
    claims.add("mean gain in AUROC", gain("auc").mean(), ">=", 0.02)
    claims.add("mean gain in average precision", gain("ap").mean(), ">=", 0.03)
    claims.add(
        "share of tables with a higher AUROC", (gain("auc") > 0).mean(), ">=", 16 / 23
    )
    claims.add("aim: mean AUROC", column(OURS, "auc").mean(), ">=", 0.8)
    claims.add("aim: lowest gain in AUROC", gain("auc").min(), ">=", -0.05)
    claims.add("auto: mean gain in F1", gain("f1").mean(), ">=", 0.02)
    claims.add("auto: difference of |predicted - true share|", gain("off").mean(), "<=", 0)
    claims.add("inliers alone: difference of false alarms", alarms, "<=", 0)
    claims.add("fit and score / IsolationForest, median table", np.median(ratio), "<=", 1.2)
    claims.add("fit and score / IsolationForest, total", total, "<=", 2.5)


def claim_vae(tables: dict[str, dict], claims: Claims) -> None:
    """Compare the variational autoencoders, ours by its likelihood."""
    gains = [t[OURS_VAE]["auc"] - t[PYOD_VAE]["auc"] for t in tables.values()]
    claims.add(
        "VAETransformer: mean gain in AUROC over PyOD's VAE", np.mean(gains), ">=", 0
    )


def claim_speed(claims: Claims) -> None:
    """Time the scoring of 100,000 rows, and a wide table."""
    rng = np.random.default_rng(0)
    X, wide = rng.normal(size=(100_000, 64)), rng.normal(size=(1_966, 1_555))
    detectors = {
        FOREST: IsolationForest(random_state=0).fit(X[:10_000]),
        OURS: AutoencoderOutlierDetector(random_state=0).fit(X[:10_000]),
    }
    best = interleaved({n: partial(d.score_samples, X) for n, d in detectors.items()}, 3)
    ratio = best[FOREST] / best[OURS]
    claims.add("scoring 100,000 x 64: IsolationForest / ours", ratio, ">=", 3)

    def fit_and_score(detector) -> None:
        detector.fit(wide).score_samples(wide)

    best = interleaved({n: partial(fit_and_score, d) for n, d in detectors.items()}, 3)
    ratio = best[OURS] / best[FOREST]
    claims.add("1,555 columns: fit and score / IsolationForest", ratio, "<=", 5)


def claim_explain(claims: Claims) -> None:
    """Shift one cell of a row by 8 standard deviations, 200 times, and look for it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 5)) @ rng.normal(size=(5, 20))
    X += 0.3 * rng.normal(size=X.shape)
    detector = AutoencoderOutlierDetector(random_state=0).fit(X[:1_000])
    rows, cells = X[1_000:1_200].copy(), rng.integers(20, size=200)
    rows[np.arange(200), cells] += rng.choice([-8, 8], 200) * X.std(axis=0)[cells]
    found = detector.explain(rows).argmax(axis=1) == cells
    claims.add("share of planted faults found", found.mean(), ">=", 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="a folder of tables"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--max-rows", type=int, default=10_000, help="larger tables are cut"
    )
    parser.add_argument("--no-rivals", action="store_true", help="IsolationForest alone")
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables, claims = {}, Claims()
    for table in _datasets.load(options.data, options.max_rows, with_bundled=False):
        seeds = range(options.seeds)
        results = [compare(table, seed, not options.no_rivals) for seed in seeds]
        tables[table.name] = found = mean_over_seeds(results)
        gain = found[OURS]["auc"] - found[FOREST]["auc"]
        print(f"{table.name} {table.X.shape}: AUROC {gain:+.3f}", flush=True)
    show_tables(tables, options.out)
    show_summary(tables, options.out)
    claim(tables, claims)
    if not options.no_rivals:
        claim_vae(tables, claims)
    claim_speed(claims)
    claim_explain(claims)
    claims.show()


if __name__ == "__main__":
    main()
