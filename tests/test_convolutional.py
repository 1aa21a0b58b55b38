"""Convolutional networks: rows are images of any size; and modules of the user's own."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sk_autoencoder import (
    AdversarialAutoencoder,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    VAETransformer,
)
from sk_autoencoder.decomposition._convolutional import find_line_length
from sk_autoencoder.nn import Convolutional, LinearInit, Patches
from sk_autoencoder.nn._modules import Modules

QUICK = {"max_epochs": 3, "random_state": 0}
SMALL = Convolutional((8, 8), channels=(4, 8))


def random_start(n_features, n_components):
    """Return a linear autoencoder."""
    torch.manual_seed(0)
    return LinearInit(
        torch.randn(n_components, n_features),
        torch.randn(n_components),
        torch.randn(n_features, n_components),
        torch.randn(n_features),
        torch.rand(n_components) + 1,
    )


SHAPES = [(28, 28), (7, 5), (1, 9), (1, 1), (5, 4, 3)]


SIZES = [(1, 4), (2, (4, 6)), (3, (4, 6, 8))]  # of patches, and of channels


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("patch_size", "channels"), SIZES)
def test_reconstructions_have_the_size_of_the_image(shape, patch_size, channels):
    n_features = int(np.prod(shape))
    spec = Convolutional(shape, channels=channels, patch_size=patch_size)
    for n_components in (2, n_features, n_features + 3):
        out = spec(n_features, n_components)(torch.randn(3, n_features))
        assert out.code.shape == (3, n_components)
        assert out.reconstruction.shape == (3, n_features)


def test_rows_are_read_line_by_line_and_come_back():
    image = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)
    expected = torch.from_numpy(image).movedim(-1, 0)
    for last, rows in ((True, image), (False, expected.numpy())):
        row = torch.from_numpy(rows.copy()).reshape(1, -1)
        plain, patched = Patches([3, 5, 4], last, 1, 1), Patches([3, 5, 4], last, 2, 4)
        torch.testing.assert_close(plain(row)[0], expected)
        assert patched(row).shape == (1, 12, 4, 2)
        torch.testing.assert_close(patched.inverse(patched(row)), row)


def test_channels_first_and_last_are_the_same_images():
    X = load_digits().data[:60].reshape(-1, 4, 8, 2)  # read as two channels
    X[:, 0, 0, 0] = np.arange(60) / 60  # both are put in the same order of rows
    first = np.moveaxis(X, -1, 1)
    options = {"channels": (4, 8), "n_components": 3, **QUICK}
    codes = [
        ConvolutionalAutoencoder(image_shape=shape, data_format=name, **options)
        .fit(rows.reshape(60, -1))
        .transform(rows.reshape(60, -1))
        for shape, name, rows in (
            ((4, 8, 2), "channels_last", X),
            ((2, 4, 8), "channels_first", first),
        )
    ]
    np.testing.assert_allclose(np.abs(codes[0]), np.abs(codes[1]), atol=2e-3)


@pytest.mark.parametrize("n_components", [3, 20])
def test_a_network_starts_from_any_linear_autoencoder(n_components):
    network = Convolutional((3, 5), channels=(4, 8), dropout=0.5)(15, n_components)
    start = random_start(15, n_components)
    assert network.start_from(start)
    x = torch.randn(7, 15)
    rows = (x @ start.encode_weight.T + start.encode_bias) @ start.decode_weight.T
    found = network.eval().reconstruct(x)
    torch.testing.assert_close(found, rows + start.decode_bias, atol=1e-4, rtol=1e-4)
    code = network.encode(x)
    torch.testing.assert_close(network.decode_linearly(code), found)


def test_a_network_whose_code_is_the_image_starts_at_the_identity():
    x = torch.randn(7, 15)
    torch.testing.assert_close(Convolutional((3, 5))(15, 15).reconstruct(x), x)


def test_training_starts_at_pca(digits):
    fitted = ConvolutionalAutoencoder(5, max_epochs=0).fit(digits)
    pca = PCA(5).fit(digits)
    expected = pca.inverse_transform(pca.transform(digits))
    np.testing.assert_allclose(fitted.reconstruct(digits), expected, atol=1e-5)


@pytest.mark.slow
def test_convolutions_beat_pca():
    X = load_digits().data
    fitted = ConvolutionalAutoencoder(8, max_epochs=10, random_state=0).fit(X[:1000])
    pca = PCA(8).fit(X[:1000])
    rows = pca.inverse_transform(pca.transform(X[1000:]))
    r2 = (
        1
        - ((rows - X[1000:]) ** 2).sum() / (X[1000:] - X[1000:].mean(0)).var(0).sum() / 797
    )
    assert fitted.score(X[1000:]) > r2 + 0.03


def test_a_denoiser_keeps_the_image_for_a_code(digits):
    options = {"network": SMALL, "early_stopping": False, **QUICK}  # all rows set the scale
    denoiser = DenoisingAutoencoder(scaling="standard", **options).fit(digits)
    assert denoiser.n_components_ == 64
    scaled = StandardScaler().fit_transform(digits)
    np.testing.assert_allclose(denoiser.transform(digits), scaled, atol=1e-6)
    bottle = DenoisingAutoencoder(5, network=SMALL, **QUICK).fit(digits)
    assert bottle.transform(digits).shape == (300, 5)


@pytest.mark.slow
def test_convolutions_remove_noise(digits):
    X = load_digits().data / 16
    noisy = X[1000:] + np.random.default_rng(0).normal(0, 0.25, (797, 64))
    options = {"scaling": None, "noise_level": 0.25, "random_state": 0}
    wiener = DenoisingAutoencoder(max_epochs=0, **options).fit(X[:1000])
    options |= {"max_epochs": 15, "lr": 4e-3, "batch_size": 32, "early_stopping": False}
    network = Convolutional((8, 8), channels=(32, 32), patch_size=1)
    ours = DenoisingAutoencoder(network=network, **options)
    errors = [
        np.mean((each.denoise(noisy) - X[1000:]) ** 2)
        for each in (wiener, ours.fit(X[:1000]))
    ]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    "kind",
    [
        AdversarialAutoencoder,
        ContractiveAutoencoder,
        DenoisingAutoencoder,
        SparseAutoencoder,
        VAETransformer,
    ],
)
def test_every_autoencoder_can_be_convolutional(kind, digits):
    fitted = kind(3, network=SMALL, **QUICK).fit(digits)
    assert fitted.transform(digits).shape == (300, 3)
    assert fitted.reconstruct(digits).shape == (300, 64)
    kinds = {type(part) for part in fitted.network_.modules()}
    assert nn.Conv2d in kinds


def test_an_ensemble_of_convolutions(digits):
    inner = ConvolutionalAutoencoder(3, channels=(4, 8), **QUICK)
    detector = AutoencoderOutlierDetector(inner, n_estimators=2, random_state=0)
    scores = detector.fit(digits).score_samples(digits)
    shuffled = np.random.default_rng(0).permuted(digits, axis=1)
    assert scores.mean() > detector.score_samples(shuffled).mean()


@pytest.mark.slow
def test_parameters_of_the_network_can_be_searched(digits):
    autoencoder = AutoencoderTransformer(3, network=SMALL, **QUICK)
    grid = {"autoencodertransformer__network__channels": [(4,), (4, 8)]}
    pipeline = make_pipeline(StandardScaler(), autoencoder)
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(digits)
    assert search.best_score_ > 0
    grid = {"patch_size": [1, 2]}
    search = GridSearchCV(ConvolutionalAutoencoder(3, **QUICK), grid, cv=2).fit(digits)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (8, 7)}, r"image_shape=\(8, 7\) has 56 entries, and rows have 64"),
        ({"image_shape": (64,)}, r"image_shape=\(64,\) has to be \(height, width\)"),
        ({"image_shape": (8, -8)}, r"image_shape=.*positive integers"),
        ({"channels": (8, 0)}, r"channels=\(8, 0\).*positive integers"),
        ({"kernel_size": 4}, r"kernel_size=4 has to be odd"),
        ({"patch_size": 0}, r"patch_size"),
        ({"data_format": "NCHW"}, r"data_format.*NCHW"),
    ],
)
def test_parameters_that_do_not_fit(parameters, message, digits):
    with pytest.raises(ValueError, match=message):
        ConvolutionalAutoencoder(2, **parameters).fit(digits)
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(2, network=Convolutional(**parameters)).fit(digits)


class Shift(nn.Module):
    """Move each image by up to a pixel."""

    def forward(self, x):
        images = x.unflatten(-1, (8, 8))
        steps = torch.randint(-1, 2, (2,)).tolist()
        return images.roll(steps, (-2, -1)).flatten(-2)


def test_augmentations_are_corruptions(digits):
    torch.manual_seed(0)
    options = {"network": SMALL, "scaling": None, "random_state": 0, "max_epochs": 15}
    fitted = DenoisingAutoencoder(corruption=Shift(), **options).fit(digits)
    moved = np.roll(digits.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    assert np.mean((fitted.denoise(moved) - digits) ** 2) < np.mean((moved - digits) ** 2)


# Modules of the user's own


def modules(n_features=64, width=4, n_components=2):
    """Return an encoder and a decoder."""
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Linear(n_features, width), nn.ReLU())
    return encoder.append(nn.Linear(width, n_components)), nn.Linear(
        n_components, n_features
    )


def test_a_pair_of_modules_starts_at_its_own_weights(digits):
    encoder, decoder = modules()
    before = copy.deepcopy(encoder.state_dict())
    options = {"network": (encoder, decoder), "scaling": None}
    start = AutoencoderTransformer(2, max_epochs=0, **options).fit(digits)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(digits).float()).numpy()
    np.testing.assert_allclose(start.transform(digits), expected, atol=1e-5)
    trained = AutoencoderTransformer(2, **options, **QUICK).fit(digits)
    assert not np.allclose(trained.transform(digits), expected, atol=1e-3)
    for name, weight in encoder.state_dict().items():
        torch.testing.assert_close(weight, before[name], atol=0, rtol=0)


def test_weights_are_drawn_anew_when_asked_for(digits):
    options = {"max_epochs": 0, "scaling": None}
    codes = [
        AutoencoderTransformer(
            2, network=Modules(*modules(), reset=True), random_state=seed, **options
        ).fit_transform(digits)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert not np.allclose(codes[0], codes[2])


def test_a_pair_survives_clone_and_search(digits):
    autoencoder = AutoencoderTransformer(2, network=modules(), **QUICK)
    assert clone(autoencoder).fit(digits).transform(digits).shape == (300, 2)
    spec = AutoencoderTransformer(2, network=Modules(*modules()), **QUICK)
    search = GridSearchCV(spec, {"network__reset": [False, True]}, cv=2).fit(digits)
    assert np.isfinite(search.best_score_)


def test_a_network_itself_may_be_given(digits):
    network = Convolutional((8, 8), channels=(4,))(64, 2)
    before = copy.deepcopy(network.state_dict())
    AutoencoderTransformer(2, network=network, **QUICK).fit(digits)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


class Bare(nn.Module):
    """A part with a weight of its own and no method that draws it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 2))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (modules(n_components=3), r"code .* \(2, 3\).* \(2, 2\)"),
        ((nn.Linear(64, 2), nn.Linear(2, 60)), r"reconstruction .* \(2, 60\).* \(2, 64\)"),
        (modules(n_features=60), r"network fails .*60.*X has 64 features"),
        ((nn.Linear(64, 2),), "two torch modules"),
        ((nn.Linear(64, 2), 3), "two torch modules"),
        (nn.Linear(64, 64), r"one torch module.*\(encoder, decoder\)"),
        (Modules(Bare(), nn.Linear(2, 64), reset=True), "Bare has none"),
    ],
)
def test_modules_that_do_not_fit(network, message, digits):
    with pytest.raises((ValueError, TypeError), match=message):
        AutoencoderTransformer(2, network=network).fit(digits)


