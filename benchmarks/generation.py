"""Whether rows that the VAE draws pass for real ones, better than those of its rivals.

Images, and tables of numbers with at least 800 rows, of which columns with more than two
values are used; 70/30 split, at most 5,000 rows to fit to and 2,500 held out, as many rows
drawn as held out. Measures:

* ``trees``, ``1-NN``: accuracy of boosted trees, and of the nearest neighbour, in telling
  drawn from held-out rows; 0.5 is ideal,
* ``density``, ``coverage``: Naeem et al. 2020, 5 neighbours; near 1 for real rows,
* ``nearness``: share of drawn rows nearer to fitted than to held-out rows; 0.5 is ideal
  (the row of real rows shows fitted ones, which are copies of themselves: 1),
* ``trained``: accuracy on held-out rows of trees fitted to rows drawn class by class.

Columns are raw for ours, and standardised for the rivals. All outputs are clipped to the
range of the fitted rows, and integer columns rounded. Images above 100 pixels are measured
by 50 principal components of the fitted rows; mixture and kernels are fitted to 95 % of
their variance. The mixture has the number of components with the best BIC; the width of the
kernels is chosen by likelihood in three folds. Rivals are fitted to each class, ours once,
to all rows. A target that is a measurement has no classes: ``trained`` is left out there
(nan).

Mixed tables (``--mixed``): the files of text with categories, as ``pandas.read_csv`` reads
them, with their targets and missing cells; two thirds of the rows to fit to, 6,000 at most.
``detection`` is one minus the excess of the AUC of boosting, 1 is perfect; ``trained`` the
AUC (accuracy for more than two classes) of boosting that is fitted to drawn rows, for the
last column. Rivals are a mixture of products of 100 parts, each column by itself, and
ctgan's TVAE and CTGAN where they are installed. ``given``: rows drawn with the most
frequent level of the first category and the inner half of the first number, against
held-out rows that have them.

The log-likelihood of held-out rows of the tables of numbers, in nats a row, as a density of
standardised columns: the bound of the autoencoder, beside mixture and kernels.

Then whether the codes of the adversarial autoencoder match its prior.
"""

import argparse
import importlib.util
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import kstest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import _datasets, _samples
from benchmarks._report import Claims, Table
from benchmarks.tables import detection
from sk_autoencoder import AdversarialAutoencoder, AutoencoderTransformer, VAETransformer
from sk_autoencoder.generative._base import read_cells
from sk_autoencoder.generative._product_mixture import fit_parts, sample_cells
from sk_autoencoder.metrics import sample_report
from sk_autoencoder.preprocessing import TableEncoder

REAL, OURS, MIXTURE, KERNELS, PCA_GAUSS = "real", "ours", "mixture", "kernels", "PCA"
RIVALS = (MIXTURE, KERNELS, PCA_GAUSS)
MEASURES = ("trees", "1-NN", "density", "coverage", "nearness", "trained", "seconds")
WIDTHS = np.geomspace(0.05, 2, 9)  # standard deviations of a column
MIN_ROWS, FIT_ROWS, HELD_ROWS = 800, 5_000, 2_500
LARGE = 100  # pixels
PICTURES = 64
SEARCH_ROWS = 1_500  # for the width of kernels
PRODUCT, ALONE, CTGAN = "products", "columns alone", ("TVAE", "CTGAN")
PRODUCTS = 100  # parts
MIXED = "adult*,telco_churn,credit_g,mushroom,heart_h,colic"
MIXED_MEASURES = (
    *("detection", "trained", "copies", "nearness", "seconds"),
    *("kept", "given"),
)
MIXED_ROWS, MIN_GIVEN_ROWS, MAX_LEVELS = 6_000, 100, 50


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
    """Return whether a table is large enough, and has a column of numbers."""
    n_values = [len(np.unique(column)) for column in table.X.T]
    return len(table.X) >= MIN_ROWS and max(n_values) >= least_values(table)


def least_values(table: _datasets.Table) -> int:
    """Return how many values a column of numbers has: flags of text are no measurements."""
    return 2 if image_shape(table) else 3


def image_shape(table: _datasets.Table) -> tuple[int, ...]:
    """Return the shape of the table's images, () where rows are none."""
    return (8, 8) if table.name == "digits" else table.image_shape


