"""Components in order, beside PCA."""

import copy
import io
from types import SimpleNamespace
from unittest.mock import Mock

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from tables import pandas_frame

from sk_autoencoder import (
    AutoencoderTransformer,
    CodeDisplay,
    DenoisingAutoencoder,
    ScreeDisplay,
    TextAutoencoder,
    TraversalDisplay,
    load,
    to_onnx,
)
from sk_autoencoder.core._model_selection import select_interpolation
from sk_autoencoder.decomposition import _ordered
from sk_autoencoder.decomposition._ordered import OrderedAutoencoder
from sk_autoencoder.decomposition._shares import VarianceShares
from sk_autoencoder.nn import Dense, LinearInit, squared_error
from sk_autoencoder.nn._ordered import OrderedNetwork, PrefixDecoder, PrefixError

TRAIN, TEST = train_test_split(load_digits().data, test_size=1 / 3, random_state=0)
QUICK = {"hidden_layer_sizes": (32,), "ordered": True, "random_state": 0}


def r2(rows, reconstruction):
    return 1 - ((rows - reconstruction) ** 2).sum() / ((rows - rows.mean(0)) ** 2).sum()


@pytest.fixture(scope="module")
def ordered():
    return AutoencoderTransformer(8, **QUICK).fit(TRAIN)


def read_like_pca(estimator):
    """Do what code behind PCA does."""
    codes = estimator.fit(TRAIN).transform(TEST)
    scree = np.cumsum(estimator.explained_variance_ratio_)
    linear = codes @ estimator.components_ + estimator.mean_
    left = estimator.noise_variance_ * (TRAIN.shape[1] - estimator.n_components_)
    total = estimator.explained_variance_.sum() + left
    return codes, scree, linear, total


def test_code_behind_pca_goes_on_working():
    codes, scree, rows, total = read_like_pca(PCA(4))
    linear = AutoencoderTransformer(
        4, ordered=True, max_epochs=0, early_stopping=False, scaling=None
    )
    ours = read_like_pca(linear)
    np.testing.assert_allclose(ours[0], codes, atol=1e-4)
    np.testing.assert_allclose(ours[1], scree, atol=1e-6)
    np.testing.assert_allclose(ours[2], rows, atol=1e-4)
    np.testing.assert_allclose(ours[3], total, rtol=1e-5)
    trained = read_like_pca(AutoencoderTransformer(4, max_epochs=5, **QUICK))
    assert [np.shape(each) for each in trained] == [np.shape(each) for each in ours]


def test_the_start_is_pca_of_every_width():
    start = AutoencoderTransformer(5, ordered=True, max_epochs=0, scaling=None).fit(TRAIN)
    codes = start.transform(TEST)
    for k in range(1, 6):
        pca = PCA(k, svd_solver="full").fit(TRAIN)
        expected = pca.inverse_transform(pca.transform(TEST))
        np.testing.assert_allclose(
            start.inverse_transform(codes[:, :k]), expected, atol=1e-3
        )
        np.testing.assert_allclose(
            start.reconstruct(TEST, n_components=k), expected, atol=1e-3
        )


def test_each_prefix_is_better_than_pca(ordered):
    codes, pca = ordered.transform(TEST), PCA(8).fit(TRAIN)
    axes = pca.transform(TEST)
    for k in (1, 2, 4, 7, 8):
        ours = r2(TEST, ordered.inverse_transform(codes[:, :k]))
        theirs = r2(TEST, axes[:, :k] @ pca.components_[:k] + pca.mean_)
        assert ours > theirs + 0.01 * min(k, 4)
    assert ordered.score(TEST) == pytest.approx(ours)


def test_shares_are_of_held_out_rows_and_add_up_to_the_score(ordered):
    shares = np.cumsum(ordered.explained_variance_ratio_)
    codes = ordered.transform(TEST)
    found = [r2(TEST, ordered.inverse_transform(codes[:, :k])) for k in range(1, 9)]
    np.testing.assert_allclose(shares, found, atol=0.05)
    exact = AutoencoderTransformer(3, early_stopping=False, max_epochs=3, **QUICK)
    exact.fit(TRAIN)
    total = exact.explained_variance_ratio_.sum()
    assert total == pytest.approx(exact.score(TRAIN), abs=1e-5)


