"""Factor models: initial weights of variational autoencoders, and imputed entries."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils.extmath import svd_flip
from torch import Tensor
from torch.nn import functional as F

from sk_autoencoder.core._data import (
    RowDataset,
    RowSource,
    evenly_spaced_indices,
    select,
    spread_indices,
)
from sk_autoencoder.core._initialization._pca import (
    LinearAutoencoder,
    PrincipalAxes,
    linear_init,
)
from sk_autoencoder.core._memory import SAMPLE_BYTES, rows_within
from sk_autoencoder.nn._losses import Loss
from sk_autoencoder.nn._missing import (
    ConditionalMeanImputer,
    FactorModelImputer,
    GaussianImputer,
    RowGroups,
    group_by_missing,
)
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.utils._checks import as_floats

MIN_NOISE_VARIANCE = 1e-2  # of the initial model, in squared scaled units
MAX_FACTORS = 32
N_FACTORS = (2, 4, 8, 16, 32)  # among which held-out cells of a table choose
HIDDEN_SHARE = 0.2  # of these cells
MAX_COVARIANCE_FEATURES = 256  # of models without factors
# Six tables, November 2026: .5 to .9 within .01 of each other in RMSE.
COVARIANCE_WEIGHT = 0.7  # of the covariance of rows beside that of the factor model
MIN_SELECTION_ROWS, MAX_SELECTION_ROWS = 40, 2_000
MAX_COMPLETE_ROWS = 500  # enough rows where entries are missing in new rows only
MAX_FACTOR_MODEL_ROWS = 10_000  # training rows of the model
SCALED_VARIANCE_RANGE = 1e-12, 1e12  # of a given variance, for float32
MIN_FACTOR_MODEL_ROWS = 100  # however wide the rows are
EM_ROWS = 128  # of one batch: each row has a matrix of factors, and one of features
EM_STEPS = 15
EM_TOLERANCE = 1e-3  # relative change of the noise variances
SHRINKAGE = 1e-2  # of the loadings, in rows of standard normal factors per row
MIN_UNIQUENESS = 3e-3  # noise variance, as a fraction of the mean variance of a column
MIN_TOTAL_VARIANCE = 1e-12  # of rows that are not all the same


class FactorModel(NamedTuple):
    """A linear-Gaussian model: row = mean + code @ decoder + noise, with normal codes."""

    encoder: np.ndarray  # (n_axes, n_features), mean of the code given x
    decoder: np.ndarray  # (n_axes, n_features)
    scale: np.ndarray  # (n_axes,), standard deviation of the code given x
    noise: np.ndarray  # (n_features,), variances


def factor_model(
    axes: PrincipalAxes,
    variance: np.ndarray,
    per_feature: bool,
    noise: np.ndarray | None = None,
) -> FactorModel:
    """Build the factor model whose factors are principal `axes`.

    One noise variance for all features gives the maximum likelihood model, probabilistic
    PCA [1]_. One noise variance per feature is the variance that the axes do not explain
    (principal factors, one step). Noise that is not given is at least
    `MIN_NOISE_VARIANCE`, since training could not move otherwise. Codes are rotated such
    that their components are independent, also given x.

    Parameters
    ----------
    axes : PrincipalAxes
    variance : ndarray of shape (n_features,)
        Variance of each column.
    per_feature : bool
        Whether each feature has a noise variance of its own.
    noise : ndarray of shape (n_features,) or None, default=None
        Known noise variances.

    Returns
    -------
    model : FactorModel

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis",
       Journal of the Royal Statistical Society B 61, 1999, equations 7 and 8.
    """
    n_axes, n_features = axes.components.shape
    residual = variance.sum() - axes.variance.sum()
    residual = max(residual / max(n_features - n_axes, 1), MIN_NOISE_VARIANCE)
    mean_noise = residual if noise is None else noise.mean()
    signal = _signal_std(axes.variance, mean_noise)
    decoder = signal[:, None] * axes.components  # (n_axes, n_features)
    precisions = 1 + signal**2 / mean_noise  # of the code given x
    if noise is None and per_feature:
        noise = np.maximum(variance - (decoder**2).sum(axis=0), MIN_NOISE_VARIANCE)
    elif noise is None:
        noise = np.full(n_features, mean_noise)
    if np.ptp(noise) and n_axes:
        precision = np.eye(n_axes) + (decoder / noise) @ decoder.T
        negated, rotation = np.linalg.eigh(-precision)  # the largest precision first
        precisions, decoder = -negated, svd_flip(rotation, None)[0].T @ decoder
    encoder = decoder / noise / precisions[:, None]
    return FactorModel(encoder, decoder, precisions**-0.5, noise)


def _signal_std(variance: np.ndarray, noise: float) -> np.ndarray:
    """Compute the standard deviation along principal axes without noise [1]_, eq. 7."""
    return np.sqrt(np.maximum(variance - noise, 0))


def init_factor_model(network, mean: np.ndarray, model: FactorModel, loss: Loss) -> bool:
    """Initialise a variational `network` at a factor model, if the network can."""
    code_variance = np.maximum(1 - model.scale**2, 0)
    linear = LinearAutoencoder(mean, model.encoder, model.decoder, mean, code_variance)
    started = network.start_from(linear_init(linear, len(network.encode_gain), loss))
    if started:
        network.start_scales(torch.from_numpy(model.scale))
    return started


def scaled_variance(variance, scaler: Scaler) -> np.ndarray:
    """Convert a variance in squared units of X, scalar or per feature, to scaled units."""
    values, n_features = as_floats(variance, "variance"), len(scaler.scale)
    if values.shape not in {(), (n_features,)} or not (values > 0).all():
        raise ValueError(
            f"variance={variance!r} has to be positive, and one number or one for each of "
            f"the {n_features} features of X."
        )
    scaled = np.broadcast_to(values, n_features) / scaler.scale.cpu().numpy() ** 2
    low, high = SCALED_VARIANCE_RANGE
    if not ((scaled >= low) & (scaled <= high)).all():
        raise ValueError(
            f"variance={variance!r} is {scaled.min():.3g} to {scaled.max():.3g} times the "
            f"squared scale of X, and has to be {low} to {high} times that. It is in "
            "squared units of X."
        )
    return scaled


class FactorMoments(NamedTuple):
    """Sums over rows of the second moments of factors, constant and features."""

    squares: Tensor  # (n_features, n_factors + 1, n_factors + 1)
    products: Tensor  # (n_features, n_factors + 1)


def fit_factor_model(
    source: RowSource,
    scaler: Scaler,
    indices: np.ndarray,
    seed: int,
    is_incomplete: bool = True,
    columns: Tensor | None = None,
    n_factors: int | None = None,
) -> ConditionalMeanImputer:
    """Fit a factor model to the scaled rows `indices` of a source.

    The initial model has principal factors. EM [1]_ improves the model if entries are
    missing.

    Parameters
    ----------
    source : RowSource
        A row of weight 2 is a row given twice.
    scaler : Scaler
    indices : ndarray of shape (n_rows,)
    seed : int
        Seed of PCA, and of the cells that are hidden.
    is_incomplete : bool, default=True
    columns : Tensor of shape (n_features,) or None, default=None
        Index of the column of each entry of an encoded table. :func:`average_covariances`
        adds what few factors do not explain then, but of fewer than 40 rows.
    n_factors : int or None, default=None
        Of an encoded table. None takes what :func:`select_n_factors` selects.

    References
    ----------
    .. [1] D. B. Rubin and D. T. Thayer, "EM algorithms for ML factor analysis",
       Psychometrika 47, 1982.
    """
    x = _sample_rows(source, scaler, indices, is_incomplete)
    if columns is None:
        return _fit_scaled(x, seed, MAX_FACTORS).float()
    if n_factors is None:
        n_factors = _select_n_factors(x, seed, columns)
    model = _fit_scaled(x, seed, n_factors)
    covariance_weight = COVARIANCE_WEIGHT if len(x) >= MIN_SELECTION_ROWS else 0.0
    # Members, and trainings on more rows, have tensors of the same shapes.
    if x.shape[1] <= MAX_COVARIANCE_FEATURES:
        return average_covariances(model, x, covariance_weight).float()
    n_unused = MAX_FACTORS - model.loadings.shape[1]
    model.loadings = F.pad(model.loadings, (0, n_unused))
    return model.float()


def select_n_factors(
    source: RowSource, scaler: Scaler, indices: np.ndarray, seed: int, columns: Tensor
) -> int:
    """Select the number of factors of an encoded table by cells that are hidden for that.

    Entries of one category depend on each other, and many factors fit that alone. Fewer
    than 40 rows select nothing: all factors are taken. The parameters are those of
    :func:`fit_factor_model`.
    """
    return _select_n_factors(_sample_rows(source, scaler, indices), seed, columns)


def _sample_rows(
    source: RowSource, scaler: Scaler, indices: np.ndarray, is_incomplete: bool = True
) -> Tensor:
    """Read scaled rows for a factor model, evenly spaced if there are many."""
    n_max = MAX_COMPLETE_ROWS
    if is_incomplete:
        n_max = rows_within(SAMPLE_BYTES, 8 * source.n_features, MIN_FACTOR_MODEL_ROWS)
    weight = select(source.weight, indices)
    n_max = min(n_max, MAX_FACTOR_MODEL_ROWS)
    subset = indices[spread_indices(len(indices), n_max, weight)]
    rows = RowDataset(RowSource(source.X), scaler, subset)
    return rows[np.arange(len(subset))].x.cpu().double()


def _fit_scaled(x: Tensor, seed: int, n_factors: int) -> FactorModelImputer:
    is_observed = ~x.isnan()
    model = _principal_factors(x, is_observed, seed, n_factors)
    return model if is_observed.all() else _run_em(model, x, is_observed)


def _select_n_factors(x: Tensor, seed: int, columns: Tensor) -> int:
    """Select the number of factors that imputes hidden cells of held-out rows best."""
    if len(x) < MIN_SELECTION_ROWS:
        return MAX_FACTORS
    x = x[evenly_spaced_indices(len(x), MAX_SELECTION_ROWS)]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    held, fit = x[order].tensor_split([len(x) // 4])
    uniform = torch.rand(len(held), int(columns.max()) + 1, generator=generator)
    is_hidden = (uniform < HIDDEN_SHARE)[:, columns]
    holed = torch.where(is_hidden, torch.nan, held)

    def error(n_factors: int) -> float:
        imputed = _fit_scaled(fit, seed, n_factors)(holed)
        return float((imputed - held)[is_hidden].square().nansum())

    return min(N_FACTORS, key=error)


def average_covariances(
    model: FactorModelImputer, x: Tensor, weight: float
) -> GaussianImputer:
    r"""Average the covariance of a factor model with that of rows.

    The covariance of the rows, imputed by the model, tells what few factors do not
    explain. The average is linear shrinkage [1]_ with the factor model as its target.

    Parameters
    ----------
    model : FactorModelImputer
    x : Tensor of shape (n_rows, n_features)
        Scaled rows, with NaN for missing entries.
    weight : float
        Weight of the covariance of the rows; 0 takes that of the model.

    References
    ----------
    .. [1] O. Ledoit and M. Wolf, "Improved estimation of the covariance matrix of stock
       returns with an application to portfolio selection", Journal of Empirical Finance
       10, 2003.
    """
    loadings, noise = model.loadings, model.noise
    imputed, covariance = [], (x.isnan().sum(0) * noise).diag()
    for rows in x.split(EM_ROWS):
        codes, root = model.factors(rows)
        guess = model.mean + codes @ loadings.T
        imputed.append(torch.where(rows.isnan(), guess, rows))
        # The covariance of missing entries given the observed ones is spread @ spread.T.
        identity = torch.eye(loadings.shape[1]).to(root).expand_as(root)
        inverse_root = torch.linalg.solve_triangular(root, identity, upper=False)
        spread = (loadings @ inverse_root.mT) * rows.isnan()[..., None]
        spread = spread.movedim(0, 1).flatten(1)
        covariance += spread @ spread.T
    rows = torch.cat(imputed)
    mean = rows.mean(0)
    covariance = (covariance + (rows - mean).T @ (rows - mean)) / len(rows)
    target = loadings @ loadings.T + noise.diag()
    precision = torch.linalg.inv(target.lerp(covariance, weight))
    return GaussianImputer(mean, precision, model.low, model.high)


def _principal_factors(
    x: Tensor, is_observed: Tensor, seed: int, n_factors: int
) -> FactorModelImputer:
    observed_fraction = is_observed.double().mean(0).clamp(min=1 / len(x))
    mean = x.nanmean(0).nan_to_num(0.0)
    centred = torch.where(is_observed, x - mean, 0.0)
    variance = centred.square().mean(0) / observed_fraction
    n_features = x.shape[1]
    loadings = x.new_zeros(n_features, min(n_factors, n_features))
    if variance.sum() > MIN_TOTAL_VARIANCE * len(x):
        estimate = _probabilistic_pca(centred, seed, n_factors)
        # Covariances are too small, since each missing entry counts as zero.
        loadings[:, : estimate.shape[1]] = estimate / observed_fraction[:, None]
    noise = torch.maximum(variance - loadings.square().sum(1), variance / 10)
    noise = noise.clamp(min=float(MIN_UNIQUENESS * variance.mean() + MIN_TOTAL_VARIANCE))
    low = torch.where(is_observed, x, np.inf).amin(0).minimum(mean)
    high = torch.where(is_observed, x, -np.inf).amax(0).maximum(mean)
    return FactorModelImputer(mean, loadings, noise, low, high)


def _probabilistic_pca(centred: Tensor, seed: int, n_factors: int) -> Tensor:
    n_factors = min(n_factors, *centred.shape)
    pca = PCA(n_factors, random_state=seed).fit(centred.numpy())
    signal = _signal_std(pca.explained_variance_, pca.noise_variance_)
    return torch.from_numpy(pca.components_.T * signal)


def _run_em(
    model: FactorModelImputer, x: Tensor, is_observed: Tensor
) -> FactorModelImputer:
    n_observed, n_factors = is_observed.double().sum(0), model.loadings.shape[1]
    n_rows = n_observed.clamp(min=1)
    values = torch.where(is_observed, x, 0.0)
    squared = values.square().sum(0)
    variance = squared / n_rows - (values.sum(0) / n_rows) ** 2
    floor = MIN_UNIQUENESS * variance.mean() + MIN_TOTAL_VARIANCE
    prior = torch.eye(n_factors + 1, dtype=x.dtype)
    prior[-1, -1] = 0  # the constant is not shrunk
    # Rows with the same missing entries lie together: a batch has few such groups.
    order = group_by_missing(x.isnan()).of_row.argsort(stable=True)
    batches = [(rows, group_by_missing(rows.isnan())) for rows in x[order].split(EM_ROWS)]
    for _ in range(EM_STEPS):
        squares, products = _expect(model, batches)
        shrunken = squares + (SHRINKAGE * n_rows)[:, None, None] * prior
        shrunken[:, -1, -1] += MIN_TOTAL_VARIANCE
        weights = torch.linalg.solve(shrunken, products)  # (n_features, n_factors + 1)
        explained = (weights[:, None] @ squares @ weights[:, :, None])[:, 0, 0]
        residual = squared - 2 * (weights * products).sum(1) + explained
        noise = (residual / n_rows).clamp(min=floor)
        change = (noise - model.noise).norm() / model.noise.norm()
        mean, loadings = weights[:, -1], weights[:, :-1]
        model = FactorModelImputer(mean, loadings, noise, model.low, model.high)
        if change < EM_TOLERANCE:
            break
    return model


def _expect(
    model: FactorModelImputer, batches: list[tuple[Tensor, RowGroups]]
) -> FactorMoments:
    n_features, n_axes = len(model.loadings), model.loadings.shape[1] + 1
    squares = model.loadings.new_zeros(n_features, n_axes**2)
    products = model.loadings.new_zeros(n_features, n_axes)
    for rows, groups in batches:
        mean, root = model.factors(rows, groups)
        codes = F.pad(mean, (0, 1), value=1.0)  # and the constant
        # The covariance of factors is that of all rows with the same missing entries.
        covariance = torch.cholesky_inverse(root[groups.example])
        sums = F.pad(covariance * groups.size[:, None, None], (0, 1, 0, 1))
        sums.index_add_(0, groups.of_row, codes[:, :, None] * codes[:, None, :])
        observed = (~rows[groups.example].isnan()).to(sums)
        squares += observed.T @ sums.flatten(1)
        products += rows.nan_to_num().T @ codes
    return FactorMoments(squares.unflatten(1, (n_axes, n_axes)), products)
