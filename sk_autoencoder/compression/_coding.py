"""Whole numbers as bytes: tables of frequencies, a range coder, and a frame around."""

import struct
import zlib
from typing import NamedTuple

import numpy as np

from sk_autoencoder.utils._optional import require

INNER_LEVELS = 256  # of a table, at least, where the middle 98 % of the numbers are wider
MOST_LEVELS = 2048  # of a table; what lies beyond escapes
MARGIN = 6  # standard deviations beyond what was seen that a table reaches
TOTAL = 2**20  # of the frequencies of a table
PRIOR_ROWS = (0.5, 2.0, 8.0, 32.0, 128.0, 512.0)  # what a smooth table counts for
LEAST_SPREAD = 0.1  # standard deviation of numbers in a column, as a smooth table sees it
BYTES = 8  # of a number that escapes, at most
LARGEST = 2**52  # exact as a float
MAGIC, VERSION = b"skac", 1


# Types of rows, by what a frame calls them.
TYPES = {dtype.str.encode(): dtype for dtype in map(np.dtype, "dfebBhHiIlLqQ?")}
FRAME = struct.Struct("<4sB3sII4sI")  # 24 bytes; the last is a checksum of all the rest


class Table(NamedTuple):
    """Frequencies of whole numbers, less their `shift` last bits, from `low` on.

    The last frequency is that of the escape.
    """

    low: int
    shift: int
    frequencies: np.ndarray  # (n_levels + 1,), integers that sum to about `TOTAL`

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Return the place of each number in the table; the last place is the escape."""
        n_levels = len(self.frequencies) - 1
        place = (numbers >> self.shift) - self.low
        return np.where((place >= 0) & (place < n_levels), place, n_levels)

    def costs(self) -> np.ndarray:
        """Return the bits of each place, without the last bits of a number."""
        return -np.log2(self.frequencies / self.frequencies.sum())

    def bits(self, numbers: np.ndarray) -> np.ndarray:
        """Return what an ideal coder needs for each number."""
        costs, place = self.costs(), self.places(numbers)
        bits = costs[place] + self.shift
        is_out = place == len(costs) - 1
        bits[is_out] += np.log2(BYTES) + 8 * _n_bytes(self.excess(numbers[is_out]))
        return bits

    def excess(self, numbers: np.ndarray) -> np.ndarray:
        """Return how far outside the table numbers are: even above it, odd below it."""
        place = (numbers >> self.shift) - self.low
        above = place - len(self.frequencies) + 1
        return np.where(place < 0, -2 * place - 1, 2 * above)

    def outside(self, excess: np.ndarray) -> np.ndarray:
        """Return the numbers, less their last bits, that :meth:`excess` gives."""
        below = self.low - (excess + 1) // 2
        above = self.low + len(self.frequencies) - 1 + excess // 2
        return np.where(excess % 2, below, above)


def fit_table(numbers: np.ndarray, center: float, spread: float) -> Table:
    """Return a table for whole numbers like `numbers`, of shape (n_rows,).

    Counts are mixed with a logistic distribution around `center` with the standard
    deviation `spread`, at the weight that is best for numbers left out one by one.
    """
    last = len(numbers) - 1
    order = [last // 100, last // 2, last - last // 100]
    low, middle, high = np.partition(numbers, order)[order]
    spread = max(spread, LEAST_SPREAD)
    shift = max(int(np.ceil(np.log2(max(high - low, 1) / INNER_LEVELS))), 0)
    reach = min(int(np.ceil(MARGIN * spread)) + 1, LARGEST)
    shifted = numbers >> shift
    low = max((numbers.min() - reach) >> shift, (middle >> shift) - MOST_LEVELS // 2)
    high = min((numbers.max() + reach) >> shift, (middle >> shift) + MOST_LEVELS // 2 - 1)
    inside = shifted[(shifted >= low) & (shifted <= high)] - low
    counts = np.bincount(inside, minlength=high - low + 1)
    edges = (np.arange(low, high + 2) * 2.0**shift - 0.5 - center) / spread
    smooth = np.append(np.diff(_logistic(edges)), 0)
    smooth[-1] = max(1 - smooth.sum(), 1 / TOTAL)
    shares = _mix(np.append(counts, len(numbers) - len(inside)), smooth / smooth.sum())
    return Table(int(low), shift, np.maximum(np.rint(shares * TOTAL), 1).astype(np.int64))


def _logistic(x: np.ndarray) -> np.ndarray:
    """Return the distribution function of the logistic of unit variance."""
    return (1 + np.tanh(x * (np.pi / 3**0.5 / 2))) / 2


def _mix(counts: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Return shares between those of `counts` and `smooth` ones."""
    seen, n_rows = counts > 0, counts.sum()
    c, p = counts[seen], smooth[seen] + 1e-12

    def left_out(weight: float) -> float:
        return (c * np.log((c - 1 + weight * p) / (n_rows - 1 + weight))).sum()

    weight = max(PRIOR_ROWS, key=left_out)
    return (counts + weight * smooth) / (n_rows + weight)


def _n_bytes(numbers: np.ndarray) -> np.ndarray:
    """Return how many bytes each number needs, at least one."""
    steps = 2 ** (8 * np.arange(1, BYTES, dtype=np.uint64))
    return 1 + np.searchsorted(steps, numbers.astype(np.uint64), side="right")


def coders():
    """Return constriction's coders, or raise an ImportError that names the extra."""
    return require("constriction", extra="compression", purpose="Compression").stream