def test_inference_takes_images_by_bytes(digits):
    fitted = ConvolutionalAutoencoder(2, channels=(4,), max_epochs=0).fit(digits)
    seen = []
    layer = fitted.network_.encoder[0]
    hook = layer.register_forward_hook(lambda _, args, out: seen.append(args[0].shape))
    rows = np.tile(digits.astype(np.float32), (40, 1))
    codes = fitted.transform(rows)
    hook.remove()
    np.testing.assert_allclose(codes[:300], fitted.transform(rows[:300]), atol=1e-5)
    assert sum(n for n, _ in seen) == len(rows)
    assert max(4 * n * width for n, width in seen) <= 2**20


@pytest.mark.parametrize(("n_images", "starts"), [(1_000, True), (1_200, False)])
def test_few_images_start_from_pca(n_images, starts):
    images = np.random.default_rng(0).normal(size=(n_images, 16))
    autoencoder = ConvolutionalAutoencoder(
        2, channels=(4, 8), max_epochs=1, early_stopping=False, random_state=0
    ).fit(images)
    assert (autoencoder.network_.linear is not None) == starts


def test_images_that_are_no_square_of_pixels_need_their_shape(digits):
    images = digits.reshape(-1, 8, 8)
    wide = np.pad(images, [(0, 0), (0, 1), (4, 4)]).reshape(len(images), -1)  # 9 x 16
    high = images[:, :, 1:7].reshape(len(images), -1)  # 8 x 6
    for X, taken, shape in [(wide, "12, 12", (9, 16)), (high, "1, 48", (8, 6))]:
        message = rf"\({taken}\).* {shape[1]} apart are alike.*image_shape=\({shape[0]}, "
        with pytest.warns(UserWarning, match=message):
            ConvolutionalAutoencoder(2, max_epochs=1).fit(X)
        ConvolutionalAutoencoder(2, image_shape=shape, max_epochs=1).fit(X)


def test_rows_that_are_no_images_have_no_lines():
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(50, 48)).cumsum(axis=1)
    for rows in (walks, rng.normal(size=(100, 48)), rng.normal(size=(100, 64))):
        assert find_line_length(rows) is None


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e300])
def test_lines_of_images_of_any_magnitude_with_holes(digits, factor):
    images = np.pad(digits.reshape(-1, 8, 8), [(0, 0), (0, 1), (4, 4)]) * factor
    images[:, 4, 4] = np.nan
    with warnings.catch_warnings(action="error"):
        assert find_line_length(images.reshape(len(images), -1)) == 16
