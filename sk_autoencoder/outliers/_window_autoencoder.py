"""The autoencoder that a detector in time series trains by default."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sk_autoencoder.core._base import BaseAutoencoder, fit_members, map_rows
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._model_selection import MIN_VALIDATION_ROWS
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.outliers._scores import errors, fill_up

MOST_ROWS = 4096  # that are fitted to
LEFT_OUT, RARE = 0.1, 5.0  # of the windows at most, and from what multiple of the median
HELD_OUT_SHARE = 0.2  # of the time
APART = 2  # windows that judge and overlap a timestamp
MOST_EPOCHS = 50
N_MEMBERS = 4
FARTHER = 2.0  # how many times as far as usual codes may lie, beside the error
LEAST_SHARE = 1e-3  # of the error of the mean channel
ROUNDING = 1e-10  # error, as a share of the squares of a window
LEAST_TYPICAL = 1e-3  # error of a window in which rounding is all there is
LEAST_VARIANCE = 1e-6  # of a direction of codes, as a share of the largest
NO_VARIANCE = 1e-12  # of codes that are all the same
CLEAR = 2.0  # times the usual error, from which errors say where it is
MOST = 1e15  # times as unusual as usual: its square is finite in any precision


def fit_windowing(
    windows: np.ndarray, n_channels: int, overlap: int, seed: int
) -> "WindowAutoencoder":
    """Fit to windows (n_windows, window * n_channels).

    Where too few windows can be held out that hardly overlap, the fit stays at PCA.
    """
    step = -(-len(windows) // MOST_ROWS)
    rows = np.arange(0, len(windows), step)
    overlap = -(-overlap // step)
    if overlap > 1:
        rows = _leave_out(windows, rows, seed)
    trains = HELD_OUT_SHARE * len(rows) / _apart(overlap) >= MIN_VALIDATION_ROWS
    found = _make(
        4 * n_channels,
        windows,
        seed,
        overlap=overlap,
        n_channels=n_channels,
        max_epochs=MOST_EPOCHS if trains else 0,
        early_stopping=trains,
    )
    if trains:  # each member holds out another stretch of time
        shifts = np.arange(N_MEMBERS) * len(rows) // N_MEMBERS
        rows = np.stack([np.roll(rows, shift) for shift in shifts])
    return fit_members(found, windows, rows)


def _leave_out(windows: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows without those that PCA with two components fails at most.

    In overlapping windows what is rare is seen many times, and would be learned.
    """
    small = _make(2, windows, seed, max_epochs=0, early_stopping=False)
    errors = map_rows(fit_members(small, windows, rows), _error, windows[rows])
    return rows[errors <= max(np.quantile(errors, 1 - LEFT_OUT), RARE * np.median(errors))]


def _make(n_components: int, windows, seed: int, **parameters) -> "WindowAutoencoder":
    n_components = min(n_components, windows.shape[1])
    return WindowAutoencoder(n_components=n_components, random_state=seed, **parameters)


