"""Measures of anomaly scores of time series: volumes under surfaces."""

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import (
    assert_all_finite,
    check_consistent_length,
    check_scalar,
    column_or_1d,
)
from sklearn.utils.multiclass import type_of_target

N_THRESHOLDS = 250  # of the published definition


def vus_roc_score(y_true, y_score, *, max_window: int) -> float:
    r"""Compute the volume under the ROC surface (VUS-ROC) of a time series.

    Labels of time series are vague at the ends of an anomaly, and a detector that fires a
    little early is of use. Labels are therefore extended by a buffer around each anomaly,
    in which they fall from 1 to :math:`\sqrt{1/2}`. The surface is the ROC curve over
    thresholds and widths of the buffer, and the volume is its mean area over widths [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_timestamps,)
        Labels in the order of time: 1 or True for anomalies, 0 or -1 for the others.
    y_score : array-like of shape (n_timestamps,)
        Anomaly scores: the higher, the more abnormal. For a detector, minus its
        ``score_samples``.
    max_window : int
        Largest width of the buffer, in timestamps, both sides together. [1]_ takes the
        length of a typical anomaly, and [2]_ the period of the series. 0 leaves the labels
        as they are.

    Returns
    -------
    volume : float
        In [0, 1]; 1 is ideal, and scores without information have about 0.5. NaN if there
        is only one class.

    Raises
    ------
    ValueError
        If the labels are not binary, an entry is missing, lengths differ, or `max_window`
        is negative.
    TypeError
        If `max_window` is not an integer.

    Warns
    -----
    UndefinedMetricWarning
        If `y_true` has only one class.

    See Also
    --------
    vus_pr_score : The volume under the precision-recall surface.
    sklearn.metrics.roc_auc_score : The area for timestamps without an order.

    Notes
    -----
    With labels :math:`l_t` in [0, 1], extended by a buffer of width :math:`w`, and the
    timestamps :math:`P` above one of 250 thresholds, the counts are

    .. math:: \mathrm{TP} = \sum_{t \in P} l_t, \qquad
       \mathrm{FP} = |P| - \mathrm{TP}, \qquad
       N_1 = |A| + \frac{1}{2} \sum_{t \in P \setminus A} l_t

    where :math:`A` are the timestamps with the label 1 before the extension. The recall is
    :math:`\mathrm{TP} / N_1`, at most 1, times the share of anomalies with a timestamp in
    :math:`P`, buffers included; anomalies whose buffers meet count as one. The false
    positive rate is :math:`\mathrm{FP} / (n - N_1)`, and the precision
    :math:`\mathrm{TP} / |P|`. These are the numbers of the "opt" version of the authors'
    code, which [2]_ uses too.

    The 250 thresholds are scores at evenly spaced ranks. Timestamps with equal scores are
    all above a threshold or none, so that rounding scores changes the volume.

    References
    ----------
    .. [1] J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore and M. J. Franklin,
       "Volume under the surface: a new accuracy evaluation measure for time-series anomaly
       detection", PVLDB 15, 2022.
    .. [2] Q. Liu and J. Paparrizos, "The elephant in the room: towards a reliable
       time-series anomaly detection benchmark", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import roc_auc_score
    >>> from sk_autoencoder.metrics import vus_roc_score
    >>> y_true, y_score = np.zeros(500, int), np.zeros(500)
    >>> y_true[200:220] = 1
    >>> y_score[195:215] = 1  # early by 5 timestamps
    >>> print(f"{roc_auc_score(y_true, y_score):.3f}")
    0.870
    >>> print(f"{vus_roc_score(y_true, y_score, max_window=20):.3f}")
    0.918
    """
    curves = _find_curves(y_true, y_score, max_window, "ROC")
    if curves is None:
        return float("nan")
    areas = [trapezoid(np.r_[0, tpr, 1], np.r_[0, fpr, 1]) for tpr, fpr, _ in curves]
    return float(np.mean(areas))


