"""Weights of rows: a weight of 2 is a row given twice, for every estimator of rows."""

import numpy as np
import pandas as pd
import pytest
from catalogue import (
    ONE_OF_EACH,
    ONE_OF_EACH_KIND,
    ONE_OF_EACH_TRAINING,
    PLAIN,
    fit_once,
    in_turn,
    name,
    one_of_each,
    quick,
)
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import pandas_frame

from sk_autoencoder import AutoencoderTransformer, DenoisingAutoencoder
from sk_autoencoder.core import _data
from sk_autoencoder.core._data import (
    RowSource,
    draw_by_weight,
    find_order,
    spread_indices,
)
from sk_autoencoder.core._moments import measure_moments

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6)) + RNG.normal(size=(200, 6)))
COUNTS = RNG.integers(0, 4, 200)
ESTIMATORS = [each for each in ONE_OF_EACH if not hasattr(each, "window")]


def use(estimator, rows):
    """Return what an estimator makes of rows."""
    method = "score_samples" if hasattr(estimator, "predict") else "transform"
    values = getattr(estimator, method)(rows)
    return values.toarray() if hasattr(values, "toarray") else values


@pytest.mark.parametrize("estimator", in_turn(ESTIMATORS, 0), ids=name)
def test_a_weight_of_two_is_a_row_given_twice(estimator):
    weighted = clone(estimator).fit(X, sample_weight=COUNTS)
    repeated = clone(estimator).fit(np.repeat(X, COUNTS, axis=0))
    np.testing.assert_array_equal(use(weighted, X), use(repeated, X))


@pytest.mark.parametrize("estimator", in_turn(one_of_each(ESTIMATORS, ONE_OF_EACH_KIND), 0))
def test_a_fit_to_few_rows_depends_on_no_order_of_theirs(estimator):
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = clone(estimator).fit(X[order])
    np.testing.assert_array_equal(use(shuffled, X), use(fit_once(estimator, X), X))


def many_rows(n_rows=1_200):
    """Return more rows than are repeated, of two groups on lines of their own."""
    rng = np.random.default_rng(0)
    is_first = rng.random(n_rows) < 0.5
    lines = np.where(is_first[:, None], [[3.0, 0, 0, 1]], [[0, 3.0, 1, 0]])
    rows = rng.normal(size=(n_rows, 1)) * lines + 0.1 * rng.normal(size=(n_rows, 4))
    return rows, is_first


@pytest.mark.parametrize(
    "estimator",
    in_turn(
        one_of_each([e for e in ESTIMATORS if hasattr(e, "score")], ONE_OF_EACH_TRAINING), 1
    ),
)
def test_rows_of_large_weight_are_reconstructed_better(estimator):
    rows, is_first = many_rows()
    rows = np.abs(rows)
    weight = np.where(is_first, 1.0, 0.01)
    small = {"n_components": 1} if "n_components" in estimator.get_params() else {}
    fitted = clone(estimator).set_params(**small).fit(rows, sample_weight=weight)
    other = clone(fitted).fit(rows, sample_weight=1.01 - weight)
    rows = rows[is_first]
    errors = [((each.reconstruct(rows) - rows) ** 2).sum() for each in (fitted, other)]
    assert errors[0] < 0.8 * errors[1]


def test_the_start_is_pca_of_repeated_rows_whatever_path_finds_it():
    rng = np.random.default_rng(0)
    for shape in ((3_000, 5), (300, 1_100)):
        rows = rng.normal(size=shape) * rng.uniform(0.5, 3, shape[1])
        counts = rng.integers(0, 4, len(rows))
        weight = counts * 0.7  # fractions are not repeated
        repeated = np.repeat(rows, counts, axis=0)
        start = quick(AutoencoderTransformer, n_components=3, max_epochs=0, scaling=None)
        pca = PCA(3, svd_solver="full").fit(repeated)
        expected = np.abs(pca.transform(rows))
        for kind in (np.asarray, csr_array):
            codes = clone(start).fit(kind(rows), sample_weight=weight).transform(rows)
            np.testing.assert_allclose(np.abs(codes), expected, rtol=2e-3, atol=2e-3)


def test_weighted_moments_are_those_of_repeated_rows():
    rows = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
    weighted = measure_moments(rows, np.arange(200), weight=COUNTS.astype(float))
    repeated = measure_moments(np.repeat(rows, COUNTS, axis=0), np.arange(COUNTS.sum()))
    np.testing.assert_allclose(weighted.n_observed, repeated.n_observed)
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.scatter, repeated.scatter)


@pytest.mark.parametrize("estimator", in_turn(ESTIMATORS, 1), ids=name)
def test_equal_weights_are_no_weights(estimator):
    weighted = clone(estimator).fit(X, sample_weight=np.full(200, 0.3))
    np.testing.assert_array_equal(use(weighted, X), use(fit_once(estimator, X), X))


@pytest.mark.parametrize(
    "estimator", [e for e in ESTIMATORS if hasattr(e, "score")], ids=name
)
def test_a_score_weighs_rows(estimator):
    fitted = fit_once(estimator, X)
    rows = X[:50]
    score = fitted.score(rows, sample_weight=np.full(50, 3.0))
    assert score == pytest.approx(fitted.score(rows))
    if type(estimator) is DenoisingAutoencoder:  # its noise depends on the order of rows
        return
    weighted = fitted.score(rows, sample_weight=COUNTS[:50])
    repeated = fitted.score(np.repeat(rows, COUNTS[:50], axis=0))
    assert weighted == pytest.approx(repeated)


def test_rows_are_drawn_by_their_weights_over_epochs():
    weight = np.array([0.25, 2.0, 1.0, 0.75])
    drawn = np.concatenate([draw_by_weight(weight) for _ in range(2_000)])
    shares = np.bincount(drawn, minlength=4) / 2_000
    np.testing.assert_allclose(shares, weight, atol=0.05)


