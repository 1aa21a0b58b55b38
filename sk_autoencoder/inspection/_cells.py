"""Errors of cells, in units in which the mean of a column has an error of 1."""

from typing import NamedTuple

import numpy as np

from sk_autoencoder.preprocessing._frames import Column, read_columns


class CellErrors(NamedTuple):
    """Errors of the cells of a table, and the cells themselves.

    Attributes
    ----------
    errors : ndarray of shape (n_rows, n_columns)
        Squared error over the variance of a column of numbers; for categories, whether the
        cell is wrong, over the share of cells that the most frequent level gets wrong. NaN
        for missing cells and for columns that do not vary.
    true, reconstructed : list of Column
    """

    errors: np.ndarray
    true: list[Column]
    reconstructed: list[Column]

    def explained(self) -> np.ndarray:
        """Compute R² of each column, of shape (n_columns,); NaN for constant ones."""
        is_known = np.isfinite(self.errors)
        total = np.where(is_known, self.errors, 0).sum(axis=0)
        n_known = is_known.sum(axis=0)
        return np.where(n_known > 0, 1 - total / np.maximum(n_known, 1), np.nan)

    def by_row(self) -> np.ndarray:
        """Average the errors over the columns of each row, of shape (n_rows,)."""
        is_known = np.isfinite(self.errors)
        total = np.where(is_known, self.errors, 0).sum(axis=1)
        return total / np.maximum(is_known.sum(axis=1), 1)


def compare_cells(X, X_reconstructed, is_compared: np.ndarray | None = None) -> CellErrors:
    """Compare the cells of a table with their reconstructions.

    Parameters
    ----------
    X, X_reconstructed : frame or ndarray of shape (n_rows, n_columns)
    is_compared : ndarray of bool of shape (n_rows, n_columns) or None, default=None
        The cells to compare; None takes all.
    """
    true, other = read_columns(X), read_columns(X_reconstructed)
    errors = np.stack(list(map(_column_errors, true, other)), axis=1)
    if is_compared is not None:
        errors[~is_compared] = np.nan
    return CellErrors(errors, true, other)


def _column_errors(true: Column, other: Column) -> np.ndarray:
    is_known = ~true.is_missing
    result = np.full(len(is_known), np.nan)
    if not is_known.any():
        return result
    if true.kind == "category":
        cells = np.array([str(value) for value in true.values[is_known]])
        guesses = np.array([str(value) for value in other.values[is_known]])
        counts = np.unique(cells, return_counts=True)[1]
        unit = 1 - counts.max() / counts.sum()
        errors = (cells != guesses).astype(float)
    else:
        cells = true.values[is_known].astype(float)
        guesses = np.where(other.is_missing, np.nan, other.values)[is_known].astype(float)
        unit, largest = cells.var(), np.abs(cells).max()
        if unit <= (np.finfo(float).eps * largest) ** 2:
            unit = 0.0
        errors = (cells - guesses) ** 2
    if unit:
        result[is_known] = errors / unit
    return result


def format_cell(column: Column, row: int) -> str:
    """Write a cell as text."""
    if column.is_missing[row]:
        return "missing"
    value = column.values[row]
    if column.kind == "category":
        return str(value)
    if column.kind == "boolean":
        return str(bool(value > 0.5))
    if column.kind in ("date", "datetime"):
        return str(np.datetime64(0, "D") + np.timedelta64(round(value), "D"))
    if column.kind == "duration":
        return f"{value:.4g} days"
    return f"{value:.4g}"
