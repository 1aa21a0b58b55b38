"""A report of rows sampled from a generative model, beside real rows."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from sk_autoencoder.metrics._samples import nn_two_sample_accuracy, two_sample_accuracy
from sk_autoencoder.preprocessing import TableEncoder, is_table

MAX_ROWS = 5_000  # of each set that neighbours and trees are asked about


@dataclass
class EncodedRows:
    """Rows as numbers, and where the entries of each column are."""

    entries: np.ndarray  # (n_rows, n_entries); NaN is missing
    scaled: np.ndarray  # (n_rows, n_entries), each column of unit variance, complete
    blocks: list[slice]
    is_category: list[bool]

    def take(self, rows: np.ndarray) -> "EncodedRows":
        """Take some of the rows."""
        return replace(self, entries=self.entries[rows], scaled=self.scaled[rows])


def sample_report(X, samples, held_out, *, target=None, random_state=None) -> dict:
    """Compare sampled rows with real rows that the model was not fitted to.

    Each measure of `samples` stands beside that of real rows, which the best model reaches:
    of as many rows of X, or of `held_out`.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
        Training rows of the model.
    samples : array-like or frame of shape (n_generated, n_features)
        Sampled rows.
    held_out : array-like or frame of shape (n_held_out, n_features)
        Real rows that the model was not fitted to.
    target : str, int or None, default=None
        Column that trees learn to predict from sampled rows, by name or index.
    random_state : int, RandomState instance or None, default=None
        Seeds the choice of rows and the trees.

    Returns
    -------
    report : dict of tuple
        Measures of sampled rows and of real ones, by name.

        * ``"column shapes"``: mean over columns of one minus the largest difference of the
          cumulative distributions; of categories, of half the sum of differences. 1 is
          ideal.
        * ``"column pairs"``: one minus the mean difference of correlations of entries of
          two columns, numbers as ranks. 1 is ideal.
        * ``"trees"``, ``"neighbours"``: accuracy of boosted trees, and of the nearest
          neighbour, in telling rows from held-out rows. 0.5 is ideal; neighbours are
          less accurate than that if rows are copies.
        * ``"trained"``: accuracy of boosted trees on held-out rows, or R², after training
          on the rows; without `target` left out.
        * ``"nearness"``: share of rows that are nearer to a training row than to a
          held-out row. 0.5 is ideal, and more means that samples repeat training rows.
        * ``"copies"``: share of rows that equal a training row; beside that of held-out
          rows.

    Notes
    -----
    The nearness of a row is no proof of privacy: few rows may be near a rare training row
    while the mean is ideal. Trees and neighbours find what they can find in the number of
    rows that they get.

    References
    ----------
    .. [1] D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder.metrics import sample_report
    >>> rng = np.random.default_rng(0)
    >>> X, held_out, samples = rng.normal(size=(3, 300, 2))
    >>> report = sample_report(X, samples, held_out, random_state=0)
    >>> [round(value, 1) for value in report["column shapes"]]
    [0.9, 0.9]
    >>> report["copies"]
    (0.0, 0.0)
    """
    rng = check_random_state(random_state)
    seed = int(rng.randint(2**31 - 1))
    rows, names = encode_rows(X, samples, held_out)
    n_rows = min(min(len(r.entries) for r in rows), MAX_ROWS)
    if n_rows < 10:
        raise ValueError(f"A report needs 10 rows of each kind, and one has {n_rows}.")
    real, sampled, new = (r.take(rng.permutation(len(r.entries))[:n_rows]) for r in rows)
    pairs = ((sampled, new), (real, new))
    report: dict[str, Any] = {
        "column shapes": tuple(1 - column_differences(*pair).mean() for pair in pairs),
        "column pairs": tuple(1 - pair_difference(*pair) for pair in pairs),
        "trees": tuple(
            two_sample_accuracy(b.entries, a.entries, random_state=seed) for a, b in pairs
        ),
        "neighbours": tuple(nn_two_sample_accuracy(b.scaled, a.scaled) for a, b in pairs),
    }
    if target is not None:
        column = find_target(target, names)
        report["trained"] = tuple(
            trained_score(r, rows[2], column, seed) for r in (rows[1], rows[0])
        )
    report["nearness"] = (nearness(sampled.scaled, real.scaled, new.scaled), 0.5)
    report["copies"] = tuple(share_of_copies(r, rows[0]) for r in (rows[1], rows[2]))
    return {
        name: tuple(float(value) for value in values) for name, values in report.items()
    }


def encode_rows(X, *others) -> tuple[list[EncodedRows], list]:
    """Encode X and other rows alike, and list the names of the columns."""
    if is_table(X):
        encoder = TableEncoder(scale=False).fit(X)
        entries = [encoder.transform(rows) for rows in (X, *others)]
        blocks, center, scale = encoder.blocks_, encoder.center_, encoder.scale_
        is_category = [kind == "category" for kind in encoder.kinds_]
        names = getattr(encoder, "feature_names_in_", np.arange(len(blocks))).tolist()
    else:
        entries = [
            check_array(rows, dtype=np.float64, ensure_all_finite="allow-nan")
            for rows in (X, *others)
        ]
        n_features = entries[0].shape[1]
        if any(rows.shape[1] != n_features for rows in entries):
            raise ValueError("X, samples and held_out have to have the same columns.")
        center, std = np.nanmean(entries[0], axis=0), np.nanstd(entries[0], axis=0)
        scale = np.where(std > 0, std, 1)
        blocks = [slice(j, j + 1) for j in range(n_features)]
        is_category = [False] * n_features
        names = list(getattr(X, "columns", range(n_features)))
    scaled = [np.nan_to_num((rows - center) / scale) for rows in entries]
    pairs = zip(entries, scaled, strict=True)
    return [EncodedRows(*pair, blocks, is_category) for pair in pairs], names


def column_differences(first: EncodedRows, second: EncodedRows) -> np.ndarray:
    """Compute how the distributions of each column differ, from 0 to 1.

    The Kolmogorov-Smirnov statistic of numbers, the total variation of categories. Missing
    cells are a value of their own.
    """
    result = []
    for block, is_category in zip(first.blocks, first.is_category, strict=True):
        pair = [rows.entries[:, block] for rows in (first, second)]
        if not pair[0].shape[1]:
            continue
        if is_category:
            difference = np.subtract(*(np.nan_to_num(rows).mean(axis=0) for rows in pair))
            lacking = np.subtract(*(np.isnan(rows[:, 0]).mean() for rows in pair))
            result.append((np.abs(difference).sum() + abs(lacking)) / 2)
        else:
            columns = [np.sort(np.nan_to_num(rows[:, 0], nan=np.inf)) for rows in pair]
            grid = np.concatenate(columns)
            cumulated = [
                np.searchsorted(column, grid, side="right") / len(column)
                for column in columns
            ]
            result.append(np.abs(np.subtract(*cumulated)).max())
    return np.array(result)


def pair_difference(first: EncodedRows, second: EncodedRows) -> float:
    """Compute the mean difference of the correlations of entries of different columns."""
    correlations, owner = [], np.empty(0)
    for rows in (first, second):
        columns, owners = [], []
        for j, block in enumerate(rows.blocks):
            entries = rows.scaled[:, block]
            if not rows.is_category[j]:
                entries = rankdata(entries[:, :1], axis=0)
            columns.append(entries)
            owners.append(np.full(entries.shape[1], j))
        owner = np.concatenate(owners)
        with np.errstate(invalid="ignore", divide="ignore"):  # constant columns
            correlations.append(np.atleast_2d(np.corrcoef(np.hstack(columns).T)))
    differences = np.abs(np.subtract(*correlations))[owner[:, None] < owner]
    known = differences[~np.isnan(differences)]
    return float(known.mean() / 2) if len(known) else 0.0


def nearness(rows: np.ndarray, fitted: np.ndarray, held_out: np.ndarray) -> float:
    """Compute the share of rows nearer to fitted than to held-out rows; ties count half."""
    far = [
        NearestNeighbors(n_neighbors=1).fit(real).kneighbors(rows)[0][:, 0]
        for real in (fitted, held_out)
    ]
    return float((far[0] < far[1]).mean() + (far[0] == far[1]).mean() / 2)


def share_of_copies(rows: EncodedRows, fitted: EncodedRows) -> float:
    """Compute the share of rows that equal a fitted row."""
    known = {row.tobytes() for row in np.round(fitted.scaled, 9) + 0.0}
    return float(np.mean([r.tobytes() in known for r in np.round(rows.scaled, 9) + 0.0]))


def find_target(target, names: list) -> int:
    """Find the index of the column that `target` names."""
    if target in names:
        return names.index(target)
    if isinstance(target, int) and -len(names) <= target < len(names):
        return target % len(names)
    raise ValueError(f"target={target!r} is no column of X.")


def trained_score(
    rows: EncodedRows, held_out: EncodedRows, column: int, seed: int
) -> float:
    """Compute the score on held-out rows of trees that are fitted to rows."""
    block, is_category = rows.blocks[column], rows.is_category[column]
    others = np.r_[0 : block.start, block.stop : rows.entries.shape[1]]
    sets = []
    for part in (rows, held_out):
        y = part.entries[:, block]
        known = ~np.isnan(y).any(axis=1)
        labels = y[known].argmax(axis=1) if is_category else y[known, 0]
        sets.append((part.entries[known][:, others], labels))
    kind = HistGradientBoostingClassifier if is_category else HistGradientBoostingRegressor
    if is_category and len(np.unique(sets[0][1])) < 2:
        return float((sets[1][1] == sets[0][1][0]).mean())
    return float(kind(random_state=seed).fit(*sets[0]).score(*sets[1]))
