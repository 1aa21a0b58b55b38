"""Measures of rows sampled from a generative model."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_array


def two_sample_accuracy(X, samples, *, estimator=None, cv=3, random_state=None) -> float:
    """Compute the accuracy of a classifier two-sample test; 0.5 is ideal.

    A classifier is trained to tell sampled rows from real ones [1]_.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Real rows. The model that made `samples` should not be fitted to them.
    samples : array-like of shape (n_generated, n_features)
        Sampled rows.
    estimator : classifier or None, default=None
        The classifier, which is cloned. None takes
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`.
    cv : int or cross-validator, default=3
        Number of stratified folds of the shuffled rows, or a splitter.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds and the default classifier.

    Returns
    -------
    accuracy : float
        Cross-validated balanced accuracy: real and sampled rows have the same weight,
        whatever their numbers.

    References
    ----------
    .. [1] D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder.metrics import two_sample_accuracy
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> two_sample_accuracy(X, X + 100, random_state=0)
    1.0
    """
    X = check_array(X, dtype="numeric", ensure_all_finite="allow-nan")
    samples = check_array(samples, ensure_all_finite="allow-nan", input_name="samples")
    if X.shape[1] != samples.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} columns and samples have {samples.shape[1]}. Give rows of "
            "one kind."
        )
    if isinstance(cv, Integral):
        cv = StratifiedKFold(cv, shuffle=True, random_state=random_state)
    if estimator is None:
        estimator = HistGradientBoostingClassifier(random_state=random_state)
    rows, is_real = np.vstack([samples, X]), np.repeat([0, 1], [len(samples), len(X)])
    accuracies = cross_val_score(
        clone(estimator), rows, is_real, cv=cv, scoring="balanced_accuracy"
    )
    return float(accuracies.mean())


def nn_two_sample_accuracy(real: np.ndarray, sampled: np.ndarray) -> float:
    """Compute the accuracy of a nearest-neighbour two-sample test; 0.5 is ideal.

    The test classifies each row as real or sampled by its nearest other row.
    """
    rows = np.concatenate([real, sampled])
    is_real = np.arange(len(rows)) < len(real)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows).kneighbors(return_distance=False)
    return float((is_real[nearest[:, 0]] == is_real).mean())
