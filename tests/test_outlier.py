"""The detector: IsolationForest's contract, thresholds, explanations, ensembles."""

import copy
import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import PLAIN, fit_once
from ensembles import check_stacked_losses
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch._C import _functorch

from sk_autoencoder import AutoencoderOutlierDetector, AutoencoderTransformer
from sk_autoencoder.core._data import Batch, RowDataset, RowSource
from sk_autoencoder.core._trainer import BatchLosses
from sk_autoencoder.nn import (
    Convolutional,
    Dense,
    GaussianNoise,
    LinearInit,
    Network,
    Objective,
    SwapNoise,
    squared_error,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._penalties import l1_norm, linear_error
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.nn._tables import TableError, TableLayout
from sk_autoencoder.outliers import _samples, _scores, _threshold
from sk_autoencoder.utils import _torch_compat

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 8, "random_state": 0}
IS_LEVEL = np.array([False, True, True, False, False, False])
LAYOUT = TableLayout(
    column=np.array([0, 1, 1, 2, 3, 4]),
    is_category=np.array([False, True, False, False, False]),
    is_number=~IS_LEVEL,
    is_level=IS_LEVEL,
    center=np.full(6, 0.5),
    scale=np.where(IS_LEVEL, 0.5**0.5, 1.0),
)


