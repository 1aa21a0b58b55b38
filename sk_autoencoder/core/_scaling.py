"""Fit scalers to the rows of X, and measure the moments of rows."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from sk_autoencoder.core._data import RowDataset, iter_chunks
from sk_autoencoder.nn._scalers import RowScaler, Scaler, row_lengths

MIN_VARIANCE = 1e-12  # of a column, in squared scaled units


def moments(X, indices: np.ndarray, flatten: Callable = Scaler.flatten) -> StandardScaler:
    """Compute the mean and the variance of the rows `indices` of X after `flatten`."""
    scaler = StandardScaler(with_mean=not issparse(X))
    if issparse(X):
        return scaler.fit(flatten(X[indices]))
    for chunk in iter_chunks(X, indices):
        scaler.partial_fit(flatten(chunk))
    return scaler


def scaled_moments(rows: RowDataset) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the variance of each column of scaled `rows`."""
    fitted = moments(rows.X, rows.indices, rows.scaler.flatten)
    center, scale = rows.scaler.center.cpu().numpy(), rows.scaler.scale.cpu().numpy()
    return (fitted.mean_ - center) / scale, fitted.var_ / scale**2


def has_variance(rows: RowDataset) -> bool:
    """Check whether a column of scaled `rows` varies by more than rounding."""
    return bool(scaled_moments(rows)[1].max() > MIN_VARIANCE)


def make_scaler(
    X, indices: np.ndarray, scaling: str | None, kind: type[Scaler] = Scaler
) -> Scaler:
    """Fit the scaler that `scaling` names to the rows `indices` of X.

    ``"standard"`` divides each column by its standard deviation. ``"global"`` divides all
    columns by the root of their mean variance. None leaves X unchanged. A constant column
    is only centred.
    """
    n_features = X.shape[1]
    center, scale = np.zeros(n_features), np.ones(n_features)
    if scaling is not None:
        fitted = moments(X, indices, kind.flatten)
        # A column without an observed value is treated as constant.
        center, scale = np.nan_to_num(fitted.mean_), np.nan_to_num(fitted.scale_, nan=1.0)
    if scaling == "global":
        varies = np.isclose(fitted.scale_**2, fitted.var_)  # neither constant nor NaN
        variance = np.where(varies, fitted.var_, 0).mean()
        scale = np.full(n_features, np.sqrt(variance) or 1.0)
    return kind(torch.from_numpy(center), torch.from_numpy(scale))


def make_row_scaler(X, indices: np.ndarray, order: int) -> RowScaler:
    """Fit a scaler that brings rows to one length and columns to a mean variance of 1.

    Its inverse gives rows of the mean norm (of `order`) of the training rows.
    """
    variance = moments(X, indices, RowScaler.flatten).var_
    scale = np.full(X.shape[1], np.sqrt(variance.mean()) or 1.0)
    lengths = [row_lengths(chunk, order) for chunk in iter_chunks(X, indices)]
    size = float(np.concatenate(lengths).mean())
    return RowScaler(torch.zeros(X.shape[1]), torch.from_numpy(scale), size, order)


def column_ranges(rows: RowDataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the minimum and the maximum of each column of scaled `rows`."""
    low, high = torch.tensor(np.inf), torch.tensor(-np.inf)
    for where in gen_batches(len(rows), max(rows.chunk_size, 256)):
        chunk = rows[np.r_[where]]
        low = torch.minimum(low, chunk.amin(0))
        high = torch.maximum(high, chunk.amax(0))
    return low, high
