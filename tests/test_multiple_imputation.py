"""Draws of missing values, and estimates pooled over them."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.imputation import regress
from sk_autoencoder import AutoencoderImputer, load, save
from sk_autoencoder.core._model_selection import bootstrap
from sk_autoencoder.impute import pool
from sk_autoencoder.impute._residuals import (
    MAX_BLOCKS,
    ResidualSampler,
    collect_residuals,
    split_columns,
)


@pytest.mark.parametrize("n_rows", [2, 3, 10, 60])
def test_copies_of_a_bootstrapped_row_are_on_one_side(n_rows):
    rows = 5 + np.tile(np.arange(n_rows), (20, 1))
    validation = np.arange(0, n_rows, 4)
    drawn = bootstrap(rows, validation)
    assert drawn.shape == rows.shape
    assert set(drawn.ravel()) <= set(rows.ravel())
    for member in drawn:
        trained = np.delete(member, validation)
        is_one_row = len(set(member)) == 1
        assert is_one_row or not set(trained) & set(member[validation])


def test_bootstrapped_rows_are_as_many_as_chance_gives():
    drawn = bootstrap(np.tile(np.arange(500), (40, 1)), np.arange(50))
    share = np.mean([len(set(member)) for member in drawn]) / 500
    assert share == pytest.approx(1 - np.exp(-1), abs=0.01)
    copies = np.bincount(drawn.ravel(), minlength=500)  # 40 times 1 in the mean
    assert copies.mean() == 40
    assert copies.std() == pytest.approx(40**0.5, rel=0.2)


def test_residuals_are_those_of_the_nearest_cells():
    guesses = torch.linspace(-1, 1, 101)[:, None].expand(101, 2).clone()
    residuals = guesses**2
    guesses[4:, 1], residuals[4:, 1] = torch.inf, 0.0  # the second column has 4 cells
    sampler = ResidualSampler(guesses, residuals)
    guess = torch.tensor([[-5.0, 0.0], [0.0, 0.0], [5.0, 0.0]])
    drawn = torch.stack([sampler(guess) - guess for _ in range(400)])
    for row, (low, high) in enumerate([(0.62**2, 1.0), (0.0, 0.21**2), (0.62**2, 1.0)]):
        assert low - 1e-5 <= drawn[:, row, 0].min() < drawn[:, row, 0].max() <= high + 1e-5
    expected = residuals[:4, 1]
    assert len(drawn[:, :, 1].unique()) == 4
    assert drawn[:, :, 1].min() == pytest.approx(float(expected.min()), abs=1e-6)


def test_residuals_leave_out_the_spread_of_members():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    is_cell = torch.ones(50, 3, dtype=torch.bool)
    is_cell[:, 2] = False
    error = x.square().mean(0)
    spread = torch.stack([0 * error, 0.5 * error, error], -1)[0].expand(50, 3)
    sampler = collect_residuals(x, torch.zeros(50, 3), spread, is_cell)
    variance = sampler.residuals.square().mean(0) * 49 / 51  # the mean of 50 is not exact
    torch.testing.assert_close(variance[0], error[0])
    assert variance[1] < error[1]
    assert torch.equal(sampler(torch.full((1, 3), 0.3))[:, 2], torch.tensor([0.3]))


def test_each_column_is_in_one_block():
    columns = torch.arange(100).repeat_interleave(2)
    blocks = torch.stack(split_columns(columns))
    assert len(blocks) <= MAX_BLOCKS
    assert torch.equal(blocks.sum(0), torch.ones(200, dtype=torch.long))
    assert torch.equal(blocks[:, ::2], blocks[:, 1::2])


@pytest.fixture(scope="module")
def normal():
    """Correlated normal rows with missing cells, the whole ones, and a fitted imputer."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(2_200, 1)) + rng.normal(0, 0.6, (2_200, 4))
    whole[:, 3] = whole[:, 3] > 0.5
    hidden = rng.random(whole.shape) < 0.25
    hidden[hidden.all(axis=1)] = False
    holed = np.where(hidden, np.nan, whole)
    imputer = AutoencoderImputer(sample_posterior=True, random_state=0).fit(holed[:200])
    return imputer, holed[200:], whole[200:], hidden[200:]


def test_intervals_of_draws_hold_what_they_say(normal):
    imputer, holed, whole, hidden = normal
    draws = imputer.multiple_impute(holed, 20, random_state=0)
    where, truth = hidden[:, :3], whole[:, :3][hidden[:, :3]]
    cells = draws[:, :, :3][:, where]
    # The k-th and the (21 - k)-th of 20 draws hold a further one in (21 - 2 k) of 21 cases.
    for k, level in ((1, 19 / 21), (3, 15 / 21), (6, 9 / 21)):
        low, high = np.sort(cells, axis=0)[[k - 1, 20 - k]]
        assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(level, abs=0.06)


def test_draws_keep_what_columns_share(normal):
    imputer, holed, whole, hidden = normal
    draw = imputer.multiple_impute(holed, 1, random_state=0)[0]
    both = hidden[:, 0] & hidden[:, 1]
    found, true = (np.corrcoef(rows[both][:, :2].T)[0, 1] for rows in (draw, whole))
    assert found == pytest.approx(true, abs=0.2)  # 0.74; 0 if they were independent
    assert draw[:, 0].std() == pytest.approx(whole[:, 0].std(), rel=0.1)


