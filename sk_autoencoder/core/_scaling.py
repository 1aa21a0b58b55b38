"""Make scalers from the moments of rows."""

import numpy as np
import torch

from sk_autoencoder.core._data import RowDataset, RowSource, iter_chunks, select
from sk_autoencoder.core._moments import Moments, measure_moments
from sk_autoencoder.nn._scalers import RowScaler, Scaler, row_lengths
from sk_autoencoder.utils._checks import check_variance

MIN_VARIANCE = 1e-12  # of a column, in squared scaled units
ROUNDING = np.finfo(np.float32).eps  # of a constant column, more than float64 makes
MIN_PARTICIPATION = 0.45  # of the variances of columns that share a unit
MAX_RATIO = 0.2  # of the least to the largest standard deviation, where some hardly vary


def scaled_moments(rows: RowDataset) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the variance of each column of scaled `rows`."""
    moments = rows.moments
    if moments is None:
        source, flatten = rows.source, rows.scaler.flatten
        moments = measure_moments(source.X, rows.indices, flatten, weight=source.weight)
        check_variance(moments.variance)
    center, scale = rows.scaler.center.cpu().numpy(), rows.scaler.scale.cpu().numpy()
    return (moments.mean - center) / scale, moments.variance / scale / scale


def has_variance(rows: RowDataset) -> bool:
    """Check whether a column of scaled `rows` varies by more than rounding."""
    return bool(scaled_moments(rows)[1].max() > MIN_VARIANCE)


def make_scaler(
    moments: Moments, scaling: str | None, kind: type[Scaler] = Scaler
) -> Scaler:
    """Make the scaler that `scaling` names, for columns with these `moments`.

    ``"standard"`` divides each column by its standard deviation. ``"global"`` divides all
    columns by the root of their mean variance. ``"auto"`` is ``"global"`` for columns that
    share a unit and of which some hardly vary: the others would drown in what is blown up.
    Else it is ``"standard"``. None leaves X unchanged. A constant column is only centred;
    one of 1e30 is divided too, such that nothing is left of its rounding.
    """
    if scaling is None:
        center = np.zeros(len(moments.mean))
        return with_range(kind(*map(torch.from_numpy, (center, center + 1))), moments)
    variance = np.where(moments.varies, moments.variance, 0)
    if scaling == "global" or (scaling == "auto" and are_like_pixels(variance)):
        variance = np.full_like(variance, variance.mean())
    scale = np.where(variance > 0, np.sqrt(variance), 1.0)
    least = np.where(moments.varies, 0, ROUNDING * np.abs(moments.mean))
    scale = np.maximum(scale, least)
    return with_range(kind(*map(torch.from_numpy, (moments.mean, scale))), moments)


def are_like_pixels(variance: np.ndarray) -> bool:
    """Judge by their variances whether columns share a unit and some hardly vary."""
    least = np.min(variance, where=variance > 0, initial=np.inf)
    return share_unit(variance) and bool(least < MAX_RATIO**2 * variance.max())


def share_unit(variance: np.ndarray) -> bool:
    """Judge by the variances of columns whether they share a unit.

    Most pixels have variances of one order, and so have zeros and ones of categories: many
    columns take part in the total. In a table of mixed units few columns make the total, by
    their units alone. The measure is the participation ratio of the variances [1]_, brought
    to 0 for one column that outweighs all others, and to 1 for equal ones.

    References
    ----------
    .. [1] R. J. Bell and P. Dean, "Atomic vibrations in vitreous silica", Discussions of
       the Faraday Society 50, 1970.
    """
    varying = variance[variance > 0]
    if len(varying) < 2:
        return True
    share = varying / varying.max()
    n_participating = share.sum() ** 2 / (share**2).sum()
    return bool((n_participating - 1) / (len(varying) - 1) >= MIN_PARTICIPATION)


def with_range(scaler: Scaler, moments: Moments) -> Scaler:
    """Tell `scaler` the range of the rows with these `moments`, and return it."""
    scaler.set_range(moments.low, moments.high)
    return scaler


def make_row_scaler(
    moments: Moments, source: RowSource, indices: np.ndarray, order: int
) -> RowScaler:
    """Make the scaler that brings rows to one length and columns to a mean variance of 1.

    `moments` are those of rows of one length. The inverse gives rows of the mean norm (of
    `order`) of the target rows at `indices`.
    """
    variance = np.where(moments.varies, moments.variance, 0)
    is_rounding = variance.sum() <= (4 * ROUNDING) ** 2  # rows have a length of one
    unit = 1.0 if is_rounding else np.sqrt(variance.mean())
    scale = np.full(source.n_features, unit)
    chunks = iter_chunks(source.targets, indices)
    lengths = np.concatenate([row_lengths(chunk, order) for chunk in chunks])
    weight = select(source.weight, indices)
    size = float(np.average(lengths, weights=weight))
    center = torch.zeros(source.n_features, dtype=torch.float64)
    scaler = RowScaler(center, torch.from_numpy(scale), size, order)
    return with_range(scaler, moments)
