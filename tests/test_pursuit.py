"""Pursuit and dictionaries against closed forms and brute force."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence
from torch.nn import functional as F

from sk_autoencoder.nn import Coder, Dense, NetworkOutput, Pursuit, TopK, orthogonal_pursuit
from sk_autoencoder.nn._penalties import code_norm, rate_divergence
from sk_autoencoder.nn._pursuit import conservative_gain_threshold, gain_threshold
from sk_autoencoder.nn._sparse import Dictionary, auxk_loss


@pytest.fixture
def atoms():
    """30 random atoms of 12 features."""
    draws = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(30, 12, generator=draws, dtype=torch.float64), dim=1)


@pytest.fixture
def rows():
    """20 random rows of 12 features."""
    draws = torch.Generator().manual_seed(1)
    return torch.randn(20, 12, generator=draws, dtype=torch.float64)


def error_with(row, atoms):
    """Return the squared error that is left of a row after a least squares fit."""
    found = np.linalg.lstsq(atoms.numpy().T, row.numpy(), rcond=None)[0]
    return ((row.numpy() - found @ atoms.numpy()) ** 2).sum()


def test_each_step_is_the_best_one_and_fits_all_coefficients_anew(rows, atoms):
    path = orthogonal_pursuit(rows, atoms, depth=4)
    for row, chosen, gains in zip(
        rows, path.atoms.tolist(), path.gains.tolist(), strict=True
    ):
        before = float(row.square().sum())
        for step in range(4):
            errors = [error_with(row, atoms[[*chosen[:step], j]]) for j in range(30)]
            assert int(np.argmin(errors)) == chosen[step]
            assert gains[step] == pytest.approx(before - min(errors), abs=1e-12)
            before = min(errors)


def test_the_code_is_the_least_squares_fit_to_the_steps_kept(rows, atoms):
    path = orthogonal_pursuit(rows, atoms, depth=5)
    kept = torch.arange(5) < torch.arange(20).remainder(6)[:, None]
    codes = path.code(kept, 30)
    for row, code, n_kept, chosen in zip(rows, codes, kept.sum(1), path.atoms, strict=True):
        support = chosen[:n_kept].sort().values
        assert torch.equal(code.nonzero().flatten(), support)
        left = ((row - code @ atoms) ** 2).sum()
        assert left.item() == pytest.approx(error_with(row, atoms[support]), abs=1e-10)


def test_orthogonal_atoms_are_chosen_by_size(rows):
    turn = torch.linalg.qr(rows[:12]).Q
    path = orthogonal_pursuit(rows, turn, depth=3)
    products = rows @ turn.T
    places = products.abs().topk(3).indices
    expected = torch.zeros_like(products).scatter(1, places, products.gather(1, places))
    torch.testing.assert_close(path.code(torch.ones(20, 3), 12), expected)


def test_a_pursuit_that_has_explained_a_row_takes_no_more_atoms(atoms):
    codes = torch.zeros(3, 30, dtype=torch.float64)
    codes[0, 3], codes[1, 7], codes[2, 11] = 2.0, -3.0, 1e6
    path = orthogonal_pursuit(codes @ atoms, atoms, depth=20)
    assert torch.equal((path.gains > 0).sum(1), torch.tensor([1, 1, 1]))
    torch.testing.assert_close(path.code(path.gains > 0, 30), codes)
    nothing = orthogonal_pursuit(torch.zeros(2, 12), atoms.float(), depth=3)
    assert not nothing.code(torch.ones(2, 3), 30).any()


def test_copies_of_an_atom_are_used_once(rows):
    pair = F.normalize(rows[:2], dim=1)  # which one atom explains
    path = orthogonal_pursuit(rows, pair.repeat(4, 1), depth=6)
    assert torch.equal((path.gains[2:] > 0).sum(1), torch.full((18,), 2))
    assert torch.isfinite(path.code(torch.ones(20, 6), 8)).all()


@pytest.mark.parametrize("n_active", [1, 2.5, 6])
def test_worth_gives_the_average(rows, atoms, n_active):
    falling = orthogonal_pursuit(rows, atoms, depth=10).gains.cummin(1).values
    n_steps = (falling > gain_threshold(falling, n_active)).sum(1).double()
    assert n_steps.mean().item() == pytest.approx(n_active, abs=0.051)
    assert n_steps.std() > 0
    sure = (falling > conservative_gain_threshold(falling, n_active)).sum(1).double()
    error = n_steps.std(correction=0) / 20**0.5
    assert (n_active - sure.mean()).item() == pytest.approx(error.item(), abs=0.051)


def test_worth_of_more_steps_than_there_are_is_nothing():
    gains = torch.tensor([[3.0, 2.0], [1.0, 0.0]])
    assert gain_threshold(gains, 5) == 0
    assert gain_threshold(gains, 0) == 2.5  # never less than one step in all


def test_a_pursuit_follows_the_average_in_training_and_the_least_gain_after(rows):
    torch.manual_seed(0)
    network = Pursuit(n_active=3)(12, 30).double()
    for mode in (True, False):
        assert network.train(mode)(rows).code.count_nonzero() == 60
    network.min_gain.fill_(2.0)
    alone = torch.cat([network.encode(row[None]) for row in rows])
    torch.testing.assert_close(network.encode(rows), alone)
    path = network.path(rows)
    kept = (path.gains.cummin(1).values > 2).sum(1)
    assert torch.equal(network.encode(rows).count_nonzero(dim=1), kept)


def test_atoms_and_bias_get_the_gradient_of_a_fixed_code(rows):
    torch.manual_seed(0)
    network = Pursuit(n_active=3)(12, 30).double()
    out = network(rows)
    assert not out.code.requires_grad
    (out.reconstruction - rows).square().sum().backward()
    bias = 2 * (out.reconstruction - rows).sum(0)
    torch.testing.assert_close(network.decode.bias.grad, bias.detach())
    along = (network.decode.own_weight.grad * network.decode.own_weight).sum(1)
    torch.testing.assert_close(along, torch.zeros_like(along))  # no way to grow


def test_a_tangent_is_pursued(rows):
    plain, scaled = Pursuit(3)(12, 30).double(), Pursuit(3, 4.0, 0.5)(12, 30).double()
    scaled.load_state_dict(plain.state_dict())
    torch.testing.assert_close(scaled.encode(rows), plain.encode(4 * (rows - 0.5)))


def test_top_k_keeps_the_largest_positive_entries():
    x = torch.tensor([[3.0, -5.0, 1.0, 2.0], [-1.0, -2.0, 4.0, -3.0]])
    expected = torch.tensor([[3.0, 0, 0, 2.0], [0, 0, 4.0, 0]])
    assert torch.equal(TopK(2)(x), expected)
    assert torch.equal(TopK(9)(x), x.relu())


def test_atoms_have_unit_norm_however_long_the_weights():
    decode = Dictionary(5, 8)
    with torch.no_grad():
        decode.own_weight.mul_(7)
    torch.testing.assert_close(decode.atoms.norm(dim=1), torch.ones(8))
    code = torch.randn(3, 8)
    torch.testing.assert_close(decode(code), code @ decode.atoms)


def test_tied_atoms_are_the_weights_of_the_encoder():
    network = Coder(Dense((), tied_weights=True), TopK(2))(5, 8)
    weight = network.encoder[0].weight
    torch.testing.assert_close(network.decode.atoms, F.normalize(weight, dim=1))
    assert len(list(network.parameters())) == 3
    untied = Coder(Dense((4,), tied_weights=True), TopK(2))(5, 8)
    assert untied.decode.own_weight.shape == (8, 5)


def test_code_norm_and_rate_divergence_are_the_formulas():
    torch.manual_seed(0)
    code = torch.rand(40, 6, dtype=torch.float64)
    out = NetworkOutput(code, code)
    torch.testing.assert_close(code_norm(None, code, out), code.abs().sum(1))
    found = rate_divergence(0.05, None, code, out)
    rates = torch.full((6,), 0.05, dtype=torch.float64)
    expected = kl_divergence(Bernoulli(rates), Bernoulli(code.mean(0))).sum()
    torch.testing.assert_close(found, expected)
    at_rate = NetworkOutput(rates.expand(40, 6), code)
    assert rate_divergence(0.05, None, code, at_rate).item() == pytest.approx(0, abs=1e-12)
    saturated = NetworkOutput(
        torch.zeros(4, 6).scatter(1, torch.zeros(4, 1).long(), 1), code
    )
    assert torch.isfinite(rate_divergence(0.05, None, code, saturated))


def test_only_unused_units_learn_from_the_dead_error(rows):
    torch.manual_seed(0)
    network = Coder(Dense(()), TopK(1))(12, 40).double()
    out = network(rows)
    unused = (out.code == 0).all(0)
    assert 0 < unused.sum() < 40
    auxk_loss(network, rows, out).backward()
    reached = network.encoder[0].weight.grad.abs().sum(1) > 0
    assert reached.any()
    assert not reached[~unused].any()
    assert not (network.decode.own_weight.grad.abs().sum(1) > 0)[~unused].any()
    assert auxk_loss(network.eval(), rows, out) is None


def test_without_unused_units_there_is_no_dead_error(rows):
    network = Coder(Dense(()), torch.nn.Sigmoid())(12, 4).double()
    assert auxk_loss(network, rows, network(rows)) == 0
