"""Volumes under surfaces: published check values, the definition, invalid input."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score

from sk_autoencoder.metrics import vus_pr_score, vus_roc_score

VOLUMES = [vus_roc_score, vus_pr_score]


def noisy_scores(seed, n_timestamps, stretches, strength):
    """Labels of stretches, and random scores that are higher near them, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y = np.zeros(n_timestamps)
    for start, end in stretches:
        y[start:end] = 1
    scores = rng.random(n_timestamps)
    scores += strength * np.convolve(y, np.ones(15) / 15, "same")
    return y, (scores - scores.min()) / np.ptp(scores)


FIRST = 0, 600, [(100, 130), (400, 460)], 0.8
SECOND = 1, 1000, [(10, 20), (500, 505), (900, 1000)], 1.5
CHECKED = [  # by the "opt" version of the authors' code, with 250 thresholds
    (FIRST, 0, 0.944673, 0.854601),
    (FIRST, 10, 0.958297, 0.882311),
    (SECOND, 10, 0.993307, 0.972161),
    (SECOND, 40, 0.998085, 0.991355),
    ((2, 400, [(200, 201)], 1.0), 40, 0.962845, 0.072018),
]


@pytest.mark.parametrize(("series", "max_window", "roc", "pr"), CHECKED)
def test_volumes_are_those_of_the_authors(series, max_window, roc, pr):
    y, scores = noisy_scores(*series)
    assert vus_roc_score(y, scores, max_window=max_window) == pytest.approx(roc, abs=1e-6)
    assert vus_pr_score(y, scores, max_window=max_window) == pytest.approx(pr, abs=1e-6)


def extend(y, width):
    """Labels with their buffers, and the ranges of anomalies whose buffers meet."""
    labels, reach, ranges = y.astype(float), width // 2, []
    edges = np.flatnonzero(np.diff(y, prepend=0, append=0))
    for start, end in edges.reshape(-1, 2):  # the end is behind the anomaly
        for t in range(max(start - reach, 0), min(end + reach, len(y))):
            distance = max(start - t, t - end + 1)
            if distance > 0:
                labels[t] += np.sqrt(1 - distance / width)
        if ranges and start - reach < ranges[-1].stop:
            ranges[-1] = slice(ranges[-1].start, end + reach)
        else:
            ranges.append(slice(max(start - reach, 0), end + reach))
    return np.minimum(labels, 1), ranges


def volumes_by_definition(y, scores, max_window):
    """Both volumes, one threshold and one width after the other."""
    thresholds = np.sort(scores)[::-1][np.linspace(0, len(y) - 1, 250).astype(int)]
    areas = []
    for width in range(max_window + 1):
        labels, ranges = extend(y, width)
        roc, recalls, precisions = [(0, 0)], [0], []
        for threshold in thresholds:
            is_found = scores >= threshold
            n_true = labels[is_found].sum()
            n_positives = y.sum() + labels[is_found & (y == 0)].sum() / 2
            share = np.mean([is_found[each].any() for each in ranges])
            recalls.append(min(n_true / n_positives, 1) * share)
            fpr = (is_found.sum() - n_true) / (len(y) - n_positives)
            roc.append((fpr, recalls[-1]))
            precisions.append(n_true / is_found.sum())
        x, height = np.transpose([*roc, (1, 1)])
        areas.append((trapezoid(height, x), np.diff(recalls) @ precisions))
    return np.mean(areas, axis=0)


@pytest.mark.parametrize("seed", range(12))
def test_volumes_follow_their_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 200))
    y = np.repeat(rng.random(n) < 0.1, rng.integers(1, 6, n))[:n].astype(int)
    y[seed % 2 * (n - 1)] = 1  # an anomaly at one end
    scores = rng.integers(0, 6, n) if seed % 3 == 0 else rng.random(n)  # with ties
    width = int(rng.integers(0, 40))
    found = [volume(y, scores, max_window=width) for volume in VOLUMES]
    np.testing.assert_allclose(found, volumes_by_definition(y, scores, width), atol=1e-12)


def test_without_a_buffer_few_timestamps_have_the_areas_of_scikit_learn():
    y, scores = noisy_scores(0, 250, [(100, 130)], 0.4)
    roc, pr = (volume(y, scores, max_window=0) for volume in VOLUMES)
    assert roc == pytest.approx(roc_auc_score(y, scores))
    assert pr == pytest.approx(average_precision_score(y, scores))


def test_only_ranks_count():
    y, scores = noisy_scores(*FIRST)
    given = y > 0, pd.Series(np.exp(5 * scores) - 100)
    for volume in VOLUMES:
        expected = volume(y, scores, max_window=9)
        assert volume(*given, max_window=9) == pytest.approx(expected)
        assert volume(2 * y - 1, scores.tolist(), max_window=9) == expected


@pytest.mark.parametrize("volume", VOLUMES)
def test_invalid_input_is_refused(volume):
    y, scores = [0, 1, 1, 0], [0.1, 0.9, 0.8, 0.2]
    with pytest.warns(UndefinedMetricWarning, match="Only one class is present") as caught:
        assert np.isnan(volume([0, 0, 0, 0], scores, max_window=1))
    assert [each.filename for each in caught] == [__file__]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        volume(y, scores[:3], max_window=1)
    with pytest.raises(ValueError, match="y_score contains NaN"):
        volume(y, [np.nan, 0, 0, 0], max_window=1)
    with pytest.raises(ValueError, match="multiclass format is not supported"):
        volume([0, 1, 2, 0], scores, max_window=1)
    with pytest.raises(ValueError, match=r"labels \[1, 2\]"):
        volume([1, 2, 2, 1], scores, max_window=1)
    with pytest.raises(ValueError, match="max_window == -1"):
        volume(y, scores, max_window=-1)
    with pytest.raises(TypeError, match="max_window must be an instance of"):
        volume(y, scores, max_window=1.5)
