"""Anomaly scores of rows, from the errors of their reconstructions."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.nn._tables import TableError
from sk_autoencoder.utils._torch_compat import is_exporting

ERROR_QUANTILE = 0.9  # of the absolute errors of a feature: the feature's error scale
MIN_RMSE_FRACTION = 0.05  # least scale, in root mean squared errors: for constant features
ERROR_SCALE_OFFSET = 1e-2  # added to scales, in multiples of the largest one of a member
MIN_ROUNDINGS = 1e6  # least scale, in errors that rounding alone makes
MIN_MEDIAN = 1e-3  # below it the rows of a member have no error to speak of
ERROR_CAP = 4.0  # scaled errors are linear up to this value, and bounded above it


class CellErrors(NamedTuple):
    """Errors of cells, for a table one for all entries of a column."""

    compute: Callable[[Autoencoder, Tensor], Tensor]  # (batch, n_features); NaN if missing
    mark_missing: Callable[[Tensor], Tensor]  # (batch, n_features) with NaN if missing


def entry_errors(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
    """Compute the errors of entries in scaled units; NaN for missing ones."""
    x = autoencoder.scaler(rows)
    return autoencoder.reconstruct_scaled(x) - x


ENTRY_ERRORS = CellErrors(entry_errors, lambda rows: rows)


def make_cell_errors(error: TableError) -> CellErrors:
    """Make the errors of the cells of an encoded table."""

    def cell_errors(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
        x = autoencoder.scaler(rows)
        output = autoencoder.network.reconstruct(autoencoder.scaler.bound(x))
        return error.by_column(output, x)

    return CellErrors(cell_errors, error.first_entries)


def rescale_observed(entries: Tensor, rows: Tensor) -> Tensor:
    """Set missing entries to 0 and divide by the observed fraction of the row, in place."""
    is_missing = rows.isnan()
    if not (is_exporting() or is_missing.any()):
        return entries
    fraction = observed_share(rows)[:, None].to(entries)
    return entries.masked_fill_(is_missing, 0.0).div_(fraction)


def errors_in_two_precisions(errors: CellErrors, module: nn.Module, rows: Tensor) -> Tensor:
    """Compute errors as they are and in float32, (batch, 2, n_members, n_features)."""
    coarse = copy.deepcopy(module).float()
    fine = module.map_members(errors.compute, rows)
    coarse_errors = coarse.map_members(errors.compute, rows.float())
    return torch.stack([fine, coarse_errors.to(fine)]).movedim(2, 0)


def cap_errors(errors: Tensor) -> Tensor:
    """Map scaled absolute errors above 4 to ``5 - 4 / error``, in place.

    Plain clipping is not used, because it would give all large errors the same value.
    """
    reciprocal = errors.clamp(min=ERROR_CAP).reciprocal_()
    return errors.clamp_(max=ERROR_CAP).add_(1).sub_(reciprocal, alpha=ERROR_CAP)


def measure_rounding(errors: np.ndarray, errors_in_float32: np.ndarray) -> np.ndarray:
    """Measure the errors that rounding alone makes in float64, from those in float32.

    Parameters
    ----------
    errors, errors_in_float32 : ndarray of shape (n_samples, n_members, n_features)
        Errors of the same rows, NaN for missing entries.

    Returns
    -------
    rounding : ndarray of shape (n_members, n_features)
        0 for features whose values are too large for float32.
    """
    rounding = np.nan_to_num(np.abs(errors_in_float32 - errors), posinf=0).max(axis=0)
    return rounding * (np.finfo(np.float64).eps / np.finfo(np.float32).eps)


def fit_error_scale(
    errors: np.ndarray, rounding: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate error scales and member weights, and score the rows by each member.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_members, n_features)
        Errors in scaled units, NaN for missing entries.
    rounding : ndarray of shape (n_members, n_features)
        Errors that rounding alone makes; such errors hardly count.

    Returns
    -------
    scale : ndarray of shape (n_members, n_features)
        Scale of the absolute errors of a feature.
    weight : ndarray of shape (n_members,)
        Reciprocal of the median score of a member; 1 where that is nearly 0.
    scores : ndarray of shape (n_samples, n_members)
        Anomaly scores, with the median 1 for each member that makes errors.
    """
    errors = np.abs(errors)
    n_observed = (~np.isnan(errors)).sum(axis=0)
    rank = (ERROR_QUANTILE * (n_observed - 1)).clip(0).astype(int)
    # NaN are sorted to the end. The scale of a feature without observed entries is NaN.
    ordered = np.partition(errors, np.unique(rank), axis=0)
    scale = np.take_along_axis(ordered, rank[None], axis=0)[0]
    mse = np.nansum(errors**2, axis=0) / np.maximum(n_observed, 1)
    scale = np.maximum(np.nan_to_num(scale), MIN_RMSE_FRACTION * np.sqrt(mse))
    scale += ERROR_SCALE_OFFSET * scale.max(axis=1, keepdims=True)
    scale = np.maximum(scale, MIN_ROUNDINGS * rounding)
    scale = np.where(scale == 0, 1, scale)
    entries = cap_errors(torch.from_numpy(errors / scale)).movedim(0, 1)
    entries = rescale_observed(entries, torch.from_numpy(errors[:, 0]))
    scores = entries.sum(-1).T.numpy()
    median = np.median(scores, axis=0)
    weight = 1 / np.where(median < MIN_MEDIAN, 1, median)
    return scale, weight, scores * weight


def make_score_function(
    cell_errors: CellErrors,
    scale: np.ndarray,
    weight: np.ndarray,
    reduce: Callable[[Tensor], Tensor],
):
    """Make a function ``(module, rows) -> scores``, the weighted mean over members.

    It applies `reduce` to the contributions of entries, (n_members, batch, n_features).
    """

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        like = {"dtype": rows.dtype, "device": rows.device}
        weights = torch.as_tensor(weight / len(weight), **like)
        errors = module.map_members(cell_errors.compute, rows).abs_()
        entries = cap_errors(errors.div_(torch.tensor(scale, **like)[:, None]))
        entries = rescale_observed(entries, cell_errors.mark_missing(rows))
        return torch.tensordot(weights, reduce(entries), dims=1)

    return score
