"""Filling in missing values."""

import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import IMPUTERS, PLAIN, fit_once, quick
from ensembles import check_stacked_losses
from memory import peak_memory
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderTransformer,
    SparseAutoencoder,
    VAETransformer,
)
from sk_autoencoder.core._data import Batch, RowSource
from sk_autoencoder.impute._autoencoder import (
    ImputationAutoencoder,
    count_corruptions,
    make_default_autoencoder,
)
from sk_autoencoder.impute._neighbors import (
    PRIOR_CELLS,
    CalibrationSet,
    equal_rows,
    fit_shrinkage,
    shrink,
)
from sk_autoencoder.impute._network import (
    ImputationNetwork,
    KernelRegressionImputer,
    RankToNormal,
    quantile_levels,
)
from sk_autoencoder.nn import Objective
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._losses import LOSSES
from sk_autoencoder.nn._missing import FactorModelImputer, PreserveMissing
from sk_autoencoder.nn._scalers import Scaler


def hide(X, share=0.2, seed=0):
    """Return X with a share of its cells missing, and where they are."""
    hidden = np.random.default_rng(seed).random(X.shape) < share
    hidden[hidden.all(axis=1)] = False
    return np.where(hidden, np.nan, X), hidden


@pytest.fixture(scope="module")
def table():
    """Standardised rows of 30 columns: to fit to, held out, with holes, and where."""
    X = load_breast_cancer().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    holed, hidden = hide(X)
    return holed[:400], X[400:], holed[400:], hidden[400:]


def rmse(found, whole, hidden):
    return np.sqrt(np.mean((found - whole)[hidden] ** 2))


@pytest.mark.slow
def test_fills_in_better_than_means_and_neighbours(table):
    fit, whole, holed, hidden = table
    ours = AutoencoderImputer(random_state=0).fit(fit).transform(holed)
    for rival in (SimpleImputer(), KNNImputer()):
        found = rival.fit(fit).transform(holed)
        assert rmse(ours, whole, hidden) < 0.8 * rmse(found, whole, hidden)


@pytest.mark.slow
def test_the_network_learns_what_no_linear_model_knows(curved, train_imputers_for):
    train_imputers_for(60)
    holed, hidden = hide(curved, 0.15)
    imputer = AutoencoderImputer(n_estimators=1, random_state=0).fit(holed)
    autoencoder = imputer.autoencoder_
    assert autoencoder.best_epoch_ > 0
    found = imputer.transform(holed)
    guess = autoencoder.net_.module_.network.fill
    scaler = autoencoder.net_.module_.scaler
    linear = scaler.inverse(guess(scaler(torch.from_numpy(holed)).float())).numpy()
    assert rmse(found, curved, hidden) < 0.9 * rmse(linear, curved, hidden)


@pytest.mark.parametrize(
    ("autoencoder", "dtype"),
    [(None, np.float64), (PLAIN, np.float32), (quick(VAETransformer), np.float64)],
)
def test_observed_cells_come_back_as_they_were(table, autoencoder, dtype):
    fit, _, holed, hidden = (part.astype(dtype) for part in table)
    hidden = hidden.astype(bool)
    imputer = AutoencoderImputer(autoencoder, random_state=0).fit(fit[:200])
    found = imputer.transform(holed)
    assert found.dtype == dtype
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~hidden], holed[~hidden])
    whole = np.nan_to_num(holed)
    np.testing.assert_array_equal(imputer.transform(whole), whole)


def test_a_full_table_is_left_alone_also_by_fit_transform(iris):
    found = AutoencoderImputer(random_state=0).fit_transform(iris)
    np.testing.assert_array_equal(found, iris)


def test_a_model_of_full_rows_fills_in_later(iris):
    imputer = AutoencoderImputer(random_state=0).fit(iris)
    holed, hidden = hide(iris)
    found = imputer.transform(holed)
    mean = SimpleImputer().fit(iris).transform(holed)
    assert rmse(found, iris, hidden) < 0.7 * rmse(mean, iris, hidden)


