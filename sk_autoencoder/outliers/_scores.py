"""Anomaly scores of rows, from the errors of what is made of them.

Members make something of a row: an autoencoder its reconstruction, a sample of training
rows the nearest one. Members of one kind form a part of a score.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._missing import share_observed
from sk_autoencoder.nn._tables import TableError, TableLayout
from sk_autoencoder.utils._torch_compat import is_exporting

ERROR_QUANTILE = 0.9  # of the absolute errors of a feature: the feature's error scale
MIN_RMSE_FRACTION = 0.05  # least scale, in root mean squared errors: for constant features
ERROR_SCALE_OFFSET = 1e-2  # added to scales, in multiples of the largest one of a member
MIN_ROUNDINGS = 1e6  # least scale, in errors that rounding alone makes
MIN_SCALE = np.finfo(np.float32).tiny  # of errors: smaller ones have no reciprocal
MIN_MEDIAN = 1e-3  # below it the rows of a member have no error to speak of
ERROR_CAP = 4.0  # scaled errors are linear up to this value, and bounded above it


class Cells(NamedTuple):
    """Cells of scaled rows: entries, or the columns of an encoded table."""

    compare: Callable[[Autoencoder, Tensor], Tensor]  # errors (batch, n_cells) of rows
    measure: Callable[[Tensor], Tensor]  # sizes (..., n_cells) of differences of rows
    mark_missing: Callable[[Tensor], Tensor]  # (batch, n_cells), NaN for missing cells


class Part(NamedTuple):
    """Members of one kind, and their usual errors."""

    errors: Callable[[nn.Module, Tensor], Iterable[Tensor]]  # (batch, n_cells) by member
    scale: np.ndarray  # (n_members, n_cells), of absolute errors
    weight: np.ndarray  # (n_members,), reciprocal of a usual score


def entry_errors(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
    """Compute the errors of entries in scaled units; NaN for missing ones."""
    return scaled_entry_errors(autoencoder, autoencoder.scaler(rows))


def scaled_entry_errors(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Compute the errors of the entries of scaled rows; NaN for missing ones."""
    return autoencoder.reconstruct_scaled(x) - x


ENTRIES = Cells(scaled_entry_errors, lambda difference: difference, lambda rows: rows)


def make_table_cells(layout: TableLayout) -> Cells:
    """Make the cells of an encoded table, one a column.

    The error of a category is the cross-entropy of its level, and a difference has the
    length of its entries.
    """
    error = TableError(layout)
    is_value = torch.from_numpy(layout.is_number | layout.is_level)
    column = torch.from_numpy(layout.column)

    def compare(autoencoder: Autoencoder, x: Tensor) -> Tensor:
        output = autoencoder.network.reconstruct(autoencoder.scaler.bound(x))
        return error.by_column(output, x)

    def measure(difference: Tensor) -> Tensor:
        squares = difference.square() * is_value.to(difference)
        sums = squares.new_zeros(*squares.shape[:-1], layout.n_columns)
        lengths = sums.index_add(-1, column.to(squares.device), squares).sqrt()
        return torch.where(error.first_entries(difference).isnan(), torch.nan, lengths)

    return Cells(compare, measure, error.first_entries)


def iterate_members(
    function: Callable[[Autoencoder, Tensor], Tensor],
) -> Callable[[nn.Module, Tensor], Iterator[Tensor]]:
    """Make a function that applies `function` to each member of an ensemble in turn."""

    def iterate(module: Autoencoder | Ensemble, x: Tensor) -> Iterator[Tensor]:
        return module.iter_members(function, x)

    return iterate


# Missing entries


def find_missing(rows: Tensor) -> Tensor | None:
    """Mark missing entries; None if there are none."""
    is_missing = rows.isnan()
    return is_missing if is_exporting() or is_missing.any() else None


def rescale_observed(entries: Tensor, is_missing: Tensor | None) -> Tensor:
    """Set missing entries to 0 and divide by the observed fraction of the row, in place."""
    if is_missing is None:
        return entries
    share = share_observed(is_missing, entries.dtype)[:, None]
    return entries.masked_fill_(is_missing, 0.0).div_(share)


