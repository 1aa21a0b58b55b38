"""Whether defaults hold on data as they come: no column is scaled before.

Denoising, of rows whose fit was clean: noise of one absolute size on all pixels of images,
half the root of their mean variance, and noise of half a standard deviation on each column
of tables. Errors are in squared standard deviations of the noise. PCA's number of
components and KernelPCA's parameters are chosen on the held-out rows, in their favour, and
both see columns in units of the noise.

Codes, of a quarter of the columns, 2 to 16: the R² of each column of held-out rows, -1 at
least, and its mean over columns; the accuracy of five nearest neighbours on codes. PCA is
fitted to raw columns, and to standardised ones.

Drawing: categories, numbers and their spread, of a table of mixed units and of four tables.

A search over the noise level, for digits in noise of 0.25 of their range.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets, _samples
from benchmarks._report import Claims, Table
from benchmarks.denoising import best_kernel_pca, best_pca, error, is_measured
from benchmarks.generation import image_shape
from sk_autoencoder import AutoencoderTransformer, DenoisingAutoencoder, VAETransformer
from sk_autoencoder.metrics import make_denoising_scorer

NOISE = 0.5  # in standard deviations
N_IMAGES, N_TABLES = 5, 6
PIXEL_TABLES = {"optdigits", "26_optdigits", "24_mnist"}  # images of no known shape
DRAWN_TABLES = ["vehicle", "segment", "cal_housing", "22_magic.gamma"]
MIN_ROWS, MIN_DRAWN_ROWS, MAX_CLASSES = 60, 800, 50
N_DRAWN = 50_000
LEVELS = np.array([10.0, 25.0, 70.0])  # of the number that a category determines
SHARES = [0.58, 0.39, 0.03]


def split(table: _datasets.Table, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows of a table into 70 % to fit to and those held out."""
    rows = np.arange(len(table.X))
    return train_test_split(rows, test_size=0.3, random_state=seed)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Compute the mean over seeds and its standard error."""
    spread = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return float(np.mean(values)), float(spread)


# Denoising


def denoise(table: _datasets.Table, seed: int) -> dict[str, float]:
    """Compute the error of each method on held-out rows in noise."""
    fit, held = (table.X[rows] for rows in split(table, seed))
    std = fit.std(axis=0)
    if image_shape(table):
        std = np.full_like(std, np.sqrt(fit.var(axis=0).mean()))
    kept = std > 0
    fit, clean, std = fit[:, kept], held[:1_000, kept], NOISE * std[kept]
    noisy = clean + np.random.default_rng(seed).normal(size=clean.shape) * std
    ours = DenoisingAutoencoder(random_state=seed).fit(fit).denoise(noisy)
    rows = (fit / std, noisy / std, clean / std)
    return {
        "noisy": error(noisy / std, clean / std),
        "PCA": best_pca(*rows, clip=lambda x: x),
        "KernelPCA": best_kernel_pca(*rows, clip=lambda x: x),
        "ours": error(ours / std, clean / std),
    }


def on_noise(tables: list, n_seeds: int, claims: Claims) -> Table:
    """Compare denoisers on images and tables."""
    columns = ["table", "noisy", "PCA", "KernelPCA", "ours", "ours / better", "s.e."]
    report = Table("denoising: error in squared deviations of the noise", columns)
    pixels = [t.name for t in tables if image_shape(t) or t.name in PIXEL_TABLES]
    measured = [t for t in tables if is_measured(t) and t.name not in pixels]
    chosen = sorted(measured, key=lambda t: -t.X.size)[:N_TABLES]
    chosen += [t for t in tables if image_shape(t) and "train" not in t.name][:N_IMAGES]
    ratios, gains = [], []
    for table in chosen:
        runs = [denoise(table, seed) for seed in range(n_seeds)]
        means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        each = [run["ours"] / min(run["PCA"], run["KernelPCA"]) for run in runs]
        ratio, spread = mean_and_error(each)
        report.add(table.name, *means.values(), ratio, spread)
        print(report.line(-1), flush=True)
        ratios.append(ratio)
        gains.append(means["ours"] / means["noisy"])
    n_won = int(0.82 * len(chosen))
    claims.add("denoising: largest error, in that of the input", max(gains), "<", 1)
    claims.add("denoising: largest error, in the better rival's", max(ratios), "<=", 1.05)
    what = f"denoising: tables of {len(chosen)} below the better of PCA and KernelPCA"
    claims.add(what, np.sum(np.array(ratios) < 1), ">=", n_won)
    return report


# Codes


def mean_r2(found: np.ndarray, held: np.ndarray) -> float:
    """Compute the mean over columns of their R², those that vary, -1 at least each."""
    total = ((held - held.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 1e-12 * np.abs(held).max(axis=0) ** 2
    residual = ((found - held) ** 2).sum(axis=0)
    return float((1 - residual[varies] / total[varies]).clip(-1).mean())


def encode(table: _datasets.Table, seed: int) -> dict[str, tuple[float, float]]:
    """Compute R² and accuracy of each method."""
    train, test = split(table, seed)
    fit, held = table.X[train], table.X[test]
    varies = np.ptp(fit, axis=0) > 0
    fit, held = fit[:, varies], held[:, varies]
    k = int(np.clip(fit.shape[1] // 4, 2, 16))
    methods = {
        "PCA": PCA(k, random_state=seed),
        "scaled PCA": make_pipeline(StandardScaler(), PCA(k, random_state=seed)),
        "ours": AutoencoderTransformer(k, random_state=seed),
    }
    result = {}
    for name, method in methods.items():
        codes, new = method.fit(fit).transform(fit), method.transform(held)
        accuracy = np.nan
        if table.y is not None and len(np.unique(table.y)) <= MAX_CLASSES:
            neighbors = KNeighborsClassifier(5).fit(codes, table.y[train])
            accuracy = float(neighbors.score(new, table.y[test]))
        result[name] = mean_r2(method.inverse_transform(new), held), accuracy
    return result


def on_codes(tables: list, n_seeds: int, claims: Claims) -> Table:
    """Compare codes of raw tables."""
    names = ["PCA", "scaled PCA", "ours"]
    columns = ["table", *(f"R² {name}" for name in names), "s.e."]
    columns += [f"5-NN {name}" for name in names]
    report = Table("codes of raw tables: mean R² of columns, accuracy", columns)
    means = []
    for table in tables:
        if len(table.X) < MIN_ROWS or table.X.shape[1] < 3:
            continue
        runs = np.array([list(encode(table, seed).values()) for seed in range(n_seeds)])
        r2, accuracy = runs.mean(axis=0).T
        spread = mean_and_error(list(runs[:, 2, 0] - runs[:, 1, 0]))[1]
        report.add(table.name, *map(float, r2), spread, *map(float, accuracy))
        print(report.line(-1), flush=True)
        means.append((r2, accuracy))
    r2, accuracy = (np.array(each) for each in zip(*means, strict=True))
    claims.add("codes: R² less raw PCA's, worst", (r2[:, 2] - r2[:, 0]).min(), ">", 0)
    what = "codes: R² less that of PCA of scaled columns, worst"
    claims.add(what, (r2[:, 2] - r2[:, 1]).min(), ">=", -0.02)
    accuracy = accuracy[~np.isnan(accuracy).any(axis=1)]
    is_near = accuracy[:, 2] >= accuracy[:, :2].max(axis=1) - 0.01
    what = "codes: share of tables with an accuracy within .01 of the better PCA's"
    claims.add(what, is_near.mean(), ">=", 0.85)
    return report


# Drawing


def mixed_units(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make money, a count, a rare flag, a category, and a number that is its function."""
    rng = np.random.default_rng(seed)
    category = rng.choice(3, n_rows, p=SHARES)
    columns = [rng.lognormal(8, 1, n_rows), rng.poisson(3, n_rows)]
    columns += [rng.random(n_rows) < 0.05, LEVELS[category], np.eye(3)[category]]
    return np.column_stack(columns), category


