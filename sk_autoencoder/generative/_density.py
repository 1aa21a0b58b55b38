"""The density of codes."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Parts of a mixture: one for so many codes up to `FEW_PARTS`; many parts need more codes
# each, by the entries of a covariance, or they would be found around single rows.
CODES_PER_COMPONENT, MAX_COMPONENTS_BY_COUNT = 30, 25
MIN_CODES_PER_COMPONENT, CODES_PER_COVARIANCE_ENTRY, MAX_COMPONENTS = 60, 0.75, 80


def n_mixture_components(n_codes: int, n_components: int) -> int:
    """Return how many parts a mixture has that is fitted to that many codes."""
    few = min(n_codes // CODES_PER_COMPONENT, MAX_COMPONENTS_BY_COUNT)
    each = max(MIN_CODES_PER_COMPONENT, CODES_PER_COVARIANCE_ENTRY * n_components**2)
    many = min(int(n_codes / each), MAX_COMPONENTS)
    return max(few, many, 1)


def nn_two_sample_accuracy(real: np.ndarray, drawn: np.ndarray) -> float:
    """Return how often the nearest other row is of the same kind; 0.5 is ideal."""
    rows = np.concatenate([real, drawn])
    is_real = np.arange(len(rows)) < len(real)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(return_distance=False)
    return float((is_real[nearest[:, 0]] == is_real).mean())
