"""Whether windows of time series are ranked better than by what scikit-learn has.

1. Series with marked stretches: AUROC of timestamps. IsolationForest, PCA (the error of its
   reconstruction from a sixth as many components as a window has values, or from four) and
   nearest neighbours see the same windows as ours, all with default settings, and
   each timestamp scores the mean over the windows that cover it. Series with a regular
   beginning (SKAB: 400 rows) are fitted to it and measured behind it; others are fitted
   as a whole.
2. Heart beats (ECG5000), each a row: fitted to regular ones, AUROC of the others.

Without data, generated series stand in.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from benchmarks._report import Claims, Table
from sk_autoencoder import TimeSeriesOutlierDetector

FIT_ROWS = {"skab": 400}  # rows of a regular beginning, by the name of the file
LINEAR = ("PCA 1/6", "PCA 4")
NEIGHBOURS = 5


@dataclass
class Labelled:
    """A series with the stretches that are marked in it."""

    group: str
    name: str
    X: np.ndarray  # (n_timestamps, n_channels)
    is_outlier: np.ndarray  # (n_timestamps,)
    n_fit: int | None = None  # rows of a regular beginning


class PCAErrors(BaseEstimator):
    """Minus the squared error of PCA's reconstruction from some components, or a share."""

    def __init__(self, n_components=4):
        self.n_components = n_components

    def fit(self, X, y=None):
        """Fit PCA to rows (n_samples, n_features)."""
        share = self.n_components if self.n_components < 1 else 0
        wished = int(share * X.shape[1]) or self.n_components
        n_components = int(max(min(wished, *X.shape), 1))
        self.pca_ = PCA(n_components, random_state=0).fit(X)
        return self

    def score_samples(self, X):
        """Return the scores (n_samples,)."""
        back = self.pca_.inverse_transform(self.pca_.transform(X))
        return -((X - back) ** 2).sum(axis=1)


class Neighbours(BaseEstimator):
    """Minus the mean distance to the nearest training rows."""

    def fit(self, X, y=None):
        """Keep rows (n_samples, n_features)."""
        self.nearest_ = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(X))).fit(X)
        return self

    def score_samples(self, X):
        """Return the scores (n_samples,)."""
        return -self.nearest_.kneighbors(X)[0].mean(axis=1)


