"""The size of the density of codes, and a two-sample test of sampled rows."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Small mixtures: one component for 30 codes, up to 25 components.
CODES_PER_COMPONENT, MAX_SMALL_MIXTURE = 30, 25
# Large mixtures, up to 80 components: enough codes for each covariance, since components
# would otherwise settle on single rows.
MIN_CODES_PER_COMPONENT, CODES_PER_COVARIANCE_ENTRY, MAX_LARGE_MIXTURE = 60, 0.75, 80


def n_mixture_components(n_codes: int, n_dims: int) -> int:
    """Choose the number of components of a mixture of `n_codes` codes of `n_dims`."""
    n_small = min(n_codes // CODES_PER_COMPONENT, MAX_SMALL_MIXTURE)
    n_needed = max(MIN_CODES_PER_COMPONENT, CODES_PER_COVARIANCE_ENTRY * n_dims**2)
    n_large = min(int(n_codes / n_needed), MAX_LARGE_MIXTURE)
    return max(n_small, n_large, 1)


def nn_two_sample_accuracy(real: np.ndarray, sampled: np.ndarray) -> float:
    """Compute the accuracy of a nearest-neighbour two-sample test; 0.5 is ideal.

    The test classifies each row as real or sampled by its nearest other row.
    """
    rows = np.concatenate([real, sampled])
    is_real = np.arange(len(rows)) < len(real)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(return_distance=False)
    return float((is_real[nearest[:, 0]] == is_real).mean())
