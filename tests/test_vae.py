"""Known answers of the variational autoencoder."""

import numpy as np
import pytest
import torch
from catalogue import fit_once
from linear import linear_moments
from scipy import stats
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from torch.distributions import Normal

from sk_autoencoder import AutoencoderOutlierDetector, VAETransformer
from sk_autoencoder.generative._density import fit_mixture, shrink_covariances
from sk_autoencoder.generative._marginals import find_quantiles, match_quantiles
from sk_autoencoder.nn import (
    Dense,
    Gaussian,
    KLDivergence,
    NegativeBinomial,
    NetworkOutput,
    Poisson,
)
from sk_autoencoder.nn._likelihoods import count_mean
from sk_autoencoder.nn._variational import (
    importance_bound,
    kl_divergences,
    mixture_log_prob,
    normal_log_prob,
)

START = {"max_epochs": 0, "early_stopping": False, "code_density": "prior"}
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 8, "random_state": 0}
SHORT = QUICK | {"max_epochs": 2}

pytestmark = pytest.mark.usefixtures("all_sizes_of_mixtures")


@pytest.fixture(scope="module")
def factor_rows():
    """600 rows of 8 columns from a factor model: 3 factors, noise of eight variances."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.3, 1.0, 8) * rng.normal(size=(600, 8))
    return rng.normal(size=(600, 3)) @ rng.normal(size=(3, 8)) + noise


@pytest.fixture(scope="module")
def counts():
    """400 rows of 12 counts in two groups, more variable than Poisson's."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 2.0, (2, 12))[rng.integers(2, size=400)]
    return rng.poisson(rates * rng.gamma(1.5, 1 / 1.5, rates.shape)).astype(float)


@pytest.fixture(scope="module")
def fitted(digits):
    """An autoencoder of 300 digits with 6 components."""
    return VAETransformer(6, **QUICK).fit(digits)


# The start


@pytest.mark.parametrize(("n_components", "tied_weights"), [(3, False), (10, True)])
def test_the_start_is_probabilistic_pca(n_components, tied_weights):
    X = load_digits().data[:700]
    vae = VAETransformer(n_components, tied_weights=tied_weights, **START).fit(X)
    pca = PCA(n_components).fit(X)
    np.testing.assert_allclose(vae.score_samples(X), pca.score_samples(X), rtol=1e-6)
    # The posterior is exact, so each draw of a code gives the same bound.
    one = vae.log_likelihood(X, n_importance_samples=1)
    assert one == pytest.approx(pca.score(X), rel=1e-6)


def test_the_start_with_a_variance_for_each_feature_is_an_exact_factor_model(factor_rows):
    vae = VAETransformer(3, variance="per_feature", **START).fit(factor_rows)
    exact = exact_log_likelihood(vae, factor_rows)
    np.testing.assert_allclose(vae.score_samples(factor_rows), exact, atol=1e-4)
    # Principal factors are not yet those of highest likelihood, but nearly.
    best = FactorAnalysis(3).fit(factor_rows).score(factor_rows)
    assert best - 0.3 < exact.mean() <= best


def exact_log_likelihood(vae, X):
    """Return the log-likelihood of a fitted model whose decoder is linear."""
    return stats.multivariate_normal(*linear_moments(vae)).logpdf(X)


# The bound


@torch.no_grad()
def mean_bounds(vae, X, sizes):
    """Return the mean bound over rows by each number of draws, own ones for each row."""
    network = vae.network_.double()
    x = vae.net_.module_.scaler(torch.from_numpy(X))
    torch.manual_seed(0)
    found = []
    for size in sizes:
        draws = torch.randn(size, len(x), vae.n_components_).double()
        bound = importance_bound(
            network, x, network.posterior(x), normal_log_prob, draws
        ).mean()
        found.append(float(bound - network.likelihood.log_abs_det_jacobian().sum()))
    network.float()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["shared", "per_feature"])
