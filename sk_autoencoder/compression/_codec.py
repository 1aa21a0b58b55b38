"""A codec: an autoencoder with a quantizer of its codes, from rows to symbols and back."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from sk_autoencoder import metrics
from sk_autoencoder.compression._quantizer import RD_LAMBDA, Quantizer, find_step
from sk_autoencoder.core._data import evenly_spaced_indices
from sk_autoencoder.core._inference import decode, encode
from sk_autoencoder.core._model_selection import hold_out, select_interpolation
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._scaling import make_scaler
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.preprocessing import TableEncoder
from sk_autoencoder.utils._random import seeded_fit

MAX_LINEAR_CODES = 256  # principal components
MAX_SEARCH_ROWS = 3_000  # training rows, and validation rows, of the search for a step
MAX_TABLE_ROWS = 20_000  # training rows of the tables
N_PROBE_ROWS = 64  # rows that measure the sensitivity to a code
MIN_RELATIVE_SENSITIVITY = 1e-6  # in units of the largest sensitivity
STEP_FACTORS = (4.0, 2.0, 1.0, 0.5, 0.25)  # steps of a report, in units of the step


# rd_lambda and use_centroids of the quantizer. A decoder that was trained on noisy codes
# returns the mean of the possible rows already, so it needs no centroids.
LINEAR, TRAINED = (RD_LAMBDA, True), (0.0, False)


class Split(NamedTuple):
    """Training and validation rows, in the units of X."""

    train: np.ndarray  # (n_train, n_features)
    validation: np.ndarray  # (n_validation, n_features)
    scale: np.ndarray  # (n_features,), divisor of the errors
    table: TableEncoder | None  # whose encoded rows they are


class Codec:
    """An autoencoder with a quantizer of its codes.

    Parameters
    ----------
    autoencoder : estimator
        Fitted, with ``transform`` and ``inverse_transform``.
    relative_steps : ndarray of shape (n_codes,)
        Steps of the codes relative to each other.
    setting : tuple of (float, bool)
        ``rd_lambda`` and ``use_centroids`` of the quantizer.
    is_encoded : bool, default=False
        Whether rows are those of an encoded table.
    """

    def __init__(
        self,
        autoencoder,
        relative_steps: np.ndarray,
        setting: tuple,
        is_encoded: bool = False,
    ) -> None:
        self.autoencoder = autoencoder
        self.relative_steps = relative_steps
        self.setting = setting
        self.is_encoded = is_encoded

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Encode `rows` without rounding."""
        if self.is_encoded:
            return self.autoencoder.map_encoded(encode, rows)
        return np.asarray(self.autoencoder.transform(rows), np.float64)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decode `codes`."""
        if self.is_encoded:
            return self.autoencoder.map_encoded(decode, codes)
        return np.asarray(self.autoencoder.inverse_transform(codes), np.float64)

    def make_quantizer(self, codes: np.ndarray, step: float) -> Quantizer:
        """Fit a quantizer to `codes`."""
        return Quantizer(codes, step * self.relative_steps, *self.setting)

    def fit_step(
        self, codes: np.ndarray, validation: np.ndarray, budget: float
    ) -> Quantizer:
        """Find the step at which codes of validation rows take `budget` bits a row.

        One standard error is added to the mean, so that new rows seldom take more. Returns
        the quantizer of `codes` with this step.
        """
        codes = codes[evenly_spaced_indices(len(codes), MAX_SEARCH_ROWS)]
        validation = validation[evenly_spaced_indices(len(validation), MAX_SEARCH_ROWS)]
        widest = (codes.std(axis=0) / self.relative_steps).max(initial=0)

        @cache  # the search looks at the ends of its range twice
        def bits_with(step: float) -> float:
            steps, (rd_lambda, _) = step * self.relative_steps, self.setting
            quantizer = Quantizer(codes, steps, rd_lambda, use_centroids=False)
            bits = quantizer.bits(quantizer.quantize(validation))
            return float(bits.mean() + bits.std() / len(bits) ** 0.5)

        self.step = find_step(bits_with, widest, budget)
        self.is_finest = not widest or bits_with(self.step) < 0.9 * budget
        return self.make_quantizer(codes, self.step)

    def fit_tables(self, rows: np.ndarray) -> None:
        """Fit tables for the step and for all multiples of a report."""
        codes = self.codes(rows[evenly_spaced_indices(len(rows), MAX_TABLE_ROWS)])
        self.quantizers = {
            factor: self.make_quantizer(codes, factor * self.step)
            for factor in STEP_FACTORS
        }

    def numbers(self, rows: np.ndarray, step_factor: float = 1.0) -> np.ndarray:
        """Quantize `rows` to integers (n_samples, n_codes)."""
        return self.quantizers[step_factor].quantize(self.codes(rows))

    def rows(self, numbers: np.ndarray, step_factor: float = 1.0) -> np.ndarray:
        """Decode integers to rows."""
        return self.decode(self.quantizers[step_factor].dequantize(numbers))

    def errors(
        self, quantizer: Quantizer, validation: np.ndarray, split: Split
    ) -> np.ndarray:
        """Compute the squared error of each validation row, in scaled units."""
        rows = self.decode(quantizer.dequantize(quantizer.quantize(validation)))
        return (((rows - split.validation) / split.scale) ** 2).sum(axis=1)

    def fingerprint_arrays(self) -> list[np.ndarray]:
        """Collect the arrays that determine how bytes are decoded."""
        numbers = np.random.default_rng(0).integers(-2, 3, (8, len(self.relative_steps)))
        quantizer = self.quantizers[1.0]
        tables = [np.r_[t.low, t.shift, t.frequencies] for t in quantizer.tables]
        return [self.rows(numbers), quantizer.steps, *tables]


def column_scale(rows: np.ndarray, scaling: str | None) -> np.ndarray:
    """Compute the scale of each column that an autoencoder fitted to `rows` has."""
    return make_scaler(measure_moments(rows, np.arange(len(rows))), scaling).scale.numpy()


def fit_autoencoder(autoencoder, rows: np.ndarray, table: TableEncoder | None):
    """Fit an autoencoder to rows, perhaps to those that `table` has encoded."""
    if table is None:
        return autoencoder.fit(rows, None)
    return autoencoder.fit_members(rows, np.arange(len(rows)), table)


def split(
    rows: np.ndarray, scale: np.ndarray, seed: int, table: TableEncoder | None
) -> Split:
    """Hold out the rows that the fit of an autoencoder with this seed holds out.

    Both draw the rows first, from the same seed: validation rows of the codec must not be
    training rows of its autoencoder.
    """
    with seeded_fit(seed, torch.device("cpu")):
        train, validation = hold_out(len(rows), "auto")
    train = np.arange(len(rows)) if len(train) < 2 else train
    return Split(rows[train], rows[validation], scale, table)


def best_codec(codecs: Sequence[Codec], split: Split, budget: float):
    """Select the codec with the smallest error on validation rows, with its errors.

    Parameters
    ----------
    codecs : sequence of Codec
        Different quantisers of one autoencoder.
    split : Split
    budget : float
        Bits a row.
    """
    codes, validation = codecs[0].codes(split.train), codecs[0].codes(split.validation)
    errors = []
    for codec in codecs:
        quantizer = codec.fit_step(codes, validation, budget)
        errors.append(codec.errors(quantizer, validation, split))
    best = int(np.argmin([error.mean() for error in errors]))
    return codecs[best], errors[best]


def linear_codec(
    rows: np.ndarray,
    n_codes: int,
    scaling: str | None,
    seed: int,
    table: TableEncoder | None,
) -> Codec:
    """Fit a codec of at most `n_codes` principal components of `rows`."""
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
    fitted = fit_autoencoder(pca, rows, table)
    return Codec(fitted, np.ones(n_codes), LINEAR, table is not None)


def refit_linear_codec(
    split_codec: Codec,
    rows: np.ndarray,
    scaling: str | None,
    seed: int,
    table: TableEncoder | None,
) -> Codec:
    """Refit a linear codec to all rows, with the step of the codec of training rows."""
    codec = linear_codec(rows, MAX_LINEAR_CODES, scaling, seed, table)
    smallest = min(STEP_FACTORS) * split_codec.step / 2
    nonzero = np.flatnonzero((np.abs(codec.codes(rows)) > smallest).any(axis=0))
    n_codes = nonzero.max(initial=0) + 1
    if n_codes < len(codec.relative_steps):
        codec = linear_codec(rows, n_codes, scaling, seed, table)
    codec.step, codec.is_finest = split_codec.step, split_codec.is_finest
    codec.fit_tables(rows)
    return codec


def trained_codec(autoencoder) -> Codec:
    """Build the codec of an autoencoder whose codes are in units of the step."""
    is_encoded = autoencoder.table_ is not None
    return Codec(autoencoder, np.ones(autoencoder.n_components_), TRAINED, is_encoded)


def user_codecs(autoencoder, split: Split) -> list[Codec]:
    """Build codecs of a user's fitted autoencoder, with steps by the code sensitivity."""
    is_encoded = split.table is not None
    probe = Codec(autoencoder, np.ones(1), LINEAR, is_encoded)
    sensitivity = code_sensitivity(probe, split)
    floor = MIN_RELATIVE_SENSITIVITY * sensitivity.max() or 1.0
    relative_steps = 1 / np.maximum(sensitivity, floor)
    return [
        Codec(autoencoder, relative_steps, setting, is_encoded)
        for setting in (LINEAR, TRAINED)
    ]