# Usual errors


def cap_errors(errors: Tensor) -> Tensor:
    """Map scaled absolute errors above 4 to ``5 - 4 / error``, in place.

    Plain clipping is not used, because it would give all large errors the same value.
    """
    reciprocal = errors.clamp(min=ERROR_CAP).reciprocal_()
    return errors.clamp_(max=ERROR_CAP).add_(1).sub_(reciprocal, alpha=ERROR_CAP)


def stack_members(values: Callable, dtype: torch.dtype | None) -> Callable:
    """Make a function ``(module, rows) -> values`` (batch, n_members, ...).

    `values` yields those of each member for scaled rows, in `dtype`, or, for None, in the
    precision of the rows.
    """

    def stack(module: nn.Module, rows: Tensor) -> Tensor:
        x = module.scaler(rows).to(dtype or rows.dtype)
        return torch.stack(list(values(module, x)), 1).to(rows)

    return stack


def stack_in_two_precisions(errors: Callable) -> Callable:
    """Make a function of errors as they are and in float32, along a new second axis."""
    stack_fine = stack_members(errors, None)

    def stack(module: nn.Module, rows: Tensor) -> Tensor:
        coarse = copy.deepcopy(module).float()
        fine, rough = stack_fine(module, rows), stack_fine(coarse, rows.float())
        return torch.stack([fine, rough.to(fine)], 1)

    return stack


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
    errors: np.ndarray, rounding: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate error scales and member weights, and score the cells by each member.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_members, n_features)
        Errors in scaled units, NaN for missing entries.
    rounding : ndarray of shape (n_members, n_features) or float, default=0.0
        Errors that rounding alone makes; such errors hardly count.

    Returns
    -------
    scale : ndarray of shape (n_members, n_features)
        Scale of the absolute errors of a feature.
    weight : ndarray of shape (n_members,)
        Reciprocal of the median score of a member; 1 where that is nearly 0.
    cells : ndarray of shape (n_samples, n_members, n_features)
        Anomaly scores of cells. Their sums over features have the median 1 for each member
        that makes errors.
    """
    errors = np.abs(errors)
    n_observed = (~np.isnan(errors)).sum(axis=0)
    rank = (ERROR_QUANTILE * (n_observed - 1)).clip(0).astype(int)
    # NaN are sorted to the end. The scale of a feature without observed entries is NaN.
    ordered = np.partition(errors, np.unique(rank), axis=0)
    scale = np.take_along_axis(ordered, rank[None], axis=0)[0]
    squares = np.nan_to_num(errors**2, copy=False, posinf=np.inf)
    mse = squares.sum(axis=0) / np.maximum(n_observed, 1)
    scale = np.maximum(np.nan_to_num(scale), MIN_RMSE_FRACTION * np.sqrt(mse))
    scale += ERROR_SCALE_OFFSET * scale.max(axis=1, keepdims=True)
    scale = np.maximum(scale, MIN_ROUNDINGS * rounding)
    scale = np.where(scale < MIN_SCALE, 1, scale)
    entries = cap_errors(torch.from_numpy(errors / scale)).movedim(0, 1)
    entries = rescale_observed(entries, find_missing(torch.from_numpy(errors[:, 0])))
    weight = 1 / usual_size(entries.sum(-1).T.numpy())
    cells = entries.movedim(0, 1).numpy()
    cells *= weight[:, None]
    return scale, weight, cells


def usual_size(scores: np.ndarray) -> np.ndarray:
    """Compute the medians of scores over rows; 1 where these have no error to speak of."""
    median = np.median(scores, axis=0)
    return np.where(median < MIN_MEDIAN, 1, median)


# Rows that a member was not fitted to


def mark_unseen(indices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mark which rows `indices` (n_samples,) are not among those of each member.

    If each member was fitted to all of them, all are marked.

    Returns
    -------
    is_unseen : ndarray of shape (n_samples, n_members)
    """
    is_unseen = ~np.stack([np.isin(indices, own) for own in rows], axis=1)
    return is_unseen if is_unseen.any() else np.ones_like(is_unseen)


