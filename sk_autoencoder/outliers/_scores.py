"""How unusual a row is by the errors of its reconstructions, and where to draw the line."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.utils._torch_compat import is_exporting

QUANTILE = 0.9  # of the absolute errors of a feature: its usual error
LEAST_USUAL = 0.05  # of the root mean squared error, for features that are mostly constant
LEAST_SCALE = 1e-2  # of the largest usual error of a feature
CAP = 4.0  # usual errors up to which an error counts in full


def _error(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
    x = autoencoder.scaler(rows)
    return autoencoder.link(autoencoder.network.reconstruct(x)) - x


def fill_up(cells: Tensor, rows: Tensor) -> Tensor:
    """Return what cells add, in place; observed ones stand in for those missing."""
    is_missing = rows.isnan()
    if not (is_exporting() or is_missing.any()):
        return cells
    share = observed_share(rows)[:, None].to(cells)
    return cells.masked_fill_(is_missing, 0.0).div_(share)


def errors(module: nn.Module, rows: Tensor) -> Tensor:
    """Return the errors of all members in scaled units, (n_members, batch, n_features).

    NaN where a cell is missing.
    """
    return module.map_members(_error, rows).reshape(-1, *rows.shape)


def capped(errors: Tensor) -> Tensor:
    """Return how much absolute errors count, in place, in multiples of the usual error.

    As they are up to 4, then ``5 - 4 / error``: no cell decides alone, and still of two
    large errors the larger one counts more.
    """
    beyond = errors.clamp(min=CAP).reciprocal_()
    return errors.clamp_(max=CAP).add_(1).sub_(beyond, alpha=CAP)


def learn_usual(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return usual errors, weights, and how unusual these rows are to each member.

    Parameters
    ----------
    errors : ndarray of shape (n_samples, n_members, n_features)

    Returns
    -------
    scale : ndarray of shape (n_members, n_features)
    weight : ndarray of shape (n_members,)
    unusual : ndarray of shape (n_samples, n_members)
        Of median 1 for each member.
    """
    errors = np.abs(errors)
    n_observed = (~np.isnan(errors)).sum(axis=0)
    rank = (QUANTILE * (n_observed - 1)).clip(0).astype(int)
    # NaN are sorted to the end; a column without any other has no usual error.
    ordered = np.partition(errors, np.unique(rank), axis=0)
    scale = np.take_along_axis(ordered, rank[None], axis=0)[0]
    squared = np.nansum(errors**2, axis=0) / np.maximum(n_observed, 1)
    scale = np.maximum(np.nan_to_num(scale), LEAST_USUAL * np.sqrt(squared))
    scale += LEAST_SCALE * scale.max(axis=1, keepdims=True)
    scale = np.where(scale == 0, 1, scale)
    unusual = capped(torch.from_numpy(errors / scale)).movedim(0, 1)
    unusual = fill_up(unusual, torch.from_numpy(errors[:, 0])).sum(-1).T.numpy()
    typical = np.median(unusual, axis=0)
    weight = 1 / np.where(typical == 0, 1, typical)
    return scale, weight, unusual * weight


def unusual(scale: np.ndarray, weight: np.ndarray, reduce: Callable[[Tensor], Tensor]):
    """Return the function that tells how unusual rows are, the mean over members.

    It applies `reduce` to what each cell adds, (n_members, batch, n_features).
    """

    def mean(module: nn.Module, rows: Tensor) -> Tensor:
        like = {"dtype": rows.dtype, "device": rows.device}
        shared = torch.as_tensor(weight / len(weight), **like)
        cells = errors(module, rows).abs_().div_(torch.tensor(scale, **like)[:, None])
        return torch.tensordot(shared, reduce(fill_up(capped(cells), rows)), dims=1)

    return mean
