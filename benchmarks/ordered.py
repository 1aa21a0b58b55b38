"""Whether the first components of one ordered fit are worth having.

Standardised columns, 70/30 split, a sixth as many components as columns, 2 to 32. The R²
of held-out rows by the first 1, 2, 3, 4, 6, 8, ... components: of PCA, of one fit with
``ordered=True``, and, with ``--parts own``, of a fit for each number of components. The
whole code and the seconds beside those of a fit without an order. Then how many components
``n_components=0.9`` takes. Settings were chosen on the tables at even places of the order
of names; the others are reported apart.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.reconstruction import r2, split
from sk_autoencoder import AutoencoderTransformer

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
MAX_COMPONENTS = 32


def list_counts(n_components: int) -> list[int]:
    """List the numbers of first components that are looked at."""
    return [count for count in COUNTS if count < n_components] + [n_components]


def score_prefixes(method, X: np.ndarray, counts: list[int]) -> np.ndarray:
    """Compute R² of the rows that the first components decode."""
    codes = method.transform(X)
    if isinstance(method, PCA):
        axes, mean = method.components_, method.mean_
        return np.array([r2(X, codes[:, :k] @ axes[:k] + mean) for k in counts])
    return np.array([r2(X, method.inverse_transform(codes[:, :k])) for k in counts])


def fit(method, X: np.ndarray):
    """Fit a copy of `method`, and measure the seconds."""
    start = time.perf_counter()
    return clone(method).fit(X), time.perf_counter() - start


def compare(table: _datasets.Table, seed: int, with_own: bool) -> dict[str, np.ndarray]:
    """Score all methods on one split of a table."""
    X_fit, X, _, _ = split(table, seed)
    scaler = StandardScaler().fit(X_fit)
    X_fit, X = scaler.transform(X_fit), scaler.transform(X)
    n_components = min(MAX_COMPONENTS, max(2, X.shape[1] // 6), *X_fit.shape)
    counts = list_counts(n_components)
    pca = PCA(n_components, random_state=seed).fit(X_fit)
    plain = AutoencoderTransformer(n_components, random_state=seed)
    ordered, ordered_seconds = fit(plain.set_params(ordered=True), X_fit)
    whole, seconds = fit(plain.set_params(ordered=False), X_fit)
    result = {
        "PCA": score_prefixes(pca, X, counts),
        "ordered": score_prefixes(ordered, X, counts),
        "whole": np.array([whole.score(X)]),
        "seconds": np.array([ordered_seconds / seconds]),
    }
    if with_own:
        fits = [fit(plain.set_params(n_components=k), X_fit)[0] for k in counts[:-1]]
        result["own"] = np.array([*(each.score(X) for each in fits), whole.score(X)])
    return result


def run(tables, n_seeds: int, with_own: bool) -> tuple[Table, list[dict]]:
    """Compare on all tables; means over the seeds."""
    title = "R² by the first components"
    columns = ["table", "method", *map(str, COUNTS), "whole", "seconds"]
    report, results = Table(title, columns), []
    for table in tables:
        runs = [compare(table, seed, with_own) for seed in range(n_seeds)]
        result = {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}
        results.append(result)
        for name in ("PCA", "ordered", "own"):
            if name in result:
                *firsts, last = result[name]
                firsts += [np.nan] * (len(COUNTS) - len(firsts))
                report.add(table.name, name, *firsts, last, np.nan)
        nans = [np.nan] * len(COUNTS)
        report.add(table.name, "unordered", *nans, result["whole"][0], result["seconds"][0])
    return report, results


def claim(results: list[dict], half: str, claims: Claims) -> None:
    """Add the claims about one half of the tables."""
    above = [result["ordered"] - result["PCA"] for result in results]
    share = np.mean([gain.min() >= -0.002 for gain in above])
    claims.add(f"{half}: share of tables with every prefix at PCA's", share, ">=", 0.91)
    first = np.median([gain[0] for gain in above])
    claims.add(f"{half}: gain of the first component, median", first, ">=", 0.05)
    lost = [result["whole"][0] - result["ordered"][-1] for result in results]
    claims.add(f"{half}: R² that the whole code loses, mean", np.mean(lost), "<=", 0.003)
    ratio = np.median([result["seconds"][0] for result in results])
    claims.add(f"{half}: seconds of those without an order, median", ratio, "<=", 1.3)
    if "own" in results[0]:
        behind = np.concatenate([result["own"] - result["ordered"] for result in results])
        near = np.mean(behind <= 0.03)
        claims.add(f"{half}: share of prefixes within .03 of own fits", near, ">=", 0.85)


def count_for_fraction(tables, claims: Claims, fraction: float = 0.9) -> Table:
    """Count the components for a fraction of the variance, by PCA and by ours."""
    columns = ["table", "PCA", "ours", "R² PCA", "R² ours"]
    report = Table(f"components for {fraction:g} of the variance", columns)
    ratios = []
    for table in tables:
        X_fit, X, _, _ = split(table, 0)
        scaler = StandardScaler().fit(X_fit)
        X_fit, X = scaler.transform(X_fit), scaler.transform(X)
        pca = PCA(fraction).fit(X_fit)
        ours = AutoencoderTransformer(fraction, ordered=True, random_state=0).fit(X_fit)
        scores = r2(X, pca.inverse_transform(pca.transform(X))), ours.score(X)
        report.add(table.name, pca.n_components_, ours.n_components_, *scores)
        ratios.append(ours.n_components_ / pca.n_components_)
    what = "components for nine tenths of the variance, of PCA's, median"
    claims.add(what, np.median(ratios), "<=", 0.7)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--only", default="*", help="names or patterns, with commas")
    parser.add_argument("--parts", default="prefixes,own,fraction", help="parts to run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=10_000, help="of a table")
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    parts = options.parts.split(",")
    loaded = _datasets.load(options.data, options.max_rows)
    named = [table for table in loaded if _datasets.is_named(table, options.only)]
    tables = sorted(named, key=lambda table: table.name)
    claims = Claims()
    for half, chosen in (("chosen on", tables[::2]), ("kept back", tables[1::2])):
        if chosen and ("prefixes" in parts or "own" in parts):
            report, results = run(chosen, options.seeds, "own" in parts)
            report.show(options.out, f"ordered_{half.split()[0]}")
            claim(results, half, claims)
    if "fraction" in parts:
        count_for_fraction(tables, claims).show(options.out, "ordered_fraction")
    claims.show()


if __name__ == "__main__":
    main()
