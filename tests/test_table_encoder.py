"""Tables become numbers, and come back."""

import datetime
import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.exceptions import SkipTestWarning
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from tables import pandas_frame, polars_frame
from test_common import TRANSFORMER_CHECKS

from sk_autoencoder import AutoencoderTransformer, load, save
from sk_autoencoder.preprocessing import TableEncoder

N = 40


@pytest.mark.parametrize("parameters", [{}, {"scale": False, "fill_missing": True}])
def test_scikit_learns_checks(parameters):
    with warnings.catch_warnings(action="ignore", category=SkipTestWarning):
        check_estimator(TableEncoder(**parameters))


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", TRANSFORMER_CHECKS)
def test_scikit_learns_checks_of_transformers(check):
    check("TableEncoder", TableEncoder())


@pytest.fixture
def frame():
    return pandas_frame(N)


@pytest.fixture(name="polars_frame")
def frame_of_polars():
    return polars_frame(20)


def test_a_pandas_frame_comes_back(frame):
    encoder = TableEncoder().fit(frame.set_index(np.arange(N) + 5))
    found = encoder.inverse_transform(encoder.transform(frame))
    pd.testing.assert_frame_equal(found, frame, rtol=1e-9)
    names = encoder.get_feature_names_out()
    assert len(names) == encoder.transform(frame).shape[1]
    assert list(names[encoder.blocks_[4]]) == ["job_cook", "job_nurse", "job_smith"]


def test_a_polars_frame_comes_back(polars_frame):
    encoder = TableEncoder().fit(polars_frame)
    found = encoder.inverse_transform(encoder.transform(polars_frame))
    assert_frame_equal(found, polars_frame)
    assert encoder.kinds_[5:9] == ["boolean", "date", "datetime", "duration"]


def test_frames_of_numpy_and_of_objects_are_read_by_what_they_hold():
    rows = np.array([[1, "a", 2.5, True], [2, "b", None, False]] * 5, dtype=object)
    encoder = TableEncoder().fit(rows)
    assert encoder.kinds_ == ["number", "category", "number", "boolean"]
    found = encoder.inverse_transform(encoder.transform(rows))
    np.testing.assert_array_equal(found[::2, :3], rows[::2, :3])
    assert np.isnan(found[1, 2])
    times = np.array(["2020-01-01", "NaT", "2021-02-03"], dtype="datetime64[s]")[:, None]
    encoder = TableEncoder().fit(times)
    assert encoder.kinds_ == ["datetime"]
    np.testing.assert_array_equal(
        encoder.inverse_transform(encoder.transform(times)), times
    )


def test_dates_may_be_objects():
    day, hour = datetime.date(2020, 1, 31), datetime.timedelta(hours=1)
    moment = datetime.datetime(2020, 1, 1, 12, 30)
    rows = np.array(
        [[day, moment, hour, "a"], [day, None, 2 * hour, "b"]] * 5, dtype=object
    )
    for table in (rows, pd.DataFrame(rows, columns=list("abcd"), dtype=object)):
        encoder = TableEncoder().fit(table)
        assert encoder.kinds_ == ["date", "datetime", "duration", "category"]
        found = encoder.inverse_transform(encoder.transform(table))
        np.testing.assert_array_equal(np.asarray(found), rows)


def test_numbers_come_back_exactly(iris):
    encoder = TableEncoder(scale=False).fit(iris)
    np.testing.assert_array_equal(encoder.transform(iris), iris)
    np.testing.assert_array_equal(encoder.inverse_transform(iris), iris)


def test_every_block_has_a_mean_of_zero_and_a_variance_of_one(frame):
    encoder = TableEncoder().fit(frame)
    encoded = encoder.transform(frame)
    for block in encoder.blocks_:
        np.testing.assert_allclose(np.nanmean(encoded[:, block], axis=0), 0, atol=1e-9)
        assert np.nanvar(encoded[:, block], axis=0).sum() == pytest.approx(1)


def test_what_comes_back_is_whole_in_range_and_a_level(frame):
    encoder = TableEncoder().fit(frame)
    wild = 5 * np.random.default_rng(1).normal(size=encoder.transform(frame).shape)
    found = encoder.inverse_transform(wild)
    assert (found.dtypes == frame.dtypes).all()
    assert not found.isna().any(axis=None)
    for name in ("age", "money", "since", "seen", "spent", "visits"):
        assert found[name].between(frame[name].min(), frame[name].max()).all(), name
    assert set(found["job"]) <= set(frame["job"].dropna())
    free = TableEncoder(clip=False).fit(frame[["money"]]).inverse_transform(wild[:, :1])
    assert free["money"].max() > frame["money"].max()


