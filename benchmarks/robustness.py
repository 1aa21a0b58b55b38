"""Whether contractive codes move less when noise is added to the rows.

Of the tables with at least four classes, none of which holds more than half of the rows,
the five with the most rows: there accuracy can fall, and is measured finely. Standardised
columns, 70/30 split, at most 2,100 rows to fit to, default parameters, equal number of
components. On held-out rows, the R² of the reconstruction, and how far noise of 0.1
standard deviations moves the codes:

* ``moved``: mean squared distance over the total variance of the codes,
* ``map_members``: the mean over components of squared distance over variance,
* ``whitened``: the same after the codes were whitened, which no linear map changes.

Then what two classifiers, fitted to clean codes, lose in accuracy by noise.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.reconstruction import CLASSIFIERS, measure, split
from sk_autoencoder import AutoencoderTransformer, ContractiveAutoencoder

METHODS = {"plain": AutoencoderTransformer, "ours": ContractiveAutoencoder}
N_TABLES, N_DRAWS = 5, 20
FIT_ROWS = 2_100
NOISES = (0.1, 0.3)  # standard deviations of a column
TIE = 0.01  # of R²


def choose(tables: list[_datasets.Table]) -> list[_datasets.Table]:
    """Return the tables with the most rows that have four classes, none a majority."""

    def fits(table: _datasets.Table) -> bool:
        if table.y is None:
            return False
        shares = np.bincount(table.y) / len(table.y)
        return len(shares) >= 4 and shares.max() <= 0.5

    return sorted(filter(fits, tables), key=lambda t: -len(t.X))[:N_TABLES]


def moves(codes: np.ndarray, noisy: np.ndarray) -> dict[str, float]:
    """Return how far `noisy` codes (n_draws, n_rows, k) lie from `codes` (n_rows, k)."""
    steps = (noisy - codes).reshape(-1, codes.shape[1])
    squared = (steps**2).mean(axis=0)  # (k,)
    covariance = np.cov(codes.T).reshape(codes.shape[1], -1)
    whitened = np.linalg.solve(covariance, steps.T @ steps / len(steps))
    return {
        "moved": squared.sum() / codes.var(axis=0).sum(),
        "each": (squared / codes.var(axis=0)).mean(),
        "whitened": np.trace(whitened) / codes.shape[1],
    }


def compare(table: _datasets.Table, k: int, seed: int) -> dict[str, float]:
    """Return what both methods reach with one split of a table."""
    X_fit, X, y_fit, y = split(table, seed)
    X_fit, y_fit = X_fit[:FIT_ROWS], y_fit[:FIT_ROWS]
    scaler = StandardScaler().fit(X_fit)
    X_fit, X = scaler.transform(X_fit), scaler.transform(X)
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(N_DRAWS, *X.shape))
    result = {}
    for name, cls in METHODS.items():
        method = cls(k, random_state=seed)
        found = measure(method, (X_fit, X, y_fit, y), has_classes=True)
        codes = method.transform(X)
        noisy = {s: np.stack([method.transform(X + s * e) for e in draws]) for s in NOISES}
        found |= moves(codes, noisy[NOISES[0]])
        for which, classifier in CLASSIFIERS.items():
            fitted = clone(classifier).fit(method.transform(X_fit), y_fit)
            for std, each in noisy.items():
                accuracy = np.mean([fitted.score(Z, y) for Z in each])
                found[f"{which} -{std}"] = found[which] - accuracy
        result |= {f"{key} {name}": value for key, value in found.items()}
    return result


def run(tables: list[_datasets.Table], n_seeds: int) -> dict[str, dict[str, float]]:
    """Return the means over splits of each table, printing what matters."""
    results = {}
    for table in tables:
        k = min(32, max(2, table.X.shape[1] // 6))
        runs = [compare(table, k, seed) for seed in range(n_seeds)]
        mean = {key: float(np.mean([r[key] for r in runs])) for key in runs[0]}
        results[table.name] = mean | {"rows": len(table.X), "k": k}
        gain, ratio = mean["r2 ours"] - mean["r2 plain"], ratios(mean)["moved"]
        print(f"{table.name}: R² {gain:+.4f}, moved {ratio:.2f} of plain", flush=True)
    return results


def ratios(result: dict[str, float]) -> dict[str, float]:
    """Return each measure of movement as a share of the plain autoencoder's."""
    keys = ("moved", "each", "whitened")
    return {key: result[f"{key} ours"] / result[f"{key} plain"] for key in keys}


def show(results: dict[str, dict[str, float]], folder: str) -> None:
    """Print the movement of codes, then the classifiers."""
    both = [f"{key} {name}" for key in ("r2", "moved", "seconds") for name in METHODS]
    columns = [
        "table",
        "rows",
        "k",
        *both,
        "moved, ratio",
        "each, ratio",
        "whitened, ratio",
    ]
    codes = Table(f"noise of {NOISES[0]} standard deviations", columns)
    for name, r in results.items():
        codes.add(name, r["rows"], r["k"], *(r[c] for c in both), *ratios(r).values())
    codes.show(folder, "robustness")
    measures = [w + part for w in CLASSIFIERS for part in ("", *(f" -{s}" for s in NOISES))]
    columns = [f"{key} {name}" for key in measures for name in METHODS]
    lost = Table("accuracy, and what noise takes from it", ["table", *columns])
    for name, r in results.items():
        lost.add(name, *(r[c] for c in columns))
    lost.show(folder, "robustness_accuracy")


def claim(results: list[dict[str, float]], claims: Claims) -> None:
    """State what contraction is to show."""

    def gains(key: str) -> np.ndarray:
        return np.array([r[f"{key} ours"] - r[f"{key} plain"] for r in results])

    equal = gains("r2") >= -TIE
    for key in ("moved", "each", "whitened"):
        less = np.array([ratios(r)[key] for r in results]) <= 0.7
        what = f"tables with equal R² and codes that move 30 % less ({key})"
        claims.add(what, (equal & less).sum(), ">=", 4)
    for std in NOISES:
        lost = np.stack([gains(f"{which} -{std}") for which in CLASSIFIERS])
        what = f"difference of accuracy lost by noise of {std}"
        for which, each in zip(CLASSIFIERS, lost, strict=True):
            claims.add(f"{which}: {what}, mean", each.mean(), "<=", 0)
    for which in CLASSIFIERS:
        claims.add(f"{which}: difference of accuracy", gains(which).mean(), ">=", -TIE)


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
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = choose(list(_datasets.load(options.data, options.max_rows)))
    results = run(tables, options.seeds)
    show(results, options.out)
    claims = Claims()
    claim(list(results.values()), claims)
    claims.show()


if __name__ == "__main__":
    main()