def generated() -> Iterator[Labelled]:
    """Yield waves of one and of three channels, a stretch of each without its wave."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        t, n_channels = np.arange(3_000), 1 + 2 * (seed % 2)
        phase = rng.uniform(0, 6, n_channels)
        X = np.sin(2 * np.pi * t[:, None] / rng.integers(20, 60) + phase)
        X += rng.normal(0, 0.2, X.shape)
        start = rng.integers(1_000, 2_500)
        stretch = slice(start, start + 60)
        X[stretch] = rng.permutation(X[stretch])
        yield Labelled("generated", str(seed), X, (t >= start) & (t < start + 60))


def read(folder: Path) -> Iterator[Labelled]:
    """Yield the series of the files of a folder that have outliers to be found.

    The arrays of a series are called ``NAME|x``, (n_timestamps,) or (n_timestamps,
    n_channels), and ``NAME|label``.
    """
    for path in sorted(folder.glob("*.npz")):
        group = path.stem.split("_")[0]
        with np.load(path, allow_pickle=False) as data:
            for key in sorted(k for k in data if k.endswith("|x")):
                name = key.removesuffix("|x")
                if f"{name}|label" not in data:
                    continue
                X = data[key].astype(float)
                n_fit = FIT_ROWS.get(group)
                is_outlier = data[f"{name}|label"] > 0
                if 0 < is_outlier[n_fit or 0 :].mean() < 1:
                    yield Labelled(group, name, X.reshape(len(X), -1), is_outlier, n_fit)


def rivals(n_neighbours: bool) -> dict:
    """Return the detectors of windows beside ours."""
    found = {
        "IsolationForest": IsolationForest(random_state=0),
        "PCA 1/6": PCAErrors(1 / 6),
        "PCA 4": PCAErrors(4),
    }
    return found | ({"neighbours": Neighbours()} if n_neighbours else {})


def measure(series: Labelled, options) -> tuple[dict, dict, int]:
    """Return the AUROC and the seconds of each method, and the window."""
    kept = slice(series.n_fit or 0, None)
    train = series.X[: series.n_fit]
    ours = TimeSeriesOutlierDetector(
        window=options.window or "auto", random_state=options.seed
    )
    found, seconds = {}, {}
    methods = {"ours": None}
    while methods:
        name, inner = methods.popitem()
        detector = TimeSeriesOutlierDetector(inner, window=ours.window, random_state=0)
        detector = ours if name == "ours" else detector
        start = time.perf_counter()
        scores = detector.fit(train).score_samples(series.X)
        seconds[name] = time.perf_counter() - start
        found[name] = float(roc_auc_score(series.is_outlier[kept], -scores[kept]))
        if name == "ours":
            ours.set_params(window=ours.window_)
            methods = rivals(options.neighbours)
    return found, seconds, ours.window_


def compare(all_series: list[Labelled], options) -> list[tuple[str, dict]]:
    """Return the group and the AUROC of each method, for each series."""
    names = ["ours", *rivals(options.neighbours)]
    columns = ["series", "rows", "channels", "window", *names, "IF s", "ours s"]
    report, found = Table("AUROC of timestamps", columns), []
    for series in all_series:
        auroc, seconds, window = measure(series, options)
        times = (seconds["IsolationForest"], seconds["ours"])
        cells = [auroc[name] for name in names]
        report.add(series.name, *series.X.shape, window, *cells, *times)
        print(report.line(-1), flush=True)
        found.append((series.group, auroc))
    report.show(options.out, "timeseries")
    means = Table("mean AUROC by group", ["group", "series", *names])
    for group in sorted({group for group, _ in found}):
        some = [auroc for other, auroc in found if other == group]
        means.add(group, len(some), *(float(np.mean([a[n] for a in some])) for n in names))
    means.show(options.out, "timeseries_groups")
    return found


def claim(found: list[tuple[str, dict]], claims: Claims) -> None:
    """State how ours compares with IsolationForest and with PCA on the same windows."""
    gains = np.array([auroc["ours"] - auroc["IsolationForest"] for _, auroc in found])
    what = "share of series above IsolationForest on the same windows"
    claims.add(what, float((gains > 0).mean()), ">=", 0.75)
    claims.add("mean AUROC above that of IsolationForest", float(gains.mean()), ">=", 0.08)
    for group in sorted({group for group, _ in found}):
        some = [auroc for other, auroc in found if other == group]
        for name in LINEAR:
            gain = float(np.mean([auroc["ours"] - auroc[name] for auroc in some]))
            claims.add(f"{group}: mean AUROC less that of {name}", gain, ">=", 0.0)


def claim_beats(path: Path, options, claims: Claims) -> None:
    """State how well irregular heart beats are told from regular ones."""
    with np.load(path, allow_pickle=False) as data:
        X = data["X_train"][data["y_train"] == 1].astype(float)
        X_test, y_test = data["X_test"].astype(float), data["y_test"]
    report = Table("AUROC of heart beats", ["method", "AUROC"])
    ours = TimeSeriesOutlierDetector(random_state=options.seed)
    n_timestamps = X.shape[1]
    ours.set_params(window=n_timestamps, stride=n_timestamps)
    for name, inner in {"ours": None, **rivals(options.neighbours)}.items():
        # Beats stand one behind the other; each is one series, and one window.
        ours.set_params(detector=inner).fit(X.reshape(-1, 1))
        scores = ours.score_samples(X_test.reshape(-1, 1))[::n_timestamps]
        report.add(name, float(roc_auc_score(y_test != 1, -scores)))
    report.show(options.out, "timeseries_beats")
    claims.add("heart beats: AUROC", report.rows[0][1], ">=", 0.985)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--only", default="*", help="pattern of the names of series")
    parser.add_argument("--every", type=int, default=1, help="take each n-th series")
    parser.add_argument("--window", type=int, help="of all series, instead of found ones")
    parser.add_argument("--neighbours", type=int, default=1, help="0 leaves them out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    claims = Claims()
    found = [series for folder in options.data for series in read(folder)]
    found = [s for s in found or generated() if fnmatch(s.name, options.only)]
    claim(compare(found[:: options.every], options), claims)
    for folder in options.data:
        if (path := folder / "ecg5000.npz").exists():
            claim_beats(path, options, claims)
    claims.show()


if __name__ == "__main__":
    main()
