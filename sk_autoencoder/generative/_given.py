"""Cells that sampled rows are given: values, levels and ranges, by column."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sk_autoencoder.preprocessing import TableEncoder
from sk_autoencoder.preprocessing._columns import hat_weights

TIMES = {"date", "datetime", "duration"}
DAY = np.timedelta64(1, "D")


def find_columns(given: Mapping, names: list, n_features: int) -> dict[int, Any]:
    """Find the columns that `given` names, by name or by index.

    Raises
    ------
    TypeError
        If `given` is no mapping.
    ValueError
        If it names no column of X.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"given={given!r} has to be a dict of columns and their values.")
    result = {}
    for which, value in given.items():
        is_index = isinstance(which, int | np.integer) and not isinstance(which, bool)
        if which in names:
            result[names.index(which)] = value
        elif is_index and -n_features <= which < n_features:
            result[int(which) % n_features] = value
        else:
            raise ValueError(f"given names {which!r}, which is no column of X.")
    return result


def as_interval(value: Any, which: str, kind: str = "number") -> tuple[float, float]:
    """Convert a value, or a tuple of two ends, to an interval of numbers."""
    ends = value if isinstance(value, tuple) else (value, value)
    try:
        if len(ends) != 2:
            raise ValueError
        low, high = (_as_number(end, kind) for end in ends)
        if not low <= high:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"given[{which}]={value!r} has to be a value, or a tuple (low, high)."
        ) from None
    return low, high


def _as_number(value: Any, kind: str) -> float:
    """Convert a number, or a time to days."""
    if kind == "duration":
        return float(np.timedelta64(value) / DAY)
    if kind in TIMES:
        return float((np.datetime64(value) - np.datetime64(0, "D")) / DAY)
    return float(value)


def check_within(interval: tuple[float, float], low: float, high: float, which: str):
    """Check that an interval meets the range of the training rows.

    Raises
    ------
    ValueError
        If it does not.
    """
    if interval[1] < low or interval[0] > high:
        raise ValueError(
            f"given[{which}] lies outside the range of the training rows, {low:.6g} to "
            f"{high:.6g}. There is nothing to learn such rows from."
        )


class GivenCells:
    """Cells of a table that are given.

    Parameters
    ----------
    table : TableEncoder
        With numbers as bins.
    given : dict of int to object
        Value, level, or range (low, high) of numbers and times, by column.
    """

    def __init__(self, table: TableEncoder, given: dict[int, Any]) -> None:
        self.table = table
        names = getattr(table, "feature_names_in_", np.arange(table.n_features_in_))
        self.names = [repr(name) for name in names.tolist()]
        self.intervals = {
            j: as_interval(value, self.names[j], table.kinds_[j])
            for j, value in given.items()
            if table.kinds_[j] != "category"
        }
        self.levels = {j: given[j] for j in given if j not in self.intervals}

    def allowed(self) -> np.ndarray:
        """Compute the probability, given a level, of what is given of its column.

        Returns
        -------
        allowed : ndarray of shape (n_levels,)
            NaN in columns of which nothing is given.
        """
        result = np.full(len(self.table.center_), np.nan)
        for j, level in self.levels.items():
            is_level = np.array([known == level for known in self.table.categories_[j]])
            if not is_level.any():
                raise ValueError(
                    f"given[{self.names[j]}]={level!r} is no level of the training rows."
                )
            result[self.table.blocks_[j]] = is_level
        for j, interval in self.intervals.items():
            result[self.table.blocks_[j]] = self._weigh_bins(j, interval)
        return result

    def _weigh_bins(self, j: int, interval: tuple[float, float]) -> np.ndarray:
        """Compute the share of each bin that lies in an interval."""
        column = self.table.encoders_[j]
        check_within(interval, column.members[0], column.members[-1], self.names[j])
        weight, is_inside = self._find_members(j, interval)
        if not is_inside.any():  # a value between two that training rows have
            return hat_weights(np.array([np.mean(interval)]), column.knots)[0]
        return weight[is_inside].sum(axis=0) / weight.sum(axis=0)

    def _find_members(self, j: int, interval) -> tuple[np.ndarray, np.ndarray]:
        """Weigh the values of a column by bins, and find those in an interval."""
        column = self.table.encoders_[j]
        weight = hat_weights(column.members, column.knots) * column.counts[:, None]
        is_inside = (column.members >= interval[0]) & (column.members <= interval[1])
        return weight, is_inside

    def put(self, sampled: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
        """Put values within given intervals into encoded rows.

        Parameters
        ----------
        sampled : ndarray of shape (n_rows, n_levels)
            With one bin for each number.
        rows : ndarray of shape (n_rows, n_levels)
            With values in place of bins.
        seed : int
        """
        rng = check_random_state(seed)
        for j, interval in self.intervals.items():
            column, block = self.table.encoders_[j], self.table.blocks_[j]
            weight, is_inside = self._find_members(j, interval)
            if is_inside.any():
                members, weight = column.members[is_inside], weight[is_inside]
                bins = sampled[:, block].argmax(axis=1)
                values = np.empty(len(rows))
                for k in np.unique(bins):
                    where = np.flatnonzero(bins == k)
                    p = weight[:, k] / weight[:, k].sum()
                    values[where] = rng.choice(members, len(where), p=p)
            else:
                values = rng.uniform(*interval, len(rows))
            rows[:, block] = hat_weights(values, column.knots)
        return rows