def divide(table: _datasets.Table, seed: int) -> Rows:
    """Return the rows to fit to and those held out."""
    fit, held = train_test_split(
        np.arange(len(table.X)),
        test_size=0.3,
        random_state=seed,
        stratify=_datasets.strata(table.y),
    )
    fit, held = fit[:FIT_ROWS], held[:HELD_ROWS]
    X = table.X[fit]
    shape = image_shape(table)
    least = least_values(table)
    kept = np.flatnonzero([len(np.unique(column)) >= least for column in X.T])
    y, y_held = (None, None) if table.y is None else (table.y[fit], table.y[held])
    return Rows(X[:, kept], table.X[np.ix_(held, kept)], y, y_held, kept, shape)


def scaler(rows: Rows, name: str, seed: int):
    """Return what stands in front of a method, fitted."""
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


def claim_images(results: dict[str, dict], claims: Claims) -> None:
    """State what images are to show."""
    gains = {}
    for measure in ("trees", "1-NN"):
        gains[measure] = np.array(
            [
                r[OURS][measure] - min(r[o][measure] for o in RIVALS)
                for r in results.values()
            ]
        )
        what = f"images: {measure} accuracy less the best rival's"
        claims.add(f"{what}, worst", gains[measure].max(), "<=", 0.01)
        claims.add(f"{what}, number below", (gains[measure] < 0).sum(), ">=", 3)
    coverage = min(r[OURS]["coverage"] for r in results.values())
    claims.add("images: coverage, worst", coverage, ">=", 0.95)
    nearness = max(r[OURS]["nearness"] for r in results.values())
    claims.add("images: nearness, worst", nearness, "<=", 0.55)


def claim_tables(results: dict[str, dict], claims: Claims) -> None:
    """State what tables of numbers are to show."""

    def gains(measure: str, other: str) -> np.ndarray:
        return np.array([r[OURS][measure] - r[other][measure] for r in results.values()])

    trees, trained = gains("trees", MIXTURE), gains("trained", REAL)
    claims.add("tables: trees' accuracy less the mixture's, worst", trees.max(), "<=", 0.01)
    claims.add("tables: share below the mixture", (trees < 0).mean(), ">=", 0.75)
    if np.isfinite(trained).any():
        share = (trained[np.isfinite(trained)] >= -0.02).mean()
        what = "tables: share with trained within .02 of real rows"
        claims.add(what, share, ">=", 0.75)


# Log-likelihood


def compare_likelihoods(table: _datasets.Table, seed: int) -> dict[str, float]:
    """Compute the mean log-likelihood of held-out rows by every method."""
    rows = divide(table, seed)
    front = StandardScaler().fit(rows.X)
    X, held = front.transform(rows.X), front.transform(rows.held)
    vae = VAETransformer(random_state=seed).fit(X)
    rivals = {MIXTURE: Mixture(seed=seed), KERNELS: Kernels(seed=seed)}
    found = {
        name: float(rival.fit(X).density_.score_samples(held).mean())
        for name, rival in rivals.items()
    }
    return {OURS: vae.log_likelihood(held)} | found


def run_likelihoods(
    tables: list[_datasets.Table], n_seeds: int, folder: str, claims: Claims
) -> None:
    """Compare log-likelihoods on tables of numbers, and state what they are to show."""
    names = [OURS, MIXTURE, KERNELS]
    report, gains = Table("log-likelihood of held-out rows", ["table", *names]), []
    for table in tables:
        runs = [compare_likelihoods(table, seed) for seed in range(n_seeds)]
        means = [float(np.mean([run[name] for run in runs])) for name in names]
        report.add(table.name, *means)
        print(report.line(-1), flush=True)
        gains.append(means[0] - means[1])
    report.show(folder, "generation_likelihood")
    claims.add("log-likelihood less the mixture's, worst", min(gains), ">=", 0)
    claims.add("the same, median", float(np.median(gains)), ">=", 0)


# Mixed tables


def read_mixed(folders: list[Path], patterns: str | None) -> dict[str, pd.DataFrame]:
    """Return the tables with categories, whose target is the last column, by name."""
    result = {}
    for name, path in _datasets.find_tables(folders, patterns, MIXED):
        frame = pd.read_csv(path)
        frame = frame[frame.iloc[:, -1].notna()]
        n_levels = frame.iloc[:, -1].nunique()
        if n_levels > MAX_LEVELS:
            continue
        frame.isetitem(-1, frame.iloc[:, -1].astype(str).add("_"))  # a category
        for column in list(frame):
            try:
                TableEncoder().fit(frame[[column]])
            except ValueError:  # free text or ids
                frame = frame.drop(columns=column)
        if len(categories_of(frame)) > 1:
            result[name] = frame
    return result


