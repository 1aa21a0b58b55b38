"""Columns of each kind as blocks of numbers, and back."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sk_autoencoder.preprocessing._frames import Column, factorize, object_array
from sk_autoencoder.utils._warnings import warn_user

MAX_KNOTS = 64  # of a number that is encoded by bins
MAX_MEMBERS = 10_000  # values of a number that are kept, to draw from
MIN_TEXT_LEVELS = 30  # fewer different texts are categories
CYCLES = {"weekday": 7.0, "yearday": 365.2425, "hour": 1.0}  # in days
OFFSETS = {"weekday": 3.0, "yearday": 0.0, "hour": 0.0}  # weeks begin on Mondays
MIN_CYCLES = 1.0  # that the observed times span, for the parts of a cycle to be told apart


class NumberColumn:
    """A number as it is, and within the observed range."""

    holds_probabilities = False

    def __init__(self, clip: bool) -> None:
        self.clip = clip

    def fit(self, column: Column) -> "NumberColumn":
        observed = column.values[~column.is_missing]
        self.is_whole = bool((observed == np.round(observed)).all())
        self.low, self.high = observed.min(initial=np.inf), observed.max(initial=-np.inf)
        self.is_empty = len(observed) == 0
        return self

    def spread(self, block: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return block

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
        return values


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


class BinnedColumn:
    """A number as weights of the two knots around it, which add up to one.

    The knots are quantiles, and each value of many cells is a knot. The mean of the knots
    with these weights is the number: the encoding loses nothing [1]_.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features
       in tabular deep learning", NeurIPS 2022.
    """

    holds_probabilities = True

    def fit(self, column: Column) -> "BinnedColumn":
        observed = column.values[~column.is_missing]
        self.is_whole = column.kind == "number" and bool((observed % 1 == 0).all())
        values, counts = np.unique(observed, return_counts=True)
        self.knots = choose_knots(values, counts)
        where = np.linspace(0, len(values) - 1, min(len(values), MAX_MEMBERS)).astype(int)
        where = np.union1d(where, np.searchsorted(values, self.knots))  # each knot has one
        self.members, self.counts = values[where], counts[where]
        return self

    def suffixes(self) -> list[str]:
        return [f"_{knot:.6g}" for knot in self.knots]

    def encode(self, column: Column) -> np.ndarray:
        block = hat_weights(np.where(column.is_missing, np.nan, column.values), self.knots)
        block[column.is_missing] = np.nan
        return block

    def decode(self, block: np.ndarray) -> np.ndarray:
        if not len(self.knots):
            return np.full(len(block), np.nan)
        return block @ self.knots

    def spread(self, block: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Replace knots that were drawn by values of fit around them."""
        if not len(self.knots):
            return block
        members = hat_weights(self.members, self.knots) * self.counts[:, None]
        cumulated = np.cumsum(members, axis=0)
        knot = block.argmax(axis=1)
        result = np.empty(len(block))
        for k in np.unique(knot):
            rows = np.flatnonzero(knot == k)
            drawn = rng.uniform(0, cumulated[-1, k], len(rows))
            where = np.searchsorted(cumulated[:, k], drawn, side="right")
            result[rows] = self.members[where.clip(max=len(self.members) - 1)]
        return hat_weights(result, self.knots)


