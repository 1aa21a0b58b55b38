"""Whether autoencoders fill in missing cells better than scikit-learn's imputers.

1. Every table of the folders with 7 numeric columns and 500 rows or more, of whose cells
   less than a twentieth is missing. Standardised columns, cells hidden at random (20 and
   40 %), above a threshold of their column (20 %), in whole blocks of columns (20 %), from
   some column to the last one (20 %), or where another column, never hidden, is above its
   median (20 %); RMSE of the hidden cells of held-out rows.
2. Tables with holes of their own: how well a linear model predicts the target from imputed
   columns, under cross-validation. Folds in which an imputer fails do not count for it.
3. The tables of part 1 in their own units, 20 % of their cells hidden: how well draws,
   for multiple imputation, say how uncertain a cell is, beside IterativeImputer's and
   miceforest's. Only with ``--parts 3``.
4. Simulated tables, 20 % of their cells hidden: how often intervals of draws hold the
   cell, for tables of 40, 200 and 1,000 rows, and how often pooled 95 % intervals of a
   regression coefficient hold it, in ``--runs`` tables of 200 rows. Only with
   ``--parts 4``.
5. A generated table of 100,000 rows and 50 columns, 20 % of its cells hidden: RMSE, seconds
   and memory of a fit and the imputation of its rows, in a process of its own. Only with
   ``--parts 5``.
6. The first 1,000 timestamps of the series of ``--series`` folders with 2 to 15 channels,
   of each of which gaps hide 20 %: RMSE in standard deviations, beside linear
   interpolation. Lags are the two timestamps before and the two behind. Only with
   ``--parts 6``.

IterativeImputer with ExtraTreesRegressor runs where cells are hidden at random, on tables
of up to 64 columns, for its time.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets, _series
from benchmarks._report import Claims, Table
from sk_autoencoder import AutoencoderImputer
from sk_autoencoder.impute import pool

MAX_ROWS, FIT_SHARE = 4_000, 0.7
MIN_COLUMNS, MIN_ROWS, FEW_MISSING = 7, 500, 0.05
HOLED_MISSING = 0.015  # share of missing cells from which a table has holes of its own
TREES, TREE_COLUMNS, MANY_COLUMNS = 30, 64, 30
FOLDS = 5
DRAWS = 20
INTERVAL_RANK = 2  # from both ends of the draws
WITHIN = (DRAWS + 1 - 2 * INTERVAL_RANK) / (DRAWS + 1)  # if they are of one distribution
FOREST_DRAWS, FOREST_STEPS = 5, 3  # of miceforest
INTERVAL_RANKS = 6, 3, 1
SIMULATED_ROWS = {40: 10, 200: 5, 1_000: 3}  # rows to fit to, and tables
COEFFICIENTS = np.array([1.0, 0.5, 0.0])
LAGS, GAPS = (-2, -1, 1, 2), (1, 10, 40)  # timestamps
MAX_TIMESTAMPS, MAX_CHANNELS = 1_000, 15  # of series
MANY_ROWS = """
import resource, sys, time, warnings
import numpy as np, psutil, torch
from sklearn.experimental import enable_iterative_imputer
from sklearn.impute import IterativeImputer
from sk_autoencoder import AutoencoderImputer

warnings.simplefilter("ignore")
torch.set_num_threads(1)
rng = np.random.default_rng(0)
whole = rng.normal(size=(100_000, 8)) @ rng.normal(size=(8, 50))
np.tanh(whole, out=whole)
for rows in np.array_split(whole, 100):
    rows += 0.2 * rng.normal(size=rows.shape)
hidden = rng.random(whole.shape, np.float32) < 0.2
X = np.where(hidden, np.nan, whole)
imputer = {"iterative": IterativeImputer, "ours": AutoencoderImputer}[sys.argv[1]]
imputer(random_state=0).fit_transform(X[:100])  # first calls
before = psutil.Process().memory_info().rss
start = time.process_time()
found = imputer(random_state=0).fit(X).transform(X)
seconds = time.process_time() - start
grown = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(np.sqrt(np.mean((found - whole)[hidden] ** 2)), seconds, grown / X.nbytes)
"""
SIMPLE = ("mean", "KNN", "iterative")  # what is to be beaten, with default settings


class Found(NamedTuple):
    """What imputers gave on one table and pattern, means over seeds."""

    pattern: str
    n_columns: int
    errors: dict[str, float]
    seconds: dict[str, float]


def at_random(share: float) -> Callable:
    """Return what hides each cell with the same probability."""
    return lambda X, rng: rng.random(X.shape) < share


def beyond_threshold(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide two thirds of the cells above the 0.7 quantile of their column."""
    return (np.nanquantile(X, 0.7, axis=0) < X) & (rng.random(X.shape) < 2 / 3)