@pytest.mark.parametrize("which", [[0], ["code"], [True, False], [-2]])
def test_numbers_are_categories_where_asked_for(which):
    frame = pd.DataFrame({"code": [7, 9, 7, 8], "size": [1.0, 2.0, 3.0, 4.0]})
    encoder = TableEncoder(which).fit(frame)
    assert encoder.kinds_ == ["category", "number"]
    assert encoder.get_feature_names_out()[0] == "code_7"
    back = encoder.inverse_transform(encoder.transform(frame))
    pd.testing.assert_frame_equal(back, frame)


def test_unknown_levels_are_rare_ones_or_the_mean_and_are_named():
    frame = pd.DataFrame({"job": ["a"] * 6 + ["b"] * 3 + ["c", "d"]})
    new = pd.DataFrame({"job": ["z", None, "c"]})
    with pytest.warns(UserWarning, match=r"'job'.*'z'"):
        encoded = TableEncoder().fit(frame).transform(new)
    np.testing.assert_allclose(encoded[0], 0, atol=1e-12)
    assert np.isnan(encoded[1]).all()
    rare = TableEncoder(min_frequency=3, scale=False).fit(frame)
    with pytest.warns(UserWarning, match="infrequent"):
        encoded = rare.transform(new)
    np.testing.assert_array_equal(encoded[[0, 2]], [[0, 0, 1]] * 2)
    assert set(rare.inverse_transform(encoded)["job"].dropna()) <= {"c", "d"}


def test_times_have_the_parts_that_vary():
    days = pd.date_range("2024-01-01", periods=28, freq="D")
    frame = pd.DataFrame(
        {"day": days, "constant": days[0], "hour": days + pd.Timedelta("5h")}
    )
    frame.loc[:13, "hour"] += pd.Timedelta("6h")
    names = TableEncoder(scale=False).fit(frame).get_feature_names_out().tolist()
    assert names[:4] == ["day", "day_weekday_sin", "day_weekday_cos", "constant"]
    assert names[-2:] == ["hour_hour_sin", "hour_hour_cos"]
    encoder = TableEncoder(scale=False).fit(frame[["day"]])
    week = encoder.transform(frame[["day"]])[:, 1:]
    np.testing.assert_allclose(week[7:], week[:-7], atol=1e-9)
    np.testing.assert_allclose(week[0], [0, 1], atol=1e-9)  # a Monday


def test_missing_cells_are_filled_where_asked_for(frame):
    filled = TableEncoder(fill_missing=True).fit(frame).transform(frame)
    kept = TableEncoder().fit(frame).transform(frame)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[np.isfinite(kept)], kept[np.isfinite(kept)])
    assert np.abs(filled[np.isnan(kept)]).max() < 1e-9
    raw = TableEncoder(fill_missing=True, scale=False).fit(frame).transform(frame)
    assert raw[frame["money"].isna(), 1][0] == pytest.approx(frame["money"].mean())


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([f"x{i}" for i in range(100)], "'c'.*free text or an id"),
        ([{"a": 1}] * 100, "'c'.*dict"),
        (["a", 1] * 50, "'c'.*int and str"),
        ([datetime.date(2020, 1, 1), "today"] * 50, "'c'.*date and str"),
        ([np.inf] * 100, "'c' of X contains infinity"),
        ([1e200, 0.0] * 50, "'c' of X has values so large that their variance"),
        (pd.period_range("2020", periods=100, freq="D"), "'c' of X holds"),
    ],
)
def test_a_column_of_no_kind_is_named(column, words):
    with pytest.raises((TypeError, ValueError), match=words):
        TableEncoder().fit(pd.DataFrame({"b": range(100), "c": column}))


def test_a_categorical_dtype_is_no_free_text():
    codes = pd.DataFrame({"c": [f"x{i}" for i in range(100)]}, dtype="category")
    assert TableEncoder().fit_transform(codes).shape == (100, 100)
    assert TableEncoder(max_categories=10).fit_transform(codes).shape == (100, 10)
    assert TableEncoder(["c"]).fit_transform(codes.astype(str)).shape == (100, 100)


