"""The scale of columns, and the bounds of what a network sees."""

import numpy as np
import pytest
from catalogue import AUTOENCODERS, fit_once
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from sk_autoencoder import AutoencoderTransformer, DenoisingAutoencoder
from sk_autoencoder.nn._losses import ROW_LOSSES
from sk_autoencoder.nn._scalers import MARGIN

START = {"max_epochs": 0, "random_state": 0}


def fitted_scale(X, **params):
    """Fit to X, and give the scale of its columns."""
    return AutoencoderTransformer(1, **START, **params).fit(X).net_.module_.scaler.scale


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e6])
def test_pixels_keep_their_unit(factor):
    X = load_digits().data * factor
    scale = fitted_scale(X, early_stopping=False)
    np.testing.assert_allclose(scale, X.var(axis=0).mean() ** 0.5)


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer, load_diabetes])
def test_columns_of_mixed_units_are_standardised(load):
    X = load().data
    for rows in (X, X * 10.0 ** (np.arange(X.shape[1]) % 7 - 3)):
        scale = fitted_scale(rows, early_stopping=False)
        np.testing.assert_allclose(scale, rows.std(axis=0))


def test_one_money_column_among_zeros_and_ones_does_not_set_their_scale():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random((500, 20)) < 0.3, rng.lognormal(10, 1, 500)])
    np.testing.assert_allclose(fitted_scale(X, early_stopping=False), X.std(axis=0))


@pytest.mark.parametrize("constant", [1e-300, 1.0, 2.0**600])  # sums are exact
def test_a_constant_column_of_any_size_leaves_the_others_as_they_are(constant, curved):
    with_constant = np.column_stack([curved, np.full(len(curved), constant)])
    expected = AutoencoderTransformer(1, max_epochs=0, random_state=0).fit(curved)
    found = AutoencoderTransformer(1, max_epochs=0, random_state=0).fit(with_constant)
    codes = found.transform(with_constant)
    np.testing.assert_allclose(codes, expected.transform(curved), rtol=1e-5, atol=1e-6)


def test_a_column_that_is_constant_is_neither_scaled_nor_rounded():
    X = np.column_stack([np.random.default_rng(0).normal(size=(50, 2)), np.full(50, 7e29)])
    fitted = AutoencoderTransformer(2, **START).fit(X)
    assert np.abs(fitted.transform(X)).max() < 5


# Bounds


def test_codes_stay_linear_some_ranges_beyond_the_training_rows(iris):
    fitted = AutoencoderTransformer(2, **START).fit(iris)
    low, high = iris.min(axis=0), iris.max(axis=0)
    ends = np.stack([low, high])
    edge = ends + [[-MARGIN], [MARGIN]] * (high - low)
    far = ends + [[-1e3], [1e3]] * (high - low)
    inner, codes = fitted.transform(ends), fitted.transform(edge)
    np.testing.assert_allclose(
        np.diff(codes, axis=0), (2 * MARGIN + 1) * np.diff(inner, axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(fitted.transform(far), codes, atol=1e-5)
    assert (fitted.score_samples(far) < 100 * fitted.score_samples(edge)).all()


OF_CENTRED_ROWS = [each for each in AUTOENCODERS if each.loss not in ROW_LOSSES]


@pytest.mark.parametrize("estimator", OF_CENTRED_ROWS, ids=lambda e: type(e).__name__)
def test_a_wild_entry_moves_no_other_column_beyond_what_a_margin_does(estimator, iris):
    fitted = fit_once(estimator, iris)
    wild, edge = iris[:1].copy(), iris[:1].copy()
    wild[0, 0] = 1e9
    edge[0, 0] = iris[:, 0].max() + MARGIN * np.ptp(iris[:, 0])
    found, expected = (fitted.reconstruct(rows) for rows in (wild, edge))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_rows_of_a_warm_start_and_noisy_partners_widen_the_bounds(iris):
    fitted = AutoencoderTransformer(2, warm_start=True, **START).fit(iris)
    far = 100 * iris.max(axis=0, keepdims=True)
    before = fitted.transform(far)
    fitted.fit(np.vstack([iris, far]))
    assert not np.allclose(fitted.transform(far), before, atol=0.1)
    noisy = 100 * iris
    pairs = DenoisingAutoencoder(paired=True, **START).fit(noisy, iris)
    np.testing.assert_allclose(pairs.denoise(noisy), iris, atol=0.5)


@pytest.mark.parametrize("n_components", [0.5, 0.9])
def test_a_fraction_of_no_variance_is_one_component(n_components):
    fitted = AutoencoderTransformer(n_components, **START).fit(np.ones((20, 4)))
    assert fitted.n_components_ == 1
    np.testing.assert_array_equal(fitted.reconstruct(np.ones((3, 4))), 1)
