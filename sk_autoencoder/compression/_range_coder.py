"""Columns of integers as bytes, by the range coder of constriction."""

import numpy as np

from sk_autoencoder.compression._entropy import MAX_ESCAPE_BYTES, Table, n_bytes
from sk_autoencoder.utils._optional import require

MAX_ROWS_PER_BYTE = 64  # a short forged blob must not ask for much memory
WORD = 4  # bytes of the coder's words


def coders():
    """Import constriction's coders, or raise an ImportError that names the extra."""
    return require("constriction", extra="compression", purpose="Compression").stream


def encode(columns: list[np.ndarray], tables: list[Table]) -> bytes:
    """Encode the numbers of each column by its table."""
    stream = coders()
    encoder = stream.queue.RangeEncoder()
    escaped = []
    for numbers, table in zip(columns, tables, strict=True):
        symbols = table.symbols(numbers)
        encoder.encode(symbols.astype(np.int32), _model(stream, table))
        _write(stream, encoder, numbers & (2**table.shift - 1), table.shift)
        is_escaped = symbols == len(table.frequencies) - 1
        escaped.append(table.escape_encode(numbers[is_escaped]))
    _write_escaped(stream, encoder, np.concatenate(escaped))
    payload = encoder.get_compressed().astype("<u4").tobytes()
    shortest = -(-len(columns[0]) // MAX_ROWS_PER_BYTE)
    return payload.ljust(-(-shortest // WORD) * WORD, b"\0")


def decode(payload: bytes, tables: list[Table], n_rows: int) -> list[np.ndarray]:
    """Decode columns of `n_rows` numbers each.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    stream = coders()
    if len(payload) % WORD:
        raise ValueError("The compressed rows end in the middle of a word.")
    n_bits = sum(float(table.code_lengths().min()) + table.shift for table in tables)
    is_short = n_rows * n_bits > 8 * len(payload) + 64
    if is_short or n_rows > MAX_ROWS_PER_BYTE * len(payload):
        raise ValueError(
            f"The compressed rows are damaged: {n_rows} rows do not fit into "
            f"{len(payload)} bytes."
        )
    words = np.frombuffer(payload, "<u4").astype(np.uint32)
    decoder = stream.queue.RangeDecoder(words)
    try:
        return _read_columns(stream, decoder, tables, n_rows)
    except AssertionError as error:  # constriction's error for damaged bytes
        raise ValueError(f"The compressed rows are damaged: {error}") from error


def _read_columns(stream, decoder, tables: list[Table], n_rows: int) -> list[np.ndarray]:
    symbols, low_bits = [], []
    for table in tables:
        symbols.append(decoder.decode(_model(stream, table), n_rows).astype(np.int64))
        low_bits.append(_read(stream, decoder, n_rows, table.shift))
    pairs = zip(symbols, tables, strict=True)
    is_escaped = [column == len(table.frequencies) - 1 for column, table in pairs]
    ends = np.cumsum([escaped.sum() for escaped in is_escaped])
    distances = np.split(_read_escaped(stream, decoder, int(ends[-1])), ends[:-1])
    columns = []
    for i, table in enumerate(tables):
        high_bits = symbols[i] + table.low
        high_bits[is_escaped[i]] = table.escape_decode(distances[i])
        columns.append((high_bits << table.shift) | low_bits[i])
    return columns


def _model(stream, table: Table):
    return stream.model.Categorical(table.frequencies.astype(np.float64), perfect=False)


def _write(stream, encoder, numbers: np.ndarray, n_bits: int) -> None:
    """Write the low `n_bits` of each number verbatim."""
    for start in range(0, n_bits, 16):
        width = min(n_bits - start, 16)
        word = (numbers >> start) & (2**width - 1)
        encoder.encode(word.astype(np.int32), stream.model.Uniform(2**width))


def _read(stream, decoder, n_rows: int, n_bits: int) -> np.ndarray:
    numbers = np.zeros(n_rows, np.int64)
    for start in range(0, n_bits, 16):
        model = stream.model.Uniform(2 ** min(n_bits - start, 16))
        numbers |= decoder.decode(model, n_rows).astype(np.int64) << start
    return numbers


def _write_escaped(stream, encoder, numbers: np.ndarray) -> None:
    """Write the number of bytes of each number, then the bytes."""
    lengths = n_bytes(numbers)
    encoder.encode((lengths - 1).astype(np.int32), stream.model.Uniform(MAX_ESCAPE_BYTES))
    for i in range(MAX_ESCAPE_BYTES):
        _write(stream, encoder, numbers[lengths > i] >> (8 * i), 8)


def _read_escaped(stream, decoder, n_numbers: int) -> np.ndarray:
    lengths = decoder.decode(stream.model.Uniform(MAX_ESCAPE_BYTES), n_numbers) + 1
    numbers = np.zeros(n_numbers, np.int64)
    for i in range(MAX_ESCAPE_BYTES):
        has_byte = lengths > i
        numbers[has_byte] |= _read(stream, decoder, int(has_byte.sum()), 8) << (8 * i)
    return numbers
