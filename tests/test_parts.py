"""Networks, corruptions and objectives against closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.sparse import csr_array, csr_matrix, issparse
from torch import nn

from sk_autoencoder.nn import (
    Dense,
    GaussianNoise,
    LinearInit,
    Network,
    NetworkOutput,
    Objective,
    absolute_error,
    binary_cross_entropy,
    cosine,
    huber,
    multinomial,
    squared_error,
)
from sk_autoencoder.nn._dense import Dropout
from sk_autoencoder.nn._losses import LOSSES, softmax_init
from sk_autoencoder.nn._penalties import l1_norm
from sk_autoencoder.nn._scalers import RowScaler, Scaler, row_lengths

OUTPUT = torch.tensor([[0.0, 3.0], [1.0, -0.5]])
X = torch.tensor([[1.0, 0.0], [1.0, 0.0]])

EXPECTED = {
    absolute_error: [4.0, 0.5],
    binary_cross_entropy: [
        np.log(2) + np.log1p(np.exp(3.0)),
        np.log1p(np.exp(-1.0)) + np.log1p(np.exp(-0.5)),
    ],
    huber: [0.5 + 2.5, 0.125],
    squared_error: [10.0, 0.25],
}


@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: error.__name__)
def test_errors_are_sums_over_features(error):
    np.testing.assert_allclose(error(OUTPUT, X), EXPECTED[error], rtol=1e-6)


def size_of_code(network, x, out):
    """Compute the squared length of each code."""
    return out.code.square().sum(-1)


@pytest.mark.parametrize("trim_fraction", [0.0, 0.5])
def test_a_weight_of_two_is_a_row_given_twice(trim_fraction):
    output = torch.tensor([[0.0, 3.0], [1.0, -0.5], [2.0, 2.0], [9.0, 0.0]])
    rows, weight = torch.zeros(4, 2), torch.tensor([2.0, 1.0, 2.0, 1.0])
    twice = torch.tensor([0, 0, 1, 2, 2, 3])
    objective = Objective(squared_error, trim_fraction, size=(0.1, size_of_code))
    if trim_fraction:  # the largest two rows of four, three of six
        weight, twice = torch.full((4,), 2.0), torch.arange(4).repeat(2)
    out = NetworkOutput(output.abs(), output)
    weighted = objective(None, rows, out, weight)
    copies = NetworkOutput(out.code[twice], output[twice])
    repeated = objective(None, rows[twice], copies)
    assert weighted == {k: pytest.approx(float(v)) for k, v in repeated.items()}
    assert weighted != objective(None, rows, out) or trim_fraction


def test_multinomial_is_a_divergence_of_shares():
    weights = torch.tensor([[2.0, 6.0, 0.0], [0.0, 0.0, 0.0]])
    logits = torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5]])
    p = np.exp(logits[0].numpy())
    expected = stats.entropy([0.25, 0.75, 0.0], p / p.sum())
    np.testing.assert_allclose(multinomial(logits, weights), [expected, 0], rtol=1e-6)
    np.testing.assert_allclose(multinomial(logits + 7, 5 * weights), [expected, 0], 1e-5)
    exact = weights[:1].clamp(min=1e-30).log()
    assert multinomial(exact, weights[:1]).item() == pytest.approx(0, abs=1e-6)


def test_cosine_sees_angles_only():
    np.testing.assert_allclose(cosine(OUTPUT, X), [1, 1 - 1 / 1.25**0.5], rtol=1e-6)
    np.testing.assert_allclose(cosine(9 * OUTPUT, X / 9), cosine(OUTPUT, X), rtol=1e-6)


def test_a_softmax_starts_at_the_shares_of_the_mean_row():
    bias, weights = softmax_init(torch.tensor([3.0, 1.0, 0.0]), torch.eye(3)[:, :2])
    np.testing.assert_allclose(bias.softmax(-1), [0.75, 0.25, 0], atol=0.01)
    tangent = (bias + 1e-3 * weights[:, 0]).softmax(-1) - bias.softmax(-1)
    assert tangent[0] > 0 > tangent[1]


def test_rows_of_one_length():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    scaler = RowScaler(torch.zeros(2), torch.full((2,), 0.5), size=10.0, order=1)
    scaled = scaler(rows)
    expected = [[1.2, 1.6], [0, 0], [0, 2]]
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    np.testing.assert_allclose(scaler.match(scaled, rows), rows, rtol=1e-6)
    np.testing.assert_allclose(scaler.inverse(scaled)[0], [30 / 7, 40 / 7], rtol=1e-6)


@pytest.mark.parametrize("container", [np.asarray, csr_array, csr_matrix])
def test_rows_are_brought_to_unit_length_in_any_container(container):
    X = container(np.array([[3.0, -4.0], [0.0, 0.0], [0.0, 2.0]]))
    flat = RowScaler.flatten(X)
    dense = flat.toarray() if issparse(flat) else flat
    np.testing.assert_allclose(dense, [[0.6, -0.8], [0, 0], [0, 1]])
    np.testing.assert_allclose(row_lengths(X, 1), [7, 1, 2])


ELEMENTWISE = {name: loss for name, loss in LOSSES.items() if loss.init_output is None}


@pytest.mark.parametrize("loss", ELEMENTWISE.values(), ids=list(ELEMENTWISE))
def test_the_tangent_of_each_link_is_its_inverse_at_the_origin(loss):
    link, origin = loss.link(), torch.tensor(loss.origin, requires_grad=True)
    output = loss.slope * (origin - loss.origin)
    (slope,) = torch.autograd.grad(link(output), origin)
    assert link(output).item() == pytest.approx(loss.origin)
    assert slope.item() == pytest.approx(1)


def test_an_objective_names_and_weighs_its_terms():
    network = Dense(())(2, 1)
    out = network(X)
    objective = Objective(squared_error, l1=(0.5, l1_norm), none=(0.0, l1_norm))
    terms = objective(network, X, out)
    weights = (network.encoder[0].weight, network.decoder[0].weight)
    expected = 0.5 * sum(w.detach().abs().sum().item() for w in weights)
    assert set(terms) == {"error", "l1"}
    assert terms["l1"].item() == pytest.approx(expected)
    error = (out.reconstruction - X).square().sum(-1).mean()
    assert terms["error"].item() == pytest.approx(error.item())


def test_a_penalty_with_weights_is_trained_too():
    objective = Objective(squared_error, own=(1.0, nn.Linear(2, 1)))
    assert len(list(objective.parameters())) == 2


def test_noise_has_its_standard_deviation_and_only_while_training():
    x, noise = torch.zeros(200, 500), GaussianNoise(0.3)
    torch.manual_seed(0)
    assert noise(x).std().item() == pytest.approx(0.3, rel=0.01)
    assert noise(x).mean().item() == pytest.approx(0, abs=0.01)
    assert noise.eval()(x) is x
    assert GaussianNoise(0.0)(x) is x


def test_a_scaler_keeps_the_digits_of_a_large_offset():
    x = 1e9 + torch.tensor([[0.25], [0.5]], dtype=torch.float64)
    scaler = Scaler(torch.tensor([1e9]).double(), torch.tensor([0.5]).double())
    assert scaler(x).tolist() == [[0.5], [1.0]]
    assert scaler.inverse(scaler(x)).tolist() == x.tolist()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_dense_network_starts_from_any_linear_autoencoder(tied, dropout):
    torch.manual_seed(0)
    encode = torch.randn(3, 5)
    decode = encode.T if tied else torch.randn(5, 3)
    start = LinearInit(encode, torch.randn(3), decode, torch.randn(5), torch.rand(3) + 1)
    network = Dense((8, 4), "sigmoid", dropout, tied)(5, 3)
    assert network.start_from(start)
    x = torch.randn(7, 5)
    out = network.eval()(x)
    code = x @ start.encode_weight.T + start.encode_bias
    rows = code @ start.decode_weight.T + start.decode_bias
    torch.testing.assert_close(out.code, code)
    torch.testing.assert_close(out.reconstruction, rows)


def test_starting_twice_forgets_the_first_start():
    network = Dense((8,))(4, 2)
    for _ in range(2):
        encode, decode = torch.randn(2, 4), torch.randn(4, 2)
        start = LinearInit(encode, torch.zeros(2), decode, torch.zeros(4), torch.ones(2))
        network.start_from(start)
    x = torch.randn(3, 4)
    torch.testing.assert_close(network.encode(x), x @ start.encode_weight.T)


def test_networks_without_a_linear_path_say_so():
    class Plain(Network):
        encode = decode = staticmethod(lambda x: x)

    assert not Plain().start_from(None)
    assert isinstance(Plain()(torch.zeros(1, 2)), NetworkOutput)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 1.0])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    x, dropout = torch.ones(50, 4_001, requires_grad=True), Dropout(p)
    out = dropout(x)
    n_dropped = int((out == 0).sum())
    rounded = round(p * 256) / 256 or p
    spread = (p * (1 - p) * x.numel()) ** 0.5
    assert abs(n_dropped - rounded * x.numel()) <= 4 * spread
    if p < 1:
        kept = out[out != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rounded)))
    by_column = (out == 0).float().mean(0)  # no byte of a word is drawn less often
    assert abs(by_column[:4_000].unflatten(0, (-1, 8)).mean(0) - rounded).max() < 0.03
    out.sum().backward()
    torch.testing.assert_close(x.grad, out.detach())
    assert dropout.eval()(x) is x


def test_dropout_is_only_there_when_asked_for():
    for dropout, n_layers in ((0.0, 0), (0.1, 4)):
        modules = Dense(dropout=dropout)(5, 2).modules()
        assert sum(isinstance(m, nn.Dropout) for m in modules) == n_layers