@pytest.fixture(scope="module")
def correlated():
    """1,500 rows of 20 columns that five hidden ones determine but for some noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 5)) @ rng.normal(size=(5, 20))
    return X + 0.3 * rng.normal(size=X.shape)


def test_a_share_of_outliers_and_a_frame_go_together():
    frame = load_breast_cancer(as_frame=True).data[:100]
    detector = AutoencoderOutlierDetector(contamination=0.1, random_state=0).fit(frame)
    assert (detector.predict(frame) == -1).sum() == 10  # and nothing warned of names


def test_it_has_the_contract_of_isolation_forest(detector, iris):
    detector = fit_once(detector, iris)
    X = np.r_[iris, [[5.0, 1.0, 6.0, 0.0]]]
    forest = IsolationForest(random_state=0).fit(iris)
    for method in ("score_samples", "decision_function", "predict"):
        ours, theirs = getattr(detector, method)(X), getattr(forest, method)(X)
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
    scores = detector.score_samples(X)
    np.testing.assert_array_equal(detector.decision_function(X), scores - detector.offset_)
    np.testing.assert_array_equal(
        detector.predict(X), np.where(scores < detector.offset_, -1, 1)
    )
    if detector.get_params().get("novelty"):
        assert not hasattr(detector, "fit_predict")  # as in LocalOutlierFactor
    else:
        fitted = clone(detector).fit_predict(iris)
        np.testing.assert_array_equal(fitted, detector.predict(iris))
    assert scores.argmin() == 150


def test_outliers_are_ranked_better_than_by_isolation_forest():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = np.r_[np.flatnonzero(y == 1), rng.choice(np.flatnonzero(y == 0), 20, False)]
    X, is_outlier = X[rows], y[rows] == 0
    forests = [IsolationForest(random_state=i).fit(X) for i in range(3)]
    ours = [AutoencoderOutlierDetector(random_state=i).fit(X) for i in range(3)]
    auc = [
        np.mean([roc_auc_score(is_outlier, -each.score_samples(X)) for each in group])
        for group in (ours, forests)
    ]
    assert auc[0] > auc[1] > 0.8


@pytest.mark.parametrize("contamination", [0.05, 0.3])
def test_a_contamination_is_a_share_of_the_training_rows(
    detector, correlated, contamination
):
    X = correlated[:400]
    detector.set_params(contamination=contamination)
    if detector.get_params().get("novelty"):
        with pytest.raises(ValueError, match=r"novelty=True says .* false_positive_rate"):
            detector.fit(X)
        return
    detector.fit(X)
    share = (detector.predict(X) == -1).mean()
    assert share == pytest.approx(contamination, abs=1 / len(X))


def test_the_threshold_does_not_change_the_scores(detector, iris):
    detector = fit_once(detector, iris)
    scores = detector.score_samples(iris)
    parameters = detector.get_params()
    thresholds = {"contamination", "false_positive_rate"} & set(parameters)
    thresholds -= {"contamination"} if parameters.get("novelty") else set()
    for threshold in thresholds:
        other = clone(detector).set_params(**{threshold: 0.1}).fit(iris)
        np.testing.assert_array_equal(other.score_samples(iris), scores)
        assert other.offset_ != detector.offset_


@pytest.mark.parametrize(
    ("autoencoder", "rate"), [(None, 0.02), (AutoencoderTransformer(5, **QUICK), 0.1)]
)
def test_regular_rows_are_flagged_as_often_as_asked_for(correlated, autoencoder, rate):
    detector = AutoencoderOutlierDetector(
        autoencoder, false_positive_rate=rate, random_state=0
    )
    shares = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(correlated))
        detector.fit(correlated[order[:1000]])
        shares.append((detector.predict(correlated[order[1000:]]) == -1).mean())
    assert np.mean(shares) == pytest.approx(rate, rel=0.5)


def test_the_threshold_comes_from_rows_not_trained_on():
    class Memory(GaussianMixture):
        """A model to which every row it was fitted to is perfect."""

        def fit(self, X, y=None):
            self.seen_ = {row.tobytes() for row in X}
            return self

        def score_samples(self, X):
            return np.array([1.0 if x.tobytes() in self.seen_ else -x[0] for x in X])

    X = np.random.default_rng(0).uniform(size=(500, 1))
    detector = AutoencoderOutlierDetector(Memory(), random_state=0).fit(X)
    unseen = [x[0] for x in X if x.tobytes() not in detector.autoencoder_.seen_]
    assert len(unseen) == 100
    expected = -_threshold.find_fence(np.array(unseen))
    assert detector.offset_ == pytest.approx(expected, rel=2e-5)
    assert detector.offset_ < expected  # rows at the threshold are inliers


def test_the_fence_and_the_quantile_of_known_scores():
    scores = np.arange(1.0, 102.0)  # quantiles 41 and 61
    assert _threshold.find_fence(scores) == pytest.approx(61 + 3.3 * 20)
    assert _threshold.find_offset(-scores, "auto") == pytest.approx(-127, rel=1e-4)
    assert _threshold.find_offset(scores, "auto", 0.05) == pytest.approx(5, abs=1e-2)
    assert _threshold.find_offset(scores, "auto", 0.001) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("share", [0.005, 0.05, 0.35])
@pytest.mark.parametrize("are_positive", [True, False])
def test_the_threshold_lies_in_the_valley_before_outliers(share, are_positive):
    rng = np.random.default_rng(0)
    n_outliers = int(1_500 * share)
    regular = rng.normal(0, 0.3, 1_500 - n_outliers)
    outliers = rng.normal(3, 0.2, n_outliers)
    values = np.r_[regular, outliers]
    scores = -np.exp(values) if are_positive else -values
    offset = _threshold.find_offset(scores, "auto", are_positive=are_positive)
    is_outlier = np.arange(1_500) >= len(regular)
    np.testing.assert_array_equal(scores < offset, is_outlier)


@pytest.mark.parametrize("wild", [30.0, 1e4, 1e6, 1e12])
@pytest.mark.parametrize("share", [0.01, 0.1])
def test_wild_scores_hide_no_outliers(wild, share):
    rng = np.random.default_rng(0)
    regular, unusual = rng.normal(1, 0.05, 2_000), rng.normal(3, 0.1, 100)
    scores = np.r_[regular, unusual, np.full(int(share * 2_000), wild)]
    offset = _threshold.find_offset(-scores, "auto")
    assert regular.max() < -offset < unusual.min()


def test_no_valley_is_found_where_there_is_none():
    rng = np.random.default_rng(0)
    values = rng.gamma(8, size=1_000)
    assert _threshold.find_valley(values, are_positive=True) is None
    few = np.r_[values, 100, 101, 102]  # three rows may be anything
    assert _threshold.find_valley(few, are_positive=True) is None
    most = np.r_[values[:100], rng.normal(1e3, 1, 900)]  # the mode is what is regular
    assert _threshold.find_valley(most, are_positive=True) is None
    for constant in (np.zeros(50), np.full(50, np.inf), np.ones(1)):
        assert _threshold.find_valley(constant, are_positive=True) is None


@pytest.mark.parametrize("share", [0.5, 0.7, 0.99])
def test_rows_of_equal_scores_get_one_label(share):
    rng = np.random.default_rng(0)
    n_equal = int(1_000 * share)
    values = np.r_[np.full(n_equal, 0.7), 0.7 + rng.exponential(size=1_000 - n_equal)]
    fence = _threshold.find_fence(values)
    assert fence > 0.7
    assert (values > fence).sum() > 0
    assert _threshold.find_fence(np.full(9, 2.0)) == 2.0


def test_p_values_are_ranks_and_discoveries_those_of_benjamini_and_hochberg():
    regular = np.arange(1.0, 100.0)
    p = _threshold.rank_scores(np.array([0.5, 1.0, 50.5, 200.0]), regular)
    np.testing.assert_allclose(p, [0.01, 0.02, 0.51, 1.0])
    rng = np.random.default_rng(0)
    p = np.r_[rng.uniform(size=80), 1e-3 * rng.uniform(size=20)]
    adjusted = false_discovery_control(p)
    for rate in (0.01, 0.1, 0.5):
        np.testing.assert_array_equal(_threshold.reject(p, rate), adjusted <= rate)
    assert not _threshold.reject(np.full(10, 0.9), 0.1).any()


def test_usual_errors_are_quantiles_and_the_median_row_is_a_one():
    errors = np.random.default_rng(0).normal(size=(1001, 2, 3)) * [1, 10, 100]
    scale, weight, unusual = _scores.fit_error_scale(errors, np.zeros((2, 3)))
    quantiles = np.array([1.645, 16.45, 164.5])  # and a hundredth of the largest
    np.testing.assert_allclose(scale, [quantiles + 1.645] * 2, rtol=0.1)
    np.testing.assert_allclose(np.median(unusual.sum(axis=2), axis=0), 1)
    u = np.abs(errors[0]) / scale
    cells = np.where(u < 4, u, 5 - 4 / np.maximum(u, 4))
    np.testing.assert_allclose(unusual[0], cells * weight[:, None])


def test_a_sample_gives_a_row_back_as_the_nearest_of_its_own():
    rng = np.random.default_rng(0)
    samples, x = rng.normal(size=(2, 5, 3)), rng.normal(size=(7, 3))
    x[0, 1], x[1] = np.nan, samples[1, 4]
    module = Autoencoder(
        Dense(())(3, 1), Scaler(torch.zeros(3), torch.ones(3)), torch.nn.Identity(), None
    )
    found = _samples.make_sample_errors(samples, _scores.ENTRIES)(
        module, torch.from_numpy(x)
    )
    for errors, sample in zip(found, samples, strict=True):
        difference = sample[None] - x[:, None]
        nearest = np.nansum(difference**2, axis=2).argmin(axis=1)
        np.testing.assert_allclose(errors, difference[np.arange(7), nearest])
    assert (errors[1] == 0).all()


def test_two_kinds_of_members_are_averaged_geometrically():
    rng = np.random.default_rng(0)
    x, scale = torch.rand(6, 3), rng.uniform(1, 2, (2, 3))
    weight, other = np.array([1.0, 3.0]), np.array([2.0, 0.0])
    parts = [
        _scores.Part(lambda module, x: iter([x.clone(), 2 * x]), scale, each)
        for each in (weight, other)
    ]
    module = torch.nn.Module()
    module.scaler = torch.nn.Identity()
    u = [(n * x / torch.tensor(s)).sum(1) for n, s in zip((1, 2), scale, strict=True)]
    sums = [(u[0] + 3 * u[1]) / 2, u[0]]
    expected = ((sums[0] + 1e-3) * (sums[1] + 1e-3)).sqrt() - 1e-3
    score = _scores.make_score_function(parts, _scores.ENTRIES, None)
    torch.testing.assert_close(score(module, x), expected.float())
    cells = _scores.make_score_function(parts, _scores.ENTRIES, None, by_cell=True)
    torch.testing.assert_close(cells(module, x).sum(1), expected.float())
    assert not score(module, torch.zeros(6, 3)).any()


@pytest.mark.parametrize("novelty", [False, True])
def test_a_row_has_the_same_score_beside_any_others(correlated, novelty):
    parameters = {"novelty": novelty, "random_state": 0}
    detector = AutoencoderOutlierDetector(**parameters).fit(correlated[:700])
    rows = correlated[700:]
    scores = detector.score_samples(rows)
    for part in (slice(5, 6), slice(100, 133), slice(None, None, -1)):
        np.testing.assert_array_equal(detector.score_samples(rows[part]), scores[part])


def test_new_rows_are_found_better_if_training_rows_are_regular(correlated):
    rng = np.random.default_rng(0)
    new = rng.permuted(correlated[1000:], axis=1)
    rows, is_new = np.r_[correlated[1000:], new], np.arange(1000) >= 500
    auc = {}
    for novelty in (False, True):
        detector = AutoencoderOutlierDetector(novelty=novelty, random_state=0)
        scores = detector.fit(correlated[:1000]).score_samples(rows)
        auc[novelty] = roc_auc_score(is_new, -scores)
    neighbours = NearestNeighbors(n_neighbors=5).fit(correlated[:1000])
    distances = neighbours.kneighbors(rows)[0].mean(axis=1)
    assert auc[True] > auc[False]
    assert auc[True] > roc_auc_score(is_new, distances)


@pytest.mark.parametrize("novelty", [False, True])
def test_p_values_of_regular_rows_are_uniform_and_discoveries_mostly_right(
    correlated, novelty
):
    shares, false, found = [], [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = correlated[rng.permutation(len(correlated))]
        detector = AutoencoderOutlierDetector(novelty=novelty, random_state=seed)
        detector.fit(X[:1000])
        new = 4 * rng.permuted(X[1000:1100], axis=1)
        p = detector.p_values(X[1000:])
        assert p.shape == (500,)
        shares.append([(p <= level).mean() for level in (0.05, 0.2, 0.5)])
        labels = detector.predict(np.r_[X[1000:], new], false_discovery_rate=0.1)
        false.append((labels[:500] == -1).sum() / max((labels == -1).sum(), 1))
        found.append((labels[500:] == -1).mean())
    with pytest.raises(ValueError, match=r"false_discovery_rate=2 has to be a share"):
        detector.predict(X, false_discovery_rate=2)
    np.testing.assert_allclose(np.mean(shares, axis=0), [0.05, 0.2, 0.5], rtol=0.5)
    assert np.mean(false) < 0.12
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("max_samples", [2, 390, 1.0])
def test_members_leave_rows_that_say_what_is_usual(correlated, max_samples):
    detector = AutoencoderOutlierDetector(
        n_estimators=1, max_samples=max_samples, novelty=True, random_state=0
    ).fit(correlated[:400])
    assert len(detector.calibration_scores_) >= 60
    assert (detector.predict(correlated[400:]) == -1).mean() < 0.15
    two = AutoencoderOutlierDetector(novelty=True, random_state=0)
    with pytest.warns(match="fitted to 2 rows"):
        assert len(two.fit(correlated[:2]).calibration_scores_) > 0


def test_rows_that_no_member_has_seen_are_calibrated_by_first(correlated):
    detector = AutoencoderOutlierDetector(
        AutoencoderTransformer(5, **QUICK), max_samples=1490, random_state=0
    ).fit(correlated)
    assert len(detector.calibration_scores_) == 10


def test_a_refit_forgets_what_the_other_setting_needed(correlated):
    detector = AutoencoderOutlierDetector(random_state=0).fit(correlated[:100])
    detector.set_params(novelty=True).fit(correlated[:100])
    assert not hasattr(detector, "error_weight_")
    size = len(pickle.dumps(detector))
    detector.set_params(novelty=False).fit(correlated[:100])
    assert len(pickle.dumps(detector)) < size


def test_a_row_of_little_weight_vouches_for_little(correlated):
    X = np.r_[correlated[:300], correlated[:60] + 20]
    weight = np.r_[np.ones(300), np.full(60, 1e-9)]
    detector = AutoencoderOutlierDetector(novelty=True, random_state=0)
    detector.fit(X, sample_weight=weight)
    assert (detector.predict(X[300:]) == -1).all()
    assert (detector.predict(correlated[300:500]) == -1).mean() < 0.2


def test_a_model_may_find_rows_impossible():
    X = np.random.default_rng(0).normal(size=(55, 4))
    density = KernelDensity(kernel="tophat", bandwidth=0.8)
    detector = AutoencoderOutlierDetector(density, random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert np.isneginf(scores).any() or np.isfinite(detector.offset_)
    np.testing.assert_array_equal(detector.predict(X) == -1, scores < detector.offset_)


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_the_zero_of_a_log_likelihood_means_nothing(correlated, contamination):
    class Shifted(GaussianMixture):
        def score_samples(self, X):
            return super().score_samples(X) + 1e6

    shares = [
        (
            AutoencoderOutlierDetector(
                model(random_state=0), contamination=contamination, random_state=0
            ).fit_predict(correlated)
            == -1
        ).mean()
        for model in (GaussianMixture, Shifted)
    ]
    assert shares[0] == pytest.approx(shares[1], abs=2e-3)


def test_scores_that_differ_by_rounding_have_no_valley():
    scores = 1 + np.random.default_rng(0).integers(0, 4, 200) * 2.2e-16
    assert _threshold.find_valley(scores, are_positive=False) is None
    assert (_threshold.find_offset(-scores, "auto") <= -scores).all()


def test_shares_sum_to_the_score_however_far_a_row_is():
    X = np.random.default_rng(0).standard_cauchy((400, 1))
    detector = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(X)
    for value in (0.0, 300.0, 1e4):
        share = detector.explain([[value]])
        assert share.sum() == pytest.approx(-detector.score_samples([[value]])[0])


@pytest.mark.parametrize("novelty", [False, True])
def test_shares_of_features_sum_to_the_score(correlated, novelty):
    detector = AutoencoderOutlierDetector(novelty=novelty, random_state=0)
    detector.fit(correlated)
    shares = detector.explain(correlated)
    assert shares.shape == correlated.shape
    assert (shares >= 0).all()
    scores = detector.score_samples(correlated)
    np.testing.assert_allclose(shares.sum(axis=1), -scores, rtol=1e-6)  # in float32


@pytest.mark.parametrize(
    ("autoencoder", "novelty"),
    [
        (None, False),
        (None, True),
        (AutoencoderTransformer(5, **QUICK), False),
        (AutoencoderTransformer(5, **QUICK), True),
    ],
    ids=["default", "novelty", "given", "given novelty"],
)
def test_a_planted_fault_is_found(correlated, autoencoder, novelty):
    rng = np.random.default_rng(1)
    detector = AutoencoderOutlierDetector(autoencoder, novelty=novelty, random_state=0)
    detector.fit(correlated[:1000])
    rows, cells = correlated[1000:1200].copy(), rng.integers(20, size=200)
    shift = 8 * correlated.std(axis=0)[cells] * rng.choice([-1, 1], 200)
    rows[np.arange(200), cells] += shift
    assert (detector.explain(rows).argmax(axis=1) == cells).mean() >= 0.95


@pytest.mark.parametrize(
    ("autoencoder", "novelty"),
    [(None, False), (None, True), (AutoencoderTransformer(5, **QUICK), False)],
    ids=["default", "novelty", "given"],
)
def test_p_values_of_features_hold_and_name_a_planted_fault(
    correlated, autoencoder, novelty
):
    detector = AutoencoderOutlierDetector(autoencoder, novelty=novelty, random_state=0)
    detector.fit(correlated[:1000])
    new = correlated[1000:].copy()
    shares, p_values = detector.explain(new), detector.explain(new, p_values=True)
    assert p_values.shape == new.shape
    for p in (0.05, 0.2):
        assert 0.5 * p < (p_values <= p).mean() < 1.5 * p
    for share, p_value in zip(shares.T, p_values.T, strict=True):
        assert (np.diff(p_value[share.argsort()]) <= 0).all()
    new[:, 3] += 8 * correlated[:, 3].std()
    assert (detector.explain(new, p_values=True)[:, 3] <= 0.01).mean() > 0.95


def test_p_values_of_columns_of_a_table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    frame["kind"] = rng.choice(["x", "y"], 400)
    frame.loc[7, "kind"], frame.loc[5, "a"] = "z", np.nan
    p_values = (
        AutoencoderOutlierDetector(random_state=0).fit(frame).explain(frame, p_values=True)
    )
    assert list(p_values.columns) == ["a", "b", "c", "kind"]
    assert p_values["kind"].idxmin() == 7
    assert p_values.loc[7, "kind"] < 0.01
    assert p_values.loc[5, "a"] == 1  # a missing cell is not unusual


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.filterwarnings("ignore:A detector fitted to")
def test_shares_of_a_frame_are_a_frame(iris, frame):
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    X = frame(dict(zip(names, iris.T, strict=True)))
    shares = AutoencoderOutlierDetector(random_state=0).fit(X).explain(X)
    assert isinstance(shares, frame)
    assert list(shares.columns) == names
    kept = pd.DataFrame(iris, columns=names).iloc[5:9]
    detector = AutoencoderOutlierDetector(random_state=0).fit(kept)
    assert list(detector.explain(kept).index) == [5, 6, 7, 8]


def test_units_of_columns_do_not_matter(correlated):
    detector = AutoencoderOutlierDetector(random_state=0)
    expected = fit_once(detector, correlated).score_samples(correlated)
    X = correlated * np.logspace(-6, 6, 20) + 3
    scores = detector.fit(X).score_samples(X)
    assert np.corrcoef(scores, expected)[0, 1] > 0.999


def test_grid_search_reaches_the_autoencoder(correlated):
    X = correlated[:600].copy()
    y = np.ones(len(X))
    X[::50] = np.random.default_rng(0).permutation(X[::50], axis=1)
    y[::50] = -1
    search = GridSearchCV(
        AutoencoderOutlierDetector(AutoencoderTransformer(**QUICK), random_state=0),
        {"autoencoder__n_components": [1, 5]},
        scoring="roc_auc",
        cv=2,
    ).fit(X, y)
    assert search.best_params_ == {"autoencoder__n_components": 5}
    assert search.best_score_ > 0.9
    assert search.best_estimator_.autoencoder_.n_components_ == 5


def test_it_ends_a_pipeline(correlated):
    pipeline = make_pipeline(StandardScaler(), AutoencoderOutlierDetector(random_state=0))
    alone = fit_once(AutoencoderOutlierDetector(random_state=0), correlated)
    found = pipeline.fit(correlated).score_samples(correlated)
    assert np.corrcoef(found, alone.score_samples(correlated))[0, 1] > 0.999


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(2, random_state=0),
        make_pipeline(StandardScaler(), AutoencoderTransformer(5, **QUICK)),
    ],
    ids=["mixture", "pipeline"],
)
def test_anything_that_scores_samples_will_do(correlated, model):
    detector = AutoencoderOutlierDetector(model, random_state=0).fit(correlated)
    shuffled = np.random.default_rng(0).permuted(correlated[:50], axis=1)
    assert (detector.predict(shuffled) == -1).mean() > 0.9
    assert detector.method_ == "score_samples"
    assert not hasattr(detector, "explain")


class Convolution(Network):
    """A network that no dense layer could replace: it looks at neighbours."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Sequential(
            torch.nn.Unflatten(-1, (1, n_features)),
            torch.nn.Conv1d(1, 4, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * n_features, n_components),
        )
        self.decode = torch.nn.Linear(n_components, n_features)


