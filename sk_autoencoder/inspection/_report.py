"""A report of a fitted estimator on one page."""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._data import evenly_spaced_indices
from sk_autoencoder.core._fit_summary import draw_summary
from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.inspection._cells import CellErrors, compare_cells, format_cell
from sk_autoencoder.inspection._codes import CodeDisplay
from sk_autoencoder.inspection._outliers import OutlierScoreDisplay, explain
from sk_autoencoder.inspection._page import Report, paragraph, picture, table
from sk_autoencoder.inspection._reconstruction import ReconstructionDisplay
from sk_autoencoder.metrics import sample_report
from sk_autoencoder.preprocessing import TableEncoder, is_table
from sk_autoencoder.preprocessing._frames import hide_cells, read_columns
from sk_autoencoder.utils import _pipelines
from sk_autoencoder.utils._sklearn_compat import select_rows

# Rows of each section: they are spaced evenly over those that are given.
MAX_ROWS, MAX_CELLS = 5_000, 2_000_000  # that are reconstructed or scored
MAX_POINTS = 2_000  # that are encoded, and drawn
MAX_IMPUTED_ROWS, HIDDEN_FRACTION = 1_000, 0.1
MAX_SAMPLED_ROWS = 120
N_WORST, N_REASONS, N_COLUMNS, N_DRAWN, MAX_DRAWN_COLUMNS = 5, 3, 10, 5, 12


def report(estimator, X, y=None, *, random_state=0) -> Report:
    """Report on one page what a fitted estimator has learned.

    The page has the sections that the estimator has something to say to: how well it
    reconstructs, beside PCA with as many components; codes; the rows with the largest
    errors, and the cells to blame; the columns that it represents worst; the threshold and
    the most unusual rows of a detector; drawn rows beside real ones.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of this library, or a pipeline or a search that holds one.
    X : {array-like, frame, sparse matrix} of shape (n_samples, n_features)
        Rows, best ones that the estimator was not fitted to. At most 5,000 of them are
        read, evenly spaced, or the first of a series.
    y : array-like of shape (n_samples,) or None, default=None
        Labels that colour the codes. Of a detector two classes of which the rarer one holds
        the outliers, by which its ranking is compared with that of IsolationForest.
    random_state : int, RandomState instance or None, default=0
        Seeds hidden cells, drawn rows and trees.

    Returns
    -------
    report : Report
        A notebook shows it, and ``save(path)`` writes one file of HTML.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Notes
    -----
    R² of a column is one minus its squared error over its variance. For categories it is
    one minus the share of wrong cells, over the share that the most frequent level gets
    wrong. R² of the table is the mean over columns. PCA is fitted to X, on columns of unit
    variance, with categories as zeros and ones: on rows that the estimator has not seen
    that is an advantage.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, report
    >>> X = load_iris().data
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> page = report(autoencoder, X)
    >>> [name for name, _ in page.sections][:3]
    ['The fit', 'What was learned', 'Codes']
    >>> "<h3>Codes</h3>" in page.html
    True
    """
    check_is_fitted(estimator)
    drawing.pyplot()  # without matplotlib nothing is computed
    rows = read_rows(estimator, X, y)
    rng = check_random_state(random_state)
    sections = [("The fit", describe_fit(estimator, rows))]
    if _pipelines.find_estimator(estimator, has_threshold) is not None:
        sections += report_scores(estimator, rows, rng)
    elif _pipelines.find_estimator(estimator, is_imputer) is not None:
        sections += report_imputation(estimator, rows, rng)
    else:
        sections += report_reconstruction(estimator, rows)
    if _pipelines.find_estimator(estimator, has_samples) is not None:
        sections.append(("Drawn rows", report_samples(estimator, rows, rng)))
    name = drawing.class_name(estimator, "fit")
    return Report(f"{name} on {rows.n_given:,} rows", sections)


def has_threshold(step) -> bool:
    """Check whether `step` is a detector."""
    return hasattr(step, "offset_") and hasattr(step, "score_samples")


def is_imputer(step) -> bool:
    """Check whether `step` fills missing cells, and does not reconstruct the others."""
    return hasattr(step, "initial_strategy") or hasattr(step, "sample_posterior")


