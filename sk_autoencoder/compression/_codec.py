"""An autoencoder with a quantiser of its codes: from rows to whole numbers and back."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from sk_autoencoder import metrics
from sk_autoencoder.compression._quantizer import FRUGALITY, Quantiser, find_step
from sk_autoencoder.core._data import evenly_spaced_indices
from sk_autoencoder.core._model_selection import hold_out, select_interpolation
from sk_autoencoder.core._scaling import make_scaler
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.utils._random import seeded_fit

LINEAR_CODES = 256  # principal components, at most
SEARCH_ROWS = 3_000  # that a step is found on, and as many held-out ones
TABLE_ROWS = 20_000  # that tables are learned from
PROBE_ROWS = 64  # on which the effect of a code is measured
LEAST_EFFECT = 1e-6  # of a code, beside that of the strongest
DEPTHS = (4.0, 2.0, 1.0, 0.5, 0.25)  # steps of a report, beside the one that was found


# Frugality and whether numbers stand for the mean of their codes. A decoder that has seen
# noisy codes already gives the mean of the rows that they may mean.
LINEAR, TRAINED = (FRUGALITY, True), (0.0, False)


class Split(NamedTuple):
    """Rows to learn from and rows held out, in the units of X."""

    fit: np.ndarray  # (n_fit, n_features)
    held_out: np.ndarray  # (n_held_out, n_features)
    scale: np.ndarray  # (n_features,), what errors are divided by


class Codec:
    """An autoencoder with a quantiser of its codes.

    Parameters
    ----------
    autoencoder : estimator
        Fitted, with ``transform`` and ``inverse_transform``.
    units : ndarray of shape (n_codes,)
        Steps of the codes relative to each other.
    setting : tuple of (float, bool)
        Frugality and centring of the quantiser.
    """

    def __init__(self, autoencoder, units: np.ndarray, setting: tuple) -> None:
        self.autoencoder = autoencoder
        self.units = units
        self.setting = setting

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of `rows`, not rounded."""
        return np.asarray(self.autoencoder.transform(rows), np.float64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the rows that `codes` mean."""
        return np.asarray(self.autoencoder.inverse_transform(codes), np.float64)

    def quantiser(self, codes: np.ndarray, step: float) -> Quantiser:
        """Return what rounds codes like `codes`."""
        return Quantiser(codes, step * self.units, *self.setting)

    def search(self, codes: np.ndarray, held_out: np.ndarray, budget: float) -> None:
        """Find the step with which the codes of held-out rows cost `budget` bits a row.

        Their mean and its standard error, so that others seldom cost much more.
        """
        codes, held_out = (
            codes[evenly_spaced_indices(len(codes), SEARCH_ROWS)],
            held_out[evenly_spaced_indices(len(held_out), SEARCH_ROWS)],
        )
        widest = (codes.std(axis=0) / self.units).max(initial=0)

        def bits_with(step: float) -> float:
            quantiser = self.quantiser(codes, step)
            bits = quantiser.bits(quantiser.quantise(held_out))
            return float(bits.mean() + bits.std() / len(bits) ** 0.5)

        self.step = find_step(bits_with, widest, budget)
        self.is_finest = not widest or bits_with(self.step) < 0.9 * budget

    def settle(self, rows: np.ndarray) -> None:
        """Learn tables for the step that was found, and for others around it."""
        codes = self.codes(rows[evenly_spaced_indices(len(rows), TABLE_ROWS)])
        self.depths = {d: self.quantiser(codes, d * self.step) for d in DEPTHS}

    def numbers(self, rows: np.ndarray, depth: float = 1.0) -> np.ndarray:
        """Return the whole numbers (n_samples, n_codes) that stand for `rows`."""
        return self.depths[depth].quantise(self.codes(rows))

    def rows(self, numbers: np.ndarray, depth: float = 1.0) -> np.ndarray:
        """Return the rows that whole numbers stand for."""
        return self.decode(self.depths[depth].dequantise(numbers))

    def errors(self, codes: np.ndarray, held_out: np.ndarray, split: Split) -> np.ndarray:
        """Return the squared error of each held-out row, in scaled units."""
        quantiser = self.quantiser(
            codes[evenly_spaced_indices(len(codes), SEARCH_ROWS)], self.step
        )
        found = self.decode(quantiser.dequantise(quantiser.quantise(held_out)))
        return (((found - split.held_out) / split.scale) ** 2).sum(axis=1)

    def parts(self) -> list[np.ndarray]:
        """Return what compressed rows mean something by."""
        numbers = np.random.default_rng(0).integers(-2, 3, (8, len(self.units)))
        quantiser = self.depths[1.0]
        tables = [np.r_[t.low, t.shift, t.frequencies] for t in quantiser.tables]
        return [self.rows(numbers), quantiser.steps, *tables]


def split(rows: np.ndarray, scaling: str | None, seed: int) -> Split:
    """Hold out the rows that an autoencoder with this seed holds out."""
    scaler = make_scaler(rows, np.arange(len(rows)), scaling)
    with seeded_fit(seed, torch.device("cpu")):
        kept, out = hold_out(len(rows), "auto")
    kept = np.arange(len(rows)) if len(kept) < 2 else kept
    return Split(rows[kept], rows[out], scaler.scale.numpy())


def best_codec(codecs: Sequence[Codec], split: Split, budget: float):
    """Return the codec with the least error on held-out rows, and these errors.

    Parameters
    ----------
    codecs : sequence of Codec
        Different quantisers of one autoencoder.
    split : Split
    budget : float
        Bits a row.
    """
    codes, held_out = codecs[0].codes(split.fit), codecs[0].codes(split.held_out)
    errors = []
    for codec in codecs:
        codec.search(codes, held_out, budget)
        errors.append(codec.errors(codes, held_out, split))
    best = int(np.argmin([each.mean() for each in errors]))
    return codecs[best], errors[best]


def linear_codec(rows: np.ndarray, n_codes: int, scaling: str | None, seed: int) -> Codec:
    """Return principal components of `rows`, at most `n_codes`."""
    n_codes = int(min(n_codes, *rows.shape))
    pca = AutoencoderTransformer(
        n_codes,
        hidden_layer_sizes=(),
        scaling=scaling,
        max_epochs=0,
        early_stopping=False,
        device="cpu",
        random_state=seed,
    )
    return Codec(pca.fit(rows), np.ones(n_codes), LINEAR)


def whole_linear_codec(found: Codec, rows: np.ndarray, scaling, seed: int) -> Codec:
    """Return principal components of all rows, for the step that a part of them gave."""
    codec = linear_codec(rows, LINEAR_CODES, scaling, seed)
    least = min(DEPTHS) * found.step / 2
    used = np.flatnonzero((np.abs(codec.codes(rows)) > least).any(axis=0))
    codec = linear_codec(rows, used.max(initial=0) + 1, scaling, seed)
    codec.step, codec.is_finest = found.step, found.is_finest
    codec.settle(rows)
    return codec


def trained_codec(autoencoder) -> Codec:
    """Return the codec of an autoencoder whose codes are in steps."""
    return Codec(autoencoder, np.ones(autoencoder.n_components_), TRAINED)


def given_codecs(autoencoder, split: Split) -> list[Codec]:
    """Return codecs of a fitted autoencoder, with steps by the effects of its codes."""
    found = effects(Codec(autoencoder, np.ones(1), LINEAR), split)
    units = 1 / np.maximum(found, LEAST_EFFECT * found.max() or 1.0)
    return [Codec(autoencoder, units, setting) for setting in (LINEAR, TRAINED)]


def effects(codec: Codec, split: Split) -> np.ndarray:
    """Return by how much each unit of a code changes a row.

    A root mean square in scaled units, measured by moving one code at a time by half its
    standard deviation.
    """
    codes = codec.codes(split.fit)
    moves = codes.std(axis=0) / 2
    moves[moves == 0] = 1.0
    codes = codes[evenly_spaced_indices(len(codes), PROBE_ROWS)]
    base, found = codec.decode(codes), np.empty(len(moves))
    for i, move in enumerate(moves):
        moved = codes.copy()
        moved[:, i] += move
        change = (codec.decode(moved) - base) / split.scale
        found[i] = np.sqrt((change**2).sum(axis=1).mean()) / move
    return found


def is_better(errors: np.ndarray, others: np.ndarray) -> bool:
    """Whether `errors` are smaller than `others` by more than chance, row by row."""
    return select_interpolation({0.0: others, 1.0: errors}) > 0


def quality(X: np.ndarray, found: np.ndarray, peak: float) -> tuple[float, float]:
    """Return R² and the peak signal-to-noise ratio in dB."""
    psnr = metrics.peak_signal_noise_ratio(X, found, data_range=peak)
    return metrics.reconstruction_r2(X, found), psnr


def digest(arrays: Sequence[np.ndarray]) -> bytes:
    """Return 4 bytes that stand for the bytes of `arrays`."""
    found = hashlib.blake2b(digest_size=4)
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.digest()
