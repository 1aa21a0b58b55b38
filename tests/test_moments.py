"""Moments that merge, and the scales and axes that come from them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sk_autoencoder.core import _data
from sk_autoencoder.core._backend import LocalBackend
from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._initialization._pca import principal_axes
from sk_autoencoder.core._moments import Moments, measure_moments
from sk_autoencoder.nn._losses import LOSSES

ROWS = np.random.default_rng(0).normal(size=(500, 6)) @ np.diag([1, 2, 3, 4, 5, 1e-3]) + 1e3


def pieces(X, *ends):
    """Return the moments of consecutive pieces of X."""
    bounds = np.array([0, *ends, len(X)])
    return [
        measure_moments(X, np.arange(low, high), with_products=True)
        for low, high in pairwise(bounds)
    ]


@pytest.mark.parametrize("ends", [(1,), (250,), (10, 20, 499)])
def test_moments_of_pieces_merge_to_those_of_all_rows(ends):
    merged = pieces(ROWS, *ends)
    while len(merged) > 1:
        merged = [merged[0].merge(merged[1]), *merged[2:]]
    np.testing.assert_allclose(merged[0].mean, ROWS.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(
        merged[0].scatter / len(ROWS), np.cov(ROWS.T, bias=True), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(merged[0].n_observed, 500)


def test_missing_entries_and_empty_pieces_count_for_nothing():
    X = ROWS.copy()
    X[::3, 1] = X[:100, 2] = X[:, 3] = np.nan
    first, second = (
        measure_moments(X, np.arange(*part)) for part in ((0, 100), (100, 500))
    )
    merged, scaler = first.merge(second), StandardScaler().fit(X[:, :3])
    np.testing.assert_allclose(merged.mean[:3], scaler.mean_, rtol=1e-14)
    np.testing.assert_allclose(merged.variance[:3], scaler.var_, rtol=1e-9)
    assert (merged.n_observed[3], merged.mean[3], merged.variance[3]) == (0, 0, 0)
    assert not merged.varies[3]


@pytest.mark.parametrize("value", [0.0, 7.0, 1e6 + 0.1, 1e-30])
def test_a_constant_column_does_not_vary(value):
    moments = measure_moments(np.full((1000, 1), value), np.arange(1000))
    assert not moments.varies[0]
    assert measure_moments(ROWS, np.arange(500)).varies.all()


def test_sparse_rows_have_the_moments_of_dense_ones():
    X = np.where(ROWS > 1e3, ROWS, 0)
    dense, sparse = (measure_moments(part, np.arange(500)) for part in (X, csr_array(X)))
    np.testing.assert_allclose(sparse.mean, dense.mean, rtol=1e-12)
    np.testing.assert_allclose(sparse.variance, dense.variance, rtol=1e-9)


@pytest.mark.parametrize("scaling", ["global", "standard", None])
@pytest.mark.parametrize("chunk_bytes", [8 * 6 * 7, 2**23])  # seven rows, and all
def test_axes_are_those_of_pca(scaling, chunk_bytes, monkeypatch):
    monkeypatch.setattr(_data, "CHUNK_BYTES", chunk_bytes)
    indices = np.arange(500)
    columns = NumericColumns(LOSSES["squared_error"], scaling)
    source = RowSource(ROWS)
    scaler, moments = columns.fit(source, indices, LocalBackend(), with_products=True)
    assert moments.has_products
    scaled = scaler(torch.from_numpy(ROWS)).numpy()
    pca = PCA(4, svd_solver="full").fit(scaled)
    for known in (moments, None):
        axes = principal_axes(RowDataset(source, scaler, indices, known), 4, seed=0)
        np.testing.assert_allclose(axes.components, pca.components_, atol=1e-8)
        np.testing.assert_allclose(axes.variance, pca.explained_variance_, rtol=1e-9)
        np.testing.assert_allclose(axes.mean, scaled.mean(axis=0), atol=1e-9)


def test_products_are_not_summed_where_they_cannot_be():
    columns = NumericColumns(LOSSES["squared_error"], "global")
    holed = ROWS.copy()
    holed[3, 2] = np.nan
    for X in (holed, csr_array(ROWS), np.zeros((20, 1_001))):
        _, moments = columns.fit(
            RowSource(X), np.arange(20), LocalBackend(), with_products=True
        )
        assert isinstance(moments, Moments)
        assert not moments.has_products
