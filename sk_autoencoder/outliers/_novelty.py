"""Scores of rows by their distances to training rows that are all regular."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.core._data import as_tensor
from sk_autoencoder.core._inference import ROW_MULTIPLE
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import map_parts
from sk_autoencoder.outliers._samples import squared_distances
from sk_autoencoder.outliers._scores import Cells, find_missing, judge, rescale_observed

MAX_ERROR = 5.0  # in error scales
ERROR_UNIT = 3.0  # error scales that count like one unit of the code
MIN_DISTANCE = 1e-3  # in usual distances
LEAST_DISTANCE = 1e-5  # shorter distances, in scaled units, are rounding
MAX_DISTANCES = 2**21  # of rows to kept rows, at once


class Memory(NamedTuple):
    """Training rows of each member, as rows and as points of code and errors.

    Parameters
    ----------
    rows : ndarray of shape (n_members, n_rows, n_entries)
        In scaled units.
    points : ndarray of shape (n_members, n_rows, n_components + n_cells)
    scale : ndarray of shape (n_members, n_cells)
        Of errors.
    usual : ndarray of shape (2, n_members)
        Usual distances to the nearest row and to the nearest point.
    """

    rows: np.ndarray
    points: np.ndarray
    scale: np.ndarray
    usual: np.ndarray


def make_points(scale: np.ndarray, cells: Cells) -> Callable:
    """Make the function ``(module, x) -> points`` of code and errors, by member."""

    def points(module: nn.Module, x: Tensor) -> Iterator[Tensor]:
        scales = as_tensor(scale, x.device).to(x)
        is_missing = find_missing(cells.mark_missing(x))

        def describe(autoencoder: Autoencoder, x: Tensor) -> Tensor:
            errors = cells.compare(autoencoder, x)
            return torch.cat([autoencoder.encode_scaled(x), errors], -1)

        described = module.iter_members(describe, x)
        for values, member_scale in zip(described, scales, strict=True):
            n_cells = len(member_scale)
            errors = (values[:, -n_cells:] / member_scale).clamp_(-MAX_ERROR, MAX_ERROR)
            errors = rescale_observed(errors / ERROR_UNIT, is_missing)
            yield torch.cat([values[:, :-n_cells], errors], -1)

    return points


def make_distances(memory: Memory, cells: Cells) -> Callable:
    """Make the function ``(module, x) -> pairs`` of what is nearest, by member.

    A pair is for rows and for points: the distances (batch,), and the squared differences
    of cells (batch, n_cells).
    """
    points = make_points(memory.scale, cells)
    known = [as_tensor(values, "cpu") for values in (memory.rows, memory.points)]

    def subtract_nearest(x: Tensor, others: Tensor) -> Tensor:
        size = ROW_MULTIPLE * max(MAX_DISTANCES // (ROW_MULTIPLE * len(others)), 1)
        index = map_parts(
            lambda part: squared_distances(part, others).argmin(-1), size, x, dim=0
        )
        return x - others.index_select(0, index)

    def distances(module: nn.Module, x: Tensor) -> Iterator[tuple]:
        n_cells = memory.scale.shape[1]
        bounded = module.scaler.bound(x)
        is_missing = find_missing(cells.mark_missing(x))
        for rows, others, point in zip(
            *(tensor.to(x) for tensor in known),
            points(module, x),
            strict=True,
        ):
            by_row = cells.measure(subtract_nearest(bounded, rows)).square()
            by_row = rescale_observed(by_row, is_missing)
            difference = subtract_nearest(point, others).square()
            yield (
                (by_row.sum(-1).sqrt(), by_row),
                (difference.sum(-1).sqrt(), difference[:, -n_cells:]),
            )

    return distances


def iterate_distances(memory: Memory, cells: Cells) -> Callable:
    """Make the function ``(module, x) -> values`` (batch, 2, 1 + n_cells), by member.

    Of rows and of points, these are distances, and then squared differences of cells.
    """
    distances = make_distances(memory, cells)

    def iterate(module: nn.Module, x: Tensor) -> Iterator[Tensor]:
        for pair in distances(module, x):
            parts = [torch.cat([d[:, None], squares], 1) for d, squares in pair]
            yield torch.stack(parts, 1)

    return iterate


def share_out(squares: Tensor, ratio: Tensor) -> Tensor:
    """Compute the shares of cells in squared distances, (..., n_cells).

    Parameters
    ----------
    squares : Tensor of shape (..., n_cells)
        Squared differences.
    ratio : Tensor of shape (...)
        Distances, in usual ones. At no distance to speak of the differences are rounding,
        and shares are equal.
    """
    sums = squares.sum(-1, keepdim=True)
    parts = squares / sums.clamp(min=torch.finfo(sums.dtype).tiny)
    is_far = (ratio > MIN_DISTANCE)[..., None] & (sums > 0)
    return torch.where(is_far, parts, torch.full_like(squares, 1 / squares.shape[-1]))


def fit_distances(
    values: np.ndarray, is_unseen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find usual distances, and score cells by members that do not hold them.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_members, 2, 1 + n_cells)
        Distances, and then squared differences of cells.
    is_unseen : ndarray of shape (n_samples, n_members)

    Returns
    -------
    usual : ndarray of shape (2, n_members)
        Medians; means where most rows are at no distance, and 1 where all are.
    cells : ndarray of shape (n_samples, n_cells)
        Scores of cells; NaN for rows that all members hold.
    """
    distances, squares = values[..., 0], values[..., 1:]
    known = np.ma.array(distances, mask=np.repeat(~is_unseen[..., None], 2, axis=-1))
    usual = np.ma.median(known, axis=0).filled(0)
    usual = np.where(usual > LEAST_DISTANCE, usual, known.mean(axis=0).filled(0))
    usual = np.where(usual > LEAST_DISTANCE, usual, 1)
    ratio = distances / usual
    logs = np.log(np.maximum(ratio, MIN_DISTANCE)).mean(axis=-1)
    scores = np.exp(judge(logs, is_unseen))
    shares = share_out(torch.from_numpy(squares), torch.from_numpy(ratio)).mean(2)
    return usual.T, scores[:, None] * judge(shares.numpy(), is_unseen)


def make_novelty_score(
    memory: Memory, cells: Cells, dtype: torch.dtype | None, by_cell: bool = False
) -> Callable:
    """Make a function ``(module, rows) -> anomaly scores``, (batch,) or (batch, n_cells).

    A score is the geometric mean of all distances, in usual ones.
    """
    distances = make_distances(memory, cells)

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        x = module.scaler(rows).to(dtype or rows.dtype)
        total, shares = 0.0, 0.0
        for usual, pair in zip(memory.usual.T, distances(module, x), strict=True):
            for size, (distance, squares) in zip(usual, pair, strict=True):
                ratio = (distance / float(size)).clamp(min=MIN_DISTANCE)
                total = total + ratio.log()
                if by_cell:
                    shares = shares + share_out(squares, ratio)
        n_terms = memory.usual.size
        scores = (total / n_terms).exp()
        return (scores[:, None] * shares / n_terms if by_cell else scores).to(rows)

    return score
