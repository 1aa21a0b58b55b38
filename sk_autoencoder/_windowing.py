"""The autoencoder that a detector in time series trains by default."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder import _start as starts
from sk_autoencoder._base import BaseAutoencoder
from sk_autoencoder._unusual import errors, fill_up

MOST_ROWS = 4096  # that are fitted to
LEFT_OUT, RARE = 0.1, 5.0  # of the windows at most, and from what multiple of the median
HELD_OUT_SHARE = 0.2  # of the time
APART = 2  # windows that judge and overlap a timestamp
MOST_EPOCHS = 30
N_MEMBERS = 4


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
    trains = HELD_OUT_SHARE * len(rows) / _apart(overlap) >= starts.JUDGE_ROWS
    found = _make(
        4 * n_channels,
        windows,
        seed,
        overlap=overlap,
        max_epochs=MOST_EPOCHS if trains else 0,
        early_stopping=trains,
    )
    if trains:  # each member holds out another stretch of time
        shifts = np.arange(N_MEMBERS) * len(rows) // N_MEMBERS
        rows = np.stack([np.roll(rows, shift) for shift in shifts])
    return found._fit_on(windows, rows=rows)


def _leave_out(windows: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows without those that PCA with two components fails at most.

    In overlapping windows what is rare is seen many times, and would be learned.
    """
    small = _make(2, windows, seed, max_epochs=0, early_stopping=False)
    scores = small._fit_on(windows, rows=rows).score_samples(windows[rows])
    return rows[scores >= min(np.quantile(scores, LEFT_OUT), RARE * np.median(scores))]


def _make(n_components: int, windows, seed: int, **parameters) -> "WindowAutoencoder":
    n_components = min(n_components, windows.shape[1])
    return WindowAutoencoder(n_components=n_components, random_state=seed, **parameters)


def _apart(overlap: int) -> int:
    return -(-overlap // APART)


@dataclass(kw_only=True, eq=False, repr=False)
class WindowAutoencoder(BaseAutoencoder):
    """Learns what windows of time series look like.

    Neighbours among the rows share most of their values, so a stretch of time is held out
    instead of rows drawn at random, and the windows that judge hardly overlap.
    """

    overlap: int = 1  # rows that a window has values in common with, itself included

    accepts_missing: ClassVar[bool] = True

    def _hold_out(self, n_rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        if not self.early_stopping:
            return np.arange(n_rows), None
        n_out = int(HELD_OUT_SHARE * n_rows)
        start = int(torch.randint(n_rows - n_out, ()))
        rows, end = np.arange(n_rows), start + n_out
        is_kept = (rows <= start - self.overlap) | (rows >= end + self.overlap - 1)
        return rows[is_kept], rows[start : end : _apart(self.overlap)]

    def explain(self, X) -> np.ndarray:
        """Return what each value adds to minus the score of a window, like X."""

        def squares(module, rows: torch.Tensor) -> torch.Tensor:
            return fill_up(errors(module, rows).square().mean(0), rows)

        return self._map(squares, X)
