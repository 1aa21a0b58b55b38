"""Pictures: what they show, where the answer is known."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from catalogue import AUTOENCODERS, DETECTORS, PLAIN, fit_once, one_of_each, quick
from pictures import labels, tile
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_autoencoder
from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CodeDisplay,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LossCurveDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    StackedAutoencoder,
    TraversalDisplay,
    VAETransformer,
)
from sk_autoencoder.core import _recipe
from sk_autoencoder.nn import Convolutional

mpl.use("Agg")
DISPLAYS = [n for n in sk_autoencoder.__all__ if n.endswith("Display")]


@pytest.fixture(scope="module")
def fitted(digits):
    return quick(AutoencoderTransformer, n_components=3).fit(digits)


# All


@pytest.mark.parametrize("display", DISPLAYS)
def test_the_missing_extra_is_named(display, monkeypatch):
    cls = getattr(sk_autoencoder, display)
    made = {
        "LossCurveDisplay": lambda: cls({"loss": [1.0]}),
        "ReconstructionDisplay": lambda: cls(np.eye(3), np.eye(3)),
        "CodeDisplay": lambda: cls(np.eye(3)),
        "ScreeDisplay": lambda: cls([0.5, 0.2]),
        "TraversalDisplay": lambda: cls(np.ones((1, 2, 3)), np.eye(2), [0], kind="lines"),
        "OutlierScoreDisplay": lambda: cls(np.arange(3.0)),
        "RateDistortionDisplay": lambda: cls({"bytes_per_row": [1.0], "r2": [1.0]}),
        "SampleReportDisplay": lambda: cls({"trees": (0.5, 0.5)}),
    }[display]()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-autoencoder\[plot\]"):
        made.plot()


# The displays call public methods: one autoencoder shows that they do.
@pytest.mark.parametrize("estimator", one_of_each(AUTOENCODERS, [PLAIN]))
def test_every_autoencoder_can_be_drawn(estimator, iris):
    fitted = fit_once(estimator, iris)
    curves = LossCurveDisplay.from_estimator(fitted)
    assert len(curves.lines_[0].get_xdata()) == fitted.n_iter_
    assert len(CodeDisplay.from_estimator(fitted, iris).plane_) == len(iris)
    display = ReconstructionDisplay.from_estimator(fitted, iris, n_images=150)
    np.testing.assert_allclose(display.X_reconstructed, fitted.reconstruct(iris))
    TraversalDisplay.from_estimator(fitted, iris)


# By itself, of series, and without reasons; members and an autoencoder change no picture.
@pytest.mark.parametrize(
    "estimator", one_of_each(DETECTORS, [*DETECTORS[:2], DETECTORS[-1]])
)
def test_every_detector_can_be_drawn(estimator, iris):
    fitted = fit_once(estimator, iris)
    display = OutlierScoreDisplay.from_estimator(fitted, iris)
    assert set(display.threshold_line_.get_xdata()) == {fitted.offset_}
    n_explained = 3 if hasattr(fitted, "explain") else 0
    assert len(display.axes_) == 1 + n_explained


# Losses


def test_every_term_is_drawn_with_the_best_epoch(digits):
    vae = quick(VAETransformer, batch_size="auto", max_epochs=10).fit(digits)
    display = LossCurveDisplay.from_estimator(vae)
    terms = ["loss", "error", "kl"]
    drawn = [f"{term}, {kind}" for kind in ("training", "held out") for term in terms]
    assert labels(display.ax_) == [*drawn, f"best epoch, {vae.best_epoch_}"]
    assert set(display.best_line_.get_xdata()) == {vae.best_epoch_}
    assert vae.best_epoch_ > 0
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), vae.loss_curve_)
    np.testing.assert_array_equal(display.lines_[3].get_ydata(), vae.validation_curve_)
    epochs = np.arange(1, vae.n_iter_ + 1)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), epochs)
    assert display.ax_.get_title() == "VAETransformer"


def test_terms_that_are_zero_and_sums_of_one_are_left_out(fitted):
    display = LossCurveDisplay.from_estimator(fitted, name="mine", linewidth=3)
    drawn = ["loss, training", "error, training", "linear, training", "error, held out"]
    assert labels(display.ax_)[:4] == drawn
    assert display.ax_.get_title() == "mine"
    assert {line.get_linewidth() for line in display.lines_} == {3}


def test_nothing_held_out_has_no_best_epoch(digits):
    autoencoder = quick(AutoencoderTransformer, init="random", early_stopping=False)
    display = LossCurveDisplay.from_estimator(autoencoder.fit(digits))
    assert labels(display.ax_) == ["error, training"]
    assert display.best_line_ is None
    streamed = quick(AutoencoderTransformer, init="random").partial_fit(digits)
    assert LossCurveDisplay.from_estimator(streamed).lines_[0].get_marker() == "."


def test_curves_are_found_within(iris):
    autoencoder = quick(AutoencoderTransformer)
    pipeline = make_pipeline(StandardScaler(), autoencoder, LogisticRegression())
    search = GridSearchCV(pipeline, {}, cv=2).fit(iris, np.repeat([0, 1, 2], 50))
    detector = AutoencoderOutlierDetector(make_pipeline(StandardScaler(), autoencoder))
    for fitted in (search, detector.fit(iris)):
        display = LossCurveDisplay.from_estimator(fitted)
        assert display.estimator_name == "AutoencoderTransformer"


def test_the_axis_of_losses_counts_steps_where_training_does(monkeypatch):
    monkeypatch.setattr(_recipe, "MIN_STEPS", 250)
    t = np.random.default_rng(0).normal(size=(1_100, 1))
    X = np.tanh(t * np.linspace(0.5, 3, 6))
    autoencoder = AutoencoderTransformer(1, batch_size=200, random_state=0).fit(X)
    assert autoencoder.history_[:, "steps"] == [25] * 10
    assert sum(autoencoder.history_[:, "passes"]) == pytest.approx(250 / 5)  # of 990 rows
    display = LossCurveDisplay.from_estimator(autoencoder)
    assert display.ax_.get_xlabel() == "step"
    assert display.lines_[0].get_xdata().tolist() == list(range(25, 275, 25))
    assert display.best_line_.get_xdata()[0] == 25 * autoencoder.best_epoch_ > 0


@pytest.mark.parametrize("yscale", ["auto", "linear", "log"])
def test_losses_that_span_a_decade_get_a_logarithmic_axis(yscale):
    curves = {"loss": [30.0, 2.0], "error": [29.0, 1.5], "kl": [1.0, 0.5]}
    display = LossCurveDisplay(curves, curves, best_epoch=0).plot(yscale=yscale)
    assert display.ax_.get_yscale() == ("log" if yscale == "auto" else yscale)
    assert labels(display.ax_)[-1] == "best: start"
    curves["kl"] = [-1.0, 0.5]
    assert LossCurveDisplay(curves).plot().ax_.get_yscale() == "linear"


def test_estimators_without_losses_are_refused(iris):
    with pytest.raises(TypeError, match="PCA holds no fitted autoencoder"):
        LossCurveDisplay.from_estimator(PCA().fit(iris))
    untrained = AutoencoderTransformer(max_epochs=0).fit(iris)
    stacked = quick(StackedAutoencoder, fine_tune=False).fit(iris)
    for fitted in (untrained, stacked):
        with pytest.raises(ValueError, match="There is nothing to draw"):
            LossCurveDisplay.from_estimator(fitted)
    display = LossCurveDisplay.from_estimator(stacked.layers_[0])
    assert len(display.lines_) == 1


# Reconstructions


def test_images_stand_below_each_other(digits):
    noisy = digits + np.random.default_rng(0).normal(0, 0.3, digits.shape)
    denoiser = quick(DenoisingAutoencoder, noise_level=0.3, scaling=None).fit(digits)
    display = ReconstructionDisplay.from_estimator(
        denoiser, digits, damaged=noisy, image_shape=(8, 8), n_images=4
    )
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert ticks == ["original", "damaged", "reconstruction"]
    assert display.image_.get_array().shape == (3 * 9 - 1, 4 * 9 - 1)
    for row, rows in enumerate([digits, noisy, denoiser.denoise(noisy)]):
        np.testing.assert_allclose(tile(display, row, 3).ravel(), rows[3])
    assert display.image_.get_clim() == (0, 1)
    assert display.image_.get_array()[8].mask.all()  # the gap


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_shape_is_that_of_the_network(data_format):
    rng = np.random.default_rng(0)
    images = rng.random((40, 4, 6, 3))
    is_last = data_format == "channels_last"
    X = (images if is_last else np.moveaxis(images, -1, 1)).reshape(40, -1)
    shape = (4, 6, 3) if is_last else (3, 4, 6)
    autoencoder = quick(
        ConvolutionalAutoencoder, image_shape=shape, data_format=data_format
    ).fit(X)
    display = ReconstructionDisplay.from_estimator(autoencoder, X, n_images=2)
    pixels = display.image_.get_array()
    span = np.ptp(images[:2])
    expected = (images[1] - images[:2].min()) / span
    np.testing.assert_allclose(pixels[:4, 7:13], expected)


def test_a_convolutional_network_without_a_shape_and_behind_a_step(digits):
    network = Convolutional(channels=(4,))
    autoencoder = quick(AutoencoderTransformer, network=network)
    pipeline = make_pipeline(StandardScaler(), autoencoder).fit(digits)
    display = ReconstructionDisplay.from_estimator(pipeline, digits)
    assert display.image_shape == (8, 8)
    narrow = make_pipeline(PCA(20), clone(autoencoder)).fit(digits)
    assert ReconstructionDisplay.from_estimator(narrow, digits).image_shape == (8, 8)


def test_the_errors_of_features_are_sorted(flowers):
    X, _ = flowers
    pca = PCA(1).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X, baseline=PCA(2).fit(X))
    residual = X - pca.inverse_transform(pca.transform(X))
    lost = (residual**2).mean() / X.var(ddof=0)
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, lost.sort_values())
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert ticks == list(lost.sort_values().index)
    assert "PCA (baseline)" in labels(display.ax_)


def test_few_of_many_features_are_drawn_and_constant_ones_never(fitted, digits):
    display = ReconstructionDisplay.from_estimator(fitted, digits, n_features=7)
    assert len(display.bars_) == 7
    varies = digits.var(axis=0) > 0
    assert not varies.all()
    np.testing.assert_array_equal(np.isfinite(display.lost_), varies)
    assert display.ax_.get_title() == f"7 of {varies.sum()} features, the worst"


def test_rows_with_missing_cells_are_drawn(iris):
    X = iris.copy()
    X[::5, 1] = np.nan
    autoencoder = quick(AutoencoderTransformer).fit(X)
    display = ReconstructionDisplay.from_estimator(autoencoder, iris, damaged=X)
    assert np.isfinite(display.lost_).all()
    assert "damaged" not in labels(display.ax_)  # missing cells are in no place
    noisy = iris + 0.3
    display = ReconstructionDisplay.from_estimator(autoencoder, X, damaged=noisy)
    assert "damaged" in labels(display.ax_)


def test_reconstructions_at_hand_are_drawn(digits):
    display = ReconstructionDisplay.from_predictions(
        digits, digits / 2, image_shape=(8, 8), name="half", n_images=3, cmap="magma"
    )
    np.testing.assert_array_equal(tile(display, 1, 2).ravel(), digits[2] / 2)
    assert display.image_.get_cmap().name == "magma"
    table = ReconstructionDisplay.from_predictions(csr_array(digits), digits)
    assert np.nanmax(table.lost_) == 0
    with pytest.raises(ValueError, match=r"image_shape=\(9, 8\) has 72 entries"):
        ReconstructionDisplay.from_predictions(digits, digits, image_shape=(9, 8))
    with pytest.raises(ValueError, match="2 channels, and pictures have 1, 3 or 4"):
        ReconstructionDisplay.from_predictions(digits, digits, image_shape=(8, 4, 2))
    with pytest.raises(TypeError, match="has no inverse_transform"):
        ReconstructionDisplay.from_estimator(IsolationForest().fit(digits), digits)


def test_a_report_of_samples_has_bars_beside_those_of_real_rows():
    X, held_out = np.random.default_rng(0).normal(size=(2, 120, 3))
    mixture = fit_once(quick(sk_autoencoder.VAETransformer, n_components=2), X)
    display = sk_autoencoder.SampleReportDisplay.from_estimator(
        mixture, X, held_out, target=0, random_state=0
    )
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == list(display.report)
    columns = np.array(list(display.report.values())).T
    for bars, values in zip(display.bars_, columns, strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in bars], values)
