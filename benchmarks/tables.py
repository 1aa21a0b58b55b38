"""Whether frames as they are read give better codes, outliers, cells and rows.

The tables with categories, as ``pandas.read_csv`` reads them, with their missing cells;
70 % of the rows to fit to. The target, the last column, is set aside. A column of free text
or of ids is left out, with a word; the code of a state is declared a category.

Codes, a sixth as many as columns, 2 to 32: the accuracy of reconstructed categories, and
the R² of reconstructed numbers, against two PCAs: of zeros, ones and numbers, all
standardised, and of the blocks of a ``TableEncoder``, which have equal weights. A logistic
regression and 5 neighbours on codes, against the same on the codes of the second PCA, and
gradient boosting on the raw table.

Outliers: a tenth of rows whose cells are shuffled within their columns, and, where a class
is rare, few of its rows among those of the others; against IsolationForest on zeros and
ones.

Imputation: a fifth of the cells of all kinds hidden, in training rows and in new ones;
against trees on ordinal codes, as missForest, and against class frequencies.

Drawing: rows of adult against real ones, for gradient boosting; 1 is perfect.

Cost: seconds and peak memory of a fit to adult, in a process of its own.
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks._datasets import find_tables
from benchmarks._report import Claims, Table
from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
)
from sk_autoencoder.preprocessing import TableEncoder

NAMES = (
    "adult*,anneal_orig,breast_w,colic,communities_crime,credit_g,heart_h,mushroom,"
    "telco_churn"
)
CODES_OF_CATEGORIES = {"state"}  # numbers that stand for categories
HIDDEN_SHARE = 0.2
OUTLIER_SHARE = 0.1
RARE_SHARE = 0.05
MAX_CLASS_SHARE = 0.45  # of a class that is rare enough to be thinned out
MIN_PROBABILITY = 1e-6
N_DRAWN_FROM = 6_000


@dataclass
class Frame:
    """A table as it was read, without its target."""

    name: str
    X: pd.DataFrame
    y: np.ndarray | None  # class numbers; None for a measurement
    categories: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[str]:
        """Names of the columns of numbers."""
        return [column for column in self.X if column not in self.categories]


def read(folders: list[Path], patterns: str | None, max_rows: int) -> Iterator[Frame]:
    """Yield the tables of all folders by size, cut to a random draw of `max_rows`."""
    frames = [read_file(path) for _, path in find_tables(folders, patterns, NAMES)]
    for frame in sorted(frames, key=lambda f: f.X.size):
        rows = np.random.default_rng(0).permutation(len(frame.X))[:max_rows]
        X = frame.X.iloc[rows].reset_index(drop=True)
        y = None if frame.y is None else frame.y[rows]
        yield Frame(frame.name, X, y, frame.categories)


def read_file(path: Path) -> Frame:
    """Read a table, and leave out the columns that `TableEncoder` refuses."""
    X = pd.read_csv(path)
    target = X.pop(X.columns[-1])
    X, target = X[target.notna()], target[target.notna()]
    for column in list(X):
        try:
            TableEncoder().fit(X[[column]])
        except ValueError as error:
            print(f"{path.name} without {column!r}: {error!s:.70}...")
            X = X.drop(columns=column)
    for column in CODES_OF_CATEGORIES.intersection(X):
        X[column] = X[column].astype("category")
    kinds = TableEncoder().fit(X).kinds_
    categories = [c for c, kind in zip(X, kinds, strict=True) if kind == "category"]
    is_class = 2 <= target.nunique() <= 50
    y = pd.factorize(target, sort=True)[0] if is_class else None
    return Frame(path.name.split(".csv")[0], X, y, categories)


def split(frame: Frame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows into 70 % to fit to and those held out."""
    rows = np.arange(len(frame.X))
    return train_test_split(rows, test_size=0.3, random_state=seed)


