"""Time series: windows without copies, a score for every timestamp, several series."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from memory import peak_memory
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TimeSeriesOutlierDetector,
    VAETransformer,
)
from sk_autoencoder.nn import Temporal
from sk_autoencoder.outliers._period import estimate_window
from sk_autoencoder.outliers._stretches import find_stretches
from sk_autoencoder.outliers._timestamps import find_positions, find_step
from sk_autoencoder.outliers._window_autoencoder import (
    WindowScore,
    fit_window_autoencoder,
)
from sk_autoencoder.outliers._windows import (
    Series,
    choose_stride,
    overlap_average,
    window_view,
)

PERIOD, SILENT = 25, slice(600, 640)


class Sum(IsolationForest):
    """Scores the sum of a row: what windows make of it is known."""

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return X.sum(axis=1)


@pytest.fixture(scope="module")
def wave():
    """A wave that stops for a while, (1000, 1)."""
    X = np.sin(2 * np.pi * np.arange(1000) / PERIOD)[:, None]
    X[SILENT] = 0
    return X + np.random.default_rng(0).normal(0, 0.1, X.shape)


@pytest.fixture(scope="module")
def waves(wave):
    """Three channels, of which the second stops for a while."""
    t = np.arange(1000)[:, None]
    others = np.sin(2 * np.pi * (t + np.array([5, 9])) / PERIOD)
    others += np.random.default_rng(1).normal(0, 0.1, others.shape)
    return np.c_[others[:, :1], wave, others[:, 1:]]


@pytest.mark.parametrize("n_channels", [1, 3])
def test_windows_are_views(n_channels):
    rows = np.arange(20.0 * n_channels).reshape(20, n_channels)
    view = window_view(rows, 6)
    assert view.shape == (15, 6 * n_channels)
    assert np.shares_memory(view, rows)
    for i in range(15):
        np.testing.assert_array_equal(view[i], rows[i : i + 6].ravel())


@pytest.mark.parametrize(
    ("window", "stride", "found_stride"),
    [(12, 1, 1), (12, 3, 3), (12, 7, 7), (12, 50, 50), (12, "auto", 1), (96, "auto", 3)],
)
def test_a_timestamp_scores_the_mean_over_the_windows_that_cover_it(
    waves, window, stride, found_stride
):
    X = waves[:200]
    detector = TimeSeriesOutlierDetector(Sum(), window=window, stride=stride).fit(X)
    assert detector.stride_ == found_stride
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    last = 200 - window
    starts = sorted({*range(0, last + 1, found_stride), last})
    expected = np.empty(200)
    for t in range(200):
        covering = [scaled[s : s + window].sum() for s in starts if s <= t < s + window]
        expected[t] = np.mean(covering) if covering else np.nan
    found = detector.score_samples(X)
    covered = ~np.isnan(expected)
    assert covered.all() or found_stride > window
    np.testing.assert_allclose(found[covered], expected[covered], atol=1e-9)
    assert np.isfinite(found).all()


def test_large_scores_leave_no_rounding_behind():
    values = np.r_[1e16, np.ones(50)]
    means = overlap_average(values, np.arange(51), 5, 55)
    np.testing.assert_array_equal(means[5:], 1)


def test_a_window_of_one_is_the_detector_on_rows(iris):
    ours = TimeSeriesOutlierDetector(IsolationForest(random_state=0), window=1).fit(iris)
    forest = IsolationForest(random_state=0).fit((iris - iris.mean(0)) / iris.std(0))
    expected = forest.score_samples((iris - iris.mean(0)) / iris.std(0))
    np.testing.assert_allclose(ours.score_samples(iris), expected)


def test_a_stride_leaves_enough_windows_over_a_timestamp():
    strides = [choose_stride(160, n) for n in (1, 20, 40, 80, 500)]
    assert strides == [5, 5, 10, 20, 20]
    assert choose_stride(5, 100) == 1


def test_long_windows_are_all_fitted_to_and_some_are_scored(waves):
    auto = TimeSeriesOutlierDetector(window=128, random_state=0).fit(waves)
    full = TimeSeriesOutlierDetector(window=128, stride=1, random_state=0).fit(waves)
    assert (auto.stride_, full.stride_) == (4, 1)
    rows = window_view(auto.scaler_.transform(waves), 128)
    np.testing.assert_array_equal(*(d.detector_.transform(rows) for d in (auto, full)))
    scores = [d.score_samples(waves) for d in (auto, full)]
    assert np.corrcoef(scores)[0, 1] > 0.99


@pytest.mark.parametrize("channels", [[0], [0, 1, 2]])
def test_it_finds_where_a_wave_stops(wave, waves, channels):
    X = wave if len(channels) == 1 else waves
    detector = TimeSeriesOutlierDetector(random_state=0).fit(X)
    assert detector.window_ == PERIOD
    is_outlier = np.zeros(1000, bool)
    is_outlier[SILENT] = True
    assert roc_auc_score(is_outlier, -detector.score_samples(X)) > 0.95
    # Single values say nothing: a silent one is an ordinary one.
    rows = AutoencoderOutlierDetector(random_state=0).fit(X)
    if len(channels) == 1:
        assert roc_auc_score(is_outlier, -rows.score_samples(X)) < 0.7
    assert (detector.predict(X)[605:635] == -1).all()


def test_explain_names_the_channel(waves):
    frame = pd.DataFrame(waves, columns=list("abc"))
    detector = TimeSeriesOutlierDetector(random_state=0).fit(frame)
    shares = detector.explain(frame)
    assert (shares.iloc[605:635].idxmax(axis="columns") == "b").all()
    assert (shares.to_numpy() >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), -detector.score_samples(frame))
    assert not hasattr(TimeSeriesOutlierDetector(IsolationForest()), "explain")


def test_no_window_crosses_from_one_series_to_the_next(waves):
    groups = np.repeat(["b", "a", "c"], [400, 250, 350])
    detector = TimeSeriesOutlierDetector(random_state=0).fit(waves, groups=groups)
    whole = detector.score_samples(waves, groups)
    for name in "abc":
        alone = detector.score_samples(waves[groups == name])
        np.testing.assert_allclose(whole[groups == name], alone, rtol=1e-9)
    turns = np.random.default_rng(0).permutation(groups)  # rows of a series in order
    order = np.empty(1000, int)
    for name in "abc":
        order[turns == name] = np.flatnonzero(groups == name)
    mixed = detector.score_samples(waves[order], turns)
    np.testing.assert_allclose(mixed, whole[order], rtol=1e-9)
    np.testing.assert_array_equal(
        clone(detector).fit_predict(waves, groups=groups), detector.predict(waves, groups)
    )
    assert not np.allclose(whole, detector.score_samples(waves))


def test_gaps_are_allowed_and_scored(waves):
    X = waves.copy()
    X[200:220, 0] = np.nan
    X[300:360] = np.nan  # longer than two windows
    X[:5] = np.nan
    detector = TimeSeriesOutlierDetector(random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    assert 600 - PERIOD < scores.argmin() < 640 + PERIOD
    unknown = scores[299 + PERIOD : 360 - PERIOD + 1]  # no window there has a value
    np.testing.assert_allclose(np.diff(unknown, n=2), 0, atol=1e-9)
    with pytest.raises(ValueError, match="NaN"):
        TimeSeriesOutlierDetector(LocalOutlierFactor(novelty=True)).fit(X)
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="Column 1 of X has no observed value"):
        TimeSeriesOutlierDetector().fit(X)


INNER = [
    IsolationForest(random_state=0),
    LocalOutlierFactor(novelty=True),
    AutoencoderOutlierDetector(n_estimators=2),
    VAETransformer(2, max_epochs=2),
    AutoencoderTransformer(4, network=Temporal(channels=(8, 8)), max_epochs=3),
]


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: type(inner).__name__)
def test_any_detector_may_stand_inside(waves, inner):
    detector = TimeSeriesOutlierDetector(inner, window=20, stride=5, random_state=0)
    first = detector.fit(waves).decision_function(waves)
    assert first.shape == (1000,)
    np.testing.assert_array_equal(
        first, clone(detector).fit(waves).decision_function(waves)
    )
    assert detector.get_params()["detector"] is inner


@pytest.mark.parametrize(("window", "n_channels"), [(2, 3), (7, 1), (33, 3)])
def test_temporal_networks_take_any_window(waves, window, n_channels):
    network = Temporal(channels=(4, 8, 8), kernel_size=3, dropout=0.1)
    inner = AutoencoderTransformer(2, network=network, max_epochs=3)
    detector = TimeSeriesOutlierDetector(inner, window=window, stride=4, random_state=0)
    detector.fit(waves[:, :n_channels])
    assert detector.detector_.network.n_channels == n_channels
    assert network.n_channels is None
    module = detector.detector_.network_
    windows = window_view(np.ascontiguousarray(waves[:, :n_channels]), window)
    assert detector.detector_.reconstruct(windows).shape == windows.shape
    assert module.decoder[-1].to_maps.window == window


def test_temporal_networks_say_what_does_not_fit(waves):
    def fit(**parameters):
        inner = AutoencoderTransformer(2, network=Temporal(**parameters))
        inner.fit(waves[:, :2])

    with pytest.raises(ValueError, match="n_channels=3 does not divide the 2 columns"):
        fit(n_channels=3)
    with pytest.raises(ValueError, match="kernel_size=4 has to be odd"):
        fit(kernel_size=4)


def test_the_window_follows_the_autocorrelation(wave):
    rng = np.random.default_rng(0)

    def window(X):
        return estimate_window(Series(X, None))

    assert window(wave) == PERIOD
    assert [window(rng.normal(size=(n, 2))) for n in (2, 20, 300, 5000)] == [1] * 4
    assert window(np.ones((100, 2))) == 1
    walk = np.cumsum(rng.normal(size=(3200, 1)), axis=0)
    assert [window(walk[:n]) for n in (3200, 1600, 100)] == [200, 100, 8]
    holes = wave.copy()
    holes[rng.random(1000) < 0.2] = np.nan
    assert abs(window(holes) - PERIOD) <= 1  # gaps blur the peak


def test_a_series_shorter_than_a_window_is_named(waves):
    groups = np.repeat([7, 8], [990, 10])
    detector = TimeSeriesOutlierDetector(Sum(), window=20)
    with pytest.raises(ValueError, match=r"Series 8 of groups .*=10 timestamps.*window=20"):
        detector.fit(waves, groups=groups)
    with pytest.raises(ValueError, match=r"X has n_samples=19 timestamps.*window=20"):
        detector.fit(waves).predict(waves[:19])
    assert detector.score_samples(waves[:20]).shape == (20,)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        detector.fit(waves, groups=[1, 2])


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_contamination_is_a_share_of_timestamps(waves, contamination):
    detector = TimeSeriesOutlierDetector(
        IsolationForest(random_state=0), contamination=contamination
    )
    share = (detector.fit_predict(waves) == -1).mean()
    assert share == pytest.approx(contamination, abs=0.002)


def test_a_series_without_a_value_is_named(waves):
    groups, X = np.repeat(["a", "b"], 500), waves.copy()
    X[groups == "b"] = np.nan
    detector = TimeSeriesOutlierDetector(IsolationForest(random_state=0), window=20)
    with pytest.raises(ValueError, match="Series b of groups has no observed value"):
        detector.fit(X, groups=groups)


def test_the_unit_of_a_channel_does_not_matter(waves):
    detector = TimeSeriesOutlierDetector(random_state=0)
    expected = detector.fit(waves).score_samples(waves)
    X = waves * [1e-3, 1, 1e6] + [5, 0, -1e6]
    found = clone(detector).fit(X).score_samples(X)
    assert np.corrcoef(expected, found)[0, 1] > 0.999


def test_parameters_of_the_detector_can_be_searched(wave):
    inner = AutoencoderTransformer(max_epochs=2, random_state=0)
    search = GridSearchCV(
        TimeSeriesOutlierDetector(inner, window=10),
        {"detector__n_components": [1, 5]},
        scoring=lambda fitted, X, y=None: fitted.score_samples(X).mean(),
        cv=2,
    )
    assert search.fit(wave).best_params_ == {"detector__n_components": 5}


def test_scoring_needs_no_copy_of_all_windows():
    X = np.random.default_rng(0).normal(size=(60_000, 2))
    detector = TimeSeriesOutlierDetector(Sum(), window=100).fit(X[:1000])
    peak = peak_memory(lambda: detector.score_samples(X))
    assert peak < 30 * X.nbytes  # all windows would be 100 times as large


@pytest.mark.slow
def test_it_finds_what_it_can_reconstruct_but_never_saw():
    t = np.arange(2000)
    X = np.sin(2 * np.pi * t / PERIOD) + 0.05 * np.random.default_rng(0).normal(size=2000)
    X += np.sin(2 * np.pi * t / 900)  # levels are among what windows differ in
    X[1500:1600] += 4
    is_outlier = (t >= 1500) & (t < 1600)
    is_clear = is_outlier | (t <= 1500 - PERIOD) | (t >= 1600 + PERIOD)

    def auroc(detector):
        scores = detector.fit(X[:1000, None]).score_samples(X[:, None])
        return roc_auc_score(is_outlier[is_clear], -scores[is_clear])

    errors = AutoencoderTransformer(4, max_epochs=0, early_stopping=False)
    assert auroc(TimeSeriesOutlierDetector(errors, window=PERIOD)) < 0.8
    detector = TimeSeriesOutlierDetector(window=PERIOD, random_state=0)
    assert auroc(detector) > 0.99
    shares = detector.explain(X[:, None])
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), -detector.score_samples(X[:, None]))


def test_an_ordinary_stretch_scores_about_minus_one(wave, waves):
    for X in (wave, waves):
        scores = TimeSeriesOutlierDetector(random_state=0).fit(X).score_samples(X)
        assert 0.7 < -np.median(scores) < 2


def test_the_larger_of_error_and_distance_counts():
    cells = np.array([[1.0, 3.0], [2.0, 6.0], [3.0, 9.0]])  # two channels
    codes = np.array([[[-1.0]], [[0.0]], [[1.0]]])
    score = WindowScore(cells, codes, n_channels=2, min_error=0.0).float()
    found = score(torch.tensor([[2.0, 6.0]]), torch.tensor([[[0.0]]]))[:, 0]
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0]))
    # Squares of codes in standard deviations are 1.5, 0 and 1.5, of median 1.5.
    found = score(torch.tensor([[0.0, 0.0]]), torch.tensor([[[4.0]]]))[:, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 4.0**2 / 2]))
    start, end = score.gradient_step(torch.tensor([[[4.0]]]))
    assert float(end - start) > 0


@pytest.mark.slow
def test_codes_decide_where_windows_have_no_error(wave):
    X = wave.copy()
    X[700:703] = 6.0
    detector = TimeSeriesOutlierDetector(window=3, random_state=0).fit(X)
    assert detector.detector_.n_components == 3
    scores = detector.score_samples(X)
    assert set(scores.argsort()[:7]) == set(range(698, 705))
    windows = window_view(detector.scaler_.transform(X), 3)
    by_windows = detector.detector_.score_samples(windows)
    assert 0.1 < -np.median(by_windows) < 0.5  # half of the usual distance, squared


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_series_that_changes(dtype):
    X = np.ones((100, 1), dtype)
    detector = TimeSeriesOutlierDetector(window=8, random_state=0).fit(X)
    X[50] = 5
    assert np.isfinite(detector.explain(X)).all()
    assert (detector.predict(X)[43:58] == -1).all()
    assert (detector.predict(X)[:39] == 1).all()  # 8 // 2 timestamps average its windows


@pytest.mark.slow
def test_a_channel_that_is_mostly_missing_does_not_decide(waves):
    X = waves.copy()
    X[:400, 0] = np.nan
    X[420:560, 0] = np.nan
    X[650:, 0] = np.nan
    is_outlier = np.zeros(1000, bool)
    is_outlier[SILENT] = True
    scores = TimeSeriesOutlierDetector(random_state=0).fit(X).score_samples(X)
    assert roc_auc_score(is_outlier, -scores) > 0.95


def test_scores_of_huge_values_are_finite():
    X = np.sin(2 * np.pi * np.arange(500) / PERIOD)[:, None].astype(np.float32)
    detector = TimeSeriesOutlierDetector(window=PERIOD, random_state=0).fit(X)
    X[300] = 1e10
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.explain(X)).all()


# The window


def seasonal(n_timestamps=1_000, period=25):
    """A sine with a little noise, and the times of its values."""
    t = np.arange(n_timestamps)
    noise = np.random.default_rng(0).normal(size=n_timestamps)
    return np.sin(2 * np.pi * t / period) + 0.1 * noise, t


DISTURBANCES = {
    "one wild value": lambda x, t: np.where(t == 500, 50, x),
    "wilder values": lambda x, t: np.where(t % 300 == 7, 1e6, x),
    "missing values": lambda x, t: np.where(t % 10 < 3, np.nan, x),
    "a gap": lambda x, t: np.where((t > 300) & (t < 500), np.nan, x),
    "a trend": lambda x, t: x + 0.1 * t,
    "a parabola": lambda x, t: x + (t / 200) ** 2,
    "a level": lambda x, t: x + 5 * (t > 500),
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES.keys())
def test_a_disturbed_series_keeps_its_period(disturb):
    x = disturb(*seasonal())[:, None]
    scaled = (x - np.nanmean(x)) / np.nanstd(x)
    assert estimate_window(Series(scaled, None)) == 25


@pytest.mark.parametrize("wild", [0, 1e4])
def test_noise_has_no_period(wild):
    noise = np.random.default_rng(0).normal(size=(1_000, 1))
    noise[3] += wild
    assert estimate_window(Series(noise, None)) == 1


# Timestamps


def quick_detector(**params):
    """Return a detector of windows that fits at once."""
    return TimeSeriesOutlierDetector(LocalOutlierFactor(novelty=True), **params)


@pytest.fixture
def half_hours():
    """600 half hours with a period of a day."""
    x, _ = seasonal(600, 48)
    index = pd.date_range("2024-03-01", periods=600, freq="30min", tz="Europe/Paris")
    return pd.Series(x, index=index, name="load")


def test_a_series_is_a_frame_of_one_column(half_hours):
    expected = quick_detector().fit(half_hours.to_frame())
    for given in (half_hours, pl.Series("load", half_hours.to_numpy())):
        fitted = quick_detector().fit(given)
        assert fitted.feature_names_in_.tolist() == ["load"]
        np.testing.assert_array_equal(
            fitted.score_samples(given), expected.score_samples(half_hours.to_frame())
        )


def test_timestamps_out_of_order_are_refused(half_hours):
    with pytest.raises(ValueError, match=r"goes back. Sort it, X.sort_index\(\)"):
        quick_detector().fit(half_hours.iloc[::-1])
    fitted, twice = quick_detector().fit(half_hours), pd.concat([half_hours] * 2)
    with pytest.raises(ValueError, match="X is not in the order of time"):
        fitted.predict(twice)
    quick_detector().fit(twice, groups=np.repeat([0, 1], 600))


def test_missing_timestamps_are_rows_without_a_value(half_hours, monkeypatch):
    epochs = "sk_autoencoder.outliers._window_autoencoder.MAX_WINDOW_EPOCHS"
    monkeypatch.setattr(epochs, 4)
    half_hours = half_hours[:300]  # enough for training
    is_there = np.ones(300, bool)
    is_there[[50, 51, 52, 200]] = False
    holed = half_hours.where(is_there)
    detector = TimeSeriesOutlierDetector(window=4, random_state=0)
    expected = clone(detector).fit(holed)
    with pytest.warns(UserWarning, match="has 2 holes, which are taken as rows") as caught:
        fitted = detector.fit(half_hours[is_there])
    assert fitted.detector_.n_iter_ > 0
    assert [each.filename for each in caught] == [__file__]
    with pytest.warns(UserWarning, match="2 holes") as caught:
        found = fitted.score_samples(half_hours[is_there])
    assert [each.filename for each in caught] == [__file__]
    with pytest.warns(UserWarning, match="2 holes") as caught:
        fitted.predict(half_hours[is_there])
    assert [each.filename for each in caught] == [__file__]
    np.testing.assert_allclose(found, expected.score_samples(holed)[is_there], rtol=1e-9)
    with pytest.warns(UserWarning, match="2 holes"):
        shares = fitted.explain(half_hours[is_there].to_frame())
    np.testing.assert_allclose(shares.sum(axis=1), -found, rtol=1e-6)


def test_a_detector_without_missing_values_passes_holes_over(half_hours):
    rest = half_hours.drop(half_hours.index[50:53])
    with pytest.warns(UserWarning, match="has 1 holes, which are passed over"):
        fitted = quick_detector(window=4).fit(rest)
    expected = quick_detector(window=4).fit(rest.to_numpy()[:, None])
    assert fitted.offset_ == expected.offset_


def test_times_of_no_step_are_only_an_order(half_hours):
    rng = np.random.default_rng(0)
    half_hours.index = (
        half_hours.index + pd.to_timedelta(rng.random(600), unit="h").sort_values()
    )
    with warnings.catch_warnings(action="error"):
        fitted = quick_detector(window=4).fit(half_hours)
    expected = quick_detector(window=4).fit(half_hours.to_numpy()[:, None])
    assert fitted.offset_ == expected.offset_


@pytest.mark.parametrize("freq", ["s", "7ms", "D", "MS", "B"])
def test_every_calendar_has_its_step(freq):
    times = pd.date_range("2020-01-06", periods=40, freq=freq).asi8.astype(float)
    positions = find_positions(times, find_step([times]))
    n_weekends = 7 if freq == "B" else 0
    assert positions[-1] == 39 + 2 * n_weekends


# Stretches


def test_stretches_are_found_by_hand():
    marks = np.array([1, 0, 1, 1, 0, 0, 0, 1], bool)
    found = [find_stretches(marks, gap).tolist() for gap in (0, 1, 2, 3)]
    assert found[0] == [[0, 0], [2, 3], [7, 7]]
    assert found[1] == found[2] == [[0, 3], [7, 7]]
    assert found[3] == [[0, 7]]
    assert find_stretches(~marks & marks, 5).shape == (0, 2)


def test_anomalies_are_a_table_of_stretches(waves):
    frame = pd.DataFrame(waves, columns=list("abc"))
    frame.index = pd.date_range("2024-01-01", periods=1000, freq="h")
    detector = TimeSeriesOutlierDetector(contamination=0.04, random_state=0).fit(frame)
    table, scores = detector.find_anomalies(frame), detector.score_samples(frame)
    assert table.columns.tolist() == ["start", "end", "peak", "score", "channels"]
    longest = table.loc[(table["end"] - table["start"]).idxmax()]
    start, end = (frame.index.get_loc(longest[name]) for name in ("start", "end"))
    assert 600 - PERIOD < start < 605
    assert 635 < end < 640 + PERIOD
    assert longest["channels"][0] == "b"
    peak = frame.index.get_loc(longest["peak"])
    assert scores[peak] == longest["score"] == scores[start : end + 1].min()
    # Every outlier is in a stretch, and every end of one is an outlier.
    is_outlier = detector.predict(frame) == -1
    inside = np.zeros(1000, bool)
    for each in table.itertuples():
        inside |= (frame.index >= each.start) & (frame.index <= each.end)
        assert is_outlier[frame.index.get_indexer([each.start, each.end])].all()
    assert inside[is_outlier].all()


def test_every_kind_of_rows_has_its_table(waves):
    detector = TimeSeriesOutlierDetector(
        IsolationForest(random_state=0), window=20, contamination=0.04
    ).fit(waves)
    table = detector.find_anomalies(waves)
    assert table.dtype.names == ("start", "end", "peak", "score")
    frame = pl.DataFrame(waves, list("abc"))
    of_polars = clone(detector).fit(frame).find_anomalies(frame)
    assert isinstance(of_polars, pl.DataFrame)
    assert of_polars["start"].to_list() == table["start"].tolist()
    groups = np.repeat(["b", "a"], 500)
    grouped = detector.find_anomalies(waves, groups)
    assert grouped.dtype.names[0] == "series"
    assert ((grouped["start"] < 500) == (grouped["series"] == "b")).all()
    assert (grouped["end"] - grouped["start"] < 500).all()
    none = detector.find_anomalies(waves[:40])
    assert len(none) == 0
    assert none.dtype == table.dtype


@pytest.mark.parametrize("window", [1, 5])
def test_p_values_rank_among_blocks_by_hand(window):
    # The sum of scaled values has the order of the values, whatever the scale.
    X, new = np.random.default_rng(0).normal(size=(2, 400, 1))
    detector = TimeSeriesOutlierDetector(Sum(), window=window, calibrate=True).fit(X)
    n_blocks = 400 // window
    minima = detector.score_samples(X).reshape(n_blocks, window).min(axis=1)
    lower = (minima <= detector.score_samples(new)[:, None]).sum(axis=1)
    np.testing.assert_allclose(detector.p_values(new), (1 + lower) / (1 + n_blocks))


def test_p_values_hold_for_blocks_of_a_regular_series():
    detector = TimeSeriesOutlierDetector(GaussianMixture(), window=10, calibrate=True)
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        t = np.arange(1000)
        X, new = np.sin(t / 3)[:, None] + rng.normal(0, 0.3, (2, 1000, 1))
        blocks = detector.fit(X).p_values(new).reshape(100, 10).min(axis=1)
        shares.append([(blocks <= p).mean() for p in (0.05, 0.1, 0.2)])
    assert (abs(np.mean(shares, axis=0) - [0.05, 0.1, 0.2]) < [0.02, 0.03, 0.04]).all()
    new[500:540] += 2
    p_values = detector.p_values(new)
    assert p_values.min() == p_values[505:535].min() == 1 / 101


def test_anomalies_have_a_p_value_if_calibrated(waves):
    frame = pd.DataFrame(waves, columns=list("abc"))
    frame["state"] = pd.Categorical(np.where(np.arange(1000) % 50 < 25, "on", "off"))
    groups = np.repeat([0, 1], 500)
    detector = TimeSeriesOutlierDetector(
        IsolationForest(n_estimators=10), window=20, calibrate=True, random_state=0
    )
    table = detector.fit(frame, groups=groups).find_anomalies(frame, groups)
    p_values = detector.p_values(frame, groups)
    assert table["p_value"].tolist() == p_values[table["peak"]].tolist()
    assert ((table["p_value"] > 0) & (table["p_value"] <= 1)).all()
    again = pickle.loads(pickle.dumps(detector)).p_values(frame, groups)
    assert (again == p_values).all()
    detector.set_params(calibrate=False).fit(frame)
    assert "p_value" not in detector.find_anomalies(frame)


def test_p_values_need_calibration(waves):
    detector = TimeSeriesOutlierDetector(IsolationForest(n_estimators=2), window=20)
    assert not hasattr(detector.fit(waves), "p_values")
    detector.set_params(calibrate=True)
    assert not hasattr(detector, "p_values")  # before the next fit
    with pytest.raises(ValueError, match="at least 4 windows, and one has 79"):
        detector.fit(waves[:79])


@pytest.mark.parametrize(("n_values", "sizes"), [(60, [128, 64]), (4096, [64, 64])])
def test_wide_windows_have_narrow_layers(n_values, sizes):
    windows = np.random.default_rng(0).normal(size=(90, n_values)).astype(np.float32)
    autoencoder = fit_window_autoencoder(windows, 2, overlap=1, seed=0)
    assert autoencoder.max_epochs > 0
    assert autoencoder.hidden_layer_sizes == sizes


def test_a_pca_of_windows_has_no_hidden_layer():
    windows = np.random.default_rng(0).normal(size=(40, 60))
    autoencoder = fit_window_autoencoder(windows, 2, overlap=1, seed=0)
    assert autoencoder.max_epochs == 0
    assert autoencoder.hidden_layer_sizes == []
