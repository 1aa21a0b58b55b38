"""Whether the detector, with default parameters, is better than IsolationForest.

Tables with outliers among their training rows, 70/30 stratified split, three seeds: how
well the scores rank the held-out rows, what ``contamination="auto"`` flags, and what both
cost. Rivals get standardised columns where they need them.

The same tables with clean training rows, half of the regular ones, against nearest
neighbours too: ranks, p-values and what they find at a false discovery rate, beside split
conformal p-values of IsolationForest. With ``--published`` the published means of other
methods on the same tables stand beside ours.

Designs were chosen on tables at even places of the order of names, and are reported on
both halves. Then the speed of scoring, and whether ``explain`` finds a planted fault.
"""

import argparse
import contextlib
import io
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.overhead import interleaved
from sk_autoencoder import AutoencoderOutlierDetector, VAETransformer

FOREST, OURS, OURS_VAE = "IsolationForest", "ours", "ours, VAETransformer"
PYOD_VAE, NEIGHBORS = "PyOD VAE", "5 nearest neighbours"
LEVELS = 0.01, 0.05, 0.1  # of p-values
HALVES = "chosen on", "kept back"
MIN_OUTLIERS = 4  # of a table: some are among the rows of a test


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


class Neighbors(OutlierMixin, BaseEstimator):
    """Minus the mean distance to the five nearest training rows."""

    def fit(self, X, y=None):
        """Keep the rows."""
        self.index_ = NearestNeighbors(n_neighbors=min(5, len(X))).fit(X)
        return self

    def score_samples(self, X):
        """Return minus the mean distance of each row."""
        return -self.index_.kneighbors(X)[0].mean(axis=1)


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


def split_clean(table: _datasets.Table, seed: int) -> tuple:
    """Split into half of the regular rows, to fit to, and all others with their labels."""
    X, y = table.X, np.asarray(table.y)
    regular = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(regular) // 2
    rest = np.r_[regular[half:], np.flatnonzero(y)]
    return X[regular[:half]], X[rest], y[rest]


