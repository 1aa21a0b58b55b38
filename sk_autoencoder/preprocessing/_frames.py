"""Columns of frames and arrays as numpy arrays, and frames made of them."""

from collections.abc import Hashable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

MICROSECONDS = 24 * 60 * 60 * 1_000_000  # of a day
BOOLEANS = (bool, np.bool_)
NUMBERS = (Real, Decimal)  # databases give decimals
MISSING = {"NAType", "NaTType"}  # of pandas
TIMES = {"date": date, "datetime": datetime, "duration": timedelta}  # of objects
UNITS = {
    "date": "datetime64[D]",
    "datetime": "datetime64[us]",
    "duration": "timedelta64[us]",
}


class Column(NamedTuple):
    """Cells of a column."""

    name: Hashable
    kind: str  # "number", "boolean", "category", "date", "datetime" or "duration"
    values: np.ndarray  # (n_rows,): days for times, objects for categories, else numbers
    is_missing: np.ndarray  # (n_rows,)
    is_declared: bool = False  # whether its dtype, or the user, says that it is a category
    order: tuple | None = None  # of the levels of an ordinal category, the first one first


def read_columns(X: Any, are_categories: np.ndarray | None = None) -> list[Column]:
    """Read the columns of a frame or an array.

    Parameters
    ----------
    X : frame that narwhals knows, or array-like of shape (n_samples, n_features)
    are_categories : ndarray of bool of shape (n_features,) or None
        Columns to read as categories, whatever they hold.

    Raises
    ------
    TypeError
        If a column holds what has no kind; the error names the column.
    """
    frame = as_frame(X)
    if frame is not None:
        # get_column: brackets would take a number that is a name for that of a row.
        names, columns = frame.columns, list(map(frame.get_column, frame.columns))
    else:
        array = np.asarray(X)
        names, columns = range(array.shape[1]), list(array.T)
    are_categories = np.zeros(len(names)) if are_categories is None else are_categories
    read = _read_array if frame is None else _read_series
    return [
        read(name, column, is_category)
        for name, column, is_category in zip(names, columns, are_categories, strict=True)
    ]


def is_table(X: Any, categorical_features: Any = None) -> bool:
    """Check whether X has a column that is no number, or is said to be none.

    Parameters
    ----------
    X : frame or array-like of shape (n_samples, n_features)
    categorical_features : "from_dtype", array-like or None, default=None
        As in :class:`TableEncoder`.
    """
    if not (categorical_features is None or isinstance(categorical_features, str)):
        return True
    frame = as_frame(X)
    if frame is None:
        dtype = getattr(X, "dtype", None)
        if not isinstance(dtype, np.dtype) or np.ndim(X) != 2:
            return False
        return dtype.kind in "mM" or (dtype.kind == "O" and _holds_text(X.ravel()))
    return any(map(_is_mixed, map(frame.get_column, frame.columns)))


def _is_mixed(series: nw.Series) -> bool:
    """Check whether a column of a frame is no number."""
    if series.dtype == nw.Unknown:  # a dtype of pandas alone, such as a sparse one
        return series.to_numpy().dtype.kind not in "iufc"
    return (
        _holds_text(series) if series.dtype == nw.Object else not series.dtype.is_numeric()
    )


def _holds_text(cells: Iterable) -> bool:
    """Check whether a cell is no number, nor the text of one."""
    return any(not _is_number(cell) for cell in cells)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, NUMBERS) or _is_nothing(cell):
        return True
    try:
        float(cell)
    except (TypeError, ValueError):
        return not isinstance(cell, (str, *TIMES.values()))
    return True


def object_array(values: Iterable) -> np.ndarray:
    """Make an array of one axis of Python's objects, whatever they are."""
    return np.array([*values, None], dtype=object)[:-1]


