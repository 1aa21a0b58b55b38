"""Bad input: the error names the parameter, the value and the remedy."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sk_autoencoder.nn import Network

NAN, INFINITE = np.ones((10, 3)), np.ones((10, 3))
NAN[3, 1], INFINITE[3, 1] = np.nan, np.inf

BAD_ROWS = {
    "Input X contains NaN": NAN,
    "Input X contains infinity": INFINITE,
    "could not convert string to float": np.full((10, 3), "a"),
    "Complex data not supported": np.full((10, 3), 1j),
    "Expected 2D array, got 1D array instead": np.ones(10),
    r"1 sample\(s\).*while a minimum of 2 is required": np.ones((1, 3)),
    r"Found array with 0 feature\(s\)": np.ones((10, 0)),
}


@pytest.mark.parametrize("message", BAD_ROWS)
def test_rows(estimator, message):
    if "NaN" in message and get_tags(estimator).input_tags.allow_nan:
        pytest.skip("takes NaN; see test_missing.py")
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(BAD_ROWS[message])


BAD_PARAMETERS = {
    "n_components": [0, -1, 1.5, 0.0, "mle"],
    "hidden_layer_sizes": [0, "wide"],
    "activation": ["swish", 3],
    "dropout": [1.0, -0.1],
    "network": [lambda d, k: torch.nn.ReLU(), 3],
    "init": ["svd"],
    "loss": ["mse"],
    "scaling": ["minmax"],
    "noise_level": [-0.1],
    "optimizer": ["adamm"],
    "lr": [0, "fast"],
    "batch_size": [0, "big"],
    "max_epochs": [-1, 2.5],
    "validation_fraction": [0.0, 1.0, "some"],
    "device": ["tpu9", "cuda:99", 0],
    "random_state": ["seed"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(k, v) for k, values in BAD_PARAMETERS.items() for v in values]
)
def test_parameters(autoencoder, iris, name, value):
    if name not in autoencoder.get_params():
        pytest.skip(f"has no {name}")
    with pytest.raises((ValueError, TypeError), match=name):
        autoencoder.set_params(**{name: value}).fit(iris)


@pytest.mark.parametrize("sizes", [(16, 0), (16, -3), (2.5,), ("16",)])
def test_widths_of_hidden_layers(with_network, iris, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.*positive"):
        with_network.set_params(hidden_layer_sizes=sizes).fit(iris)


def test_a_fraction_that_leaves_no_row(autoencoder, iris):
    with pytest.raises(ValueError, match=r"fraction=0\.99.*early_stopping=False"):
        autoencoder.set_params(validation_fraction=0.99).fit(iris[:5])


class Pair(Network):
    """A linear autoencoder of given widths."""

    def __init__(self, n_features, n_components, n_outputs):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_outputs)


def test_a_network_whose_code_has_the_wrong_width(with_network, iris):
    with_network.set_params(n_components=2, network=lambda d, k: Pair(d, 5, d))
    with pytest.raises(ValueError, match=r"code.*\(2, 5\).*n_components=2"):
        with_network.fit(iris)


def test_a_network_whose_rows_have_the_wrong_width(with_network, iris):
    with_network.set_params(n_components=2, network=lambda d, k: Pair(d, k, 7))
    with pytest.raises(ValueError, match=r"reconstruction.*\(2, 7\).*4 features"):
        with_network.fit(iris)


def test_cross_entropy_of_values_that_are_no_shares(with_loss, iris):
    with_loss.set_params(loss="binary_cross_entropy")
    with pytest.raises(ValueError, match=r"binary_cross_entropy.*\[0, 1\].*MinMaxScaler"):
        with_loss.fit(iris)


def test_shares_of_negative_values(with_loss, iris):
    with_loss.set_params(loss="multinomial")
    with pytest.raises(ValueError, match=r"Negative.*multinomial.*from -1 to"):
        with_loss.fit(np.c_[iris, -np.ones(len(iris))])


def test_a_loss_that_diverges(autoencoder, iris):
    with pytest.raises(ValueError, match=r"diverged.*Lower lr=1e\+30"):
        autoencoder.set_params(lr=1e30, init="random").fit(iris)


def test_codes_of_the_wrong_width(autoencoder, iris):
    codes = autoencoder.fit(iris).transform(iris)
    with pytest.raises(ValueError, match=f"X has {codes.shape[1] + 1} columns"):
        autoencoder.inverse_transform(np.c_[codes, codes[:, :1]])


@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score_samples", "score"]
)
def test_use_before_fit(autoencoder, iris, method):
    with pytest.raises(NotFittedError):
        getattr(autoencoder, method)(iris)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "score"])
def test_rows_of_another_width(autoencoder, iris, method):
    autoencoder.fit(iris)
    with pytest.raises(
        ValueError, match=r"X has 3 features, but .* is expecting 4 features"
    ):
        getattr(autoencoder, method)(iris[:, :3])