def judge_p_values(p: np.ndarray, found: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return shares of small p-values of regular rows, and of what is found by them."""
    result = {f"p <= {level}": np.mean(p[y == 0] <= level) for level in LEVELS}
    result["false"] = (found & (y == 0)).sum() / max(found.sum(), 1)
    return result | {"power": found[y == 1].mean()}


def split_conformal(seed: int, X_fit: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return p-values by IsolationForest, fitted to half of the rows."""
    half = len(X_fit) // 2
    forest = IsolationForest(random_state=seed).fit(X_fit[:half])
    kept = np.sort(forest.score_samples(X_fit[half:]))
    n_lower = np.searchsorted(kept, forest.score_samples(X), side="right")
    return (1 + n_lower) / (len(kept) + 1)


def compare_clean(table: _datasets.Table, seed: int) -> dict[str, dict]:
    """Return what each detector reaches after a fit to regular rows."""
    X_fit, X, y = split_clean(table, seed)
    ours = AutoencoderOutlierDetector(novelty=True, random_state=seed)
    detectors = {
        FOREST: IsolationForest(random_state=seed),
        NEIGHBORS: make_pipeline(StandardScaler(), Neighbors()),
        OURS: ours,
    }
    results = {name: measure(each, X_fit, X, y) for name, each in detectors.items()}
    found = ours.predict(X, false_discovery_rate=0.1) == -1
    results[OURS] |= judge_p_values(ours.p_values(X), found, y)
    results[OURS]["alarms"] = np.mean(ours.predict(X[y == 0]) == -1)
    p = split_conformal(seed, X_fit, X)
    results[FOREST] |= judge_p_values(p, false_discovery_control(p) <= 0.1, y)
    return results


def show_summary(tables: dict[str, dict], title: str, folder: str) -> None:
    """Print the means of all detectors over the tables."""
    names = list(next(iter(tables.values())))
    auc = np.array([[t[n]["auc"] for n in names] for t in tables.values()])
    ranks = (-auc).argsort(axis=1).argsort(axis=1).mean(axis=0) + 1
    columns = ["detector", "AUROC", "AP", "rank", "above IF", "worst - IF", "seconds"]
    report = Table(title, columns)
    for i, name in enumerate(names):
        precision = float(np.mean([t[name]["ap"] for t in tables.values()]))
        seconds = float(np.sum([t[name]["s"] for t in tables.values()]))
        gain = auc[:, i] - auc[:, names.index(FOREST)]
        means = float(auc[:, i].mean()), precision, float(ranks[i])
        report.add(name, *means, int((gain > 0).sum()), float(gain.min()), seconds)
    report.show(folder, f"outlier_{title.split()[0]}")


def show_tables(tables: dict[str, dict], folder: str) -> None:
    """Print both detectors, table by table."""
    keys = ["auc", "ap", "f1", "off", "alarms", "s"]
    columns = [f"{key} {who}" for key in keys for who in ("IF", OURS)]
    report = Table("tables", ["table", *columns])
    for name, t in tables.items():
        report.add(name, *(float(t[who][key]) for key in keys for who in (FOREST, OURS)))
    report.show(folder, "outlier_tables")


def show_published(folder: Path, tables: dict[str, dict], setting: str, out: str) -> None:
    """Print published means of other methods on the same tables, beside ours."""
    report = Table(f"{setting}, published", ["method", "AUROC", "AP", "tables"])
    known = {name.split("_")[-1].lower(): name for name in tables}
    names = {"auc": "auroc", "ap": "ap"}
    found = {
        key: pd.read_csv(folder / f"dte_{setting}_{name}.csv", index_col=0) / 100
        for key, name in names.items()
    }
    both = set(found["auc"].index).intersection(found["ap"].index)
    shared = [name for name in found["auc"].index if name in both and name.lower() in known]
    means = {key: values.loc[shared].mean() for key, values in found.items()}
    own = [tables[known[name.lower()]][OURS] for name in shared]
    rows = [(OURS, np.mean([t["auc"] for t in own]), np.mean([t["ap"] for t in own]))]
    rows += [(m, means["auc"][m], means["ap"][m]) for m in means["auc"].index]
    for method, auc, precision in sorted(rows, key=lambda row: -row[1]):
        report.add(method, float(auc), float(precision), len(shared))
    report.show(out, f"outlier_published_{setting}")


def take_half(tables: dict[str, dict], half: int) -> dict[str, dict]:
    """Return every other table of those sorted by name."""
    return {name: tables[name] for name in sorted(tables)[half::2]}


def column(tables: dict[str, dict], who: str, key: str) -> np.ndarray:
    """Collect a measure of a detector over the tables."""
    return np.array([t[who][key] for t in tables.values()])


def gain(tables: dict[str, dict], key: str, rival: str = FOREST) -> np.ndarray:
    """Collect the differences of a measure between ours and a rival."""
    return column(tables, OURS, key) - column(tables, rival, key)


def add_mean(claims: Claims, what: str, values: np.ndarray, *bound) -> None:
    """Add a claim about a mean over tables, with its standard error."""
    error = values.std(ddof=1) / len(values) ** 0.5
    claims.add(f"{what} (s.e. {error:.3f})", values.mean(), *bound)


def claim(tables: dict[str, dict], claims: Claims) -> None:
    """Compare the detector with IsolationForest where outliers are among the rows."""
    claims.add("AUROC, mean", column(tables, OURS, "auc").mean(), ">=", 0.785)
    for i, half in enumerate(HALVES):
        part = take_half(tables, i)
        add_mean(claims, f"{half}: gain in AUROC", gain(part, "auc"), ">=", 0.02)
        add_mean(claims, f"{half}: gain in AP", gain(part, "ap"), ">=", 0.02)
        add_mean(claims, f"{half}: auto, gain in F1", gain(part, "f1"), ">=", 0.03)
        what = f"{half}: auto, difference of |predicted - true share|"
        claims.add(what, gain(part, "off").mean(), "<=", 0)
    claims.add("lowest gain in AUROC", gain(tables, "auc").min(), ">=", -0.08)
    claims.add("lowest gain in AP", gain(tables, "ap").min(), ">=", -0.08)
    alarms = column(tables, OURS, "alarms").mean()
    claims.add("inliers alone: false alarms, mean", alarms, "<=", 0.1)
    ratio = column(tables, OURS, "s") / column(tables, FOREST, "s")
    claims.add("fit and score / IsolationForest, median table", np.median(ratio), "<=", 1)


def claim_clean(tables: dict[str, dict], claims: Claims) -> None:
    """Judge the detector after fits to regular rows."""
    claims.add("clean: AUROC, mean", column(tables, OURS, "auc").mean(), ">=", 0.865)
    claims.add("clean: AP, mean", column(tables, OURS, "ap").mean(), ">=", 0.645)
    for i, half in enumerate(HALVES):
        part = take_half(tables, i)
        for key in ("auc", "ap"):
            what = f"clean, {half}: gain over nearest neighbours, {key}"
            add_mean(claims, what, gain(part, key, NEIGHBORS), ">=", 0)
    for level in LEVELS:
        share = column(tables, OURS, f"p <= {level}").mean() / level
        claims.add(f"regular rows of p <= {level}, in shares of it, most", share, "<=", 1.2)
        claims.add(f"regular rows of p <= {level}, in shares of it", share, ">=", 0.8)
    false = column(tables, OURS, "false")
    claims.add("false discoveries at .1, mean", false.mean(), "<=", 0.1)
    claims.add("false discoveries at .1, worst table", false.max(), "<=", 0.11)
    what = "power at .1 less that of split conformal IsolationForest"
    claims.add(what, gain(tables, "power").mean(), ">=", 0.1)
    alarms = column(tables, OURS, "alarms").mean()
    claims.add("clean: flagged regular rows, most", alarms, "<=", 0.07)
    claims.add("clean: flagged regular rows", alarms, ">=", 0.03)


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
    claims.add("scoring 100,000 x 64: IsolationForest / ours", ratio, ">=", 1)

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
    parser.add_argument("--published", type=Path, help="folder of published results")
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables: dict[str, dict] = {}
    clean: dict[str, dict] = {}
    claims = Claims()
    for table in _datasets.load(options.data, options.max_rows, with_bundled=False):
        if _datasets.strata(table.y) is None or np.sum(table.y == 1) < MIN_OUTLIERS:
            print(f"{table.name}: left out, with fewer than {MIN_OUTLIERS} outliers")
            continue
        seeds = range(options.seeds)
        results = [compare(table, seed, not options.no_rivals) for seed in seeds]
        tables[table.name] = mean_over_seeds(results)
        clean[table.name] = mean_over_seeds([compare_clean(table, seed) for seed in seeds])
        gains = [gain({"": t[table.name]}, "auc")[0] for t in (tables, clean)]
        shown = "{:+.3f}, after a clean fit {:+.3f}".format(*gains)
        print(f"{table.name} {table.X.shape}: AUROC {shown}", flush=True)
    show_tables(tables, options.out)
    show_summary(tables, "contaminated rows", options.out)
    show_summary(clean, "clean rows", options.out)
    if options.published:
        show_published(options.published, tables, "contaminated", options.out)
        show_published(options.published, clean, "clean", options.out)
    claim(tables, claims)
    claim_clean(clean, claims)
    if not options.no_rivals:
        claim_vae(tables, claims)
    claim_speed(claims)
    claim_explain(claims)
    claims.show()


if __name__ == "__main__":
    main()
