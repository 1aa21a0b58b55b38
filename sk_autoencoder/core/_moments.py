"""Mergeable moments of rows: the source of scales and of principal axes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import starmap

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from sk_autoencoder.core._data import RowSource
from sk_autoencoder.nn._scalers import Scaler

MAX_PRODUCT_COLUMNS = 1_000  # above, a matrix of products costs more than the axes


@dataclass(frozen=True)
class Moments:
    """Counts, means, sums of squared deviations and ranges of the columns of some rows.

    Parameters
    ----------
    n_observed : ndarray of shape (n_features,)
        Number of observed entries, or the sum of their weights.
    mean : ndarray of shape (n_features,)
        Zero for a column without an observed entry.
    scatter : ndarray of shape (n_features,) or (n_features, n_features)
        Sums of squared deviations from the mean; with two axes, sums of products.
    low, high : ndarray of shape (n_features,)
        Smallest and largest observed entries; NaN for a column without one.

    References
    ----------
    T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm
    for computing sample variances", COMPSTAT 1982, equation 2.1.
    """

    n_observed: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def merge(self, other: "Moments") -> "Moments":
        """Compute the moments of the rows of both, with products if both have them."""
        if self.has_products != other.has_products:
            return self.without_products().merge(other.without_products())
        n = _above_zero(self.n_observed + other.n_observed)
        shift = other.mean - self.mean
        weight = self.n_observed * other.n_observed / n
        between = shift**2 * weight
        if self.has_products:  # all columns have as many entries
            between = np.outer(shift, shift * weight)
        return Moments(
            self.n_observed + other.n_observed,
            self.mean + shift * other.n_observed / n,
            self.scatter + other.scatter + between,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
        )

    def without_products(self) -> "Moments":
        """Drop the sums of products of different columns."""
        return replace(self, scatter=self.sum_of_squares)

    @property
    def has_products(self) -> bool:
        """Whether sums of products of columns are known."""
        return self.scatter.ndim == 2

    @property
    def sum_of_squares(self) -> np.ndarray:
        """Sums of squared deviations from the mean, of shape (n_features,)."""
        return np.diagonal(self.scatter) if self.has_products else self.scatter

    @property
    def variance(self) -> np.ndarray:
        """Variances, of shape (n_features,)."""
        return self.sum_of_squares / _above_zero(self.n_observed)

    @property
    def varies(self) -> np.ndarray:
        """Columns whose variance is more than rounding, by StandardScaler's rule."""
        eps, n = np.finfo(np.float64).eps, self.n_observed
        with np.errstate(over="ignore"):
            rounding = n * eps * self.variance + (n * self.mean * eps) ** 2
        return self.variance > rounding


def _above_zero(n_observed: np.ndarray) -> np.ndarray:
    """Replace zeros by ones: counts may be sums of weights below one."""
    return np.where(n_observed > 0, n_observed, 1)


def measure_moments(
    X,
    indices: np.ndarray,
    flatten: Callable = Scaler.flatten,
    with_products: bool = False,
    weight: np.ndarray | None = None,
) -> Moments:
    """Measure the moments of the rows `indices` of X after `flatten`, in one pass.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Missing entries are NaN.
    indices : ndarray of shape (n_rows,)
    flatten : callable
        Transforms the rows of an array.
    with_products : bool, default=False
        Whether to sum the products of columns too, of dense rows without missing entries.
    weight : ndarray of shape (n_samples,) or None, default=None
        Weight of each row of X: a row of weight 2 counts as two rows.
    """
    return measure_targets(RowSource(X, weight=weight), indices, flatten, with_products)


def measure_targets(
    source: RowSource,
    indices: np.ndarray,
    flatten: Callable = Scaler.flatten,
    with_products: bool = False,
) -> Moments:
    """Measure the moments of the targets that a source has for `indices`, in one pass.

    The parameters are those of :func:`measure_moments`.
    """

    def measure(rows, weight: np.ndarray | None) -> Moments:
        if issparse(rows):
            return _measure_sparse(flatten(rows), weight)
        return _measure_dense(np.asarray(flatten(rows), np.float64), with_products, weight)

    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks the variances
        return reduce(Moments.merge, starmap(measure, source.iter_targets(indices)))


def _measure_sparse(rows, weight: np.ndarray | None) -> Moments:
    mean, variance = mean_variance_axis(rows, axis=0, weights=weight)
    n = np.full(len(mean), float(rows.shape[0] if weight is None else weight.sum()))
    mean, variance = mean.astype(np.float64), variance.astype(np.float64)
    return Moments(n, mean, variance * n, *min_max_axis(rows, axis=0))


def _measure_dense(
    rows: np.ndarray, with_products: bool, weight: np.ndarray | None
) -> Moments:
    low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    if weight is not None:
        return _measure_weighted(rows, with_products, weight, low, high)
    if with_products or not np.isnan(rows.sum()):
        mean = rows.mean(axis=0)
        n, deviation = np.full(len(mean), float(len(rows))), rows - mean
        if with_products:
            return Moments(n, mean, deviation.T @ deviation, low, high)
        scatter = np.einsum("ij,ij->j", deviation, deviation)
        return Moments(n, mean, scatter, low, high)
    is_observed = ~np.isnan(rows)
    n = is_observed.sum(axis=0, dtype=np.float64)
    observed = np.where(is_observed, rows, 0)
    mean = observed.sum(axis=0) / np.maximum(n, 1)
    squares = np.square(np.subtract(rows, mean, out=observed), out=observed)
    return Moments(n, mean, squares.sum(axis=0, where=is_observed), low, high)


def _measure_weighted(
    rows: np.ndarray,
    with_products: bool,
    weight: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> Moments:
    is_observed = ~np.isnan(rows)
    n = weight @ is_observed
    mean = weight @ np.where(is_observed, rows, 0) / _above_zero(n)
    deviation = np.where(is_observed, rows - mean, 0)
    if with_products:
        return Moments(n, mean, (deviation.T * weight) @ deviation, low, high)
    return Moments(n, mean, weight @ deviation**2, low, high)