def vus_pr_score(y_true, y_score, *, max_window: int) -> float:
    """Compute the volume under the precision-recall surface (VUS-PR) of a time series.

    It is the measure that the benchmark TSB-AD ranks detectors by [2]_. The surface is the
    precision-recall curve over thresholds and widths of a buffer around each anomaly [1]_.
    The Notes of :func:`vus_roc_score` define recall and precision.

    Parameters
    ----------
    y_true : array-like of shape (n_timestamps,)
        Labels in the order of time: 1 or True for anomalies, 0 or -1 for the others.
    y_score : array-like of shape (n_timestamps,)
        Anomaly scores: the higher, the more abnormal. For a detector, minus its
        ``score_samples``.
    max_window : int
        Largest width of the buffer, in timestamps, both sides together. [1]_ takes the
        length of a typical anomaly, and [2]_ the period of the series. 0 leaves the labels
        as they are.

    Returns
    -------
    volume : float
        In [0, 1]; 1 is ideal. Scores without information have about the share of
        anomalous timestamps. NaN if there is only one class.

    Raises
    ------
    ValueError
        If the labels are not binary, an entry is missing, lengths differ, or `max_window`
        is negative.
    TypeError
        If `max_window` is not an integer.

    Warns
    -----
    UndefinedMetricWarning
        If `y_true` has only one class.

    See Also
    --------
    vus_roc_score : The volume under the ROC surface.
    sklearn.metrics.average_precision_score : The area for timestamps without an order.

    References
    ----------
    .. [1] J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore and M. J. Franklin,
       "Volume under the surface: a new accuracy evaluation measure for time-series anomaly
       detection", PVLDB 15, 2022.
    .. [2] Q. Liu and J. Paparrizos, "The elephant in the room: towards a reliable
       time-series anomaly detection benchmark", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder.metrics import vus_pr_score
    >>> y_true, y_score = np.zeros(500, int), np.zeros(500)
    >>> y_true[200:220] = 1
    >>> y_score[195:215] = 1  # early by 5 timestamps
    >>> print(f"{vus_pr_score(y_true, y_score, max_window=0):.3f}")
    0.573
    >>> print(f"{vus_pr_score(y_true, y_score, max_window=20):.3f}")
    0.771
    """
    curves = _find_curves(y_true, y_score, max_window, "precision-recall")
    if curves is None:
        return float("nan")
    areas = [np.diff(tpr, prepend=0) @ precision for tpr, _, precision in curves]
    return float(np.mean(areas))


class Curve(NamedTuple):
    """Rates at each threshold, from the highest to the lowest, (n_thresholds,)."""

    tpr: np.ndarray  # recall
    fpr: np.ndarray
    precision: np.ndarray


def _find_curves(y_true, y_score, max_window, name: str) -> Iterator[Curve] | None:
    """Check the arguments, and compute a curve for each width; None for one class."""
    is_anomaly, scores = _check_labels(y_true, y_score)
    check_scalar(max_window, "max_window", Integral, min_val=0)
    if is_anomaly.all() or not is_anomaly.any():
        warnings.warn(
            f"Only one class is present in y_true. The {name} surface is not defined in "
            "that case.",
            UndefinedMetricWarning,
            stacklevel=3,
        )
        return None
    return _iter_curves(is_anomaly, scores, max_window)


def _check_labels(y_true, y_score) -> tuple[np.ndarray, np.ndarray]:
    """Check labels and scores, and mark the timestamps of anomalies."""
    y_true, y_score = column_or_1d(y_true), column_or_1d(y_score)
    check_consistent_length(y_true, y_score)
    assert_all_finite(y_true, input_name="y_true")
    assert_all_finite(y_score, input_name="y_score")
    kind = type_of_target(y_true, input_name="y_true")
    if kind != "binary":
        raise ValueError(f"{kind} format is not supported: y_true has to be binary.")
    if not np.isin(y_true, [-1, 0, 1]).all():
        raise ValueError(
            f"y_true has the labels {np.unique(y_true).tolist()}. Mark anomalies by 1 or "
            "True, and other timestamps by 0, -1 or False."
        )
    return y_true == 1, y_score.astype(np.float64)