def test_components_are_derivatives_in_the_units_of_the_rows(ordered):
    mean, step = ordered.transform(ordered.mean_[None]), np.eye(8) * 1e-5
    ahead, behind = (ordered.inverse_transform(mean + sign * step) for sign in (1, -1))
    np.testing.assert_allclose(ordered.components_, (ahead - behind) / 2e-5, atol=1e-4)


def make_curve(n_rows, random_state=0):
    """Draw rows near a curve that fills as many dimensions as there are columns."""
    rng = np.random.default_rng(random_state)
    angles = rng.uniform(0, np.pi, (n_rows, 1)) * np.arange(1, 6)
    X = np.c_[np.cos(angles), np.sin(angles)]
    return X + rng.normal(0, 0.05, X.shape)


@pytest.fixture(scope="module")
def curve_fit():
    parameters = QUICK | {"max_epochs": 20}
    return AutoencoderTransformer(0.9, **parameters).fit(make_curve(1200))


def test_a_fraction_is_explained_by_few_components(curve_fit):
    X, X_new = make_curve(1200), make_curve(300, random_state=1)
    fitted, n_components = curve_fit, curve_fit.n_components_
    assert n_components <= 0.7 * PCA(0.9).fit(X).n_components_
    assert len(fitted.explained_variance_ratio_) == n_components == len(fitted.components_)
    shares = np.cumsum(fitted.explained_variance_ratio_)
    assert shares[-1] >= 0.9 > shares[-2]
    codes = fitted.transform(X_new)
    assert codes.shape == (len(X_new), n_components)
    assert len(fitted.get_feature_names_out()) == n_components
    rows = fitted.inverse_transform(codes)
    np.testing.assert_allclose(fitted.reconstruct(X_new), rows)
    assert fitted.score(X_new) >= 0.9
    assert r2(X_new, rows) >= 0.9
    left = fitted.noise_variance_ * (X.shape[1] - n_components)
    total = fitted.explained_variance_.sum() + left
    assert left / total == pytest.approx(1 - shares[-1], abs=1e-6)


def test_a_fit_for_a_fraction_is_that_of_as_many_components(curve_fit):
    X, X_new = make_curve(1200), make_curve(300, random_state=1)
    own = clone(curve_fit).set_params(n_components=curve_fit.n_components_).fit(X)
    np.testing.assert_array_equal(own.transform(X_new), curve_fit.transform(X_new))


def test_training_goes_on_with_the_components_of_a_fraction(curve_fit):
    X, n_components = make_curve(1200), curve_fit.n_components_
    again = copy.deepcopy(curve_fit).set_params(warm_start=True, max_epochs=2).fit(X)
    assert again.transform(X).shape[1] == n_components
    again.partial_fit(X[:50])
    codes = again.transform(X)
    assert codes.shape[1] == n_components
    assert again.inverse_transform(codes[:, :1]).shape == X.shape


@pytest.mark.parametrize(
    ("held_out", "of_start", "n_kept"),
    [
        ([0.5, 0.8, 0.86, 0.89], 1.0, None),  # less than a fraction of .9
        ([0.5, 0.8, 0.86, 0.91], 1.0, None),  # no standard error above it
        ([0.5, 0.8, 0.93, 0.94], 1.0, 3),
        ([0.5, 0.8, 0.86, 0.89], 0.86, 3),  # as much as PCA
        ([0.5, 0.8, 0.86, 0.89], 0.7, 3),  # two explain .85 of all rows
    ],
)
def test_components_explain_a_fraction_or_as_much_as_pca(
    monkeypatch, held_out, of_start, n_kept
):
    def make_shares(explained):
        return VarianceShares(np.array(explained), np.full(4, 0.02), 1.0, 10)

    of_all = make_shares([0.6, 0.85, 0.92, 0.95])
    monkeypatch.setattr(_ordered, "measure_shares", lambda fitted, rows: of_all)
    network = Mock(spec=OrderedNetwork, n_kept=None)
    learned = {"shares": make_shares(held_out)}
    fitted = SimpleNamespace(learned=learned, module=SimpleNamespace(network=network))
    is_enough = _ordered.keep_fewest(fitted, None, 0.9, of_start)
    assert (is_enough, network.n_kept) == (n_kept is not None, n_kept)
    np.testing.assert_array_equal(learned["shares"].explained, held_out[:n_kept])


