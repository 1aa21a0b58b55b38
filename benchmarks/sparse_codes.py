"""Whether sparse codes are better than those of dictionary learning, equally sparse.

Digits, natural image patches of 8 x 8 pixels (without their means) and, with ``--data``,
images of a folder; a quarter of the rows is held out. Every method gets the same number of
atoms and the same rows, centred and divided by one number, and codes held-out rows with 5
and with 10 atoms on average: R² on them, the number of non-zero entries, and seconds to fit
and to code them. Dictionary learning counts with the better of two ``alpha`` in each cell,
and the lasso with the right penalty, both chosen on the held-out rows.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split

from benchmarks._report import Claims, Table
from benchmarks.reconstruction import r2
from sk_autoencoder import SparseAutoencoder

ACTIVE = (5, 10)
ALPHAS = (3.0, 1.0)  # in units of the root of the mean variance of a feature
PATCHES = 0.1  # gain in R² over OMP on patches
OURS, TOPK = "SparseAutoencoder", "sparsity='topk'"


def natural_patches(n_rows: int) -> np.ndarray:
    """Return patches (n_rows, 64) of the bundled photographs, grey, without their means."""
    images = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    n_each = n_rows // len(images)
    parts = [
        extract_patches_2d(i, (8, 8), max_patches=n_each, random_state=0) for i in images
    ]
    X = np.concatenate(parts).reshape(-1, 64)
    return X - X.mean(axis=1, keepdims=True)


def sets(
    folders: list[Path], max_rows: int, only: str
) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield names, rows and numbers of atoms."""
    yield "digits", load_digits().data, 128
    yield "patches", natural_patches(max_rows), 128
    for path in [p for folder in folders for p in sorted(folder.glob(f"*{only}*.npz"))]:
        X = np.load(path)["X"]
        yield path.stem, X[:max_rows].reshape(min(len(X), max_rows), -1).astype(float), 256


def measure(X: np.ndarray, codes: np.ndarray, rows: np.ndarray, seconds: float) -> dict:
    """Return the figures of one method."""
    active = float((codes != 0).sum(axis=1).mean())
    return {"r2": float(r2(X, rows)), "active": active, "s": seconds}


def ours(X_fit, X, n_atoms: int, n_active: int, seed: int, **parameters) -> dict:
    """Fit a sparse autoencoder, and code X."""
    start = time.perf_counter()
    model = SparseAutoencoder(n_atoms, n_active=n_active, random_state=seed, **parameters)
    codes = model.fit(X_fit).transform(X)
    seconds = time.perf_counter() - start
    return measure(X, codes, model.inverse_transform(codes), seconds)


def principal(X_fit, X, n_active: int, seed: int) -> dict:
    """Code X by as many principal components."""
    start = time.perf_counter()
    pca = PCA(n_active, random_state=seed).fit(X_fit)
    codes = pca.transform(X)
    seconds = time.perf_counter() - start
    return measure(X, codes, pca.inverse_transform(codes), seconds)


def lasso(model: MiniBatchDictionaryLearning, X, n_active: int) -> np.ndarray:
    """Code X by the lasso, with the penalty that gives about `n_active` entries a row."""
    model.set_params(transform_algorithm="lasso_lars")
    low, high = 1e-3, 1e3
    for n_rows in [100] * 10 + [len(X)]:
        model.set_params(transform_alpha=(low * high) ** 0.5)
        codes = model.transform(X[:n_rows])
        if (codes != 0).sum(axis=1).mean() > n_active:
            low = model.transform_alpha
        else:
            high = model.transform_alpha
    return codes