def encode(columns: list[np.ndarray], tables: list[Table]) -> bytes:
    """Return the numbers of each column as bytes, coded by its table."""
    stream = coders()
    encoder = stream.queue.RangeEncoder()
    escaped = []
    for numbers, table in zip(columns, tables, strict=True):
        places = table.places(numbers)
        encoder.encode(places.astype(np.int32), _model(stream, table))
        _write(stream, encoder, numbers & (2**table.shift - 1), table.shift)
        is_out = places == len(table.frequencies) - 1
        escaped.append(table.excess(numbers[is_out]))
    _write_escaped(stream, encoder, np.concatenate(escaped))
    return encoder.get_compressed().astype("<u4").tobytes()


def decode(payload: bytes, tables: list[Table], n_rows: int) -> list[np.ndarray]:
    """Return the columns of `n_rows` numbers each that :func:`encode` has coded.

    Raises
    ------
    ValueError
        If the bytes hold no such columns.
    """
    stream = coders()
    if len(payload) % 4:
        raise ValueError("The compressed rows end in the middle of a word.")
    least_bits = n_rows * sum(float(table.costs().min()) + table.shift for table in tables)
    if least_bits > 8 * len(payload) + 64:
        raise ValueError(
            f"The compressed rows are damaged: {n_rows} rows do not fit into "
            f"{len(payload)} bytes."
        )
    words = np.frombuffer(payload, "<u4").astype(np.uint32)
    decoder = stream.queue.RangeDecoder(words)
    try:
        return _read_columns(stream, decoder, tables, n_rows)
    except AssertionError as error:  # constriction's word for bytes without a meaning
        raise ValueError(f"The compressed rows are damaged: {error}") from error


def _read_columns(stream, decoder, tables: list[Table], n_rows: int) -> list[np.ndarray]:
    columns, lasts = [], []
    for table in tables:
        places = decoder.decode(_model(stream, table), n_rows).astype(np.int64)
        columns.append(places)
        lasts.append(_read(stream, decoder, n_rows, table.shift))
    is_out = [p == len(t.frequencies) - 1 for p, t in zip(columns, tables, strict=True)]
    ends = np.cumsum([out.sum() for out in is_out])
    excess = np.split(_read_escaped(stream, decoder, int(ends[-1])), ends[:-1])
    for i, table in enumerate(tables):
        upper = columns[i] + table.low
        upper[is_out[i]] = table.outside(excess[i])
        columns[i] = (upper << table.shift) | lasts[i]
    return columns


def _model(stream, table: Table):
    return stream.model.Categorical(table.frequencies.astype(np.float64), perfect=False)


def _write(stream, encoder, numbers: np.ndarray, n_bits: int) -> None:
    """Write the last `n_bits` of each number as they are."""
    for start in range(0, n_bits, 16):
        width = min(n_bits - start, 16)
        part = (numbers >> start) & (2**width - 1)
        encoder.encode(part.astype(np.int32), stream.model.Uniform(2**width))


def _read(stream, decoder, n_rows: int, n_bits: int) -> np.ndarray:
    numbers = np.zeros(n_rows, np.int64)
    for start in range(0, n_bits, 16):
        model = stream.model.Uniform(2 ** min(n_bits - start, 16))
        numbers |= decoder.decode(model, n_rows).astype(np.int64) << start
    return numbers


def _write_escaped(stream, encoder, numbers: np.ndarray) -> None:
    """Write how many bytes each number has, and these."""
    lengths = _n_bytes(numbers)
    encoder.encode((lengths - 1).astype(np.int32), stream.model.Uniform(BYTES))
    for i in range(BYTES):
        _write(stream, encoder, numbers[lengths > i] >> (8 * i), 8)


def _read_escaped(stream, decoder, n_numbers: int) -> np.ndarray:
    lengths = decoder.decode(stream.model.Uniform(BYTES), n_numbers) + 1
    numbers = np.zeros(n_numbers, np.int64)
    for i in range(BYTES):
        some = lengths > i
        numbers[some] |= _read(stream, decoder, int(some.sum()), 8) << (8 * i)
    return numbers


class Frame(NamedTuple):
    """What a blob says of itself."""

    dtype: np.dtype
    n_rows: int
    n_features: int
    fingerprint: bytes  # of the model, 4 bytes


def pack(frame: Frame, payload: bytes) -> bytes:
    """Return the bytes of a frame and what is in it."""
    head = (MAGIC, VERSION, frame.dtype.str.encode(), *frame[1:])
    checksum = zlib.crc32(FRAME.pack(*head, 0) + payload)
    return FRAME.pack(*head, checksum) + payload


def unpack(blob: bytes) -> tuple[Frame, bytes]:
    """Return the frame of a blob and what is in it.

    Raises
    ------
    ValueError
        If the blob is not one, is damaged, or is of another version.
    """
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise TypeError(f"blob has to be bytes, and is a {type(blob).__name__}.")
    blob = bytes(blob)
    if len(blob) < FRAME.size or blob[: len(MAGIC)] != MAGIC:
        raise ValueError(
            f"blob of {len(blob)} bytes is not what compress returns: it has to begin "
            f"with {MAGIC!r} and a header of {FRAME.size} bytes."
        )
    _, version, dtype, *rest, fingerprint, checksum = FRAME.unpack_from(blob)
    if version != VERSION:
        raise ValueError(
            f"blob has format version {version}, and this release reads {VERSION}."
        )
    payload = blob[FRAME.size :]
    if zlib.crc32(blob[: FRAME.size - 4] + bytes(4) + payload) != checksum:
        raise ValueError("blob is damaged or cut short: its checksum does not fit.")
    if dtype not in TYPES:
        raise ValueError(f"blob holds rows of an unknown type {dtype!r}.")
    return Frame(TYPES[dtype], *rest, fingerprint), payload