def test_members_may_be_of_any_architecture(correlated):
    autoencoder = AutoencoderTransformer(5, network=Convolution, max_epochs=5)
    detector = AutoencoderOutlierDetector(autoencoder, n_estimators=3, random_state=0)
    detector.fit(correlated)
    assert detector.error_scale_.shape == (3, 20)
    layer = detector.autoencoder_.network_.encode[1]
    assert layer.weight.shape == (3, 4, 1, 3)
    assert not torch.equal(layer.weight[0], layer.weight[1])


def members(n_members, **options):
    torch.manual_seed(0)
    scaler = Scaler(torch.ones(6).double(), 2 * torch.ones(6).double())
    return [
        Autoencoder(
            Dense((8,), **options)(6, 3), scaler, torch.nn.Identity(), torch.nn.Identity()
        ).eval()
        for _ in range(n_members)
    ]


@pytest.mark.parametrize(
    "options", [{}, {"tied_weights": True}, {"code_activation": "tanh"}]
)
def test_an_ensemble_gives_what_its_members_give(options):
    alone = members(3, **options)
    together = Ensemble(alone).eval()
    x = torch.randn(5, 6)
    own = torch.randn(3, 5, 6)
    expected = torch.stack([each.reconstruct(x) for each in alone])
    torch.testing.assert_close(together.map_members(Autoencoder.reconstruct, x), expected)
    torch.testing.assert_close(together.reconstruct(x), expected.mean(0))
    codes = torch.cat([each.encode(x) for each in alone], dim=1)
    torch.testing.assert_close(together.encode(x), codes)
    torch.testing.assert_close(together.decode(codes), expected.mean(0))
    expected = torch.stack(
        [a.reconstruct(rows) for a, rows in zip(alone, own, strict=True)]
    )
    torch.testing.assert_close(together.map_members(Autoencoder.reconstruct, own), expected)


