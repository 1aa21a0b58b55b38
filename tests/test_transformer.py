"""Known answers of the plain autoencoder."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from catalogue import fit_once, fitted
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import ExponentialLR

from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.core._initialization._pca import principal_axes
from sk_autoencoder.core._model_selection import select_interpolation
from sk_autoencoder.core._optimizers import OPTIMIZERS
from sk_autoencoder.nn import Dense
from sk_autoencoder.nn._base import ACTIVATIONS

START = {"max_epochs": 0, "early_stopping": False, "random_state": 0}
QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}
SHORT = QUICK | {"max_epochs": 2}


def r2(X, rows):
    return 1 - ((X - rows) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()


def pca_score(X_fit, X, n_components):
    pca = PCA(n_components, svd_solver="full").fit(X_fit)
    return r2(X, pca.inverse_transform(pca.transform(X)))


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_start_is_pca(digits, activation, tied_weights):
    autoencoder = AutoencoderTransformer(
        5, activation=activation, tied_weights=tied_weights, **START
    ).fit(digits)
    pca = PCA(5).fit(digits)
    scale = np.sqrt(digits.var(axis=0).mean())
    codes = autoencoder.transform(digits)
    np.testing.assert_allclose(codes * scale, pca.transform(digits), atol=1e-5)
    expected = pca.inverse_transform(pca.transform(digits))
    np.testing.assert_allclose(autoencoder.reconstruct(digits), expected, atol=1e-5)


def test_the_start_with_standard_scaling_is_pca_of_standardised_columns(iris):
    autoencoder = AutoencoderTransformer(2, scaling="standard", **START).fit(iris)
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(iris))
    np.testing.assert_allclose(autoencoder.transform(iris), expected, atol=1e-5)


def test_the_start_without_scaling_is_pca_of_uncentred_rows(iris):
    autoencoder = AutoencoderTransformer(2, scaling=None, **START).fit(iris)
    np.testing.assert_allclose(
        autoencoder.transform(iris), PCA(2).fit_transform(iris), atol=1e-5
    )


@pytest.mark.parametrize("n_features", [40, 1200])  # one covariance matrix, or Lanczos
def test_the_start_from_sparse_rows_is_pca(n_features):
    rng = np.random.default_rng(0)
    X = rng.poisson(0.3, (300, 1)) * rng.poisson(0.2, (300, n_features)) * 1.0
    autoencoder = AutoencoderTransformer(3, scaling="global", **START).fit(csr_array(X))
    assert autoencoder.score(X) == pytest.approx(pca_score(X, X, 3), abs=1e-5)


def test_the_start_from_rows_in_pieces_is_pca(digits, monkeypatch):
    monkeypatch.setattr("sk_autoencoder.core._data.CACHE_BYTES", 0)
    monkeypatch.setattr("sk_autoencoder.core._data.CHUNK_BYTES", 64 * 8 * 70)
    autoencoder = AutoencoderTransformer(5, **START).fit(digits)
    assert autoencoder.score(digits) == pytest.approx(
        pca_score(digits, digits, 5), abs=1e-5
    )


def test_training_in_pieces_gives_what_one_tensor_gives(digits, monkeypatch):
    expected = fit_once(AutoencoderTransformer(5, **QUICK), digits).score(digits)
    monkeypatch.setattr("sk_autoencoder.core._data.CACHE_BYTES", 0)
    monkeypatch.setattr("sk_autoencoder.core._data.CHUNK_BYTES", 64 * 4 * 70)
    score = AutoencoderTransformer(5, **QUICK).fit(digits).score(digits)
    assert score == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_cross_entropy_starts_near_pca_and_improves(digits):
    autoencoder = AutoencoderTransformer(8, loss="binary_cross_entropy", random_state=0)
    begin = clone(autoencoder).set_params(**START).fit(digits)
    autoencoder.fit(digits)
    assert begin.score(digits) > 0.8 * pca_score(digits, digits, 8)
    assert autoencoder.score(digits) > pca_score(digits, digits, 8)
    rows = autoencoder.reconstruct(digits)
    assert rows.min() >= 0
    assert rows.max() <= 1


@pytest.mark.usefixtures("all_steps")
def test_a_linear_autoencoder_from_a_random_start_reaches_pca(digits):
    autoencoder = AutoencoderTransformer(
        3,
        hidden_layer_sizes=(),
        init="random",
        noise_level=0,
        early_stopping=False,
        lr=0.01,
        random_state=0,
    ).fit(digits)
    expected = pca_score(digits, digits, 3)
    assert expected - 0.005 < autoencoder.score(digits) <= expected + 1e-6


def test_pca_of_all_rows_is_kept_where_training_does_not_pay():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 8)) + 0.3 * rng.normal(
        size=(400, 8)
    )
    X = StandardScaler().fit_transform(X)
    autoencoder = AutoencoderTransformer(2, max_epochs=30, random_state=0).fit(X)
    assert autoencoder.best_epoch_ == 0
    assert autoencoder.score(X) == pytest.approx(pca_score(X, X, 2), abs=1e-6)


@pytest.mark.slow
def test_a_curve_is_found_where_no_line_fits(curved):
    autoencoder = AutoencoderTransformer(1, max_epochs=40, random_state=0).fit(curved[:400])
    assert pca_score(curved[:400], curved[400:], 1) < 0.5
    assert autoencoder.score(curved[400:]) > 0.85


def test_the_held_out_rows_do_not_reach_the_start(digits, monkeypatch):
    seen = []
    original = principal_axes

    def spy(rows, *args):
        seen.append(len(rows))
        return original(rows, *args)

    monkeypatch.setattr("sk_autoencoder.core._recipe.principal_axes", spy)
    AutoencoderTransformer(5, validation_fraction=0.2, **SHORT).fit(digits)
    assert seen[0] == 240


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_a_share_of_the_variance_gives_the_number_of_components(digits, share, container):
    autoencoder = AutoencoderTransformer(share, **START).fit(container(digits))
    assert (
        autoencoder.n_components_ == PCA(share, svd_solver="full").fit(digits).n_components_
    )


def test_none_keeps_all_components(iris):
    autoencoder = AutoencoderTransformer(None, **START).fit(iris)
    assert autoencoder.n_components_ == 4
    assert autoencoder.score(iris) == pytest.approx(1, abs=1e-9)


def test_a_code_may_be_wider_than_the_rows(iris):
    autoencoder = AutoencoderTransformer(9, **QUICK).fit(iris)
    assert autoencoder.transform(iris).shape == (150, 9)
    assert autoencoder.score(iris) > 0.99


def test_score_is_the_coefficient_of_determination(digits):
    autoencoder = fit_once(AutoencoderTransformer(5, **QUICK), digits)
    expected = r2(digits, autoencoder.reconstruct(digits))
    varies = digits.var(axis=0) > 0  # r2_score leaves constant columns out
    rows = autoencoder.reconstruct(digits)
    theirs = r2_score(digits[:, varies], rows[:, varies], multioutput="variance_weighted")
    assert theirs == pytest.approx(expected, abs=1e-4)
    assert autoencoder.score(digits) == pytest.approx(expected, abs=1e-9)


def test_score_samples_is_minus_the_error_in_scaled_units(digits):
    autoencoder = fit_once(AutoencoderTransformer(5, **QUICK), digits)
    scale = autoencoder.net_.module_.scaler.scale.numpy()
    error = (((autoencoder.reconstruct(digits) - digits) / scale) ** 2).sum(axis=1)
    np.testing.assert_allclose(autoencoder.score_samples(digits), -error)


def test_the_training_loss_is_the_mean_error_of_the_rows(digits):
    autoencoder = AutoencoderTransformer(5, noise_level=0, lr=1e-12, **QUICK).set_params(
        early_stopping=False, batch_size=7, linear_penalty=0
    )
    autoencoder.fit(digits)
    expected = -autoencoder.score_samples(digits).mean()
    assert autoencoder.loss_curve_[-1] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_absolute_errors_are_not_led_astray_by_wild_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1)) @ np.ones((1, 6)) + 0.05 * rng.normal(size=(500, 6))
    wild = np.r_[X, 100 * rng.normal(size=(10, 6))]
    squared = AutoencoderTransformer(1, random_state=0).fit(wild)
    robust = clone(squared).set_params(loss="absolute_error").fit(wild)
    assert robust.score(X) > squared.score(X)


def test_a_penalty_of_weight_zero_is_no_penalty_bit_for_bit(digits):
    plain = fit_once(AutoencoderTransformer(5, **QUICK), digits).transform(digits)
    zero = AutoencoderTransformer(5, l1_penalty=0.0, **QUICK).fit(digits).transform(digits)
    np.testing.assert_array_equal(plain, zero)


def test_penalties_shrink_the_weights(digits):
    def norm(**params):
        fitted = AutoencoderTransformer(5, **QUICK | {"early_stopping": False} | params)
        weights = fitted.fit(digits).network_.encoder.parameters()
        return sum(w.detach().abs().sum().item() for w in weights)

    assert norm(l1_penalty=0.1) < 0.9 * norm()
    assert norm(weight_decay=50.0) < 0.9 * norm()


def test_each_term_of_the_loss_is_recorded_by_name(digits):
    autoencoder = AutoencoderTransformer(5, l1_penalty=1e-4, **SHORT).fit(digits)
    last = autoencoder.history_[-1]
    for part, names in (("train", ("error", "linear", "l1")), ("valid", ("error", "l1"))):
        terms = [last[f"{part}_{name}"] for name in names]
        assert np.min(terms) > 0
        assert last[f"{part}_loss"] == pytest.approx(sum(terms))
    assert "valid_linear" not in last


@pytest.mark.slow
def test_the_linear_penalty_keeps_codes_readable_for_linear_models():
    X = load_digits().data[:1000] / 16

    def readable(**params):
        autoencoder = AutoencoderTransformer(2, max_epochs=30, random_state=0, **params)
        codes = autoencoder.fit_transform(X)
        return LinearRegression().fit(codes, X).score(codes, X)

    assert readable(linear_penalty=10) > readable(linear_penalty=0) + 0.02


def test_no_epoch_leaves_no_curve(digits):
    autoencoder = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(digits)
    assert autoencoder.loss_curve_ == []
    assert autoencoder.validation_curve_ is None
    assert autoencoder.n_iter_ == autoencoder.best_epoch_ == 0


def test_tied_weights_are_tied_after_training(digits):
    network = AutoencoderTransformer(5, tied_weights=True, **SHORT).fit(digits).network_
    for encode, decode in zip(network.encoder[::2], network.decoder[::-2], strict=True):
        assert torch.equal(encode.weight, decode.weight.T)
    assert network.linear.decode_weight is None


@pytest.mark.parametrize("sizes", [(), 16, (16, 8), np.array([16, 8])])
def test_hidden_layer_sizes_take_what_scikit_learn_takes(digits, sizes):
    params = QUICK | {"hidden_layer_sizes": sizes, "max_epochs": 2}
    assert AutoencoderTransformer(5, **params).fit(digits).score(digits) > 0.5


def test_a_specification_gives_what_its_parameters_give(digits):
    spec = Dense(hidden_layer_sizes=(16,), activation="tanh")
    given = AutoencoderTransformer(5, network=spec, **SHORT).fit(digits)
    own = AutoencoderTransformer(5, activation="tanh", **SHORT).fit(digits)
    np.testing.assert_array_equal(given.transform(digits), own.transform(digits))


@pytest.mark.slow
def test_partial_fit_learns_from_batches():
    X = load_digits().data[:1500]
    autoencoder = AutoencoderTransformer(2, random_state=0)
    for _ in range(30):
        for batch in np.array_split(X[:1200], 4):
            autoencoder.partial_fit(batch)
    assert autoencoder.n_iter_ == 120
    assert autoencoder.score(X[1200:]) > pca_score(X[:1200], X[1200:], 2) + 0.1


def test_a_column_that_wakes_in_a_stream_does_no_harm():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 3)) @ rng.normal(size=(3, 7))
    X[:100, 6] = 4.0  # all of the first batch
    X[100:, 6] *= 1e4
    streamed = AutoencoderTransformer(3, random_state=0)
    for batch in np.split(X, 8):
        streamed.partial_fit(batch)
    found = streamed.reconstruct(X[100:])
    assert r2_score(X[100:], found, multioutput="raw_values").min() > 0.9
    assert streamed.n_iter_ == len(streamed.loss_curve_) == 8


def test_a_late_column_gets_its_scale_without_a_new_start(iris):
    X = np.column_stack([iris, np.zeros(150)])
    streamed = AutoencoderTransformer(2, **QUICK)
    for _ in range(4):
        streamed.partial_fit(X)
    X[:, 4] = 1e6 * iris[:, 0]
    before = streamed.transform(X[:, :4] @ np.eye(4, 5))
    late = streamed.partial_fit(X)
    scaler = late.net_.module_.scaler
    assert scaler.scale[4] == pytest.approx(np.r_[np.zeros(600), X[:, 4]].std())
    np.testing.assert_allclose(late.transform(iris @ np.eye(4, 5)), before, atol=0.5)


@pytest.mark.slow
def test_a_stream_by_class_is_learned_as_a_shuffled_one():
    digits = load_digits()
    by_class = np.argsort(digits.target, kind="stable")
    scores = []
    for order in (by_class, np.random.default_rng(0).permutation(by_class)):
        streamed = AutoencoderTransformer(8, random_state=0)
        for _ in range(2):
            for rows in np.array_split(order, 10):
                streamed.partial_fit(digits.data[rows])
        scores.append(streamed.score(digits.data))
    assert scores[0] > scores[1] - 0.1
    assert scores[0] > pca_score(digits.data, digits.data, 8)


@pytest.mark.parametrize(
    "form", [np.asarray, pytest.param(csr_array, marks=pytest.mark.slow)]
)
def test_a_stream_of_a_few_rows_at_a_time(form, iris):
    streamed = AutoencoderTransformer(2, random_state=0).partial_fit(form(iris[:2]))
    for i in range(2, 60):
        streamed.partial_fit(form(iris[i : i + 1]))
    assert streamed.score(iris[:60]) > 0.5


def test_partial_fit_goes_on_where_fit_stopped(digits):
    autoencoder = fitted(AutoencoderTransformer(5, **QUICK), digits)
    before = autoencoder.transform(digits)
    after = autoencoder.partial_fit(digits).transform(digits)
    assert 0 < np.abs(after - before).max() < 1


def test_warm_start_goes_on_and_a_cold_one_does_not(digits):
    autoencoder = AutoencoderTransformer(5, warm_start=True, early_stopping=False, **QUICK)
    autoencoder.fit(digits)
    first = autoencoder.score_samples(digits).mean()
    n_iter, curve = autoencoder.n_iter_, autoencoder.loss_curve_
    for _ in range(3):
        autoencoder.fit(digits)
    assert autoencoder.score_samples(digits).mean() > first
    assert autoencoder.n_iter_ == len(autoencoder.loss_curve_) == 4 * n_iter
    assert autoencoder.loss_curve_[:n_iter] == curve
    assert autoencoder.best_epoch_ > 3 * n_iter
    assert autoencoder.history_[:, "epoch"] == list(range(1, 4 * n_iter + 1))
    n_iter, curve = autoencoder.n_iter_, autoencoder.loss_curve_
    autoencoder.partial_fit(digits)
    assert autoencoder.loss_curve_[:-1] == curve
    assert clone(autoencoder).set_params(warm_start=False).fit(digits).n_iter_ < n_iter
    with pytest.raises(ValueError, match="expecting 64 features"):
        autoencoder.fit(digits[:, :60])
    with pytest.raises(ValueError, match="warm_start"):
        autoencoder.set_params(n_components=6).fit(digits)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RAdam])
def test_optimizers_train(curved, optimizer):
    autoencoder = AutoencoderTransformer(
        1, optimizer=optimizer, lr=1e-3, random_state=0, max_epochs=5, early_stopping=False
    ).fit(curved)
    assert autoencoder.loss_curve_[-1] < autoencoder.loss_curve_[0]


@pytest.mark.parametrize(
    "name",
    [n if n == "adam" else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS],
)
def test_a_step_without_its_wrappers_is_the_same_step(curved, name):
    wrapped = type("Wrapped", (OPTIMIZERS[name],), {})
    plain, other = (
        AutoencoderTransformer(1, optimizer=o, lr=1e-3, **SHORT).fit_transform(curved[:200])
        for o in (name, wrapped)
    )
    np.testing.assert_array_equal(plain, other)


def test_a_scheduler_of_torch_finds_its_steps_taken(curved):
    class Exponential(Callback):
        def on_train_begin(self, net, **kwargs):
            self.scheduler_ = ExponentialLR(net.optimizer_, 0.5)

        def on_epoch_end(self, net, **kwargs):
            self.scheduler_.step()  # warns if the optimizer's step was never called

    autoencoder = AutoencoderTransformer(1, callbacks=[Exponential()], **QUICK).fit(curved)
    assert autoencoder.history_[-1, "event_lr"] < 0.1 * autoencoder.net_.lr


@pytest.mark.parametrize(
    "early_stopping", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_the_learning_rate_falls(curved, early_stopping):
    autoencoder = AutoencoderTransformer(
        1, early_stopping=early_stopping, max_epochs=80, n_iter_no_change=2, random_state=0
    ).fit(curved[:70])
    rates = autoencoder.history_[:, "event_lr"]
    assert rates[0] == autoencoder.net_.lr == 2e-3
    assert rates[-1] < 0.2 * rates[0]
    assert np.all(np.diff(rates) <= 0)


def test_a_start_that_no_epoch_improves_is_kept_at_once(iris):
    default = AutoencoderTransformer(2, n_iter_no_change=5, random_state=0).fit(iris)
    assert (default.best_epoch_, default.n_iter_) == (0, 5)
    explicit = AutoencoderTransformer(
        2, n_iter_no_change=5, max_epochs=100, lr=2e-3, random_state=0
    ).fit(iris)
    assert explicit.best_epoch_ == 0
    assert explicit.n_iter_ >= 15  # with two restarts
    np.testing.assert_allclose(default.score(iris), explicit.score(iris))


@pytest.mark.usefixtures("all_steps")
def test_training_stops_when_the_held_out_loss_stalls(digits):
    autoencoder = AutoencoderTransformer(5, n_iter_no_change=2, lr=1e-2, random_state=0)
    autoencoder.fit(digits[:150])
    assert autoencoder.best_epoch_ < autoencoder.n_iter_ < 100


@pytest.mark.slow
def test_a_few_held_out_rows_are_no_evidence(curved):
    autoencoder = AutoencoderTransformer(
        1, max_epochs=60, random_state=0, validation_fraction=0.02
    )
    assert autoencoder.fit(curved[:600]).best_epoch_ == 0
    autoencoder.set_params(validation_fraction=0.03)
    assert autoencoder.fit(curved[:600]).best_epoch_ > 0


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({0.0: np.ones(40), 0.5: np.full(40, 0.9), 1.0: np.full(40, 0.8)}, 1.0),
        ({0.0: np.ones(40), 0.5: np.full(40, 0.8), 1.0: np.full(40, 0.9)}, 0.5),
        ({0.0: np.ones(40), 0.5: np.ones(40), 1.0: np.ones(40)}, 0.0),
        # a larger gain, but less sure
        ({0.0: np.ones(40), 0.5: np.full(40, 0.9), 1.0: np.tile([0.0, 1.7], 20)}, 0.5),
        ({0.0: np.ones(40), 1.0: np.tile([0.0, 1.9], 20)}, 0.0),  # less than its noise
        ({0.0: np.ones(14), 1.0: np.full(14, 0.5)}, 0.0),  # too few rows
    ],
)
def test_how_far_training_leaves_the_start(errors, expected):
    assert select_interpolation(errors) == expected


@pytest.mark.parametrize("n_rows", [600, 1100])
def test_a_few_rows_are_trained_on_once_more_with_those_held_out(n_rows):
    X = np.sin(np.linspace(0, 9, n_rows)[:, None] + np.arange(6))
    X += np.linspace(0, 1, n_rows)[:, None]  # so that each choice of rows has its mean
    autoencoder = AutoencoderTransformer(
        1, hidden_layer_sizes=(16,), max_epochs=10, random_state=0
    ).fit(X)
    assert autoencoder.best_epoch_ > 0
    assert len(autoencoder.validation_curve_) == autoencoder.n_iter_
    center = autoencoder.net_.module_.scaler.center.numpy()
    assert np.allclose(center, X.mean(axis=0), rtol=1e-12) == (n_rows <= 1000)


class Epochs(Callback):
    """Note the learning rate of each epoch; interrupt some training."""

    trainings: ClassVar[list] = []

    def __init__(self, interrupt=None):
        self.interrupt = interrupt

    def on_train_begin(self, net, **kwargs):
        self.trainings.append([])

    def on_epoch_end(self, net, **kwargs):
        self.trainings[-1].append(net.optimizer_.param_groups[0]["lr"])
        if len(self.trainings) == self.interrupt and len(self.trainings[-1]) == 3:
            raise KeyboardInterrupt


@pytest.fixture
def trainings(monkeypatch):
    monkeypatch.setattr(Epochs, "trainings", [])
    return Epochs.trainings


def test_the_second_training_goes_the_way_that_led_to_the_best_weights(curved, trainings):
    autoencoder = AutoencoderTransformer(
        1, max_epochs=60, n_iter_no_change=2, random_state=0, callbacks=[Epochs()]
    ).fit(curved[:300])
    first, second = trainings
    assert autoencoder.n_iter_ == len(first)
    assert second[0] == first[0]
    assert np.all(np.diff(second) <= 0)
    assert len(second) <= autoencoder.best_epoch_
    assert second[-1] == autoencoder.history_[autoencoder.best_epoch_ - 1, "event_lr"]


@pytest.mark.parametrize(("interrupt", "n_trainings"), [(1, 1), (2, 2)])
def test_an_interrupt_ends_both_trainings(curved, trainings, interrupt, n_trainings):
    params = {"max_epochs": 20, "random_state": 0}
    autoencoder = AutoencoderTransformer(1, callbacks=[Epochs(interrupt)], **params)
    autoencoder.fit(curved)
    assert len(trainings) == n_trainings
    assert autoencoder.best_epoch_ > 0
    assert autoencoder.score(curved) > pca_score(curved, curved, 1)
    # These are the weights of the first training, and its scale.
    center = autoencoder.net_.module_.scaler.center.numpy()
    assert not np.allclose(center, curved.mean(axis=0), rtol=1e-9)


@pytest.mark.slow
def test_training_does_not_carry_on_with_the_momentum_of_a_lost_way(curved):
    class Momentum(Callback):
        def on_epoch_begin(self, net, **kwargs):
            net.history.record("with_momentum", len(net.optimizer_.state) > 0)

    autoencoder = AutoencoderTransformer(
        1, n_iter_no_change=2, random_state=0, callbacks=[Momentum()]
    ).fit(curved[:150])
    assert len(autoencoder.history_) < 100  # the rate has fallen, and fallen again
    momentum = np.array(autoencoder.history_[:, "with_momentum"])
    falls = np.r_[True, np.diff(autoencoder.history_[:, "event_lr"]) < 0]
    np.testing.assert_array_equal(momentum, ~falls)
