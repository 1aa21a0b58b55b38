"""Whether timestamps are ranked better than by what scikit-learn and TSB-AD have.

1. Series with marked stretches, and generated ones with switches among their channels:
   VUS-PR and AUROC of timestamps, once for a detector that is fitted to the whole series,
   and once for one that is fitted to the beginning and measured behind it. IsolationForest,
   PCA (the error of its reconstruction from a sixth as many components as a window has
   values, or from four) and nearest neighbours see the same windows as ours, all with
   default settings, and each timestamp scores the mean over the windows that cover it.
   Histograms score timestamps.
2. Series with published results of TSB-AD: VUS-PR beside these, and ranks. Here both fits
   are measured on the whole series, as TSB-AD does.
3. Heart beats (ECG5000), each a row: fitted to regular ones, AUROC of the others.
4. P-values behind the beginning of the series of part 1: the share of blocks without a
   marked timestamp that have a p-value of at most 0.05, 0.1 and 0.2, and the share of the
   other blocks that have one of at most 0.1. A block is as long as a window.

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
from benchmarks._series import (
    Labelled,
    generated,
    match,
    methods_of,
    read,
    read_published,
    with_switches,
)
from sk_autoencoder import TimeSeriesOutlierDetector
from sk_autoencoder.metrics import vus_pr_score

LINEAR = ("PCA 1/6", "PCA 4")
OF_CLAIM = ("IsolationForest", *LINEAR, "histograms")
FITS = ("whole", "beginning")
NEIGHBOURS = 5
N_BINS = 10
LEVELS = 0.05, 0.1, 0.2  # of p-values
N_BEST = 2  # series without which ours has to stay ahead


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


class Histograms(BaseEstimator):
    """The log density of rows by histograms of features, as if these were independent."""

    def fit(self, X, y=None):
        """Fit ten bins a feature to rows (n_samples, n_features)."""
        self.edges_ = [np.histogram_bin_edges(column, N_BINS) for column in X.T]
        pairs = zip(X.T, self.edges_, strict=True)
        self.counts_ = [np.histogram(column, edges)[0] for column, edges in pairs]
        return self

    def score_samples(self, X):
        """Return the scores (n_samples,); values beyond the bins are as rare as none."""
        scores = np.zeros(len(X))
        for column, edges, counts in zip(X.T, self.edges_, self.counts_, strict=True):
            bins = np.searchsorted(edges[1:-1], column, side="right")
            is_inside = (column >= edges[0]) & (column <= edges[-1])
            shares = np.where(is_inside, counts[bins], 0) / counts.sum()
            scores += np.log(shares + 1 / (10 * counts.sum()))
        return scores


def rivals(n_neighbours: bool) -> dict:
    """Return the detectors of windows beside ours, and the one of timestamps."""
    detectors = {
        "IsolationForest": IsolationForest(random_state=0),
        "PCA 1/6": PCAErrors(1 / 6),
        "PCA 4": PCAErrors(4),
        "histograms": Histograms(),
    }
    return detectors | ({"neighbours": Neighbours()} if n_neighbours else {})


@dataclass
class Measured:
    """What the methods make of a series, fitted to a part of it."""

    series: Labelled
    fit: str  # one of FITS
    window: int
    vus_pr: dict[str, float]
    auroc: dict[str, float]
    seconds: dict[str, float]  # of the process


def measure(series: Labelled, fit: str, options, whole: bool = False) -> Measured:
    """Measure ours and its rivals behind the beginning, or, if `whole`, everywhere."""
    n_fit = len(series.X) if fit == "whole" else series.n_fit
    measured = slice(0 if whole or fit == "whole" else n_fit, None)
    y, buffer = series.is_outlier[measured], series.period
    ours = TimeSeriesOutlierDetector(
        window=options.window or "auto", random_state=options.seed
    )
    found = Measured(series, fit, 0, {}, {}, {})
    methods = {"ours": None}
    if not whole:
        methods |= rivals(options.neighbours)
    for name, inner in methods.items():
        window = 1 if name == "histograms" else found.window
        detector = TimeSeriesOutlierDetector(inner, window=window or "auto", random_state=0)
        detector = ours if name == "ours" else detector
        start = time.process_time()
        scores = detector.fit(series.X[:n_fit]).score_samples(series.X)[measured]
        found.seconds[name] = time.process_time() - start
        found.vus_pr[name] = vus_pr_score(y, -scores, max_window=buffer)
        found.auroc[name] = float(roc_auc_score(y, -scores))
        if name == "ours":
            found.window = ours.window_
    return found


def compare(all_series: list[Labelled], options) -> list[Measured]:
    """Measure all series, and show each of them, and the means of groups."""
    names = ["ours", *rivals(options.neighbours)]
    columns = ["fit", "group", "series", "rows", "channels", "window"]
    measures = [f"{what} {name}" for what in ("VUS-PR", "AUROC") for name in names]
    report = Table("Timestamps", [*columns, *measures, "IF s", "ours s"])
    found = []
    for series, fit in ((s, fit) for fit in FITS for s in all_series):
        m = measure(series, fit, options)
        cells = [*m.vus_pr.values(), *m.auroc.values()]
        times = m.seconds["IsolationForest"], m.seconds["ours"]
        place = fit, series.group, series.name
        report.add(*place, *series.X.shape, m.window, *cells, *times)
        print(report.line(-1), flush=True)
        found.append(m)
    report.show(options.out, "timeseries")
    for what, attribute in (("VUS-PR", "vus_pr"), ("AUROC", "auroc")):
        means = Table(f"mean {what} by group", ["fit", "group", "series", *names])
        for fit, group, some in by_group(found):
            values = [getattr(m, attribute) for m in some]
            averages = (float(np.mean([v[name] for v in values])) for name in names)
            means.add(fit, group, len(some), *averages)
        means.show(options.out, f"timeseries_groups_{attribute}")
    return found


def by_group(found: list[Measured]) -> Iterator[tuple[str, str, list[Measured]]]:
    """Yield each fit and group, with what was measured."""
    for fit, group in sorted({(m.fit, m.series.group) for m in found}, reverse=True):
        some = [m for m in found if (m.fit, m.series.group) == (fit, group)]
        yield fit, group, some


def claim(found: list[Measured], claims: Claims) -> None:
    """State how ours compares with the rivals on the same windows."""
    whole = [m for m in found if m.fit == "whole"]
    gains = np.array([m.auroc["ours"] - m.auroc["IsolationForest"] for m in whole])
    what = "whole: share of series above IsolationForest on the same windows"
    claims.add(what, float((gains > 0).mean()), ">=", 0.75)
    claims.add("whole: mean AUROC above that of IsolationForest", gains.mean(), ">=", 0.08)
    for fit, group, some in by_group(found):
        for name in LINEAR:
            gain = float(np.mean([m.auroc["ours"] - m.auroc[name] for m in some]))
            claims.add(f"{fit}, {group}: mean AUROC less that of {name}", gain, ">=", 0.0)
    for fit in FITS:
        some = [m for m in found if m.fit == fit and m.series.X.shape[1] > 1]
        if some:
            claim_channels(fit, [m.vus_pr for m in some], claims)
    rows = [len(m.series.X) for m in found]
    rate = [m.seconds["ours"] / n * 30_000 for m, n in zip(found, rows, strict=True)]
    slowest = max(m.seconds["ours"] * min(30_000 / len(m.series.X), 1) for m in found)
    claims.add("seconds a series, at most 30,000 timestamps of it", slowest, "<=", 10)
    print(f"ours, seconds for 30,000 timestamps: median {np.median(rate):.1f}")


def claim_channels(fit: str, vus_pr: list[dict[str, float]], claims: Claims) -> None:
    """State how ours does on series of several channels."""
    for name in OF_CLAIM:
        gain = float(np.mean([v["ours"] - v[name] for v in vus_pr]))
        what = f"{fit}, several channels: mean VUS-PR less that of {name}"
        claims.add(what, gain, ">", 0.0)
    behind = max(max(v[name] for name in OF_CLAIM) - v["ours"] for v in vus_pr)
    what = f"{fit}, several channels: most behind the best of them on a series"
    claims.add(what, behind, "<=", 0.1)


def show_p_values(all_series: list[Labelled], options) -> None:
    """Show how often p-values are small in regular blocks, and in others, by group."""
    columns = ["group", "series", "blocks", *(f"regular, p <= {p}" for p in LEVELS)]
    report = Table("p-values behind the beginning", [*columns, f"others, p <= {LEVELS[1]}"])
    shares: dict[str, list[list[float]]] = {}
    for series in all_series:
        detector = TimeSeriesOutlierDetector(
            window=options.window or "auto", calibrate=True, random_state=options.seed
        )
        try:
            detector.fit(series.X[: series.n_fit])
        except ValueError as error:  # too short for four windows
            print(f"{series.name}: {error}")
            continue
        starts = np.arange(0, len(series.X) - series.n_fit, detector.window_)
        p_values = detector.p_values(series.X)[series.n_fit :]
        least = np.minimum.reduceat(p_values, starts)
        is_regular = ~np.logical_or.reduceat(series.is_outlier[series.n_fit :], starts)
        regular, others = least[is_regular], least[~is_regular]
        found = [float((regular <= p).mean()) for p in LEVELS]
        found.append(float((others <= LEVELS[1]).mean()))
        shares.setdefault(series.group, []).append([len(regular), *found])
    for group, values in shares.items():
        n_blocks, *means = np.nanmean(values, axis=0)
        report.add(group, len(values), n_blocks, *means)
    report.show(options.out, "timeseries_p_values")


def claim_published(all_series: list[Labelled], options, claims: Claims) -> None:
    """State how ours compares with the published results of TSB-AD."""
    published = read_published(options.published)
    columns = ["file", "rows", "channels", "whole", "beginning", "best published", "by"]
    report = Table("VUS-PR, beside TSB-AD", [*columns, "rank", "of", "ours s"])
    ranked: dict[str, list[dict[str, float]]] = {}  # VUS-PR by method, of each data set
    for series in match(all_series, published):
        methods = methods_of(published[series.published])
        fits = [measure(series, fit, options, whole=True) for fit in FITS]
        whole, beginning = (m.vus_pr["ours"] for m in fits)
        best = max(methods, key=methods.__getitem__)
        rank = 1 + sum(value > whole for value in methods.values())
        place = series.published[:24], *series.X.shape
        cells = whole, beginning, methods[best], best, rank, len(methods) + 1
        report.add(*place, *cells, fits[0].seconds["ours"])
        print(report.line(-1), flush=True)
        kind = series.published.split("_")[1]
        ranked.setdefault(kind, []).append(
            methods | {"ours": whole, "ours, beginning": beginning}
        )
    report.show(options.out, "timeseries_published")
    for kind, values in ranked.items():
        show_ranks(kind, values, options)
    if nab := ranked.get("NAB"):
        ours = np.array([v["ours"] for v in nab])
        claims.add("NAB: mean VUS-PR, fitted to the whole", ours.mean(), ">=", 0.5)
        first = lead(nab)
        claims.add("NAB: mean rank of the best other less ours", first, ">", 0.0)
        kept = np.argsort(ours)[:-N_BEST]
        if len(kept):
            first = lead([nab[i] for i in kept])
            what = "NAB without our two best: mean rank of the best other less ours"
            claims.add(what, first, ">", 0.0)


def mean_ranks(values: list[dict[str, float]], names: list[str]) -> np.ndarray:
    """Return the mean rank of each method; methods with equal values share one."""
    table = np.array([[v[name] for name in names] for v in values])
    higher = (table[:, None] > table[:, :, None]).sum(axis=-1)
    equal = (table[:, None] == table[:, :, None]).sum(axis=-1)
    return (higher + (equal + 1) / 2).mean(axis=0)


def lead(values: list[dict[str, float]]) -> float:
    """Return the mean rank of the best other method less that of ours, fitted to all."""
    names = [name for name in values[0] if name != "ours, beginning"]
    ranks = dict(zip(names, mean_ranks(values, names), strict=True))
    return float(min(v for k, v in ranks.items() if k != "ours") - ranks["ours"])


def show_ranks(kind: str, values: list[dict[str, float]], options) -> None:
    """Show mean VUS-PR and mean ranks, the best first."""
    names = list(values[0])
    report = Table(
        f"{kind}: {len(values)} series of TSB-AD", ["method", "VUS-PR", "mean rank"]
    )
    ranks = mean_ranks(values, names)
    for i in np.argsort(ranks):
        mean = float(np.mean([v[names[i]] for v in values]))
        report.add(names[i], mean, float(ranks[i]))
    report.show(options.out, f"timeseries_ranks_{kind.lower()}")


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
    parser.add_argument("--published", type=Path, help="folder of TSB-AD's results")
    parser.add_argument("--only", default="*", help="pattern of the names of series")
    parser.add_argument("--every", type=int, default=1, help="take each n-th series")
    parser.add_argument("--window", type=int, help="of all series, instead of found ones")
    parser.add_argument("--neighbours", type=int, default=1, help="0 leaves them out")
    parser.add_argument("--parts", default="rivals,published,beats,p_values")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    claims, parts = Claims(), options.parts.split(",")
    given = [series for folder in options.data for series in read(folder)]
    some = [*(given or generated()), *with_switches()]
    some = [series for series in some if fnmatch(series.name, options.only)]
    if "rivals" in parts and some:
        claim(compare(some[:: options.every], options), claims)
    if "published" in parts and options.published:
        claim_published(given, options, claims)
    if "p_values" in parts:
        show_p_values(some[:: options.every], options)
    for folder in options.data:
        if "beats" in parts and (path := folder / "ecg5000.npz").exists():
            claim_beats(path, options, claims)
    claims.show()


if __name__ == "__main__":
    main()
