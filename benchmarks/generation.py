"""Whether rows that the VAE draws pass for real ones, better than those of its rivals.

Images, and tables with at least 800 rows, of which columns with more than two values are
used; 70/30 split, at most 5,000 rows to fit to and 2,500 held out, as many rows drawn as
held out. Measures:

* ``trees``, ``1-NN``: accuracy of boosted trees, and of the nearest neighbour, in telling
  drawn from held-out rows; 0.5 is ideal,
* ``density``, ``coverage``: Naeem et al. 2020, 5 neighbours; near 1 for real rows,
* ``nearness``: share of drawn rows nearer to fitted than to held-out rows; 0.5 is ideal
  (the row of real rows shows fitted ones, which are copies of themselves: 1),
* ``trained``: accuracy on held-out rows of trees fitted to rows drawn class by class.

Columns of tables go through a QuantileTransformer in front of every method, and back;
pixels are standardised for the rivals. All outputs are clipped to the range of the fitted
rows, and integer columns rounded. Images above 100 pixels are measured by 50 principal
components of the fitted rows; mixture and kernels are fitted to 95 % of their variance. The
mixture has the number of components with the best BIC; the width of the kernels is chosen
by likelihood in three folds. Rivals are fitted to each class, ours once, to all rows. A
target that is a measurement has no classes: ``trained`` is left out there (nan).

Then whether the codes of the adversarial autoencoder match its prior.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import kstest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

from benchmarks import _datasets, _samples
from benchmarks._report import Claims, Table
from sk_autoencoder import AdversarialAutoencoder, AutoencoderTransformer, VAETransformer

REAL, OURS, MIXTURE, KERNELS, PCA_GAUSS = "real", "ours", "mixture", "kernels", "PCA"
RIVALS = (MIXTURE, KERNELS, PCA_GAUSS)
MEASURES = ("trees", "1-NN", "density", "coverage", "nearness", "trained", "seconds")
WIDTHS = np.geomspace(0.05, 2, 9)  # standard deviations of a column
MIN_ROWS, FIT_ROWS, HELD_ROWS = 800, 5_000, 2_500
LARGE = 100  # pixels
PICTURES = 64
SEARCH_ROWS = 1_500  # for the width of kernels


@dataclass
class Rows:
    """Fitted and held-out rows of a table, without columns that are left out."""

    X: np.ndarray  # (n_fit, n_features)
    held: np.ndarray  # (n_held, n_features)
    y: np.ndarray | None
    y_held: np.ndarray | None
    kept: np.ndarray  # indices of the columns in the table
    shape: tuple[int, ...]  # of an image, with its constant pixels; () for tables

    @property
    def is_image(self) -> bool:
        """Whether rows are images."""
        return bool(self.shape)

    def finish(self, drawn: np.ndarray) -> np.ndarray:
        """Return `drawn` in the range of the fitted rows, integers rounded."""
        return _samples.finish(drawn, self.X)


class Rival(BaseEstimator):
    """A density, on principal components if `share` is given."""

    def __init__(self, share=None, seed=0):
        self.share, self.seed = share, seed

    def fit(self, X):
        """Fit the density."""
        full = FunctionTransformer()
        self.pca_ = (PCA(self.share, svd_solver="full") if self.share else full).fit(X)
        self.density_ = self.find(self.pca_.transform(X))
        return self

    def sample(self, n_samples):
        """Return rows (n_samples, n_features)."""
        return self.pca_.inverse_transform(self.draw(n_samples))

    def sample_like(self, X):
        """Return as many rows as X has, by a density of X alone."""
        return clone(self).fit(X).sample(len(X))


class Mixture(Rival):
    """GaussianMixture with the best BIC."""

    sizes = (1, 5, 10, 20, 40)

    def find(self, Z):
        """Return the mixture of the best size that the rows allow."""
        sizes = [n for n in self.sizes if 2 * n <= len(Z)]
        fits = [GaussianMixture(n, random_state=self.seed).fit(Z) for n in sizes]
        return min(fits, key=lambda mixture: mixture.bic(Z))

    def draw(self, n_samples):
        """Return draws of the mixture."""
        return self.density_.sample(n_samples)[0]


class Gaussian(Mixture):
    """One Gaussian."""

    sizes = (1,)


class Kernels(Rival):
    """KernelDensity with the bandwidth of the best likelihood in three folds."""

    def find(self, Z):
        """Return the density of the best bandwidth."""
        search = GridSearchCV(KernelDensity(), {"bandwidth": WIDTHS}, cv=3, refit=False)
        return KernelDensity(**search.fit(Z[:SEARCH_ROWS]).best_params_).fit(Z)

    def draw(self, n_samples):
        """Return draws of the density."""
        return self.density_.sample(n_samples, random_state=self.seed)


class Ours(BaseEstimator):
    """The variational autoencoder, fitted once also for rows like those of one class."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X):
        """Fit the autoencoder."""
        self.vae_ = VAETransformer(random_state=self.seed).fit(X)
        return self

    def sample(self, n_samples):
        """Return rows (n_samples, n_features)."""
        return self.vae_.sample(n_samples, random_state=self.seed)

    def sample_like(self, X):
        """Return as many rows as X has, like those of X."""
        return self.vae_.sample(len(X), random_state=self.seed, like=X)


