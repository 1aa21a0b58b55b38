"""What is known before training: the scale of X and its best linear autoencoder."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

from sk_autoencoder._autoencoder import Scaler
from sk_autoencoder._net import PIECE_BYTES, Rows
from sk_autoencoder._row_scaling import RowScaler, row_lengths
from sk_autoencoder.networks import LinearStart
from sk_autoencoder.objectives import Loss

HELD_OUT_SHARE, HELD_OUT_ROWS = 0.1, 32  # what validation_fraction="auto" aims at
START_NOISE = 1.5  # standard errors by which training has to beat PCA
JUDGE_ROWS = 15  # fewer held-out rows cannot tell whether training paid
REFIT_ROWS = 1_000  # up to which the rows held out are worth a second training
LEAST_NOISE = 1e-2  # variance that is left to noise at the start, in squared scaled units
NO_VARIANCE = 1e-12  # of a column, in squared scaled units
EXAMPLE_NOISE = 0.05  # share of an example's norm, so that no two are the same
SMALL_SPECTRUM = 1_000  # columns up to which a covariance matrix is the fastest way


def hold_out(
    n_rows: int, share: float | str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows to fit to and those held out, drawn at random but kept in order."""
    order = torch.randperm(n_rows).numpy()
    if share is None:
        return np.sort(order), None
    if share == "auto":
        n_held_out = max(HELD_OUT_SHARE * n_rows, min(HELD_OUT_ROWS, n_rows // 3))
    else:
        n_held_out = share * n_rows
    n_held_out = int(np.ceil(n_held_out))
    if n_held_out >= n_rows:
        raise ValueError(
            f"validation_fraction={share!r} holds out {n_held_out} of {n_rows} rows "
            "and leaves none to fit to. Lower it, or set early_stopping=False."
        )
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def pieces(X, indices: np.ndarray) -> Iterator:
    """Yield the rows `indices` of X in pieces of bounded size."""
    size = max(PIECE_BYTES // (8 * X.shape[1]), 1)
    for where in gen_batches(len(indices), size):
        yield X[indices[where]]


def moments(X, indices: np.ndarray, flatten: Callable = Scaler.flatten) -> StandardScaler:
    """Return the fitted mean and variance of the rows `indices` of X, flattened."""
    scaler = StandardScaler(with_mean=not issparse(X))
    if issparse(X):
        return scaler.fit(flatten(X[indices]))
    for piece in pieces(X, indices):
        scaler.partial_fit(flatten(piece))
    return scaler


def scaled_moments(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of each column of scaled `rows`."""
    fitted = moments(rows.X, rows.indices, rows.scaler.flatten)
    center, scale = (part.cpu().numpy() for part in (rows.scaler.center, rows.scaler.scale))
    return (fitted.mean_ - center) / scale, fitted.var_ / scale**2


def vary(rows: Rows) -> bool:
    """Whether any column of scaled `rows` varies by more than rounding."""
    return bool(scaled_moments(rows)[1].max() > NO_VARIANCE)


def make_scaler(
    X, indices: np.ndarray, scaling: str | None, kind: type[Scaler] = Scaler
) -> Scaler:
    """Return the scaler that `scaling` names, fitted to the rows `indices` of X.

    ``"standard"`` divides each column by its standard deviation, ``"global"`` all columns
    by the root of their mean variance, None does nothing. A constant column is only
    centred.
    """
    n_features = X.shape[1]
    center, scale = np.zeros(n_features), np.ones(n_features)
    if scaling is not None:
        fitted = moments(X, indices, kind.flatten)
        # A column of these rows that has no value at all is taken for a constant.
        center, scale = np.nan_to_num(fitted.mean_), np.nan_to_num(fitted.scale_, nan=1.0)
    if scaling == "global":
        varies = np.isclose(fitted.scale_**2, fitted.var_)  # neither constant nor NaN
        variance = np.where(varies, fitted.var_, 0).mean()
        scale = np.full(n_features, np.sqrt(variance) or 1.0)
    return kind(torch.from_numpy(center), torch.from_numpy(scale))


def make_row_scaler(X, indices: np.ndarray, order: int) -> RowScaler:
    """Return what brings rows to one length and a mean variance of one.

    What it means in turn are rows as long (in the norm of `order`) as the mean one.
    """
    variance = moments(X, indices, RowScaler.flatten).var_
    scale = np.full(X.shape[1], np.sqrt(variance.mean()) or 1.0)
    lengths = [row_lengths(piece, order) for piece in pieces(X, indices)]
    size = float(np.concatenate(lengths).mean())
    return RowScaler(torch.zeros(X.shape[1]), torch.from_numpy(scale), size, order)


def ranges(rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and the highest value of each column of scaled `rows`."""
    low, high = torch.tensor(np.inf), torch.tensor(-np.inf)
    for where in gen_batches(len(rows), max(rows.piece, 256)):
        part = rows[np.r_[where]]
        low = torch.minimum(low, part.amin(0))
        high = torch.maximum(high, part.amax(0))
    return low, high


class Axes(NamedTuple):
    """Principal axes of scaled rows."""

    mean: np.ndarray  # (n_features,)
    components: np.ndarray  # (n_axes, n_features), unit norm, by falling variance
    variance: np.ndarray  # (n_axes,)


class Filter(NamedTuple):
    """A linear map from rows to rows, by way of a code."""

    mean: np.ndarray  # (n_features,), of the rows that go in
    encoder: np.ndarray  # (n_axes, n_features)
    decoder: np.ndarray  # (n_axes, n_features), unit norm
    mean_out: np.ndarray  # (n_features,)
    variance: np.ndarray  # (n_axes,), of the code, falling


def projection(axes: Axes) -> Filter:
    """Return the orthogonal projection onto principal axes, which is PCA."""
    return Filter(axes.mean, axes.components, axes.components, axes.mean, axes.variance)


def principal_axes(rows: Rows, n_components: int | None, seed: int) -> Axes:
    """Return the first `n_components` principal axes of `rows`, or all of them."""
    n_features = rows.X.shape[1]
    n_axes = min(len(rows), n_features, n_components or np.inf)
    mean, variance = scaled_moments(rows)
    if not variance.sum() > len(rows) * np.finfo(np.float32).eps ** 2:
        return Axes(mean, np.zeros((0, n_features)), np.zeros(0))
    if rows.resident is not None:
        pca = PCA(n_axes, random_state=seed).fit(rows.resident.cpu().double().numpy())
    elif issparse(rows.X):
        pca = _fit_sparse(rows, n_axes, seed)
    else:
        pca = _fit_streamed(rows, n_axes)
    return Axes(mean, pca.components_[:n_axes], pca.explained_variance_[:n_axes])


def _fit_sparse(rows: Rows, n_axes: int, seed: int) -> PCA:
    X = rows.scaler.flatten(rows.X[rows.indices])
    X = X.multiply(1 / rows.scaler.scale.cpu().numpy()).tocsr()
    if X.shape[1] <= SMALL_SPECTRUM:
        return PCA(n_axes, svd_solver="covariance_eigh").fit(X)
    n_axes = min(n_axes, min(X.shape) - 1)
    return PCA(n_axes, svd_solver="arpack", random_state=seed).fit(X)


def _fit_streamed(rows: Rows, n_axes: int) -> IncrementalPCA:
    # Exact as long as all axes are carried along, which costs little for few columns.
    n_features = rows.X.shape[1]
    carried = n_features if n_features <= SMALL_SPECTRUM else n_axes
    pca = IncrementalPCA(carried)
    for where in gen_batches(len(rows), max(rows.piece, carried), min_batch_size=carried):
        pca.partial_fit(rows[np.r_[where]].cpu().double().numpy(), check_input=False)
    return pca


def count_components(axes: Axes, share: float) -> int:
    """Return how many of all `axes` explain more than `share` of the variance."""
    explained = np.cumsum(axes.variance) / axes.variance.sum()
    return min(int(np.searchsorted(explained, share, side="right")) + 1, len(explained))


class Factors(NamedTuple):
    """A linear-Gaussian model: rows are mean + code @ decoder + noise, codes standard."""

    encoder: np.ndarray  # (n_axes, n_features), gives the mean of the code
    decoder: np.ndarray  # (n_axes, n_features)
    scale: np.ndarray  # (n_axes,), standard deviation of the code, given x
    noise: np.ndarray  # (n_features,), variances


def factors(
    axes: Axes, variance: np.ndarray, per_feature: bool, noise: np.ndarray | None = None
) -> Factors:
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
    left = max(left / max(n_features - n_axes, 1), LEAST_NOISE)
    left = left if noise is None else noise.mean()
    signal = np.sqrt(np.maximum(axes.variance - left, 0))
    decoder = signal[:, None] * axes.components  # (n_axes, n_features)
    sizes = 1 + signal**2 / left  # precisions of the code, given x
    if noise is None and per_feature:
        noise = np.maximum(variance - (decoder**2).sum(axis=0), LEAST_NOISE)
    elif noise is None:
        noise = np.full(n_features, left)
    if np.ptp(noise) and n_axes:
        precision = np.eye(n_axes) + (decoder / noise) @ decoder.T
        sizes, rotation = np.linalg.eigh(-precision)  # the largest first
        sizes, decoder = -sizes, svd_flip(rotation, None)[0].T @ decoder
    return Factors(decoder / noise / sizes[:, None], decoder, sizes**-0.5, noise)


def start_factors(network, mean: np.ndarray, found: Factors, loss: Loss) -> bool:
    """Start a variational `network` at a linear-Gaussian model; return whether it can."""
    code_variance = np.maximum(1 - found.scale**2, 0)
    line = Filter(mean, found.encoder, found.decoder, mean, code_variance)
    started = network.start_from(linear_start(line, len(network.encode_gain), loss))
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


def linear_start(found: Filter, n_components: int, loss: Loss) -> LinearStart:
    """Return a filter as an autoencoder; components beyond its own begin as zero codes.

    The decoder's output goes through the link of `loss`, so it starts at the tangent of
    the inverse link.
    """
    parts = map(np.ascontiguousarray, found)  # axes may come in reverse
    mean, encoder, decoder, mean_out, variance = map(torch.from_numpy, parts)
    n_axes, n_features = encoder.shape
    encode_weight = torch.zeros(n_components, n_features)
    encode_weight[:n_axes] = encoder
    decode_weight = torch.randn(n_features, n_components) / n_features**0.5
    bias, weights = loss.start(mean_out.float(), decoder.float().T)
    decode_weight[:, :n_axes] = weights
    code_scale = torch.ones(n_components)
    code_scale[:n_axes] = variance.sqrt()
    code_scale.clamp_(min=1e-3)
    return LinearStart(
        encode_weight=encode_weight,
        encode_bias=-encode_weight @ mean.float(),
        decode_weight=decode_weight,
        decode_bias=bias,
        code_scale=code_scale,
    )


def examples(rows: Rows, n_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of `rows`, and up to `n_rows` of them, less the mean, with noise."""
    mean = torch.from_numpy(scaled_moments(rows)[0])
    drawn = rows[torch.randperm(len(rows))[:n_rows].numpy()].cpu() - mean.float()
    noise = torch.nn.functional.normalize(torch.randn_like(drawn))
    drawn += EXAMPLE_NOISE * drawn.norm(dim=1, keepdim=True) * noise
    return mean.float(), drawn


def share_of_the_way(losses: dict[float, np.ndarray]) -> float:
    """Return how far to go from the start, given the losses of the same rows on the way.

    Where the mean loss falls most after one and a half standard errors are taken off;
    that is nowhere if none is left, or if fewer than 15 rows were held out.
    """

    def cautious_gain(share: float) -> float:
        gain = losses[0.0] - losses[share]
        return gain.mean() - START_NOISE * gain.std(ddof=1) / len(gain) ** 0.5

    if len(losses[0.0]) < JUDGE_ROWS:
        return 0.0
    return max(losses, key=cautious_gain)  # the smallest of equals
