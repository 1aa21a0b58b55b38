"""Measures of reconstructed tables and images."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from sk_autoencoder.utils._checks import as_dense, check_image_shape, check_weights
from sk_autoencoder.utils._optional import require


def _check_pair(y_true, y_pred) -> tuple[np.ndarray, np.ndarray]:
    y_true = as_dense(y_true, "y_true", "allow-nan")
    y_pred = as_dense(y_pred, "y_pred")
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true has shape {y_true.shape} and y_pred has {y_pred.shape}. Give rows and "
            "their reconstructions."
        )
    return y_true, y_pred


def reconstruction_error(y_true, y_pred, *, per: str = "row", squared: bool = True):
    """Compute the mean squared error of a reconstruction, by row, feature or table.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows. Missing entries (NaN) are skipped.
    y_pred : {array-like, sparse matrix} of shape (n_samples, n_features)
        Their reconstructions.
    per : {"row", "feature", "table"}, default="row"
        The axis that the mean keeps: one error a row, one a feature, or a single one.
    squared : bool, default=True
        Whether to return the mean squared error; otherwise its root is returned.

    Returns
    -------
    error : ndarray of shape (n_samples,) or (n_features,), or float for ``per="table"``
        In the units of `y_true`, squared or not. NaN if no entry is observed.

    Raises
    ------
    ValueError
        If the shapes differ or `per` is unknown.

    Examples
    --------
    >>> from sk_autoencoder.metrics import reconstruction_error
    >>> X, X_reconstructed = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 0.0]]
    >>> reconstruction_error(X, X_reconstructed)
    array([2., 8.])
    >>> reconstruction_error(X, X_reconstructed, per="feature")
    array([ 0., 10.])
    """
    axes = {"row": 1, "feature": 0, "table": None}
    if per not in axes:
        raise ValueError(f"per={per!r} has to be one of {sorted(axes)}.")
    y_true, y_pred = _check_pair(y_true, y_pred)
    total = np.nansum((y_true - y_pred) ** 2, axis=axes[per])
    n_observed = np.sum(~np.isnan(y_true), axis=axes[per])
    with np.errstate(invalid="ignore"):  # 0 / 0 if no entry is observed
        error = total / n_observed
    return error if squared else np.sqrt(error)


def reconstruction_r2(y_true, y_pred, *, sample_weight=None) -> float:
    """Compute the coefficient of determination R² of a reconstruction.

    R² is one minus the squared error divided by the variance of the rows, each summed over
    all entries. Features are weighted by their variance, unlike in the default mean of
    :func:`sklearn.metrics.r2_score`. An autoencoder's ``score`` is the same number for rows
    in scaled units: with ``scaling="global"`` for X as it is.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows. Missing entries (NaN) are skipped.
    y_pred : {array-like, sparse matrix} of shape (n_samples, n_features)
        Their reconstructions.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows; None gives all rows a weight of 1.

    Returns
    -------
    r2 : float
        1 for a reconstruction without error, 0 for the mean row.

    Examples
    --------
    >>> from sk_autoencoder.metrics import reconstruction_r2
    >>> reconstruction_r2([[0.0, 0.0], [2.0, 4.0]], [[1.0, 0.0], [1.0, 4.0]])
    0.8
    """
    y_true, y_pred = _check_pair(y_true, y_pred)
    weight = check_weights(sample_weight, y_true)
    weight = np.ones(len(y_true)) if weight is None else weight
    is_observed = ~np.isnan(y_true)
    n_observed = weight @ is_observed
    mean = weight @ np.where(is_observed, y_true, 0) / np.where(n_observed, n_observed, 1)
    residual = np.nansum(weight[:, None] * (y_true - y_pred) ** 2)
    total = np.nansum(weight[:, None] * (y_true - mean) ** 2)
    return float(1 - residual / total) if total else float(residual == 0)


def peak_signal_noise_ratio(y_true, y_pred, *, data_range: float | None = None) -> float:
    """Compute the peak signal-to-noise ratio (PSNR) of reconstructed images, in dB.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_features)
        Flattened images. Missing pixels (NaN) are skipped.
    y_pred : array-like of shape (n_samples, n_features)
        Their reconstructions.
    data_range : float or None, default=None
        Largest minus smallest possible value of a pixel. None takes the range of `y_true`,
        which is not comparable between sets of images.

    Returns
    -------
    ratio : float
        Ratio of `data_range` to the root mean squared error over all pixels of all images;
        infinite without error. ``skimage.metrics.peak_signal_noise_ratio`` gives the same
        number for all images as one.

    Examples
    --------
    >>> from sk_autoencoder.metrics import peak_signal_noise_ratio
    >>> peak_signal_noise_ratio([[0.0, 1.0]], [[0.1, 0.9]], data_range=1)
    20.0
    """
    error = reconstruction_error(y_true, y_pred, per="table", squared=False)
    if data_range is None:
        data_range = _find_range(y_true)
    with np.errstate(divide="ignore", invalid="ignore"):  # no error: infinite
        return float(20 * np.log10(np.float64(data_range) / error))


def _find_range(y_true) -> float:
    y_true = as_dense(y_true, "y_true", "allow-nan")
    return float(np.nanmax(y_true) - np.nanmin(y_true))


def structural_similarity(
    y_true, y_pred, *, image_shape: Sequence[int], data_range: float | None = None
) -> float:
    """Compute the mean structural similarity (SSIM) of images and reconstructions.

    It compares means, variances and covariances within windows of 7 x 7 pixels, or of as
    many as fit [1]_. Computed by scikit-image (``pip install 'sk-autoencoder[images]'``).

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_features)
        Flattened images without missing pixels.
    y_pred : array-like of shape (n_samples, n_features)
        Their reconstructions.
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, n_channels)``, in pixels.
    data_range : float or None, default=None
        Largest minus smallest possible value of a pixel. None takes the range of `y_true`,
        which is not comparable between sets of images.

    Returns
    -------
    similarity : float
        Mean over images; 1 for identical images.

    Raises
    ------
    ImportError
        If scikit-image is not installed.
    ValueError
        If the shapes do not fit, or a side has fewer than 3 pixels.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality
       assessment: from error visibility to structural similarity", IEEE Transactions on
       Image Processing 13, 2004.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder.metrics import structural_similarity
    >>> X = load_digits().data[:5]
    >>> structural_similarity(X, X, image_shape=(8, 8))
    1.0
    """
    metrics = require("skimage.metrics", extra="images", purpose="structural_similarity")
    y_true, y_pred = _check_pair(as_dense(y_true, "y_true"), y_pred)
    shape = _check_image_shape(image_shape, y_true.shape[1])
    window = min(7, *(side - 1 + side % 2 for side in shape[:2]))  # odd
    measure = partial(
        metrics.structural_similarity,
        data_range=_find_range(y_true) if data_range is None else data_range,
        win_size=window,
        channel_axis=2 if len(shape) == 3 else None,
    )
    images = zip(y_true.reshape(-1, *shape), y_pred.reshape(-1, *shape), strict=True)
    return float(np.mean([measure(true, pred) for true, pred in images]))


def _check_image_shape(image_shape: Sequence[int], n_features: int) -> tuple[int, ...]:
    shape = check_image_shape(image_shape, n_features)
    if min(shape[:2]) < 3:
        raise ValueError(
            f"image_shape={image_shape!r} has a side below 3 pixels, the smallest window "
            "of structural_similarity. Use peak_signal_noise_ratio."
        )
    return shape
