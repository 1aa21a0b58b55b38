"""The Wiener filter: the best linear denoiser, as initial weights."""

import numpy as np
import torch
from scipy.linalg import eigh, eigvalsh, svd
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

from sk_autoencoder.core._data import RowDataset, RowSource, evenly_spaced_indices
from sk_autoencoder.core._initialization._pca import (
    LinearAutoencoder,
    PrincipalAxes,
    principal_axes,
    projection,
)
from sk_autoencoder.core._scaling import scaled_moments

MIN_MOMENT_ROWS = 20_000  # corrupted rows behind Monte Carlo moments
MOMENT_BATCH_ROWS = 1_000
MAX_SPECTRUM_ROWS, MAX_SPECTRUM_COLUMNS = 5_000, 500  # behind the noise estimate
MIN_SPECTRUM_ROWS = 3
MIN_NOISE_SHARE = 1e-8  # of the variance of an entry: less is rounding
MIN_RELATIVE_STD = 1e-3  # noise of a column without noise, in units of the mean noise
MAX_AXES = 1_000  # of the clean rows; the filter is zero outside their span
MIN_CODE_SCALE = 0.3  # lower bound of a code's scale, in units of the largest scale
MIN_RELATIVE_SCALE = 1e-6  # in units of the largest scale: less is rounding
RIDGE = 1e-6  # of the mean variance, added to each variance of the corrupted rows


def wiener_filter(
    rows: RowDataset, corruption: torch.nn.Module, rank: int, seed: int
) -> LinearAutoencoder:
    r"""Fit the Wiener filter of a given rank, from corrupted to clean rows.

    With means :math:`\mu`, the covariance :math:`C` of corrupted rows and the cross
    covariance :math:`B` of clean with corrupted ones, the map is
    :math:`y \mapsto \mu_x + U U^\top B C^{-1} (y - \mu_y)`, where :math:`U` holds the first
    left singular vectors of :math:`B C^{-1/2}` (reduced rank regression; Brillinger,
    "Time Series", 1981, theorem 10.2.1).
    """
    clean_source = RowSource(rows.source.targets, weight=rows.source.weight)
    clean = RowDataset(clean_source, rows.scaler, rows.indices, rows.moments)
    axes = principal_axes(clean, MAX_AXES, seed)
    compute_moments = getattr(corruption, "moments", lambda mean, variance: None)
    mean, variance = map(torch.from_numpy, scaled_moments(clean))
    exact = compute_moments(mean, variance)
    if exact is None:
        return _filter(axes, *monte_carlo_moments(rows, corruption, axes), rank)
    gain, mean_in, variance_in = exact
    noise = axes.components * (variance_in - gain**2 * variance).numpy()
    noisy = gain**2 * np.diag(axes.variance) + noise @ axes.components.T
    return _filter(axes, mean_in.numpy(), gain * np.diag(axes.variance), noisy, rank)


def wiener_filter_from_noisy(
    rows: RowDataset, std: np.ndarray, rank: int, seed: int
) -> LinearAutoencoder:
    """Fit the Wiener filter to noisy rows, with noise of known `std` (n_features,).

    The covariance of clean rows is estimated from noisy rows by shrinkage of the
    eigenvalues, in units of the noise.
    """
    axes = principal_axes(rows, MAX_AXES, seed)
    if not std.any():
        return projection(axes)
    std = std.clip(MIN_RELATIVE_STD * std.mean())
    spread = np.sqrt(axes.variance)[:, None] * axes.components / std
    _, values, vectors = svd(spread, full_matrices=False)
    directions = (vectors * std) @ axes.components.T
    clean_variance = shrink(values**2, len(std) / len(rows))
    cross = (directions.T * clean_variance) @ directions
    noise = (axes.components * std**2) @ axes.components.T
    return _filter(axes, axes.mean, cross, cross + noise, rank)


