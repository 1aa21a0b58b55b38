"""Fit what corrects the networks of an imputer, to hidden entries of validation rows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.core._data import (
    RowDataset,
    RowSource,
    evenly_spaced_indices,
    select,
    spread_indices,
)
from sk_autoencoder.core._inference import map_array
from sk_autoencoder.impute._network import MAX_DEVIATION, KernelRegressionImputer
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._scalers import Scaler

MAX_CALIBRATION_ROWS = 1_000  # validation rows that choose bandwidth and weight
N_CALIBRATION_SAMPLES = 2_000  # calibration rows with hidden entries, with repeats
N_REPEATS_RANGE = 4, 32  # of each calibration row
BANDWIDTH_NEIGHBOR = 10  # neighbour whose median distance is the unit of bandwidths
BANDWIDTHS = (0.05, 0.1, 0.2, 0.4)  # in that unit
MIN_BANDWIDTH_UNIT = 1e-5  # if many rows are equal
MIN_STANDARD_ERRORS = 1.0  # by which a correction has to improve the error
# heart_h, colic, credit_g, November 2026: 20, 60 and 200 within .01 of each other in RMSE.
PRIOR_CELLS = 60  # for no shrinkage of a column


def impute(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Impute scaled rows."""
    return autoencoder.link(autoencoder.network.reconstruct(x))


def member_predictions(module: nn.Module, x: Tensor) -> Tensor:
    """Impute scaled rows by each member, (batch, n_members, n_features)."""
    return module.map_members(impute, x).movedim(0, 1)


def scaled_rows(X, scaler: Scaler, indices: np.ndarray) -> Tensor:
    """Read the rows of X at `indices`, scaled, in float32."""
    rows = RowDataset(RowSource(X), scaler, indices)
    return rows[np.arange(len(indices))].x.cpu()


def list_member_rows(train: RowDataset, valid: RowDataset | None) -> np.ndarray:
    """List the rows of each member, training and validation rows, (n_members, n_rows)."""
    parts = [train] if valid is None else [train, valid]
    rows = [part.indices.reshape(part.n_members, -1) for part in parts]
    return np.concatenate(rows, axis=1)


def column_of_entries(columns: Tensor | None, n_features: int) -> Tensor:
    """Get the column of each entry of a row; None stands for columns of one entry each."""
    return torch.arange(n_features) if columns is None else columns.cpu()


def spread_rows(indices: np.ndarray, weight: np.ndarray | None, n_max: int) -> np.ndarray:
    """Spread at most `n_max` rows over those at `indices`, by the weights of all rows."""
    rows = np.unique(indices)
    return rows[spread_indices(len(rows), n_max, select(weight, rows))]


def impute_scaled(module: nn.Module, x: Tensor) -> Tensor:
    """Impute scaled rows by the mean of the members."""
    predictions = map_array(module, member_predictions, x.numpy())
    return torch.from_numpy(predictions.mean(axis=1))


class CalibrationSet(NamedTuple):
    """Validation rows with hidden entries, imputed by the member that held them out."""

    guess: Tensor  # (n_rows, n_features)
    is_missing: Tensor
    is_hidden: Tensor  # observed entries that were hidden
    residual: Tensor  # of the guess at hidden entries; 0 elsewhere
    variance_correction: Tensor  # variance over members at hidden entries; 0 elsewhere
    label: Tensor  # (n_rows,), equal for equal rows of X
    reference_label: Tensor  # (n_reference,)
    n_repeats: int  # of each row


