"""Scalar quantization of codes: one step for all, a table for each, by a budget."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from sk_autoencoder.compression._entropy import MAX_SYMBOL, Table, fit_table

RD_LAMBDA = 2 * np.log(2) / 12  # squared steps a bit, the slope of high-rate theory
N_REFINEMENTS = 2  # rounds of rate-distortion rounding and new tables
CENTROID_PRIOR_ROWS = 4  # weight of the middle of a step against its training codes
MIN_STEP, MAX_STEP = 2.0**-24, 2.0**6  # in standard deviations of the widest code
LOG_STEP_TOLERANCE = 0.005  # of the base 2 logarithm of the step


class Quantizer:
    """Entropy-constrained scalar quantizer of codes.

    A code is rounded to the neighbouring multiple of its step that minimises the squared
    error plus `rd_lambda` times the bits [1]_.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        Training codes of tables and centroids.
    steps : ndarray of shape (n_codes,)
        In the units of the codes.
    rd_lambda : float
        Squared steps per bit; 0 rounds to the nearest multiple.
    use_centroids : bool
        Whether a number is decoded to the mean of its training codes, or to the
        multiple of the step.

    References
    ----------
    .. [1] P. A. Chou, T. Lookabaugh and R. M. Gray, "Entropy-constrained vector
       quantization", IEEE Transactions on Acoustics, Speech, and Signal Processing 37,
       1989.
    """

    def __init__(
        self, codes: np.ndarray, steps: np.ndarray, rd_lambda: float, use_centroids: bool
    ) -> None:
        self.steps = steps
        self.rd_lambda = rd_lambda
        scaled = self._scale(codes)
        numbers = np.rint(scaled).astype(np.int64)
        self.tables = self._fit_tables(scaled, numbers)
        for _ in range(N_REFINEMENTS if rd_lambda else 0):
            numbers = self.quantize(codes)
            self.tables = self._fit_tables(scaled, numbers)
        pairs = zip(self.tables, scaled.T, numbers.T, strict=True)
        self.offsets = [_offsets(*pair) for pair in pairs] if use_centroids else None

    @staticmethod
    def _fit_tables(scaled: np.ndarray, numbers: np.ndarray) -> list[Table]:
        return [
            fit_table(column, float(mean), float(std))
            for column, mean, std in zip(
                numbers.T, scaled.mean(axis=0), scaled.std(axis=0), strict=True
            )
        ]

    def _scale(self, codes: np.ndarray) -> np.ndarray:
        return np.clip(codes / self.steps, -MAX_SYMBOL, MAX_SYMBOL)

    def quantize(self, codes: np.ndarray) -> np.ndarray:
        """Quantize `codes` to integers (n_samples, n_codes)."""
        scaled = self._scale(codes)
        if not self.rd_lambda:
            return np.rint(scaled).astype(np.int64)
        columns = [self._round(*pair) for pair in zip(scaled.T, self.tables, strict=True)]
        return np.stack(columns, axis=1)

    def _round(self, scaled: np.ndarray, table: Table) -> np.ndarray:
        below = np.floor(scaled).astype(np.int64)
        rest = scaled - below
        bits_below, bits_above = table.bits(np.stack([below, below + 1]))
        saved_bits = bits_below - bits_above
        # Round up if rest² + lambda * bits_below > (1 - rest)² + lambda * bits_above.
        return below + (2 * rest - 1 + self.rd_lambda * saved_bits > 0)

    def dequantize(self, numbers: np.ndarray) -> np.ndarray:
        """Decode integers (n_samples, n_codes) to codes."""
        codes = numbers.astype(np.float64)
        for i, offsets in enumerate(self.offsets or ()):
            codes[:, i] += offsets[self.tables[i].symbols(numbers[:, i])]
        return codes * self.steps

    def bits(self, numbers: np.ndarray) -> np.ndarray:
        """Compute the bits of each row of integers (n_samples, n_codes)."""
        columns = zip(self.tables, numbers.T, strict=True)
        return sum((t.bits(c) for t, c in columns), np.zeros(len(numbers)))


def _offsets(table: Table, scaled: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Compute the offset of the centroid of each symbol from its multiple."""
    size = len(table.frequencies)
    if table.shift:
        return np.zeros(size)
    symbols = table.symbols(numbers)
    counts = np.bincount(symbols, minlength=size)
    sums = np.bincount(symbols, scaled - numbers, minlength=size)
    offsets = sums / (counts + CENTROID_PRIOR_ROWS)
    offsets[-1] = 0
    return offsets


def find_step(bits_with: Callable[[float], float], widest: float, budget: float) -> float:
    """Find the step that meets a budget of bits, within the range of steps.

    Constant codes have a step of 1.

    Parameters
    ----------
    bits_with : callable
        Function from a step to the mean bits a row.
    widest : float
        Standard deviation of the widest code, in the unit of the step.
    budget : float
        Bits a row.
    """
    if not widest:
        return 1.0
    low, high = np.log2(widest * MIN_STEP), np.log2(widest * MAX_STEP)

    def log_excess(log_step: float) -> float:
        return float(np.log((1 + bits_with(2**log_step)) / (1 + budget)))

    if log_excess(low) <= 0:
        return float(2**low)
    if log_excess(high) >= 0:
        return float(2**high)
    log_step = brentq(
        log_excess, low, high, xtol=LOG_STEP_TOLERANCE, rtol=LOG_STEP_TOLERANCE
    )
    return float(2**log_step)