def spread_of_columns(drawn: np.ndarray, X: np.ndarray) -> float:
    """Compute the largest relative difference of standard deviations of columns."""
    varies = X.std(axis=0) > 0
    ratio = drawn[:, varies].std(axis=0) / X[:, varies].std(axis=0)
    return float(np.abs(ratio - 1).max())


def draw(X: np.ndarray, seed: int) -> np.ndarray:
    """Draw rows, in the range of X, whole numbers where X has them.

    They are many: the spread of a column of kurtosis 300 in 2,000 real rows is wrong by a
    fifth.
    """
    vae = VAETransformer(random_state=seed).fit(X)
    return _samples.finish(vae.sample(N_DRAWN, random_state=seed), X)


def on_drawing(tables: list, n_seeds: int, claims: Claims) -> Table:
    """Draw rows of a table of mixed units, and of raw tables."""
    report = Table("drawn rows", ["table", "shares", "agreement", "spread"])
    found = []
    for seed in range(n_seeds):
        X, category = mixed_units(800, seed)
        drawn = draw(X, seed)
        own = drawn[:, 4:].argmax(axis=1)
        shares = [np.bincount(c, minlength=3) / len(c) for c in (own, category)]
        nearest = np.abs(drawn[:, 3, None] - LEVELS).argmin(axis=1)
        differences = [np.abs(shares[0] - shares[1]).max()]
        differences.append(abs(drawn[:, 2].mean() - X[:, 2].mean()))
        agreement = (nearest == own).mean()
        found.append((max(differences), agreement, spread_of_columns(drawn, X)))
    shares, agreement, spread = map(float, np.mean(found, axis=0))
    report.add("mixed units", shares, agreement, spread)
    named = [t for t in tables if is_measured(t) or t.name in DRAWN_TABLES]
    measured = [t for t in named if len(t.X) >= MIN_DRAWN_ROWS]
    order = [*DRAWN_TABLES, *(t.name for t in sorted(measured, key=lambda t: t.X.shape[1]))]
    measured.sort(key=lambda t: order.index(t.name))
    spreads = [spread]
    for table in measured[: len(DRAWN_TABLES)]:
        each = [spread_of_columns(draw(table.X, s), table.X) for s in range(n_seeds)]
        report.add(table.name, np.nan, np.nan, float(np.mean(each)))
        spreads.append(float(np.mean(each)))
    claims.add("drawing: largest difference of shares", shares, "<=", 0.03)
    claims.add("drawing: numbers that agree with their category", agreement, ">=", 0.95)
    claims.add("drawing: largest difference of a spread", max(spreads), "<=", 0.15)
    return report


