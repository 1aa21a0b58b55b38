"""Make scalers from the moments of rows."""

import numpy as np
import torch
from sklearn.utils import gen_batches

from sk_autoencoder.core._data import RowDataset, iter_chunks
from sk_autoencoder.core._moments import Moments, measure_moments
from sk_autoencoder.nn._scalers import RowScaler, Scaler, row_lengths
from sk_autoencoder.utils._checks import check_variance

MIN_VARIANCE = 1e-12  # of a column, in squared scaled units


def scaled_moments(rows: RowDataset) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the variance of each column of scaled `rows`."""
    moments = rows.moments
    if moments is None:
        moments = measure_moments(rows.X, rows.indices, rows.scaler.flatten)
        check_variance(moments.variance)
    center, scale = rows.scaler.center.cpu().numpy(), rows.scaler.scale.cpu().numpy()
    squared_scale = np.maximum(scale**2, np.finfo(np.float64).tiny)
    return (moments.mean - center) / scale, moments.variance / squared_scale


def has_variance(rows: RowDataset) -> bool:
    """Check whether a column of scaled `rows` varies by more than rounding."""
    return bool(scaled_moments(rows)[1].max() > MIN_VARIANCE)


def make_scaler(
    moments: Moments, scaling: str | None, kind: type[Scaler] = Scaler
) -> Scaler:
    """Make the scaler that `scaling` names, for columns with these `moments`.

    ``"standard"`` divides each column by its standard deviation. ``"global"`` divides all
    columns by the root of their mean variance. None leaves X unchanged. A constant column
    is only centred.
    """
    n_features = len(moments.mean)
    if scaling is None:
        center, scale = np.zeros(n_features), np.ones(n_features)
    else:
        center, variance = moments.mean, np.where(moments.varies, moments.variance, 0)
        if scaling == "global":
            variance = np.full(n_features, variance.mean())
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
    return kind(torch.from_numpy(center), torch.from_numpy(scale))


def make_row_scaler(moments: Moments, X, indices: np.ndarray, order: int) -> RowScaler:
    """Make the scaler that brings rows to one length and columns to a mean variance of 1.

    `moments` are those of rows of one length. The inverse gives rows of the mean norm (of
    `order`) of the rows `indices` of X.
    """
    variance = np.where(moments.varies, moments.variance, 0)
    scale = np.full(X.shape[1], np.sqrt(variance.mean()) or 1.0)
    lengths = [row_lengths(chunk, order) for chunk in iter_chunks(X, indices)]
    size = float(np.concatenate(lengths).mean())
    return RowScaler(torch.zeros(X.shape[1]), torch.from_numpy(scale), size, order)


def column_ranges(rows: RowDataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the minimum and the maximum of each column of scaled `rows`."""
    low, high = torch.tensor(np.inf), torch.tensor(-np.inf)
    for where in gen_batches(len(rows), max(rows.chunk_size, 256)):
        chunk = rows[np.r_[where]].x
        low = torch.minimum(low, chunk.amin(0))
        high = torch.maximum(high, chunk.amax(0))
    return low, high
