"""Tables of frequencies: the entropy model of integers.

Frequencies are integers, so that rounding cannot change the bytes of a coder.
"""

from typing import NamedTuple

import numpy as np

MAX_INNER_LEVELS = 256  # symbols of the middle 98 % of the numbers
MAX_LEVELS = 2048  # symbols of a table, without the escape
MARGIN_STD = 6  # standard deviations by which a table exceeds the range of the numbers
TOTAL_FREQUENCY = 2**20  # approximate sum of the frequencies of a table
# Weights of the smooth distribution, in rows.
PRIOR_WEIGHTS = np.array([0.5, 2.0, 8.0, 32.0, 128.0, 512.0])
MIN_STD = 0.1  # of the smooth distribution
MAX_ESCAPE_BYTES = 8  # of a number outside a table
MAX_SYMBOL = 2**52  # exact as a float


class Table(NamedTuple):
    """Frequencies of the symbols of integers, for an entropy coder.

    The symbol of a number is the number without its `shift` low bits, minus `low`. The last
    symbol is the escape, for numbers outside the table.
    """

    low: int
    shift: int  # number of low bits, which are coded verbatim
    frequencies: np.ndarray  # (n_levels + 1,), integers that sum to about 2**20

    def symbols(self, numbers: np.ndarray) -> np.ndarray:
        """Map each number to its symbol."""
        n_levels = len(self.frequencies) - 1
        symbol = (numbers >> self.shift) - self.low
        return np.where((symbol >= 0) & (symbol < n_levels), symbol, n_levels)

    def code_lengths(self) -> np.ndarray:
        """Compute the bits of each symbol, without the low bits of a number."""
        return -np.log2(self.frequencies / self.frequencies.sum())

    def bits(self, numbers: np.ndarray) -> np.ndarray:
        """Compute the bits of each number with an ideal entropy coder."""
        code_lengths, symbols = self.code_lengths(), self.symbols(numbers)
        bits = code_lengths[symbols] + self.shift
        is_escaped = symbols == len(code_lengths) - 1
        if is_escaped.any():
            escape_bytes = n_bytes(self.escape_encode(numbers[is_escaped]))
            bits[is_escaped] += np.log2(MAX_ESCAPE_BYTES) + 8 * escape_bytes
        return bits

    def escape_encode(self, numbers: np.ndarray) -> np.ndarray:
        """Encode the distance of numbers outside the table: even above it, odd below it."""
        symbol = (numbers >> self.shift) - self.low
        above = symbol - len(self.frequencies) + 1
        return np.where(symbol < 0, -2 * symbol - 1, 2 * above)

    def escape_decode(self, distances: np.ndarray) -> np.ndarray:
        """Decode distances to numbers without their low bits."""
        below = self.low - (distances + 1) // 2
        above = self.low + len(self.frequencies) - 1 + distances // 2
        return np.where(distances % 2, below, above)


def fit_table(numbers: np.ndarray, center: float, spread: float) -> Table:
    """Fit a table to integers `numbers` of shape (n_rows,).

    Counts are mixed with a logistic distribution of mean `center` and standard deviation
    `spread`. The weight of the distribution maximises the leave-one-out likelihood.
    """
    last = len(numbers) - 1
    order = [last // 100, last // 2, last - last // 100]
    low, middle, high = np.partition(numbers, order)[order]
    spread = max(spread, MIN_STD)
    shift = max(int(np.ceil(np.log2(max(high - low, 1) / MAX_INNER_LEVELS))), 0)
    reach = min(int(np.ceil(MARGIN_STD * spread)) + 1, MAX_SYMBOL)
    shifted = numbers >> shift
    low = max((numbers.min() - reach) >> shift, (middle >> shift) - MAX_LEVELS // 2)
    high = min((numbers.max() + reach) >> shift, (middle >> shift) + MAX_LEVELS // 2 - 1)
    inside = shifted[(shifted >= low) & (shifted <= high)] - low
    counts = np.bincount(inside, minlength=high - low + 2)
    counts[-1] = len(numbers) - len(inside)
    edges = (np.arange(low, high + 2) * 2.0**shift - 0.5 - center) / spread
    below = _logistic(edges)
    smooth = np.zeros(len(counts))
    np.subtract(below[1:], below[:-1], out=smooth[:-1])
    smooth[-1] = max(1 - smooth.sum(), 1 / TOTAL_FREQUENCY)
    probabilities = _mix(counts, smooth / smooth.sum())
    return Table(
        int(low),
        shift,
        np.maximum(np.rint(probabilities * TOTAL_FREQUENCY), 1).astype(np.int64),
    )


def _logistic(x: np.ndarray) -> np.ndarray:
    """Compute the logistic distribution function of unit variance."""
    return (1 + np.tanh(x * (np.pi / 3**0.5 / 2))) / 2


def _mix(counts: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Mix `counts` with `smooth` probabilities."""
    is_observed, n_rows = counts > 0, counts.sum()
    c, p = counts[is_observed], smooth[is_observed] + 1e-12

    weights = PRIOR_WEIGHTS[:, None]
    likelihoods = c * np.log((c - 1 + weights * p) / (n_rows - 1 + weights))
    weight = PRIOR_WEIGHTS[likelihoods.sum(axis=1).argmax()]
    return (counts + weight * smooth) / (n_rows + weight)


def n_bytes(numbers: np.ndarray) -> np.ndarray:
    """Count the bytes of each number, at least one."""
    steps = 2 ** (8 * np.arange(1, MAX_ESCAPE_BYTES, dtype=np.uint64))
    return 1 + np.searchsorted(steps, numbers.astype(np.uint64), side="right")
