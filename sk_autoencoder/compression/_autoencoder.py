"""The default autoencoder of a compressor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from skorch.callbacks import Callback

from sk_autoencoder.compression._quantizer import RD_LAMBDA, Quantizer, find_step
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

MAX_CODES = 64
N_TRAINING_STEPS = 2_400  # approximate
MIN_EPOCHS, MAX_EPOCHS = 10, 200
BATCHES_PER_EPOCH = 40  # with 16 to 128 rows a batch
RELATIVE_NOISE_STD = 1.0  # noise on entries, in units of the initial reconstruction error
INITIAL_RATE_WEIGHT = 0.5  # price of bits, in units of the slope of PCA
MAX_INITIALIZATION_ROWS = 5_000  # of the search for the initial step


def make_default_autoencoder(n_rows: int, bytes_per_row: float) -> "CompressionAutoencoder":
    """Build the default autoencoder for a number of rows and a budget."""
    batch_size = int(np.clip(n_rows // BATCHES_PER_EPOCH, 16, 128))
    n_epochs = int(np.clip(N_TRAINING_STEPS * batch_size // n_rows, MIN_EPOCHS, MAX_EPOCHS))
    return CompressionAutoencoder(
        bytes_per_row=bytes_per_row,
        batch_size=batch_size,
        max_epochs=n_epochs,
        n_iter_no_change=n_epochs,
    )


@dataclass(kw_only=True, eq=False, repr=False)
class CompressionAutoencoder(BaseAutoencoder):
    """Autoencoder of rounded codes that minimises squared error plus a price of bits.

    The initial price is the rate-distortion slope of PCA. Training adapts the price to
    the budget.
    """

    bytes_per_row: float = 16.0
    hidden_layer_sizes: int | Sequence[int] = (512, 256)
    scaling: str | None = None
    dropout: float = 0.05
    noise_level: float = 0.0
    linear_penalty: float = 0.0
    lr: float = 1e-3

    _cosine_decay: ClassVar[bool] = True

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        return min(MAX_CODES, *X.shape)

    def _build_networks(self, n_features: int, n_components: int, n_networks: int) -> list:
        bodies = super()._build_networks(n_features, n_components, n_networks)
        return [RoundedNetwork(body) for body in bodies]

    def _start(
        self, network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        axes = principal_axes(rows, n_components, seed)
        subset = evenly_spaced_indices(len(rows), MAX_INITIALIZATION_ROWS)
        codes = (rows[subset].cpu().double().numpy() - axes.mean) @ axes.components.T
        scale = np.zeros(n_components)
        scale[: codes.shape[1]] = codes.std(axis=0)
        step = self._initial_step(codes, scale.max(initial=0))
        pca = linear_init(projection(axes), n_components, self._loss())
        started = network.start_from(pca)
        network.step.fill_(step)
        rounded = np.rint(codes / step) * step
        unexplained = scaled_moments(rows)[1].sum() - codes.var(axis=0).sum()
        error = unexplained + ((codes - rounded) ** 2).sum(axis=1).mean()
        corruption.std = RELATIVE_NOISE_STD * np.sqrt(
            max(error, 0) / axes.components.shape[1]
        )
        # In squared scaled units a bit.
        self._price = INITIAL_RATE_WEIGHT * RD_LAMBDA * step**2
        self._code_scale = torch.from_numpy(scale / step).float()
        return started

    def _initial_step(self, codes: np.ndarray, widest: float) -> float:
        def bits_with(step: float) -> float:
            quantizer = Quantizer(codes, np.full(codes.shape[1], step), 0, False)
            return quantizer.bits(quantizer.quantize(codes)).mean()

        return find_step(bits_with, widest, 8 * self.bytes_per_row)

    def _make_penalties(self, module: Autoencoder | Ensemble) -> dict:
        return {"bits": (self._price, CodeLength(self._code_scale))}

    def _epoch_callbacks(self, report: Callback) -> list:
        budget = RateController("bits", 8 * self.bytes_per_row)
        return [*super()._epoch_callbacks(report), ("budget", budget)]

    def _refit(self, module, X, rows: np.ndarray, valid: RowDataset, rates: list[float]):
        return None  # the search for steps needs validation rows
