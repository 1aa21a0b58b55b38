"""Rubin's rules: one estimate from the analyses of several imputations."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t
from sklearn.utils.validation import check_array


@dataclass(frozen=True)
class PooledEstimate:
    """An estimate pooled over imputations, with its variance.

    All attributes have the shape of one estimate.

    Parameters
    ----------
    estimate : float or ndarray
        Mean of the estimates.
    variance : float or ndarray
        Variance of this mean; it includes the uncertainty of missing values.
    df : float or ndarray
        Degrees of freedom of the t distribution of the estimate.
    missing_fraction : float or ndarray
        Fraction of the variance that missing values cause, from 0 to 1.
    """

    estimate: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    missing_fraction: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """Square root of the variance."""
        return np.sqrt(self.variance)

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Compute a confidence interval.

        Parameters
        ----------
        level : float, default=0.95
            Probability that it holds the true value, between 0 and 1.

        Returns
        -------
        low, high : float or ndarray

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(
                f"level={level!r} has to be a probability between 0 and 1, such as 0.95."
            )
        half = student_t.ppf((1 + level) / 2, self.df) * self.standard_error
        return self.estimate - half, self.estimate + half


def pool(estimates, variances, *, df_complete: float = np.inf) -> PooledEstimate:
    r"""Pool the estimates from several imputations by Rubin's rules [1]_.

    The variance of the mean of :math:`m` estimates is

    .. math:: T = \bar U + (1 + 1 / m) B

    with the mean :math:`\bar U` of their variances and the variance :math:`B` between them.

    Parameters
    ----------
    estimates : array-like of shape (n_imputations, ...)
        The estimate from each imputation: a number or an array, such as coefficients.
    variances : array-like of shape (n_imputations, ...)
        Their variances, squares of standard errors.
    df_complete : float, default=inf
        Degrees of freedom of the estimate if no value were missing: rows less parameters of
        a regression. Few rows ask for it [2]_.

    Returns
    -------
    pooled : PooledEstimate

    Raises
    ------
    ValueError
        If there are fewer than two imputations, shapes differ, a variance is negative or
        `df_complete` is not positive.

    See Also
    --------
    sk_autoencoder.AutoencoderImputer.multiple_impute : Sample several imputations.

    References
    ----------
    .. [1] D. B. Rubin, "Multiple imputation for nonresponse in surveys", Wiley, 1987,
       section 3.3.
    .. [2] J. Barnard and D. B. Rubin, "Small-sample degrees of freedom with multiple
       imputation", Biometrika 86, 1999.

    Examples
    --------
    >>> from sk_autoencoder.impute import pool
    >>> pooled = pool([1.0, 1.2, 1.1], [0.04, 0.05, 0.03])
    >>> round(float(pooled.estimate), 3), round(float(pooled.standard_error), 3)
    (1.1, 0.231)
    """
    estimates, variances = (
        check_array(a, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name=name)
        for a, name in ((estimates, "estimates"), (variances, "variances"))
    )
    _check_estimates(estimates, variances, df_complete)
    n = len(estimates)
    within = variances.mean(axis=0)
    between = (1 + 1 / n) * estimates.var(axis=0, ddof=1)
    total = within + between
    fraction = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    with np.errstate(divide="ignore"):
        many_rows = (n - 1) / fraction**2
        if np.isinf(df_complete):
            df = many_rows
        else:
            shrunk = (df_complete + 1) / (df_complete + 3) * df_complete
            df = 1 / (1 / many_rows + 1 / (shrunk * (1 - fraction)))
    values = estimates.mean(axis=0), total, df, fraction
    return PooledEstimate(*(value[()] for value in values))  # numbers, not arrays of none


def _check_estimates(
    estimates: np.ndarray, variances: np.ndarray, df_complete: float
) -> None:
    if len(estimates) < 2:
        raise ValueError(
            f"estimates has {len(estimates)} imputation, and the variance between "
            "imputations needs two. Impute more than once."
        )
    if estimates.shape != variances.shape:
        raise ValueError(
            f"variances has shape {variances.shape}, and estimates {estimates.shape}. Give "
            "one variance for each estimate."
        )
    if (variances < 0).any():
        raise ValueError(
            f"variances has {variances.min():g}. Give squares of standard errors."
        )
    if not df_complete > 0:
        raise ValueError(f"df_complete={df_complete!r} has to be positive.")