def code_sensitivity(codec: Codec, split: Split) -> np.ndarray:
    """Compute the change of a row per unit of each code.

    The change is a root mean square in scaled units. One code at a time is shifted by half
    its standard deviation.
    """
    codes = codec.codes(split.train)
    shifts = codes.std(axis=0) / 2
    shifts[shifts == 0] = 1.0
    codes = codes[evenly_spaced_indices(len(codes), N_PROBE_ROWS)]
    rows, sensitivity = codec.decode(codes), np.empty(len(shifts))
    for i, shift in enumerate(shifts):
        shifted = codes.copy()
        shifted[:, i] += shift
        change = (codec.decode(shifted) - rows) / split.scale
        sensitivity[i] = np.sqrt((change**2).sum(axis=1).mean()) / shift
    return sensitivity


def is_better(errors: np.ndarray, others: np.ndarray) -> bool:
    """Check whether `errors` are smaller than `others` by 1.5 standard errors."""
    return select_interpolation({0.0: others, 1.0: errors}) > 0


def quality(X, rows, scale: np.ndarray, peak: float) -> tuple[float, float]:
    """Compute R² in scaled units and the peak signal-to-noise ratio in dB."""
    psnr = metrics.peak_signal_noise_ratio(X, rows, data_range=peak)
    return metrics.reconstruction_r2(X / scale, rows / scale), psnr


def fingerprint(arrays: Sequence[np.ndarray]) -> bytes:
    """Hash `arrays` to 4 bytes."""
    digest = hashlib.blake2b(digest_size=4)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
