"""Whether training layer by layer is worth it on small tables.

The tables with 500 rows or fewer, standardised columns, 70/30 split, three hidden layers,
min(32, max(2, d // 6)) components: R² of the reconstruction of held-out rows.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from benchmarks.reconstruction import TIE, split
from sk_autoencoder import AutoencoderTransformer, StackedAutoencoder

HIDDEN = {"hidden_layer_sizes": (128, 64, 32)}
N_ROWS = 500
METHODS = {
    "random": (AutoencoderTransformer, {"init": "random", **HIDDEN}),
    "pca": (AutoencoderTransformer, HIDDEN),
    "stacked": (StackedAutoencoder, HIDDEN),
    "layers alone": (StackedAutoencoder, {"fine_tune": False, **HIDDEN}),
}


def compare(table: _datasets.Table, k: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return R² and seconds of each method with one split of a table."""
    X_fit, X, *_ = split(table, seed)
    scaler = StandardScaler().fit(X_fit)
    X_fit, X = scaler.transform(X_fit), scaler.transform(X)
    found = {}
    for name, (cls, params) in METHODS.items():
        start = time.perf_counter()
        score = cls(k, random_state=seed, **params).fit(X_fit).score(X)
        found[name] = score, time.perf_counter() - start
    return found


def run(tables: list[_datasets.Table], n_seeds: int) -> tuple[Table, np.ndarray]:
    """Compare on all tables; return R² of shape (n_tables, n_seeds, n_methods) too."""
    scores = [f"{name} R²" for name in METHODS]
    seconds = [f"{name} s" for name in METHODS]
    gain = ["gain over random", "its standard error"]
    report = Table("layer by layer", ["table", "rows", "k", *scores, *gain, *seconds])
    found = []
    for table in tables:
        k = min(32, max(2, table.X.shape[1] // 6))
        runs = [compare(table, k, seed) for seed in range(n_seeds)]
        each = np.array([list(r.values()) for r in runs])  # (n_seeds, n_methods, 2)
        found.append(each[..., 0])
        gains = each[:, list(METHODS).index("stacked"), 0] - each[:, 0, 0]
        error = gains.std(ddof=1) / n_seeds**0.5 if n_seeds > 1 else np.nan
        r2, s = each.mean(axis=0).T.tolist()
        report.add(table.name, len(table.X), k, *r2, float(gains.mean()), float(error), *s)
        print(report.line(-1), flush=True)
    return report, np.array(found)


def claim(r2: np.ndarray, claims: Claims) -> None:
    """Compare the stacked autoencoder with the plain one."""
    means = dict(zip(METHODS, r2.mean(axis=1).T, strict=True))
    gain = means["stacked"] - means["random"]
    claims.add("share of tables at least as good as random", np.mean(gain >= 0), ">=", 1)
    claims.add("lowest gain over random", gain.min(), ">=", -TIE)
    claims.add("mean gain over random", gain.mean(), ">=", 0)
    gain = means["stacked"] - means["pca"]
    claims.add("mean gain over the start from PCA", gain.mean(), ">=", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    tables = _datasets.load(options.data, 10_000)
    small = [table for table in tables if len(table.X) <= N_ROWS]
    report, r2 = run(small, options.seeds)
    report.show(options.out, "stacked")
    claims = Claims()
    claim(r2, claims)
    claims.show()


if __name__ == "__main__":
    main()
