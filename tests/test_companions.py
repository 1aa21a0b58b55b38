"""What the default time series detector has beside its autoencoder."""

import pickle

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sk_autoencoder import TimeSeriesOutlierDetector, load
from sk_autoencoder.metrics import vus_pr_score
from sk_autoencoder.outliers._companions import (
    average_nearby,
    draw_window_samples,
    find_axes,
    measure_distances,
    measure_spread,
)
from sk_autoencoder.outliers._windows import interpolate, mark_covered


def test_distances_by_hand():
    samples = np.array([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [9.0, 9.0]]])
    windows = np.array([[0.0, 0.0], [3.0, 3.0], [np.nan, 4.0]])
    nearest = [(0 + 2) / 2, (1 + np.sqrt(10)) / 2, (0 + np.sqrt(2) * 2) / 2]
    for axes in (np.eye(2), np.array([[0.6, 0.8], [0.8, -0.6]])):
        found = measure_distances(windows[:2], samples, axes)
        np.testing.assert_allclose(found, nearest[:2])
    found = measure_distances(windows, samples, np.eye(2))
    np.testing.assert_allclose(found, nearest)
    # Along one axis differences along the other one do not count.
    found = measure_distances(windows[1:2], samples, np.eye(2)[:, :1])
    np.testing.assert_allclose(found, (0 + 3) / 2)


def test_axes_are_those_of_pca():
    samples = np.random.default_rng(0).normal(size=(4, 10, 30)) * np.arange(1, 31)
    axes = find_axes(samples)
    expected = PCA(16).fit(samples.reshape(-1, 30)).components_.T
    np.testing.assert_allclose(np.abs(axes.T @ expected), np.eye(16), atol=1e-9)


@pytest.mark.parametrize("n_windows", [1, 2, 50, 500])
def test_samples_are_windows(n_windows):
    windows = np.random.default_rng(0).normal(size=(n_windows, 5))
    windows[0, 0] = np.nan
    samples = draw_window_samples(windows, 0)
    assert samples.shape == (16, min(32, max(n_windows // 2, 1)), 5)
    rows = {row.tobytes() for row in np.nan_to_num(windows)}
    assert {row.tobytes() for row in samples.reshape(-1, 5)} <= rows


def test_averages_leave_no_rounding_behind():
    values = np.r_[np.ones(20), 1e30, np.ones(20)]
    found = average_nearby(values, 4)
    np.testing.assert_array_equal(np.r_[found[:19], found[23:]], 1)
    np.testing.assert_allclose(found[19:23], 2.5e29)
    np.testing.assert_array_equal(average_nearby(values, 1), values)
    by_column = average_nearby(np.c_[values, 2 * values], 4)
    np.testing.assert_array_equal(by_column, np.c_[found, 2 * found])


def test_unknown_values_are_interpolated():
    values, is_known = np.array([5.0, 1.0, 9.0, 3.0]), np.array([0, 1, 0, 1], bool)
    np.testing.assert_array_equal(interpolate(values, is_known), [1, 1, 2, 3])
    assert values[0] == 5
    np.testing.assert_array_equal(
        mark_covered(np.array([1, 5]), 2, 7), [0, 1, 1, 0, 0, 1, 1]
    )


def test_the_spread_of_equal_scores_is_no_zero():
    assert measure_spread(np.zeros(5)) == 1
    assert measure_spread(np.full(5, 2.0)) == pytest.approx(0.002)
    assert measure_spread(np.arange(11.0)) == 4


@pytest.fixture(scope="module")
def machine():
    """Two waves, two switches of which never both are on, and a counter: (1500, 5)."""
    rng, t = np.random.default_rng(0), np.arange(1500)
    waves = np.sin(2 * np.pi * t[:, None] / 30 + [0, 1]) + rng.normal(0, 0.1, (1500, 2))
    switches = np.cumsum(rng.random((1500, 2)) < 0.05, axis=0) % 2
    switches[:, 1] &= 1 - switches[:, 0]
    X = np.c_[waves, switches, rng.poisson(4, 1500)]
    X[1000:1040, 2:4] = 1
    return X, (t >= 1000) & (t < 1040)


def test_switches_are_judged_by_timestamps(machine):
    X, is_outlier = machine
    detector = TimeSeriesOutlierDetector(random_state=0).fit(X[:700])
    score = vus_pr_score(is_outlier, -detector.score_samples(X), max_window=30)
    assert score > 0.9
    alone = TimeSeriesOutlierDetector(detector.detector_, window=30).fit(X[:700])
    windows = vus_pr_score(is_outlier, -alone.score_samples(X), max_window=30)
    assert windows < score
    shares = detector.explain(X)
    assert set(shares[1005:1035].sum(axis=0).argsort()[-2:]) == {2, 3}
    np.testing.assert_allclose(shares.sum(axis=1), -detector.score_samples(X))


@pytest.mark.parametrize("n_channels", [1, 5])
def test_companions_are_saved(machine, tmp_path, n_channels):
    X = machine[0][:600, :n_channels]
    detector = TimeSeriesOutlierDetector(random_state=0).fit(X)
    detector.save(tmp_path / "detector.skops")
    for other in (pickle.loads(pickle.dumps(detector)), load(tmp_path / "detector.skops")):
        np.testing.assert_array_equal(other.score_samples(X), detector.score_samples(X))


def test_windows_that_do_not_overlap_are_scored_apart():
    rng = np.random.default_rng(0)
    beats = np.sin(2 * np.pi * np.arange(40) / 40) + rng.normal(0, 0.1, (60, 40))
    detector = TimeSeriesOutlierDetector(window=40, stride=40, random_state=0)
    detector.fit(beats.reshape(-1, 1))
    beats[30] = 0
    scores = detector.score_samples(beats.reshape(-1, 1)).reshape(60, 40)
    assert (np.ptp(scores, axis=1) == 0).all()
    assert scores[:, 0].argmin() == 30
    others = np.delete(scores[:, 0], 30)
    alone = detector.score_samples(np.delete(beats, 30, axis=0).reshape(-1, 1))
    np.testing.assert_allclose(others, alone.reshape(59, 40)[:, 0])