def one_hot(frame: Frame):
    """Make the preprocessing of rivals: zeros and ones, and completed numbers."""
    return make_column_transformer(
        (
            make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
            frame.numbers,
        ),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), frame.categories),
    )


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Compute the mean over seeds and its standard error."""
    values = np.asarray(values, float)
    spread = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return float(values.mean()), float(spread)


# Codes


def accuracy(found: pd.DataFrame, truth: pd.DataFrame, categories: list[str]) -> float:
    """Average over columns the share of right categories, of those that are observed."""
    shares = []
    for column in categories:
        known = truth[column].notna().to_numpy()
        if known.any():
            pair = (t[column].to_numpy(object)[known] for t in (found, truth))
            shares.append(np.mean(np.equal(*pair)))
    return float(np.mean(shares)) if shares else np.nan


def r2_of_numbers(found: pd.DataFrame, truth: pd.DataFrame, std: pd.Series) -> float:
    """Compute R² over all numbers, in standard deviations of the training rows."""
    std = std[std > 0]
    if not len(std):
        return np.nan
    found, truth = (t[std.index].astype(float) / std for t in (found, truth))
    total = ((truth - truth.mean()) ** 2).sum().sum()
    return float(1 - ((found - truth) ** 2).sum().sum() / total)


def rebuild_one_hot(frame: Frame, fit: pd.DataFrame, held: pd.DataFrame, k: int):
    """Rebuild a table by PCA of standardised zeros and ones."""
    encoder = one_hot(frame).fit(fit)
    pca = make_pipeline(StandardScaler(), PCA(k, random_state=0)).fit(
        encoder.transform(fit)
    )
    rows = pca.inverse_transform(pca.transform(encoder.transform(held)))
    result, n_numbers = {}, len(frame.numbers)
    if n_numbers:
        scaler = encoder.named_transformers_["pipeline"][1]
        numbers = scaler.inverse_transform(rows[:, :n_numbers])
        result = dict(zip(frame.numbers, numbers.T, strict=True))
    start = n_numbers
    levels_of = encoder.named_transformers_["onehotencoder"]
    categories = levels_of.categories_ if frame.categories else []
    for column, levels in zip(frame.categories, categories, strict=True):
        scores = rows[:, start : start + len(levels)]
        known = pd.notna(levels)  # a missing cell is a level there
        result[column] = np.full(len(rows), None)
        if known.any():
            result[column] = levels[known][scores[:, known].argmax(axis=1)]
        start += len(levels)
    return pd.DataFrame(result)


def predict(codes: np.ndarray, new: np.ndarray, y: np.ndarray, y_new: np.ndarray):
    """Compute the accuracies of a logistic regression and of 5 neighbours on codes."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    models = logistic, KNeighborsClassifier(5)
    return [model.fit(codes, y).score(new, y_new) for model in models]