def in_blocks(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide half of the columns, neighbours, in 40 % of the rows."""
    n_rows, n_columns = X.shape
    start = rng.integers(n_columns, size=(n_rows, 1))
    in_block = (np.arange(n_columns) - start) % n_columns < n_columns // 2
    return in_block & (rng.random((n_rows, 1)) < 0.4)


def to_the_last(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide the columns from a random one on, in 40 % of the rows: a monotone pattern."""
    n_rows, n_columns = X.shape
    first = rng.integers(1, n_columns, size=(n_rows, 1))
    return (np.arange(n_columns) >= first) & (rng.random((n_rows, 1)) < 0.4)


def by_another_column(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide most cells of each second column where the column before is above its median."""
    n_pairs = X.shape[1] // 2
    before = X[:, : 2 * n_pairs : 2]
    hidden = np.zeros(X.shape, bool)
    is_high = np.nanmedian(before, axis=0) < before
    hidden[:, 1 : 2 * n_pairs : 2] = is_high & (rng.random(before.shape) < 0.8)
    return hidden


PATTERNS = {
    "20 %": at_random(0.2),
    "40 %": at_random(0.4),
    "threshold": beyond_threshold,
    "blocks": in_blocks,
    "monotone": to_the_last,
    "by another": by_another_column,
}


def rivals(seed: int, with_trees: bool) -> dict:
    """Return imputers by name."""
    trees = ExtraTreesRegressor(TREES, random_state=seed)
    return {
        "mean": SimpleImputer(),
        "KNN": KNNImputer(),
        "KNN 15": KNNImputer(n_neighbors=15, weights="distance"),
        "iterative": IterativeImputer(random_state=seed),
        **({"trees": IterativeImputer(trees, random_state=seed)} if with_trees else {}),
        "ours": AutoencoderImputer(random_state=seed),
    }


def split(X: np.ndarray, hide: Callable, seed: int, scales: bool = True):
    """Return incomplete rows to fit to, then held-out ones: incomplete, whole, hidden."""
    rng = np.random.default_rng(seed)
    X = X[rng.permutation(len(X))]
    n_fit = int(FIT_SHARE * len(X))
    scale = StandardScaler().fit(X[:n_fit])
    X = (scale.transform(X) if scales else X)[:, scale.var_ > 0]
    hidden = hide(X, rng)
    hidden[(hidden | np.isnan(X)).all(axis=1)] = False
    holed = np.where(hidden, np.nan, X)
    hidden &= ~np.isnan(X)
    return holed[:n_fit], holed[n_fit:], X[n_fit:], hidden[n_fit:]


def measure(X: np.ndarray, pattern: str, seed: int, with_trees: bool):
    """Return the RMSE on hidden cells and the CPU seconds of each imputer."""
    fit, holed, whole, hidden = split(X, PATTERNS[pattern], seed)
    errors, seconds = {}, {}
    for name, imputer in rivals(seed, with_trees).items():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = imputer.fit(fit).transform(holed)
        seconds[name] = time.process_time() - start
        errors[name] = float(np.sqrt(np.mean((found - whole)[hidden] ** 2)))
    return errors, seconds


def means(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each number over runs."""
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def compare(tables, options, patterns: list[str]) -> list[Found]:
    """Return errors and seconds of each table and pattern, means over seeds."""
    names = list(rivals(0, True))
    report = Table(
        "RMSE of hidden cells of held-out rows, standardised columns",
        ["table", "columns", "pattern", *names, "trees s", "ours s"],
    )
    found = []
    for table in tables:
        n_columns = table.X.shape[1]
        for pattern in patterns:
            with_trees = options.trees and n_columns <= TREE_COLUMNS and "%" in pattern
            seeds = range(options.seeds)
            runs = [measure(table.X, pattern, seed, with_trees) for seed in seeds]
            errors, seconds = (means(each) for each in zip(*runs, strict=True))
            found.append(Found(pattern, n_columns, errors, seconds))
            cells = [errors.get(name, np.nan) for name in names]
            times = [seconds.get(name, np.nan) for name in ("trees", "ours")]
            report.add(table.name, n_columns, pattern, *cells, *times)
            print(report.line(-1), flush=True)
    report.show(options.out, "imputation")
    return found


def claim_simple(found: list[Found], claims: Claims) -> None:
    """State how often and by how much ours is better than the imputers of default use."""
    gains = []
    for pattern, bound in (("20 %", 0.8), ("40 %", 1.0)):
        errors = [each.errors for each in found if each.pattern == pattern]
        if not errors:
            continue
        won = [e["ours"] < min(e[name] for name in SIMPLE) for e in errors]
        what = f"{pattern}: share of tables below the best of {', '.join(SIMPLE)}"
        claims.add(what, float(np.mean(won)), ">=", bound)
        gains += [1 - e["ours"] / e["iterative"] for e in errors]
    if gains:
        gain = float(np.median(gains))
        claims.add("median gain over IterativeImputer()", gain, ">=", 0.12)


def claim_trees(found: list[Found], claims: Claims) -> None:
    """State how ours compares with IterativeImputer(ExtraTreesRegressor())."""
    kinds = {f"from {MANY_COLUMNS} columns on": (True, "<", 1.0)}
    kinds["below that"] = (False, "<=", 1.05)
    for what, (is_wide, relation, bound) in kinds.items():
        some = [e for e in found if "trees" in e.errors]
        some = [e for e in some if (e.n_columns >= MANY_COLUMNS) == is_wide]
        if not some:
            continue
        ratio = max(each.errors["ours"] / each.errors["trees"] for each in some)
        claims.add(f"RMSE / that with trees, worst table {what}", ratio, relation, bound)
        ratio = np.median([each.seconds["ours"] / each.seconds["trees"] for each in some])
        claims.add(f"time / that with trees, median {what}", float(ratio), "<=", 1.0)


def predict(table, seed: int) -> dict[str, float]:
    """Return the cross-validated score of a linear model on what each imputer gives."""
    if table.y is None:
        model, y, folds = RidgeCV(np.logspace(-2, 4, 13)), table.target, KFold
    else:
        model, y, folds = LogisticRegression(max_iter=2_000), table.y, StratifiedKFold
    folds = folds(FOLDS, shuffle=True, random_state=seed)
    scores = {}
    for name, imputer in rivals(seed, False).items():
        pipeline = make_pipeline(StandardScaler(), imputer, StandardScaler(), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = cross_val_score(pipeline, table.X, y, cv=folds)
        scores[name] = float(np.nanmean(found))
    return scores


def claim_prediction(tables, options, claims: Claims) -> None:
    """State whether a model behind ours predicts as well as behind the others."""
    names = list(rivals(0, False))
    report = Table(
        "score of a linear model on imputed columns (accuracy; R² for measurements)",
        ["table", "rows", "columns", "missing", *names],
    )
    for table in tables:
        runs = [predict(table, seed) for seed in range(options.seeds)]
        scores = means(runs)
        share = float(np.isnan(table.X).mean())
        report.add(table.name, *table.X.shape, share, *scores.values())
        print(report.line(-1), flush=True)
        gain = scores["ours"] - max(scores[name] for name in SIMPLE)
        claims.add(f"{table.name}: score less the best of the others", gain, ">=", -0.01)
    report.show(options.out, "imputation_prediction")


def draw(imputer, fit: np.ndarray, holed: np.ndarray) -> np.ndarray:
    """Return rows as the imputer fills them in, `DRAWS` times."""
    imputer.fit(fit)
    if isinstance(imputer, AutoencoderImputer):
        return imputer.multiple_impute(holed, DRAWS, random_state=0)
    return np.stack([imputer.transform(holed) for _ in range(DRAWS)])


def draw_by_miceforest(fit: np.ndarray, holed: np.ndarray, seed: int) -> np.ndarray:
    """Return rows as miceforest fills them in, `FOREST_DRAWS` times.

    The rows take part in the fit: its imputation of new rows guesses at random beside
    pandas 3.
    """
    import miceforest

    rows = pd.DataFrame(np.concatenate([fit, holed])).rename(columns=str)
    kernel = miceforest.ImputationKernel(rows, num_datasets=FOREST_DRAWS, random_state=seed)
    kernel.mice(FOREST_STEPS, num_threads=1)
    tables = [kernel.complete_data(i).to_numpy() for i in range(FOREST_DRAWS)]
    return np.stack(tables)[:, len(fit) :]


def ranked_score(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean continuous ranked probability score of draws; lower is better.

    References
    ----------
    T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
    estimation", Journal of the American Statistical Association 102, 2007, equation 21.
    """
    n_draws = len(draws)
    rank = 2 * np.arange(n_draws) - n_draws + 1
    half_spread = rank @ np.sort(draws, axis=0) / (n_draws * (n_draws - 1))
    return float((np.abs(draws - truth).mean(axis=0) - half_spread).mean())


def share_within(draws: np.ndarray, truth: np.ndarray) -> float:
    """Return how often the truth lies within ranks of draws; ties are split at random."""
    is_tie = draws == truth
    first = (draws < truth).sum(axis=0)
    rank = np.random.default_rng(0).integers(first, first + is_tie.sum(axis=0) + 1)
    return float(((rank >= INTERVAL_RANK) & (rank <= len(draws) - INTERVAL_RANK)).mean())


def judge_draws(X: np.ndarray, seed: int, with_forest: bool) -> dict[str, float]:
    """Return the score of each imputer's draws, and how often ranks hold the truth."""
    fit, holed, whole, hidden = split(X, PATTERNS["20 %"], seed, scales=False)
    drawn = {}
    for name, kind in (("iterative", IterativeImputer), ("ours", AutoencoderImputer)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            imputer = kind(sample_posterior=True, random_state=seed)
            drawn[name] = draw(imputer, fit, holed)
    within = {
        f"{k} within": share_within(v[:, hidden], whole[hidden]) for k, v in drawn.items()
    }
    if with_forest:
        drawn["miceforest"] = draw_by_miceforest(fit, holed, seed)
    scale = np.nanstd(fit, axis=0)
    truth = (whole / scale)[hidden]
    scores = {k: ranked_score((v / scale)[:, hidden], truth) for k, v in drawn.items()}
    return scores | within


def claim_draws(tables, options, claims: Claims) -> None:
    """State whether draws say more of a cell than those of the other imputers."""
    names = "iterative", "miceforest", "ours", "iterative within", "ours within"
    report = Table(
        f"ranked probability score of draws; share of cells within {WITHIN:.2f} of them",
        ["table", "columns", *names],
    )
    found = []
    for table in tables:
        with_forest = options.trees and table.X.shape[1] <= TREE_COLUMNS
        seeds = range(options.seeds)
        found.append(means([judge_draws(table.X, seed, with_forest) for seed in seeds]))
        cells = [found[-1].get(name, np.nan) for name in names]
        report.add(table.name, table.X.shape[1], *cells)
        print(report.line(-1), flush=True)
    report.show(options.out, "imputation_draws")
    for rival in ("iterative", "miceforest"):
        won = [each["ours"] < each[rival] for each in found if rival in each]
        if won:
            what = f"share of tables with a ranked score of draws below {rival}'s"
            claims.add(what, float(np.mean(won)), ">=", 0.8)
    is_right = [abs(each["ours within"] - WITHIN) <= 0.03 for each in found]
    what = f"share of tables with {WITHIN:.2f} +- .03 of cells within draws"
    claims.add(what, float(np.mean(is_right)), ">=", 0.8)


def simulate(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of five columns with one factor, and hide a fifth of their cells."""
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(n_rows, 1)) + rng.normal(0, 0.6, (n_rows, 5))
    hidden = rng.random(whole.shape) < 0.2
    hidden[hidden.all(axis=1)] = False
    return np.where(hidden, np.nan, whole), whole


def claim_intervals(options, claims: Claims) -> None:
    """State how often intervals of draws hold the cells of new rows.

    The k-th smallest and the k-th largest of 20 draws hold another draw of the same
    distribution in (21 - 2 k) of 21 cases.
    """
    names = [f"{(21 - 2 * k) / 21:.3f}" for k in INTERVAL_RANKS]
    report = Table("share of simulated cells within intervals of draws", ["rows", *names])
    for n_rows, n_runs in SIMULATED_ROWS.items():
        runs = [judge_intervals(n_rows, seed) for seed in range(n_runs)]
        shares = np.mean(runs, axis=0)
        report.add(n_rows, *map(float, shares))
        print(report.line(-1), flush=True)
        for rank, share in zip(INTERVAL_RANKS, shares, strict=True):
            expected = (21 - 2 * rank) / 21
            what = f"{n_rows} rows: share of cells within {expected:.3f} of draws, off by"
            claims.add(what, float(abs(share - expected)), "<=", 0.03)
    report.show(options.out, "imputation_intervals")


def judge_intervals(n_rows: int, seed: int) -> list[float]:
    """Return the share of cells of new rows within the interval of each rank."""
    holed, whole = simulate(n_rows + 2_000, seed)
    imputer = AutoencoderImputer(sample_posterior=True, random_state=seed)
    draws = draw(imputer, holed[:n_rows], holed[n_rows:])
    hidden = np.isnan(holed[n_rows:])
    cells, truth = np.sort(draws[:, hidden], axis=0), whole[n_rows:][hidden]
    bounds = [(cells[k - 1], cells[DRAWS - k]) for k in INTERVAL_RANKS]
    return [float(((low <= truth) & (truth <= high)).mean()) for low, high in bounds]


def claim_coefficients(options, claims: Claims) -> None:
    """State how often pooled intervals of regression coefficients hold them."""
    n_held, n_held_complete = np.zeros(3), np.zeros(3)
    for seed in range(options.runs):
        rng = np.random.default_rng([seed, 1])  # not that of the rows
        x = simulate(200, seed)[1][:, :3]
        table = np.c_[x, x @ COEFFICIENTS + rng.normal(size=len(x))]
        estimate, variance = regress(table)
        half = stats.t.ppf(0.975, len(table) - 4) * np.sqrt(variance)
        n_held_complete += abs(estimate - COEFFICIENTS) <= half
        table[rng.random(table.shape) < 0.2] = np.nan
        table = table[~np.isnan(table).all(axis=1)]
        imputer = AutoencoderImputer(sample_posterior=True, random_state=seed)
        estimates, variances = zip(*map(regress, draw(imputer, table, table)), strict=True)
        pooled = pool(np.array(estimates), np.array(variances), df_complete=len(table) - 4)
        low, high = pooled.interval(0.95)
        n_held += (low <= COEFFICIENTS) & (high >= COEFFICIENTS)
    shares = np.array2string(n_held_complete / options.runs, precision=3)
    print(f"Before cells are hidden, 95 % intervals hold the coefficients in {shares}.")
    for i, share in enumerate(n_held / options.runs):
        what = f"coefficient {COEFFICIENTS[i]}: pooled 95 % intervals that hold it"
        claims.add(what, float(share), ">=", 0.93)
        claims.add(what, float(share), "<=", 0.97)


def regress(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regress the last column on the others: coefficients and their variances."""
    x, y = rows[:, :-1], rows[:, -1]
    model = LinearRegression().fit(x, y)
    residual = y - model.predict(x)
    noise = residual @ residual / (len(x) - x.shape[1] - 1)
    centered = x - x.mean(axis=0)
    return model.coef_, noise * np.diag(np.linalg.inv(centered.T @ centered))


def claim_many_rows(options, claims: Claims) -> None:
    """State the error, the time and the memory of an imputation of many rows."""
    columns = ["imputer", "RMSE", "seconds", "memory / that of X"]
    report, found = Table("100,000 rows of 50 columns, 20 % hidden", columns), {}
    for name in ("iterative", "ours"):
        command = [sys.executable, "-c", MANY_ROWS, name]
        run = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
        found[name] = [float(number) for number in run.stdout.split()]
        report.add(name, *found[name])
    report.show(options.out, "imputation_many_rows")
    error, seconds, memory = found["ours"]
    gain = 1 - error / found["iterative"][0]
    claims.add("100,000 rows: gain over IterativeImputer()", gain, ">=", 0.12)
    claims.add("100,000 rows: seconds", seconds, "<", 300)
    claims.add("100,000 rows: memory / that of X", memory, "<", 3)


def with_gaps(X: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Mark gaps of a mean length in each channel, 20 % of its timestamps or a few more."""
    hidden = np.zeros(X.shape, bool)
    for channel in hidden.T:
        while channel.mean() < 0.2:
            start = rng.integers(len(X))
            channel[start : start + rng.geometric(1 / length)] = True
    return hidden


def beside_lags(series: pd.DataFrame) -> pd.DataFrame:
    """Put the rows before and behind beside each row, its own columns first."""
    return pd.concat([series, *(series.shift(lag) for lag in LAGS)], axis=1)


def fill_gaps(X: np.ndarray, length: int, seed: int) -> dict[str, float]:
    """Return the RMSE at hidden timestamps, by what fills the gaps."""
    hidden = with_gaps(X, length, np.random.default_rng(seed))
    series = pd.DataFrame(np.where(hidden, np.nan, X))
    lagged = beside_lags(series).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = {
            "interpolation": series.interpolate(limit_direction="both").to_numpy(),
            "iterative, lags": IterativeImputer(random_state=seed).fit_transform(lagged),
            "ours, rows": AutoencoderImputer(random_state=seed).fit_transform(series),
            "ours, lags": AutoencoderImputer(random_state=seed).fit_transform(lagged),
        }
    errors = {name: rows[:, : X.shape[1]] - X for name, rows in found.items()}
    return {name: float(np.sqrt(np.mean(e[hidden] ** 2))) for name, e in errors.items()}


def claim_series(options, claims: Claims) -> None:
    """State the error of ours beside linear interpolation, for gaps of three lengths."""
    report, errors = None, {length: [] for length in GAPS}
    for series in chain.from_iterable(map(_series.read, options.series)):
        X = series.X[:MAX_TIMESTAMPS].astype(float)
        X = X[:, X.std(axis=0) > 0]
        is_named = _datasets.is_named(series, options.only)
        if not (is_named and 2 <= X.shape[1] <= MAX_CHANNELS):
            continue
        X = StandardScaler().fit_transform(X)
        for length, runs in errors.items():
            seeds = range(options.seeds)
            runs.append(means([fill_gaps(X, length, seed) for seed in seeds]))
            columns = ["series", "channels", "gaps", *runs[-1]]
            report = report or Table("RMSE of hidden timestamps of series", columns)
            report.add(series.name, X.shape[1], length, *runs[-1].values())
            print(report.line(-1), flush=True)
    if report is None:
        return
    report.show(options.out, "imputation_series")
    for length, runs in errors.items():
        gains = [1 - run["ours, lags"] / run["interpolation"] for run in runs]
        what = f"gaps of {length}: median gain over linear interpolation"
        claims.add(what, float(np.median(gains)), ">=", 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--series", type=Path, action="append", default=[])
    parser.add_argument("--only", default="*", help="names or patterns, with commas")
    parser.add_argument("--parts", default="12")
    parser.add_argument("--patterns", default=",".join(PATTERNS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=200, help="simulations of part 4")
    parser.add_argument("--trees", type=int, default=1, help="0 leaves out the trees")
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    claims = Claims()
    numeric = _datasets.load_holed(options.data, MAX_ROWS, with_text=False)
    full = [
        table
        for table in numeric
        if table.X.shape[1] >= MIN_COLUMNS
        and len(table.X) >= MIN_ROWS
        and np.isnan(table.X).mean() < FEW_MISSING
        and _datasets.is_named(table, options.only)
    ]
    if "1" in options.parts:
        found = compare(full, options, options.patterns.split(","))
        claim_simple(found, claims)
        claim_trees(found, claims)
    if "2" in options.parts:
        holed = _datasets.load_holed(options.data, MAX_ROWS, with_text=True)
        tables = [t for t in holed if np.isnan(t.X).mean() >= HOLED_MISSING]
        tables = [t for t in tables if _datasets.is_named(t, options.only)]
        claim_prediction(tables, options, claims)
    if "3" in options.parts:
        claim_draws(full, options, claims)
    if "4" in options.parts:
        claim_intervals(options, claims)
        claim_coefficients(options, claims)
    if "5" in options.parts:
        claim_many_rows(options, claims)
    if "6" in options.parts:
        claim_series(options, claims)
    claims.show()


if __name__ == "__main__":
    main()
