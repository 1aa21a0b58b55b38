"""Frames with every kind of column."""

import datetime

import numpy as np
import pandas as pd
import polars as pl


def pandas_frame(n):
    """Make a pandas frame of n rows with every kind of column, most with missing cells.

    Age, money and job go together.
    """
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n)
    start = pd.Timestamp("2020-01-01")
    frame = pd.DataFrame(
        {
            "age": 18 + 24 * group + rng.integers(0, 9, n),
            "money": rng.lognormal(7 + group, 0.3),
            "small": rng.normal(3 * group).astype(np.float32),
            "flag": rng.random(n) < 0.5,
            "job": np.array(["nurse", "smith", "cook"])[group],
            "city": pd.Categorical(rng.choice(["Ulm", "Ghent"], n)),
            "grade": pd.Categorical(rng.choice([1, 2, 3], n), ordered=True),
            "since": start + pd.to_timedelta(rng.integers(0, int(9e8), n), unit="s"),
            "seen": start.tz_localize("Europe/Berlin")
            + pd.to_timedelta(rng.integers(0, int(9e6), n), unit="s"),
            "spent": pd.to_timedelta(rng.integers(0, int(1e6), n), unit="s"),
            "visits": pd.array(rng.integers(0, 9, n), dtype="Int8"),
            "asked": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "team": pd.array(rng.choice(["red", "blue"], n), dtype="string"),
            "told": np.array([True, np.nan, False, True] * (n // 4), dtype=object),
        }
    )
    for column in frame.columns.drop(["age", "flag", "told"]):
        frame.loc[rng.integers(0, n, n // 10), column] = np.nan
    return frame


def polars_frame(n):
    """Make a polars frame of n rows with every kind of column and missing cells."""
    first, second = datetime.date(2020, 1, 1), datetime.date(2021, 5, 3)
    noon = datetime.datetime(2020, 1, 1, 12)
    tokyo, levels = pl.Datetime("ns", "Asia/Tokyo"), pl.Enum(["low", "high", "none"])
    hour = datetime.timedelta(hours=1)
    columns = {
        "whole": ([1, 2, None, 4], pl.UInt8),
        "number": ([1.5, None, 2.5, 3.0], pl.Float32),
        "text": (["a", "b", None, "a"], pl.String),
        "category": (["x", "y", "x", None], pl.Categorical),
        "level": (["low", "high", "low", None], levels),
        "flag": ([True, False, None, True], pl.Boolean),
        "day": ([first, second, None, first], pl.Date),
        "time": ([noon, noon + 99 * hour, None, noon], tokyo),
        "duration": ([hour, None, 2 * hour, hour], pl.Duration("ms")),
        "price": (["1.25", "2.50", "3.00", None], pl.Decimal(10, 2)),
    }
    return pl.DataFrame(
        [
            pl.Series(name, n // 4 * values).cast(dtype, strict=False)
            for name, (values, dtype) in columns.items()
        ]
    )