def encode(frame: Frame, seed: int) -> dict[str, float]:
    """Compute all measures of codes on held-out rows."""
    train, test = split(frame, seed)
    fit, held = frame.X.iloc[train], frame.X.iloc[test].reset_index(drop=True)
    k = int(np.clip(frame.X.shape[1] // 6, 2, 32))
    std = fit[frame.numbers].std()
    ours = AutoencoderTransformer(k, random_state=seed).fit(fit)
    pca = make_pipeline(TableEncoder(fill_missing=True), PCA(k, random_state=seed)).fit(fit)
    standardised = rebuild_one_hot(frame, fit, held, k)
    rebuilt = pca.inverse_transform(pca.transform(held))
    mine = pd.DataFrame(ours.reconstruct(held), columns=held.columns)
    result = {}
    for name, found in (("one-hot", standardised), ("equal", rebuilt), ("ours", mine)):
        result[f"accuracy {name}"] = accuracy(found, held, frame.categories)
        result[f"R² {name}"] = r2_of_numbers(found, held, std)
    if frame.y is None:
        return result
    y, y_new = frame.y[train], frame.y[test]
    for method, which in ((pca, " PCA"), (ours, "")):
        found = predict(method.transform(fit), method.transform(held), y, y_new)
        result |= {f"logistic{which}": found[0], f"neighbours{which}": found[1]}
    known = list(fit.columns[fit.notna().any()])
    kinds = dict.fromkeys(set(frame.categories).intersection(known), "category")
    typed = [t[known].astype(kinds) for t in (fit, held)]
    for column in kinds:  # the levels of training rows
        typed[1][column] = held[column].astype(typed[0][column].dtype)
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(typed[0], y)
    return result | {"boosting": boosting.score(typed[1], y_new)}


def on_codes(frames: list[Frame], n_seeds: int, claims: Claims) -> Table:
    """Compare codes with PCA's."""
    names = ("one-hot", "equal", "ours")
    columns = [f"{what} {name}" for what in ("accuracy", "R²") for name in names]
    columns += ["logistic PCA", "logistic", "neighbours PCA", "neighbours", "boosting"]
    report = Table("codes", ["table", *columns, "s.e. of the gain in accuracy"])
    means = []
    for frame in frames:
        runs = pd.DataFrame([encode(frame, seed) for seed in range(n_seeds)])
        gain = mean_and_error(runs["accuracy ours"] - runs["accuracy one-hot"])[1]
        means.append(runs.mean().reindex(columns))
        report.add(frame.name, *map(float, means[-1]), gain)
        print(report.line(-1), flush=True)
    found = pd.DataFrame(means)
    for rival, word in (("one-hot", "PCA on zeros and ones"), ("equal", "PCA of blocks")):
        gain = (found["accuracy ours"] - found[f"accuracy {rival}"]).dropna()
        what = f"codes: share of tables with an accuracy .05 above that of {word}"
        claims.add(what, (gain >= 0.05).mean(), ">=", 0.87)
        claims.add(f"codes: accuracy less that of {word}, worst", gain.min(), ">=", 0)
        r2 = (found["R² ours"] - found[f"R² {rival}"]).dropna()
        claims.add(f"codes: R² of numbers less that of {word}, worst", r2.min(), ">=", 0)
    pairs = found.dropna(subset="logistic")
    for name in ("logistic", "neighbours"):
        share = (pairs[name] >= pairs[f"{name} PCA"] - 0.01).mean()
        what = f"codes: share of tables where {name} reaches that on PCA's codes less .01"
        claims.add(what, share, ">=", 0.8)
    best = pairs[["logistic", "neighbours"]].max(axis="columns")
    share = (best >= pairs["boosting"] - 0.02).mean()
    claims.add("codes: share of tables within .02 of boosting", share, ">=", 0.5)
    return report


# Outliers


def shuffled_outliers(frame: Frame, rng) -> tuple[pd.DataFrame, np.ndarray]:
    """Add rows whose cells come from the columns, each by itself."""
    n = max(int(OUTLIER_SHARE * len(frame.X)), 5)
    columns = {c: rng.choice(frame.X[c].to_numpy(object), n) for c in frame.X}
    added = pd.DataFrame(columns).astype(frame.X.dtypes)
    X = pd.concat([frame.X, added], ignore_index=True)
    return X, np.arange(len(X)) >= len(frame.X)


def rare_class(frame: Frame, rng) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Keep few rows of the rarest class; None if no class is rare."""
    if frame.y is None:
        return None
    counts = np.bincount(frame.y)
    rare = np.flatnonzero(counts)[counts[counts > 0].argmin()]
    if counts[rare] > MAX_CLASS_SHARE * len(frame.y):
        return None
    regular = np.flatnonzero(frame.y != rare)
    n = min(int(RARE_SHARE * len(regular)), counts[rare])
    if n < 5:
        return None
    chosen = rng.choice(np.flatnonzero(frame.y == rare), n, replace=False)
    rows = np.r_[regular, chosen]
    return frame.X.iloc[rows].reset_index(drop=True), np.arange(len(rows)) >= len(regular)


def on_outliers(frames: list[Frame], n_seeds: int, claims: Claims) -> Table:
    """Compare detectors by AUROC."""
    columns = ["table", "outliers", "IsolationForest", "ours", "s.e. of the difference"]
    report = Table("outliers: AUROC", columns)
    gains = []
    kinds: dict[str, Callable] = {"shuffled": shuffled_outliers, "rare class": rare_class}
    for frame in frames:
        for kind, make in kinds.items():
            runs = []
            for seed in range(n_seeds):
                made = make(frame, np.random.default_rng(seed))
                if made is None:
                    continue
                X, is_outlier = made
                rows = one_hot(frame).fit_transform(X)
                forest = IsolationForest(random_state=seed).fit(rows)
                ours = AutoencoderOutlierDetector(random_state=seed).fit(X)
                scores = forest.score_samples(rows), ours.score_samples(X)
                runs.append([roc_auc_score(is_outlier, -score) for score in scores])
            if runs:
                theirs, mine = np.mean(runs, axis=0)
                spread = mean_and_error(np.diff(runs, axis=1)[:, 0])[1]
                report.add(frame.name, kind, float(theirs), float(mine), spread)
                print(report.line(-1), flush=True)
                gains.append(mine - theirs)
    what = "outliers: share of tables with an AUROC of at least IsolationForest's"
    claims.add(what, np.mean(np.array(gains) >= 0), ">=", 0.75)
    claims.add("outliers: mean difference of AUROC", np.mean(gains), ">=", 0)
    return report


# Imputation


def hide(X: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Hide a fifth of the observed cells; every column and row keeps one."""
    rng = np.random.default_rng(seed)
    is_hidden = (rng.random(X.shape) < HIDDEN_SHARE) & X.notna().to_numpy()
    holed = X.copy()
    for j, column in enumerate(X):
        if X[column].dtype.kind in "bi":
            holed[column] = X[column].astype(
                object if X[column].dtype.kind == "b" else float
            )
        holed[column] = holed[column].mask(is_hidden[:, j])
    return holed, is_hidden


def impute_by_trees(frame: Frame, fit: pd.DataFrame, held: pd.DataFrame, seed: int):
    """Impute by trees on ordinal codes, in two rounds, and round to the nearest level."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    encoder.fit(fit[frame.categories])

    def as_numbers(X: pd.DataFrame) -> np.ndarray:
        codes = encoder.transform(X[frame.categories])
        return np.hstack([X[frame.numbers].astype(float), codes])

    trees = ExtraTreesRegressor(50, random_state=seed)
    imputer = IterativeImputer(
        trees, max_iter=2, random_state=seed, keep_empty_features=True
    )
    rows = imputer.fit(as_numbers(fit)).transform(as_numbers(held))
    n = len(frame.numbers)
    result = dict(zip(frame.numbers, rows[:, :n].T, strict=True))
    pairs = zip(frame.categories, rows[:, n:].T, encoder.categories_, strict=True)
    for column, codes, levels in pairs:
        levels = levels[pd.notna(levels)]
        index = np.clip(np.round(codes), 0, max(len(levels) - 1, 0)).astype(int)
        result[column] = levels[index] if len(levels) else np.full(len(codes), None)
    return pd.DataFrame(result)


def log_losses(imputer: AutoencoderImputer, frame: Frame, held, truth, is_hidden, fit):
    """Compute the mean log loss of hidden categories, ours and that of frequencies."""
    probabilities, table = imputer.predict_proba(held), imputer.table_
    levels = dict(zip(frame.X, table.categories_ if table else [], strict=True))
    mine, frequencies = [], []
    for j, column in enumerate(frame.X):
        if column not in frame.categories or not is_hidden[:, j].any():
            continue
        share = fit[column].value_counts(normalize=True)
        cells = truth[column].to_numpy(object)[is_hidden[:, j]]
        where = {level: i for i, level in enumerate(levels[column])}
        known = np.array([cell in where for cell in cells])
        if not known.any():
            continue
        index = [where[cell] for cell in cells[known]]
        p = probabilities[column][is_hidden[:, j]][known, index]
        q = share.reindex(cells[known]).fillna(0).to_numpy()
        mine.append(-np.log(np.maximum(p, MIN_PROBABILITY)).mean())
        frequencies.append(-np.log(np.maximum(q, MIN_PROBABILITY)).mean())
    if not mine:
        return np.nan, np.nan
    return float(np.mean(mine)), float(np.mean(frequencies))


def measure_cells(found, truth, is_hidden, frame: Frame, std: pd.Series):
    """Compute the RMSE of hidden numbers and the accuracy of hidden categories."""
    squares, shares = [], []
    for j, column in enumerate(frame.X):
        where = is_hidden[:, j]
        if not where.any():
            continue
        pair = [t[column].to_numpy(object)[where] for t in (found, truth)]
        if column in frame.categories:
            shares.append(np.mean(pair[0] == pair[1]))
        elif std[column] > 0:
            difference = (pair[0].astype(float) - pair[1].astype(float)) / std[column]
            squares.append(np.mean(difference**2))
    rmse = np.sqrt(np.mean(squares)) if squares else np.nan
    return float(rmse), float(np.mean(shares)) if shares else np.nan


def impute(frame: Frame, seed: int) -> dict[str, float]:
    """Compute all measures of imputed cells of held-out rows."""
    train, test = split(frame, seed)
    holed, is_hidden = hide(frame.X, seed)
    fit, held = holed.iloc[train], holed.iloc[test].reset_index(drop=True)
    truth, is_hidden = frame.X.iloc[test].reset_index(drop=True), is_hidden[test]
    std = fit[frame.numbers].astype(float).std()
    imputer = AutoencoderImputer(random_state=seed, keep_empty_features=True).fit(fit)
    mine = pd.DataFrame(imputer.transform(held), columns=held.columns)
    trees = impute_by_trees(frame, fit, held, seed)
    result = {}
    for name, found in ((" trees", trees), ("", mine)):
        rmse, share = measure_cells(found, truth, is_hidden, frame, std)
        result |= {f"RMSE{name}": rmse, f"accuracy{name}": share}
    loss, by_frequency = np.nan, np.nan
    if frame.categories:
        args = (imputer, frame, held, truth, is_hidden, fit)
        loss, by_frequency = log_losses(*args)
    return result | {"log loss frequencies": by_frequency, "log loss": loss}


def on_imputation(frames: list[Frame], n_seeds: int, claims: Claims) -> Table:
    """Compare imputed cells."""
    columns = ["RMSE trees", "RMSE", "accuracy trees", "accuracy"]
    columns += ["log loss frequencies", "log loss"]
    report = Table("imputation of hidden cells", ["table", *columns])
    means = []
    for frame in frames:
        runs = pd.DataFrame([impute(frame, seed) for seed in range(n_seeds)])
        means.append(runs.mean().reindex(columns))
        report.add(frame.name, *map(float, means[-1]))
        print(report.line(-1), flush=True)
    found = pd.DataFrame(means)
    pairs = found[["RMSE trees", "RMSE"]].dropna()
    share = (pairs["RMSE"] <= pairs["RMSE trees"]).mean()
    claims.add(
        "imputation: share of tables with an RMSE of at most trees'", share, ">=", 0.77
    )
    pairs = found[["accuracy trees", "accuracy"]].dropna()
    share = (pairs["accuracy"] >= pairs["accuracy trees"]).mean()
    what = "imputation: share of tables with an accuracy of at least trees'"
    claims.add(what, share, ">=", 0.77)
    pairs = found[["log loss frequencies", "log loss"]].dropna()
    share = (pairs["log loss"] < pairs["log loss frequencies"]).mean()
    what = "imputation: share of tables with a log loss below that of frequencies"
    claims.add(what, share, ">=", 1)
    return report


# Drawing


def detection(drawn: pd.DataFrame, real: pd.DataFrame, categories, seed: int) -> float:
    """Compute one minus the excess of the AUC by which boosting tells rows apart."""
    X = pd.concat([drawn, real], ignore_index=True)
    X = X.astype(dict.fromkeys(categories, "category"))
    y = np.r_[np.zeros(len(drawn)), np.ones(len(real))]
    parts = train_test_split(X, y, test_size=0.5, random_state=seed, stratify=y)
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(parts[0], parts[2])
    auc = roc_auc_score(parts[3], boosting.predict_proba(parts[1])[:, 1])
    return 1 - (2 * max(auc, 0.5) - 1)


def on_drawing(frames: list[Frame], n_seeds: int, claims: Claims) -> Table:
    """Compare drawn rows with real ones, and rows of independent columns with them."""
    columns = ["table", "real rows", "columns by themselves", "ours", "s.e."]
    report = Table("drawn rows: detection, 1 is perfect", columns)
    for frame in frames:
        runs = []
        for seed in range(n_seeds):
            rng = np.random.default_rng(seed)
            rows = rng.permutation(len(frame.X))
            n = min(N_DRAWN_FROM, 2 * len(rows) // 3)
            fit, held = (frame.X.iloc[part] for part in (rows[:n], rows[n : n + n // 2]))
            vae = VAETransformer(random_state=seed).fit(fit)
            drawn = vae.sample(len(held), random_state=seed)
            alone = {c: rng.choice(fit[c].to_numpy(object), len(held)) for c in fit}
            alone = pd.DataFrame(alone).astype(fit.dtypes)
            sets = fit.iloc[: len(held)], alone, drawn
            args = frame.categories, seed
            runs.append([detection(each, held, *args) for each in sets])
        means = np.mean(runs, axis=0)
        report.add(frame.name, *map(float, means), mean_and_error(np.array(runs)[:, 2])[1])
        print(report.line(-1), flush=True)
        if frame.name.startswith("adult"):
            claims.add("drawing: detection of adult", means[2], ">=", 0.55)
    return report


# Cost

COST = """
import resource, sys, time
import pandas as pd, torch
from sk_autoencoder import AutoencoderTransformer
torch.set_num_threads(1)
X = pd.read_csv(sys.argv[1])
start = time.perf_counter()
AutoencoderTransformer(random_state=0).fit(X)
seconds = time.perf_counter() - start
print(len(X), X.shape[1], seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def on_cost(folders: list[Path], claims: Claims) -> Table:
    """Measure seconds and megabytes of a fit to adult."""
    report = Table(
        "a fit", ["table", "rows", "columns", "seconds", "peak MB of the process"]
    )
    for folder in folders:
        for path in folder.glob("adult*.csv*"):
            command = [sys.executable, "-W", "ignore", "-c", COST, str(path)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            n_rows, n_columns, seconds, size = map(float, run.stdout.split())
            report.add(path.name, int(n_rows), int(n_columns), seconds, size)
            claims.add("cost: seconds of a fit to adult", seconds, "<", 60)
            claims.add("cost: peak memory in MB", size, "<", 500)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a folder of tables"
    )
    parser.add_argument(
        "--only", help=f"names or patterns, with commas; {NAMES}, or all if there is none"
    )
    parser.add_argument(
        "--parts", default="codes,outliers,imputation,drawing,cost", help="parts to run"
    )
    parser.add_argument("--max-rows", type=int, default=2_000, help="not for drawing, cost")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    frames = list(read(options.data, options.only, options.max_rows))
    adult = read(options.data, "adult*", 10**9)
    claims, seeds = Claims(), options.seeds
    parts = {
        "codes": lambda: on_codes(frames, seeds, claims),
        "outliers": lambda: on_outliers(frames, seeds, claims),
        "imputation": lambda: on_imputation(frames, seeds, claims),
        "drawing": lambda: on_drawing(list(adult), seeds, claims),
        "cost": lambda: on_cost(options.data, claims),
    }
    for name in options.parts.split(","):
        parts[name]().show(options.out, f"tables_{name}")
    claims.show()


if __name__ == "__main__":
    main()