def make_method(name: str, rows: Rows, seed: int) -> BaseEstimator:
    """Return the method called `name`."""
    large = rows.is_image and rows.X.shape[1] > LARGE
    return {
        OURS: Ours(seed),
        MIXTURE: Mixture(0.95 if large else None, seed),
        KERNELS: Kernels(0.95 if large else None, seed),
        PCA_GAUSS: Gaussian(0.95, seed),
    }[name]


def usable(table: _datasets.Table) -> bool:
    """Return whether a table is large enough."""
    return len(table.X) >= MIN_ROWS


def image_shape(table: _datasets.Table) -> tuple[int, ...]:
    """Return the shape of the table's images, () where rows are none."""
    return (8, 8) if table.name == "digits" else table.image_shape


def divide(table: _datasets.Table, seed: int) -> Rows:
    """Return the rows to fit to and those held out."""
    fit, held = train_test_split(
        np.arange(len(table.X)), test_size=0.3, random_state=seed, stratify=table.y
    )
    fit, held = fit[:FIT_ROWS], held[:HELD_ROWS]
    X = table.X[fit]
    shape = image_shape(table)
    least = 1 if shape else 2  # values; flags of text are no measurements
    kept = np.flatnonzero([len(np.unique(column)) > least for column in X.T])
    y, y_held = (None, None) if table.y is None else (table.y[fit], table.y[held])
    return Rows(X[:, kept], table.X[np.ix_(held, kept)], y, y_held, kept, shape)


def scaler(rows: Rows, name: str, seed: int):
    """Return what stands in front of a method, fitted."""
    if not rows.is_image:
        size = min(1000, len(rows.X))
        front = QuantileTransformer(
            n_quantiles=size, output_distribution="normal", random_state=seed
        )
    else:
        front = FunctionTransformer() if name == OURS else StandardScaler()
    return front.fit(rows.X)


def draw_by(name: str, rows: Rows, seed: int):
    """Return drawn rows, those drawn by class with labels, what is in front, seconds."""
    front = scaler(rows, name, seed)
    Z = front.transform(rows.X)
    start = time.perf_counter()
    method = make_method(name, rows, seed).fit(Z)
    drawn = method.sample(len(rows.held))
    seconds = time.perf_counter() - start
    labelled = None
    if rows.y is not None:
        classes = [c for c in np.unique(rows.y) if (rows.y == c).sum() >= 6]
        parts = [method.sample_like(Z[rows.y == c]) for c in classes]
        labelled = np.vstack(parts), np.repeat(classes, [len(part) for part in parts])
    return drawn, labelled, front, seconds


def draw(name: str, rows: Rows, seed: int):
    """Return finished rows, those with labels, and seconds."""
    if name == REAL:
        chosen = np.random.default_rng(seed).permutation(len(rows.X))[: len(rows.held)]
        labelled = None if rows.y is None else (rows.X, rows.y)
        return rows.X[chosen], labelled, 0.0
    drawn, labelled, front, seconds = draw_by(name, rows, seed)
    back = front.inverse_transform
    if labelled is not None:
        labelled = rows.finish(back(labelled[0])), labelled[1]
    return rows.finish(back(drawn)), labelled, seconds


def measure(drawn, labelled, rows: Rows, seed: int) -> dict[str, float]:
    """Return all measures of drawn rows."""
    large = rows.is_image and rows.X.shape[1] > LARGE
    features = PCA(50, random_state=seed) if large else StandardScaler()
    X = features.fit_transform(rows.X)
    drawn, held = features.transform(drawn), features.transform(rows.held)
    density, coverage = _samples.density_coverage(drawn, held)
    trained = np.nan
    if labelled is not None:
        X_drawn, y_drawn = labelled
        trained = _samples.trained_accuracy(X_drawn, y_drawn, rows.held, rows.y_held, seed)
    return {
        "trees": _samples.boosted_accuracy(drawn, held, seed),
        "1-NN": _samples.neighbor_accuracy(drawn, held),
        "density": density,
        "coverage": coverage,
        "nearness": _samples.nearness(drawn, X, held, seed),
        "trained": trained,
    }


