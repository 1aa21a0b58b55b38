"""What every autoencoder can be combined with."""

import numpy as np
import pytest

from sk_autoencoder.nn._base import ACTIVATIONS
from sk_autoencoder.nn._losses import LOSSES

SHORT = {"max_epochs": 3, "scaling": None}


@pytest.fixture(scope="module")
def small(digits):
    """100 rows of 64 pixels in [0, 1]: every loss can be had of them."""
    return digits[:100]


def check(fitted, X):
    """Look at codes, reconstructions and scores."""
    assert fitted.transform(X).shape == (len(X), fitted.n_components_)
    assert np.isfinite(fitted.reconstruct(X)).all()
    assert np.isfinite(fitted.score_samples(X)).all()


@pytest.mark.parametrize("loss", [*LOSSES, lambda output, x: (output - x).abs().sum(-1)])
def test_every_loss_works_with_each(with_loss, loss, small):
    with_loss.set_params(loss=loss, **SHORT)
    if getattr(with_loss, "noise_std", None) and loss != "squared_error":
        with pytest.raises(ValueError, match=r"no unbiased estimate.*squared_error"):
            with_loss.fit(small)
        return
    fitted = with_loss.fit(small)
    assert np.isfinite(fitted.loss_curve_).all()
    check(fitted, small)
    if loss == "binary_cross_entropy":
        rows = fitted.reconstruct(small)
        assert 0 <= rows.min() < rows.max() <= 1


def test_every_activation_works_with_each(autoencoder, small):
    found = []
    for activation in ACTIVATIONS:
        fitted = autoencoder.set_params(activation=activation, **SHORT).fit(small)
        check(fitted, small)
        found.append(fitted.loss_curve_[-1])
    if getattr(autoencoder, "sparsity", None) != "pursuit":  # it has no hidden layers
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("name", "value"), [("l1_penalty", 0.1), ("weight_decay", 0.5), ("trim_fraction", 0.3)]
)
def test_every_regulariser_works_with_each(autoencoder, name, value, small):
    autoencoder.set_params(**SHORT)
    without = autoencoder.fit(small).loss_curve_
    regularised = autoencoder.set_params(**{name: value}).fit(small)
    assert regularised.loss_curve_ != without
    check(regularised, small)


def test_dropout_works_with_each(autoencoder, small):
    autoencoder.set_params(**SHORT)
    without = autoencoder.fit(small).loss_curve_
    dropped = autoencoder.set_params(dropout=0.5).fit(small)
    check(dropped, small)
    if getattr(autoencoder, "sparsity", None) != "pursuit":  # it has no hidden layers
        assert dropped.loss_curve_ != without
