"""Samples of training rows: each gives a row back as the nearest of its own."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.core._data import as_tensor
from sk_autoencoder.outliers._scores import Cells, find_missing
from sk_autoencoder.utils._torch_compat import is_exporting

N_SAMPLES = 12
SAMPLE_SIZE = 8  # a larger sample of contaminated rows holds outliers of one kind


def draw_rows(
    n_rows: int, n_drawn: int, rng: np.random.RandomState, weight: np.ndarray | None
) -> np.ndarray:
    """Draw indices (n_drawn,) of different rows, the heavier ones first.

    Keys are logarithms of weights and Gumbel noise: Efraimidis and Spirakis, "Weighted
    random sampling with a reservoir", Information Processing Letters 97, 2006.
    """
    if weight is None:
        return rng.permutation(n_rows)[:n_drawn]
    keys = np.log(weight) + rng.gumbel(size=n_rows)
    return np.argsort(-keys, kind="stable")[:n_drawn]


def draw_samples(
    n_rows: int, rng: np.random.RandomState, weight: np.ndarray | None
) -> np.ndarray:
    """Draw the indices (n_samples, sample_size) of few rows, for each sample anew."""
    size = min(SAMPLE_SIZE, max(n_rows // 2, 1))
    return np.stack([draw_rows(n_rows, size, rng, weight) for _ in range(N_SAMPLES)])


def scale_rows(module: nn.Module, rows: Tensor) -> Tensor:
    """Scale rows and bound them; missing entries get the center."""
    return module.scaler.bounded(rows).nan_to_num()


def squared_distances(x: Tensor, others: Tensor) -> Tensor:
    """Compute squared distances (batch, n_others), over the observed entries of `x`.

    They are without the squared length of the rows of `x`.
    """
    is_missing = find_missing(x)
    if is_missing is None:
        return torch.addmm(others.square().sum(-1), x, others.mT, alpha=-2)
    squares = (~is_missing).to(x) @ others.square().mT
    return torch.addmm(squares, x.nan_to_num(), others.mT, alpha=-2)


def find_least(values: Sequence[Tensor]) -> Tensor:
    """Find which of few tensors has the least entry, at each place.

    That is ``argmin``, which is slow over axes of few entries.
    """
    least, index = values[0], torch.zeros_like(values[0], dtype=torch.uint8)
    for i, other in enumerate(values[1:], start=1):
        index.masked_fill_(other < least, i)
        least = torch.minimum(least, other)
    return index.long()


def make_sample_errors(samples: np.ndarray, cells: Cells) -> Callable:
    """Make the function ``(module, x) -> errors`` of the nearest row of each sample.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, sample_size, n_entries)
        In scaled units.
    cells : Cells
    """
    kept = as_tensor(samples, "cpu")

    def errors(module: nn.Module, x: Tensor) -> Iterable[Tensor]:
        groups = kept.to(x)
        by_place = groups.transpose(0, 1)
        distances = squared_distances(module.scaler.bound(x), by_place.flatten(0, 1))
        if is_exporting():  # all samples at once, for a smaller graph
            nearest = distances.unflatten(-1, (len(by_place), -1)).argmin(-2)
            first = torch.arange(len(groups), device=x.device) * len(by_place)
            rows = groups.flatten(0, 1)[nearest + first]  # (batch, n_samples, n_entries)
            return cells.measure(rows - x[:, None]).transpose(0, 1)
        nearest = find_least(distances.chunk(len(by_place), -1))
        pairs = zip(groups, nearest.unbind(-1), strict=True)
        return (cells.measure(group.index_select(0, i) - x) for group, i in pairs)

    return errors