def _iter_curves(
    is_anomaly: np.ndarray, scores: np.ndarray, max_window: int
) -> Iterator[Curve]:
    """Compute the curve of each width from 0 to `max_window`.

    Labels are never extended as an array. Timestamps outside the anomalies are counted by
    distance and threshold, and each width weights these counts.
    """
    n, n_anomalous = len(scores), is_anomaly.sum()
    thresholds = -np.sort(-scores)[np.linspace(0, n - 1, N_THRESHOLDS).astype(int)]
    first = np.searchsorted(-thresholds, -scores)  # threshold that a timestamp is above
    n_predicted = np.cumsum(np.bincount(first, minlength=N_THRESHOLDS))
    n_inside = np.cumsum(np.bincount(first[is_anomaly], minlength=N_THRESHOLDS))
    buffers = Buffers(is_anomaly, first, max_window // 2)
    for width in range(max_window + 1):
        n_buffered = np.cumsum(buffers.weigh(width))
        true_positives = n_inside + n_buffered
        n_positives = n_anomalous + n_buffered / 2
        recall = np.minimum(true_positives / n_positives, 1)
        yield Curve(
            recall * buffers.detected_share(width // 2),
            (n_predicted - true_positives) / (n - n_positives),
            true_positives / n_predicted,
        )


class Buffers:
    """Counts of timestamps near anomalies, by distance and by threshold.

    Parameters
    ----------
    is_anomaly : ndarray of shape (n_timestamps,)
    first : ndarray of shape (n_timestamps,)
        Index of the first threshold that each timestamp is above.
    reach : int
        Largest distance from an anomaly, in timestamps.
    """

    def __init__(self, is_anomaly: np.ndarray, first: np.ndarray, reach: int) -> None:
        edges = np.diff(is_anomaly.astype(np.int8), prepend=0, append=0)
        self.starts = np.flatnonzero(edges == 1)
        self.ends = np.flatnonzero(edges == -1) - 1
        self.first = first
        outside = np.flatnonzero(~is_anomaly)
        nearest, second = _two_nearest(outside, self.starts, self.ends)
        is_near = nearest <= reach
        nearest, second = nearest[is_near], second[is_near]
        bins = first[outside[is_near]]
        shape = reach + 1, N_THRESHOLDS
        self.counts = _count_pairs(nearest, bins, shape)  # within one buffer
        # Timestamps that are within a second buffer have the label 1 from there on.
        is_twice = second <= reach
        order = np.argsort(second[is_twice], kind="stable")
        self.twice = nearest[is_twice][order], bins[is_twice][order]
        self.twice_ends = np.searchsorted(second[is_twice][order], np.arange(reach + 1) + 1)
        self.n_twice = np.zeros(N_THRESHOLDS)
        self.n_moved = 0  # timestamps of `twice` that have moved from `counts` to `n_twice`
        self.first_detected = np.minimum.reduceat(
            np.append(first, N_THRESHOLDS),
            np.ravel([self.starts, self.ends + 1], order="F"),
        )[::2]

    def weigh(self, width: int) -> np.ndarray:
        """Sum the labels outside the anomalies, by first threshold; widths have to rise."""
        reach = width // 2
        moved = slice(self.n_moved, self.twice_ends[reach])
        nearest, bins = self.twice[0][moved], self.twice[1][moved]
        self.n_moved = moved.stop
        np.subtract.at(self.counts, (nearest, bins), 1)
        np.add.at(self.n_twice, bins, 1)
        distances = np.arange(1, reach + 1)
        labels = np.sqrt(1 - distances / max(width, 1))
        return labels @ self.counts[1 : reach + 1] + self.n_twice

    def detected_share(self, reach: int) -> np.ndarray:
        """Compute the share of anomalies above each threshold; reaches have to rise.

        Anomalies whose buffers meet are one.
        """
        last = len(self.first) - 1
        for edges in (self.starts - reach, self.ends + reach):
            values = self.first[edges.clip(0, last)]
            np.minimum(self.first_detected, values, out=self.first_detected)
        is_apart = self.ends[:-1] + reach < self.starts[1:] - reach
        merged = np.r_[0, np.flatnonzero(is_apart) + 1]
        detected = np.minimum.reduceat(self.first_detected, merged)
        counts = np.bincount(detected, minlength=N_THRESHOLDS)
        return np.cumsum(counts) / len(merged)


def _two_nearest(
    outside: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances to the two nearest anomalies, in timestamps."""
    far = np.iinfo(np.int64).max // 2
    starts, ends = np.r_[starts, [far] * 2], np.r_[[-far] * 2, ends]
    i = np.searchsorted(starts, outside)  # anomalies before each timestamp
    behind = outside - ends[i + 1], outside - ends[i]
    before = starts[i] - outside, starts[i + 1] - outside
    distances = np.stack([*behind, *before])
    nearest, second = np.partition(distances, 1, axis=0)[:2]
    return nearest, second


def _count_pairs(rows: np.ndarray, columns: np.ndarray, shape: tuple) -> np.ndarray:
    flat = np.ravel_multi_index((rows, columns), shape)
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