def test_the_bound_rises_to_the_exact_likelihood_of_a_linear_model(factor_rows, variance):
    vae = VAETransformer(
        3,
        init="random",
        hidden_layer_sizes=(),
        variance=variance,
        lr=0.01,
        max_epochs=15,
        code_density="prior",
        random_state=0,
    ).fit(factor_rows)
    exact = exact_log_likelihood(vae, factor_rows).mean()
    found = mean_bounds(vae, factor_rows, (1, 4, 32, 512))
    assert found == sorted(found)
    assert exact - 0.05 < found[-1] < exact + 0.005  # by 512 draws a row
    assert found[0] < exact - 0.05  # the posterior is not exact, so there is room
    few = factor_rows[:150]
    even = vae.log_likelihood(few, n_importance_samples=4096)
    exact = exact_log_likelihood(vae, few).mean()
    assert even == pytest.approx(exact, abs=0.05)  # one set of draws for all rows


@pytest.mark.slow
def test_a_trained_model_is_more_likely_than_pca_and_factor_analysis():
    X = load_digits().data
    vae = VAETransformer(10, max_epochs=20, random_state=0).fit(X[:1200])
    held_out = vae.log_likelihood(X[1200:])
    assert held_out > PCA(10).fit(X[:1200]).score(X[1200:]) + 5


def test_the_score_is_a_density_in_the_units_of_x(iris):
    # The density of one column integrates to one.
    X = 100 * iris[:, [2]]
    vae = VAETransformer(1, **SHORT).fit(X)
    grid = np.linspace(-1500, 2500, 8001)[:, None]
    total = np.exp(vae.score_samples(grid)).sum() * (grid[1, 0] - grid[0, 0])
    assert total == pytest.approx(1, abs=0.02)


def test_scores_and_codes_involve_no_chance(fitted, digits):
    np.testing.assert_array_equal(
        fitted.score_samples(digits), fitted.score_samples(digits)
    )
    mean, std = fitted.transform_distribution(digits)
    np.testing.assert_array_equal(fitted.transform(digits), mean)
    assert std.min() > 0


# Divergence


def test_the_divergence_has_its_closed_form():
    mean, std = torch.tensor([[0.5, -2.0]]), torch.tensor([[0.3, 1.5]])
    posterior = Normal(mean, std)
    expected = (mean**2 + std**2 - 1) / 2 - std.log()
    torch.testing.assert_close(kl_divergences(posterior), expected)
    torch.manual_seed(0)
    code = posterior.sample((200_000,))
    drawn = (posterior.log_prob(code) - Normal(0, 1).log_prob(code)).mean(0)
    torch.testing.assert_close(kl_divergences(posterior), drawn, atol=0.02, rtol=0)


def test_free_bits_and_warmth_count_while_training_only():
    posterior = Normal(torch.tensor([[1.0, 0.1]]), torch.ones(1, 2))
    out = NetworkOutput(posterior.mean, posterior.mean, posterior)
    divergence, network = KLDivergence(free_bits=0.2), torch.nn.Identity()
    divergence.annealing_factor = 0.5
    assert divergence(network.train(), None, out) == pytest.approx(0.5 * (0.5 + 0.2))
    assert divergence(network.eval(), None, out).tolist() == pytest.approx([0.505])


def test_the_report_of_components_is_what_the_posteriors_say(fitted, digits):
    mean, std = fitted.transform_distribution(digits)
    nats = ((mean**2 + std**2 - 1) / 2 - np.log(std)).mean(axis=0)
    assert fitted.kl_per_component_ == pytest.approx(nats, rel=0.2)  # on fewer rows
    assert fitted.active_components_.dtype == bool
    assert fitted.active_components_.all()


def test_a_collapse_is_reported(digits):
    vae = VAETransformer(6, variance=100.0, **QUICK)
    with pytest.warns(UserWarning, match=r"6 of 6 components have collapsed.*beta=1"):
        vae.fit(digits)
    assert not vae.active_components_.any()
    assert vae.kl_per_component_.max() < 0.1


def mixed_units(n_rows=800):
    """Draw money, a count, a rare flag, a category, and a number that is its function."""
    rng = np.random.default_rng(0)
    category = rng.choice(3, n_rows, p=[0.6, 0.35, 0.05])
    columns = [
        rng.lognormal(8, 1, n_rows),
        rng.poisson(3, n_rows),
        rng.random(n_rows) < 0.05,
        np.array([10.0, 25.0, 70.0])[category],
        np.eye(3)[category],
        np.full(n_rows, 5.0),
    ]
    return np.column_stack(columns)


