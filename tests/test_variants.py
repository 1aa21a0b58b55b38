"""What every autoencoder can be combined with."""

import numpy as np
import pytest
from catalogue import AUTOENCODERS, PLAIN, fit_once, label, name
from sklearn.base import clone

from sk_autoencoder.nn._base import ACTIVATIONS
from sk_autoencoder.nn._losses import LOSSES

SHORT = {"max_epochs": 3, "scaling": None}
WITH_LOSS = [each for each in AUTOENCODERS if "loss" in each.get_params()]
WITH_HIDDEN_LAYERS = [  # a pursuit has none
    each for each in AUTOENCODERS if getattr(each, "sparsity", None) != "pursuit"
]


def fourth_power(output, x):
    """Return a loss that the library does not know."""
    return (output - x).pow(4).sum(-1)


def pairs(estimators, values):
    """Return all values for the plain autoencoder, and a value in turn for each other."""
    values = list(values)
    others = [each for each in estimators if each is not PLAIN]
    in_turn = [(each, values[i % len(values)]) for i, each in enumerate(others)]
    return [(PLAIN, value) for value in values] + in_turn


@pytest.fixture(scope="module")
def small(digits):
    """100 rows of 64 pixels in [0, 1]: every loss can be had of them."""
    return digits[:100]


def check(fitted, X):
    """Look at codes, reconstructions and scores."""
    assert fitted.transform(X).shape == (len(X), fitted.n_components_)
    assert np.isfinite(fitted.reconstruct(X)).all()
    assert np.isfinite(fitted.score_samples(X)).all()


def needs_squared_error(estimator):
    """Whether an estimator learns from noisy rows, whose risk only one loss estimates."""
    return bool(getattr(estimator, "noise_std", None))


@pytest.mark.parametrize(
    ("estimator", "loss"),
    pairs([e for e in WITH_LOSS if not needs_squared_error(e)], [*LOSSES, fourth_power]),
    ids=label,
)
def test_every_loss_works(estimator, loss, small):
    fitted = clone(estimator).set_params(loss=loss, **SHORT).fit(small)
    assert np.isfinite(fitted.loss_curve_).all()
    check(fitted, small)


@pytest.mark.parametrize("estimator", WITH_LOSS, ids=name)
def test_cross_entropy_reconstructs_shares(estimator, small):
    estimator = clone(estimator).set_params(loss="binary_cross_entropy", **SHORT)
    if needs_squared_error(estimator):
        with pytest.raises(ValueError, match=r"no unbiased estimate.*squared_error"):
            estimator.fit(small)
        return
    rows = estimator.fit(small).reconstruct(small)
    assert 0 <= rows.min() < rows.max() <= 1


def assert_differs(estimator, parameters, X):
    """Check that parameters change what is trained, and that the result can be used."""
    plain = fit_once(clone(estimator).set_params(**SHORT, early_stopping=False), X)
    changed = clone(plain).set_params(**parameters).fit(X)
    check(changed, X)
    assert changed.loss_curve_ != plain.loss_curve_


def test_every_activation_trains_in_another_way(small):
    curves = []
    for activation in ACTIVATIONS:
        options = {"activation": activation, "early_stopping": False, **SHORT}
        fitted = clone(PLAIN).set_params(**options).fit(small)
        curves.append(fitted.loss_curve_[-1])
    assert len(set(curves)) == len(curves)


OTHERS = [activation for activation in ACTIVATIONS if activation != PLAIN.activation]


@pytest.mark.parametrize(
    ("estimator", "activation"), pairs(WITH_HIDDEN_LAYERS, OTHERS), ids=label
)
def test_every_activation_works(estimator, activation, small):
    assert_differs(estimator, {"activation": activation}, small)


REGULARISERS = [("l1_penalty", 0.1), ("weight_decay", 0.5), ("trim_fraction", 0.3)]


@pytest.mark.parametrize(
    ("estimator", "regulariser"), pairs(AUTOENCODERS, REGULARISERS), ids=label
)
def test_every_regulariser_works(estimator, regulariser, small):
    assert_differs(estimator, dict([regulariser]), small)


@pytest.mark.parametrize("estimator", WITH_HIDDEN_LAYERS, ids=name)
def test_dropout_works_with_each(estimator, small):
    assert_differs(estimator, {"dropout": 0.5}, small)


def test_a_pursuit_has_no_hidden_layers_to_change(small):
    (pursuit,) = (each for each in AUTOENCODERS if each not in WITH_HIDDEN_LAYERS)
    pursuit = clone(pursuit).set_params(**SHORT)
    curve = fit_once(pursuit, small).loss_curve_
    check(clone(pursuit).set_params(dropout=0.5, activation="tanh").fit(small), small)
    assert clone(pursuit).set_params(dropout=0.5).fit(small).loss_curve_ == curve
