"""How far guesses at missing cells are drawn to near rows, as held-out rows say."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.core._data import RowDataset, evenly_spaced_indices
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.impute._network import FARTHEST, KernelRegressionImputer
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._scalers import Scaler

MOST_KNOWN = 5_000  # rows that guesses are drawn to
MOST_JUDGING = 1_000  # rows that say how far
HIDDEN = 0.1  # share of their cells that is hidden
JUDGED, DRAWS = 2_000, (4, 32)  # rows, and how many times each at least and at most
NEIGHBOUR = 10  # whose distance is the unit of bandwidths
BANDWIDTHS = (0.05, 0.1, 0.2, 0.4)
LEAST_UNIT = 1e-5  # where many rows are the same
SURE = 1.0  # standard errors that the gain has to exceed


def _complete(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    return autoencoder.network.reconstruct(x)


def every_guess(module: nn.Module, x: Tensor) -> Tensor:
    """Return scaled rows as members complete them, (batch, n_members, n_features)."""
    return module.map_members(_complete, x).reshape(-1, *x.shape).movedim(0, 1)


def scaled_rows(X, scaler: Scaler, indices: np.ndarray) -> Tensor:
    """Return the rows of X at `indices`, scaled, float32."""
    return RowDataset(X, scaler, indices)[np.arange(len(indices))].cpu()


def known_rows(*indices: np.ndarray) -> np.ndarray:
    """Return which of the rows at `indices` guesses are drawn to."""
    rows = np.unique(np.concatenate([part.ravel() for part in indices]))
    return rows[evenly_spaced_indices(len(rows), MOST_KNOWN)]


def complete(net: AutoencoderNet, x: Tensor) -> Tensor:
    """Return scaled rows as the members complete them on average."""
    return torch.from_numpy(net.map(every_guess, x.numpy()).mean(axis=1))


def find_nearest(
    net: AutoencoderNet, X, known: np.ndarray, valid: RowDataset
) -> KernelRegressionImputer | None:
    """Return what draws guesses to `known` rows of X, or None where that does not pay."""
    rows = scaled_rows(X, valid.scaler, known)
    nearest = KernelRegressionImputer(complete(net, rows), (~rows.isnan()).float())
    return _tune(nearest, _calibrate_held_out(net, nearest, known, valid))


class Judging(NamedTuple):
    """Rows with some of their observed cells hidden, completed by who has not seen them."""

    guess: Tensor  # (n_rows, n_features)
    is_missing: Tensor
    at: Tensor  # where cells are hidden that were observed
    left: Tensor  # what the guess is off by there, and 0 elsewhere
    less: Tensor  # variance of the guesses of members there, and 0 elsewhere
    distances: Tensor  # to known rows (n_rows, n_known); infinite to the row itself
    draws: int  # times that each row is there


def _calibrate_held_out(
    net: AutoencoderNet,
    nearest: KernelRegressionImputer,
    known: np.ndarray,
    valid: RowDataset,
) -> Judging:
    rows = valid.indices.reshape(valid.n_members or 1, -1)
    rows = rows[:, evenly_spaced_indices(len(valid), max(MOST_JUDGING // len(rows), 1))]
    draws = int(np.clip(JUDGED // rows.size, *DRAWS))
    member = np.tile(np.repeat(np.arange(len(rows)), rows.shape[1]), draws)
    rows = np.tile(rows.ravel(), draws)
    x = scaled_rows(valid.X, valid.scaler, rows)
    holed = RandomMissing(HIDDEN)(x)
    is_missing = holed.isnan()
    every = torch.from_numpy(net.map(every_guess, holed.numpy()))
    guess = every[np.arange(len(rows)), member]
    at = is_missing & ~x.isnan()
    distances = nearest.distances(guess, is_missing)
    distances[torch.from_numpy(equal_rows(valid.X, rows, known))] = torch.inf
    left = _capped(torch.where(at, x - guess, 0.0))
    variance = _capped(every - guess[:, None]).var(1, correction=0)
    less = torch.where(at, variance, 0.0)
    return Judging(guess, is_missing, at, left, less, distances, draws)


def equal_rows(X, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of `others` are the same as each of `rows` of X: itself, and copies."""
    both = np.nan_to_num(X[np.concatenate([rows, others])], nan=np.inf)
    number = np.unique(both, axis=0, return_inverse=True)[1].ravel()
    return number[: len(rows), None] == number[len(rows) :]


def _capped(error: Tensor) -> Tensor:
    return error.clamp(-FARTHEST, FARTHEST)  # single cells should not decide


def _tune(
    nearest: KernelRegressionImputer, judging: Judging
) -> KernelRegressionImputer | None:
    """Set what leaves the least squared error, if it is less for sure.

    Least squares say how far to go of the way to near rows. What a member is off by from
    the mean of all lies on that way, and the mean is what is drawn: so the variance of the
    members is taken off both sums.
    """
    guess, is_missing, at, left, less, distances, draws = judging
    unit, found, most = _unit(distances), None, 0.0
    for width in BANDWIDTHS:
        nearest.bandwidth = width * unit
        way = nearest.average(distances, guess, is_missing) - guess
        way = _capped(torch.where(at, way, 0.0))
        pull = (way * left - less).sum(1).double()
        length = (way.square() - less).sum(1).double()
        share = float((pull.sum() / length.sum()).clamp(0, 1)) if length.sum() > 0 else 0.0
        gain = 2 * share * pull - share**2 * length
        gain = gain.reshape(draws, -1).sum(0)  # of each row
        if gain.sum() > max(most, SURE * float(gain.std()) * len(gain) ** 0.5):
            found, most = (nearest.bandwidth, share), float(gain.sum())
    if found is None:
        return None
    nearest.bandwidth, nearest.weight = found
    return nearest


def _unit(distances: Tensor) -> float:
    """Return the usual distance of a neighbour."""
    rank = min(NEIGHBOUR, distances.shape[1])
    found = distances.kthvalue(rank, dim=1).values
    found = found[found.isfinite()]
    return max(float(found.median()), LEAST_UNIT) if len(found) else 1.0