@pytest.mark.slow
def test_rows_of_mixed_units_are_drawn_with_their_shares_and_relations():
    X = mixed_units()
    vae = VAETransformer(hidden_layer_sizes=(32,), max_epochs=15, random_state=0)
    drawn = vae.fit(X).sample(2_000, 0)
    shares = (X[:, 4:7].mean(axis=0), np.eye(3)[drawn[:, 4:7].argmax(axis=1)].mean(axis=0))
    np.testing.assert_allclose(*shares, atol=0.03)
    assert (drawn[:, 2] > 0.5).mean() == pytest.approx(X[:, 2].mean(), abs=0.03)
    np.testing.assert_allclose(drawn[:, :7].std(axis=0), X[:, :7].std(axis=0), rtol=0.15)
    nearest = np.abs(drawn[:, 3, None] - [10, 25, 70]).argmin(axis=1)
    assert (nearest == drawn[:, 4:7].argmax(axis=1)).mean() > 0.95
    np.testing.assert_array_equal(drawn[:, 7], 5)


def test_a_collapse_by_units_names_the_scaling():
    vae = VAETransformer(6, scaling="global", max_epochs=3, random_state=0)
    with pytest.warns(UserWarning, match="scaling='global' the others hardly.*'auto'"):
        vae.fit(mixed_units()[:200])


def test_free_bits_and_a_warm_up_avoid_a_collapse(digits):
    options = {"init": "random", "variance": 10.0, "early_stopping": False, **QUICK}
    with pytest.warns(UserWarning, match="collapsed"):
        plain = VAETransformer(6, **options).fit(digits)
    free = VAETransformer(6, free_bits=1.0, **options).fit(digits)
    assert free.kl_per_component_.sum() > plain.kl_per_component_.sum() + 1
    terms = VAETransformer(6, kl_warmup=6, **QUICK).fit(digits).history_[:, "train_kl"]
    assert terms[0] == 0
    assert terms[2] < terms[5]


@pytest.mark.slow
def test_beta_moves_nats_from_the_code_to_the_error(digits):
    nats = [
        VAETransformer(6, beta=beta, **QUICK).fit(digits).kl_per_component_.sum()
        for beta in (0.2, 1.0, 3.0)
    ]
    assert nats == sorted(nats, reverse=True)


# Drawing rows


@pytest.mark.slow
def test_samples_have_the_moments_of_x(factor_rows):
    X = 10 * factor_rows + 50
    vae = VAETransformer(3, output_noise=True, **QUICK).fit(X)
    drawn = vae.sample(20_000, random_state=0)
    assert drawn.shape == (20_000, 8)
    assert drawn.dtype == np.float64
    assert drawn.mean(axis=0) == pytest.approx(X.mean(axis=0), abs=1.5)
    size = np.abs(np.cov(X.T)).max()
    assert np.cov(drawn.T) == pytest.approx(np.cov(X.T), abs=0.15 * size)


def test_samples_repeat_by_their_seed(fitted):
    first = fitted.sample(5, random_state=3)
    np.testing.assert_array_equal(fitted.sample(5, random_state=3), first)
    assert not np.array_equal(fitted.sample(5, random_state=4), first)
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))
    assert fitted.sample().shape == (1, 64)


@pytest.mark.parametrize("wrong", [0, -1, 2.5])
def test_a_wrong_number_of_samples(fitted, wrong):
    with pytest.raises((ValueError, TypeError), match="n_samples"):
        fitted.sample(wrong)


@pytest.mark.slow
def test_samples_may_be_like_given_rows():
    X, y = load_digits(return_X_y=True)
    vae = VAETransformer(10, **QUICK).fit(X[:1200])
    from_all = vae.sample(200, random_state=0)
    zeros = vae.sample(200, random_state=0, like=X[:1200][y[:1200] == 0])
    center = X[1200:][y[1200:] == 0].mean(axis=0)

    def distance(rows):
        return np.linalg.norm(rows - center, axis=1).mean()

    assert distance(zeros) < 0.7 * distance(from_all)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        vae.sample(3, like=X[:1])


def test_codes_come_from_the_mixture_or_from_the_prior(fitted, digits):
    mixture = fitted
    assert isinstance(mixture.code_density_, GaussianMixture)
    prior = VAETransformer(6, code_density="prior", **QUICK).fit(digits)
    assert prior.code_density_ is None
    np.testing.assert_array_equal(prior.transform(digits), mixture.transform(digits))
    assert prior.log_likelihood(digits) < mixture.log_likelihood(digits)


