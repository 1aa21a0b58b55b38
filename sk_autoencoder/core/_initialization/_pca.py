"""Initialise a network at PCA, or at another linear autoencoder."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import eigh, svd
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, svds
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.utils import gen_batches
from sklearn.utils.extmath import svd_flip

from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._moments import MAX_PRODUCT_COLUMNS, measure_moments
from sk_autoencoder.core._scaling import scaled_moments
from sk_autoencoder.nn._base import LinearInit
from sk_autoencoder.nn._losses import Loss

MIN_ROWS_PER_COLUMN = 10  # from which on axes come from moments, as in scikit-learn's PCA


class PrincipalAxes(NamedTuple):
    """Principal axes of scaled rows."""

    mean: np.ndarray  # (n_features,)
    components: np.ndarray  # (n_axes, n_features), unit norm, by decreasing variance
    variance: np.ndarray  # (n_axes,)


class LinearAutoencoder(NamedTuple):
    """A linear encoder and a linear decoder of scaled rows."""

    mean: np.ndarray  # (n_features,), of the input rows
    encoder: np.ndarray  # (n_axes, n_features)
    decoder: np.ndarray  # (n_axes, n_features), unit norm
    mean_out: np.ndarray  # (n_features,), of the output rows
    variance: np.ndarray  # (n_axes,), of the code, decreasing


def projection(axes: PrincipalAxes) -> LinearAutoencoder:
    """Build PCA as an autoencoder: the orthogonal projection onto principal axes."""
    return LinearAutoencoder(
        axes.mean, axes.components, axes.components, axes.mean, axes.variance
    )


def principal_axes(rows: RowDataset, n_components: int | None, seed: int) -> PrincipalAxes:
    """Compute the first `n_components` principal axes of `rows`, or all axes for None.

    The axes come from the moments of the rows: of few columns and many rows these are exact
    and fastest. Other rows go through PCA.
    """
    n_features = rows.X.shape[1]
    moments, n_rows = rows.moments, len(rows)
    has_products = moments is not None and moments.has_products
    if has_products:  # perhaps of further rows, which are not at hand
        n_rows = max(n_rows, int(moments.n_observed[0]))
    n_axes = min(n_rows, n_features, n_components or np.inf)
    mean, variance = scaled_moments(rows)
    if not variance.sum() > len(rows) * np.finfo(np.float32).eps ** 2:
        return PrincipalAxes(mean, np.zeros((0, n_features)), np.zeros(0))
    is_narrow, is_weighted = n_features <= MAX_PRODUCT_COLUMNS, rows.weight is not None
    is_long = rows.cached is None or len(rows) >= MIN_ROWS_PER_COLUMN * n_features
    if is_weighted and (issparse(rows.X) or not is_narrow):
        return _axes_of_weighted(rows, mean, n_axes, seed)
    if issparse(rows.X):
        pca = _fit_sparse(rows, n_axes, seed)
    elif (has_products and n_rows > len(rows)) or (is_narrow and (is_long or is_weighted)):
        return _axes_of_moments(rows, mean, n_axes)
    elif rows.cached is not None:
        pca = PCA(n_axes, random_state=seed)
        with np.errstate(invalid="ignore"):  # a share of no variance, which nobody reads
            pca.fit(rows.cached.x.cpu().double().numpy())
    else:
        pca = _fit_streamed(rows, n_axes)
    return PrincipalAxes(mean, pca.components_[:n_axes], pca.explained_variance_[:n_axes])


def _axes_of_moments(rows: RowDataset, mean: np.ndarray, n_axes: int) -> PrincipalAxes:
    moments = rows.moments
    if moments is None or not moments.has_products:
        source, flatten = rows.source, rows.scaler.flatten
        moments = measure_moments(
            source.X, rows.indices, flatten, with_products=True, weight=source.weight
        )
    scale = rows.scaler.scale.cpu().numpy()
    n_rows = moments.n_observed[0]  # of all processes
    covariance = moments.scatter / scale / scale[:, None] / degrees_of_freedom(n_rows)
    n_features = len(scale)
    variance, axes = eigh(covariance, subset_by_index=[n_features - n_axes, n_features - 1])
    order = np.argsort(-variance, kind="stable")
    _, components = svd_flip(None, axes.T[order], u_based_decision=False)
    return PrincipalAxes(mean, components, variance[order].clip(0))


def degrees_of_freedom(n_rows: float) -> float:
    """Compute what divides sums of squares: rows, or the sum of weights, less one.

    A sum of weights may be below two; their scale has no meaning then.
    """
    return max(n_rows - 1, n_rows / 2)


def _axes_of_weighted(
    rows: RowDataset, mean: np.ndarray, n_axes: int, seed: int
) -> PrincipalAxes:
    """Compute the axes of weighted rows that are sparse or have many columns."""
    if issparse(rows.X):
        scaled = _scale_sparse(rows)
        mean = scaled.T @ rows.weight / rows.weight.sum()
    else:
        scaled = rows[np.arange(len(rows))].x.cpu().double().numpy()
    root = np.sqrt(rows.weight)
    centred = LinearOperator(
        scaled.shape,
        matvec=lambda v: root * (scaled @ v.ravel() - mean @ v.ravel()),
        rmatvec=lambda u: scaled.T @ (root * u.ravel()) - mean * (root @ u.ravel()),
    )
    if n_axes < min(scaled.shape):
        v0 = np.random.default_rng(seed).standard_normal(min(scaled.shape))
        _, singular, components = svds(centred, n_axes, v0=v0)
    else:
        _, singular, components = svd(
            centred @ np.eye(scaled.shape[1]), full_matrices=False
        )
    order = np.argsort(-singular, kind="stable")[:n_axes]
    _, components = svd_flip(None, components[order], u_based_decision=False)
    variance = singular[order] ** 2 / degrees_of_freedom(rows.weight.sum())
    return PrincipalAxes(scaled_moments(rows)[0], components, variance)


def _fit_sparse(rows: RowDataset, n_axes: int, seed: int) -> PCA:
    with np.errstate(all="ignore"):  # of columns of wildly different magnitudes
        pca = _fit_sparse_pca(rows, n_axes, seed)
    np.nan_to_num(pca.components_, copy=False)
    np.nan_to_num(pca.explained_variance_, copy=False)
    return pca


def _fit_sparse_pca(rows: RowDataset, n_axes: int, seed: int) -> PCA:
    X = _scale_sparse(rows)
    if X.shape[1] <= MAX_PRODUCT_COLUMNS:
        return PCA(n_axes, svd_solver="covariance_eigh").fit(X)
    n_axes = min(n_axes, min(X.shape) - 1)
    return PCA(n_axes, svd_solver="arpack", random_state=seed).fit(X)


def _scale_sparse(rows: RowDataset):
    """Read all `rows` as a CSR array, in scaled units but not centred."""
    X = rows.scaler.flatten(rows.X[rows.indices])
    return X.multiply(1 / rows.scaler.scale.cpu().numpy()).tocsr()


def _fit_streamed(rows: RowDataset, n_axes: int) -> IncrementalPCA:
    pca = IncrementalPCA(n_axes)
    size = max(rows.chunk_size, n_axes)
    for where in gen_batches(len(rows), size, min_batch_size=n_axes):
        pca.partial_fit(rows[np.r_[where]].x.cpu().double().numpy(), check_input=False)
    return pca


def count_components(axes: PrincipalAxes, fraction: float) -> int:
    """Count the leading axes that explain more than a `fraction` of the variance.

    There is one at least, as in PCA, also of rows without variance.
    """
    if not axes.variance.sum() > 0:
        return 1
    explained = np.cumsum(axes.variance) / axes.variance.sum()
    return min(int(np.searchsorted(explained, fraction, side="right")) + 1, len(explained))


def linear_init(
    autoencoder: LinearAutoencoder, n_components: int, loss: Loss
) -> LinearInit:
    """Convert a linear autoencoder to the initial weights of a network.

    Components beyond those of `autoencoder` have a code of zero. The link of `loss`
    follows the decoder, so the decoder starts at the tangent of the inverse link.
    """
    arrays = map(np.ascontiguousarray, autoencoder)  # axes may be in reversed order
    mean, encoder, decoder, mean_out, variance = map(torch.from_numpy, arrays)
    n_axes, n_features = encoder.shape
    encode_weight = torch.zeros(n_components, n_features)
    encode_weight[:n_axes] = encoder
    decode_weight = torch.randn(n_features, n_components) / n_features**0.5
    bias, weights = loss.start(mean_out.float(), decoder.float().T)
    decode_weight[:, :n_axes] = weights
    code_scale = torch.ones(n_components)
    code_scale[:n_axes] = variance.sqrt()
    code_scale.clamp_(min=1e-3)
    return LinearInit(
        encode_weight=encode_weight,
        encode_bias=-encode_weight @ mean.float(),
        decode_weight=decode_weight,
        decode_bias=bias,
        code_scale=code_scale,
    )
