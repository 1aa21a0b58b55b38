"""Measures of drawn rows against held-out rows.

Both sets have as many rows each, so that 0.5 is the accuracy of a guess.
"""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors

N_NEIGHBORS = 5


def _stacked(drawn: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(drawn) != len(held):
        raise ValueError(f"{len(drawn)} drawn rows against {len(held)} held-out rows")
    return np.vstack([drawn, held]), np.repeat([0, 1], len(held))


def boosted_accuracy(drawn: np.ndarray, held: np.ndarray, seed: int = 0) -> float:
    """Return how well boosted trees tell `drawn` from `held`, in three folds."""
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(random_state=seed)
    return float(cross_val_score(trees, *_stacked(drawn, held), cv=folds).mean())


def neighbor_accuracy(drawn: np.ndarray, held: np.ndarray) -> float:
    """Return the leave-one-out accuracy of the nearest neighbour: 0 for exact copies."""
    rows, labels = _stacked(drawn, held)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(return_distance=False)
    return float((labels[nearest[:, 0]] == labels).mean())


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