def _apart(overlap: int) -> int:
    return -(-overlap // APART)


def _observed_squares(module: nn.Module, rows: Tensor) -> Tensor:
    """Return squared errors in scaled units (batch, n_features), the mean over members.

    NaN where a cell is missing.
    """
    return errors(module, rows).square().mean(0)


def _squares(module: nn.Module, rows: Tensor) -> Tensor:
    """Return squared errors, in which observed cells stand in for missing ones."""
    return fill_up(_observed_squares(module, rows), rows)


def _error(module: nn.Module, rows: Tensor) -> Tensor:
    return _squares(module, rows).sum(-1)


def _size(module: nn.Module, rows: Tensor) -> Tensor:
    return module.scaler(rows).square().nansum(-1)


def _codes(module: nn.Module, rows: Tensor) -> Tensor:
    """Return the codes of the members, (batch, n_members, n_components)."""
    codes = module.map_members(Autoencoder.encode, rows)
    return codes.reshape(-1, *codes.shape[-2:]).movedim(0, 1)


def _decoded(module: nn.Module, codes: Tensor) -> Tensor:
    """Return what codes (n_members, batch, n_components) mean to members, scaled."""
    own = codes if module.n_members > 1 else codes[0]
    rows = module.map_members(Autoencoder.decode, own)
    return module.scaler(rows.reshape(len(codes), -1, rows.shape[-1]))


class Usual(nn.Module):
    r"""How unusual windows are, in multiples of what is usual.

    A window is unusual if its error is, or if its code lies far from others: the larger
    one of

    .. math:: \frac{1}{m_e} \sum_c \frac{e_c}{m_c}, \qquad
       \frac{1}{2 m_t} (z - \bar z)^T S^{-1} (z - \bar z)

    counts, squared errors :math:`e_c` of channels and Hotelling's :math:`T^2` of codes
    :math:`z`, with the medians :math:`m` of each over the training windows [1]_. Its
    square, so that of the windows of a timestamp the most unusual ones count most.

    Parameters
    ----------
    cells : ndarray of shape (n_windows, window * n_channels)
        Squared errors of the training windows, NaN where a value is missing.
    codes : ndarray of shape (n_windows, n_members, n_components)
        Their codes.
    n_channels : int
    least : float
        Error that is none: it may come from rounding.

    References
    ----------
    .. [1] H. H. Yue and S. J. Qin, "Reconstruction-based fault identification using a
       combined index", Industrial & Engineering Chemistry Research 40, 2001.
    """

    error: Tensor  # (n_channels,)
    center: Tensor  # (n_members, n_components)
    whiten: Tensor  # (n_members, n_components, n_components)
    typical: Tensor  # (2,)

    def __init__(
        self, cells: np.ndarray, codes: np.ndarray, n_channels: int, least: float
    ) -> None:
        super().__init__()
        error = usual_errors(cells.reshape(len(cells), -1, n_channels))
        error += LEAST_SHARE * error.mean() + least
        center = codes.mean(axis=0)
        whiten = [whitening(member) for member in np.moveaxis(codes - center, 1, 0)]
        self.register_buffer("error", _not_zero(error))
        self.register_buffer("center", torch.from_numpy(center))
        self.register_buffer("whiten", torch.from_numpy(np.stack(whiten)))
        self.register_buffer("typical", torch.ones(2, dtype=self.error.dtype))
        cells = fill_up(torch.from_numpy(cells), torch.from_numpy(cells))
        error, distance = self(cells, torch.from_numpy(codes)).median(dim=1).values
        typical = [max(float(error), LEAST_TYPICAL), FARTHER * float(distance)]
        self.typical = _not_zero(np.array(typical))

    def forward(self, cells: Tensor, codes: Tensor) -> Tensor:
        """Return how unusual errors and codes are, of shape (2, n_windows)."""
        distance = self.away(codes).square().mean((0, -1))
        found = torch.stack([self.weigh(cells).sum(-1), distance]) / self.typical[:, None]
        return found.clamp(max=MOST)

    def away(self, codes: Tensor) -> Tensor:
        """Return uncorrelated codes of mean 0, (n_members, n_windows, n_components)."""
        return (codes - self.center).movedim(1, 0) @ self.whiten

    def steepest(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean codes, and those a step away where distances grow fastest."""
        step = normalize(self.away(codes), dim=-1) @ self.whiten.mT
        start = self.center[:, None].expand_as(step)
        return start, start + step

    def weigh(self, cells: Tensor) -> Tensor:
        """Return errors of cells in multiples of what is usual of their channel."""
        return (cells.unflatten(-1, (-1, len(self.error))) / self.error).flatten(-2)


def _not_zero(usual: np.ndarray) -> Tensor:
    return torch.from_numpy(np.where(usual > 0, usual, 1.0))


def usual_errors(cells: np.ndarray) -> np.ndarray:
    """Return the median error of each channel over the windows in which it is observed.

    Parameters
    ----------
    cells : ndarray of shape (n_windows, window, n_channels)
        Squared errors, NaN where a value is missing.
    """
    n_observed = (~np.isnan(cells)).sum(axis=1)
    found = np.nansum(cells, axis=1) * cells.shape[1] / np.maximum(n_observed, 1)
    channels = [
        column[some] for column, some in zip(found.T, n_observed.T > 0, strict=True)
    ]
    return np.array([np.median(each) if len(each) else 0.0 for each in channels])


def whitening(centred: np.ndarray) -> np.ndarray:
    """Return what makes rows, in which columns have a mean of 0, uncorrelated.

    Rows that are all the same become zeros.
    """
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    if variance[-1] < NO_VARIANCE:
        return np.zeros_like(axes)
    return axes / np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance[-1]))


@dataclass(kw_only=True, eq=False, repr=False)
class WindowAutoencoder(BaseAutoencoder):
    """Learns what windows of time series look like.

    Neighbours among the rows share most of their values, so a stretch of time is held out
    instead of rows drawn at random, and the windows that judge hardly overlap.
    """

    overlap: int = 1  # rows that a window has values in common with, itself included
    n_channels: int = 1
    linear_penalty: float = 0.0

    _allow_nan: ClassVar[bool] = True

    def _hold_out(self, n_rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        if not self.early_stopping:
            return np.arange(n_rows), None
        n_out = int(HELD_OUT_SHARE * n_rows)
        start = int(torch.randint(n_rows - n_out, ()))
        rows, end = np.arange(n_rows), start + n_out
        is_kept = (rows <= start - self.overlap) | (rows >= end + self.overlap - 1)
        return rows[is_kept], rows[start : end : _apart(self.overlap)]

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        seen = train.indices if valid is None else np.r_[train.indices, valid.indices]
        X = train.X[np.unique(seen)]
        maps = (net.map(f, X).astype(float) for f in (_observed_squares, _codes, _size))
        cells, codes, sizes = maps
        self._usual = Usual(cells, codes, self.n_channels, ROUNDING * sizes.mean())

    def _scoring(self) -> Callable:
        def score(module: nn.Module, rows: Tensor) -> Tensor:
            usual = copy.deepcopy(self._usual).to(rows)
            found = usual(_squares(module, rows), _codes(module, rows))
            return -found.amax(0).square()

        return score

    def explain(self, X) -> np.ndarray:
        """Return what each value adds to minus the score of a window, like X.

        In proportion to the errors of cells or, where only the code is unusual, to the
        squares of what would bring it back fastest.
        """

        def share(module: nn.Module, rows: Tensor) -> Tensor:
            usual = copy.deepcopy(self._usual).to(rows)
            cells, codes = _squares(module, rows), _codes(module, rows)
            error, distance = usual(cells, codes)[..., None]
            start, end = (_decoded(module, each) for each in usual.steepest(codes))
            pull = fill_up((end - start).square().mean(0), rows)
            by_error = (error > distance) | (error > CLEAR)
            part = torch.where(by_error, usual.weigh(cells), pull)
            part = part + torch.finfo(part.dtype).tiny
            return part / part.sum(-1, keepdim=True) * error.maximum(distance).square()

        return self._map(share, X)
