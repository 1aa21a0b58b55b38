"""Bad input: the error names the parameter, the value and the remedy."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import (
    AUTOENCODERS,
    CLASSES,
    PLAIN,
    fit_once,
    fitted,
    label,
    name,
    one_of_each,
    quick,
)
from catalogue import (
    CATALOGUE as ALL,
)
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    ConvolutionalAutoencoder,
    TextAutoencoder,
)
from sk_autoencoder.core._parameters import Parameters
from sk_autoencoder.nn import Network

NAN, INFINITE = np.ones((10, 3)), np.ones((10, 3))
NAN[3, 1], INFINITE[3, 1] = np.nan, np.inf

# `check_estimator` feeds such rows to every estimator; here are the words, once.
NO_NAN = next(each for each in AUTOENCODERS if not get_tags(each).input_tags.allow_nan)
BAD_ROWS = {
    "Input X contains NaN": NAN,
    "Input X contains infinity": INFINITE,
    "Column 0 of X holds 'a'.*TableEncoder": np.full((10, 3), "a"),
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


# Columns that hold no numbers

TABLE = pd.DataFrame({"age": [31.0, 42.0, 53.0], "weight": [1, 2, 3]})
COLUMNS = {
    "strings": (["State-gov", None, "Private"], "holds 'State-gov'.*TableEncoder"),
    "a category": (pd.Categorical(["low", "high", "low"]), "holds 'low'.*TableEncoder"),
    "dates": (
        pd.date_range("2020-01-01", periods=3),
        "holds (datetime64|Time)",
    ),
    "durations": (pd.to_timedelta([1, 2, 3], "D"), "holds [tT]imedelta.*days since a date"),
    "days": ([date(2020, 1, day) for day in (1, 2, 3)], "holds datetime.date.*days since"),
}


def for_numbers(estimator):
    """Return an estimator that takes all columns for numbers."""
    takes_tables = "categorical_features" in estimator.get_params()
    options = {"categorical_features": None} if takes_tables else {}
    return clone(estimator).set_params(**options)


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("estimator", one_of_each(ALL))
def test_a_column_without_numbers_is_named(estimator, kind):
    values, words = COLUMNS[kind]
    with pytest.raises(ValueError, match=f"Column 'job' of X {words}"):
        for_numbers(estimator).fit(TABLE.assign(job=values))
    with pytest.raises(ValueError, match=f"Column 2 of X {words}"):
        for_numbers(estimator).fit(TABLE.assign(job=values).to_numpy(dtype=object))


def test_a_column_of_another_library_is_named():
    frame = pl.DataFrame({"age": [1.0, 2.0, 3.0], "job": ["a", "b", "c"]})
    with pytest.raises(ValueError, match="Column 'job' of X holds 'a'"):
        for_numbers(PLAIN).fit(frame)
    days = frame.with_columns(job=pl.date_range(date(2020, 1, 1), date(2020, 1, 3), "1d"))
    with pytest.raises(ValueError, match="Column 'job' of X holds Date"):
        for_numbers(PLAIN).fit(days)


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_raw_texts_need_a_vectorizer(container):
    texts = container(["the cat sat", "on the mat", "and purred"])
    for estimator in (TextAutoencoder(), PLAIN):
        with pytest.raises(
            ValueError, match=r"X holds 3 texts \('the cat.*TfidfVectorizer"
        ):
            clone(estimator).fit(texts)


def test_images_have_to_be_flat():
    with pytest.raises(ValueError, match=r"reshape\(len\(X\), 20\).*image_shape=\(4, 5\)"):
        ConvolutionalAutoencoder().fit(np.zeros((7, 4, 5)))


def test_sparse_rows_have_no_missing_values():
    X = csr_array(np.eye(5))
    X.data[2] = np.nan
    for estimator in (PLAIN, AutoencoderOutlierDetector()):
        with pytest.raises(ValueError, match="X is sparse and has missing values"):
            clone(estimator).fit(X)


@pytest.mark.parametrize(
    ("container", "placeholder"),
    [
        *[(np.array, value) for value in (None, "?", np.nan)],
        *[(pd.DataFrame, value) for value in (pd.NA, "?", -999)],
    ],
    ids=str,
)
def test_anything_may_stand_for_missing_values(container, placeholder, iris):
    X = iris.copy()
    is_missing = np.random.default_rng(0).random(X.shape) < 0.1
    X[is_missing] = np.nan
    expected = fit_once(AutoencoderImputer(PLAIN, random_state=0), X).transform(X)
    rows = X.astype(object)
    rows[is_missing] = placeholder
    imputer = AutoencoderImputer(PLAIN, missing_values=placeholder, random_state=0)
    np.testing.assert_array_equal(imputer.fit_transform(container(rows)), expected)


@pytest.mark.parametrize("placeholder", ["?", -999])
def test_nan_beside_a_placeholder_is_an_error(placeholder):
    rows = np.array([[1.0, 2.0], [np.nan, 3.0], [placeholder, 4.0]], dtype=object)
    with pytest.raises(ValueError, match=r"X has NaN, and missing_values=.* stands for"):
        AutoencoderImputer(PLAIN, missing_values=placeholder).fit(rows)
