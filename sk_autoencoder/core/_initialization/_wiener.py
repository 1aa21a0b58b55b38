"""The best linear denoiser, from which a denoising autoencoder starts."""

import numpy as np
import torch
from scipy.linalg import eigh, eigvalsh, svd
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

from sk_autoencoder.core._data import RowDataset, target_rows
from sk_autoencoder.core._initialization._pca import (
    LinearAutoencoder,
    PrincipalAxes,
    principal_axes,
    projection,
)
from sk_autoencoder.core._scaling import scaled_moments

MOMENT_ROWS = 20_000  # corrupted rows, at least, that the moments are taken over
MOMENT_BATCH = 1_000
SPECTRUM_ROWS, SPECTRUM_COLUMNS = 5_000, 500  # that the noise is estimated from
MIN_SPECTRUM_ROWS = 3
MIN_NOISE_SHARE = 1e-8  # of the variance of a cell: rounding
MIN_RELATIVE_STD = 1e-3  # of the mean: what noise is taken to have in columns without any
MAX_AXES = 1_000  # of the clean rows; the filter is silent outside their span
MIN_CODE_SCALE = 0.3  # of the widest code, below which a code's spread is not told apart
MIN_RELATIVE_SCALE = 1e-6  # of the widest code: rounding
RIDGE = 1e-6  # of the mean variance, added to each variance of the corrupted rows


def wiener_filter(
    rows: RowDataset, corruption: torch.nn.Module, rank: int, seed: int
) -> LinearAutoencoder:
    r"""Return the linear map of some rank that best gives clean rows from corrupted ones.

    With means :math:`\mu`, the covariance :math:`C` of corrupted rows and the cross
    covariance :math:`B` of clean with corrupted ones, the map is
    :math:`y \mapsto \mu_x + U U^\top B C^{-1} (y - \mu_y)`, where :math:`U` holds the first
    left singular vectors of :math:`B C^{-1/2}` (reduced rank regression; Brillinger,
    "Time Series", 1981, theorem 10.2.1).
    """
    clean = RowDataset(target_rows(rows.X), rows.scaler, rows.indices)
    axes = principal_axes(clean, MAX_AXES, seed)
    exact = getattr(corruption, "moments", None)
    if exact is None:
        return _filter(axes, *monte_carlo_moments(rows, corruption, axes), rank)
    mean, variance = map(torch.from_numpy, scaled_moments(clean))
    kept, mean_in, variance_in = exact(mean, variance)
    own = axes.components * (variance_in - kept**2 * variance).numpy()
    noisy = kept**2 * np.diag(axes.variance) + own @ axes.components.T
    return _filter(axes, mean_in.numpy(), kept * np.diag(axes.variance), noisy, rank)


def wiener_filter_from_noisy(
    rows: RowDataset, std: np.ndarray, rank: int, seed: int
) -> LinearAutoencoder:
    """Return the same for rows that are noisy, with noise of known `std` (n_features,).

    The covariance of the clean rows is that of the noisy ones with shrunk eigenvalues, in
    units of the noise.
    """
    axes = principal_axes(rows, MAX_AXES, seed)
    if not std.any():
        return projection(axes)
    std = std.clip(MIN_RELATIVE_STD * std.mean())
    spread = np.sqrt(axes.variance)[:, None] * axes.components / std
    _, values, vectors = svd(spread, full_matrices=False)
    found = (vectors * std) @ axes.components.T
    cross = (found.T * shrink(values**2, len(std) / len(rows))) @ found
    noise = (axes.components * std**2) @ axes.components.T
    return _filter(axes, axes.mean, cross, cross + noise, rank)


def estimate_noise_std(X, rows: np.ndarray) -> float:
    """Return the standard deviation of the noise that all columns of X have in common.

    The smallest eigenvalues of the covariance, of some of the rows and columns, are
    compared with those of Gaussian noise of the same shape: the sum of the k smallest may
    not exceed the noise's for any k. The estimate is too large where every direction holds
    something beside noise, and 0 for fewer than three rows. Constant columns have no part.
    """
    some = rows[_spread(len(rows), SPECTRUM_ROWS)]
    part = X[some][:, _spread(X.shape[1], SPECTRUM_COLUMNS)]
    part = part.toarray() if issparse(part) else part
    part = part[:, part.min(axis=0) < part.max(axis=0)]
    if len(part) < MIN_SPECTRUM_ROWS or not part.size:
        return 0.0
    noise = torch.randn(part.shape, dtype=torch.double).numpy()
    sums = [np.cumsum(_spectrum(values)) for values in (part, noise)]
    variance = np.min(sums[0] / sums[1])
    return float(np.sqrt(variance)) if variance > MIN_NOISE_SHARE * part.var() else 0.0


def _spread(n: int, n_kept: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, n_kept).astype(int))


def _spectrum(part: np.ndarray) -> np.ndarray:
    n_rows, n_columns = part.shape
    n_nonzero = min(n_rows - 1, n_columns)
    values = eigvalsh(np.atleast_2d(np.cov(part, rowvar=False)))
    return values[-n_nonzero:].clip(0)


def shrink(values: np.ndarray, aspect: float) -> np.ndarray:
    r"""Return the clean variance along the axes of noisy rows whose noise has variance 1.

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
    rank = min(
        rank, np.sum(scale > MIN_RELATIVE_SCALE * scale[0])
    )  # others have arbitrary directions
    spread = np.maximum(scale, MIN_CODE_SCALE * scale[0])
    return LinearAutoencoder(
        mean_in, encoder[:rank], decoder[:rank], axes.mean, spread[:rank] ** 2
    )


def monte_carlo_moments(rows: RowDataset, corruption: torch.nn.Module, axes: PrincipalAxes):
    """Return the mean of corrupted rows, their cross covariance and their covariance.

    The covariances are in the basis of `axes`, of shape (n_axes, n_axes).
    """
    basis, mean = torch.from_numpy(axes.components), torch.from_numpy(axes.mean)
    n_draws = max(MOMENT_ROWS // len(rows), 1)
    shift, cross, noisy, n_rows = 0.0, 0.0, 0.0, 0
    corruption.train()
    for where in n_draws * list(gen_batches(len(rows), MOMENT_BATCH)):
        both = rows[np.r_[where]].cpu()
        x, clean = both[:, : len(mean)], both[:, -len(mean) :]
        codes, clean_codes = ((part - mean) @ basis.T for part in (corruption(x), clean))
        shift += codes.sum(0)
        cross += clean_codes.T @ codes
        noisy += codes.T @ codes
        n_rows += len(x)
    shift, cross, noisy = (part.numpy() / n_rows for part in (shift, cross, noisy))
    return axes.mean + shift @ axes.components, cross, noisy - np.outer(shift, shift)