def hide_entries(
    module: nn.Module,
    regression: KernelRegressionImputer,
    reference: np.ndarray,
    valid: RowDataset,
    corruption: RandomMissing,
) -> CalibrationSet:
    """Hide entries of validation rows, and impute them.

    Parameters
    ----------
    module : Module
        The trained networks.
    regression : KernelRegressionImputer
        Of the reference rows.
    reference : ndarray of shape (n_reference,)
        Indices of the reference rows.
    valid : RowDataset
        The validation rows of each member.
    corruption : RandomMissing
        What hides entries.
    """
    rows = valid.indices.reshape(valid.n_members, -1)
    rows = rows[
        :, evenly_spaced_indices(len(valid), max(MAX_CALIBRATION_ROWS // len(rows), 1))
    ]
    n_repeats = int(np.clip(N_CALIBRATION_SAMPLES // rows.size, *N_REPEATS_RANGE))
    member = np.tile(np.repeat(np.arange(len(rows)), rows.shape[1]), n_repeats)
    rows = np.tile(rows.ravel(), n_repeats)
    x = scaled_rows(valid.X, valid.scaler, rows)
    x_hidden = corruption(x)
    is_missing = x_hidden.isnan()
    predictions = torch.from_numpy(map_array(module, member_predictions, x_hidden.numpy()))
    guess = predictions[np.arange(len(rows)), member]
    is_hidden = is_missing & ~x.isnan()
    labels = torch.from_numpy(label_rows(valid.X, np.concatenate([rows, reference])))
    residual = _clip_extremes(torch.where(is_hidden, x - guess, 0.0))
    variance = _clip_extremes(predictions - guess[:, None]).var(1, correction=0)
    return CalibrationSet(
        guess,
        is_missing,
        is_hidden,
        residual,
        torch.where(is_hidden, variance, 0.0),
        labels[: len(rows)],
        labels[len(rows) :],
        n_repeats,
    )


def label_rows(X, indices: np.ndarray) -> np.ndarray:
    """Number the rows of X at `indices`; equal rows have one number."""
    values = np.nan_to_num(X[indices], nan=np.inf)
    return np.unique(values, axis=0, return_inverse=True)[1].ravel()


def equal_rows(X, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compare each of `rows` of X with each of `others`, (n_rows, n_others) of bool."""
    label = label_rows(X, np.concatenate([rows, others]))
    return label[: len(rows), None] == label[len(rows) :]


def iter_distances(
    regression: KernelRegressionImputer, calibration: CalibrationSet
) -> Iterator[tuple[slice, Tensor]]:
    """Compute the distances of calibration rows to reference rows, chunk by chunk.

    Distances to equal rows are infinite.

    Yields
    ------
    chunk : slice
    distances : Tensor of shape (n_chunk_rows, n_reference)
    """
    guess, is_missing = calibration.guess, calibration.is_missing
    for start in range(0, len(guess), regression.chunk_size):
        chunk = slice(start, start + regression.chunk_size)
        is_equal = calibration.label[chunk, None] == calibration.reference_label
        distances = regression.distances(guess[chunk], is_missing[chunk])
        yield chunk, distances.masked_fill(is_equal, torch.inf)


def kernel_means(
    regression: KernelRegressionImputer,
    calibration: CalibrationSet,
    bandwidths: Sequence[float],
) -> list[Tensor]:
    """Average near reference rows of calibration rows, with each bandwidth."""
    guess, is_missing = calibration.guess, calibration.is_missing
    means = [torch.empty_like(guess) for _ in bandwidths]
    for chunk, distances in iter_distances(regression, calibration):
        for mean, bandwidth in zip(means, bandwidths, strict=True):
            regression.bandwidth = bandwidth
            mean[chunk] = regression.average(distances, guess[chunk], is_missing[chunk])
    return means


def _clip_extremes(x: Tensor) -> Tensor:
    return x.clamp(-MAX_DEVIATION, MAX_DEVIATION)  # single entries must not dominate


def fit_kernel_regression(
    regression: KernelRegressionImputer, calibration: CalibrationSet
) -> KernelRegressionImputer | None:
    """Set bandwidth and weight by least squares, or return None without improvement.

    The weight is the projection of the residual on the direction from the guess to the
    kernel-weighted mean. The deviation of a member from the mean of the members lies along
    this direction too. The mean is imputed, so the variance over members is subtracted
    from both sums.
    """
    guess, variance = calibration.guess, calibration.variance_correction
    unit, best, best_gain = _bandwidth_unit(regression, calibration), None, 0.0
    bandwidths = [fraction * unit for fraction in BANDWIDTHS]
    means = kernel_means(regression, calibration, bandwidths)
    for bandwidth, mean in zip(bandwidths, means, strict=True):
        direction = _clip_extremes(torch.where(calibration.is_hidden, mean - guess, 0.0))
        projection = (direction * calibration.residual - variance).sum(1).double()
        length = (direction.square() - variance).sum(1).double()
        weight = 0.0
        if length.sum() > 0:
            weight = float((projection.sum() / length.sum()).clamp(0, 1))
        gain = 2 * weight * projection - weight**2 * length
        if is_significant(gain, calibration.n_repeats) and gain.sum() > best_gain:
            best, best_gain = (bandwidth, weight), float(gain.sum())
    if best is None:
        return None
    regression.bandwidth, regression.weight = best
    return regression


def is_significant(gain: Tensor, n_repeats: int) -> Tensor:
    """Tell whether gains are above zero by more than their standard error.

    Parameters
    ----------
    gain : Tensor of shape (n_repeats * n_rows,) or (n_repeats * n_rows, n_columns)
        Reductions of the squared error of calibration rows.
    n_repeats : int
        Repeats of a row depend on each other: they count as one.

    Returns
    -------
    is_significant : Tensor of shape () or (n_columns,)
    """
    gain = gain.unflatten(0, (n_repeats, -1)).sum(0)
    standard_error = gain.std(0) * len(gain) ** 0.5
    return gain.sum(0) > MIN_STANDARD_ERRORS * standard_error


def _bandwidth_unit(
    regression: KernelRegressionImputer, calibration: CalibrationSet
) -> float:
    """Compute the median distance of a near neighbour."""
    rank = min(BANDWIDTH_NEIGHBOR, len(calibration.reference_label))
    chunks = iter_distances(regression, calibration)
    nearest = torch.cat([near.kthvalue(rank, dim=1).values for _, near in chunks])
    nearest = nearest[nearest.isfinite()]
    return max(float(nearest.median()), MIN_BANDWIDTH_UNIT) if len(nearest) else 1.0


def shrink(guess: Tensor, factor: Tensor) -> Tensor:
    """Shrink scaled entries by a factor to zero, as far as they are not extreme.

    Parameters
    ----------
    guess : Tensor of shape (n_rows, n_features)
    factor : Tensor of shape (n_features,)
        From 0 to 1. Of an extreme entry `MAX_DEVIATION` is shrunk.
    """
    return guess - (1 - factor) * _clip_extremes(guess)


def fit_shrinkage(
    calibration: CalibrationSet,
    regression: KernelRegressionImputer | None,
    columns: Tensor | None,
) -> Tensor:
    r"""Fit the factor by which imputed entries of each column are shrunk to its mean.

    The scaled entries of a column have the mean zero, and levels of a category have their
    frequency there. The factor

    .. math:: s = 1 + \frac{\sum c (x - g)}{\sum c^2 + p}

    is that of least squares for guesses :math:`g`, clipped to :math:`c`, at hidden entries
    :math:`x`, with a prior :math:`p` as heavy as `PRIOR_CELLS` cells for no shrinkage. As
    in :func:`fit_kernel_regression`, the variance over members is subtracted, and a column
    whose error falls by less than its standard error is not shrunk.

    Parameters
    ----------
    calibration : CalibrationSet
    regression : KernelRegressionImputer or None
        What corrects the guesses before.
    columns : Tensor of shape (n_features,) or None
        Column of each entry; None stands for columns of one entry each.

    Returns
    -------
    factor : Tensor of shape (n_features,)
        From 0, the mean of the column, to 1, the guess.
    """
    guess, is_hidden = calibration.guess, calibration.is_hidden
    truth = guess + calibration.residual
    if regression is not None:
        mean = kernel_means(regression, calibration, [regression.bandwidth])[0]
        guess = guess.lerp(mean, regression.weight)
    clipped = torch.where(is_hidden, _clip_extremes(guess), 0.0)
    variance = calibration.variance_correction
    column = column_of_entries(columns, guess.shape[1])
    n_columns = int(column.max()) + 1
    is_ever_hidden = is_hidden.unflatten(0, (calibration.n_repeats, -1)).any(0)
    product, square, n_cells = (
        torch.zeros(len(rows), n_columns).double().index_add(1, column, rows.double())
        for rows in (
            clipped * (truth - guess) + variance,
            clipped.square() - variance,
            is_ever_hidden,
        )
    )
    n_cells = n_cells.sum(0) / column.bincount()  # entries of a cell are hidden together
    prior = square.sum(0) * PRIOR_CELLS / n_cells.clamp(min=1)
    change = (product.sum(0) / (square.sum(0) + prior)).clamp(-1, 0)
    gain = 2 * change * product - change**2 * square
    is_shrunk = (square.sum(0) > 0) & is_significant(gain, calibration.n_repeats)
    return torch.where(is_shrunk, 1 + change, 1.0)[column].float()