def picture(drawn: dict[str, np.ndarray], rows: Rows, path: Path) -> None:
    """Save 64 rows of each method side by side; constant pixels are left dark."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    side = int(PICTURES**0.5)
    figure, axes = plt.subplots(1, len(drawn), figsize=(4 * len(drawn), 4.3))
    for axis, (name, found) in zip(axes, drawn.items(), strict=True):
        pixels = np.zeros((PICTURES, int(np.prod(rows.shape))))
        pixels[:, rows.kept] = found[:PICTURES]
        height, width = rows.shape[:2]
        tiles = pixels.reshape(side, side, height, width).swapaxes(1, 2)
        axis.imshow(tiles.reshape(side * height, side * width), cmap="gray")
        axis.set(title=name, xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)


def compare(table: _datasets.Table, seed: int, folder: str) -> dict[str, dict[str, float]]:
    """Return the measures of every method with one split of a table."""
    rows = divide(table, seed)
    result, shown = {}, {}
    for name in (REAL, OURS, *RIVALS):
        drawn, labelled, seconds = draw(name, rows, seed)
        if rows.is_image and name in (REAL, OURS, MIXTURE):
            rng = np.random.default_rng(seed)  # the mixture draws component by component
            shown[name] = rng.permutation(drawn)[:PICTURES]
        result[name] = measure(drawn, labelled, rows, seed) | {"seconds": seconds}
        rounded = {key: round(value, 3) for key, value in result[name].items()}
        print(table.name, name, rounded, flush=True)
    if shown and seed == 0:
        picture(shown, rows, Path(folder) / f"generation_{table.name}.png")
    return result


def run(tables: list[_datasets.Table], n_seeds: int, folder: str) -> dict[str, dict]:
    """Return the means over splits, and show them."""
    results = {}
    report = Table("rows drawn against rows held out", ["table", "method", *MEASURES])
    for table in tables:
        runs = [compare(table, seed, folder) for seed in range(n_seeds)]
        mean = results[table.name] = {
            name: {m: float(np.mean([r[name][m] for r in runs])) for m in MEASURES}
            for name in runs[0]
        }
        for name, found in mean.items():
            report.add(table.name, name, *found.values())
    report.show(folder, "generation")
    return results


def claim_images(name: str, r: dict[str, dict[str, float]], claims: Claims) -> None:
    """State what images are to show."""
    for other in RIVALS:
        gain = {m: r[OURS][m] - r[other][m] for m in MEASURES}
        claims.add(f"{name}: 1-NN accuracy less {other}'s", gain["1-NN"], "<=", 0)
        claims.add(f"{name}: coverage less {other}'s", gain["coverage"], ">=", 0)
    claims.add(f"{name}: nearness", r[OURS]["nearness"], "<=", 0.55)
    if "mnist" in name:
        gain = r[OURS]["trained"] - r[MIXTURE]["trained"]
        claims.add(f"{name}: trained on drawn rows, less the mixture's", gain, ">=", 0)


def claim_tables(results: dict[str, dict], claims: Claims) -> None:
    """State what tables are to show, then the aims."""

    def gains(measure: str, other: str) -> np.ndarray:
        return np.array([r[OURS][measure] - r[other][measure] for r in results.values()])

    trees, trained = gains("trees", MIXTURE), gains("trained", MIXTURE)
    claims.add("tables: trees' accuracy less the mixture's, worst", trees.max(), "<=", 0.03)
    claims.add("tables: share below the mixture", (trees < 0).mean(), ">=", 0.5)
    if np.isfinite(trained).any():
        worst, real = np.nanmin(trained), np.nanmin(gains("trained", REAL))
        claims.add("tables: trained, less the mixture's, worst", worst, ">=", -0.02)
        claims.add("aim: trained, less real rows', worst", real, ">=", -0.02)
    claims.add("aim: share of tables below the mixture", (trees < 0).mean(), ">=", 0.75)


def claim_adversarial(table: _datasets.Table, n_seeds: int, claims: Claims) -> None:
    """State whether codes of held-out rows match a normal prior."""
    k, found = 8, []
    for seed in range(n_seeds):
        rows = divide(table, seed)
        ours = AdversarialAutoencoder(k, random_state=seed).fit(rows.X)
        plain = AutoencoderTransformer(k, random_state=seed).fit(rows.X)
        codes = ours.transform(rows.held)
        prior = np.random.default_rng(seed).normal(size=codes.shape)
        distance = np.mean([kstest(column, "norm").statistic for column in codes.T])
        told = _samples.boosted_accuracy(prior, codes, seed)
        near = _samples.neighbor_accuracy(prior, codes)
        found.append((distance, told, near, ours.score(rows.held) - plain.score(rows.held)))
    distance, told, near, gain = np.mean(found, axis=0)
    claims.add("digits: adversarial codes, distance to the prior", distance, "<=", 0.05)
    claims.add("digits: adversarial codes told from the prior, trees", told, "<=", 0.6)
    claims.add("digits: adversarial codes told from the prior, 1-NN", near, "<=", 0.6)
    claims.add("digits: adversarial R² less the plain one's", gain, ">=", -0.03)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument("--only", default="*", help="names or patterns (cal*), with commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = _datasets.load(options.data, 10_000)
    tables = [t for t in tables if _datasets.is_named(t, options.only) and usable(t)]
    results = run(tables, options.seeds, options.out)
    claims = Claims()
    images = [t.name for t in tables if image_shape(t)]
    for name in images:
        claim_images(name, results[name], claims)
    if others := {name: r for name, r in results.items() if name not in images}:
        claim_tables(others, claims)
    for table in tables:
        if table.name == "digits":
            claim_adversarial(table, options.seeds, claims)
    claims.show()


if __name__ == "__main__":
    main()