def test_a_column_that_changes_its_kind_is_named():
    encoder = TableEncoder().fit(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    with pytest.raises(ValueError, match=r"'b'.*'number'.*'category'"):
        encoder.transform(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    with pytest.raises(ValueError, match="names 'c'"):
        TableEncoder(["c"]).fit(pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(ValueError, match="3"):
        encoder.inverse_transform(np.zeros((2, 4)))


def test_columns_in_another_order_are_refused(frame):
    with pytest.raises(ValueError, match="order"):
        TableEncoder().fit(frame).transform(frame[frame.columns[::-1]])


def test_a_pipeline_with_pca_rebuilds_the_table(frame):
    pipeline = make_pipeline(TableEncoder(fill_missing=True), PCA()).fit(frame)
    found = pipeline.inverse_transform(pipeline.transform(frame))
    seen = frame.notna()
    for name in ("job", "team", "flag", "age", "city", "visits"):
        expected = frame.loc[seen[name], name]
        assert (found.loc[seen[name], name] == expected).all(), name


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_output_can_be_a_frame(frame, container):
    encoder = TableEncoder().set_output(transform=container).fit(frame)
    assert list(encoder.transform(frame).columns) == list(encoder.get_feature_names_out())


def test_a_pickle_encodes_and_decodes_alike(frame, polars_frame):
    for table in (frame, polars_frame):
        encoder = TableEncoder().fit(table)
        copy = pickle.loads(pickle.dumps(encoder))
        encoded = encoder.transform(table)
        np.testing.assert_array_equal(copy.transform(table), encoded)
        assert copy.inverse_transform(encoded).equals(encoder.inverse_transform(encoded))


def test_a_column_may_lose_all_its_cells_and_another_be_constant(frame):
    frame["tenth"] = 0.1
    encoder = TableEncoder().fit(frame)
    encoded = encoder.transform(frame.assign(age=None, money=None, job=np.nan, since=None))
    assert encoded.dtype == np.float64
    for i in (0, 1, 4, 7):
        assert np.isnan(encoded[:, encoder.blocks_[i]]).all()
    assert np.abs(encoder.transform(frame)[:, -1]).max() < 1e-9
    nothing = np.array([[1, "a"], [None, pd.NA], [np.nan, None]] * 2, dtype=object)
    missing = np.isnan(TableEncoder().fit_transform(nothing)).any(axis=1)
    assert missing.tolist() == [False, True, True] * 2


def test_a_column_without_a_cell_is_no_obstacle():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [np.nan] * 3, "c": [None] * 3})
    with warnings.catch_warnings(action="error"):
        encoder = TableEncoder().fit(frame)
        found = encoder.inverse_transform(encoder.transform(frame))
    assert found["a"].tolist() == [1, 2, 3]
    assert found[["b", "c"]].isna().all(axis=None)


def test_a_fit_that_fails_changes_nothing_and_parameters_are_for_the_next_fit(frame):
    encoder = TableEncoder().fit(frame)
    expected = encoder.transform(frame)
    with pytest.raises(ValueError, match="infinity"):
        encoder.fit(pd.DataFrame({"other": [np.inf, 1.0]}))
    encoder.set_params(scale=False, fill_missing=True)
    np.testing.assert_array_equal(encoder.transform(frame), expected)
    assert encoder.feature_names_in_[0] == "age"


def test_a_pipeline_with_an_autoencoder_is_saved_and_gives_frames_back(frame, tmp_path):
    autoencoder = AutoencoderTransformer(2, scaling="global", max_epochs=2, random_state=0)
    pipeline = make_pipeline(TableEncoder(), autoencoder).fit(frame)
    save(pipeline, tmp_path / "pipeline")
    copy = load(tmp_path / "pipeline")
    codes = pipeline.transform(frame)
    np.testing.assert_array_equal(copy.transform(frame), codes)
    found = copy.inverse_transform(codes)
    pd.testing.assert_frame_equal(found, pipeline.inverse_transform(codes))
    assert (found.dtypes == frame.dtypes).all()


def test_bins_lose_nothing(frame):
    encoder = TableEncoder(numbers="bins").fit(frame)
    encoded = encoder.transform(frame)
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoded), frame, rtol=1e-9)
    assert all(encoder.holds_probabilities_)
    plain = TableEncoder(numbers="bins", scale=False).fit(frame).transform(frame)
    for block in encoder.blocks_:
        sums = plain[:, block].sum(axis=1)
        np.testing.assert_allclose(sums[~np.isnan(sums)], 1)


def test_bins_of_a_heavy_tail_with_a_mass_are_spread_as_they_were():
    rng = np.random.default_rng(0)
    X = np.where(rng.random(5000) < 0.8, 0, rng.lognormal(8, 2, 5000))[:, None]
    encoder = TableEncoder(numbers="bins", scale=False).fit(X)
    encoded = encoder.transform(X)
    assert encoded.shape[1] <= 66
    cumulated, drawn = encoded.cumsum(axis=1), rng.random((5000, 1))
    knots = np.eye(encoded.shape[1])[(cumulated < drawn).sum(axis=1)]
    spread = encoder.inverse_transform(encoder.spread(knots, 0))
    nearest = np.abs(np.unique(X)[:, None] - spread.ravel()).min(axis=0)
    assert (nearest <= 1e-9 * (1 + np.abs(spread.ravel()))).all()
    levels = [0.7, 0.85, 0.9, 0.95, 0.99]
    expected = np.quantile(X, levels)
    np.testing.assert_allclose(np.quantile(spread, levels), expected, rtol=0.25, atol=1)