def test_rows_without_a_value_get_the_means(iris):
    holed = iris.copy()
    holed[::3] = np.nan
    imputer = AutoencoderImputer(random_state=0).fit(holed)
    kept = np.delete(iris, np.s_[::3], axis=0)
    np.testing.assert_allclose(imputer.statistics_, kept.mean(axis=0))
    np.testing.assert_allclose(imputer.transform(holed)[0], kept.mean(axis=0))


@pytest.mark.parametrize("keep", [False, True])
def test_columns_without_a_value(iris, keep):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    frame["b"] = np.nan
    frame.loc[3, "c"] = np.nan
    imputer = AutoencoderImputer(keep_empty_features=keep, random_state=0)
    found = imputer.set_output(transform="pandas").fit_transform(frame)
    assert list(found) == (list("abcd") if keep else list("acd"))
    assert np.isnan(imputer.statistics_[1])
    assert found.notna().all(axis=None)
    if keep:
        assert (found["b"] == 0).all()
    # A value of such a column is not known before, and not kept either.
    frame["b"] = 7.0
    again = imputer.transform(frame)
    assert not keep or (again["b"] == 7).all()


def test_a_value_that_a_network_does_not_see():
    X = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, np.nan], [5.0, np.nan]])
    found = AutoencoderImputer(random_state=0).fit_transform(X)  # a warning would fail
    np.testing.assert_allclose(found[:, 1], 3)  # the only value there is


def test_an_indicator_says_where_values_were_missing(iris):
    frame = pd.DataFrame(iris.copy(), columns=list("abcd"))
    frame.loc[::4, "b"] = np.nan
    imputer = AutoencoderImputer(add_indicator=True, random_state=0)
    found = imputer.set_output(transform="pandas").fit_transform(frame)
    assert list(found) == [*"abcd", "missingindicator_b"]
    np.testing.assert_array_equal(found["missingindicator_b"], frame["b"].isna())


def test_another_number_may_stand_for_missing_values(iris):
    holed, hidden = hide(iris)
    expected = AutoencoderImputer(random_state=0).fit_transform(holed)
    coded = np.where(hidden, -1.0, iris)
    imputer = AutoencoderImputer(missing_values=-1, random_state=0)
    np.testing.assert_array_equal(imputer.fit_transform(coded), expected)
    with pytest.raises(ValueError, match="X has NaN, and missing_values=-1"):
        imputer.fit(holed)


def test_discrete_columns_are_filled_with_whole_numbers():
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 80, 300).astype(float)
    X = np.c_[ages, ages + rng.normal(0, 5, 300), ages > 50]
    holed, hidden = hide(X)
    imputer = AutoencoderImputer(round_discrete=True, random_state=0).fit(holed)
    found = imputer.transform(holed)
    assert (found[:, [0, 2]] == found[:, [0, 2]].round()).all()
    assert set(found[:, 2]) == {0, 1}
    assert (found[:, 1] != found[:, 1].round())[hidden[:, 1]].all()


def test_values_stay_in_the_observed_range_unless_told_otherwise():
    x = np.linspace(-1, 1, 200)
    X = np.c_[x, x, x]
    X[x > 0.5, 1:] = np.nan
    X[0, 0] = np.nan
    rows = [[3.0, np.nan, np.nan]]
    clipped = AutoencoderImputer(PLAIN, random_state=0).fit(X).transform(rows)
    assert clipped[0, 1] <= 0.5
    free = AutoencoderImputer(PLAIN, clip=False, random_state=0).fit(X)
    assert np.isfinite(free.transform(rows)).all()