# Search


def on_search(n_seeds: int, claims: Claims) -> Table:
    """Search for the noise level of digits in noise."""
    report = Table("noise level that a search picks", ["scoring", "seed", "level"])
    X = load_digits().data / 16
    grid = {"noise_level": [0.01, 0.1, 0.25, 0.5]}
    scorings = {"score": None, "noise of 0.25": make_denoising_scorer(0.25)}
    for name, scoring in scorings.items():
        picked = []
        for seed in range(n_seeds):
            denoiser = DenoisingAutoencoder(random_state=seed)
            search = GridSearchCV(denoiser, grid, scoring=scoring, cv=3).fit(X)
            picked.append(search.best_params_["noise_level"])
            report.add(name, seed, picked[-1])
        claims.add(f"search by {name}: least level picked", min(picked), ">=", 0.1)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--only", default="*", help="names or patterns (cal*), with commas")
    parser.add_argument(
        "--parts", default="denoising,codes,drawing,search", help="parts to run"
    )
    parser.add_argument("--max-rows", type=int, default=3_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = list(_datasets.load(options.data, options.max_rows))
    tables = [t for t in tables if _datasets.is_named(t, options.only)]
    claims = Claims()
    parts = {
        "denoising": lambda: on_noise(tables, options.seeds, claims),
        "codes": lambda: on_codes(tables, options.seeds, claims),
        "drawing": lambda: on_drawing(tables, options.seeds, claims),
        "search": lambda: on_search(options.seeds, claims),
    }
    for name in options.parts.split(","):
        parts[name]().show(options.out, f"raw_{name}")
    claims.show()


if __name__ == "__main__":
    main()
