"""How far guesses at missing cells are drawn to near rows, as held-out rows say."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder._autoencoder import Autoencoder
from sk_autoencoder._net import AutoencoderNet, Rows, evenly
from sk_autoencoder.corruptions import Hiding
from sk_autoencoder.missing import FARTHEST, NearestRows

MOST_KNOWN = 5_000  # rows that guesses are drawn to
MOST_JUDGING = 1_000  # rows that say how far
HIDDEN, DRAWS = 0.1, 4  # share of their cells that is hidden, and how many times
NEIGHBOUR = 10  # whose distance is the unit of bandwidths
BANDWIDTHS = (0.05, 0.1, 0.2, 0.4)
LEAST_UNIT = 1e-5  # where many rows are the same
SURE = 1.0  # standard errors that the gain has to exceed


def _complete(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
    return autoencoder.network.reconstruct(autoencoder.scaler(rows))


def every_guess(module: nn.Module, rows: Tensor) -> Tensor:
    """Return rows as members complete them, scaled, (batch, n_members, n_features)."""
    return module.each(_complete, rows).reshape(-1, *rows.shape).movedim(0, 1)


def find_nearest(net: AutoencoderNet, train: Rows, valid: Rows) -> NearestRows | None:
    """Return what draws the guesses of fitted members, or None where that does not pay."""
    indices = np.union1d(train.indices, valid.indices)
    indices = indices[evenly(len(indices), MOST_KNOWN)]
    known = train.X[indices]
    completed = torch.from_numpy(net.map(every_guess, known).mean(axis=1)).float()
    nearest = NearestRows(completed, torch.from_numpy(~np.isnan(known)).float())
    return _tune(nearest, _judge(net, nearest, indices, valid))


class Judging(NamedTuple):
    """Rows with some of their observed cells hidden, completed by who has not seen them."""

    guess: Tensor  # (n_rows, n_features)
    left: Tensor  # what the guess is off by at hidden cells, and 0 elsewhere
    at: Tensor  # where cells are hidden
    variance: Tensor  # of the guesses of members
    distances: Tensor  # to known rows (n_rows, n_known)


def _judge(
    net: AutoencoderNet, nearest: NearestRows, known: np.ndarray, valid: Rows
) -> Judging:
    rows = valid.indices.reshape(valid.n_members or 1, -1)
    rows = rows[:, evenly(len(valid), MOST_JUDGING // len(rows))]
    member = np.tile(np.repeat(np.arange(len(rows)), rows.shape[1]), DRAWS)
    rows = np.tile(rows.ravel(), DRAWS)
    x = torch.from_numpy(valid.X[rows])
    holed = Hiding(HIDDEN)(x)
    every = torch.from_numpy(net.map(every_guess, holed.numpy())).float()
    guess = every[np.arange(len(rows)), member]
    at = holed.isnan() & ~x.isnan()
    distances = nearest.distances(guess, holed.isnan())
    distances[torch.from_numpy(rows[:, None] == known)] = torch.inf
    scaled = copy.deepcopy(valid.scaler).cpu()(x).float()
    left = _capped(torch.where(at, scaled - guess, 0.0))
    variance = _capped(every - guess[:, None]).var(1, correction=0)
    return Judging(guess, left, at, variance, distances)


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
    less, found, most = torch.where(at, variance, 0.0), None, 0.0
    for width in BANDWIDTHS:
        nearest.bandwidth = width * unit
        way = nearest.average(distances, guess) - guess
        way = _capped(torch.where(at, way, 0.0))
        pull = (way * left - less).sum(1).double()
        length = (way.square() - less).sum(1).double()
        share = float((pull.sum() / length.sum()).clamp(0, 1)) if length.sum() > 0 else 0.0
        gain = 2 * share * pull - share**2 * length  # of each row
        if gain.sum() > max(most, SURE * float(gain.std()) * len(gain) ** 0.5):
            found, most = (nearest.bandwidth, share), float(gain.sum())
    if found is None:
        return None
    nearest.bandwidth, nearest.share = found
    return nearest