def test_draws_of_whole_numbers_are_whole(normal):
    imputer, holed, whole, hidden = normal
    draw = imputer.multiple_impute(holed, 1, random_state=0)[0]
    assert set(draw[:, 3]) == {0, 1}
    assert draw[hidden[:, 3], 3].mean() == pytest.approx(whole[:, 3].mean(), abs=0.1)


def test_a_file_keeps_what_draws_need(normal, tmp_path):
    imputer, holed, _, _ = normal
    save(imputer, tmp_path / "imputer.skops")
    loaded = load(tmp_path / "imputer.skops")
    draws = [m.multiple_impute(holed[:50], 2, random_state=0) for m in (imputer, loaded)]
    np.testing.assert_array_equal(*draws)


def test_draws_of_a_frame_have_its_frequencies():
    rng = np.random.default_rng(0)
    job = rng.choice(["smith", "cook", "nurse"], 600, p=[0.6, 0.3, 0.1])
    pay = 10.0 + 5 * (job == "nurse") + rng.normal(0, 2, 600)
    whole = pd.DataFrame({"job": job, "pay": pay, "years": rng.integers(0, 30, 600)})
    hidden = rng.random(whole.shape) < 0.2
    holed = whole.mask(hidden)
    imputer = AutoencoderImputer(sample_posterior=True, random_state=0).fit(holed)
    draws = imputer.multiple_impute(holed, 3, random_state=0)
    cells = pd.concat([draw["job"][hidden[:, 0]] for draw in draws])
    share = cells.value_counts(normalize=True)
    for level, expected in (("smith", 0.6), ("cook", 0.3), ("nurse", 0.1)):
        assert share[level] == pytest.approx(expected, abs=0.1)
    assert list(draws[0].dtypes) == list(holed.dtypes)
    assert (draws[0]["years"] % 1 == 0).all()
    pd.testing.assert_frame_equal(draws[0].where(~hidden), holed)


def test_pooled_estimates_follow_rubins_rules():
    pooled = pool([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert pooled.estimate == 2
    assert pooled.variance == pytest.approx(3 + 4 / 3)  # between: (1 + 1 / 3) times 1
    assert pooled.missing_fraction == pytest.approx(4 / 13)
    assert pooled.df == pytest.approx(2 * (13 / 4) ** 2)
    low, high = pooled.interval(0.95)
    assert (low + high) / 2 == pytest.approx(2)
    assert all(isinstance(value, float) for value in vars(pooled).values())
    few = pool([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], df_complete=10)
    observed = 11 / 13 * 10 * 9 / 13
    assert few.df == pytest.approx(1 / (1 / pooled.df + 1 / observed))
    equal = pool([[1.0, 2.0]] * 3, [[0.5, 0.0]] * 3)
    assert (equal.variance == [0.5, 0]).all()
    assert np.isinf(equal.df).all()
    assert equal.interval()[1][0] == pytest.approx(1 + 1.96 * 0.5**0.5, rel=1e-3)


def test_intervals_of_pooled_means_hold_the_truth():
    rng = np.random.default_rng(0)
    n_runs, n_rows, n_observed, n_draws = 3_000, 30, 15, 10
    x = rng.normal(size=(n_runs, n_observed))
    # Proper draws of a normal: the variance, then the mean, then the rows.
    shape = (n_draws, n_runs, 1)
    variance = x.var(axis=1, ddof=1) * (n_observed - 1)
    std = np.sqrt(variance / rng.chisquare(n_observed - 1, shape[:2]))[..., None]
    mean = x.mean(axis=1)[:, None] + std * rng.normal(size=shape) / n_observed**0.5
    drawn = mean + std * rng.normal(size=(n_draws, n_runs, n_rows - n_observed))
    rows = np.concatenate([np.broadcast_to(x, (n_draws, *x.shape)), drawn], axis=2)
    pooled = pool(rows.mean(2), rows.var(2, ddof=1) / n_rows, df_complete=n_rows - 1)
    low, high = pooled.interval(0.95)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1.0], [1.0]), "estimates has 1 imputation"),
        (([1.0, 2.0], [1.0]), r"variances has shape \(1,\), and estimates \(2,\)"),
        (([1.0, 2.0], [1.0, -1.0]), "variances has -1. Give squares"),
        (([1.0, np.nan], [1.0, 1.0]), "NaN"),
        (([1.0, 2.0], [1.0, 1.0], 0), "df_complete=0 has to be positive"),
    ],
)
def test_estimates_that_cannot_be_pooled(args, message):
    with pytest.raises(ValueError, match=message):
        pool(*args[:2], **({"df_complete": args[2]} if len(args) > 2 else {}))


@pytest.mark.parametrize("level", [95, 1, 0.0, -0.5])
def test_a_level_of_an_interval_is_a_probability(level):
    pooled = pool([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match=f"level={level} has to be .* such as 0.95"):
        pooled.interval(level)


@pytest.mark.slow
def test_pooled_coefficients_hold_the_truth():
    rng, n_runs, n_held = np.random.default_rng(0), 60, 0
    for run in range(n_runs):
        x = rng.normal(size=(120, 1)) + rng.normal(0, 0.7, (120, 3))
        y = x @ [1.0, 0.5, 0.0] + rng.normal(size=120)
        table = np.c_[x, y]
        table[rng.random(table.shape) < 0.15] = np.nan
        imputer = AutoencoderImputer(sample_posterior=True, random_state=run).fit(table)
        draws = imputer.multiple_impute(table, 10, random_state=run)
        low, high = pool(*map(np.array, zip(*map(regress, draws), strict=True))).interval()
        n_held += int(low[0] <= 1 <= high[0])
    assert n_held / n_runs > 0.88  # three standard errors below .95
