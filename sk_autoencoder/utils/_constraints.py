"""Constraints of parameters, for scikit-learn's validation."""

from numbers import Integral, Real
from typing import Any

from sk_autoencoder.utils._sklearn_compat import Interval

MAX_COUNT = 2**31 - 1  # what sizes of arrays and loops can be
MAX_WEIGHT = 1e9  # of a penalty: sums of squares in float32 reach 1e38
MAX_NOISE = 1e15  # standard deviation: its square is a variance in float32


class _Count(Interval):
    """Whole numbers of an interval; True and False are none."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Check whether `val` is one of the numbers."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


def count(low: int) -> Interval:
    """Constrain a parameter to whole numbers from `low` on."""
    return _Count(Integral, low, MAX_COUNT, closed="both")


def weight() -> Interval:
    """Constrain a parameter to the weight of a term of the loss; 0 leaves the term out."""
    return Interval(Real, 0, MAX_WEIGHT, closed="both")


def noise() -> Interval:
    """Constrain a parameter to a standard deviation of noise."""
    return Interval(Real, 0, MAX_NOISE, closed="both")
