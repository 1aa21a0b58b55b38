"""The autoencoder that a compressor trains by default."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from skorch.callbacks import Callback

from sk_autoencoder.compression._quantizer import FRUGALITY, Quantiser, find_step
from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._callbacks import RateController
from sk_autoencoder.core._data import RowDataset, evenly_spaced_indices
from sk_autoencoder.core._initialization._pca import (
    linear_init,
    principal_axes,
    projection,
)
from sk_autoencoder.core._scaling import scaled_moments
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._quantization import CodeLength, RoundedNetwork

MOST_CODES = 64
STEPS = 2_400  # of training, about
LEAST_EPOCHS, MOST_EPOCHS = 10, 200
BATCHES = 40  # of an epoch, as far as they have 16 to 128 rows
NOISE = 1.0  # of the root mean squared error of the start, on each cell while training
PRESSURE = 0.5  # on bits, beside what they are worth to PCA
START_ROWS = 5_000  # that the step of the start is found on


def default_compressing(n_rows: int, bytes_per_row: float) -> "CompressingAutoencoder":
    """Return the default autoencoder for that many rows and that budget."""
    batch_size = int(np.clip(n_rows // BATCHES, 16, 128))
    n_epochs = int(np.clip(STEPS * batch_size // n_rows, LEAST_EPOCHS, MOST_EPOCHS))
    return CompressingAutoencoder(
        bytes_per_row=bytes_per_row,
        batch_size=batch_size,
        max_epochs=n_epochs,
        n_iter_no_change=n_epochs,
    )


@dataclass(kw_only=True, eq=False, repr=False)
class CompressingAutoencoder(BaseAutoencoder):
    """Learns codes that are worth their bits once they are rounded.

    It minimises the squared error plus a price for bits. The price begins at what bits are
    worth to PCA and follows the budget.
    """

    bytes_per_row: float = 16.0
    hidden_layer_sizes: int | Sequence[int] = (512, 256)
    scaling: str | None = None
    dropout: float = 0.05
    noise_level: float = 0.0
    linear_penalty: float = 0.0
    lr: float = 1e-3

    decays: ClassVar[bool] = True

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        return min(MOST_CODES, *X.shape)

    def _build_networks(self, n_features: int, n_components: int, n_networks: int) -> list:
        bodies = super()._build_networks(n_features, n_components, n_networks)
        return [RoundedNetwork(body) for body in bodies]

    def _start(
        self, network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        axes = principal_axes(rows, n_components, seed)
        few = evenly_spaced_indices(len(rows), START_ROWS)
        codes = (rows[few].cpu().double().numpy() - axes.mean) @ axes.components.T
        scale = np.zeros(n_components)
        scale[: codes.shape[1]] = codes.std(axis=0)
        step = self._first_step(codes, scale.max(initial=0))
        found = linear_init(projection(axes), n_components, self._loss())
        started = network.start_from(found)
        network.step.fill_(step)
        rounded = np.rint(codes / step) * step
        missing = scaled_moments(rows)[1].sum() - codes.var(axis=0).sum()
        error = missing + ((codes - rounded) ** 2).sum(axis=1).mean()
        corruption.std = NOISE * np.sqrt(max(error, 0) / axes.components.shape[1])
        self._price = PRESSURE * FRUGALITY * step**2  # squared scaled units a bit
        self._code_scale = torch.from_numpy(scale / step).float()
        return started

    def _first_step(self, codes: np.ndarray, widest: float) -> float:
        def bits_with(step: float) -> float:
            quantiser = Quantiser(codes, np.full(codes.shape[1], step), 0, False)
            return quantiser.bits(quantiser.quantise(codes)).mean()

        return find_step(bits_with, widest, 8 * self.bytes_per_row)

    def _make_penalties(self, module: Autoencoder | Ensemble) -> dict:
        return {"bits": (self._price, CodeLength(self._code_scale))}

    def _epoch_callbacks(self, report: Callback) -> list:
        budget = RateController("bits", 8 * self.bytes_per_row)
        return [*super()._epoch_callbacks(report), ("budget", budget)]

    def _refit(self, module, X, rows: np.ndarray, valid: RowDataset, rates: list[float]):
        return None  # steps and tables are found on rows that were held out
