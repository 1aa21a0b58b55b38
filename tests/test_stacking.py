"""A classical density beside that of the variational autoencoder."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.mixture import GaussianMixture
from tables import pandas_frame

from sk_autoencoder import VAETransformer
from sk_autoencoder.generative._density import search_mixtures
from sk_autoencoder.generative._product_mixture import ProductMixture
from sk_autoencoder.generative._stacking import (
    choose_share,
    give_variance,
    log_average,
    make_average,
    stack_gaussians,
    stack_products,
)
from sk_autoencoder.nn import Gaussian

LINEAR = {"max_epochs": 0, "random_state": 0}  # probabilistic PCA
CENTERS = np.array([[0, 0, 0], [9, 0, 3], [0, 9, -3]])


def draw_clusters(n_rows: int, seed: int = 0) -> np.ndarray:
    """Draw rows of three round clusters, far apart."""
    rng = np.random.default_rng(seed)
    return CENTERS[rng.integers(3, size=n_rows)] + rng.normal(size=(n_rows, 3))


@pytest.fixture(scope="module")
def clusters():
    """A linear fit to 2,500 rows of three clusters."""
    return VAETransformer(1, **LINEAR).fit(draw_clusters(2_500))


def test_the_share_is_the_most_probable_one():
    rng = np.random.default_rng(0)
    is_second = rng.random(20_000) < 0.3
    x = np.where(is_second, rng.normal(4, 1, 20_000), rng.normal(0, 1, 20_000))
    share = choose_share(stats.norm.logpdf(x), stats.norm.logpdf(x, 4))
    assert share == pytest.approx(0.3, abs=0.01)


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 2), min_size=1, max_size=30))
def test_the_mean_is_little_below_the_better_density(pairs):
    first, second = np.array(pairs).T
    share = choose_share(first, second)
    assert 0 < share < 1
    mean = log_average(first, second, share)
    assert (mean <= np.maximum(first, second) + 1e-9).all()
    # Half a row for each density costs log(n + 1) nats in all, and no more.
    worst = max(first.sum(), second.sum()) - 2 * np.log(2 * len(mean) + 2)
    assert mean.sum() >= worst - 1e-6


def test_rows_are_as_probable_as_under_the_mixture_that_drew_them(clusters):
    held_out = draw_clusters(2_000, seed=1)
    density = sum(
        stats.multivariate_normal(center, np.eye(3)).pdf(held_out) for center in CENTERS
    )
    truth = np.log(density / 3).mean()
    alone = VAETransformer(1, **LINEAR, row_density=False).fit(draw_clusters(800))
    assert alone.score_density_ is None
    assert alone.log_likelihood(held_out) < truth - 0.2
    assert truth - 0.03 < clusters.log_likelihood(held_out) < truth + 0.03
    assert clusters.score_density_["share"] > 0.9


def test_the_density_integrates_to_one():
    rows = draw_clusters(500)[:, :2]
    vae = VAETransformer(1, **LINEAR).fit(rows)
    assert vae.score_density_ is not None
    axis = np.linspace(-20, 30, 60)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    total = np.exp(vae.score_samples(grid)).sum() * (axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("all_sizes_of_mixtures")
def test_few_rows_of_few_values_keep_their_peaks():
    # Validation rows are learned from in the end, which moves the scaling of columns.
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 3)) * [1, 100, 1e-3] + [0, 1e3, 0]
    rows = values[rng.integers(6, size=700)]
    vae = VAETransformer(1, **LINEAR).fit(rows)
    mixture = GaussianMixture(6, random_state=0).fit(rows / rows.std(axis=0))
    peaks = mixture.score(values / rows.std(axis=0)) - np.log(rows.std(axis=0)).sum()
    assert vae.log_likelihood(values) > peaks - 1


def test_constant_columns_have_the_variance_of_the_autoencoder():
    rows = np.c_[draw_clusters(300)[:, :2], np.zeros(300)]
    noise = 0.04
    mixture = GaussianMixture(3, random_state=0).fit(rows)
    is_constant = np.array([False, False, True])
    variance = np.full(3, noise)
    precisions = give_variance(mixture.precisions_cholesky_, is_constant, variance)
    narrow = GaussianMixture(3, random_state=0).fit(rows[:, :2])
    arrays = {"weights": mixture.weights_, "means": mixture.means_}
    arrays |= {"precisions": precisions, "share": np.array(1 - 1e-12)}
    arrays |= {"center": np.zeros(3), "scale": np.ones(3)}
    x = rows[:20] + np.array([0, 0, 0.1])
    log_density = make_average(arrays)(torch.full((20,), -50.0), torch.tensor(x))
    right = narrow.score_samples(x[:, :2]) + stats.norm.logpdf(0.1, scale=noise**0.5)
    np.testing.assert_allclose(log_density, right, rtol=1e-6)


def test_a_constant_column_does_not_decide():
    rng = np.random.default_rng(0)
    rows = np.c_[rng.normal(size=(1_500, 4)) @ rng.normal(size=(4, 4)), np.full(1_500, 7.0)]
    vae = VAETransformer(3, **LINEAR).fit(rows)
    alone = VAETransformer(3, **LINEAR, row_density=False).fit(rows)
    assert vae.log_likelihood(rows) - alone.log_likelihood(rows) < 0.5


def test_rows_that_gain_nothing_have_no_second_density():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1_500, 2)) @ rng.normal(size=(2, 2))
    log_density = stats.multivariate_normal(np.zeros(2), np.cov(rows.T)).logpdf(rows)
    assert (
        stack_gaussians(rows[500:], rows[:500], log_density[:500], Gaussian(2), 0) is None
    )
    cells = torch.eye(3)[torch.arange(300) % 3]
    whole = ProductMixture(torch.ones(1), torch.full((1, 3), 1 / 3), torch.zeros(1, 1))
    assert stack_products(whole, cells, np.full(300, -np.log(3) + 0.1)) is None
    stacked = stack_products(whole, cells, np.full(300, -np.log(3) - 1))
    assert stacked["share"] > 0.99


def test_a_mixture_of_complete_rows_adds_nothing_to_others(clusters):
    rows = draw_clusters(50, seed=2)
    rows[:, 1] = np.nan
    density = clusters.score_density_
    log_mean = make_average(density)(torch.zeros(50), torch.tensor(rows))
    np.testing.assert_allclose(log_mean, np.log1p(-density["share"]), rtol=1e-5)
    # The rows of the fit were complete: a cell that is missing in new rows is imputed.
    assert np.isfinite(clusters.score_samples(rows)).all()
    incomplete = draw_clusters(600)
    incomplete[0, 0] = np.nan
    vae = VAETransformer(1, **LINEAR).fit(incomplete)
    assert vae.score_density_ is None


@pytest.mark.usefixtures("all_sizes_of_mixtures")
@pytest.mark.parametrize(("patience", "n_parts"), [(1, 1), (2, 10)])
def test_the_search_for_a_size_has_patience(patience, n_parts):
    liked = {1: 0.0, 5: -1.0, 10: 2.0, 20: 1.0, 40: 1.0, 80: 9.0}

    def judge(mixture):
        return liked[mixture.n_components]

    found = search_mixtures(draw_clusters(400), judge, 0, patience=patience)
    assert found.size.n_parts == found.mixture.n_components == n_parts
    assert found.score == liked[n_parts]


def test_wild_entries_do_no_harm():
    rows = draw_clusters(400)
    rows[7, 1] = 1e30
    scores = VAETransformer(1, **LINEAR).fit(rows).score_samples(draw_clusters(400))
    assert np.isfinite(scores).all()


def test_frames_have_a_mixture_of_products_beside():
    frame = pandas_frame(500)
    vae = VAETransformer(1, **LINEAR).fit(frame)
    assert set(vae.score_density_) == {"weights", "levels", "share"}
    assert "density_sizes" not in vars(vae)
    scores, density = vae.score_samples(frame), vae.score_density_
    levels = torch.from_numpy(vae.table_.transform(frame)).nan_to_num()
    log_levels = torch.from_numpy(density["levels"]).double().clamp(min=1e-12).log()
    parts = levels @ log_levels.mT + torch.from_numpy(density["weights"]).log()
    # The mean is at least the share of the mixture; scores are those of full rows.
    least = parts.logsumexp(1).numpy() + np.log(density["share"])
    observed = 1 - frame.isna().to_numpy().mean(axis=1)
    assert (scores * observed > least - 1e-3).all()


@pytest.mark.parametrize(
    "options",
    [
        {"likelihood": "bernoulli", "row_density": True},
        {"code_density": "prior"},
        {"early_stopping": False},
    ],
)
def test_there_is_no_second_density(options):
    rows = draw_clusters(300)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    vae = VAETransformer(1, **LINEAR, **options).fit(rows)
    assert vae.score_density_ is None


def test_another_start_has_a_second_density_and_further_rows_end_it():
    rows = draw_clusters(600)
    vae = VAETransformer(1, init="random", max_epochs=1, random_state=0).fit(rows)
    assert vae.score_density_["share"] > 0.9
    assert vae.partial_fit(rows).score_density_ is None