def dictionary(X_fit, X, n_atoms: int, alpha: float, seed: int) -> dict:
    """Learn a dictionary, and code X by OMP and by the lasso."""
    start = time.perf_counter()
    model = MiniBatchDictionaryLearning(n_atoms, alpha=alpha, random_state=seed).fit(X_fit)
    fitted = time.perf_counter() - start
    results = {}
    for k in ACTIVE:
        start = time.perf_counter()
        model.set_params(transform_algorithm="omp", transform_n_nonzero_coefs=k)
        by_omp = model.transform(X)
        seconds = fitted + time.perf_counter() - start
        for name, codes in (("OMP", by_omp), ("lasso", lasso(model, X, k))):
            figures = measure(X, codes, codes @ model.components_, seconds)
            results[f"dictionary {alpha} + {name}", k] = figures
    return results


def compare(X: np.ndarray, n_atoms: int, seed: int) -> dict:
    """Return the figures of every method, by name and number of active atoms."""
    X_fit, X = train_test_split(X, test_size=0.25, random_state=seed)
    mean, scale = X_fit.mean(axis=0), X_fit.var(axis=0).mean() ** 0.5
    X_fit, X = (X_fit - mean) / scale, (X - mean) / scale
    results = {}
    for k in ACTIVE:
        results["PCA", k] = principal(X_fit, X, k, seed)
        results[OURS, k] = ours(X_fit, X, n_atoms, k, seed)
        results[TOPK, k] = ours(X_fit, X, n_atoms, k, seed, sparsity="topk")
    for alpha in ALPHAS:
        results |= dictionary(X_fit, X, n_atoms, alpha, seed)
    return results


def mean_over_seeds(results: list[dict]) -> dict:
    """Return the mean of each figure of each method."""
    return {
        cell: {key: float(np.mean([r[cell][key] for r in results])) for key in figures}
        for cell, figures in results[0].items()
    }


def show(found: dict[str, dict], folder: str) -> None:
    """Print one row a method."""
    columns = [f"{what} {k}" for k in ACTIVE for what in ("R²", "active", "s")]
    report = Table("sparse codes", ["set", "method", *columns])
    for name, cells in found.items():
        for method in dict.fromkeys(method for method, _ in cells):
            figures = [
                cells[method, k][key] for k in ACTIVE for key in ("r2", "active", "s")
            ]
            report.add(name, method, *figures)
    report.show(folder, "sparse_codes")


def claim(name: str, cells: dict, claims: Claims) -> None:
    """Compare the default with the best dictionary, cell by cell."""
    for k in ACTIVE:
        mine = cells[OURS, k]
        rivals = {m: c for (m, j), c in cells.items() if j == k and "dictionary" in m}
        by_omp = max(c["r2"] for m, c in rivals.items() if "OMP" in m)
        best = max(c["r2"] for c in rivals.values())
        where = f"{name}, {k} atoms"
        claims.add(f"{where}: average number of atoms", mine["active"], "<=", k)
        bound = PATCHES if name == "patches" else 0
        claims.add(f"{where}: gain in R² over OMP", mine["r2"] - by_omp, ">=", bound)
        claims.add(f"{where}: gain over the best rival", mine["r2"] - best, ">=", 0)
        if "mnist" in name:
            fastest = min(c["s"] for c in rivals.values())
            claims.add(f"{where}: seconds / fastest's", mine["s"] / fastest, "<=", 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of images"
    )
    parser.add_argument("--only", default="mnist_test", help="names of its files")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-rows", type=int, default=10_000, help="larger sets are cut")
    parser.add_argument("--out", default="results", help="folder for the table")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found, claims = {}, Claims()
    for name, X, n_atoms in sets(options.data, options.max_rows, options.only):
        results = [compare(X, n_atoms, seed) for seed in range(options.seeds)]
        found[name] = mean_over_seeds(results)
        claim(name, found[name], claims)
        print(f"{name} {X.shape}", flush=True)
        for (method, k), figures in found[name].items():
            print(f"  {method} {k}: " + " ".join(f"{v:.3f}" for v in figures.values()))
    show(found, options.out)
    claims.show()


if __name__ == "__main__":
    main()
