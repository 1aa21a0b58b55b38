"""Measures of codes."""

import numpy as np
from sklearn import manifold

from sk_autoencoder.utils._checks import as_dense


def active_components(codes, *, min_variance: float = 0.01) -> np.ndarray:
    """Find the components of codes that vary over rows.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
    min_variance : float, default=0.01
        Variance above which a component is active, in squared units of the codes. The
        default is that of [1]_ for variational autoencoders, whose codes have a variance
        of about 1 or less.

    Returns
    -------
    is_active : ndarray of shape (n_components,) of bool

    References
    ----------
    .. [1] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016, section 5.

    Examples
    --------
    >>> from sk_autoencoder.metrics import active_components
    >>> active_components([[1.0, 5.0], [-1.0, 5.0]])
    array([ True, False])
    """
    return as_dense(codes, "codes").var(axis=0) > min_variance


def dead_components(codes, *, min_variance: float = 0.01) -> np.ndarray:
    """Find the components of codes that do not vary over rows.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
    min_variance : float, default=0.01
        Largest variance of a dead component, in squared units of the codes. 0 suits the
        atoms of a sparse code: a dead atom is constant.

    Returns
    -------
    is_dead : ndarray of shape (n_components,) of bool

    Examples
    --------
    >>> from sk_autoencoder.metrics import dead_components
    >>> dead_components([[1.0, 5.0], [-1.0, 5.0]])
    array([False,  True])
    """
    return ~active_components(codes, min_variance=min_variance)


def mean_participation(codes) -> float:
    r"""Compute the mean number of components that are active in the code of a row.

    The participation ratio [1]_ of a row's code :math:`z`,

    .. math:: \frac{\left(\sum_j z_j^2\right)^2}{\sum_j z_j^4},

    is 1 if a single component is not zero, and `n_components` if all are equally large.
    Small components hardly count, so that no threshold is needed.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)

    Returns
    -------
    n_components : float
        Mean over rows, between 1 and `n_components`. A code of zeros has 0.

    References
    ----------
    .. [1] R. J. Bell and P. Dean, "Atomic vibrations in vitreous silica", Discussions of
       the Faraday Society 50, 1970.

    Examples
    --------
    >>> from sk_autoencoder.metrics import mean_participation
    >>> mean_participation([[2.0, 0.0, 0.0], [1.0, -1.0, 1.0]])
    2.0
    """
    codes = as_dense(codes, "codes")
    largest = np.abs(codes).max(axis=1, keepdims=True)
    squares = (
        codes / np.where(largest == 0, 1, largest)
    ) ** 2  # scaled, or powers underflow
    fourth = (squares**2).sum(axis=1)
    return float(np.mean(squares.sum(axis=1) ** 2 / np.where(fourth == 0, 1, fourth)))


def trustworthiness(X, codes, *, n_neighbors: int = 5, metric="euclidean") -> float:
    """Compute the trustworthiness of codes: how well they preserve neighbourhoods.

    :func:`sklearn.manifold.trustworthiness`, with support for sparse codes.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
    n_neighbors : int, default=5
        Number of neighbours, less than half the number of rows.
    metric : str or callable, default="euclidean"
        Distance of rows, as in :func:`sklearn.metrics.pairwise_distances`.

    Returns
    -------
    trustworthiness : float
        In [0, 1], 1 is best. Memory and time grow with the square of the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder.metrics import trustworthiness
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> trustworthiness(X, 3 * X)
    1.0
    """
    codes = as_dense(codes, "codes")
    return float(manifold.trustworthiness(X, codes, n_neighbors=n_neighbors, metric=metric))