def has_samples(step) -> bool:
    """Check whether `step` draws rows."""
    return hasattr(step, "sample")


class Rows(NamedTuple):
    """The rows of a report.

    Attributes
    ----------
    X : frame, or ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,) or None
    index : ndarray of shape (n_rows,)
        Names of the rows: labels of the index of a frame, or positions.
    columns : list of str
    n_given : int
        Number of rows before a part was selected.
    """

    X: Any
    y: Any
    index: np.ndarray
    columns: list[str]
    n_given: int

    def take(self, n_max: int) -> "Rows":
        """Take at most `n_max` rows, evenly spaced."""
        where = evenly_spaced_indices(len(self.index), n_max)
        y = None if self.y is None else select_rows(self.y, where)
        return self._replace(X=select_rows(self.X, where), y=y, index=self.index[where])


def read_rows(estimator, X, y) -> Rows:
    """Read the rows that the report is about, and name rows and columns."""
    X = drawing.as_rows(X)
    n_rows = X.shape[0]
    X = X.reshape(n_rows, 1) if len(X.shape) == 1 else X
    n_max = min(MAX_ROWS, max(MAX_CELLS // X.shape[1], 100))
    is_series = _pipelines.find_estimator(estimator, lambda s: hasattr(s, "window_"))
    where = evenly_spaced_indices(n_rows, n_max)
    if is_series is not None:
        where = np.arange(min(n_rows, n_max))
    index = np.asarray(getattr(X, "index", np.arange(n_rows)))
    columns = [str(name) for name in drawing.name_features(X, estimator, X.shape[1])]
    X = select_rows(X, where)
    y = None if y is None else select_rows(y, where)
    return Rows(drawing.dense(X) if issparse(X) else X, y, index[where], columns, n_rows)


def describe_fit(estimator, rows: Rows) -> str:
    """Write the parameters that were set, and the figures and losses of the fit."""
    inner = _pipelines.find_estimator(estimator, lambda step: hasattr(step, "fit_summary_"))
    text = paragraph(f"{estimator!r}")
    n_rows, n_columns = len(rows.index), len(rows.columns)
    shown = f"{rows.n_given:,} rows of {n_columns} columns"
    if n_rows < rows.n_given:
        shown += f"; this page is about {n_rows:,} of them"
    text += paragraph(f"{shown}.")
    if inner is None:
        return text
    curves = inner.loss_curve_, inner.validation_curve_
    return text + draw_summary(inner.fit_summary_, *curves, inner.best_epoch_)


# Estimators that reconstruct


def report_reconstruction(estimator, rows: Rows) -> list[tuple[str, str]]:
    """Write the sections of an estimator that reconstructs rows."""
    errors = compare_cells(rows.X, _pipelines.reconstruct(estimator, rows.X))
    shown = rows.take(MAX_POINTS)
    codes = drawing.dense(_pipelines.encode(estimator, shown.X))
    sections = [("What was learned", describe_score(rows, errors, codes))]
    axes = make_axes((6.4, 4.4))
    CodeDisplay.from_predictions(codes, shown.y, ax=axes, name="")
    sections.append(("Codes", picture(axes.figure, "Codes of the rows")))
    image_shape, _ = drawing.find_images(estimator, None, len(rows.columns))
    if image_shape is not None:
        axes = make_axes((8, 2))
        ReconstructionDisplay.from_estimator(estimator, shown.take(10).X, ax=axes)
        sections.append(("Images", picture(axes.figure, "Images and reconstructions")))
    sections.append(("Rows with the largest errors", list_worst_rows(rows, errors)))
    sections.append(("Columns that are represented worst", list_columns(rows, errors)))
    return sections


def describe_score(rows: Rows, errors: CellErrors, codes: np.ndarray) -> str:
    """Write R² of the table beside that of PCA with as many numbers a row."""
    n_used = int(np.ceil((codes != 0).sum(axis=1).mean()))
    n_components = max(1, min(n_used, len(rows.index), len(rows.columns)))
    pca_errors, n_components = fit_pca(rows, n_components)
    scores = [average(errors), average(pca_errors)]
    text = paragraph("R² of a column is 1 without error, and 0 for its mean.")
    used = f" ({n_used} of them not 0)" if n_used < codes.shape[1] else ""
    return text + table(
        ["", "numbers a row", "R², mean over columns"],
        [
            ["this estimator", f"{codes.shape[1]}{used}", scores[0]],
            ["PCA, fitted to these rows", str(n_components), scores[1]],
        ],
    )


def average(errors: CellErrors) -> float:
    """Average R² over the columns that vary."""
    r2 = errors.explained()
    return float(np.nanmean(r2)) if np.isfinite(r2).any() else np.nan


def fit_pca(rows: Rows, n_components: int) -> tuple[CellErrors, int]:
    """Compute the errors of PCA of the rows, and how many components it takes."""
    if is_table(rows.X):
        encoder = TableEncoder(fill_missing=True).fit(rows.X)
        entries = encoder.transform(rows.X)
    else:
        encoder = StandardScaler()
        filled = SimpleImputer(keep_empty_features=True).fit_transform(rows.X)
        entries = encoder.fit_transform(filled)
    n_components = min(n_components, *entries.shape)
    pca = PCA(n_components, random_state=0)
    decoded = pca.inverse_transform(pca.fit_transform(entries))
    return compare_cells(rows.X, encoder.inverse_transform(decoded)), n_components


def list_worst_rows(rows: Rows, errors: CellErrors) -> str:
    """Write the rows with the largest errors, and the cells with the largest shares."""
    by_row = errors.by_row()
    lines = []
    for row in drawing.argmax_n(by_row, N_WORST):
        reasons = [
            f"{rows.columns[j]}: {format_cell(errors.true[j], row)}, reconstructed "
            f"{format_cell(errors.reconstructed[j], row)}"
            for j in drawing.argmax_n(errors.errors[row], N_REASONS)
            if errors.errors[row, j] > 0
        ]
        lines.append([rows.index[row], float(by_row[row]), "; ".join(reasons)])
    text = paragraph("An error of 1 is that of the mean row.")
    return text + table(["row", "error", "cells with the largest errors"], lines)


def list_columns(rows: Rows, errors: CellErrors) -> str:
    """Write R² of the columns, the lowest first."""
    r2 = errors.explained()
    worst = drawing.argmax_n(-r2, N_COLUMNS)
    lines = [[rows.columns[j], errors.true[j].kind, float(r2[j])] for j in worst]
    n_varying = int(np.isfinite(r2).sum())
    text = paragraph(f"{len(worst)} of the {n_varying} columns that vary.")
    return text + table(["column", "kind", "R²"], lines)


# Detectors


def report_scores(estimator, rows: Rows, rng) -> list[tuple[str, str]]:
    """Write the sections of a detector."""
    scores = np.asarray(estimator.score_samples(rows.X))
    offset = float(_pipelines.find_estimator(estimator, has_threshold).offset_)
    is_flagged = scores < offset
    text = paragraph(
        f"Rows with a score below {offset:.4g} are outliers: {is_flagged.sum():,} of these "
        f"{len(scores):,} rows ({is_flagged.mean():.1%})."
    )
    axes = make_axes((6.4, 3.6))
    OutlierScoreDisplay.from_predictions(scores, threshold=offset, ax=axes, n_rows=0)
    histogram = picture(axes.figure, "Histogram of the scores, with the threshold")
    sections = [("Threshold", text + histogram)]
    if is_outlier(rows.y) is not None:
        sections.append(("What was learned", compare_ranking(scores, rows, rng)))
    shares, names = explain(estimator, rows.X)
    shares = None if shares is None else np.asarray(shares)
    columns = read_columns(rows.X) if shares is not None else []
    lines = []
    for row in np.argsort(scores, kind="stable")[:N_WORST]:
        reasons = []
        for j in () if shares is None else drawing.argmax_n(shares[row], N_REASONS):
            is_input = shares.shape[1] == len(columns)
            value = f" = {format_cell(columns[j], row)}" if is_input else ""
            share = shares[row, j] / max(shares[row].sum(), 1e-300)
            reasons.append(f"{names[j]}{value} ({share:.0%})")
        lines.append([rows.index[row], float(scores[row]), "; ".join(reasons)])
    text = paragraph("The shares are those of a column in the anomaly score of a row.")
    heads = ["row", "score", "columns with the largest shares"]
    sections.append(("Most unusual rows", text + table(heads, lines)))
    return sections


def is_outlier(y) -> np.ndarray | None:
    """Tell which rows are of the rarer class of two; None for other labels."""
    if y is None:
        return None
    values, labels, counts = np.unique(
        np.asarray(y).astype(str), return_inverse=True, return_counts=True
    )
    return labels == counts.argmin() if len(values) == 2 else None


def compare_ranking(scores: np.ndarray, rows: Rows, rng) -> str:
    """Write the AUROC of the scores beside that of IsolationForest."""
    truth = is_outlier(rows.y)
    entries = TableEncoder(fill_missing=True).fit_transform(rows.X)
    forest = IsolationForest(random_state=rng).fit(entries).score_samples(entries)
    return paragraph("The rarer class of y is taken for the outliers.") + table(
        ["", "AUROC"],
        [
            ["this estimator", float(roc_auc_score(truth, -scores))],
            ["IsolationForest, fitted to these rows", float(roc_auc_score(truth, -forest))],
        ],
    )


# Imputers


def report_imputation(estimator, rows: Rows, rng) -> list[tuple[str, str]]:
    """Hide cells, let the imputer fill them, and write the sections of its errors."""
    rows = rows.take(MAX_IMPUTED_ROWS)
    is_hidden = rng.random_sample((len(rows.index), len(rows.columns))) < HIDDEN_FRACTION
    is_hidden[np.arange(len(is_hidden)), rng.randint(is_hidden.shape[1])] = False
    errors = compare_cells(rows.X, estimator.transform(hide(rows.X, is_hidden)), is_hidden)
    n_hidden = int(np.isfinite(errors.errors).sum())
    text = paragraph(
        f"{n_hidden:,} cells of {len(rows.index):,} rows were hidden and filled in again. "
        "R² is 1 without error, and 0 for the mean of a column or its most frequent level."
    )
    learned = text + table(["", "R²"], [["this estimator", average(errors)]])
    return [
        ("What was learned", learned),
        ("Rows with the largest errors", list_worst_rows(rows, errors)),
        ("Columns that are represented worst", list_columns(rows, errors)),
    ]


def hide(X, is_hidden: np.ndarray):
    """Make cells of a frame or an array missing."""
    if hasattr(X, "columns"):
        return hide_cells(X, is_hidden)
    return np.where(is_hidden, np.nan, np.asarray(X, dtype=np.float64))


# Generators


def report_samples(estimator, rows: Rows, rng) -> str:
    """Write some drawn rows, and the measures of more beside those of real rows."""
    rows = rows.take(2 * MAX_SAMPLED_ROWS)
    n_rows = len(rows.index) // 2
    seed = rng.randint(2**31 - 1)
    samples = _pipelines.sample(estimator, max(n_rows, N_DRAWN), seed)
    columns = read_columns(samples)
    shown = range(min(len(columns), MAX_DRAWN_COLUMNS))
    drawn = [[format_cell(columns[j], i) for j in shown] for i in range(N_DRAWN)]
    names = rows.columns if len(columns) == len(rows.columns) else [c.name for c in columns]
    text = table([names[j] for j in shown], drawn)
    order = rng.permutation(2 * n_rows)
    halves = [select_rows(rows.X, np.sort(part)) for part in np.split(order, 2)]
    measures = sample_report(halves[0], samples, halves[1], random_state=seed)
    text += paragraph(
        "Measures of drawn rows beside those of real rows (sample_report), both compared "
        f"with {n_rows} other real rows."
    )
    lines = [[name, *map(float, values)] for name, values in measures.items()]
    return text + table(["measure", "drawn rows", "real rows"], lines)


def make_axes(size: tuple[float, float]):
    """Make axes of a figure that pyplot does not know."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained").subplots()
