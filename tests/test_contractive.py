"""The Jacobian penalty against autograd, and what it does to codes."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.autograd.functional import jacobian

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ContractiveAutoencoder,
)
from sk_autoencoder.nn import Dense, LinearInit, jacobian_norm, relative_jacobian_norm
from sk_autoencoder.nn._penalties import EXACT_COMPONENTS, SMALL_AXIS, TINY_VARIANCE

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 8, "random_state": 0}


def network_and_rows(n_components, hidden, started=False, **spec):
    torch.manual_seed(0)
    network = Dense(hidden, **spec)(6, n_components)
    if started:
        weights = torch.randn(n_components, 6), torch.randn(6, n_components)
        ones = torch.ones(n_components)
        network.start_from(LinearInit(weights[0], ones, weights[1], torch.ones(6), ones))
    return network.double().eval(), torch.randn(5, 6).double()


def gradients_by_autograd(network, x):
    """Return d component / d x of each row, of shape (batch, n_components, n_features)."""
    return torch.stack(
        [jacobian(lambda row: network.encode(row[None])[0], row) for row in x]
    )


def generalised_variance(code):
    """Return the k-th root of det(Cov + floor), by its eigenvalues."""
    variances = torch.linalg.eigvalsh(torch.cov(code.T, correction=0)).clamp(min=0)
    floor = SMALL_AXIS * variances.mean() + TINY_VARIANCE
    return (variances + floor).log().mean().exp()


CLOSED = [
    {"n_components": 7, "hidden": ()},
    {"n_components": 7, "hidden": (), "started": True},
    {"n_components": 7, "hidden": (), "code_activation": "sigmoid"},
    {"n_components": 7, "hidden": (), "code_activation": "tanh", "code_noise": 0.1},
]
EXACT = [
    {"n_components": EXACT_COMPONENTS, "hidden": (8,)},
    {"n_components": 1, "hidden": (8, 4), "started": True},
    {"n_components": 2, "hidden": (8,), "code_activation": "tanh"},
]


@pytest.mark.parametrize("case", CLOSED + EXACT, ids=str)
def test_the_norm_is_that_of_autograd(case):
    network, x = network_and_rows(**case)
    assert (network.squared_gradients(x) is not None) == (case in CLOSED)
    expected = gradients_by_autograd(network, x).square().sum((1, 2))
    with torch.no_grad():
        torch.testing.assert_close(jacobian_norm(network, x, network(x)), expected)


@pytest.mark.parametrize("penalty", [jacobian_norm, relative_jacobian_norm])
@pytest.mark.parametrize("case", [*CLOSED, *EXACT, {"n_components": 7, "hidden": (8,)}])
def test_the_penalty_can_be_trained_and_judged(case, penalty):
    network, x = network_and_rows(**case)
    value = penalty(network, x, network(x))
    value.mean().backward()
    assert value.shape == (5,)
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert sum(grad.abs().sum() for grad in grads) > 0
    with torch.no_grad():
        torch.manual_seed(1)
        judged = penalty(network, x, network(x))
        torch.manual_seed(1)
    torch.testing.assert_close(judged, penalty(network, x, network(x)))


def test_the_gradient_of_the_penalty_is_that_of_autograd():
    network, x = network_and_rows(3, (8,))
    weight = network.encoder[0].weight
    total = jacobian_norm(network, x, network(x)).sum()
    (found,) = torch.autograd.grad(total, weight)
    by_autograd = jacobian(lambda rows: network.encode(rows).sum(0), x, create_graph=True)
    (expected,) = torch.autograd.grad(by_autograd.square().sum(), weight)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [jacobian_norm, relative_jacobian_norm])
def test_the_estimate_for_many_components_is_unbiased(penalty):
    network, x = network_and_rows(8, (16,), started=True)
    gradients = gradients_by_autograd(network, x)
    factor = 1.0
    if penalty is relative_jacobian_norm:
        factor = x.var(0, correction=0).sum() / 8 / generalised_variance(network.encode(x))
    expected = factor * gradients.square().sum((1, 2))
    draws = torch.stack([penalty(network, x, network(x)).detach() for _ in range(2_000)])
    errors = draws.std(0) / 2_000**0.5
    assert (errors > 0).all()
    assert ((draws.mean(0) - expected).abs() < 4 * errors).all()
    assert (errors < 0.05 * expected).all()


@pytest.mark.parametrize("n_components", [3, 8])  # fewer than rows, and more
def test_the_relative_norm_is_relative_to_the_generalised_variance(n_components):
    network, x = network_and_rows(n_components, ())
    out = network(x)
    ratio = relative_jacobian_norm(network, x, out) / jacobian_norm(network, x, out)
    spread = x.var(0, correction=0).sum() / n_components
    expected = (spread / generalised_variance(out.code)).expand(5)
    torch.testing.assert_close(ratio, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("factor", [0.1, 100.0])
def test_the_scale_of_the_codes_does_not_matter(factor):
    network, x = network_and_rows(3, (8,))
    before = relative_jacobian_norm(network, x, network(x))
    with torch.no_grad():
        network.encoder[-1].weight.mul_(factor)
    after = relative_jacobian_norm(network, x, network(x))
    torch.testing.assert_close(after, before, rtol=0.01, atol=0)


def test_no_linear_map_of_orthogonal_axes_is_better():
    torch.manual_seed(0)
    network, x = Dense(())(6, 3).double(), torch.randn(500, 6).double()
    axes = torch.linalg.qr(torch.randn(6, 3))[0].T.double()

    def norm(weight):
        with torch.no_grad():
            network.encoder[0].weight.copy_(weight)
        return relative_jacobian_norm(network, x, network(x)).mean().item()

    best = norm(axes)
    mixes = [torch.eye(3) + 0.3 * torch.randn(3, 3) for _ in range(20)]
    assert all(norm(mix.double() @ axes) > best for mix in mixes)


def test_constant_rows_and_codes_have_finite_gradients():
    for rows in (torch.ones(5, 6), torch.ones(1, 6)):
        network, _ = network_and_rows(3, (8,))
        value = relative_jacobian_norm(network, rows.double(), network(rows.double()))
        value.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in network.encoder.parameters())


def test_a_weight_of_zero_gives_the_plain_autoencoder_bit_for_bit(digits):
    X = digits[:150]
    plain = AutoencoderTransformer(5, **QUICK).fit(X)
    zero = ContractiveAutoencoder(5, contraction=0, **QUICK).fit(X)
    np.testing.assert_array_equal(plain.transform(X), zero.transform(X))
    contractive = ContractiveAutoencoder(5, **QUICK).fit(X)
    assert not np.array_equal(plain.transform(X), contractive.transform(X))


@pytest.mark.slow
@pytest.mark.parametrize("n_components", [2, 10])
def test_codes_move_less_at_equal_reconstruction(n_components):
    X = load_digits().data / 16
    noise = 0.1 * X.std() * np.random.default_rng(0).normal(size=(797, 64))

    def measure(contraction):
        fitted = ContractiveAutoencoder(
            n_components, contraction=contraction, max_epochs=20, random_state=0
        ).fit(X[:1000])
        codes, moved = fitted.transform(X[1000:]), fitted.transform(X[1000:] + noise)
        return fitted.score(X[1000:]), ((moved - codes) ** 2 / codes.var(axis=0)).mean()

    plain, ours = measure(0), measure(0.5)
    assert ours[0] > plain[0] - 0.02
    assert ours[1] < 0.8 * plain[1]


@pytest.mark.parametrize(
    ("network", "n_components"),
    [(Dense(()), 2), (Dense((8,)), 6), (Dense((), code_noise=0.1), 6)],
)
def test_members_of_an_ensemble_are_contracted_side_by_side(iris, network, n_components):
    autoencoder = ContractiveAutoencoder(n_components, network=network, max_epochs=5)
    detector = AutoencoderOutlierDetector(autoencoder, n_estimators=3, random_state=0)
    fitted = detector.fit(iris).autoencoder_
    assert np.isfinite(detector.score_samples(iris)).all()
    assert fitted.history_[-1]["train_contraction"] > 0
    assert fitted.history_[-1]["valid_contraction"] > 0