def test_an_interrupt_ends_the_search_for_a_fraction():
    epochs = []

    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))
            raise KeyboardInterrupt

    X = make_curve(600)
    fitted = AutoencoderTransformer(0.9, callbacks=[Interrupt()], **QUICK).fit(X)
    assert epochs == [1]
    assert fitted.n_components_ <= PCA(0.9).fit(X).n_components_


@pytest.mark.parametrize("random_state", range(4))
def test_a_fraction_counts_rows_that_no_validation_row_is_like(random_state):
    pairs = np.random.default_rng(0).normal(size=(1500, 2))
    X = np.c_[pairs, pairs, np.zeros(1500)]
    X[::500, 4] = 30, -30, 30  # a fifth of the variance of standardised columns
    parameters = QUICK | {"random_state": random_state, "max_epochs": 5}
    fitted = AutoencoderTransformer(0.9, **parameters).fit(X)
    assert fitted.n_components_ == 3


def test_a_fraction_survives_files_copies_and_exports(tmp_path):

    fitted = AutoencoderTransformer(0.7, max_epochs=3, **QUICK).fit(TRAIN)
    codes = fitted.transform(TEST)
    fitted.save(tmp_path / "ordered.skops")
    buffer = io.BytesIO()
    joblib.dump(fitted, buffer)
    buffer.seek(0)
    for copied in (load(tmp_path / "ordered.skops"), joblib.load(buffer)):
        np.testing.assert_array_equal(copied.transform(TEST), codes)
        np.testing.assert_array_equal(
            copied.inverse_transform(codes[:, :2]), fitted.inverse_transform(codes[:, :2])
        )
    model = to_onnx(fitted, TEST[:2].astype(np.float32))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    name = session.get_inputs()[0].name
    found = session.run(None, {name: TEST.astype(np.float32)})[0]
    np.testing.assert_allclose(found, codes, atol=1e-3)


@pytest.mark.parametrize("cls", OrderedAutoencoder.__subclasses__())
def test_without_an_order_the_way_out_is_named(cls):
    plain = cls(3, max_epochs=0).fit(TRAIN)
    for name in ("explained_variance_ratio_", "explained_variance_", "components_"):
        with pytest.raises(AttributeError, match="Set ordered=True"):
            getattr(plain, name)
    with pytest.raises(ValueError, match="have n_components=3"):
        plain.inverse_transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="Fit with ordered=True"):
        plain.reconstruct(TEST, n_components=2)
    ordered = clone(plain).set_params(ordered=True).fit(TRAIN)
    for width in (0, 4):
        with pytest.raises(ValueError, match="from 1 to 3"):
            ordered.reconstruct(TEST, n_components=width)
    with pytest.raises(ValueError, match="n_components=3"):
        ordered.inverse_transform(np.zeros((1, 4)))


def test_the_rank_of_gaussian_rows_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"n_components='mle' .* a share of the variance"):
        AutoencoderTransformer("mle").fit(TRAIN)