@pytest.mark.slow
def test_draws_are_as_uncertain_as_what_they_stand_for():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1_500, 1))
    X = signal + rng.normal(0, 0.6, (1_500, 5))  # given four others, a variance of 0.43
    fit, rows = X[:1_000].copy(), X[1_000:].copy()
    fit[::2, 0], rows[:, 0] = np.nan, np.nan
    vae = VAETransformer(1, scaling="standard", variance="per_feature", max_epochs=60)
    imputer = AutoencoderImputer(vae, sample_posterior=True, random_state=0).fit(fit)
    draws = imputer.multiple_impute(rows, 30, random_state=0)[:, :, 0]
    assert 0.7 < draws.var(axis=0, ddof=1).mean() / 0.43 < 1.3
    error = draws.mean(axis=0) - X[1_000:, 0]
    assert error.var() < 0.55
    within = np.abs(X[1_000:, 0] - draws.mean(axis=0)) < 1.645 * draws.std(axis=0)
    assert 0.82 < within.mean() < 0.96


def test_draws_need_no_autoencoder_to_be_named(iris):
    holed, hidden = hide(iris[::3])
    imputer = AutoencoderImputer(sample_posterior=True, random_state=0).fit(holed)
    np.testing.assert_array_equal(imputer.transform(holed), imputer.transform(holed))
    first, second = imputer.multiple_impute(holed, 2, random_state=0)
    assert (first[hidden] != second[hidden]).mean() > 0.9
    for draw in (first, second):
        np.testing.assert_array_equal(draw[~hidden], holed[~hidden])
    again = imputer.multiple_impute(holed, 2, random_state=0)
    np.testing.assert_array_equal(again, [first, second])


def test_several_imputations_need_samples(iris):
    imputer = fit_once(IMPUTERS[0], iris)
    with pytest.raises(ValueError, match=r"sample_posterior=False. Fit it with"):
        imputer.multiple_impute(iris)
    with pytest.raises(ValueError, match="n_imputations == 0"):
        imputer.multiple_impute(iris, 0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"autoencoder": SparseAutoencoder()},
            r"SparseAutoencoder\(...\) takes no missing",
        ),
        ({"autoencoder": PLAIN, "sample_posterior": True}, r"Use VAETransformer\(\)"),
        (
            {"autoencoder": VAETransformer(), "n_estimators": 3, "sample_posterior": True},
            "Use n_estimators=1",
        ),
        ({"n_estimators": 0}, "n_estimators"),
        ({"autoencoder": SimpleImputer()}, "autoencoder"),
    ],
)
def test_wrong_parameters(iris, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderImputer(**parameters).fit(hide(iris)[0])


def test_a_table_with_a_single_row_that_has_values():
    X = np.full((5, 2), np.nan)
    X[0] = 1
    with pytest.raises(ValueError, match=r"X has 1 row\(s\) with an observed value"):
        AutoencoderImputer().fit(X)


def test_training_is_shown_on_demand(iris, capsys):
    holed = hide(iris[::3])[0]
    AutoencoderImputer(random_state=0).fit(holed)
    assert not capsys.readouterr().out
    AutoencoderImputer(verbose=1, random_state=0).fit(holed)
    assert "held out" in capsys.readouterr().out


def test_in_a_pipeline_under_grid_search():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        AutoencoderImputer(PLAIN, random_state=0), LogisticRegression(max_iter=500)
    )
    grid = {"autoencoderimputer__autoencoder__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(hide(X, 0.1)[0], y)
    assert search.best_score_ > 0.8


def test_several_members_are_averaged(table):
    fit, whole, holed, hidden = table
    member = AutoencoderTransformer(4, hidden_layer_sizes=(16,), max_epochs=3)
    several = AutoencoderImputer(member, n_estimators=3, random_state=0).fit(fit)
    assert several.autoencoder_.net_.module_.n_members == 3
    assert rmse(several.transform(holed), whole, hidden) < 0.8


@pytest.mark.parametrize(("n_rows", "n_members"), [(1_999, 4), (2_000, 2)])
def test_many_rows_have_fewer_default_members(n_rows, n_members):
    X = np.random.default_rng(0).normal(size=(n_rows, 1)) * [1.0, 2.0]
    imputer = AutoencoderImputer(random_state=0).fit(hide(X, 0.1)[0])
    assert imputer.autoencoder_.net_.module_.n_members == n_members


def test_normal_scores_are_those_of_the_ranks():
    x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0)).exp()
    quantiles = torch.quantile(x, quantile_levels(), dim=0)
    scores = RankToNormal(quantiles)(x)
    inner = x.log().abs() < 2.5  # beyond, a few cells stretch from quantile to quantile
    torch.testing.assert_close(scores[inner], x.log()[inner], atol=0.15, rtol=0.05)
    assert scores.abs().max() <= 3
    steps = RankToNormal(torch.zeros(len(quantiles), 2))
    assert torch.equal(steps(torch.tensor([[-1.0, 1.0]])), torch.tensor([[-3.0, 3.0]]))