def categories_of(frame: pd.DataFrame) -> list[str]:
    """Return the names of the categories of a table."""
    kinds = TableEncoder().fit(frame).kinds_
    return [c for c, kind in zip(frame, kinds, strict=True) if kind == "category"]


def draw_products(fit: pd.DataFrame, n_rows: int, seed: int) -> pd.DataFrame:
    """Draw rows of a mixture of products of 100 parts, or of a tenth as many as rows."""
    table = TableEncoder(scale=False, numbers="bins").fit(fit)
    widths = [block.stop - block.start for block in table.blocks_]
    column = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    torch.manual_seed(seed)
    cells = read_cells(table, table.transform(fit))
    mixture = fit_parts(cells, column, min(PRODUCTS, len(fit) // 10))
    drawn = sample_cells(mixture, column, n_rows).double().numpy()
    values = table.spread(np.nan_to_num(drawn), seed)
    return table.inverse_transform(np.where(np.isnan(drawn), np.nan, values))


def draw_by_ctgan(name: str, fit: pd.DataFrame, n_rows: int, seed: int):
    """Draw rows by a model of ctgan; numbers are completed by their medians first."""
    import ctgan

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (ctgan's generator)
    categories = categories_of(fit)
    filled = fit.copy()
    for column in fit:
        if column in categories:
            filled[column] = fit[column].astype(object).where(fit[column].notna(), "none")
        else:
            filled[column] = fit[column].fillna(fit[column].median())
    model = getattr(ctgan, name)()
    model.fit(filled, discrete_columns=categories)
    drawn = model.sample(n_rows)
    drawn[categories] = drawn[categories].replace("none", np.nan)
    return drawn


def trained_on(drawn: pd.DataFrame, held: pd.DataFrame, categories, seed: int) -> float:
    """Return the AUC, or accuracy, on held-out rows of boosting fitted to drawn rows."""
    target = held.columns[-1]
    both = pd.concat([drawn, held]).astype(dict.fromkeys(categories, "category"))
    X, y = both.drop(columns=target), both[target].to_numpy(str)
    n = len(drawn)
    if len(set(y[:n])) < 2:
        return 0.5
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(X[:n], y[:n])
    if len(boosting.classes_) == 2:
        p = boosting.predict_proba(X[n:])[:, 1]
        return roc_auc_score(y[n:] == boosting.classes_[1], p)
    return accuracy_score(y[n:], boosting.predict(X[n:]))


def choose_condition(fit: pd.DataFrame, categories: list[str]) -> dict:
    """Return the most frequent level of the first category, and half of a number."""
    given = {categories[0]: fit[categories[0]].mode()[0]}
    numbers = [c for c in fit if c not in categories and fit[c].nunique() > 1]
    if numbers:
        column = numbers[0]
        given[column] = tuple(fit[column].quantile([0.25, 0.75]).tolist())
    return given


def fulfils(frame: pd.DataFrame, given: dict) -> np.ndarray:
    """Tell which rows have the cells that are given."""
    result = np.ones(len(frame), dtype=bool)
    for column, value in given.items():
        is_range = isinstance(value, tuple)
        cells = frame[column]
        result &= (cells.between(*value) if is_range else cells == value).to_numpy(bool)
    return result


def compare_mixed(frame: pd.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    """Return the measures of every method with one split of a mixed table."""
    order = np.random.default_rng(seed).permutation(len(frame))
    n = min(MIXED_ROWS, 2 * len(order) // 3)
    fit, held = (frame.iloc[p] for p in (order[:n], order[n : n + n // 2]))
    categories, rng = categories_of(frame), np.random.default_rng(seed)
    start = time.process_time()
    vae = VAETransformer(random_state=seed).fit(fit)
    seconds = time.process_time() - start
    drawn = {
        REAL: fit,
        OURS: vae.sample(len(fit), random_state=seed),
        PRODUCT: draw_products(fit, len(fit), seed),
        ALONE: pd.DataFrame(
            {c: rng.choice(fit[c].to_numpy(object), len(fit)) for c in fit}
        ).astype(fit.dtypes),
    }
    if importlib.util.find_spec("ctgan"):
        for name in CTGAN:
            drawn[name] = draw_by_ctgan(name, fit, len(fit), seed)
    result = {}
    for name, rows in drawn.items():
        report = sample_report(fit, rows, held, random_state=seed)
        result[name] = {
            "detection": detection(rows[: len(held)], held, categories, seed),
            "trained": trained_on(rows, held, categories, seed),
            "copies": report["copies"][0] - report["copies"][1],
            "nearness": report["nearness"][0],
            "seconds": seconds if name == OURS else np.nan,
        }
    given = choose_condition(fit, categories)
    new = held[fulfils(held, given)]
    rows = vae.sample(max(len(new), 20), random_state=seed, given=given)
    result[OURS]["kept"] = fulfils(rows, given).mean()
    result[OURS]["given"] = np.nan
    if len(new) >= MIN_GIVEN_ROWS:
        result[OURS]["given"] = detection(rows, new, categories, seed)
    return result


def run_mixed(frames: dict[str, pd.DataFrame], n_seeds: int, folder: str, claims: Claims):
    """Show the measures of mixed tables, and state what they are to show."""
    report = Table("rows of mixed tables", ["table", "method", *MIXED_MEASURES])
    means = {}
    for name, frame in frames.items():
        runs = [compare_mixed(frame, seed) for seed in range(n_seeds)]
        means[name] = {
            method: {
                m: float(np.mean([r[method].get(m, np.nan) for r in runs]))
                for m in MIXED_MEASURES
            }
            for method in runs[0]
        }
        for method, found in means[name].items():
            report.add(name, method, *found.values())
            print(report.line(-1), flush=True)
    report.show(folder, "generation_mixed")
    ours = pd.DataFrame({name: found[OURS] for name, found in means.items()}).T
    claims.add("mixed: detection, mean", ours["detection"].mean(), ">=", 0.75)
    for name in means:
        if name.startswith("adult"):
            claims.add("mixed: detection of adult", ours["detection"][name], ">=", 0.8)
            loss = means[name][REAL]["trained"] - ours["trained"][name]
            claims.add("mixed: adult, trained, less than on real rows", loss, "<=", 0.02)
    for rival in (PRODUCT, *CTGAN):
        gains = [
            f[OURS]["detection"] - f[rival]["detection"]
            for f in means.values()
            if rival in f
        ]
        if gains:
            what = f"mixed: detection less {rival}'s, worst"
            claims.add(what, min(gains), ">=", 0)
    claims.add("mixed: copies beyond held-out rows', worst", ours["copies"].max(), "<=", 0)
    claims.add("mixed: seconds a fit, worst", ours["seconds"].max(), "<", 60)
    claims.add("mixed: share of rows with what is given", ours["kept"].min(), ">=", 1)
    losses = (ours["detection"] - ours["given"]).dropna()
    if len(losses):
        what = "mixed: detection lost by what is given, worst"
        claims.add(what, losses.max(), "<=", 0.05)


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
    parser.add_argument(
        "--mixed", help=f"names of mixed tables; {MIXED}, or all if there is none"
    )
    parser.add_argument("--parts", default="numbers,likelihood,mixed", help="parts to run")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    claims = Claims()
    if "mixed" in options.parts:
        frames = read_mixed(options.data, options.mixed)
        if frames:
            run_mixed(frames, options.seeds, options.out, claims)
    tables: list[_datasets.Table] = []
    if "numbers" in options.parts or "likelihood" in options.parts:
        loaded = _datasets.load(options.data, 10_000)
        tables = [t for t in loaded if _datasets.is_named(t, options.only) and usable(t)]
    images = [table.name for table in tables if image_shape(table)]
    numeric = [table for table in tables if table.name not in images]
    if "likelihood" in options.parts and numeric:
        run_likelihoods(numeric, options.seeds, options.out, claims)
    if "numbers" in options.parts and tables:
        results = run(tables, options.seeds, options.out)
        if images:
            claim_images({name: results.pop(name) for name in images}, claims)
        if results:
            claim_tables(results, claims)
        for table in tables:
            if table.name == "digits":
                claim_adversarial(table, options.seeds, claims)
    claims.show()


if __name__ == "__main__":
    main()
