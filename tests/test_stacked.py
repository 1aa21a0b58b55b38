"""Layers that are trained alone, and what the whole makes of them."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from sk_autoencoder import AutoencoderOutlierDetector, StackedAutoencoder
from sk_autoencoder.nn import Dense, Network
from sk_autoencoder.nn._base import ACTIVATIONS

SIZES = {"hidden_layer_sizes": (24, 16, 8), "max_epochs": 2, "random_state": 0}
LAYERS_ALONE = {"fine_tune": False, "early_stopping": False, **SIZES}


def chained(layers, X):
    for layer in layers:
        X = layer.transform(X)
    return X


def unchained(layers, codes):
    for layer in reversed(layers):
        codes = layer.inverse_transform(codes)
    return codes


@pytest.mark.parametrize(
    ("scaling", "tied_weights"), [("global", False), ("standard", True), (None, False)]
)
def test_the_layers_make_up_the_network(digits, scaling, tied_weights):
    stacked = StackedAutoencoder(
        4, scaling=scaling, tied_weights=tied_weights, **LAYERS_ALONE
    )
    codes = stacked.fit_transform(digits)
    assert [layer.n_components_ for layer in stacked.layers_] == [24, 16, 8, 4]
    np.testing.assert_allclose(chained(stacked.layers_, digits), codes, atol=1e-9)
    rows = unchained(stacked.layers_, codes)
    np.testing.assert_allclose(stacked.reconstruct(digits), rows, atol=1e-9)
    assert stacked.n_iter_ == 0


@pytest.mark.parametrize(
    ("activation", "dropout"), [(name, 0.0) for name in ACTIVATIONS] + [("relu", 0.5)]
)
def test_layers_fit_between_any_activation(digits, activation, dropout):
    stacked = StackedAutoencoder(
        4, activation=activation, dropout=dropout, **LAYERS_ALONE | {"max_epochs": 1}
    )
    codes = stacked.fit_transform(digits)
    np.testing.assert_allclose(chained(stacked.layers_, digits), codes, atol=1e-9)


def test_cross_entropy_is_the_loss_of_the_first_layer(digits):
    stacked = StackedAutoencoder(4, loss="binary_cross_entropy", **LAYERS_ALONE)
    codes = stacked.fit_transform(digits)
    np.testing.assert_allclose(chained(stacked.layers_, digits), codes, atol=1e-9)
    rows = unchained(stacked.layers_, codes)
    np.testing.assert_allclose(stacked.reconstruct(digits), rows, atol=1e-9)
    assert [layer.loss for layer in stacked.layers_[1:]] == ["squared_error"] * 3


@pytest.mark.slow
def test_each_layer_learns_what_it_sees(digits):
    stacked = StackedAutoencoder(
        4, layer_noise_level=0, **LAYERS_ALONE | {"max_epochs": 200}
    )
    codes = digits
    for layer in stacked.fit(digits).layers_:
        pca = PCA(layer.n_components_).fit(codes)
        rows = pca.inverse_transform(pca.transform(codes))
        best = 1 - ((codes - rows) ** 2).sum() / (len(codes) * codes.var(axis=0).sum())
        assert layer.score(codes) > best - 0.1
        codes = layer.transform(codes)


@pytest.mark.slow
def test_fine_tuning_lowers_the_error(digits):
    params = SIZES | {"max_epochs": 30}
    alone = StackedAutoencoder(4, fine_tune=False, **params).fit(digits)
    tuned = StackedAutoencoder(4, **params).fit(digits)
    assert tuned.score(digits) > alone.score(digits) + 0.05
    for a, b in zip(alone.layers_, tuned.layers_, strict=True):
        assert a.loss_curve_ == b.loss_curve_


def test_the_held_out_rows_reach_no_layer(digits, monkeypatch):
    seen = []
    make_layer = StackedAutoencoder._make_layer

    def spy(self, width, spec, codes, **kwargs):
        seen.append(len(codes))
        return make_layer(self, width, spec, codes, **kwargs)

    monkeypatch.setattr(StackedAutoencoder, "_make_layer", spy)
    StackedAutoencoder(
        4, init="random", validation_fraction=0.2, **SIZES | {"max_epochs": 1}
    ).fit(digits)
    assert seen == [240] * 4


def test_noise_on_the_layers_changes_them(digits):
    with_noise = StackedAutoencoder(4, **LAYERS_ALONE).fit(digits).layers_
    plain = StackedAutoencoder(4, layer_noise_level=0, **LAYERS_ALONE).fit(digits).layers_
    assert [layer.noise_level for layer in plain] == [0] * 4
    spread = with_noise[0].transform(digits).std()
    assert with_noise[0].noise_level == 0.3
    assert with_noise[1].noise_level == pytest.approx(0.3 * spread)


def test_a_layer_can_be_cloned_and_pickled(digits):
    layer = StackedAutoencoder(4, **LAYERS_ALONE).fit(digits).layers_[0]
    copied = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(copied.transform(digits), layer.transform(digits))
    again = copied.fit_transform(digits)
    np.testing.assert_array_equal(again, layer.transform(digits))


def test_a_dense_network_may_be_given(digits):
    stacked = StackedAutoencoder(4, network=Dense((12,)), max_epochs=2, random_state=0)
    assert [layer.n_components_ for layer in stacked.fit(digits).layers_] == [12, 4]


class Whole(Network):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)


@pytest.mark.parametrize("network", [Whole, Dense((12,), code_activation="tanh")])
def test_a_network_without_separate_layers_is_refused(digits, network):
    with pytest.raises(ValueError, match=r"network=.*layer by layer"):
        StackedAutoencoder(4, network=network).fit(digits)


def test_members_of_an_ensemble_have_layers_of_their_own(iris):
    autoencoder = StackedAutoencoder(2, **SIZES)
    detector = AutoencoderOutlierDetector(autoencoder, n_estimators=3, random_state=0)
    fitted = detector.fit(iris).autoencoder_
    weights = fitted.network_.encoder[0].weight
    assert weights.shape[0] == 3
    assert not torch.equal(weights[0], weights[1])
    assert np.isfinite(detector.score_samples(iris)).all()


def test_a_warm_start_keeps_the_layers_and_the_first_batch_trains_them(digits):
    stacked = StackedAutoencoder(4, warm_start=True, **SIZES).fit(digits)
    layers = stacked.layers_
    assert stacked.fit(digits).layers_ is layers
    streamed = StackedAutoencoder(4, **SIZES).partial_fit(digits[:100])
    layers = streamed.layers_
    assert len(layers[0].loss_curve_) == 2
    assert streamed.partial_fit(digits[100:]).layers_ is layers
