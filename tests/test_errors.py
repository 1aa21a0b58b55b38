"""Bad input: the error names the parameter, the value and the remedy."""

import numpy as np
import pytest
import torch
from catalogue import AUTOENCODERS, CLASSES, PLAIN, fitted, label, name, quick
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sk_autoencoder.core._parameters import Parameters
from sk_autoencoder.nn import Network

NAN, INFINITE = np.ones((10, 3)), np.ones((10, 3))
NAN[3, 1], INFINITE[3, 1] = np.nan, np.inf

# `check_estimator` feeds such rows to every estimator; here are the words, once.
NO_NAN = next(each for each in AUTOENCODERS if not get_tags(each).input_tags.allow_nan)
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
def test_rows(message):
    with pytest.raises((ValueError, TypeError), match=message):
        clone(NO_NAN).fit(BAD_ROWS[message])


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
# The values are refused by one estimator, and what a class declares anew by that class too.
REFUSALS = [(PLAIN, key, value) for key in BAD_PARAMETERS for value in BAD_PARAMETERS[key]]
REFUSALS += [
    (quick(cls), key, BAD_PARAMETERS[key][-1])
    for cls in CLASSES
    if issubclass(cls, Parameters)
    for key, constraint in cls._parameter_constraints.items()
    if key in BAD_PARAMETERS and constraint != PLAIN._parameter_constraints[key]
]


@pytest.mark.parametrize(("estimator", "parameter", "value"), REFUSALS, ids=label)
def test_parameters(estimator, iris, parameter, value):
    with pytest.raises((ValueError, TypeError), match=parameter):
        clone(estimator).set_params(**{parameter: value}).fit(iris)


@pytest.mark.parametrize("sizes", [(16, 0), (16, -3), (2.5,), ("16",)])
def test_widths_of_hidden_layers(iris, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.*positive"):
        clone(PLAIN).set_params(hidden_layer_sizes=sizes).fit(iris)


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
    autoencoder = fitted(autoencoder, iris)
    codes = autoencoder.transform(iris)
    with pytest.raises(ValueError, match=f"X has {codes.shape[1] + 1} columns"):
        autoencoder.inverse_transform(np.c_[codes, codes[:, :1]])


# `check_estimator` asks for the methods it knows; these are those of one estimator.
ROW_METHODS = ["transform", "reconstruct", "score_samples", "score"]


@pytest.mark.parametrize("method", [*ROW_METHODS, "inverse_transform"])
def test_use_before_fit(iris, method):
    with pytest.raises(NotFittedError):
        getattr(clone(PLAIN), method)(iris)


@pytest.mark.parametrize("method", ROW_METHODS)
def test_rows_of_another_width(iris, method):
    with pytest.raises(
        ValueError, match=r"X has 3 features, but .* is expecting 4 features"
    ):
        getattr(fitted(PLAIN, iris), method)(iris[:, :3])


@pytest.mark.parametrize("autoencoder", AUTOENCODERS, ids=name)
def test_reconstructions_need_a_fit_and_rows_of_its_width(autoencoder, iris):
    with pytest.raises(NotFittedError):
        clone(autoencoder).reconstruct(iris)
    with pytest.raises(ValueError, match="X has 3 features"):
        fitted(autoencoder, iris).reconstruct(iris[:, :3])