def test_rows_are_spread_by_their_weights():
    weight = np.array([2.0, 0.0, 1.0, 3.0])
    assert spread_indices(4, np.inf, weight).tolist() == [0, 0, 2, 3, 3, 3]
    assert spread_indices(4, 3, weight).tolist() == [0, 3, 3]
    assert spread_indices(4, 3, None).tolist() == [0, 1, 3]


def test_partial_fit_takes_weights():
    rows, is_first = many_rows(3_000)
    autoencoder = quick(AutoencoderTransformer, n_components=1, max_epochs=1)
    for start in range(0, 3_000, 500):
        batch = slice(start, start + 500)
        autoencoder.partial_fit(rows[batch], sample_weight=is_first[batch] + 0.01)
    assert autoencoder.score(rows[is_first]) > 0.7
    assert autoencoder.score(rows[~is_first]) < 0.3


def test_tables_of_mixed_columns_take_weights():
    frame = pandas_frame(100)
    counts = np.random.default_rng(0).integers(1, 4, 100)
    weighted = clone(PLAIN).fit(frame, sample_weight=counts)
    repeated = clone(PLAIN).fit(frame.iloc[np.repeat(np.arange(100), counts)])
    np.testing.assert_allclose(
        weighted.transform(frame), repeated.transform(frame), rtol=1e-3, atol=1e-3
    )


def test_weights_pass_through_pipelines_and_searches():
    weight = pd.Series(COUNTS + 0.5)
    pipeline = make_pipeline(StandardScaler(), clone(PLAIN))
    step = {"autoencodertransformer__sample_weight": weight}
    alone = clone(PLAIN).fit(StandardScaler().fit_transform(X), sample_weight=weight)
    fitted = pipeline.fit(X, **step)
    np.testing.assert_array_equal(fitted[-1].transform(X), alone.transform(X))
    search = GridSearchCV(clone(PLAIN), {"max_epochs": [0, 1]}, cv=2)
    assert search.fit(X, sample_weight=weight).best_score_ > 0


def test_weights_are_routed_as_metadata():
    with config_context(enable_metadata_routing=True):
        requested = clone(PLAIN).set_fit_request(sample_weight=True)
        requested = requested.set_score_request(sample_weight=True)
        search = GridSearchCV(requested, {"max_epochs": [0, 1]}, cv=2)
        assert search.fit(X, sample_weight=COUNTS + 0.5).best_score_ > 0


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)
def test_wrong_weights_are_errors(estimator):
    for wrong, match in (
        (np.full(200, -1.0), r"sample_weight\[0\]=-1"),
        (np.zeros(200), "zero"),
        (np.eye(200)[0], "positive for 1 row"),
        (np.ones(7), "sample_weight"),
        (np.full(200, np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=match):
            clone(estimator).fit(X, sample_weight=wrong)


def test_rows_of_weight_zero_are_not_given():
    rows = X.copy()
    rows[::7] = 1e9
    weight = (np.arange(200) % 7 > 0).astype(float)
    weighted = clone(PLAIN).fit(rows, sample_weight=weight)
    expected = clone(PLAIN).fit(rows[weight > 0])
    np.testing.assert_array_equal(weighted.transform(X), expected.transform(X))


def test_a_source_in_order_keeps_pairs_together():
    rows = RNG.normal(size=(30, 2)).round()
    source = RowSource(rows, 2 * rows, np.full(30, 1.5)).in_order()
    np.testing.assert_array_equal(source.targets, 2 * source.X)
    assert (np.lexsort(source.X.T[::-1]) == np.arange(30)).all()
    assert sorted(map(tuple, rows)) == list(map(tuple, source.X))


def test_the_order_of_rows_is_that_of_their_columns():
    rows = RNG.integers(0, 3, (60, 5)).astype(float)  # many are given twice
    rows[7] = rows[3]
    for kind in (np.asarray, csr_array):
        order = find_order([kind(rows[:, :2]), kind(rows[:, 2:])])
        np.testing.assert_array_equal(rows[order], rows[np.lexsort(rows.T[::-1])])


def test_equal_rows_of_many_columns_are_no_trouble():
    class Counted(np.ndarray):
        n_read = 0

        def __getitem__(self, where):
            Counted.n_read += isinstance(where, tuple)
            return super().__getitem__(where)

    rows = np.zeros((40, 5_000)).view(Counted)
    rows[:, 3] = np.arange(40) // 2  # all in pairs
    Counted.n_read = 0
    order = find_order([rows])
    assert Counted.n_read == 4
    assert order.tolist() == list(range(40))


def test_weights_count_between_batches_of_a_stream_too():
    rows, is_first = many_rows()
    autoencoder = quick(AutoencoderTransformer, n_components=1, max_epochs=1)
    for group, weight in ((rows[is_first], 1.0), (rows[~is_first], 0.01)):
        autoencoder.partial_fit(group, sample_weight=np.full(len(group), weight))
    moments = autoencoder._fitted.moments
    expected = measure_moments(
        rows, np.arange(len(rows)), weight=np.where(is_first, 1.0, 0.01)
    )
    np.testing.assert_allclose(moments.mean, expected.mean)
    np.testing.assert_allclose(moments.n_observed, expected.n_observed)


def test_parts_of_a_source_keep_their_weights():
    weight = np.repeat([1.0, 3.0, 2.0], [10, 20, 30])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_data, "rows_within", lambda n_bytes, *sizes: 10)
        parts = list(RowSource(X[:60], weight=weight).split())
    assert len(parts) == 6
    np.testing.assert_array_equal(np.concatenate([p.weight for p in parts]), weight)
