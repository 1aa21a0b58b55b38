"""The density of codes."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Parts of a mixture: one for so many codes up to `FEW_PARTS`; many parts need more codes
# each, by the entries of a covariance, or they would be found around single rows.
FEW_ROWS, FEW_PARTS = 30, 25
PART_ROWS, ENTRY_ROWS, MANY_PARTS = 60, 0.75, 80


def count_parts(n_codes: int, n_components: int) -> int:
    """Return how many parts a mixture has that is fitted to that many codes."""
    few = min(n_codes // FEW_ROWS, FEW_PARTS)
    each = max(PART_ROWS, ENTRY_ROWS * n_components**2)
    many = min(int(n_codes / each), MANY_PARTS)
    return max(few, many, 1)


def told_apart(real: np.ndarray, drawn: np.ndarray) -> float:
    """Return how often the nearest other row is of the same kind; 0.5 is ideal."""
    rows = np.concatenate([real, drawn])
    is_real = np.arange(len(rows)) < len(real)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(return_distance=False)
    return float((is_real[nearest[:, 0]] == is_real).mean())