@pytest.mark.slow
def test_sampled_columns_have_the_distributions_of_training_rows():
    rng = np.random.default_rng(0)
    tail = rng.lognormal(0, 1.5, 600)
    columns = [tail, rng.poisson(2, 600), rng.choice([0.5, 1.25, 7.0], 600), tail**2]
    X = np.column_stack([*columns, np.full(600, 3.0)])
    options = {"hidden_layer_sizes": (32,), "max_epochs": 8, "random_state": 0}
    vae = VAETransformer(3, **options).fit(X)
    assert vae.row_density_ is not None
    sampled = vae.sample(3_000, random_state=0)
    for j in (0, 1, 3):
        assert stats.ks_2samp(sampled[:, j], X[:, j]).statistic < 0.06
    assert set(sampled[:, 2]) == {0.5, 1.25, 7.0}
    np.testing.assert_array_equal(sampled[:, 1], sampled[:, 1].round())
    assert (sampled >= X.min(axis=0)).all()
    assert (sampled <= X.max(axis=0)).all()
    assert stats.spearmanr(sampled[:, 0], sampled[:, 3]).statistic > 0.9
    unmatched = clone(vae).set_params(match_marginals=False, row_density=False).fit(X)
    assert unmatched.sample(3_000, random_state=0)[:, 0].min() < 0
    np.testing.assert_array_equal(unmatched.transform(X), vae.transform(X))


def test_a_map_of_quantiles_keeps_the_order_of_rows():
    rng = np.random.default_rng(0)
    sampled, real = rng.normal(size=(500, 1)), rng.exponential(size=(400, 1))
    real[::7] = np.nan
    marginals = np.stack([find_quantiles(rows, 300) for rows in (sampled, real)])
    assert not np.isnan(marginals).any()
    far = np.r_[sampled, [[-1e300], [1e300]]]
    matched = match_quantiles(far, marginals, rng.random)
    assert (np.diff(matched[np.argsort(far[:, 0]), 0]) >= 0).all()
    assert matched[-2:, 0].tolist() == [np.nanmin(real), np.nanmax(real)]
    collapsed = np.zeros((500, 1))  # ties are broken at random
    marginals[0] = 0
    matched = match_quantiles(collapsed, marginals, rng.random)
    assert stats.ks_2samp(matched[:, 0], real[~np.isnan(real)]).statistic < 0.1


def test_held_out_codes_select_the_size_of_the_mixture():
    rng = np.random.default_rng(0)
    centers = 6 * rng.normal(size=(10, 4))
    codes = centers[rng.integers(10, size=2_000)] + rng.normal(size=(2_000, 4))
    assert fit_mixture(codes, 0).n_components == 10
    assert fit_mixture(rng.normal(size=(2_000, 4)), 0).n_components == 1
    assert fit_mixture(codes[:5], 0).n_components == 1


def test_covariances_are_shrunk_where_codes_are_few():
    rng = np.random.default_rng(0)
    codes = np.r_[rng.normal(size=(300, 6)), 9 + rng.normal(size=(12, 6))]
    mixture = GaussianMixture(2, random_state=0).fit(codes)
    shrunk = shrink_covariances(mixture, codes, 1.0)
    change = np.linalg.norm(shrunk.covariances_ - mixture.covariances_, axis=(1, 2))
    few = mixture.weights_.argmin()
    assert change[few] > 5 * change[1 - few]
    new = np.r_[rng.normal(size=(300, 6)), 9 + rng.normal(size=(12, 6))]
    assert shrunk.score(new) > mixture.score(new)
    exact = sum(
        w * stats.multivariate_normal(m, c).pdf(new)
        for w, m, c in zip(shrunk.weights_, shrunk.means_, shrunk.covariances_, strict=True)
    )
    np.testing.assert_allclose(shrunk.score_samples(new), np.log(exact))


def test_the_density_of_a_mixture_is_scikit_learns():
    rng = np.random.default_rng(0)
    mixture = GaussianMixture(3, random_state=0).fit(rng.normal(size=(200, 4)))
    parts = (mixture.weights_, mixture.means_, mixture.precisions_cholesky_)
    code = rng.normal(size=(50, 4))
    found = mixture_log_prob(torch.from_numpy(code), *map(torch.from_numpy, parts))
    np.testing.assert_allclose(found.numpy(), mixture.score_samples(code))


