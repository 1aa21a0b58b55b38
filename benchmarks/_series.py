"""Series with marked stretches: read, generated, and matched with published results."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import argrelmax

FIT_ROWS = {"skab": 400}  # rows of a regular beginning, by group
FIT_SHARE = 0.25  # of other series
N_LAGS, MIN_LAG, MAX_LAG, NO_PERIOD = 400, 3, 300, 125  # of TSB-AD's period, in timestamps
MAX_PERIOD_ROWS = 20_000


@dataclass
class Labelled:
    """A series with the stretches that are marked in it."""

    group: str
    name: str
    X: np.ndarray  # (n_timestamps, n_channels)
    is_outlier: np.ndarray  # (n_timestamps,)
    n_fit: int  # rows of the beginning that a detector may be fitted to
    published: str = ""  # file in the tables of TSB-AD

    @property
    def period(self) -> int:
        """The width of the buffers of VUS in TSB-AD, in timestamps."""
        return find_period(self.X[:, 0])


def find_period(x: np.ndarray) -> int:
    """Find the period that TSB-AD takes: the highest peak of the autocorrelation."""
    x = x[:MAX_PERIOD_ROWS] - x[:MAX_PERIOD_ROWS].mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(spectrum)[MIN_LAG : min(N_LAGS + 1, len(x))]
    peaks = argrelmax(correlation)[0]
    if not len(peaks):
        return NO_PERIOD
    best = peaks[correlation[peaks].argmax()]
    return NO_PERIOD if best < MIN_LAG or best > MAX_LAG else int(best) + MIN_LAG


def read(folder: Path) -> Iterator[Labelled]:
    """Yield the series of a folder that have outliers to be found.

    Arrays of a .npz file are called ``NAME|x``, (n_timestamps,) or (n_timestamps,
    n_channels), and ``NAME|label``. A .csv file is one series, in the format of TSB-AD:
    the column ``Label`` is the last one, and ``NUMBER_GROUP_`` and ``_tr_N_`` in its name
    say the group and the length of the beginning.
    """
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            yield from _read_arrays(path.stem.split("_")[0], data)
    for path in sorted(folder.glob("*.csv")):
        yield from _read_table(path)


def _read_arrays(group: str, data) -> Iterator[Labelled]:
    for key in sorted(k for k in data if k.endswith("|x")):
        name = key.removesuffix("|x")
        if f"{name}|label" in data:
            X, y = data[key].astype(float), data[f"{name}|label"] > 0
            n_fit = FIT_ROWS.get(group, int(FIT_SHARE * len(X)))
            yield from _check(Labelled(group, name, X.reshape(len(X), -1), y, n_fit))


def _read_table(path: Path) -> Iterator[Labelled]:
    values = np.genfromtxt(path, delimiter=",", skip_header=1)
    values = values[~np.isnan(values).any(axis=1)]
    group = re.search(r"\d{3}_([A-Za-z]+)_", path.name)
    yield from _check(
        Labelled(
            f"{group[1].lower()} of TSB-AD" if group else path.stem,
            path.stem,
            values[:, :-1],
            values[:, -1] > 0,
            _number("tr", path.name) or int(FIT_SHARE * len(values)),
            re.sub(r"^tsb_ad_", "", path.name),
        )
    )


def _check(series: Labelled) -> Iterator[Labelled]:
    if 0 < series.is_outlier[series.n_fit :].mean() < 1:
        yield series


# Published results


def read_published(folder: Path) -> dict[str, dict[str, float]]:
    """Read the VUS-PR of each method, and what tells a file, by file."""
    published = {}
    for path in sorted(folder.glob("tsb_ad_*.csv")):
        with path.open() as lines:
            for row in csv.DictReader(lines):
                name = row.pop("file")
                published[name] = {key: float(value) for key, value in row.items() if value}
    return published


def methods_of(row: dict[str, float]) -> dict[str, float]:
    """Select the methods among the columns of a published row."""
    methods = {}
    for name, value in row.items():
        if name == "ts_len":  # what is behind describes the series
            break
        methods[name] = value
    return methods


def match(all_series: list[Labelled], published: dict[str, dict]) -> list[Labelled]:
    """Return the series that have published results, in the form these were taken from.

    TSB-AD has series of NAB without their first row, and without the first timestamp of
    each anomaly. Length, number of anomalies and of anomalous timestamps, and the place of
    the first one (in the file's name) have to agree.
    """
    matched = {s.published: s for s in all_series if s.published in published}
    for series in all_series:
        y = series.is_outlier
        cut = replace(series, X=series.X[1:], is_outlier=y[1:] & y[:-1])
        for name, row in published.items():
            if _agrees(cut, name, row) and name not in matched:
                n_fit = _number("tr", name)
                matched[name] = replace(cut, published=name, n_fit=n_fit or cut.n_fit)
    return [matched[name] for name in sorted(matched)]


def _agrees(series: Labelled, name: str, row: dict[str, float]) -> bool:
    starts = np.flatnonzero(np.diff(series.is_outlier.astype(int), prepend=0) == 1)
    if f"_{series.group}_" not in name.lower() or not len(starts):
        return False
    found = len(series.X), len(starts), series.is_outlier.sum(), starts[0]
    first = _number("1st", name)
    return found == (row["ts_len"], row["num_anomaly"], row["anomaly_len"], first)


def _number(what: str, name: str) -> int | None:
    """Read a number out of the name of a file of TSB-AD."""
    number = re.search(rf"_{what}_(\d+)", name)
    return int(number[1]) if number else None


# Generated series


def generated() -> Iterator[Labelled]:
    """Yield waves of one and of three channels, a stretch of each without its wave."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        t, n_channels = np.arange(3_000), 1 + 2 * (seed % 2)
        phase = rng.uniform(0, 6, n_channels)
        X = np.sin(2 * np.pi * t[:, None] / rng.integers(20, 60) + phase)
        X += rng.normal(0, 0.2, X.shape)
        start = rng.integers(1_000, 2_500)
        stretch = slice(start, start + 60)
        X[stretch] = rng.permutation(X[stretch])
        is_outlier = (t >= start) & (t < start + 60)
        yield Labelled("waves", str(seed), X, is_outlier, 750)


def with_switches() -> Iterator[Labelled]:
    """Yield machines with switches and counters among their channels.

    Three sensors follow a cycle, as do four switches; four more switches are thrown now
    and then, two counters count, and two channels never change. What goes wrong: switches
    are on together that never are, a switch chatters, a counter runs wild, a sensor stalls,
    or a channel that never changed does.
    """
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n, t = 3_000, np.arange(3_000)
        cycle = 2 * np.pi * t / rng.integers(30, 80)
        sensors = np.sin(cycle[:, None] + rng.uniform(0, 6, 3))
        sensors += rng.normal(0, 0.1, sensors.shape)
        in_cycle = np.sin(cycle[:, None] + rng.uniform(0, 6, 4)) > rng.uniform(-0.7, 0.7, 4)
        thrown = np.cumsum(rng.random((n, 4)) < 0.02, axis=0) % 2
        thrown[:, 1] &= 1 - thrown[:, 0]  # never on with the first one
        counters = rng.poisson([0.3, 6.0], (n, 2))
        constant = np.zeros((n, 2))
        start, length = rng.integers(1_200, 2_700), rng.integers(20, 120)
        stretch = slice(start, start + length)
        match seed % 5:
            case 0:
                thrown[stretch, :2] = 1
            case 1:
                in_cycle[stretch, 0] = rng.random(length) < 0.5
            case 2:
                counters[stretch, 1] = rng.poisson(14, length)
            case 3:
                sensors[stretch, 0] = sensors[start, 0] + rng.normal(0, 0.1, length)
            case 4:
                constant[stretch, 0] = 1
        X = np.c_[sensors, in_cycle, thrown, counters, constant].astype(float)
        is_outlier = (t >= start) & (t < start + length)
        yield Labelled("switches", str(seed), X, is_outlier, 750)