def choose_knots(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Choose knots: values of many cells, and quantiles of the others, with both ends."""
    if len(values) <= MAX_KNOTS:
        return values
    is_heavy = counts >= counts.sum() / MAX_KNOTS
    others, weights = values[~is_heavy], np.cumsum(counts[~is_heavy])
    levels = np.linspace(0, 1, MAX_KNOTS - is_heavy.sum()) * weights[-1]
    where = np.searchsorted(weights, levels).clip(max=len(others) - 1)
    return np.union1d(values[is_heavy], np.r_[values[[0, -1]], others[where]])


def hat_weights(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Weigh the two knots around each value, (n_values, n_knots); NaN has none."""
    block = np.zeros((len(values), len(knots)))
    if not len(knots):
        return block
    known = np.flatnonzero(~np.isnan(values))
    inside = values[known].clip(knots[0], knots[-1])
    upper = np.searchsorted(knots, inside, side="left").clip(min=min(1, len(knots) - 1))
    lower = np.maximum(upper - 1, 0)
    gap = knots[upper] - knots[lower]
    share = np.divide(inside - knots[lower], gap, out=np.ones_like(gap), where=gap > 0)
    block[known, lower] = 1 - share
    block[known, upper] = share
    return block


class CategoryColumn:
    """A category as zeros and ones, by scikit-learn's OneHotEncoder.

    Rare levels share a column. A row of an unknown level, where no rare ones were seen, has
    the frequencies of the levels: nothing is known of it.
    """

    holds_probabilities = True
    is_ordinal = False
    is_whole = False  # levels are no numbers to round

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
        values, codes = factorize(observed)
        n_levels = len(values)
        if not column.is_declared and n_levels > max(MIN_TEXT_LEVELS, len(observed) / 2):
            raise ValueError(
                f"Column {column.name!r} of X holds {n_levels} different texts in "
                f"{len(observed)} cells ({observed[0]!r:.40}): it is free text or an id, "
                f"and no category. {self.REMEDY}"
            )
        self.has_levels = n_levels > 0
        if not self.has_levels:
            return self
        self._fit_encoder(observed[:, None], values)
        n_cells = np.bincount(codes)
        self.frequencies = n_cells @ self.encoder.transform(values[:, None]) / len(observed)
        rare = set(self._rare_levels())
        levels = [level for level in self.encoder.categories_[0] if level not in rare]
        if rare:  # they come back as the most frequent of them
            counts = dict(zip(values, n_cells, strict=True))
            levels.append(max(rare, key=lambda level: (counts[level], str(level))))
        self.levels = object_array(levels)
        return self

    def _fit_encoder(self, cells: np.ndarray, values: np.ndarray) -> None:
        try:
            self.encoder.fit(cells)
        except TypeError:  # levels of several types have no order
            self.encoder.set_params(categories=[values.tolist()]).fit(cells)

    def _rare_levels(self) -> Sequence:
        """List the levels that share a column."""
        # The attribute is missing if no level can be rare, and holds None if none is.
        rare = getattr(self.encoder, "infrequent_categories_", [None])[0]
        return [] if rare is None else rare

    def probabilities(self, block: np.ndarray) -> np.ndarray:
        """Read the probabilities of levels (n_rows, n_levels) from encoded cells."""
        return block

    def spread(self, block: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        return block

    def suffixes(self) -> list[str]:
        if not self.has_levels:
            return []
        return [name[len("x") :] for name in self.encoder.get_feature_names_out(["x"])]

    def encode(self, column: Column) -> np.ndarray:
        missing = np.full((1, len(self.suffixes())), np.nan)
        codes = np.full(len(column.values), -1)
        if not self.has_levels or column.is_missing.all():
            return missing[codes]
        seen = ~column.is_missing
        values, codes[seen] = factorize(column.values[seen])
        known = set(self.encoder.categories_[0])
        if unknown := [value for value in values if value not in known]:
            warn_user(
                f"Column {column.name!r} of X holds categories that fit has not seen: "
                f"{', '.join(map(repr, unknown[:5]))}. They are encoded as infrequent "
                "ones, or by the frequencies of all where none are infrequent.",
            )
        with warnings.catch_warnings(action="ignore"):  # of the same
            blocks = self.encoder.transform(values[:, None])
        blocks[blocks.sum(axis=1) == 0] = self.frequencies
        return np.vstack([blocks, missing])[codes]

    def lookup(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List the levels of fit, the block of each, and that of an unknown level."""
        levels = self.encoder.categories_[0] if self.has_levels else np.empty(0, object)
        blocks = np.zeros((len(levels), len(self.suffixes())))
        if not self.has_levels:
            return levels, blocks, np.zeros(0)
        blocks = self.encoder.transform(levels[:, None])
        rare, unknown = self._rare_levels(), self.frequencies
        if len(rare):
            unknown = self.encoder.transform(np.array([rare[:1]], object).reshape(1, 1))[0]
        return levels, blocks, unknown

    def decode(self, block: np.ndarray) -> np.ndarray:
        result = np.full(len(block), None, dtype=object)
        seen = ~np.isnan(block).any(axis=1)
        if self.has_levels:
            result[seen] = self.levels[self.probabilities(block[seen]).argmax(axis=1)]
        return result


class OrdinalColumn(CategoryColumn):
    """A category with an order: for each level, whether a cell is that one or a later one.

    Levels that lie near each other have similar entries, and the first principal axis of
    the block is about the rank of the level. Rare levels stay apart.
    """

    is_ordinal = True

    def __init__(self) -> None:
        super().__init__(None, None)

    def fit(self, column: Column) -> "OrdinalColumn":
        self.order = column.order
        super().fit(column)
        return self

    def _fit_encoder(self, cells: np.ndarray, values: np.ndarray) -> None:
        seen = set(values)
        levels = [level for level in self.order if level in seen]
        self.encoder.set_params(categories=[levels]).fit(cells)

    def probabilities(self, block: np.ndarray) -> np.ndarray:
        return block - np.pad(block[:, 1:], [(0, 0), (0, 1)])

    def suffixes(self) -> list[str]:
        return [f"_from{suffix}" for suffix in super().suffixes()]

    def encode(self, column: Column) -> np.ndarray:
        return _sum_from_end(super().encode(column))

    def lookup(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        levels, blocks, unknown = super().lookup()
        return levels, _sum_from_end(blocks), _sum_from_end(unknown)


def _sum_from_end(levels: np.ndarray) -> np.ndarray:
    return levels[..., ::-1].cumsum(axis=-1)[..., ::-1]


def make_column(
    column: Column, min_frequency, max_categories, clip: bool, numbers: str = "value"
):
    """Make the encoder of a column by its kind, and fit it."""
    if column.order is not None and numbers == "value":
        return OrdinalColumn().fit(column)
    if column.kind == "category":
        return CategoryColumn(min_frequency, max_categories).fit(column)
    if numbers == "bins":
        return BinnedColumn().fit(column)
    if column.kind == "boolean":
        return BooleanColumn().fit(column)
    kind = NumberColumn if column.kind == "number" else TimeColumn
    return kind(clip).fit(column)