def factorize(values: Iterable[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """List the different values, and find the index of each value among them."""
    indices: dict[Hashable, int] = {}
    codes = [indices.setdefault(value, len(indices)) for value in values]
    return object_array(indices), np.array(codes, dtype=np.intp)


def as_frame(X: Any) -> nw.DataFrame | None:
    """Wrap a frame by narwhals; None for what is no frame."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _read_series(name: Hashable, series: nw.Series, is_category: bool) -> Column:
    dtype, is_missing = series.dtype, series.is_null().to_numpy().astype(bool)
    if dtype == nw.Unknown:
        return _read_array(name, series.to_numpy(), is_category)
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        levels, codes = factorize(series.to_list())  # one object for equal cells
        is_declared = is_category or dtype != nw.String
        # Enum: categories with an order, of pandas too.
        order = tuple(dtype.categories) if dtype == nw.Enum else None
        return Column(name, "category", levels[codes], is_missing, is_declared, order)
    if dtype == nw.Object or (is_category and not dtype.is_temporal()):
        values = object_array(series.to_list())
        return _read_objects(name, values, is_missing, is_category)
    if dtype.is_numeric():
        return _number(name, series.cast(nw.Float64()).to_numpy(), is_missing)
    if dtype == nw.Boolean:
        values = np.where(is_missing, False, object_array(series.to_list()))
        return Column(name, "boolean", values.astype(float), is_missing)
    if dtype in (nw.Date, nw.Datetime):
        kind = "date" if dtype == nw.Date else "datetime"
        microseconds = series.cast(nw.Datetime("us", getattr(dtype, "time_zone", None)))
        return _time(name, kind, microseconds.dt.timestamp("us"), is_missing)
    if dtype == nw.Duration:
        return _time(name, "duration", series.dt.total_microseconds(), is_missing)
    raise TypeError(
        f"Column {name!r} of X holds {dtype}, which has no meaning as a column of a table. "
        "Convert it to numbers, booleans, text or dates, or leave it out."
    )


def _read_array(name: Hashable, values: np.ndarray, is_category: bool) -> Column:
    if values.dtype.kind in "mM":
        kind = "datetime" if values.dtype.kind == "M" else "duration"
        is_missing = np.isnat(values)
        days = values.astype(UNITS[kind]).astype(np.int64) / MICROSECONDS
        return Column(name, kind, np.where(is_missing, np.nan, days), is_missing)
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported: give real and imaginary parts.")
    if values.dtype.kind == "b" and not is_category:
        return Column(name, "boolean", values.astype(float), np.zeros(len(values), bool))
    if values.dtype.kind in "iuf" and not is_category:
        values = values.astype(np.float64)
        return _number(name, values, np.isnan(values))
    values = values.astype(object)
    return _read_objects(
        name, values, np.array([_is_nothing(v) for v in values]), is_category
    )


def _is_nothing(value: Any) -> bool:
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in MISSING


def _read_objects(
    name: Hashable, values: np.ndarray, is_missing: np.ndarray, is_category: bool
) -> Column:
    """Read objects by what they are."""
    observed = values[~is_missing]
    if is_category or all(isinstance(value, str) for value in observed):
        return Column(name, "category", values, is_missing, is_category)
    if all(isinstance(value, BOOLEANS) for value in observed):
        numbers = np.where(is_missing, False, values).astype(float)
        return Column(name, "boolean", numbers, is_missing)
    if all(isinstance(value, NUMBERS) for value in observed):
        return _number(name, np.where(is_missing, np.nan, values).astype(float), is_missing)
    for kind, cls in TIMES.items():
        if all(type(value) is cls for value in observed):
            times = np.where(is_missing, None, values).astype(UNITS[kind])
            return _read_array(name, times, False)._replace(kind=kind)
    remedy = "Convert all of its cells to numbers, or to text, such as with astype(str)."
    types = sorted({type(value).__name__ for value in observed})
    raise TypeError(
        f"Column {name!r} of X holds objects of type {' and '.join(types)}: each argument "
        f"must be a string or a real number. {remedy}"
    )


def _number(name: Hashable, values: np.ndarray, is_missing: np.ndarray) -> Column:
    if np.isinf(values).any():
        raise ValueError(
            f"Column {name!r} of X contains infinity. Replace it by NaN for a missing "
            "cell, or by a number."
        )
    return Column(name, "number", values, is_missing | np.isnan(values))


def _time(name: Hashable, kind: str, microseconds: nw.Series, is_missing) -> Column:
    days = microseconds.cast(nw.Float64()).to_numpy() / MICROSECONDS
    return Column(name, kind, np.where(is_missing, np.nan, days), is_missing)


# Frames

Schema = tuple[str, list[tuple[str, dict]]]  # library; name and parameters of each dtype


def describe_frame(X: Any) -> Schema | None:
    """Describe the library and the dtypes of a frame, in what a file can hold."""
    frame = as_frame(X)
    if frame is None:
        return None
    library = frame.implementation.value
    if library == "pandas":
        return library, [_describe_pandas_dtype(dtype) for dtype in X.dtypes]
    return library, [_describe_dtype(dtype) for dtype in frame.schema.values()]


def holds_integers(schema: Schema | None, i: int) -> bool:
    """Check whether the dtype of column `i` of a frame holds integers alone."""
    return schema is not None and schema[1][i][0].lower().startswith(("int", "uint"))


def _describe_pandas_dtype(dtype: Any) -> tuple[str, dict]:
    if dtype.name != "category":
        return str(dtype), {}
    levels = dtype.categories.tolist()
    return "category", {"categories": levels, "ordered": bool(dtype.ordered)}


def _describe_dtype(dtype: nw.dtypes.DType) -> tuple[str, dict]:
    names = ("time_unit", "time_zone", "precision", "scale", "categories")
    known = {name: getattr(dtype, name) for name in names if hasattr(dtype, name)}
    if "categories" in known:
        known["categories"] = list(known["categories"])
    return type(dtype).__name__, known


def make_array(columns: list[Column]) -> np.ndarray:
    """Make an array of columns: of numbers or of times where all are, else of objects."""
    if all(_holds_numbers(column) for column in columns):
        return np.stack([_numbers(column) for column in columns], axis=1).astype(np.float64)
    kinds = {column.kind for column in columns}
    rows = np.empty((len(columns[0].values), len(columns)), dtype=object)
    for i, column in enumerate(columns):
        rows[:, i] = _objects(column)
    is_time = len(kinds) == 1 and kinds <= UNITS.keys()
    return rows.astype(UNITS[kinds.pop()]) if is_time else rows


def _holds_numbers(column: Column) -> bool:
    """Check whether a column holds numbers, as measurements or for categories."""
    if column.kind != "category":
        return column.kind in ("number", "boolean")
    levels = column.values[~column.is_missing]
    return all(isinstance(v, Real) and not isinstance(v, bool) for v in levels)


def _numbers(column: Column) -> np.ndarray:
    """Read the cells of a column that holds numbers; a missing category is NaN."""
    is_category = column.kind == "category"
    return np.where(column.is_missing & is_category, np.nan, column.values)


def _objects(column: Column) -> np.ndarray:
    """Make cells Python's objects: None for missing times and categories, else NaN."""
    cells = _cells(column)
    if unit := UNITS.get(column.kind):
        whole = np.where(column.is_missing, 0, cells).astype(np.int64)
        kind = "timedelta64[us]" if column.kind == "duration" else "datetime64[us]"
        cells = whole.astype(kind).astype(unit).astype(object)
    cells[column.is_missing] = None if column.kind in UNITS else np.nan
    return cells


def make_frame(columns: list[Column], schema: Schema, index: Any = None) -> Any:
    """Make a frame of the library and the dtypes of `schema`; pandas has an `index`."""
    library, dtypes = schema
    pairs = list(zip(columns, dtypes, strict=True))
    if library == "pandas":
        pandas = import_module("pandas")
        frame = pandas.concat([_make_pandas(*pair) for pair in pairs], axis="columns")
        return frame if index is None else frame.set_axis(index, axis="index")
    return nw.DataFrame.from_dict(
        {column.name: _make_series(column, dtype, library) for column, dtype in pairs}
    ).to_native()


def hide_cells(table: Any, is_hidden: np.ndarray) -> Any:
    """Make cells of a frame missing.

    Parameters
    ----------
    table : frame that narwhals knows
    is_hidden : ndarray of bool of shape (n_rows, n_columns)
    """
    frame = nw.from_native(table, eager_only=True)
    if frame.implementation.value == "pandas":
        return table.mask(is_hidden)
    options = {"backend": frame.implementation}
    columns = []
    for series, cells in zip(frame.iter_columns(), is_hidden.T, strict=True):
        is_kept = nw.new_series("kept", ~cells, nw.Boolean(), **options)
        nothing = nw.new_series("nothing", [None] * len(cells), series.dtype, **options)
        columns.append(series.zip_with(is_kept, nothing))
    return frame.select(*columns).to_native()


def select_columns(
    table: Any, names: np.ndarray, further: np.ndarray | None, is_kept: np.ndarray
) -> Any:
    """Select columns of a table, and append others.

    Parameters
    ----------
    table : frame or ndarray of shape (n_samples, n_features)
    names : ndarray of str
        Names of all columns of the result.
    further : ndarray of shape (n_samples, n_further) or None
        Columns to append.
    is_kept : ndarray of bool of shape (n_features,)
    """
    frame, where = as_frame(table), np.flatnonzero(is_kept).tolist()
    if frame is None:
        selected = table[:, where]
        return selected if further is None else np.hstack([selected, further])
    selected = frame[:, where]
    if further is None:
        return selected.to_native()
    library = frame.implementation
    pairs = zip(names[len(where) :].tolist(), further.T, strict=True)
    return selected.with_columns(
        nw.new_series(name, values, backend=library) for name, values in pairs
    ).to_native()


def _make_series(column: Column, dtype: tuple[str, dict], library: str) -> nw.Series:
    name, parameters = dtype
    target = getattr(nw, name)(**parameters)
    cells = _cells(column).tolist()
    if digits := parameters.get("scale"):  # of decimals, which polars may cut off
        cells = [None if c is None else round(Decimal(c), digits) for c in cells]
    if column.kind in ("number", "boolean", "category"):
        return nw.new_series(column.name, cells, target, backend=library)
    raw = nw.new_series(column.name, cells, nw.Int64(), backend=library)
    if column.kind == "duration":
        return raw.cast(nw.Duration("us")).cast(target)
    times = raw.cast(nw.Datetime("us"))
    if zone := parameters.get("time_zone"):
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return times.cast(target)


def _make_pandas(column: Column, dtype: tuple[str, dict]) -> Any:
    pandas, (name, levels) = import_module("pandas"), dtype
    target = pandas.CategoricalDtype(**levels) if levels else name
    series = pandas.Series(_cells(column), name=column.name, dtype=object)
    if column.kind == "duration":
        series = pandas.to_timedelta(series.astype("Int64"), unit="us")
    elif column.kind in ("date", "datetime"):
        series = pandas.to_datetime(series.astype("Int64"), unit="us", utc=True)
        if "," not in name:  # no time zone
            series = series.dt.tz_localize(None)
    if name == "object":
        series = pandas.Series(_objects(column), name=column.name, dtype=object)
    return series.astype(target)


def _cells(column: Column) -> np.ndarray:
    """Make cells Python's objects: whole microseconds for times, None where missing."""
    known = np.where(column.is_missing, 0, column.values)
    if column.kind == "boolean":
        cells = known > 0.5
    elif column.kind == "number":
        is_whole = (known == np.round(known)).all()
        cells = [int(value) for value in known] if is_whole else known
    elif column.kind in ("datetime", "duration"):
        cells = [round(value * MICROSECONDS) for value in known]
    elif column.kind == "date":
        cells = [round(value) * MICROSECONDS for value in known]
    else:
        cells = column.values
    result = object_array(cells)
    result[column.is_missing] = None
    return result