def test_an_imputation_network_leaves_observed_cells(table):
    network = ImputationNetwork(30, 16, 1, 0.0)
    x = torch.from_numpy(table[2]).float()
    found = network(x).reconstruction
    assert found.isfinite().all()
    assert torch.equal(found[~x.isnan()], x[~x.isnan()])


@pytest.fixture(scope="module")
def clusters():
    """Rows near 60 points, which no network of few epochs can learn by heart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 16))[rng.integers(60, size=900)]
    return X + rng.normal(0, 0.05, X.shape)


def use_neighbors(imputer, nearest):
    """Set the kernel regression of a fitted imputer; None is none."""
    imputer.autoencoder_._fitted.learned["nearest_"] = nearest


def test_near_rows_help_where_rows_lie_close_together(clusters):
    holed, hidden = hide(clusters)
    imputer = AutoencoderImputer(random_state=0).fit(holed[:600])
    found = imputer.transform(holed[600:])
    nearest = imputer.autoencoder_.nearest_
    assert 0.5 < nearest.weight <= 1
    use_neighbors(imputer, None)
    alone = imputer.transform(holed[600:])
    errors = [rmse(each, clusters[600:], hidden[600:]) for each in (found, alone)]
    assert errors[0] < 0.4 * errors[1]


def test_near_rows_do_no_harm_where_they_tell_nothing():
    X = np.random.default_rng(0).normal(size=(800, 6))  # independent columns
    holed, hidden = hide(X)
    imputer = AutoencoderImputer(random_state=0).fit(holed[:400])
    found = imputer.transform(holed[400:])
    use_neighbors(imputer, None)
    alone = imputer.transform(holed[400:])
    errors = [rmse(each, X[400:], hidden[400:]) for each in (found, alone)]
    assert errors[0] <= 1.001 * errors[1]


def test_columns_shrink_as_far_as_hidden_cells_say():
    rng = torch.Generator().manual_seed(0)
    guess = 4 * torch.rand(400, 4, generator=rng) - 2
    slope = torch.tensor([0.5, 0.1, 1.5, -1.0])
    is_hidden = torch.rand(400, 4, generator=rng) < 0.5
    residual = torch.where(is_hidden, (slope - 1) * guess, 0.0)
    none = torch.zeros(400, 4)
    known = CalibrationSet(guess, is_hidden, is_hidden, residual, *[none] * 3, n_repeats=1)
    n = is_hidden.sum(0)
    expected = ((slope * n + PRIOR_CELLS) / (n + PRIOR_CELLS)).clamp(0, 1)
    torch.testing.assert_close(fit_shrinkage(known, None, None), expected)
    shared = fit_shrinkage(known, None, torch.tensor([0, 0, 1, 2]))
    assert expected[1] < shared[0] == shared[1] < expected[0]
    torch.testing.assert_close(shared[2:], expected[2:])


def test_a_column_is_not_shrunk_for_a_gain_within_its_standard_error():
    rng = torch.Generator().manual_seed(0)
    guess, noise = torch.randn(2, 400, 2, generator=rng)
    everywhere, none = torch.ones_like(guess, dtype=torch.bool), torch.zeros_like(guess)
    residual = torch.tensor([-0.02, -0.4]) * guess + 0.5 * noise
    known = CalibrationSet(guess, *[everywhere] * 2, residual, *[none] * 3, n_repeats=1)
    factor = fit_shrinkage(known, None, None)
    assert factor[0] == 1
    assert 0.6 < factor[1] < 0.75


def test_extreme_entries_are_hardly_shrunk():
    guess = torch.tensor([[1.0, -20.0, 20.0]])
    shrunk = torch.tensor([[0.5, -18.75, 18.75]])  # by half of 2.5
    assert torch.equal(shrink(guess, torch.tensor([0.5])), shrunk)


def test_a_column_without_a_hidden_cell_does_not_shrink():
    none, nowhere = torch.zeros(5, 2), torch.zeros(5, 2, dtype=torch.bool)
    known = CalibrationSet(none + 1, nowhere, nowhere, *[none] * 4, n_repeats=1)
    assert torch.equal(fit_shrinkage(known, None, None), torch.ones(2))


def test_a_row_is_no_neighbour_of_itself_or_of_a_copy():
    X = np.array([[1.0, np.nan], [2.0, 3.0], [1.0, np.nan], [1.0, 3.0]])
    found = equal_rows(X, np.array([0, 3]), np.array([0, 1, 2, 3]))
    np.testing.assert_array_equal(found, [[True, False, True, False], [False] * 3 + [True]])


def test_rows_that_are_all_the_same_are_no_trouble():
    X = np.ones((50, 3))
    X[::2, 0] = np.nan
    found = AutoencoderImputer(random_state=0).fit_transform(X)
    np.testing.assert_allclose(found, 1)


def test_a_training_row_is_filled_in_as_if_it_were_new(clusters):
    holed = RowSource(hide(clusters)[0][:600]).in_order().X  # the order that a fit makes
    imputer = AutoencoderImputer(random_state=0).fit(holed)
    nearest = imputer.autoencoder_.nearest_
    found = imputer.transform(holed[:20])
    for i in range(20):  # each in turn is not among the rows that it is drawn to
        others = torch.arange(len(nearest.rows)) != i
        parts = nearest.rows[others], nearest.is_observed[others]
        others = KernelRegressionImputer(*parts, nearest.bandwidth, nearest.weight)
        use_neighbors(imputer, others)
        np.testing.assert_allclose(imputer.transform(holed[[i]]), found[[i]], rtol=1e-5)


def test_copies_of_rows_do_not_judge_themselves():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(300, 8))
    holed, _ = hide(X)
    copies = holed[rng.integers(300, size=300)]
    imputer = AutoencoderImputer(random_state=0).fit(copies)
    nearest = imputer.autoencoder_.nearest_
    assert nearest is None or nearest.weight < 0.7


def test_few_rows_are_judged_before_all_are_fitted_to():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 20))[rng.integers(8, size=40)] + rng.normal(0, 0.1, (40, 20))
    imputer = AutoencoderImputer(random_state=0).fit(hide(X)[0])
    assert imputer.autoencoder_.nearest_.weight > 0.9


def test_the_precision_of_x_changes_nothing_but_the_last_digits(clusters):
    holed, _ = hide(clusters[:300])
    found = [
        AutoencoderImputer(random_state=0).fit(holed.astype(kind)).transform(holed)
        for kind in (np.float32, np.float64)
    ]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_more_members_than_judging_rows(clusters, monkeypatch):
    monkeypatch.setattr("sk_autoencoder.impute._neighbors.MAX_CALIBRATION_ROWS", 1)
    imputer = AutoencoderImputer(n_estimators=3, random_state=0)
    assert np.isfinite(imputer.fit_transform(hide(clusters)[0])).all()


def test_distances_are_computed_a_piece_at_a_time(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    known, guess = (torch.randn(n, 3, generator=rng) for n in (40, 25))
    nearest = KernelRegressionImputer(known, torch.ones(40, 3), bandwidth=0.2, weight=0.7)
    x = guess.clone()
    x[:, 1] = torch.nan
    expected = nearest(x, guess)
    monkeypatch.setattr("sk_autoencoder.impute._network.MAX_ENTRIES", 100)
    torch.testing.assert_close(nearest(x, guess), expected)


def test_a_correction_is_chosen_a_piece_at_a_time(monkeypatch):
    holed, _ = hide(load_iris().data)
    fits = []
    for n_entries in (2**20, 300):  # of distances to 150 reference rows
        monkeypatch.setattr("sk_autoencoder.impute._network.MAX_ENTRIES", n_entries)
        fits.append(AutoencoderImputer(random_state=0).fit_transform(holed))
    np.testing.assert_allclose(*fits, atol=1e-4)


@pytest.mark.parametrize("n_columns", [10, 20, 50])
def test_many_rows_get_no_more_steps(n_columns, train_imputers_for):
    train_imputers_for(200)

    def count_steps(n_rows):
        return n_rows * make_default_autoencoder(n_rows, n_columns).max_epochs

    steps = [count_steps(n_rows) for n_rows in (2_000, 20_000, 40_000, 100_000)]
    assert steps[0] < 0.75 * steps[1]
    assert max(steps[1:]) < 1.2 * min(steps[1:])  # whole epochs


def test_rows_that_do_not_know_the_cell_are_no_neighbours():
    known = torch.tensor([[0.0, 0.0, 9.0], [0.5, 0.0, 1.0]])
    observed = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    nearest = KernelRegressionImputer(known, observed, bandwidth=0.01, weight=1.0)
    x = torch.tensor([[0.0, 0.0, torch.nan]])
    found = nearest(x, torch.tensor([[0.0, 0.0, 9.0]]))
    assert float(found[0, 2]) == pytest.approx((1 + 0.01 * 9) / 1.01)
    nobody = KernelRegressionImputer(known[:1], observed[:1], bandwidth=0.01, weight=1.0)
    assert float(nobody(x, torch.tensor([[0.0, 0.0, 7.0]]))[0, 2]) == 7


def test_near_rows_are_weighted_by_distance_and_by_what_was_observed():
    known = torch.tensor([[0.0, 1.0, 5.0], [0.0, 3.0, 7.0], [9.0, 9.0, 9.0]])
    observed = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    nearest = KernelRegressionImputer(known, observed, bandwidth=1.0, weight=1.0)
    x = torch.tensor([[0.0, torch.nan, torch.nan]])
    guess = torch.tensor([[0.0, 2.0, 6.0]])
    away = nearest.distances(guess, x.isnan())
    first = 0.5 * (2 - 1) ** 2 / 1.75
    assert away[0, 0] == pytest.approx(first)  # the third cells lie beyond 2.5: clamped
    assert away[0, 2] == pytest.approx((2.5**2 + 0.5 * 0.5**2) / 2)
    weight = torch.softmax(-away[0], 0)
    expected = (weight @ known[:, 1] + 0.01 * 2) / 1.01
    found = nearest(x, guess)[0]
    assert found[0] == 0
    assert found[1] == pytest.approx(float(expected))
    seen = weight[1:].sum()
    expected = (weight[1:] @ known[1:, 2] + 0.01 * 6) / (seen + 0.01)
    assert found[2] == pytest.approx(float(expected))


def test_stacked_members_have_the_losses_and_gradients_that_vmap_gives():
    torch.manual_seed(0)
    alone, scaler = [], Scaler(torch.zeros(5), torch.ones(5))
    for _ in range(3):
        network = ImputationNetwork(5, 8, 1, 0.3)
        mean, loadings, low = torch.randn(5), torch.randn(5, 2), torch.full((5,), -3.0)
        fill = FactorModelImputer(mean, loadings, torch.rand(5) + 0.1, low, -low)
        network.start_at(fill, torch.randn(25, 5).sort(0).values)
        torch.nn.init.normal_(network.layers[-1].weight)
        corruption = PreserveMissing(RandomMissing(0.4))
        identity = torch.nn.Identity()
        alone.append(Autoencoder(network, scaler, corruption, identity))
    target = torch.randn(3, 40, 5)
    target[torch.rand_like(target) < 0.2] = torch.nan
    objective = Objective(LOSSES["huber"].observed_error)
    check_stacked_losses(alone, objective, Batch(target, target, torch.rand(3, 40)))


def test_entries_are_hidden_in_the_patterns_of_incomplete_rows():
    torch.manual_seed(0)
    patterns = torch.tensor([[True, True, False, False]]).expand(450, 4)
    hide_some = RandomMissing(0.3, patterns=patterns)
    assert hide_some.pattern_share == 0.75 * 0.9
    is_hidden = hide_some(torch.zeros(8_000, 4)).isnan()
    share = (is_hidden == patterns[0]).all(dim=1).float().mean()
    by_chance = 0.3**2 * 0.7**2
    assert abs(share - (0.675 + 0.325 * by_chance)) < 0.02
    assert RandomMissing(0.3, patterns=patterns[:0]).pattern_share == 0


def test_patterns_are_those_of_training_rows():
    X = np.random.default_rng(0).normal(size=(300, 4))
    X[::3, :2] = np.nan
    imputer = AutoencoderImputer(n_estimators=1, random_state=0).fit(X)
    corruption = imputer.autoencoder_.net_.module_.corruption.corruption
    assert corruption.pattern_share > 0.4
    assert (corruption.patterns == torch.tensor([True, True, False, False])).all()


def test_entries_of_few_validation_rows_are_hidden_several_times():
    measured = {"hidden_fraction": 0.2}
    assert [count_corruptions(n, measured) for n in (40, 400, 4_000)] == [6, 3, 1]


def test_training_ends_early_where_the_start_is_best():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 5)) + rng.normal(size=(150, 5))
    X[rng.random(X.shape) < 0.2] = np.nan  # normal rows: the factor model is right
    autoencoder = ImputationAutoencoder(
        max_epochs=60, n_iter_no_change=20, lr=0.1, tol=0.5, random_state=0
    )
    imputer = AutoencoderImputer(autoencoder, random_state=0).fit(X)
    assert imputer.autoencoder_.best_epoch_ == 0
    assert len(imputer.autoencoder_.history_) == 15  # three quarters of the patience


@pytest.mark.slow
@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_a_curve_of_few_rows_is_learned(random_state, train_imputers_for):
    train_imputers_for(100)
    angle = np.random.default_rng(random_state).uniform(0, np.pi, 100)
    whole = np.c_[np.cos(angle), np.sin(angle)]
    X = whole.copy()
    X[::5, 1] = np.nan  # about 6 of the held-out entries in each pass through them
    filled = AutoencoderImputer(random_state=random_state).fit_transform(X)
    assert np.sqrt(np.mean((filled - whole)[::5, 1] ** 2)) < 0.1  # .3 by the mean


def test_rows_are_copied_once_when_they_are_imputed():
    X = np.random.default_rng(0).normal(size=(200_000, 32))
    X[::20, 5] = np.nan
    quick = AutoencoderTransformer(
        2, hidden_layer_sizes=(8,), max_epochs=0, early_stopping=False
    )
    imputer = AutoencoderImputer(quick, random_state=0)
    imputer.fit(X[:1_000]).transform(X[:1_000])  # torch's first calls
    before = X.copy()
    assert peak_memory(lambda: imputer.fit(X)) < 0.8 * X.nbytes
    assert peak_memory(lambda: imputer.transform(X)) < 1.7 * X.nbytes  # 1 for the result
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("n_rows", [45, 60, 90])
def test_a_second_training_has_enough_rows_for_what_the_first_had_not(n_rows):
    # Around 40 training rows the start of an imputation chooses, or does not.
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.choice(list("xyz"), (n_rows, 3)), columns=list("abc"))
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    filled = AutoencoderImputer(random_state=0).fit_transform(frame)
    assert not filled.isna().any(axis=None)
    assert filled.where(frame.notna()).equals(frame)