def judge(scores: np.ndarray, is_unseen: np.ndarray) -> np.ndarray:
    """Average scores (n_samples, n_members, ...) over members that have not seen a row.

    Rows that all members have seen are NaN.
    """
    n_scores = is_unseen.sum(axis=1)
    weights = is_unseen / np.where(n_scores > 0, n_scores, np.nan)[:, None]
    return np.einsum("nm...,nm->n...", scores, weights)


def fit_part(
    errors: np.ndarray, is_unseen: np.ndarray, rounding: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit scales and weights to errors, and score each cell by those it is unseen by.

    Returns
    -------
    scale : ndarray of shape (n_members, n_features)
    weight : ndarray of shape (n_members,)
        Of the errors, such that the median score is 1 if rows have errors.
    cells : ndarray of shape (n_samples, n_features)
        Scores of cells, whose sum is that of the row; NaN for rows that all members have
        seen.
    """
    scale, weight, member_cells = fit_error_scale(errors, rounding)
    cells = judge(member_cells, is_unseen)
    scores = cells.sum(axis=1)
    usual = usual_size(scores[~np.isnan(scores)])
    return scale, weight / usual, cells / usual


# Scores


def combine(parts: list) -> Tensor | np.ndarray:
    """Combine the scores of the parts, each with the median 1, by a geometric mean.

    It is zero only if all parts are.
    """
    if len(parts) == 1:
        return parts[0]
    product = 1.0
    for scores in parts:
        product = product * (scores + MIN_MEDIAN)
    return product ** (1 / len(parts)) - MIN_MEDIAN


def combine_cells(parts: list[Tensor]) -> Tensor:
    """Share out the combined score over cells, given the parts by cell (batch, n_cells)."""
    if len(parts) == 1:
        return parts[0]
    sums = [cells.sum(-1, keepdim=True) for cells in parts]
    tiny = torch.finfo(sums[0].dtype).tiny
    pairs = zip(parts, sums, strict=True)
    shares = sum(cells / total.clamp(min=tiny) for cells, total in pairs)
    n_shares = sum((total > 0).to(total) for total in sums)
    return combine(sums) * shares / n_shares.clamp(min=1)


def make_score_function(
    parts: list[Part], cells: Cells, dtype: torch.dtype | None, by_cell: bool = False
) -> Callable:
    """Make a function ``(module, rows) -> anomaly scores``, (batch,) or (batch, n_cells).

    Parameters
    ----------
    parts : list of Part
    cells : Cells
    dtype : torch.dtype or None
        Precision after scaling; None keeps that of the rows.
    by_cell : bool, default=False
        Whether to share out each score over the cells.
    """

    def score_part(
        part: Part, module: nn.Module, x: Tensor, is_missing: Tensor | None
    ) -> Tensor:
        factors = torch.as_tensor(1 / part.scale).to(x)
        weights = part.weight / len(part.weight)
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        errors = part.errors(module, x)
        if is_exporting():  # all members in one set of operators, for a smaller graph
            stacked = errors if torch.is_tensor(errors) else torch.stack(list(errors))
            values = stacked.abs() * factors[:, None]
            values = rescale_observed(cap_errors(values), is_missing)
            values = (values if by_cell else values.sum(-1)).double()
            return torch.tensordot(torch.as_tensor(weights).to(total), values, 1)
        for cell_errors, factor, weight in zip(errors, factors, weights, strict=True):
            values = cap_errors(cell_errors.abs_().mul_(factor))
            values = rescale_observed(values, is_missing)
            total = total + float(weight) * (values if by_cell else values.sum(-1)).double()
        return total

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        x = module.scaler(rows).to(dtype or rows.dtype)
        is_missing = find_missing(cells.mark_missing(x))
        totals = [score_part(part, module, x, is_missing) for part in parts]
        return (combine_cells(totals) if by_cell else combine(totals)).to(rows)

    return score
