"""The autoencoder that a detector in time series trains by default."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder import _start as starts
from sk_autoencoder._autoencoder import Autoencoder
from sk_autoencoder._base import BaseAutoencoder

HELD_OUT_SHARE = 0.2  # of the time
APART = 2  # windows that judge and overlap a timestamp
MOST_EPOCHS = 30


def default_windowing(
    n_rows: int, n_features: int, n_channels: int, overlap: int
) -> "WindowAutoencoder":
    """Return the autoencoder for that many windows of so many values.

    Where too few windows can be held out that hardly overlap, it stays at PCA.
    """
    n_judges = HELD_OUT_SHARE * n_rows / _apart(overlap)
    trains = n_judges >= starts.JUDGE_ROWS
    return WindowAutoencoder(
        n_components=min(2 + 2 * n_channels, n_features),
        overlap=overlap,
        max_epochs=MOST_EPOCHS if trains else 0,
        early_stopping=trains,
    )


def _apart(overlap: int) -> int:
    return -(-overlap // APART)


@dataclass(kw_only=True, eq=False, repr=False)
class WindowAutoencoder(BaseAutoencoder):
    """Learns what windows of time series look like.

    Neighbours among the rows share most of their values, so a stretch of time is held out
    instead of rows drawn at random, and the windows that judge hardly overlap.
    """

    overlap: int = 1  # rows that a window has values in common with, itself included
    n_iter_no_change: int = 10

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

        def squares(autoencoder: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            x = autoencoder.scaler(rows)
            return (autoencoder.network.reconstruct(x) - x).square()

        cells = self._map(lambda module, rows: module.each(squares, rows), X)
        is_missing = np.isnan(cells)
        share = 1 - is_missing.mean(axis=1, keepdims=True)
        return np.where(is_missing, 0, cells) / share.astype(cells.dtype)
