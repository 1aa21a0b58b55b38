"""Factor models: the initial variational autoencoder, and guesses at missing entries."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils.extmath import svd_flip
from torch import Tensor

from sk_autoencoder.core._data import (
    RowDataset,
    evenly_spaced_indices,
)
from sk_autoencoder.core._initialization._pca import (
    LinearAutoencoder,
    PrincipalAxes,
    linear_init,
)
from sk_autoencoder.nn._losses import Loss
from sk_autoencoder.nn._missing import FactorModelImputer
from sk_autoencoder.nn._scalers import Scaler

MIN_NOISE_VARIANCE = (
    1e-2  # variance that is left to noise at the start, in squared scaled units
)


class FactorModel(NamedTuple):
    """A linear-Gaussian model: rows are mean + code @ decoder + noise, codes standard."""

    encoder: np.ndarray  # (n_axes, n_features), gives the mean of the code
    decoder: np.ndarray  # (n_axes, n_features)
    scale: np.ndarray  # (n_axes,), standard deviation of the code, given x
    noise: np.ndarray  # (n_features,), variances


def factor_model(
    axes: PrincipalAxes,
    variance: np.ndarray,
    per_feature: bool,
    noise: np.ndarray | None = None,
) -> FactorModel:
    """Return the model with the factors `axes` of rows whose columns have a `variance`.

    With one variance for all features it is that of highest likelihood, probabilistic PCA
    [1]_; with one each, what the axes leave is taken for noise, once (principal factors).
    Noise that is not given is at least `LEAST_NOISE`, or training could not move. Codes
    are rotated such that their components are independent, also given x.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis",
       Journal of the Royal Statistical Society B 61, 1999, equations 7 and 8.
    """
    n_axes, n_features = axes.components.shape
    left = variance.sum() - axes.variance.sum()
    left = max(left / max(n_features - n_axes, 1), MIN_NOISE_VARIANCE)
    left = left if noise is None else noise.mean()
    signal = np.sqrt(np.maximum(axes.variance - left, 0))
    decoder = signal[:, None] * axes.components  # (n_axes, n_features)
    sizes = 1 + signal**2 / left  # precisions of the code, given x
    if noise is None and per_feature:
        noise = np.maximum(variance - (decoder**2).sum(axis=0), MIN_NOISE_VARIANCE)
    elif noise is None:
        noise = np.full(n_features, left)
    if np.ptp(noise) and n_axes:
        precision = np.eye(n_axes) + (decoder / noise) @ decoder.T
        sizes, rotation = np.linalg.eigh(-precision)  # the largest first
        sizes, decoder = -sizes, svd_flip(rotation, None)[0].T @ decoder
    return FactorModel(decoder / noise / sizes[:, None], decoder, sizes**-0.5, noise)


def init_factor_model(network, mean: np.ndarray, found: FactorModel, loss: Loss) -> bool:
    """Start a variational `network` at a linear-Gaussian model; return whether it can."""
    code_variance = np.maximum(1 - found.scale**2, 0)
    line = LinearAutoencoder(mean, found.encoder, found.decoder, mean, code_variance)
    started = network.start_from(linear_init(line, len(network.encode_gain), loss))
    if started:
        network.start_scales(torch.from_numpy(found.scale))
    return started


def scaled_variance(given, scaler: Scaler) -> np.ndarray:
    """Return a variance in squared units of X, one or one a feature, in scaled units."""
    values, n_features = np.asarray(given, float), len(scaler.scale)
    if values.shape not in {(), (n_features,)} or not (values > 0).all():
        raise ValueError(
            f"variance={given!r} has to be positive, and one number or one for each of "
            f"the {n_features} features of X."
        )
    return np.broadcast_to(values, n_features) / scaler.scale.cpu().numpy() ** 2


MAX_FACTORS = 32
MAX_COMPLETE_ROWS = 500  # that are enough for cells that will only be missing later
MAX_FACTOR_MODEL_ROWS, MAX_FACTOR_MODEL_BYTES = (
    10_000,
    2**25,
)  # rows that the model is fitted to, at most
EM_ROWS = 512  # at once
EM_STEPS, EM_TOLERANCE = 15, 1e-3  # share by which the noise still changes
SHRINKAGE = 1e-2  # of the loadings, in rows of standard normal factors a row
MIN_UNIQUENESS = 3e-3  # variance, as a share of the mean variance of a column
MIN_TOTAL_VARIANCE = 1e-12  # variance of rows that are all the same


class FactorMoments(NamedTuple):
    """Sums over rows, of what each column says of the factors and the constant."""

    squares: Tensor  # (n_features, n_factors + 1, n_factors + 1)
    products: Tensor  # (n_features, n_factors + 1)


def fit_factor_model(
    X, scaler: Scaler, indices: np.ndarray, seed: int, is_incomplete: bool = True
) -> FactorModelImputer:
    """Return the factor model of the rows `indices` of X, scaled.

    Starts at principal components; EM improves it where cells are missing [1]_.

    References
    ----------
    .. [1] D. B. Rubin and D. T. Thayer, "EM algorithms for ML factor analysis",
       Psychometrika 47, 1982.
    """
    most = (
        max(MAX_FACTOR_MODEL_BYTES // (8 * X.shape[1]), 100)
        if is_incomplete
        else MAX_COMPLETE_ROWS
    )
    n_rows = int(min(len(indices), MAX_FACTOR_MODEL_ROWS, most))
    few = indices[evenly_spaced_indices(len(indices), n_rows)]
    x = RowDataset(X, scaler, few)[np.arange(n_rows)].cpu().double()
    is_known = ~x.isnan()
    model = _principal_factors(x, is_known, seed)
    if not is_known.all():
        model = _improve(model, x, is_known)
    return model.float()


def _principal_factors(x: Tensor, is_known: Tensor, seed: int) -> FactorModelImputer:
    share = is_known.double().mean(0).clamp(min=1 / len(x))
    mean = x.nanmean(0).nan_to_num(0.0)
    centred = torch.where(is_known, x - mean, 0.0)
    variance = centred.square().mean(0) / share
    n_features = x.shape[1]
    loadings = x.new_zeros(n_features, min(MAX_FACTORS, n_features))
    if variance.sum() > MIN_TOTAL_VARIANCE * len(x):
        found = _probabilistic_pca(centred, seed)
        # With a zero for each missing cell, covariances are too small.
        loadings[:, : found.shape[1]] = found / share[:, None]
    noise = torch.maximum(variance - loadings.square().sum(1), variance / 10)
    noise = noise.clamp(min=float(MIN_UNIQUENESS * variance.mean() + MIN_TOTAL_VARIANCE))
    low = torch.where(is_known, x, np.inf).amin(0).minimum(mean)
    high = torch.where(is_known, x, -np.inf).amax(0).maximum(mean)
    return FactorModelImputer(mean, loadings, noise, low, high)


def _probabilistic_pca(centred: Tensor, seed: int) -> Tensor:
    n_factors = min(MAX_FACTORS, *centred.shape)
    pca = PCA(n_factors, random_state=seed).fit(centred.numpy())
    length = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0.0))
    return torch.from_numpy(pca.components_.T * length)


def _improve(model: FactorModelImputer, x: Tensor, is_known: Tensor) -> FactorModelImputer:
    known = is_known.double()
    n_known, n_factors = known.sum(0), model.loadings.shape[1]
    values = torch.where(is_known, x, 0.0)
    squared = values.square().sum(0)
    spread = squared / n_known.clamp(min=1) - (values.sum(0) / n_known.clamp(min=1)) ** 2
    floor = MIN_UNIQUENESS * spread.mean() + MIN_TOTAL_VARIANCE
    prior = torch.eye(n_factors + 1, dtype=x.dtype)
    prior[-1, -1] = 0  # the constant is free
    for _ in range(EM_STEPS):
        squares, products = _expect(model, x, values, known)
        shrunken = squares + (SHRINKAGE * n_known.clamp(min=1))[:, None, None] * prior
        shrunken[:, -1, -1] += MIN_TOTAL_VARIANCE
        weights = torch.linalg.solve(shrunken, products)  # (n_features, n_factors + 1)
        fitted = (weights[:, None] @ squares @ weights[:, :, None])[:, 0, 0]
        left = squared - 2 * (weights * products).sum(1) + fitted
        noise = (left / n_known.clamp(min=1)).clamp(min=floor)
        change = (noise - model.noise).norm() / model.noise.norm()
        parts = weights[:, -1], weights[:, :-1], noise
        model = FactorModelImputer(*parts, model.low, model.high)
        if change < EM_TOLERANCE:
            break
    return model


def _expect(
    model: FactorModelImputer, x: Tensor, values: Tensor, known: Tensor
) -> FactorMoments:
    squares, products = 0.0, 0.0
    for some in torch.arange(len(x)).split(EM_ROWS):
        mean, root = model.factors(x[some])
        codes = torch.nn.functional.pad(mean, (0, 1), value=1.0)  # and the constant
        each = codes[:, :, None] * codes[:, None, :]
        each[:, :-1, :-1] += torch.cholesky_inverse(root)
        squares = squares + known[some].T @ each.flatten(1)
        products = products + values[some].T @ codes
    return FactorMoments(squares.unflatten(1, each.shape[1:]), products)
