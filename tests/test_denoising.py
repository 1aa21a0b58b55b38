"""The denoising autoencoder: what it starts from, what it learns, and its corruptions."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
)
from sk_autoencoder.core._initialization import _wiener
from sk_autoencoder.metrics import make_denoising_scorer, reconstruction_r2
from sk_autoencoder.nn import Dense, Network, SteinPenalty
from sk_autoencoder.nn import _corruptions as damage

NAMES = ("gaussian", "masking", "salt_and_pepper", "swap")
RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(3, 8))
FACTORS = RNG.normal(size=(2_000, 3)) @ MIXING + 0.1 * RNG.normal(size=(2_000, 8)) + 5
NOISY = FACTORS + 0.5 * RNG.normal(size=FACTORS.shape)
START = {"max_epochs": 0, "early_stopping": False, "scaling": None, "random_state": 0}


def error(fitted, noisy=NOISY, clean=FACTORS):
    """Return the mean squared error a cell after denoising."""
    return np.mean((fitted.denoise(noisy) - clean) ** 2)


def linear_denoiser(noisy, clean):
    """Return the error of the least-squares map from noisy to clean rows."""
    design = np.column_stack([noisy, np.ones(len(noisy))])
    weights, *_ = np.linalg.lstsq(design, clean, rcond=None)
    return np.mean((design @ weights - clean) ** 2)


# The start


def test_the_start_is_the_wiener_filter():
    fitted = DenoisingAutoencoder(noise_level=0.5, **START).fit(FACTORS)
    covariance = np.cov(FACTORS.T)
    gain = covariance @ np.linalg.inv(covariance + 0.25 * np.eye(8))
    mean = FACTORS.mean(0)
    expected = (NOISY - mean) @ gain.T + mean
    np.testing.assert_allclose(fitted.denoise(NOISY), expected, atol=1e-4)


@pytest.mark.parametrize("corruption", NAMES)
def test_exact_moments_are_what_draws_tend_to(corruption):
    level = 0.3
    exact = DenoisingAutoencoder(corruption=corruption, noise_level=level, **START)
    exact.fit(FACTORS)
    layer = exact.net_.module_.corruption
    drawn = DenoisingAutoencoder(corruption=layer.forward, **START)
    layer.train()
    drawn.fit(FACTORS)
    damaged = layer(torch.from_numpy(FACTORS)).numpy()
    best = linear_denoiser(damaged, FACTORS)
    for fitted in (exact, drawn):
        assert error(fitted, damaged) == pytest.approx(best, rel=0.03)


def test_the_start_has_the_rank_of_the_code():
    fitted = DenoisingAutoencoder(3, noise_level=0.5, **START).fit(FACTORS)
    moved = fitted.denoise(NOISY) - fitted.denoise(NOISY[:1])
    assert np.linalg.matrix_rank(moved, tol=1e-3) == 3
    assert error(fitted) < 1.02 * linear_denoiser(NOISY, FACTORS)


def test_a_code_is_as_wide_as_a_row_up_to_a_limit():
    wide = RNG.normal(size=(600, 700))
    for X, width in ((FACTORS, 8), (wide[:20], 20), (wide, 512)):
        assert DenoisingAutoencoder(**START).fit(X).n_components_ == width


def test_pairs_start_at_the_least_squares_map():
    distorted = NOISY @ RNG.normal(size=(8, 8)) + 3
    fitted = DenoisingAutoencoder(paired=True, **START).fit(distorted, FACTORS)
    assert error(fitted, distorted) < 1.01 * linear_denoiser(distorted, FACTORS)


def test_noisy_rows_start_close_to_the_wiener_filter_of_the_clean_ones():
    fitted = DenoisingAutoencoder(noise_std=0.5, **START).fit(NOISY)
    assert error(fitted) < 1.03 * linear_denoiser(NOISY, FACTORS)


def test_noise_of_known_size_a_column():
    std = np.linspace(0.1, 2, 8)
    noisy = FACTORS + std * RNG.normal(size=FACTORS.shape)
    for scaling in (None, "standard"):
        start = {**START, "scaling": scaling}
        fitted = DenoisingAutoencoder(noise_std=std, **start).fit(noisy)
        assert error(fitted, noisy) < 1.05 * linear_denoiser(noisy, FACTORS)


@pytest.mark.parametrize("aspect", [0.2, 2.0])
def test_shrunk_eigenvalues_are_the_variance_along_their_axes(aspect):
    rng = np.random.default_rng(0)
    n_features = 600
    variance = np.r_[30.0, 10.0, 0.1, np.zeros(n_features - 3)]
    shape = (int(n_features / aspect), n_features)
    noisy = rng.normal(size=shape) * np.sqrt(variance + 1)
    values, vectors = np.linalg.eigh(noisy.T @ noisy / len(noisy))
    along = (vectors[:, ::-1] ** 2 * variance[:, None]).sum(0)[:3]
    found = _wiener.shrink(values[::-1], aspect)
    np.testing.assert_allclose(found[:2], along[:2], rtol=0.15)
    assert found[2:].sum() < 0.1  # the third is too small to show


# Training


@pytest.mark.slow
def test_it_beats_the_linear_denoiser_where_the_rows_are_curved(curved):
    noisy = curved[400:] + 0.3 * RNG.normal(size=curved[400:].shape)
    settings = {"scaling": None, "noise_level": 0.3, "random_state": 0}
    linear = DenoisingAutoencoder(max_epochs=0, **settings).fit(curved[:400])
    fitted = DenoisingAutoencoder(hidden_layer_sizes=(64, 32), **settings)
    fitted.fit(curved[:400])
    assert error(fitted, noisy, curved[400:]) < 0.7 * error(linear, noisy, curved[400:])


@pytest.mark.slow
@pytest.mark.parametrize("corruption", NAMES)
def test_every_corruption_is_undone_better_than_linearly(corruption, curved):
    settings = {"corruption": corruption, "noise_level": 0.2, "random_state": 0}
    linear = DenoisingAutoencoder(max_epochs=0, scaling=None, **settings)
    linear.fit(curved[:500])
    fitted = DenoisingAutoencoder(
        hidden_layer_sizes=(64, 32), max_epochs=100, scaling=None, **settings
    ).fit(curved[:500])
    torch.manual_seed(0)
    layer = fitted.net_.module_.corruption.train()
    damaged = layer(torch.from_numpy(curved[500:])).numpy()
    errors = [error(each, damaged, curved[500:]) for each in (fitted, linear)]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.slow
def test_pairs_teach_what_no_corruption_does(curved):
    bent = np.sign(curved) * curved**2 + 1  # another map than noise
    fitted = DenoisingAutoencoder(
        hidden_layer_sizes=(64, 32), paired=True, random_state=0
    ).fit(bent[:400], curved[:400])
    assert error(fitted, bent[400:], curved[400:]) < 0.5 * linear_denoiser(bent, curved)
    assert fitted.score(bent[400:], curved[400:]) > 0.9
    expected = DenoisingAutoencoder(**fitted.get_params()).fit(
        csr_array(bent[:400]), csr_array(curved[:400])
    )
    np.testing.assert_allclose(
        expected.denoise(bent), fitted.denoise(bent), rtol=1e-3, atol=1e-3
    )


def test_sparse_pairs_train_as_dense_ones(curved):
    bent = np.sign(curved) * curved**2 + 1
    small = DenoisingAutoencoder(
        hidden_layer_sizes=(8,), max_epochs=2, paired=True, random_state=0
    )
    dense = clone(small).fit(bent, curved).denoise(bent)
    sparse = small.fit(csr_array(bent), csr_array(curved)).denoise(bent)
    np.testing.assert_allclose(sparse, dense, rtol=1e-3, atol=1e-3)


def test_pairs_train_in_batches_and_in_a_search(curved):
    noisy = curved + 0.3 * RNG.normal(size=curved.shape)
    small = DenoisingAutoencoder(
        hidden_layer_sizes=(8,), max_epochs=2, paired=True, random_state=0
    )
    streamed = clone(small).partial_fit(noisy, curved).partial_fit(noisy, curved)
    assert error(streamed, noisy, curved) < 0.9 * np.mean((noisy - curved) ** 2)
    search = GridSearchCV(small, {"hidden_layer_sizes": [(4,), (8,)]}, cv=2)
    search.fit(noisy, curved)
    assert search.best_estimator_.score(noisy, curved) == search.score(noisy, curved)


def test_labels_of_a_pipeline_are_ignored(iris):
    small = DenoisingAutoencoder(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    labels = np.repeat(["a", "b", "c"], 50)
    pipeline = make_pipeline(StandardScaler(), small, LinearSVC()).fit(iris, labels)
    alone = clone(small).fit(StandardScaler().fit_transform(iris))
    np.testing.assert_array_equal(
        pipeline[:2].transform(iris), alone.transform(StandardScaler().fit_transform(iris))
    )


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_rows_beside_x_are_no_partners_unless_asked_for(form, curved):
    X = form(curved)
    small = DenoisingAutoencoder(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    expected = clone(small).fit(X).denoise(X)
    targets = [
        X,  # the habit of Keras
        curved[:, :1],
        (curved[:, :3] > 1).astype(int),
        (curved > 1).astype(int),  # as wide as X
    ]
    for y in targets:
        np.testing.assert_array_equal(clone(small).fit(X, y).denoise(X), expected)
    with pytest.warns(UserWarning, match=r"is ignored\. Set paired=True"):
        found = clone(small).fit(X, form(2 * curved)).denoise(X)
    np.testing.assert_array_equal(found, expected)


def test_the_score_measures_denoising_under_noise_of_its_own(curved):
    small = DenoisingAutoencoder(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    fitted = small.fit(curved[:400])
    noise = np.random.default_rng(0).normal(0, 0.5 * curved[400:].std(0), (200, 6))
    denoised = fitted.denoise(curved[400:] + noise)
    residual = (curved[400:] - denoised) / fitted.net_.module_.scaler.units
    total = (curved[400:] - curved[400:].mean(0)) / fitted.net_.module_.scaler.units
    expected = 1 - np.sum(residual**2) / np.sum(total**2)
    assert fitted.score(curved[400:]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scoring", [None, make_denoising_scorer(4.0)])
def test_a_search_over_the_noise_does_not_take_the_least(scoring):
    X = load_digits().data[::2]
    quick = DenoisingAutoencoder(hidden_layer_sizes=(8,), max_epochs=1, random_state=0)
    grid = {"noise_level": [0.01, 0.1, 0.25, 0.5]}
    search = GridSearchCV(quick, grid, scoring=scoring, cv=2).fit(X)
    assert search.best_params_["noise_level"] > 0.01


def test_the_score_of_noisy_rows_is_that_against_the_clean_ones():
    rng = np.random.default_rng(1)
    clean = rng.normal(size=(5_000, 3)) @ rng.normal(size=(3, 8))
    noisy = clean + rng.normal(0, 0.5, clean.shape)
    for rank in (1, 3, 8):
        fitted = DenoisingAutoencoder(rank, noise_std=0.5, **START).fit(noisy)
        units = fitted.net_.module_.scaler.units
        expected = reconstruction_r2(clean / units, fitted.denoise(noisy) / units)
        assert fitted.score(noisy) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("how", ["corrupted", "paired", "noisy"])
def test_rows_are_denoised_no_worse_than_they_were(how):
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(2_000, 8))  # a code of two components loses most of it
    noisy = clean + rng.normal(0, 0.05, clean.shape)
    params = {
        "corrupted": {"noise_level": 0.05},
        "paired": {"paired": True},
        "noisy": {"noise_std": 0.05},
    }[how]
    fitted = DenoisingAutoencoder(2, max_epochs=2, random_state=0, **params)
    fitted.fit(clean if how == "corrupted" else noisy, clean if how == "paired" else None)
    assert np.mean((fitted.reconstruct(noisy) - clean) ** 2) > 0.5
    assert np.mean((fitted.denoise(noisy) - clean) ** 2) < 0.05**2
    assert 0.99 < fitted.input_weight_ < 1


def test_a_code_that_denoises_keeps_nothing_of_its_input(curved):
    fitted = DenoisingAutoencoder(max_epochs=2, random_state=0).fit(curved)
    assert fitted.input_weight_ == 0
    np.testing.assert_array_equal(fitted.denoise(curved), fitted.reconstruct(curved))


def test_pixels_that_hardly_vary_do_not_drown_the_others_in_noise():
    X = load_digits().data / 16
    noisy = X[1000:] + np.random.default_rng(0).normal(0, 0.25, (797, 64))
    fitted = DenoisingAutoencoder(max_epochs=0, random_state=0).fit(X[:1000])
    pca = PCA(16).fit(X[:1000])
    projected = pca.inverse_transform(pca.transform(noisy))
    assert error(fitted, noisy, X[1000:]) < 0.9 * np.mean((projected - X[1000:]) ** 2)


def test_a_level_of_zero_is_the_plain_autoencoder_bit_for_bit(curved):
    shared = {
        name: value
        for name, value in DenoisingAutoencoder(random_state=0).get_params().items()
        if name in AutoencoderTransformer().get_params()
    }
    shared |= {"noise_level": 0, "max_epochs": 5, "hidden_layer_sizes": (16,)}
    plain = AutoencoderTransformer(**shared).fit(curved)
    for corruption in NAMES:
        fitted = DenoisingAutoencoder(corruption=corruption, **shared).fit(curved)
        np.testing.assert_array_equal(fitted.transform(curved), plain.transform(curved))


@pytest.mark.slow
def test_an_ensemble_of_denoisers_detects(curved):
    for parameters in ({}, {"corruption": "swap"}, {"noise_std": 0.1}):
        inner = DenoisingAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=3, **parameters)
        detector = AutoencoderOutlierDetector(inner, n_estimators=3, random_state=0)
        wild = np.vstack([curved, 5 * np.ones((1, 6))])
        assert np.argmin(detector.fit(wild).score_samples(wild)) == len(curved)


# Noisy rows


@pytest.mark.slow
def test_noisy_rows_alone_teach_more_than_the_linear_denoiser(curved):
    rng = np.random.default_rng(0)
    t = rng.uniform(-3, 3, (2_000, 1))
    clean = np.hstack([np.sin(t * k / 2) for k in range(1, 6)])
    noisy = clean + 0.4 * rng.normal(size=clean.shape)
    settings = {"scaling": None, "noise_std": 0.4, "random_state": 0}
    fitted = DenoisingAutoencoder(hidden_layer_sizes=(64, 32), **settings).fit(noisy)
    assert error(fitted, noisy, clean) < 0.9 * linear_denoiser(noisy, clean)
    plain = AutoencoderTransformer(5, noise_level=0, random_state=0).fit(noisy)
    copied = np.mean((plain.reconstruct(noisy) - clean) ** 2)
    assert copied > 2 * error(fitted, noisy, clean)


def test_the_penalty_makes_the_risk_unbiased():
    torch.manual_seed(0)
    network = Dense((16,), activation="tanh")(6, 3)
    std = torch.linspace(0.1, 0.5, 6)
    clean = torch.randn(40_000, 6)
    noisy = clean + std * torch.randn_like(clean)
    with torch.no_grad():
        out = network(noisy)
        risk = (out.reconstruction - clean).square().sum(1)
        estimate = (out.reconstruction - noisy).square().sum(1)
        estimate += SteinPenalty(std)(network, noisy, out)
    off = risk - estimate
    assert abs(off.mean()) < 4 * off.std() / len(off) ** 0.5
    assert off.std() / len(off) ** 0.5 < 0.02 * risk.mean()


def test_the_divergence_is_that_of_autograd():
    torch.manual_seed(0)

    class Square(Network):
        def encode(self, x):
            return x**2

        def decode(self, code):
            return code

    x, std = torch.randn(7, 4), torch.tensor([0.1, 0.2, 0.3, 0.4])
    network = Square()  # its Jacobian is diagonal, so one direction is exact
    expected = (4 * x * std**2).sum(1) - (std**2).sum()
    found = SteinPenalty(std)(network, x, network(x))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", [(2_000, 30), (300, 500)])
def test_the_noise_is_estimated(shape):
    rng = np.random.default_rng(0)
    low_rank = rng.normal(size=(shape[0], 4)) @ rng.normal(size=(4, shape[1]))
    noisy = 7 * low_rank + 0.3 * rng.normal(size=shape)
    assert _wiener.estimate_noise_std(noisy, np.arange(len(noisy))) == pytest.approx(
        0.3, rel=0.05
    )
    found = DenoisingAutoencoder(noise_std="auto", **START).fit(noisy).noise_std_
    assert found == pytest.approx(0.3, rel=0.05)


# Corruptions


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_does_what_its_moments_say(name):
    torch.manual_seed(0)
    x = torch.rand(50_000, 3) * torch.tensor([1.0, 2.0, 3.0])
    layers = {
        "gaussian": damage.GaussianNoise(0.4),
        "masking": damage.MaskingNoise(0.4),
        "salt_and_pepper": damage.SaltAndPepperNoise(0.4, x.amin(0), x.amax(0)),
        "swap": damage.SwapNoise(0.4),
    }
    damaged = layers[name](x)
    kept, mean, variance = layers[name].moments(x.mean(0), x.var(0))
    torch.testing.assert_close(damaged.mean(0), mean, rtol=0.02, atol=0.01)
    torch.testing.assert_close(damaged.var(0), variance, rtol=0.03, atol=0)
    shared = ((damaged - damaged.mean(0)) * (x - x.mean(0))).mean(0)
    torch.testing.assert_close(shared, kept * x.var(0), rtol=0.05, atol=0)
    assert torch.equal(layers[name].eval()(x), x)
    if name != "gaussian":
        assert (damaged != x).float().mean() == pytest.approx(0.4, abs=0.01)


def test_swapped_cells_stay_in_their_column_and_leave_their_row():
    x = torch.arange(30.0).reshape(10, 3)
    swapped = damage.SwapNoise(1.0)(x)
    assert torch.equal(swapped % 3, x % 3)
    assert (swapped != x).all()
    assert torch.equal(damage.SwapNoise(1.0)(x[:1]), x[:1])  # nothing to swap with


def test_held_out_rows_meet_the_same_damage_each_time(curved):
    fitted = DenoisingAutoencoder(
        hidden_layer_sizes=(8,), max_epochs=3, lr=1e-9, random_state=0
    ).fit(curved)
    first, *others = fitted.validation_curve_
    assert others == pytest.approx([first] * 2, rel=1e-5)
    quiet = clone(fitted).set_params(noise_level=0.1).fit(curved)
    assert quiet.validation_curve_[0] < 0.5 * first


def test_a_callable_and_a_module_may_corrupt(curved):
    module = torch.nn.Dropout(0.2)
    for corruption in (module, lambda x: x + 0.1):
        fitted = DenoisingAutoencoder(
            corruption=corruption, hidden_layer_sizes=(8,), max_epochs=2, random_state=0
        ).fit(curved)
        assert np.isfinite(fitted.denoise(curved)).all()
    assert module.training
    moved = DenoisingAutoencoder(corruption=lambda x: x + 0.1, **START).fit(FACTORS)
    np.testing.assert_allclose(moved.denoise(FACTORS + 0.1), FACTORS, atol=1e-3)


@pytest.mark.parametrize(
    ("parameters", "y", "words"),
    [
        ({"corruption": "swap", "noise_level": 2}, None, "noise_level=2 is a fraction"),
        ({"noise_std": [1.0, 2.0]}, None, "noise_std=.*each of the 6 features"),
        ({"noise_std": -1.0}, None, "noise_std"),
        ({"noise_std": 0.1, "loss": "huber"}, None, "loss='huber'.*squared_error"),
        ({"noise_std": 0.1, "paired": True}, np.ones((600, 6)), "Leave one of them out"),
        ({"paired": True}, np.ones((600, 2)), r"y has shape \(600, 2\) and X \D*600, 6"),
        ({"paired": True}, np.full((600, 6), np.nan), "NaN"),
        ({"paired": True}, None, "paired=True needs the clean partner"),
        ({"corruption": "fog"}, None, "corruption"),
        ({"corruption": lambda x: x[:, :1]}, None, r"should return \(2, 6\)"),
    ],
)
def test_errors_name_the_parameter_and_the_remedy(parameters, y, words, curved):
    with pytest.raises(ValueError, match=words):
        DenoisingAutoencoder(max_epochs=1, **parameters).fit(curved, y)