@pytest.mark.parametrize("trim_fraction", [0.0, 0.4])
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "silu"},
        {"tied_weights": True},
        {"code_activation": "tanh", "dropout": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("error", [squared_error, TableError(LAYOUT)], ids=["", "table"])
def test_stacked_members_have_the_losses_and_gradients_that_vmap_gives(
    options, error, start, trim_fraction
):
    start = start and "code_activation" not in options  # such a code has no start
    alone = members(3, **options)
    for each in alone if start else ():
        encode, decode = torch.randn(3, 6), torch.randn(6, 3)
        parts = torch.randn(3), decode, torch.randn(6), torch.rand(3) + 0.5
        assert each.network.start_from(LinearInit(encode, *parts))
    penalty = partial(linear_error, error, trim_fraction)
    objective = Objective(error, trim_fraction, linear=(0.5, penalty))
    x, weight = torch.randn(3, 5, 6), torch.rand(3, 5)
    terms = check_stacked_losses(alone, objective, Batch(x, x, weight))
    assert ("linear" in terms) == start


def test_members_that_cannot_be_stacked_are_known():
    def takes_stacked(corruption=None, error=squared_error, **penalties):
        alone = members(2)
        for each in alone:
            each.corruption = corruption or torch.nn.Identity()
        return BatchLosses(Ensemble(alone), Objective(error, **penalties)).takes_stacked

    assert takes_stacked()
    assert takes_stacked(GaussianNoise(0.1))
    assert not takes_stacked(SwapNoise(0.1))  # swaps rows along the first axis
    assert not takes_stacked(error=lambda output, x: (output - x).abs().sum(1))
    assert takes_stacked(error=TableError(LAYOUT))
    assert not takes_stacked(error=TableError(LAYOUT, lambda o, x: (o - x).sum(1)))
    assert not takes_stacked(l1=(0.1, l1_norm))  # sums over all weights
    assert not Dense(activation=torch.nn.PReLU)(6, 2).takes_members
    assert not Dense(activation=lambda: torch.nn.Softmax(1))(6, 2).takes_members
    assert not Convolutional((2, 3))(6, 2).takes_members


def test_losses_of_members_come_one_member_after_another(digits):
    detector = fit_once(AutoencoderOutlierDetector(PLAIN, n_estimators=3), digits)
    net = copy.deepcopy(detector.autoencoder_.net_)
    indices = np.arange(60).reshape(3, 20)
    rows = RowDataset(RowSource(digits), net.module_.scaler, indices)
    at_once = net.row_losses(rows)
    net.set_params(batch_size=8)
    np.testing.assert_allclose(net.row_losses(rows), at_once, rtol=1e-5)


def test_members_may_use_a_layer_twice():
    alone = members(3)
    for each in alone:
        twice = torch.nn.Linear(6, 6)
        same_weights = torch.nn.Linear(6, 6)
        same_weights.weight = twice.weight
        layers = twice, torch.nn.Tanh(), twice, torch.nn.Tanh(), same_weights
        each.network.encoder = torch.nn.Sequential(*layers, each.network.encoder)
    together, x = Ensemble(alone), torch.randn(5, 6)
    expected = torch.stack([each.reconstruct(x) for each in alone])
    for _ in range(2):  # the first time leaves everything as it was
        torch.testing.assert_close(
            together.map_members(Autoencoder.reconstruct, x), expected
        )
    assert len(list(together.parameters())) == len(list(alone[0].parameters()))


def test_members_may_share_a_buffer_between_layers_and_freeze_weights():
    alone = members(3)
    for each in alone:
        layers = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)
        shared = torch.randn(6)
        for layer in layers:
            layer.weight.requires_grad = False
            layer.register_buffer("shared", shared)
        each.network.encoder = torch.nn.Sequential(*layers, each.network.encoder)
    together, x = Ensemble(alone), torch.randn(5, 6)
    expected = torch.stack([each.reconstruct(x) for each in alone])
    torch.testing.assert_close(together.map_members(Autoencoder.reconstruct, x), expected)
    first, second = together.network.encoder[:2]
    assert first.shared is second.shared
    assert first.shared.shape == (3, 6)
    assert not first.weight.requires_grad
    assert first.bias.requires_grad


