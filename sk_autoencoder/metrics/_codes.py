"""Measures of codes."""

import numpy as np
from sklearn import manifold

from sk_autoencoder.utils._checks import as_dense


def active_components(codes, *, min_variance: float = 0.01) -> np.ndarray:
    """Return which components of codes vary over rows.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
    min_variance : float, default=0.01
        Variance above which a component counts as active, in squared units of the codes.
        The default is that of [1]_ for variational autoencoders, whose codes have a
        variance of at most about 1.

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
    """Return which components of codes say nothing about rows.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)
    min_variance : float, default=0.01
        Variance up to which a component counts as dead, in squared units of the codes.
        With 0, as for atoms of a sparse code, those that never vary.

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
    r"""Return how many components take part in the code of a row, on average.

    The participation ratio [1]_ of a row's code :math:`z`,

    .. math:: \frac{\left(\sum_j z_j^2\right)^2}{\sum_j z_j^4},

    is 1 where a single component is not zero and `n_components` where all are equally
    large; small parts count little, so that no threshold is needed.

    Parameters
    ----------
    codes : {array-like, sparse matrix} of shape (n_samples, n_components)

    Returns
    -------
    n_components : float
        Mean over rows, between 1 and `n_components`; rows of zeros count as 0.

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
    squares = (codes / np.where(largest == 0, 1, largest)) ** 2  # else powers underflow
    fourth = (squares**2).sum(axis=1)
    return float(np.mean(squares.sum(axis=1) ** 2 / np.where(fourth == 0, 1, fourth)))


def trustworthiness(X, codes, *, n_neighbors: int = 5, metric="euclidean") -> float:
    """Return how far neighbours among codes are neighbours among rows too.

    :func:`sklearn.manifold.trustworthiness`, for sparse codes too.

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
        In [0, 1]. Memory and time grow with the square of the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder.metrics import trustworthiness
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> trustworthiness(X, 3 * X)
    1.0
    """
    codes = as_dense(codes, "codes")
    found = manifold.trustworthiness(X, codes, n_neighbors=n_neighbors, metric=metric)
    return float(found)
