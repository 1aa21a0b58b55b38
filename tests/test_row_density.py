"""Densities of rows, and rows that are sampled given some of their cells."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import quick
from scipy import stats
from sklearn.mixture import GaussianMixture
from tables import pandas_frame, polars_frame

from sk_autoencoder import AdversarialAutoencoder, VAETransformer, load, save
from sk_autoencoder.generative._marginals import match_quantiles
from sk_autoencoder.generative._product_mixture import (
    Cells,
    ProductMixture,
    adapt,
    fit_parts,
    log_joint,
    log_likelihoods,
    make_cells,
    restrict,
    sample_cells,
    select_n_parts,
    smooth,
)
from sk_autoencoder.generative._row_mixture import RowMixture, sample_within

COLUMN = torch.tensor([0, 0, 1, 1, 1, 2, 2])  # of each of seven levels
START = {"max_epochs": 0, "early_stopping": False, "random_state": 0}

pytestmark = pytest.mark.usefixtures("all_sizes_of_mixtures")


@pytest.fixture(scope="module")
def people():
    """600 rows in which age, job and money go together."""
    return pandas_frame(600)


@pytest.fixture(scope="module")
def of_people(people):
    """An autoencoder of these rows."""
    return quick(VAETransformer, n_components=3).fit(people)


@pytest.fixture(scope="module")
def numbers():
    """900 rows of four columns: a heavy tail, its logarithm, whole numbers, a constant."""
    rng = np.random.default_rng(0)
    tail = rng.lognormal(0, 1, 900)
    noisy = np.log(tail) + 0.3 * rng.normal(size=900)
    return np.column_stack([tail, noisy, rng.poisson(2 * tail), np.full(900, 4.0)])


@pytest.fixture(scope="module")
def of_numbers(numbers):
    """An autoencoder of these rows."""
    return VAETransformer(2, row_density=True, **START).fit(numbers)


def random_mixture(n_parts=3):
    torch.manual_seed(0)
    levels = torch.rand(n_parts, len(COLUMN)) ** 3
    totals = torch.zeros(n_parts, 3).index_add_(1, COLUMN, levels)
    missing = torch.rand(n_parts, 3) / 3
    weights = torch.rand(n_parts)
    return ProductMixture(weights / weights.sum(), levels / totals[:, COLUMN], missing)


def every_row():
    """List all rows that the seven levels allow, with missing cells."""
    choices = [[0, 1, None], [2, 3, 4, None], [5, 6, None]]
    rows = []
    for levels in itertools.product(*choices):
        row = torch.zeros(len(COLUMN))
        for j, level in enumerate(levels):
            if level is None:
                row[j == COLUMN] = torch.nan
            else:
                row[level] = 1
        rows.append(row)
    return torch.stack(rows)


# Mixtures of products


def test_the_probabilities_of_all_rows_sum_to_one():
    cells = make_cells(every_row(), COLUMN, 3)
    total = log_joint(random_mixture(), cells).logsumexp(1).exp().sum()
    assert float(total) == pytest.approx(1, rel=1e-5)


def test_a_mixture_given_cells_is_bayes_rule():
    mixture, rows = random_mixture(), every_row()
    allowed = torch.full((7,), torch.nan)
    allowed[[0, 1]] = torch.tensor([0.0, 1.0])  # a level
    allowed[[2, 3, 4]] = torch.tensor([0.3, 1.0, 0.0])  # a range that cuts a bin
    cells = make_cells(rows, COLUMN, 3)
    p = log_joint(mixture, cells).logsumexp(1).exp()
    p = p * (rows * allowed)[:, :2].nan_to_num().sum(1)
    p = p * (rows * allowed)[:, 2:5].nan_to_num().sum(1)
    found = log_joint(restrict(mixture, allowed, COLUMN), cells).logsumexp(1).exp()
    torch.testing.assert_close(found, p / p.sum(), atol=1e-6, rtol=1e-4)


def test_sampled_cells_have_their_probabilities():
    torch.manual_seed(0)
    mixture, rows = random_mixture(), every_row()
    sampled = sample_cells(mixture, COLUMN, 40_000)
    same = (sampled[:, None].nan_to_num(9) == rows.nan_to_num(9)).all(-1)
    assert same.any(1).all()
    p = log_joint(mixture, make_cells(rows, COLUMN, 3)).logsumexp(1).exp()
    torch.testing.assert_close(same.float().mean(0), p, atol=0.01, rtol=0)


WIDE = torch.arange(8).repeat_interleave(6)  # eight columns of six levels
IS_BIN = WIDE < 4


def wide_mixture(n_parts=3):
    torch.manual_seed(0)
    levels = torch.rand(n_parts, len(WIDE)) ** 6
    totals = torch.zeros(n_parts, 8).index_add_(1, WIDE, levels)
    weights = torch.full((n_parts,), 1 / n_parts)
    return ProductMixture(weights, levels / totals[:, WIDE], torch.zeros(n_parts, 8))


def sample_wide(n_rows, n_parts=3, seed=0):
    mixture = wide_mixture(n_parts)
    torch.manual_seed(seed)
    return make_cells(sample_cells(mixture, WIDE, n_rows), WIDE, 8)


def test_expectation_maximisation_finds_the_distribution_of_rows():
    cells, new = sample_wide(3_000), sample_wide(3_000, seed=1)
    truth = log_likelihoods(wide_mixture(), new).mean()
    torch.manual_seed(1)
    fitted = fit_parts(cells, WIDE, 3)
    assert truth - 0.1 < log_likelihoods(fitted, new).mean() < truth
    assert log_likelihoods(fit_parts(cells, WIDE, 1), new).mean() < truth - 2


def test_held_out_rows_select_the_number_of_parts():
    assert select_n_parts(sample_wide(2_000), WIDE, IS_BIN) >= 10
    few = sample_wide(600)  # of 100 parts they would be copies
    assert 10 <= select_n_parts(few, WIDE, IS_BIN) <= 30
    alone = sample_wide(2_000, n_parts=1)
    assert select_n_parts(alone, WIDE, IS_BIN) == 1
    assert select_n_parts(sample_wide(20), WIDE, IS_BIN) == 1


def test_smoothing_makes_held_out_rows_more_likely():
    cells, new = sample_wide(300), sample_wide(1_000, seed=1)
    torch.manual_seed(1)
    sharp = fit_parts(cells, WIDE, 30)
    smoothed = smooth(sharp, cells, new.take(torch.arange(200)), WIDE, IS_BIN)
    rest = new.take(torch.arange(200, 1_000))
    means = [log_likelihoods(mixture, rest).mean() for mixture in (sharp, smoothed)]
    assert means[1] > means[0] + 0.1
    totals = torch.zeros(30, 8).index_add_(1, WIDE, smoothed.levels)
    torch.testing.assert_close(totals, torch.ones(30, 8))


def test_parts_adapt_to_rows():
    cells, mixture = sample_wide(2_000), wide_mixture()
    first = cells.levels[:, 0] > 0
    chosen = Cells(cells.levels[first], cells.missing[first])
    adapted = adapt(mixture, chosen, WIDE)
    share = float(adapted.weights @ adapted.levels[:, 0])
    before = float(mixture.weights @ mixture.levels[:, 0])
    assert before < 0.1
    assert share > 0.8


# Gaussian mixtures


def test_a_mixture_within_intervals_is_that_of_rejected_samples():
    rng = np.random.default_rng(0)
    rows = np.r_[rng.normal(size=(500, 3)), 3 + rng.normal(size=(300, 3))]
    rows[:, 2] += rows[:, 0] - rows[:, 1]
    mixture = GaussianMixture(2, random_state=0).fit(rows)
    parts = RowMixture(mixture.weights_, mixture.means_, mixture.covariances_)
    intervals = {2: (0.5, 1.5), 0: (-np.inf, 2.0)}
    found = sample_within(parts, intervals, 20_000, rng.random, 100_000)
    plain = mixture.sample(400_000)[0]
    kept = (plain[:, 2] > 0.5) & (plain[:, 2] < 1.5) & (plain[:, 0] < 2)
    for column, expected in zip(found.T, plain[kept].T, strict=True):
        assert stats.ks_2samp(column, expected).statistic < 0.03
    np.testing.assert_allclose(np.cov(found.T), np.cov(plain[kept].T), atol=0.06)
    far = sample_within(parts, {0: (40.0, 41.0)}, 50, rng.random, 5_000)
    assert np.isfinite(far).all()
    assert ((far[:, 0] >= 40 - 1e-9) & (far[:, 0] <= 41 + 1e-9)).all()


# Rows of numbers


def test_numbers_given_are_kept_and_others_follow(numbers, of_numbers):
    low, high = np.quantile(numbers[:, 0], [0.6, 0.7])
    rows = of_numbers.sample(500, random_state=0, given={0: (low, high)})
    assert ((rows[:, 0] >= low) & (rows[:, 0] <= high)).all()
    inside = numbers[(numbers[:, 0] >= low) & (numbers[:, 0] <= high)]
    for j in (1, 2):
        assert stats.ks_2samp(rows[:, j], inside[:, j]).statistic < 0.16
    assert (rows[:, 3] == 4).all()
    rows = of_numbers.sample(200, random_state=0, given={2: 3, 3: 4.0})
    assert (rows[:, 2] == 3).all()
    middle = np.median(numbers[numbers[:, 2] == 3, 0])
    assert np.median(rows[:, 0]) == pytest.approx(middle, rel=0.2)
    rows = of_numbers.sample(200, random_state=0, given={-2: (0.5, 2.7), 0: (0.5, 1.5)})
    assert set(rows[:, 2]) <= {1.0, 2.0}
    assert ((rows[:, 0] >= 0.5) & (rows[:, 0] <= 1.5)).all()


def test_columns_may_be_given_by_name(numbers):
    frame = pd.DataFrame(numbers, columns=list("abcd"))
    vae = VAETransformer(2, row_density=True, **START).fit(frame)
    rows = vae.sample(20, random_state=0, given={"c": 1})
    assert (rows[:, 2] == 1).all()


def test_samples_given_cells_repeat_by_their_seed(of_numbers, tmp_path):
    first = of_numbers.sample(5, random_state=3, given={2: 2})
    np.testing.assert_array_equal(of_numbers.sample(5, 3, given={2: 2}), first)
    assert not np.array_equal(of_numbers.sample(5, 4, given={2: 2}), first)
    save(of_numbers, tmp_path / "file")
    again = load(tmp_path / "file")
    np.testing.assert_array_equal(again.sample(5, 3, given={2: 2}), first)


def test_rows_of_numbers_may_be_like_others(numbers, of_numbers):
    few = numbers[numbers[:, 2] > 6]
    rows = of_numbers.sample(200, random_state=0, like=few)
    assert np.median(rows[:, 0]) == pytest.approx(np.median(few[:, 0]), rel=0.25)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1], TypeError, "given=.* has to be a dict"),
        ({7: 1.0}, ValueError, "given names 7, which is no column"),
        ({"z": 1.0}, ValueError, "given names 'z', which is no column"),
        ({0: (2.0, 1.0)}, ValueError, r"given\[0\]=.* has to be a value, or a tuple"),
        ({0: "tall"}, ValueError, r"given\[0\]='tall' has to be a value"),
        ({0: -1.0}, ValueError, r"given\[0\] lies outside the range"),
        ({2: (2.2, 2.8)}, ValueError, r"given\[2\]=.* holds no whole number"),
    ],
)
def test_wrong_cells(of_numbers, given, error, message):
    with pytest.raises(error, match=message):
        of_numbers.sample(3, given=given)


def test_cells_need_a_density_of_rows(numbers):
    vae = VAETransformer(2, code_density="prior", **START).fit(numbers)
    assert vae.row_density_ is None
    with pytest.raises(ValueError, match="fit with row_density=True"):
        vae.sample(3, given={0: 1.0})


def test_a_density_of_rows_may_be_that_of_an_adversarial_autoencoder(numbers):
    autoencoder = AdversarialAutoencoder(2, row_density=True, **START).fit(numbers)
    rows = autoencoder.sample(100, random_state=0, given={0: (1, 2)})
    assert ((rows[:, 0] >= 1) & (rows[:, 0] <= 2)).all()


def test_missing_entries_are_no_obstacle(numbers):
    X = numbers.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    vae = VAETransformer(2, row_density=True, **START).fit(X)
    rows = vae.sample(500, random_state=0)
    assert np.isfinite(rows).all()
    assert stats.spearmanr(rows[:, 0], rows[:, 1]).statistic > 0.7


# Tables


def test_cells_of_a_table_are_kept_and_others_follow(people, of_people):
    given = {"age": (42, 50), "city": "Ulm", "flag": True}
    rows = of_people.sample(300, random_state=0, given=given)
    assert rows["age"].between(42, 50).all()
    assert (rows["city"] == "Ulm").all()
    assert rows["flag"].astype(bool).all()
    assert (rows["job"].dropna() == "smith").mean() > 0.8  # of that age all are
    assert list(rows.dtypes) == list(people.dtypes)
    rows = of_people.sample(50, random_state=0, given={"age": 20, "job": "nurse"})
    assert (rows["age"] == 20).all()
    assert (rows["job"] == "nurse").all()


def test_times_may_be_given(people, of_people):
    start, end = pd.Timestamp("2022-01-01"), pd.Timestamp("2022-12-31")
    days = pd.Timedelta(days=3), pd.Timedelta(days=5)
    given = {"since": (start, end), "spent": days}
    rows = of_people.sample(100, random_state=0, given=given)
    assert rows["since"].between(start, end).all()
    assert rows["spent"].between(*days).all()


def test_cells_of_polars_frames():
    frame = polars_frame(80)
    vae = VAETransformer(2, **START).fit(frame)
    rows = vae.sample(30, random_state=0, given={"text": "a", "whole": (1, 2)})
    assert rows.schema == frame.schema
    assert set(rows["text"]) == {"a"}
    assert set(rows["whole"]) <= {1, 2}


def test_cells_that_no_row_has(of_people):
    for given, message in (
        ({"job": "king"}, r"given\['job'\]='king' is no level"),
        ({"age": 200}, r"given\['age'\] lies outside the range"),
    ):
        with pytest.raises(ValueError, match=message):
            of_people.sample(3, given=given)


def test_cells_are_missing_as_often_as_in_training_rows(people, of_people):
    rows = of_people.sample(2_000, random_state=0)
    difference = rows.isna().mean() - people.isna().mean()
    assert difference.abs().max() < 0.06
    assert not rows["age"].isna().any()


def test_rows_of_a_table_may_be_like_others(people, of_people):
    cooks = people[people["job"] == "cook"]
    rows = of_people.sample(300, random_state=0, like=cooks)
    assert (rows["job"] == "cook").sum() > 0.8 * rows["job"].notna().sum()


def test_a_saved_density_of_a_table_samples_the_same(of_people, tmp_path):
    save(of_people, tmp_path / "file")
    again = load(tmp_path / "file").sample(20, random_state=0)
    pd.testing.assert_frame_equal(again, of_people.sample(20, random_state=0))


def test_a_table_without_a_density_of_rows_is_decoded(people):
    vae = VAETransformer(2, row_density=False, **START).fit(people)
    assert vae.row_density_ is None
    assert not vae.sample(50, random_state=0).isna().to_numpy().any()


def test_the_map_of_marginals_takes_the_largest_floats():
    largest = np.finfo(float).max  # in place of samples that overflow
    marginals = np.array([[-largest, largest], [1.0, 3.5]])[:, :, None]
    rows = np.array([-largest, 0.0, largest])[:, None]
    matched = match_quantiles(rows, marginals, np.zeros)[:, 0]
    assert matched[[0, 2]].tolist() == [1.0, 3.5]
    assert 1 <= matched[1] <= 3.5