def test_members_train_as_if_alone(correlated):
    """One batch an epoch and no noise: only the start and the rows tell them apart."""
    torch.manual_seed(0)
    networks = [Dense((8,))(20, 3) for _ in range(3)]
    rows = np.stack([np.arange(i, i + 100) for i in (0, 500, 900)])
    options = {"init": "random", "noise_level": 0, "early_stopping": False}
    options |= {"batch_size": 200, "max_epochs": 5, "scaling": None}
    queue = iter(networks)
    together = AutoencoderTransformer(3, network=lambda d, k: next(queue), **options)
    together.fit_members(correlated, rows)
    for i, network in enumerate(networks):
        alone = AutoencoderTransformer(3, network=lambda d, k, n=network: n, **options)
        alone.fit_members(correlated, rows[i])
        codes = together.transform(correlated)[:, 3 * i : 3 * i + 3]
        np.testing.assert_allclose(codes, alone.transform(correlated), rtol=1e-3, atol=1e-4)


def test_an_interrupt_leaves_members_as_they_were(monkeypatch):
    def interrupted(module, tensors, args, **options):
        for name, tensor in tensors.items():
            path, _, leaf = name.rpartition(".")
            layer = module.get_submodule(path)
            kind = "_parameters" if leaf in layer._parameters else "_buffers"
            vars(layer)[kind][leaf] = tensor
        raise KeyboardInterrupt

    together, x = Ensemble(members(3)), torch.randn(5, 6)
    expected = together.reconstruct(x)
    with monkeypatch.context() as patch:
        patch.setattr(_torch_compat, "functional_call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            together.reconstruct(x)
    torch.testing.assert_close(together.reconstruct(x), expected)
    assert all(isinstance(p, torch.nn.Parameter) for p in together.parameters())
    assert copy.deepcopy(together).n_members == 3


def test_an_interrupt_leaves_no_level_of_vmap(correlated, monkeypatch):
    detector = AutoencoderOutlierDetector(random_state=0).fit(correlated[:100])
    expected = detector.score_samples(correlated)

    def interrupted(*args, **options):
        _functorch._vmap_increment_nesting(2, "error")
        raise KeyboardInterrupt

    def check_levels():
        assert _functorch.get_dynamic_layer_stack_depth() == 0
        assert torch.randn(2).shape == (2,)
        np.testing.assert_array_equal(detector.score_samples(correlated), expected)

    with monkeypatch.context() as patch:
        patch.setattr(_torch_compat, "functional_call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            detector.score_samples(correlated)
    check_levels()
    with monkeypatch.context() as patch:
        patch.setattr(_torch_compat, "functional_call", interrupted)
        with pytest.raises(KeyboardInterrupt), pytest.warns(match="interrupted by user"):
            detector.fit(correlated)
    check_levels()


def test_an_ensemble_of_autoencoders_is_an_autoencoder(correlated):
    detector = AutoencoderOutlierDetector(
        AutoencoderTransformer(5, **QUICK), n_estimators=4, random_state=0
    ).fit(correlated)
    autoencoder = detector.autoencoder_
    codes = autoencoder.transform(correlated)
    assert codes.shape == (len(correlated), 4 * 5)
    rows = autoencoder.inverse_transform(codes)
    np.testing.assert_allclose(rows, autoencoder.reconstruct(correlated))
    assert autoencoder.score(correlated) > 0.7
    assert autoencoder.score_samples(correlated).shape == (len(correlated),)
    assert list(autoencoder.get_feature_names_out())[-1] == "autoencodertransformer19"


@pytest.mark.slow
def test_wild_rows_are_trimmed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1)) @ np.ones((1, 8)) + 0.1 * rng.normal(size=(400, 8))
    X[:60] = 5 * rng.normal(size=(60, 8))
    parameters = {"init": "random", "early_stopping": False, "random_state": 0}
    plain, trimmed = (
        AutoencoderTransformer(1, trim_fraction=trim_fraction, **parameters).fit(X)
        for trim_fraction in (0, 0.2)
    )
    assert 1 - trimmed.score(X[60:]) < 0.7 * (1 - plain.score(X[60:]))


