"""Columns of each kind as blocks of numbers, and back."""

import warnings
from collections import Counter
from typing import ClassVar

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sk_autoencoder.preprocessing._frames import Column, object_array

MIN_TEXT_LEVELS = 30  # fewer different texts are categories
CYCLES = {"weekday": 7.0, "yearday": 365.2425, "hour": 1.0}  # in days
OFFSETS = {"weekday": 3.0, "yearday": 0.0, "hour": 0.0}  # weeks begin on Mondays
MIN_CYCLES = 1.0  # that the observed times span, for the parts of a cycle to be told apart


class NumberColumn:
    """A number as it is; whole where all were, and within the observed range."""

    def __init__(self, clip: bool) -> None:
        self.clip = clip

    def fit(self, column: Column) -> "NumberColumn":
        observed = column.values[~column.is_missing]
        self.is_whole = bool((observed == np.round(observed)).all())
        self.low, self.high = observed.min(initial=np.inf), observed.max(initial=-np.inf)
        self.is_empty = len(observed) == 0
        return self

    def suffixes(self) -> list[str]:
        return [] if self.is_empty else [""]

    def encode(self, column: Column) -> np.ndarray:
        values = np.where(column.is_missing, np.nan, column.values)
        return values[:, None][:, self.is_empty :]

    def decode(self, block: np.ndarray) -> np.ndarray:
        if self.is_empty:
            return np.full(len(block), np.nan)
        values = block[:, 0]
        if self.clip and self.low <= self.high:
            values = values.clip(self.low, self.high)
        return np.round(values) if self.is_whole else values


class BooleanColumn(NumberColumn):
    """A boolean as 0 and 1."""

    def __init__(self) -> None:
        super().__init__(clip=False)

    def decode(self, block: np.ndarray) -> np.ndarray:
        values = super().decode(block)
        return np.where(np.isnan(values), np.nan, values > 0.5)


class TimeColumn(NumberColumn):
    """A time as days, and sines and cosines of its place in the week, year and day.

    The parts of a cycle are left out where the observed times do not tell them apart.
    """

    def fit(self, column: Column) -> "TimeColumn":
        super().fit(column)
        observed = column.values[~column.is_missing]
        self.is_whole = False  # days are rounded to microseconds, or to days
        self.cycles = [
            name
            for name, days in CYCLES.items()
            if column.kind != "duration"
            and self.high - self.low >= MIN_CYCLES * days
            and np.ptp(self._angle(observed, name)) > 0
        ]
        return self

    def _angle(self, days: np.ndarray, cycle: str) -> np.ndarray:
        return 2 * np.pi * ((days + OFFSETS[cycle]) / CYCLES[cycle] % 1)

    def suffixes(self) -> list[str]:
        if self.is_empty:
            return []
        parts = [f"_{cycle}_{part}" for cycle in self.cycles for part in ("sin", "cos")]
        return ["", *parts]

    def encode(self, column: Column) -> np.ndarray:
        days = super().encode(column)
        angles = [self._angle(days, cycle) for cycle in self.cycles]
        return np.hstack([days, *(f(a) for a in angles for f in (np.sin, np.cos))])


class CategoryColumn:
    """A category as zeros and ones, by scikit-learn's OneHotEncoder.

    Rare levels share a column. A row of an unknown level, where no rare ones were seen, has
    the frequencies of the levels: nothing is known of it.
    """

    REMEDY: ClassVar[str] = (
        "For a text take sklearn.feature_extraction.text.TfidfVectorizer or "
        "skrub.TextEncoder; leave an id out. If it holds categories, say so with "
        "categorical_features."
    )

    def __init__(self, min_frequency, max_categories) -> None:
        self.encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=min_frequency,
            max_categories=max_categories,
            sparse_output=False,
        )

    def fit(self, column: Column) -> "CategoryColumn":
        observed = column.values[~column.is_missing]
        n_levels = len(set(observed))
        if not column.is_declared and n_levels > max(MIN_TEXT_LEVELS, len(observed) / 2):
            raise ValueError(
                f"Column {column.name!r} of X holds {n_levels} different texts in "
                f"{len(observed)} cells ({observed[0]!r:.40}): it is free text or an id, "
                f"and no category. {self.REMEDY}"
            )
        self.has_levels = n_levels > 0
        if not self.has_levels:
            return self
        self.frequencies = self._fit_encoder(observed[:, None]).mean(axis=0)
        counts, rare = Counter(observed), self.encoder.infrequent_categories_[0]
        rare = set() if rare is None else set(rare)
        levels = [level for level in self.encoder.categories_[0] if level not in rare]
        if rare:  # they come back as the most frequent of them
            levels.append(max(rare, key=lambda level: (counts[level], str(level))))
        self.levels = object_array(levels)
        return self

    def _fit_encoder(self, cells: np.ndarray) -> np.ndarray:
        try:
            return self.encoder.fit_transform(cells)
        except TypeError:  # levels of several types have no order
            self.encoder.set_params(categories=[list(dict.fromkeys(cells[:, 0]))])
            return self.encoder.fit_transform(cells)

    def suffixes(self) -> list[str]:
        if not self.has_levels:
            return []
        return [name[len("x") :] for name in self.encoder.get_feature_names_out(["x"])]

    def encode(self, column: Column) -> np.ndarray:
        block = np.full((len(column.values), len(self.suffixes())), np.nan)
        seen = ~column.is_missing
        if not self.has_levels or not seen.any():
            return block
        observed = column.values[seen]
        known = set(self.encoder.categories_[0])
        if unknown := [value for value in dict.fromkeys(observed) if value not in known]:
            warnings.warn(
                f"Column {column.name!r} of X holds categories that fit has not seen: "
                f"{', '.join(map(repr, unknown[:5]))}. They are encoded as infrequent "
                "ones, or by the frequencies of all where none are infrequent.",
                stacklevel=4,
            )
        with warnings.catch_warnings(action="ignore"):  # of the same
            encoded = self.encoder.transform(observed[:, None])
        encoded[encoded.sum(axis=1) == 0] = self.frequencies
        block[seen] = encoded
        return block

    def decode(self, block: np.ndarray) -> np.ndarray:
        result = np.full(len(block), None, dtype=object)
        seen = ~np.isnan(block).any(axis=1)
        if self.has_levels:
            result[seen] = self.levels[block[seen].argmax(axis=1)]
        return result


def make_column(column: Column, min_frequency, max_categories, clip: bool):
    """Make the encoder of a column by its kind, and fit it."""
    if column.kind == "category":
        return CategoryColumn(min_frequency, max_categories).fit(column)
    if column.kind == "boolean":
        return BooleanColumn().fit(column)
    kind = NumberColumn if column.kind == "number" else TimeColumn
    return kind(clip).fit(column)
