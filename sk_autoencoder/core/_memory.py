"""Bounds of memory: how many rows are kept, read, or mapped at once."""

CACHE_BYTES = 64 * 2**20  # of scaled rows that are kept as one tensor
CHUNK_BYTES = 8 * 2**20  # of rows that are read, shuffled or scaled at once
FORWARD_BYTES = 2**20  # of rows that are imputed or mapped at once: they stay in a cache
FORWARD_BYTES_IN_TURN = 2**21  # of float32, where members are applied one after the other
SAMPLE_BYTES = 32 * 2**20  # of a sample of rows that a model is fitted to
BUFFER_BYTES = (
    32 * 2**20
)  # of scaled rows that are shuffled, of rows that are read in chunks

MIN_FORWARD_ROWS = 16  # in one forward pass, however wide the rows are


def rows_within(n_bytes: int, row_bytes: float, n_min: int = 1) -> int:
    """Count the rows that `n_bytes` hold, `n_min` at least."""
    return max(int(n_bytes // row_bytes), n_min)
