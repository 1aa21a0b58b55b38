"""The default autoencoder of a compressor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from sk_autoencoder.compression._quantizer import RD_LAMBDA, Quantizer, find_step
from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._callbacks import RateController
from sk_autoencoder.core._data import evenly_spaced_indices
from sk_autoencoder.core._initialization._pca import (
    linear_init,
    principal_axes,
    projection,
)
from sk_autoencoder.core._recipe import Initialization, Member, Recipe, Start
from sk_autoencoder.core._scaling import scaled_moments
from sk_autoencoder.nn._corruptions import GaussianNoise
from sk_autoencoder.nn._losses import Error, Loss
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

    def make_recipe(self) -> Recipe:
        """Round codes, start at PCA with a step for the budget, and price the bits."""
        recipe, budget = super().make_recipe(), 8 * self.bytes_per_row  # bits a row
        steer = RateController("bits", budget)
        return replace(
            recipe,
            n_components=None,
            default_n_components=lambda *shape: min(MAX_CODES, *shape),
            wrap=lambda network, *sizes: RoundedNetwork(network),
            needs_axes=True,
            initialize=partial(start_at_rounded_pca, recipe.loss, budget),
            start="rounded PCA",
            penalties=price_bits,
            schedule=replace(recipe.schedule, cosine_decay=True),
            callbacks=lambda: [*recipe.callbacks(), ("budget", steer)],
            refits_start=False,  # the search for steps needs validation rows
            refits_trained=False,
        )


def start_at_rounded_pca(loss: Loss, budget: float, member: Member) -> Initialization:
    """Initialise at PCA, with codes rounded to steps that cost `budget` bits a row."""
    rows, n_components = member.rows, member.n_components
    axes = principal_axes(rows, n_components, member.seed)
    subset = evenly_spaced_indices(len(rows), MAX_INITIALIZATION_ROWS)
    codes = (rows[subset].x.cpu().double().numpy() - axes.mean) @ axes.components.T
    scale = np.zeros(n_components)
    scale[: codes.shape[1]] = codes.std(axis=0)
    step = find_initial_step(codes, scale.max(initial=0), budget)
    pca = linear_init(projection(axes), n_components, loss)
    is_linear = member.network.start_from(pca)
    member.network.step.fill_(step)
    rounded = np.rint(codes / step) * step
    unexplained = scaled_moments(rows)[1].sum() - codes.var(axis=0).sum()
    error = unexplained + ((codes - rounded) ** 2).sum(axis=1).mean()
    noise_std = RELATIVE_NOISE_STD * np.sqrt(max(error, 0) / axes.components.shape[1])
    learned = {
        "bit_price_": INITIAL_RATE_WEIGHT * RD_LAMBDA * step**2,  # squared scaled units
        "code_scale_": torch.from_numpy(scale / step).float(),
    }
    return Initialization(is_linear, GaussianNoise(noise_std), learned=learned)


def find_initial_step(codes: np.ndarray, widest: float, budget: float) -> float:
    """Find the step of rounded `codes` that costs `budget` bits a row."""

    def bits_with(step: float) -> float:
        quantizer = Quantizer(codes, np.full(codes.shape[1], step), 0, False)
        return quantizer.bits(quantizer.quantize(codes)).mean()

    return find_step(bits_with, widest, budget)


def price_bits(start: Start, error: Error) -> dict:
    """Make the penalty of the bits of a code, at the initial price."""
    code_length = CodeLength(start.learned["code_scale_"])
    return {"bits": (start.learned["bit_price_"], code_length)}