def test_noise_on_the_output_is_that_of_the_likelihood(digits):
    plain = {"match_marginals": False, "row_density": False}
    fitted = VAETransformer(6, **plain, **QUICK).fit(digits)
    assert fitted.marginals_ is None
    fitted.output_noise_ = False
    plain = fitted.sample(4_000, random_state=0)
    fitted.output_noise_ = True
    noise = fitted.sample(4_000, random_state=0) - plain
    likelihood = fitted.network_.likelihood
    expected = (likelihood.scale * likelihood.variance.sqrt()).detach().numpy()
    scaler = fitted.net_.module_.scaler
    expected[scaler.low == scaler.high] = 0  # constant columns stay so
    assert noise.std(axis=0) == pytest.approx(expected, rel=0.1)


def test_noise_is_added_where_rows_are_noisy(factor_rows):
    assert VAETransformer(1, **SHORT).fit(factor_rows).output_noise_
    smooth = factor_rows[:, :1] * np.ones(8)
    assert not VAETransformer(1, **SHORT).fit(smooth).output_noise_


@pytest.mark.slow
def test_noise_does_not_drown_quiet_columns(factor_rows):
    quiet = 1e-2 * np.hstack([factor_rows[:, :1], factor_rows[:, :1] ** 2])
    rows = np.hstack([factor_rows, quiet])
    # Without their marginals, which hide it, noise on quiet columns is seen.
    plain = {"match_marginals": False, "row_density": False}
    assert not VAETransformer(1, **plain, **QUICK).fit(rows).output_noise_
    sampled = VAETransformer(1, **QUICK).fit(rows).sample(2_000, random_state=0)
    assert stats.spearmanr(sampled[:, 8] ** 2, sampled[:, 9]).statistic > 0.8


# Likelihoods


def test_likelihoods_of_counts_are_scipys():
    counts = torch.tensor([[0.0, 3.0, 12.0]])
    center, scale = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([0.4, 1.0, 0.7])
    output = torch.tensor([[0.3, -0.2, 1.1]])
    mean = count_mean(output * scale + center).numpy()
    x = (counts.log1p() - center) / scale
    poisson, negative_binomial = Poisson(3), NegativeBinomial(3)
    for likelihood in (poisson, negative_binomial):
        likelihood.start_from(center, scale, torch.ones(3))
    expected = stats.poisson(mean).logpmf(counts.numpy()).sum()
    assert poisson(output, x).item() == pytest.approx(-expected, rel=1e-4)
    theta = np.e  # where training begins
    expected = stats.nbinom(theta, theta / (theta + mean)).logpmf(counts.numpy()).sum()
    assert negative_binomial(output, x).item() == pytest.approx(-expected, rel=1e-4)


def test_the_mean_of_counts_is_positive_and_its_own_inverse():
    means = torch.tensor([1.0, 10.0, 1e4])
    torch.testing.assert_close(count_mean(means.log1p()), means, rtol=1e-2, atol=0)
    assert (count_mean(torch.tensor([-5.0, 0.0])) >= 0).all()


def test_the_gaussian_likelihood_is_scipys():
    likelihood = Gaussian(2, per_feature=True)
    variance = torch.tensor([0.5, 2.0])
    likelihood.start_from(torch.zeros(2), torch.ones(2), variance)
    x, output = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.1, 0.4]])
    expected = stats.norm(output, variance.sqrt()).logpdf(x).sum()
    assert likelihood(output, x).item() == pytest.approx(-expected)


@pytest.mark.slow
def test_overdispersed_counts_ask_for_a_negative_binomial(counts):
    found = {}
    for name in ("poisson", "negative_binomial"):
        vae = VAETransformer(2, likelihood=name, output_noise=True, **QUICK).fit(counts)
        found[name] = vae.log_likelihood(counts)
        drawn = vae.sample(500, random_state=0)
        assert (drawn >= 0).all()
        assert (drawn == drawn.round()).all()
        assert vae.reconstruct(counts).min() >= 0
        assert drawn.mean() == pytest.approx(counts.mean(), rel=0.2)
    assert found["negative_binomial"] > found["poisson"] + 1


