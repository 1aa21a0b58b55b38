"""Whether the autoencoder, with default parameters, is better than PCA on tables.

Standardised columns, 70/30 split, equal number of components: the R² of the reconstruction
of held-out rows, and the accuracy of two classifiers on the codes. Then two components,
and tables whose columns were not standardised.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from sk_autoencoder import AutoencoderTransformer

CLASSIFIERS = {
    "knn": KNeighborsClassifier(5),
    "lr": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
}
TIE = 0.005
KEPT = 1e-6  # a smaller gain is rounding: PCA itself was kept


def split(table: _datasets.Table, seed: int):
    """Return X and y of both parts; constant columns of the first are left out."""
    y = np.zeros(len(table.X)) if table.y is None else table.y
    how = {"test_size": 0.3, "random_state": seed, "stratify": _datasets.strata(y)}
    parts = train_test_split(table.X, y, **how)
    varies = parts[0].std(axis=0) > 0
    return parts[0][:, varies], parts[1][:, varies], parts[2], parts[3]


def r2(X: np.ndarray, reconstruction: np.ndarray) -> float:
    """Return one minus the squared error over the variance, over all cells."""
    return 1 - ((X - reconstruction) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()


def measure(method, parts, has_classes: bool) -> dict[str, float]:
    """Fit `method`, and return R², accuracies and seconds."""
    X_fit, X, y_fit, y = parts
    start = time.perf_counter()
    method.fit(X_fit)
    result = {"seconds": time.perf_counter() - start}
    codes_fit, codes = method.transform(X_fit), method.transform(X)
    result["r2"] = r2(X, method.inverse_transform(codes))
    if has_classes:
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            for name, classifier in CLASSIFIERS.items():
                fitted = clone(classifier).fit(codes_fit, y_fit)
                result[name] = fitted.score(codes, y)
    return result


def compare(table: _datasets.Table, n_components: int, seed: int) -> dict[str, float]:
    """Return what both methods reach with one split of a table."""
    parts = split(table, seed)
    scaler = StandardScaler().fit(parts[0])
    parts = (scaler.transform(parts[0]), scaler.transform(parts[1]), *parts[2:])
    methods = {
        "pca": PCA(n_components, random_state=seed),
        "ours": AutoencoderTransformer(n_components, random_state=seed),
    }
    return {
        f"{name}_{key}": value
        for name, method in methods.items()
        for key, value in measure(method, parts, table.y is not None).items()
    }


def run(table: _datasets.Table, n_components: int, n_seeds: int) -> dict[str, float]:
    """Return the means over splits, and the longest fit."""
    runs = [compare(table, n_components, seed) for seed in range(n_seeds)]
    means = {key: float(np.mean([r[key] for r in runs])) for key in runs[0]}
    return means | {"longest": max(r["ours_seconds"] for r in runs)}


COLUMNS = ["pca_r2", "ours_r2", "pca_knn", "ours_knn", "pca_lr", "ours_lr"]


def sweep(tables, n_seeds: int, only_two: bool) -> tuple[Table, list[dict]]:
    """Compare on all tables, printing each row when it is there."""
    title = "two components" if only_two else "min(32, max(2, d // 6)) components"
    report = Table(title, ["table", "rows", "features", "k", *COLUMNS, "longest fit, s"])
    results = []
    for table in tables:
        n_samples, n_features = table.X.shape
        k = 2 if only_two else min(32, max(2, n_features // 6))
        result = run(table, min(k, n_features, int(0.7 * n_samples)), n_seeds)
        classes = 0 if table.y is None else len(np.unique(table.y))
        results.append(
            {"rows": n_samples, "features": n_features, "classes": classes} | result
        )
        cells = [result.get(column, np.nan) for column in COLUMNS]
        report.add(table.name, n_samples, n_features, k, *cells, result["longest"])
        print(report.line(-1), flush=True)
    return report, results


def gains(results: list[dict], measure: str) -> np.ndarray:
    """Return by how much we are better, on the tables that have the measure."""
    return np.array(
        [
            r[f"ours_{measure}"] - r[f"pca_{measure}"]
            for r in results
            if f"pca_{measure}" in r
        ]
    )


def claim(results: list[dict], two: list[dict], claims: Claims) -> None:
    """State what the issue of this benchmark is."""
    gain = gains(results, "r2")
    claims.add("share of tables with a higher R²", np.mean(gain > KEPT), ">=", 0.9)
    claims.add("lowest gain in R²", gain.min(), ">=", -TIE)
    claims.add("median gain in R²", np.median(gain), ">=", 0.15)
    for measure, share in (("knn", 0.85), ("lr", 0.8)):
        gain = gains(results, measure)
        what = f"{measure}: share of labelled tables at least as good"
        claims.add(what, np.mean(gain >= -TIE), ">=", share)
    several = [r for r in two if r["classes"] > 2]
    claims.add(
        "knn, k = 2: mean gain, three classes or more",
        gains(several, "knn").mean(),
        ">=",
        0.12,
    )
    claims.add("knn, k = 2: mean gain, all", gains(two, "knn").mean(), ">=", 0.12)
    small = [r["longest"] for r in results if r["rows"] <= 10_000 and r["features"] <= 200]
    claims.add("longest fit below 10,000 x 200, s", max(small), "<=", 15)


def raw_columns(tables, claims: Claims) -> Table:
    """Train on columns in their own units, as they are and moved far away."""
    report = Table("columns as they are", ["table", "PCA", "ours", "ours, 1e6 (X + 1)"])
    worst, moved = np.inf, 0.0
    for table in tables:
        X_fit, X, *_ = split(table, seed=0)
        k = min(32, max(2, X.shape[1] // 6), *X_fit.shape)
        pca = PCA(k, random_state=0).fit(X_fit)
        scores = [r2(X, pca.inverse_transform(pca.transform(X)))]
        for change in (lambda Z: Z, lambda Z: 1e6 * (Z + 1)):
            ours = AutoencoderTransformer(k, random_state=0).fit(change(X_fit))
            scores.append(ours.score(change(X)))
        worst = min(worst, scores[1] - scores[0])
        moved = max(moved, abs(scores[2] - scores[1]))
        report.add(table.name, *scores)
    claims.add("raw columns: lowest gain in R²", worst, ">=", -TIE)
    claims.add("raw columns: largest change when multiplied and moved", moved, "<=", 0.02)
    return report


def draw(results: list[dict], folder: str) -> None:
    """Draw our measures over PCA's, a point a table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    titles = {
        "r2": "R² of held-out rows",
        "knn": "5 nearest neighbours",
        "lr": "logistic regression",
    }
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        pairs = np.array(
            [(r[f"pca_{name}"], r[f"ours_{name}"]) for r in results if f"pca_{name}" in r]
        )
        ax.plot([0, 1], [0, 1], color="grey", linewidth=1)
        ax.scatter(*pairs.T, s=18)
        ax.set(title=title, xlabel="PCA", ylabel="autoencoder", xlim=(0, 1), ylim=(0, 1))
    path = Path(folder) / "reconstruction.png"
    figure.savefig(path, dpi=120)
    print(f"-> {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--max-rows", type=int, default=10_000, help="larger tables are cut"
    )
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    tables = list(_datasets.load(options.data, options.max_rows))
    report, results = sweep(tables, options.seeds, only_two=False)
    report.show(options.out, "reconstruction")
    draw(results, options.out)
    labelled = [table for table in tables if table.y is not None]
    report_two, two = sweep(labelled, options.seeds, only_two=True)
    report_two.show(options.out, "reconstruction_two")
    claims = Claims()
    claim(results, two, claims)
    small = [table for table in tables if table.X.size < 2e5]
    raw_columns(small, claims).show(options.out, "reconstruction_raw")
    claims.show()


if __name__ == "__main__":
    main()