def test_a_mass_among_very_many_values_is_drawn_as_often():
    rng = np.random.default_rng(0)
    X = np.where(rng.random(60_000) < 0.5, 0.5, rng.random(60_000))[:, None]
    encoder = TableEncoder(numbers="bins", scale=False).fit(X)
    drawn = np.zeros((100, encoder.transform(X).shape[1]))
    drawn[:, encoder.transform([[0.5]])[0].argmax()] = 1
    spread = encoder.inverse_transform(encoder.spread(drawn, 0))
    assert np.abs(spread - 0.5).max() < 0.05
    assert np.median(np.abs(spread - 0.5)) < 1e-9


def test_sparse_rows_are_no_table():
    with pytest.raises(TypeError, match="toarray"):
        TableEncoder().fit(csr_array(np.eye(3)))


def test_decimals_are_numbers():
    cents = np.random.default_rng(0).integers(0, 900, 60)
    kind = np.resize(list("ab"), 60)
    floats = pd.DataFrame({"price": cents / 100, "kind": kind})
    decimals = floats.assign(price=[Decimal(int(c)) / 100 for c in cents])
    decimals.loc[3, "price"], floats.loc[3, "price"] = None, np.nan
    encoded = TableEncoder().fit_transform(decimals)
    np.testing.assert_allclose(encoded, TableEncoder().fit_transform(floats))
    series = pl.Series("price", decimals["price"].to_list(), pl.Decimal(10, 2))
    frame = pl.DataFrame({"price": series, "kind": kind})
    encoder = TableEncoder().fit(frame)
    np.testing.assert_allclose(encoder.transform(frame), encoded)
    assert encoder.inverse_transform(encoded).equals(frame)


def test_sparse_columns_of_pandas_are_read_by_what_they_hold(frame):
    counts = np.random.default_rng(0).poisson(0.2, len(frame))
    dense = frame.assign(count=counts)
    sparse = frame.assign(count=pd.arrays.SparseArray(counts))
    encoder = TableEncoder().fit(sparse)
    encoded = encoder.transform(sparse)
    np.testing.assert_array_equal(encoded, TableEncoder().fit_transform(dense))
    back = encoder.inverse_transform(encoded)["count"]
    assert back.dtype == sparse["count"].dtype
    np.testing.assert_array_equal(back, counts)
    dummies = pd.get_dummies(dense["count"], sparse=True, dtype=float)
    assert AutoencoderTransformer(1, max_epochs=1).fit(dummies).table_ is None


SIZES = ["small", "medium", "large", "huge"]  # in no order of letters


def test_levels_with_an_order_are_encoded_by_what_they_reach():
    cells = ["medium", "huge", None, "small", "medium", "large"] * 10
    frame = pd.DataFrame({"size": pd.Categorical(cells, SIZES, ordered=True)})
    encoder = TableEncoder(scale=False).fit(frame)
    encoded = encoder.transform(frame)
    assert encoder.is_ordinal_ == [True]
    assert encoder.categories_[0].tolist() == SIZES
    names = ["size_from_small", "size_from_medium", "size_from_large", "size_from_huge"]
    assert encoder.get_feature_names_out().tolist() == names
    np.testing.assert_array_equal(encoded[:2], [[1, 1, 0, 0], [1, 1, 1, 1]])
    assert np.isnan(encoded[2]).all()
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoded), frame)
    probabilities = encoder.probabilities(encoded)["size"]
    np.testing.assert_array_equal(probabilities[:2], [[0, 1, 0, 0], [0, 0, 0, 1]])
    with pytest.warns(UserWarning, match="'gigantic'"):
        unknown = encoder.transform(pd.DataFrame({"size": ["gigantic"]}))
    np.testing.assert_allclose(unknown, [[1, 0.8, 0.4, 0.2]])


def test_intervals_and_enums_have_an_order():
    numbers = pd.Series(np.linspace(0, 1, 40))
    frame = pd.DataFrame({"part": pd.cut(numbers, 4)})
    encoder = TableEncoder().fit(frame)
    encoded = encoder.transform(frame)
    assert (np.diff(encoded.sum(axis=1)) >= 0).all()
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoded), frame)
    cells = np.resize(SIZES, 40)
    sizes = pl.DataFrame({"size": pl.Series(cells, dtype=pl.Enum(SIZES))})
    encoder = TableEncoder().fit(sizes)
    assert encoder.is_ordinal_ == [True]
    assert_frame_equal(encoder.inverse_transform(encoder.transform(sizes)), sizes)
    assert TableEncoder(numbers="bins").fit(sizes).is_ordinal_ == [False]


def test_no_level_is_rare_unless_asked_for():
    frame = pd.DataFrame({"letter": list("aaab")})
    encoder = TableEncoder(min_frequency=None, max_categories=None).fit(frame)
    assert encoder.categories_[0].tolist() == ["a", "b"]
    assert encoder.inverse_transform(encoder.transform(frame)).equals(frame)