def estimate_noise_std(X, rows: np.ndarray) -> float:
    """Estimate the standard deviation of the noise that all columns of X share.

    The smallest eigenvalues of the covariance matrix, of a subset of rows and columns, are
    compared with those of Gaussian noise of the same shape. The sum of the k smallest
    eigenvalues may not exceed the sum of the noise for any k. The estimate is too large if
    every direction has signal. It is 0 for fewer than three rows. Constant columns are
    left out.
    """
    subset = rows[evenly_spaced_indices(len(rows), MAX_SPECTRUM_ROWS)]
    values = X[subset][:, evenly_spaced_indices(X.shape[1], MAX_SPECTRUM_COLUMNS)]
    values = values.toarray() if issparse(values) else values
    values = values[:, values.min(axis=0) < values.max(axis=0)]
    if len(values) < MIN_SPECTRUM_ROWS or not values.size:
        return 0.0
    noise = torch.randn(values.shape, dtype=torch.double).numpy()
    variance = np.min(np.cumsum(_spectrum(values)) / np.cumsum(_spectrum(noise)))
    return float(np.sqrt(variance)) if variance > MIN_NOISE_SHARE * values.var() else 0.0


def _spectrum(rows: np.ndarray) -> np.ndarray:
    n_rows, n_columns = rows.shape
    n_nonzero = min(n_rows - 1, n_columns)
    values = eigvalsh(np.atleast_2d(np.cov(rows, rowvar=False)))
    return values[-n_nonzero:].clip(0)


def shrink(values: np.ndarray, aspect: float) -> np.ndarray:
    r"""Estimate the clean variance along the axes of noisy rows, for noise of variance 1.

    With :math:`\gamma = d / n` a clean variance :math:`\ell` shows as an eigenvalue
    :math:`(\ell + 1)(1 + \gamma / \ell)`, if it shows at all, along an axis whose squared
    cosine with the true one is :math:`(1 - \gamma / \ell^2) / (1 + \gamma / \ell)`.

    References
    ----------
    I. M. Johnstone and D. Paul, "PCA in high dimensions: an orientation", Proceedings of
    the IEEE 106, 2018, equations 10 and 11.
    """
    middle = values - 1 - aspect
    shows = values > (1 + aspect**0.5) ** 2
    true = np.where(shows, middle + np.sqrt((middle**2 - 4 * aspect).clip(0)), 2) / 2
    cosine = (1 - aspect / true**2) / (1 + aspect / true)
    return np.where(shows, true * cosine, 0)


def _filter(axes: PrincipalAxes, mean_in, cross, noisy, rank: int) -> LinearAutoencoder:
    if not len(noisy):  # no axis has variance
        return projection(axes)
    values, vectors = eigh(noisy)
    values = values.clip(0) + RIDGE * values.mean()
    whitener = (vectors * values**-0.5).T @ axes.components  # (n_axes, n_features)
    U, scale, right = svd(cross @ (vectors * values**-0.5))
    U, right = svd_flip(U, right)
    encoder = (scale[:, None] * right) @ whitener
    decoder = U.T @ axes.components
    # Components without variance would have arbitrary directions.
    rank = min(rank, np.sum(scale > MIN_RELATIVE_SCALE * scale[0]))
    code_std = np.maximum(scale, MIN_CODE_SCALE * scale[0])[:rank]
    return LinearAutoencoder(
        mean_in, encoder[:rank], decoder[:rank], axes.mean, code_std**2
    )


def monte_carlo_moments(rows: RowDataset, corruption: torch.nn.Module, axes: PrincipalAxes):
    """Estimate the mean and the covariances of corrupted rows from random corruptions.

    Returns
    -------
    mean : ndarray of shape (n_features,)
    cross : ndarray of shape (n_axes, n_axes)
        Covariance of clean with corrupted rows, in the basis of `axes`.
    noisy : ndarray of shape (n_axes, n_axes)
        Covariance of corrupted rows, in the basis of `axes`.
    """
    basis, mean = torch.from_numpy(axes.components), torch.from_numpy(axes.mean)
    n_repeats = max(MIN_MOMENT_ROWS // len(rows), 1)
    shift, cross, noisy, n_rows = 0.0, 0.0, 0.0, 0
    corruption.train()
    for where in n_repeats * list(gen_batches(len(rows), MOMENT_BATCH_ROWS)):
        batch = rows[np.r_[where]]
        x, clean = batch.x.cpu(), batch.target.cpu()
        codes, clean_codes = (corruption(x) - mean) @ basis.T, (clean - mean) @ basis.T
        shift += codes.sum(0)
        cross += clean_codes.T @ codes
        noisy += codes.T @ codes
        n_rows += len(x)
    shift, cross, noisy = (total.numpy() / n_rows for total in (shift, cross, noisy))
    return axes.mean + shift @ axes.components, cross, noisy - np.outer(shift, shift)