BAD = {
    "contamination": [0, 0.6, -0.1, "few"],
    "false_positive_rate": [0, 0.7, "few"],
    "n_estimators": [0, 1.5, "many"],
    "max_samples": [0, 1.5, "all"],
    "method": ["mse"],
    "autoencoder": [StandardScaler(), "autoencoder"],
    "random_state": ["seed"],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k in BAD for v in BAD[k]])
def test_bad_parameters(iris, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter .* must be"):
        AutoencoderOutlierDetector().set_params(**{name: value}).fit(iris)


def test_rows_of_a_member_may_be_a_share_of_all(iris):
    share, number = (
        AutoencoderOutlierDetector(max_samples=n, random_state=0).fit(iris)
        for n in (0.2, 30)
    )
    np.testing.assert_array_equal(share.score_samples(iris), number.score_samples(iris))


def test_two_thresholds_are_one_too_many(iris):
    detector = AutoencoderOutlierDetector(contamination=0.1, false_positive_rate=0.1)
    with pytest.raises(ValueError, match=r"contamination=0\.1 and .*Leave one"):
        detector.fit(iris)


@pytest.mark.parametrize(
    "parameters", [{"n_estimators": 4}, {"method": "reconstruction"}], ids=str
)
def test_what_needs_an_autoencoder_of_the_library(iris, parameters):
    detector = AutoencoderOutlierDetector(GaussianMixture(), **parameters)
    with pytest.raises(ValueError, match=r"needs an autoencoder.*GaussianMixture.*Use"):
        detector.fit(iris)


@pytest.mark.parametrize(
    ("seed", "dtype"),
    [(0, np.float32), (1, np.float64), (2, np.float32), (3, np.float64)],
)
def test_identical_rows_get_one_answer(seed, dtype):
    X = np.zeros((1000, 6), dtype)
    X[:100] = np.random.default_rng(1).poisson(1.0, (100, 6))
    detector = AutoencoderOutlierDetector(n_estimators=3, random_state=seed).fit(X)
    is_zero = (X == 0).all(axis=1)
    assert (detector.predict(X)[is_zero] == 1).all()
    assert (detector.predict(X)[~is_zero] == -1).mean() > 0.9
    for n_rows in (1, 2, 7, 100):
        assert (detector.predict(np.zeros((n_rows, 6), dtype)) == 1).all()


def test_identical_regular_rows_are_regular():
    X = np.ones((40, 5))
    detector = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(X)
    assert (detector.predict(X) == 1).all()
    assert (detector.predict(X[:1]) == 1).all()
    assert (detector.predict([[1.0, 1, 1, 1, 3]]) == -1).all()
    assert len(np.unique(detector.score_samples(X))) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_makes_no_score(dtype):
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(60, 2)), np.full(60, 1e9), rng.normal(size=60) + 1e9]
    X = X.astype(dtype)  # two float32 beside 1e9 are 64 apart
    exact = AutoencoderTransformer(4, max_epochs=0, scaling="global")
    detector = AutoencoderOutlierDetector(exact, n_estimators=2, random_state=0).fit(X)
    rows = X[:, None]
    scores = np.ravel([detector.score_samples(row) for row in rows])
    np.testing.assert_allclose(scores, detector.score_samples(X), atol=0.01)
    labels = np.ravel([detector.predict(row) for row in rows])
    np.testing.assert_array_equal(labels, detector.predict(X))


@pytest.mark.parametrize("n_rows", [2, 10, 11])
def test_a_detector_of_few_rows_warns(n_rows):
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    detector = AutoencoderOutlierDetector(random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector.fit(X)
    said = [str(each.message) for each in caught]
    assert any(f"fitted to {n_rows} rows flags many" in text for text in said) == (
        n_rows <= 10
    )
    assert all(each.filename == __file__ for each in caught)


@pytest.mark.parametrize("novelty", [False, True])
@pytest.mark.parametrize("autoencoder", [None, PLAIN], ids=["default", "plain"])
def test_errors_that_have_no_reciprocal_are_no_errors(autoencoder, novelty):
    # Constants of 1e-300 with missing entries: their errors are of the smallest numbers.
    X = np.array([[-1.4e-300, np.nan], [np.nan, 1.4e-300], [-1.4e-300, 1.4e-300]] * 20)
    detector = AutoencoderOutlierDetector(autoencoder, novelty=novelty, random_state=0)
    detector.fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.explain(X)).all()
