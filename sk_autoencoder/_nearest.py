"""How far guesses at missing cells are drawn to near rows, as held-out rows say."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder._autoencoder import Autoencoder
from sk_autoencoder._net import Rows, evenly
from sk_autoencoder.corruptions import Hiding
from sk_autoencoder.missing import FARTHEST, NearestRows

MOST_KNOWN = 5_000  # rows that guesses are drawn to
MOST_JUDGING = 1_000  # rows that say how far
HIDDEN, DRAWS = 0.1, 4  # share of their cells that is hidden, and how many times
NEIGHBOUR = 10  # whose distance is the unit of bandwidths
BANDWIDTHS = (0.05, 0.1, 0.2, 0.4)
LEAST_UNIT = 1e-5  # where many rows are the same
SURE = 1.0  # standard errors that the gain has to exceed
AT_ONCE = 1_024


def _complete(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    return autoencoder.network.reconstruct(x)


def every_guess(module: nn.Module, x: Tensor) -> Tensor:
    """Return scaled rows `x` as members complete them, (n_members, batch, n_features)."""
    return module.each(_complete, x).reshape(-1, *x.shape)


def find_nearest(module: nn.Module, train: Rows, valid: Rows) -> NearestRows | None:
    """Return what draws the guesses of fitted members, or None where that does not pay."""
    indices = np.union1d(train.indices, valid.indices)
    indices = indices[evenly(len(indices), MOST_KNOWN)]
    rows = Rows(train.X, train.scaler, indices)
    starts = range(0, len(rows), AT_ONCE)
    known = [rows[np.arange(i, min(i + AT_ONCE, len(rows)))] for i in starts]
    completed = torch.cat([every_guess(module, part).mean(0) for part in known])
    nearest = NearestRows(completed, (~torch.cat(known).isnan()).to(completed))
    return _tune(nearest, _judge(module, nearest, indices, valid))


class Judging(NamedTuple):
    """Rows with some of their observed cells hidden, completed by who has not seen them."""

    guess: Tensor  # (n_rows, n_features)
    left: Tensor  # what the guess is off by at hidden cells, and 0 elsewhere
    at: Tensor  # where cells are hidden
    variance: Tensor  # of the guesses of members
    distances: Tensor  # to known rows (n_rows, n_known)


def _judge(module: nn.Module, nearest: NearestRows, known: np.ndarray, valid: Rows):
    order = np.atleast_2d(valid.order(shuffle=False))  # (n_members, n_rows)
    order = np.tile(order[:, evenly(len(valid), MOST_JUDGING // len(order))], DRAWS)
    x = valid[order if valid.n_members else order[0]]
    holed = Hiding(HIDDEN)(x)
    guess = module.each(_complete, holed).flatten(0, -2)
    x, holed = x.flatten(0, -2), holed.flatten(0, -2)
    at = holed.isnan() & ~x.isnan()
    distances = nearest.distances(guess, holed.isnan())
    itself = valid.indices[order.reshape(-1, 1)] == known
    distances[torch.from_numpy(itself).to(at.device)] = torch.inf
    others = _capped(every_guess(module, holed) - guess)
    left = _capped(torch.where(at, x - guess, 0.0))
    return Judging(guess, left, at, others.var(0, correction=0), distances)


def _capped(error: Tensor) -> Tensor:
    return error.clamp(-FARTHEST, FARTHEST)  # single cells should not decide


def _tune(nearest: NearestRows, judging: Judging) -> NearestRows | None:
    """Set what leaves the least squared error, if it is less for sure.

    Least squares say how far to go of the way to near rows. What a member is off by from
    the mean of all lies on that way, and the mean is what is drawn: so the variance of the
    members is taken off both sums.
    """
    guess, left, at, variance, distances = judging
    rank = min(NEIGHBOUR, distances.shape[1] - 1)  # one may be the row itself
    unit = max(float(distances.kthvalue(rank, dim=1).values.median()), LEAST_UNIT)
    found, most = None, 0.0
    for width in BANDWIDTHS:
        nearest.bandwidth = width * unit
        way = _capped(nearest.average(distances, guess) - guess)
        less = torch.where(at, variance, 0.0)
        pull = (way * left - less).sum(1).double()
        length = (torch.where(at, way, 0.0).square() - less).sum(1).double()
        share = float((pull.sum() / length.sum()).clamp(0, 1)) if length.sum() > 0 else 0.0
        gain = 2 * share * pull - share**2 * length  # of each row
        if gain.sum() > max(most, SURE * gain.std() * len(gain) ** 0.5):
            found, most = (nearest.bandwidth, share), float(gain.sum())
    if found is None:
        return None
    nearest.bandwidth, nearest.share = found
    return nearest
