"""Codes as whole numbers: one step for all, tables for each, found for a budget."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from sk_autoencoder.compression._coding import LARGEST, Table, fit_table

FRUGALITY = 2 * np.log(2) / 12  # squared steps that a bit is worth where steps are small
ROUNDS = 2  # of rounding by the bits of the tables, and tables of what was rounded
SHRINKAGE = 4  # rows that the middle of a step counts for, beside the mean of its codes
FINEST, COARSEST = 2.0**-24, 2.0**6  # step, in standard deviations of the widest code
PRECISION = 0.005  # of the step, in powers of 2


class Quantiser:
    """Rounds each code to multiples of its step, frugally, and knows the bits of each.

    A code goes to the neighbouring multiple for which the squared error plus `frugality`
    times the bits is less [1]_.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_codes)
        What tables and means are learned from.
    steps : ndarray of shape (n_codes,)
        In the units of the codes.
    frugality : float
        Squared steps that a bit is worth; 0 rounds to the nearest.
    centred : bool
        Whether a number stands for the mean of the codes that went there, or the multiple
        itself.

    References
    ----------
    .. [1] P. A. Chou, T. Lookabaugh and R. M. Gray, "Entropy-constrained vector
       quantization", IEEE Transactions on Acoustics, Speech, and Signal Processing 37,
       1989.
    """

    def __init__(
        self, codes: np.ndarray, steps: np.ndarray, frugality: float, centred: bool
    ) -> None:
        self.steps = steps
        self.frugality = frugality
        scaled = self._scale(codes)
        numbers = np.rint(scaled).astype(np.int64)
        self.tables = self._fit_tables(scaled, numbers)
        for _ in range(ROUNDS if frugality else 0):
            numbers = self.quantise(codes)
            self.tables = self._fit_tables(scaled, numbers)
        pairs = zip(self.tables, scaled.T, numbers.T, strict=True)
        self.offsets = [_offsets(*pair) for pair in pairs] if centred else None

    @staticmethod
    def _fit_tables(scaled: np.ndarray, numbers: np.ndarray) -> list[Table]:
        return [
            fit_table(column, float(mean), float(std))
            for column, mean, std in zip(
                numbers.T, scaled.mean(axis=0), scaled.std(axis=0), strict=True
            )
        ]

    def _scale(self, codes: np.ndarray) -> np.ndarray:
        return np.clip(codes / self.steps, -LARGEST, LARGEST)

    def quantise(self, codes: np.ndarray) -> np.ndarray:
        """Return the whole numbers (n_samples, n_codes) that stand for `codes`."""
        scaled = self._scale(codes)
        if not self.frugality:
            return np.rint(scaled).astype(np.int64)
        columns = [self._round(*pair) for pair in zip(scaled.T, self.tables, strict=True)]
        return np.stack(columns, axis=1)

    def _round(self, scaled: np.ndarray, table: Table) -> np.ndarray:
        below = np.floor(scaled).astype(np.int64)
        rest = scaled - below
        less_bits = table.bits(below) - table.bits(below + 1)
        # rest² + f * bits_below > (1 - rest)² + f * bits_above
        return below + (2 * rest - 1 + self.frugality * less_bits > 0)

    def dequantise(self, numbers: np.ndarray) -> np.ndarray:
        """Return the codes that whole numbers (n_samples, n_codes) stand for."""
        codes = numbers.astype(np.float64)
        for i, offsets in enumerate(self.offsets or ()):
            codes[:, i] += offsets[self.tables[i].places(numbers[:, i])]
        return codes * self.steps

    def bits(self, numbers: np.ndarray) -> np.ndarray:
        """Return the bits of each row of whole numbers (n_samples, n_codes)."""
        columns = zip(self.tables, numbers.T, strict=True)
        return sum((t.bits(c) for t, c in columns), np.zeros(len(numbers)))


def _offsets(table: Table, scaled: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return what to add to the number at each place of a table."""
    size = len(table.frequencies)
    if table.shift:
        return np.zeros(size)
    place = table.places(numbers)
    counts = np.bincount(place, minlength=size)
    sums = np.bincount(place, scaled - numbers, minlength=size)
    offsets = sums / (counts + SHRINKAGE)
    offsets[-1] = 0
    return offsets


def find_step(bits_with: Callable[[float], float], widest: float, budget: float) -> float:
    """Return the step that needs as many bits as the budget, or the finest one.

    Codes that do not vary have a step of 1.

    Parameters
    ----------
    bits_with : callable
        Mean bits a row for a step.
    widest : float
        Standard deviation of the widest code, in the unit of the step.
    budget : float
        Bits a row.
    """
    if not widest:
        return 1.0
    low, high = np.log2(widest * FINEST), np.log2(widest * COARSEST)

    def too_many(log_step: float) -> float:
        return float(np.log((1 + bits_with(2**log_step)) / (1 + budget)))

    if too_many(low) <= 0:
        return float(2**low)
    if too_many(high) >= 0:
        return float(2**high)
    return float(2 ** brentq(too_many, low, high, xtol=PRECISION, rtol=PRECISION))
