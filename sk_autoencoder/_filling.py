"""What is known of missing cells before training: a factor model, by EM."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from torch import Tensor

from sk_autoencoder._autoencoder import Scaler
from sk_autoencoder._net import Pairs, Rows, as_tensor, evenly, inputs, targets
from sk_autoencoder.missing import GaussianFill

MOST_FACTORS = 32
COMPLETE_ROWS = 500  # that are enough for cells that will only be missing later
FILL_ROWS, FILL_BYTES = 10_000, 2**25  # rows that the model is fitted to, at most
EM_ROWS = 512  # at once
EM_STEPS, EM_TOLERANCE = 15, 1e-3  # share by which the noise still changes
SHRINKAGE = 1e-2  # of the loadings, in rows of standard normal factors a row
LEAST_NOISE = 3e-3  # variance, as a share of the mean variance of a column
TINY = 1e-12  # variance of rows that are all the same


class Filled:
    """Rows with their missing cells filled, computed as they are read.

    Parameters
    ----------
    holed : ndarray of shape (n_samples, n_features)
    scaler : Scaler
    fill : GaussianFill
    """

    def __init__(self, holed: np.ndarray, scaler: Scaler, fill: GaussianFill) -> None:
        self.holed = holed
        self.scaler = copy.deepcopy(scaler).cpu()  # where the fill is, and stays
        self.fill = fill
        self.shape = holed.shape
        self.dtype = holed.dtype

    def __getitem__(self, index) -> np.ndarray:
        rows = as_tensor(self.holed[index], "cpu")
        filled = self.fill(self.scaler(rows).float()).to(rows.dtype)
        return torch.where(rows.isnan(), self.scaler.inverse(filled), rows).numpy()


def fill_in(X, scaler: Scaler, fill: GaussianFill):
    """Return X, rows or Pairs of complete targets, with missing cells filled."""
    filled = Filled(inputs(X), scaler, fill)
    return filled if targets(X) is X else Pairs(filled, targets(X))


class Moments(NamedTuple):
    """Sums over rows, of what each column says of the factors and the constant."""

    squares: Tensor  # (n_features, n_factors + 1, n_factors + 1)
    products: Tensor  # (n_features, n_factors + 1)


def has_missing(X) -> bool:
    """Whether a cell of X is NaN."""
    return not issparse(X) and bool(np.isnan(np.min(X)))  # makes no array as large as X


def missing_share(X, indices: np.ndarray) -> float:
    """Return the share of the cells in the rows `indices` of X that is missing."""
    return float(np.isnan(X[np.unique(indices)]).mean())


def find_fill(
    X, scaler: Scaler, indices: np.ndarray, seed: int, is_incomplete: bool = True
) -> GaussianFill:
    """Return the factor model of the rows `indices` of X, scaled.

    Starts at principal components; EM improves it where cells are missing [1]_.

    References
    ----------
    .. [1] D. B. Rubin and D. T. Thayer, "EM algorithms for ML factor analysis",
       Psychometrika 47, 1982.
    """
    most = max(FILL_BYTES // (8 * X.shape[1]), 100) if is_incomplete else COMPLETE_ROWS
    n_rows = int(min(len(indices), FILL_ROWS, most))
    few = indices[evenly(len(indices), n_rows)]
    x = Rows(X, scaler, few)[np.arange(n_rows)].cpu().double()
    is_known = ~x.isnan()
    model = _principal_factors(x, is_known, seed)
    if not is_known.all():
        model = _improve(model, x, is_known)
    return model.float()


def _principal_factors(x: Tensor, is_known: Tensor, seed: int) -> GaussianFill:
    share = is_known.double().mean(0).clamp(min=1 / len(x))
    mean = x.nanmean(0).nan_to_num(0.0)
    centred = torch.where(is_known, x - mean, 0.0)
    variance = centred.square().mean(0) / share
    n_features = x.shape[1]
    loadings = x.new_zeros(n_features, min(MOST_FACTORS, n_features))
    if variance.sum() > TINY * len(x):
        found = _probabilistic_pca(centred, seed)
        # With a zero for each missing cell, covariances are too small.
        loadings[:, : found.shape[1]] = found / share[:, None]
    noise = torch.maximum(variance - loadings.square().sum(1), variance / 10)
    noise = noise.clamp(min=float(LEAST_NOISE * variance.mean() + TINY))
    low = torch.where(is_known, x, np.inf).amin(0).minimum(mean)
    high = torch.where(is_known, x, -np.inf).amax(0).maximum(mean)
    return GaussianFill(mean, loadings, noise, low, high)


def _probabilistic_pca(centred: Tensor, seed: int) -> Tensor:
    n_factors = min(MOST_FACTORS, *centred.shape)
    pca = PCA(n_factors, random_state=seed).fit(centred.numpy())
    length = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0.0))
    return torch.from_numpy(pca.components_.T * length)


def _improve(model: GaussianFill, x: Tensor, is_known: Tensor) -> GaussianFill:
    known = is_known.double()
    n_known, n_factors = known.sum(0), model.loadings.shape[1]
    values = torch.where(is_known, x, 0.0)
    squared = values.square().sum(0)
    spread = squared / n_known.clamp(min=1) - (values.sum(0) / n_known.clamp(min=1)) ** 2
    floor = LEAST_NOISE * spread.mean() + TINY
    prior = torch.eye(n_factors + 1, dtype=x.dtype)
    prior[-1, -1] = 0  # the constant is free
    for _ in range(EM_STEPS):
        squares, products = _expect(model, x, values, known)
        shrunken = squares + (SHRINKAGE * n_known.clamp(min=1))[:, None, None] * prior
        shrunken[:, -1, -1] += TINY
        weights = torch.linalg.solve(shrunken, products)  # (n_features, n_factors + 1)
        fitted = (weights[:, None] @ squares @ weights[:, :, None])[:, 0, 0]
        left = squared - 2 * (weights * products).sum(1) + fitted
        noise = (left / n_known.clamp(min=1)).clamp(min=floor)
        change = (noise - model.noise).norm() / model.noise.norm()
        parts = weights[:, -1], weights[:, :-1], noise
        model = GaussianFill(*parts, model.low, model.high)
        if change < EM_TOLERANCE:
            break
    return model


def _expect(model: GaussianFill, x: Tensor, values: Tensor, known: Tensor) -> Moments:
    squares, products = 0.0, 0.0
    for some in torch.arange(len(x)).split(EM_ROWS):
        mean, root = model.factors(x[some])
        codes = torch.nn.functional.pad(mean, (0, 1), value=1.0)  # and the constant
        each = codes[:, :, None] * codes[:, None, :]
        each[:, :-1, :-1] += torch.cholesky_inverse(root)
        squares = squares + known[some].T @ each.flatten(1)
        products = products + values[some].T @ codes
    return Moments(squares.unflatten(1, each.shape[1:]), products)
