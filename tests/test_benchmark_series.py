"""Series of benchmarks: their formats, their published results, and ranks."""

import numpy as np
import pytest

from benchmarks import _series, timeseries


@pytest.fixture
def folder(tmp_path):
    """A folder with a series of NAB, one of TSB-AD, and one without anomalies."""
    x, y = np.arange(40.0), np.zeros(40)
    y[20:26] = 1
    arrays = {"real__a|x": x, "real__a|label": y, "b|x": x, "b|label": 0 * y}
    np.savez(tmp_path / "nab_all2.npz", **arrays)
    name = "tsb_ad_004_MSL_id_1_Sensor_tr_9_1st_12.csv"
    rows = "\n".join(f"{i},{2 * i},{int(12 <= i < 15)}" for i in range(20))
    (tmp_path / name).write_text("0,1,Label\n" + rows)
    return tmp_path


PUBLISHED = """file,A,B,ts_len,anomaly_len,num_anomaly
001_NAB_id_1_Facility_tr_11_1st_20.csv,0.5,0.25,39,5,1
002_NAB_id_2_Facility_tr_11_1st_19.csv,0.5,0.25,39,5,1
004_MSL_id_1_Sensor_tr_9_1st_12.csv,0.1,,20,3,1
"""


def test_series_are_read_and_matched(folder):
    series = list(_series.read(folder))
    assert [(s.group, s.n_fit) for s in series] == [("nab", 10), ("msl of TSB-AD", 9)]
    assert series[1].X.shape == (20, 2)
    (folder / "published").mkdir()
    (folder / "published" / "tsb_ad_x.csv").write_text(PUBLISHED)
    published = _series.read_published(folder / "published")
    found = _series.match(series, published)
    assert [s.published[:7] for s in found] == ["001_NAB", "004_MSL"]
    # Without its first row, and without the first timestamp of the anomaly.
    assert found[0].X[:2].ravel().tolist() == [1, 2]
    assert np.flatnonzero(found[0].is_outlier).tolist() == [20, 21, 22, 23, 24]
    assert found[0].n_fit == 11
    rows = [_series.methods_of(published[s.published]) for s in found]
    assert rows == [{"A": 0.5, "B": 0.25}, {"A": 0.1}]


def test_ranks_are_means_over_series():
    values = [{"a": 0.9, "b": 0.5, "c": 0.5}, {"a": 0.1, "b": 0.2, "c": 0.3}]
    ranks = timeseries.mean_ranks(values, ["a", "b", "c"])
    np.testing.assert_allclose(ranks, [2, 2.25, 1.75])


@pytest.mark.parametrize("period", [17, 60])
def test_the_period_is_the_highest_peak(period):
    x = np.sin(2 * np.pi * np.arange(1_000) / period)
    assert _series.find_period(x) == period
    assert _series.find_period(np.ones(100)) == _series.NO_PERIOD


def test_histograms_by_hand():
    rows = np.repeat([[0.0], [1.0]], [30, 10], axis=0)
    scores = timeseries.Histograms().fit(rows).score_samples(np.array([[0], [1], [2.0]]))
    np.testing.assert_allclose(np.exp(scores), np.array([30, 10, 0]) / 40 + 1 / 400)