def test_first_components_denoise():
    rng = np.random.default_rng(0)
    parameters = {**QUICK, "noise_level": 4.0, "scaling": None, "max_epochs": 30}
    denoiser = DenoisingAutoencoder(8, **parameters).fit(TRAIN)
    noisy = TEST + rng.normal(0, 4, TEST.shape)
    codes, pca = denoiser.transform(noisy), PCA(8).fit(TRAIN)
    axes = pca.transform(noisy)
    for k in (1, 4, 8):
        ours = r2(TEST, denoiser.inverse_transform(codes[:, :k]))
        theirs = r2(TEST, axes[:, :k] @ pca.components_[:k] + pca.mean_)
        assert ours > theirs + (0.01 if k > 1 else -0.002)
    assert denoiser.explained_variance_ratio_.sum() == pytest.approx(ours, abs=0.05)
    pairs = clone(denoiser).set_params(paired=True, whiten=True)
    white = pairs.fit(noisy, TEST).transform(noisy)
    np.testing.assert_allclose(np.cov(white.T), np.eye(8), atol=1e-4)
    denoiser.set_params(noise_std="auto")
    with pytest.raises(ValueError, match="ordered=True needs clean rows"):
        denoiser.fit(noisy)


def test_first_components_of_documents():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(60, 0.1), 5)
    shares = rng.dirichlet(np.full(5, 0.3), 300) @ topics
    X = np.stack([rng.multinomial(50, share) for share in shares]).astype(float)
    parameters = {"early_stopping": False, "max_epochs": 5}
    texts = TextAutoencoder(4, **QUICK, **parameters).fit(csr_array(X))

    def cross_entropy(n_components):
        rows = texts.reconstruct(X, n_components=n_components)
        share = rows / rows.sum(axis=1, keepdims=True)
        return -(X * np.log(share)).sum() / X.sum()

    found = [cross_entropy(k) for k in (1, 2, 4)]
    assert found[0] > found[1] > found[2]
    share = texts.explained_variance_ratio_.sum()
    # Rows of one length: a share of the variance does not depend on it.
    rows = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert share == pytest.approx(texts.score(rows), abs=1e-5)
    np.testing.assert_allclose(texts.mean_, X.mean(axis=0))


def test_frames_and_holes_have_an_order_too():
    frame = pandas_frame(200)
    ordered = AutoencoderTransformer(3, max_epochs=3, **QUICK).fit(frame)
    back = ordered.inverse_transform(ordered.transform(frame)[:, :1])
    assert isinstance(back, pd.DataFrame)
    assert list(back.columns) == list(frame.columns)
    assert np.all(np.isfinite(ordered.explained_variance_ratio_))
    rows = TRAIN[:300, 16:48]
    holed = np.where(np.random.default_rng(0).random(rows.shape) < 0.1, np.nan, rows)
    ordered = AutoencoderTransformer(0.5, max_epochs=3, **QUICK).fit(holed)
    codes = ordered.transform(holed)
    assert codes.shape[1] == ordered.n_components_ < 10
    assert np.isfinite(ordered.inverse_transform(codes[:, :2])).all()
    assert np.isfinite(ordered.mean_).all()


def test_few_rows_are_judged_by_folds_and_streams_by_their_rows():
    few = AutoencoderTransformer(3, max_epochs=20, **QUICK).fit(TRAIN[:60])
    assert few.explained_variance_ratio_.sum() < few.score(TRAIN[:60])
    assert few.inverse_transform(few.transform(TEST)[:, :2]).shape == TEST.shape
    stream = AutoencoderTransformer(3, **QUICK)
    for rows in np.array_split(TRAIN, 4):
        stream.partial_fit(rows)
    assert len(stream.explained_variance_ratio_) == 3
    assert stream.inverse_transform(stream.transform(TEST)[:, :1]).shape == TEST.shape


def test_no_way_is_taken_that_raises_a_guard():
    losses = {0.0: np.full(20, 3.0), 0.5: np.full(20, 2.0), 1.0: np.full(20, 1.0)}
    guards = {step: np.zeros((20, 2)) for step in losses}
    assert select_interpolation(losses, None, guards) == 1.0
    guards[1.0][3, 1] = 0.1
    assert select_interpolation(losses, None, guards) == 0.5
    weight = np.ones(20)
    weight[3] = 0
    assert select_interpolation(losses, weight, guards) == 1.0


