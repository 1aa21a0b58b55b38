"""Measures of drawn rows against held-out rows.

Both sets have as many rows each, so that 0.5 is the accuracy of a guess.
"""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import NearestNeighbors

from sk_autoencoder.metrics import two_sample_accuracy
from sk_autoencoder.metrics._samples import nn_two_sample_accuracy

N_NEIGHBORS = 5


def finish(drawn: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return `drawn` in the range of the rows X, whole numbers rounded."""
    whole = (X % 1 == 0).all(axis=0)
    drawn = np.where(whole, drawn.round(), drawn)
    return drawn.clip(X.min(axis=0), X.max(axis=0))


def _check_sizes(drawn: np.ndarray, held: np.ndarray) -> None:
    if len(drawn) != len(held):
        raise ValueError(f"{len(drawn)} drawn rows against {len(held)} held-out rows")


def boosted_accuracy(drawn: np.ndarray, held: np.ndarray, seed: int = 0) -> float:
    """Return how well boosted trees tell `drawn` from `held`, in three folds."""
    _check_sizes(drawn, held)
    return two_sample_accuracy(held, drawn, random_state=seed)


def neighbor_accuracy(drawn: np.ndarray, held: np.ndarray) -> float:
    """Return the leave-one-out accuracy of the nearest neighbour: 0 for exact copies."""
    _check_sizes(drawn, held)
    return nn_two_sample_accuracy(drawn, held)


def density_coverage(
    drawn: np.ndarray, held: np.ndarray, k: int = N_NEIGHBORS
) -> tuple[float, float]:
    """Return density and coverage (Naeem et al. 2020, equations 4 and 5).

    The balls around held-out rows are open, as in the authors' code.
    """
    radii = NearestNeighbors(n_neighbors=k).fit(held).kneighbors()[0][:, -1]
    nearest = NearestNeighbors(n_neighbors=len(drawn)).fit(drawn).kneighbors(held)[0]
    inside = nearest < radii[:, None]  # (n_held, n_drawn)
    density = inside.sum() / (k * len(drawn))
    return float(density), float(inside.any(axis=1).mean())


def nearness(
    drawn: np.ndarray, fitted: np.ndarray, held: np.ndarray, seed: int = 0
) -> float:
    """Return the share of `drawn` nearer to `fitted` than to `held`; ties count half.

    As many of the fitted rows are drawn as there are held-out ones.
    """
    rows = np.random.default_rng(seed).permutation(len(fitted))[: len(held)]
    far = [
        NearestNeighbors(n_neighbors=1).fit(X).kneighbors(drawn)[0][:, 0]
        for X in (fitted[rows], held)
    ]
    return float((far[0] < far[1]).mean() + (far[0] == far[1]).mean() / 2)


def trained_accuracy(drawn, labels, held, y, seed: int = 0) -> float:
    """Return the accuracy on real rows of trees that were fitted to `drawn`."""
    return float(ExtraTreesClassifier(random_state=seed).fit(drawn, labels).score(held, y))
