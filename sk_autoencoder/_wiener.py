"""The best linear denoiser, from which a denoising autoencoder starts."""

import numpy as np
import torch
from scipy.linalg import eigh, svd
from sklearn.utils import gen_batches

from sk_autoencoder._net import Rows, targets
from sk_autoencoder._start import Axes, Filter, principal_axes

MOMENT_ROWS = 20_000  # corrupted rows, at least, that the moments are taken over
MOMENT_BATCH = 1_000
MAX_AXES = 1_000  # of the clean rows; the filter is silent outside their span
RIDGE = 1e-6  # of the mean variance, added to each variance of the corrupted rows


def wiener(rows: Rows, corruption: torch.nn.Module, rank: int, seed: int) -> Filter:
    r"""Return the linear map of some rank that best gives clean rows from corrupted ones.

    With the means :math:`\mu`, the covariance :math:`C` of corrupted rows and the cross
    covariance :math:`B` of clean with corrupted ones, the map is
    :math:`y \mapsto \mu_x + U U^\top B C^{-1} (y - \mu_y)`, where :math:`U` holds the first
    left singular vectors of :math:`B C^{-1/2}` (reduced rank regression; Brillinger,
    "Time Series", 1981, theorem 10.2.1).
    """
    clean = Rows(targets(rows.X), rows.scaler, rows.indices)
    axes = principal_axes(clean, MAX_AXES, seed)
    return _filter(axes, *_moments(rows, corruption, axes), rank)


def wiener_of_noisy(rows: Rows, std: np.ndarray, rank: int, seed: int) -> Filter:
    """Return the same for rows that are noisy, with noise of known `std` (n_features,)."""
    axes = principal_axes(rows, MAX_AXES, seed)
    noisy = np.diag(axes.variance)
    noise = (axes.components * std**2) @ axes.components.T
    values, vectors = eigh(noisy - noise)
    clean = (vectors * values.clip(0)) @ vectors.T
    return _filter(axes, axes.mean, clean, noisy, rank)


def _filter(axes: Axes, mean_in, cross, noisy, rank: int) -> Filter:
    V = axes.components  # (n_axes, n_features)
    values, vectors = eigh(noisy)
    values = values.clip(0) + RIDGE * values.mean()
    root = (vectors * values**-0.5) @ vectors.T
    U, scale, right = svd(cross @ root)
    encoder = (scale[:, None] * right) @ root @ V
    return Filter(mean_in, encoder[:rank], U.T[:rank] @ V, axes.mean, scale[:rank] ** 2)


def _moments(rows: Rows, corruption: torch.nn.Module, axes: Axes):
    """Return the mean of corrupted rows, their cross covariance and their covariance.

    The covariances are in the basis of `axes`, of shape (n_axes, n_axes).
    """
    basis, mean = (torch.from_numpy(part).float() for part in (axes.components, axes.mean))
    n_draws = max(MOMENT_ROWS // len(rows), 1)
    shift, cross, noisy, n_rows = 0.0, 0.0, 0.0, 0
    corruption.train()
    for where in n_draws * list(gen_batches(len(rows), MOMENT_BATCH)):
        both = rows[np.r_[where]].cpu()
        x, clean = both[:, : len(mean)], both[:, -len(mean) :]
        codes, clean_codes = ((part - mean) @ basis.T for part in (corruption(x), clean))
        shift += codes.sum(0).double()
        cross += (clean_codes.T @ codes).double()
        noisy += (codes.T @ codes).double()
        n_rows += len(x)
    shift, cross, noisy = (part.numpy() / n_rows for part in (shift, cross, noisy))
    return axes.mean + shift @ axes.components, cross, noisy - np.outer(shift, shift)