def test_the_error_of_prefixes_is_that_of_principal_axes():
    torch.manual_seed(0)
    x = torch.randn(50, 4)
    x -= x.mean(0)
    axes = torch.linalg.svd(x)[2]
    decoder = PrefixDecoder([4, 8, 4], torch.nn.GELU)
    network = OrderedNetwork(Dense((8,))(4, 4), decoder)
    zeros = torch.zeros(4)
    network.start_from(LinearInit(axes, zeros, axes.T, zeros, torch.ones(4)))
    out, penalty = network(x), PrefixError(squared_error, 0.0, 4)
    expected = [((x - x @ axes[:k].T @ axes[:k]) ** 2).sum(1) for k in (1, 2)]
    errors = penalty.row_errors(network, x, out)
    torch.testing.assert_close(errors, torch.stack(expected, 1), atol=1e-5, rtol=1e-4)
    network.train()
    steps = [penalty(network, x, out) for _ in range(6)]
    assert [step is None for step in steps] == [True, True, False] * 2
    assert penalty(network.eval(), x, out) is None


@pytest.mark.parametrize("is_ordered", [False, True])
def test_white_codes_have_unit_variance_and_the_same_rows(is_ordered):
    parameters = {**QUICK, "max_epochs": 3, "ordered": is_ordered}
    plain = AutoencoderTransformer(4, **parameters).fit(TRAIN)
    white = clone(plain).set_params(whiten=True)
    codes = white.fit_transform(TRAIN)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(4), atol=1e-4)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(
        white.inverse_transform(codes), plain.reconstruct(TRAIN), atol=1e-3
    )
    if is_ordered:
        np.testing.assert_allclose(
            white.inverse_transform(codes[:, :2]),
            plain.reconstruct(TRAIN, n_components=2),
            atol=1e-3,
        )
    again = white.set_params(warm_start=True).fit_transform(TRAIN)
    np.testing.assert_allclose(np.cov(again.T), np.eye(4), atol=1e-4)
    white.partial_fit(TRAIN[:100])
    assert white.score(TRAIN) > plain.score(TRAIN) - 0.1


def test_a_white_linear_code_is_that_of_pca():
    linear = AutoencoderTransformer(
        3, whiten=True, ordered=True, max_epochs=0, early_stopping=False, scaling=None
    )
    expected = PCA(3, whiten=True).fit(TRAIN)
    np.testing.assert_allclose(
        linear.fit(TRAIN).transform(TEST), expected.transform(TEST), atol=1e-3
    )
    constant = AutoencoderTransformer(2, whiten=True, max_epochs=0).fit(np.ones((9, 3)))
    assert np.isfinite(constant.transform(np.ones((9, 3)))).all()


def test_pictures_show_the_first_components(ordered):

    plane = CodeDisplay.from_estimator(ordered, TEST).plane_
    np.testing.assert_array_equal(plane, ordered.transform(TEST)[:, :2])
    strips = TraversalDisplay.from_estimator(ordered, TEST, image_shape=(8, 8))
    assert list(strips.components) == list(range(8))
    scree = ScreeDisplay.from_estimator(make_pipeline(StandardScaler(), ordered))
    shares = ordered.explained_variance_ratio_
    np.testing.assert_array_equal(scree.share_line_.get_ydata(), shares)
    np.testing.assert_allclose(scree.line_.get_ydata(), np.cumsum(shares))
    assert scree.line_.get_label() == "AutoencoderTransformer"
    beside = ScreeDisplay.from_estimator(PCA(3).fit(TRAIN), ax=scree.ax_, name="PCA")
    assert beside.figure_ is scree.figure_
    assert beside.line_.get_color() != scree.line_.get_color()
    with pytest.raises(TypeError, match="ordered=True"):
        ScreeDisplay.from_estimator(AutoencoderTransformer(2, max_epochs=0).fit(TRAIN))
