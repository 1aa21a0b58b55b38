"""The measures of drawn rows and cells, where the answer is known."""

import numpy as np
import pytest

from benchmarks import _samples, imputation


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(300, 3))


def test_disjoint_sets_are_told_apart(rows):
    few = rows[:100]  # above 255 values trees see bins, whose edges may not lie in the gap
    assert _samples.boosted_accuracy(few + 100, few) == 1
    assert _samples.neighbor_accuracy(rows + 100, rows) == 1
    assert _samples.density_coverage(rows + 100, rows) == (0, 0)


def test_rows_of_one_distribution_are_not_told_apart(rows):
    other = np.random.default_rng(1).normal(size=rows.shape)
    assert abs(_samples.boosted_accuracy(other, rows) - 0.5) < 0.1
    assert abs(_samples.neighbor_accuracy(other, rows) - 0.5) < 0.1
    assert abs(_samples.density_coverage(other, rows)[0] - 1) < 0.2


def test_the_nearest_neighbour_of_a_copy_is_the_original(rows):
    assert _samples.neighbor_accuracy(rows.copy(), rows) == 0


def test_density_and_coverage_by_hand():
    held = np.array([[0.0], [1.0], [3.0]])  # radii with k = 1: 1, 1, 2
    drawn = np.array([[0.5], [0.6], [9.0]])  # in two balls, in two, in none
    density, coverage = _samples.density_coverage(drawn, held, k=1)
    assert density == pytest.approx(4 / 3)
    assert coverage == pytest.approx(2 / 3)


def test_nearness_by_hand():
    fitted, held = np.array([[0.0], [10.0]]), np.array([[2.0], [20.0]])
    drawn = np.array([[0.1], [1.0], [1.9], [9.0]])  # fitted, tie, held, fitted
    assert _samples.nearness(drawn, fitted, held) == pytest.approx(2.5 / 4)


def test_copies_of_fitted_rows_are_near(rows):
    assert _samples.nearness(rows[:150], rows[:150], rows[150:]) == 1


def test_training_on_real_rows_and_on_wrong_labels(rows):
    y = (rows[:, 0] > 0).astype(int)
    assert _samples.trained_accuracy(rows, y, rows, y) == 1
    assert _samples.trained_accuracy(rows, 1 - y, rows, y) == 0


def test_unequal_numbers_of_rows_are_refused(rows):
    with pytest.raises(ValueError, match="299 drawn rows against 300"):
        _samples.neighbor_accuracy(rows[1:], rows)


def test_the_ranked_score_by_hand():
    draws, truth = np.array([[3.0], [0.0], [1.0]]), np.array([2.0])
    half_spread = (3 + 2 + 1) / 3 / 2  # of the mean distance of two draws
    assert imputation.ranked_score(draws, truth) == pytest.approx(4 / 3 - half_spread)


def test_the_ranked_score_of_normal_draws():
    draws = np.random.default_rng(0).normal(size=(20_000, 3))
    expected = (np.sqrt(2) - 1) / np.sqrt(np.pi)  # of a standard normal one at its mean
    assert imputation.ranked_score(draws, np.zeros(3)) == pytest.approx(expected, rel=0.02)
