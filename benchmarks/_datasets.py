"""The tables that the benchmarks run on: bundled ones, and every file of a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn import datasets

MAX_LEVELS = 20  # text columns with more distinct values are left out
MAX_CLASSES = 100  # a numeric target with more distinct values is a measurement


@dataclass
class Table:
    """A named table of floats; ``y`` holds class numbers, or None for a measurement."""

    name: str
    X: np.ndarray  # (n_samples, n_features)
    y: np.ndarray | None  # (n_samples,)
    image_shape: tuple[int, ...] = ()  # of each row, where rows are images
    target: np.ndarray | None = None  # (n_samples,), as it is in a file of text


def bundled() -> Iterator[Table]:
    """Yield the tables that come with scikit-learn."""
    for name in ("digits", "breast_cancer", "wine", "iris"):
        data = getattr(datasets, f"load_{name}")()
        yield Table(name, data.data.astype(float), data.target)
    data = datasets.load_diabetes(scaled=False)
    yield Table("diabetes", data.data.astype(float), None)


def load(folders: list[Path], max_rows: int, with_bundled: bool = True) -> Iterator[Table]:
    """Yield the bundled tables and those of every file in `folders`, by size.

    Tables of more than `max_rows` rows are cut to a random draw of that many.
    """
    tables = [*(bundled() if with_bundled else ()), *_read(folders, _read_csv)]
    for table in sorted(tables, key=lambda t: t.X.size):
        yield _cut(table, max_rows)


def load_holed(folders: list[Path], max_rows: int, with_text: bool) -> Iterator[Table]:
    """Yield the bundled tables, and those of every file with their missing cells, by size.

    Parameters
    ----------
    folders : list of Path
    max_rows : int
        Larger tables are cut to a random draw of that many rows.
    with_text : bool
        Whether columns of text become zeros and ones, or are left out.
    """
    tables = [*bundled(), *_read(folders, partial(_read_holed, with_text=with_text))]
    for table in sorted(tables, key=lambda t: t.X.size):
        if table.X.shape[1]:
            yield _cut(table, max_rows)


def strata(y: np.ndarray | None) -> np.ndarray | None:
    """Return the classes if a split can be stratified by them, else None."""
    is_split = y is not None and np.unique(y, return_counts=True)[1].min() > 1
    return y if is_split else None


def is_named(table: Table, patterns: str) -> bool:
    """Return whether the table's name fits one of the patterns, with commas between."""
    return is_named_any(table.name, patterns)


def is_named_any(name: str, patterns: str) -> bool:
    """Return whether a name fits one of the patterns, with commas between."""
    return any(fnmatch(name, pattern) for pattern in patterns.split(","))


def find_tables(
    folders: list[Path], patterns: str | None, known: str
) -> list[tuple[str, Path]]:
    """Return names and files of tables that fit patterns; None: known ones, or all."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.csv*"))]
    pairs = [(path.name.split(".csv")[0], path) for path in paths]
    if patterns is None:
        patterns = known if any(is_named_any(name, known) for name, _ in pairs) else "*"
    return [pair for pair in pairs if is_named_any(pair[0], patterns)]


def _cut(table: Table, max_rows: int) -> Table:
    if len(table.X) <= max_rows:
        return table
    rows = np.random.default_rng(0).permutation(len(table.X))[:max_rows]
    y = None if table.y is None else table.y[rows]
    target = None if table.target is None else table.target[rows]
    return Table(table.name, table.X[rows], y, table.image_shape, target)


def _read(folders: list[Path], read_text: Callable[[Path], Table]) -> Iterator[Table]:
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix == ".npz":
                yield _read_npz(path)
            elif path.name.endswith((".csv.gz", ".csv.xz", ".csv")):
                yield read_text(path)


def _read_npz(path: Path) -> Table:
    with np.load(path, allow_pickle=False) as data:
        if "indptr" in data:
            parts = [data[k].astype(np.int64) for k in ("indices", "indptr")]
            sparse = csr_array((data["data"].astype(float), *parts), tuple(data["shape"]))
            X, shape = sparse.toarray(), ()
        else:
            X = data["X"].reshape(len(data["X"]), -1).astype(float)
            shape = data["X"].shape[1:] if data["X"].ndim > 2 else ()
        y = _classes(pd.Series(data["y"])) if "y" in data else None
        return Table(path.name.split(".npz")[0], X, y, shape)


def _read_csv(path: Path) -> Table:
    frame, target = _read_frame(path)
    number = list(frame.select_dtypes("number"))
    text = [c for c in frame if c not in number and frame[c].nunique() <= MAX_LEVELS]
    frame[number] = frame[number].fillna(frame[number].median())
    X = pd.get_dummies(frame[number + text], columns=text).dropna(axis="columns")
    return Table(path.name.split(".csv")[0], X.to_numpy(float), _classes(target))


def _read_frame(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows that have a target, and the targets: the last column."""
    frame = pd.read_csv(path)
    target = frame.pop(frame.columns[-1])
    kept = target.notna()
    return frame[kept], target[kept]


def _read_holed(path: Path, with_text: bool) -> Table:
    frame, target = _read_frame(path)
    number = frame.select_dtypes("number")
    parts = [number]
    for name in frame.columns.difference(number.columns, sort=False) if with_text else ():
        column = frame[name]
        if column.nunique() <= MAX_LEVELS:
            dummies = pd.get_dummies(column, prefix=name, dtype=float)
            parts.append(dummies.where(column.notna()))
    X = pd.concat(parts, axis="columns").dropna(axis="columns", how="all")
    X = X.to_numpy(float)
    some = ~np.isnan(X).all(axis=1)
    y = _classes(target)
    y = None if y is None else y[some]
    name = path.name.split(".csv")[0]
    return Table(name, X[some], y, target=target.to_numpy()[some])


def _classes(target: pd.Series) -> np.ndarray | None:
    is_number = pd.api.types.is_numeric_dtype(target)
    is_measured = is_number and (target.nunique() > MAX_CLASSES or (target % 1 != 0).any())
    if is_measured or target.nunique() < 2:
        return None
    return pd.factorize(target, sort=True)[0]
