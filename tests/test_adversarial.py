"""The critic against what is known of it, and codes against their prior."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sk_autoencoder import (
    AdversarialAutoencoder,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
)
from sk_autoencoder.generative._adversarial import add_residual_noise
from sk_autoencoder.nn import AdversarialPenalty, Dense, energy_distance
from sk_autoencoder.nn._adversarial import PRIORS, prior_moments, sample_normal

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 8, "random_state": 0}

pytestmark = pytest.mark.usefixtures("all_sizes_of_mixtures")


def shifted(n_codes, n_components):
    """Draw from a prior with mean 5 and standard deviation 3."""
    return 5 + 3 * torch.randn(n_codes, n_components)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_components_of_a_prior_have_mean_0_and_variance_1(prior, n_components):
    torch.manual_seed(0)
    drawn = PRIORS[prior](20_000, n_components)
    assert drawn.shape == (20_000, n_components)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(n_components), atol=0.03, rtol=0)
    covariance = torch.cov(drawn.T).reshape(n_components, n_components)
    torch.testing.assert_close(covariance, torch.eye(n_components), atol=0.05, rtol=0)


def test_the_best_critic_of_equal_distributions_has_a_loss_of_log_2():
    torch.manual_seed(0)
    penalty = AdversarialPenalty(sample_normal, 2, (16,))
    optimizer = torch.optim.Adam(penalty.parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        penalty.critic_loss(torch.randn(500, 2), torch.randn(500, 2)).backward()
        optimizer.step()
    found = penalty.critic_loss(torch.randn(20_000, 2), torch.randn(20_000, 2))
    assert abs(found.item() - math.log(2)) < 0.01


def test_the_best_critic_of_distant_codes_sees_it():
    torch.manual_seed(0)
    penalty = AdversarialPenalty(sample_normal, 2, (16,))
    optimizer = torch.optim.Adam(penalty.parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        penalty.critic_loss(10 + torch.randn(500, 2), torch.randn(500, 2)).backward()
        optimizer.step()
    assert penalty.critic_loss(10 + torch.randn(500, 2), torch.randn(500, 2)) < 0.1


def test_the_encoder_climbs_the_critic_and_leaves_it_alone():
    torch.manual_seed(0)
    penalty = AdversarialPenalty(sample_normal, 3)
    code = torch.randn(50, 3, requires_grad=True)
    penalty.encoder_loss(code).backward()
    assert all(p.grad is None for p in penalty.parameters())
    with torch.no_grad():
        moved = penalty.critic(code - 0.1 * code.grad / code.grad.norm())
        assert moved.mean() > penalty.critic(code).mean()


def test_critic_and_encoder_get_their_own_gradients_by_one_step():
    torch.manual_seed(0)
    x, network, penalty = (
        torch.randn(50, 4),
        Dense((8,))(4, 2),
        AdversarialPenalty(sample_normal, 2),
    )
    state = torch.get_rng_state()
    penalty(network, x, network(x)).backward()
    torch.set_rng_state(state)
    drawn = sample_normal(4 * 50, 2)
    expected = torch.autograd.grad(
        penalty.critic_loss(network.encode(x).detach(), drawn), list(penalty.parameters())
    )
    found = [p.grad for p in penalty.parameters()]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    code = network.encode(x)
    variance = x.var(0, correction=0).sum()
    pulls = penalty.encoder_loss(code) + 10 * energy_distance(code, drawn).mean()
    weight = network.encoder[0].weight
    (wished,) = torch.autograd.grad(variance * pulls, weight)
    torch.testing.assert_close(weight.grad, wished, rtol=1e-3, atol=1e-4)
    assert all(p.grad is None for p in network.decoder.parameters())


def test_the_energy_distance_is_unbiased_and_grows():
    torch.manual_seed(0)
    draws = [
        energy_distance(sample_normal(20, 3), sample_normal(100, 3)).mean().item()
        for _ in range(500)
    ]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 500**0.5
    near, far = (
        energy_distance(step + sample_normal(500, 3), sample_normal(500, 3)).mean()
        for step in (0.5, 2)
    )
    assert 0.05 < near < far


def test_one_held_out_row_can_be_judged():
    penalty = AdversarialPenalty(sample_normal, 2).eval()
    x, network = torch.randn(1, 4), Dense((8,))(4, 2)
    value = penalty(network, x, network(x))
    assert value.shape == (1,)
    assert torch.isfinite(value).all()


def test_moments_of_a_callable_are_measured():
    torch.manual_seed(0)
    mean, std = prior_moments(shifted, 2)
    torch.testing.assert_close(mean, torch.full((2,), 5.0), atol=0.2, rtol=0)
    torch.testing.assert_close(std, torch.full((2,), 3.0), atol=0.2, rtol=0)


@pytest.mark.parametrize("init", ["pca", pytest.param("random", marks=pytest.mark.slow)])
def test_a_weight_of_zero_gives_the_plain_autoencoder_bit_for_bit(digits, init):
    plain = AutoencoderTransformer(5, linear_penalty=0, init=init, **QUICK)
    zero = AdversarialAutoencoder(5, critic_weight=0, init=init, **QUICK)
    X = digits[:100]
    expected = plain.fit_transform(X)
    np.testing.assert_array_equal(zero.fit_transform(X), expected)
    assert not np.array_equal(
        AdversarialAutoencoder(5, init=init, **QUICK).fit_transform(X), expected
    )


@pytest.mark.parametrize("prior", ["normal", shifted])
def test_training_starts_at_pca_with_the_moments_of_the_prior(digits, prior):
    options = {**QUICK, "max_epochs": 0}
    plain = AutoencoderTransformer(5, **options).fit(digits)
    ours = AdversarialAutoencoder(5, prior=prior, **options).fit(digits)
    np.testing.assert_allclose(
        ours.reconstruct(digits), plain.reconstruct(digits), atol=1e-5
    )
    codes = ours.transform(digits)
    mean, std = (5, 3) if prior is shifted else (0, 1)
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(codes.std(axis=0), std, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_held_out_codes_are_nearer_to_the_prior_than_those_of_pca(prior):
    X_train, X_test = train_test_split(load_digits().data, random_state=0)
    ours = AdversarialAutoencoder(4, prior=prior, max_epochs=40, random_state=0)
    start = AdversarialAutoencoder(4, prior=prior, max_epochs=0, random_state=0)
    torch.manual_seed(0)
    drawn = PRIORS[prior](5_000, 4)
    near, far = (
        energy_distance(
            torch.from_numpy(each.fit(X_train).transform(X_test)).float(), drawn
        )
        for each in (ours, start)
    )
    assert near.mean() < 0.5 * far.mean()
    assert ours.score(X_test) > start.score(X_test)


@pytest.mark.parametrize(
    "code_density", [pytest.param("prior", marks=pytest.mark.slow), "gaussian_mixture"]
)
def test_samples_are_drawn_from_the_prior_or_from_a_mixture(digits, code_density):
    fitted = AdversarialAutoencoder(
        3, prior=shifted, code_density=code_density, **QUICK
    ).fit(digits)
    drawn = fitted.sample(50, random_state=1)
    assert drawn.shape == (50, 64)
    np.testing.assert_array_equal(drawn, fitted.sample(50, random_state=1))
    np.testing.assert_array_equal(drawn, pickle.loads(pickle.dumps(fitted)).sample(50, 1))
    assert (fitted.code_density_ is None) == (code_density == "prior")


def test_noise_has_the_deviations_of_the_residuals(digits):
    fitted = AdversarialAutoencoder(3, early_stopping=False, **QUICK).fit(digits)
    expected = ((fitted.reconstruct(digits) - digits) ** 2).mean(axis=0) ** 0.5
    np.testing.assert_allclose(fitted.residual_std_, expected, rtol=1e-6)
    torch.manual_seed(0)
    zeros = torch.zeros(5_000, 64, dtype=torch.float64)
    noisy = add_residual_noise(fitted._fitted, None, zeros)
    np.testing.assert_allclose(noisy.std(0), expected, rtol=0.06)


@pytest.mark.slow
def test_members_of_an_ensemble_have_codes_near_the_prior_too(digits):
    autoencoder = AdversarialAutoencoder(3, **QUICK)
    detector = AutoencoderOutlierDetector(autoencoder, n_estimators=3, random_state=0)
    fitted = detector.fit(digits).autoencoder_
    assert np.isfinite(detector.score_samples(digits)).all()
    assert np.isfinite(fitted.history_[-1]["train_critic"])
    codes = fitted.transform(digits)
    assert codes.shape == (300, 9)
    assert max(kstest(code, "norm").statistic for code in codes.T) < 0.2


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (lambda n_codes, n_components: torch.zeros(n_codes), "returned draws of shape"),
        (lambda n_codes, n_components: np.zeros((n_codes, n_components + 1)), "one row a"),
        (lambda n_codes, n_components: np.full((n_codes, n_components), np.nan), "finite"),
    ],
)
def test_draws_of_a_prior_are_checked(iris, prior, message):
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder(2, prior=prior, **QUICK).fit(iris)


def test_an_unknown_prior_is_named(iris):
    with pytest.raises(ValueError, match="'prior' parameter"):
        AdversarialAutoencoder(prior="cauchy").fit(iris)


def test_a_prior_that_fails_is_named(digits):
    with pytest.raises(TypeError, match=r"prior=<class 'int'> fails: .*callable"):
        AdversarialAutoencoder(3, prior=int, **QUICK).fit(digits)