@pytest.mark.parametrize(
    "likelihood", ["poisson", pytest.param("negative_binomial", marks=pytest.mark.slow)]
)
def test_sparse_counts_give_what_dense_counts_give(counts, likelihood):
    vae = VAETransformer(2, likelihood=likelihood, **SHORT)
    dense, sparse = vae.fit(counts), clone(vae).fit(csr_array(counts))
    np.testing.assert_allclose(
        sparse.score_samples(csr_array(counts)), dense.score_samples(counts), atol=0.5
    )
    assert sparse.score(csr_array(counts)) == pytest.approx(dense.score(counts), abs=0.02)


@pytest.mark.parametrize("wrong", [-1.0, 0.5])
def test_values_that_are_no_counts(counts, wrong):
    X = counts.copy()
    X[3, 4] = wrong
    with pytest.raises(ValueError, match=rf"likelihood='poisson' needs counts.*{wrong:g}"):
        VAETransformer(2, likelihood="poisson").fit(X)


def test_values_that_are_no_shares(iris):
    with pytest.raises(ValueError, match=r"likelihood='bernoulli' needs.*\[0, 1\]"):
        VAETransformer(2, likelihood="bernoulli").fit(iris)


def test_coins(digits):
    X = (digits > 0.5).astype(float)
    vae = VAETransformer(6, likelihood="bernoulli", output_noise=True, **QUICK).fit(X)
    rows = vae.reconstruct(X)
    assert 0 <= rows.min() < rows.max() <= 1
    assert set(np.unique(vae.sample(50, random_state=0))) == {0.0, 1.0}
    rate = X.mean(axis=0).clip(1e-3, 1 - 1e-3)  # coins without a code
    independent = stats.bernoulli(rate).logpmf(X).sum(axis=1).mean()
    assert vae.log_likelihood(X) > independent + 1


def test_a_given_variance_stays_as_it_is(iris):
    vae = VAETransformer(2, variance=0.25, **SHORT).fit(iris)
    likelihood = vae.network_.likelihood
    found = (likelihood.variance * likelihood.scale**2).detach().numpy()
    assert found == pytest.approx([0.25] * 4)
    each = [0.1, 0.2, 0.3, 0.4]
    likelihood = VAETransformer(2, variance=each, **SHORT).fit(iris).network_.likelihood
    found = (likelihood.variance * likelihood.scale**2).detach().numpy()
    assert found == pytest.approx(each)


@pytest.mark.parametrize("wrong", [[0.1, 0.2], [0.1, 0.2, 0.3, -1.0]])
def test_a_wrong_variance(iris, wrong):
    with pytest.raises(ValueError, match=r"variance=.*4 features"):
        VAETransformer(2, variance=wrong).fit(iris)


# In company


def test_any_network_can_be_variational(digits):
    spec = Dense((16,), activation="tanh")
    vae = VAETransformer(4, network=spec, **SHORT).fit(digits)
    assert vae.sample(3, random_state=0).shape == (3, 64)
    assert vae.score(digits) > 0.3


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_outliers_by_the_bound(digits, n_estimators):
    vae = VAETransformer(6, **SHORT)
    detector = AutoencoderOutlierDetector(vae, n_estimators=n_estimators, random_state=0)
    detector.fit(digits)
    assert detector.method_ == "score_samples"
    noise = np.random.default_rng(0).uniform(size=(50, 64))
    assert detector.score_samples(noise).max() < np.median(detector.score_samples(digits))


def test_the_linear_path_alone_may_count_too(digits):
    vae = VAETransformer(4, linear_penalty=0.5, **QUICK | {"max_epochs": 1}).fit(digits)
    assert vae.history_[-1, "train_linear"] > 0
    plain = fit_once(VAETransformer(4, **QUICK | {"max_epochs": 1}), digits)
    assert "train_linear" not in plain.history_[-1]


def test_the_loss_is_the_likelihood():
    assert "loss" not in VAETransformer().get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'loss'"):
        VAETransformer().set_params(loss="huber")


@pytest.mark.parametrize("exponent", [-400, 200, 400])
def test_densities_are_finite_in_any_unit(iris, exponent):
    vae = VAETransformer(2, **SHORT)
    scores = fit_once(vae, iris).score_samples(iris)
    unit = 2.0**exponent
    scaled = clone(vae).fit(iris * unit).score_samples(iris * unit)
    log_unit = exponent * np.log(2) * iris.shape[1]
    np.testing.assert_allclose(scaled + log_unit, scores, atol=1e-3)
