"""Scorers of fitted estimators, for the parameter ``scoring``."""

from collections.abc import Callable
from functools import partial
from inspect import signature

import numpy as np
from sklearn.utils import check_random_state

from sk_autoencoder.metrics._codes import trustworthiness
from sk_autoencoder.metrics._reconstruction import reconstruction_error, reconstruction_r2
from sk_autoencoder.metrics._samples import two_sample_accuracy
from sk_autoencoder.preprocessing import fit_if_table
from sk_autoencoder.utils import _pipelines
from sk_autoencoder.utils._checks import as_dense, as_floats


def make_reconstruction_scorer(
    measure: Callable, *, greater_is_better: bool = True, paired: bool = False, **kwargs
) -> Callable:
    """Make a scorer from a measure of reconstructions.

    Parameters
    ----------
    measure : callable
        ``measure(y_true, y_pred, **kwargs)`` of rows and their reconstructions. It returns
        a number, or an array, whose mean is the score.
    greater_is_better : bool, default=True
        Whether high values are better. If False, the score is minus the measure.
    paired : bool, default=False
        Whether reconstructions are compared with y, the clean partners of noisy rows X.
        Otherwise they are compared with X, and y is ignored.
    **kwargs
        Passed on to `measure`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``. It calls ``reconstruct``, or ``transform`` and
        ``inverse_transform``, through all steps of a pipeline. The reconstruction is in
        the units of X.

    See Also
    --------
    make_denoising_scorer : Scorer under noise that it adds itself.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sk_autoencoder.metrics import make_reconstruction_scorer
    >>> from sk_autoencoder.metrics import structural_similarity
    >>> scorer = make_reconstruction_scorer(
    ...     structural_similarity, image_shape=(8, 8), data_range=16
    ... )
    >>> grid = {"n_components": [2, 8]}
    >>> search = GridSearchCV(PCA(), grid, scoring=scorer).fit(load_digits().data[:200])
    >>> search.best_params_
    {'n_components': 8}
    """
    sign = _sign(greater_is_better)
    return partial(score_reconstruction, measure, sign, paired, kwargs)


def make_denoising_scorer(
    noise,
    measure: Callable = reconstruction_r2,
    *,
    greater_is_better: bool = True,
    random_state=0,
    **kwargs,
) -> Callable:
    """Make a scorer that damages clean rows, and measures how well they are restored.

    All candidates of a search are judged under the same noise, whatever noise they were
    trained with.

    Parameters
    ----------
    noise : float, array-like of shape (n_features,) or callable
        Standard deviation of Gaussian noise in units of X, of all features or of each. A
        callable ``noise(X, random_state) -> ndarray`` damages dense rows itself.
    measure : callable, default=reconstruction_r2
        ``measure(X, X_denoised, **kwargs)``. It returns a number, or an array, whose mean
        is the score.
    greater_is_better : bool, default=True
        Whether high values are better. If False, the score is minus the measure.
    random_state : int or RandomState instance, default=0
        Seeds the noise; an int makes it the same in every call.
    **kwargs
        Passed on to `measure`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``. It calls ``reconstruct``, or ``transform`` and
        ``inverse_transform``, through all steps of a pipeline; y is ignored.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sk_autoencoder.metrics import make_denoising_scorer
    >>> scorer = make_denoising_scorer(4.0)
    >>> grid = {"n_components": [4, 16, 64]}
    >>> search = GridSearchCV(PCA(), grid, scoring=scorer).fit(load_digits().data)
    >>> search.best_params_
    {'n_components': 16}
    """
    sign = _sign(greater_is_better)
    return partial(score_denoising, measure, sign, noise, random_state, kwargs)


def make_code_scorer(
    measure: Callable, *, greater_is_better: bool = True, **kwargs
) -> Callable:
    """Make a scorer from a measure of codes.

    Parameters
    ----------
    measure : callable
        ``measure(codes, **kwargs)``. It returns a number, or an array, whose mean is the
        score: :func:`active_components` gives the fraction of active components.
    greater_is_better : bool, default=True
        Whether high values are better. If False, the score is minus the measure.
    **kwargs
        Passed on to `measure`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``. If a pipeline ends in a predictor, the codes are
        the input of the predictor.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sk_autoencoder.metrics import dead_components, make_code_scorer
    >>> X = load_iris().data
    >>> scorer = make_code_scorer(dead_components, min_variance=0.1)
    >>> scorer(PCA(4).fit(X), X)
    0.5
    """
    return partial(score_codes, measure, _sign(greater_is_better), kwargs)


def make_sample_scorer(
    measure: Callable, *, greater_is_better: bool = True, random_state=None, **kwargs
) -> Callable:
    """Make a scorer from a measure of sampled rows.

    Parameters
    ----------
    measure : callable
        ``measure(X, samples, **kwargs)`` of rows and as many sampled ones. It returns a
        number, or an array, whose mean is the score.
    greater_is_better : bool, default=True
        Whether high values are better. If False, the score is minus the measure.
    random_state : int, RandomState instance or None, default=None
        Seeds the sampling, and `measure` if it has the parameter `random_state`.
    **kwargs
        Passed on to `measure`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``, for estimators with ``sample``, such as
        :class:`~sk_autoencoder.VAETransformer` and
        :class:`~sklearn.mixture.GaussianMixture`, and for pipelines that end in one. The
        other steps of the pipeline need ``inverse_transform``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from sk_autoencoder.metrics import make_sample_scorer, two_sample_accuracy
    >>> scorer = make_sample_scorer(
    ...     two_sample_accuracy, greater_is_better=False, random_state=0
    ... )
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> bool(scorer(GaussianMixture(random_state=0).fit(X), X) > -0.6)
    True
    """
    if "random_state" in signature(measure).parameters:
        kwargs["random_state"] = random_state
    sign = _sign(greater_is_better)
    return partial(score_samples, measure, sign, random_state, kwargs)


def _sign(greater_is_better: bool) -> int:
    return 1 if greater_is_better else -1


def as_numbers(X, *others) -> list:
    """Encode a table of mixed columns, and others like it; numbers stay as they are."""
    encoder = fit_if_table(X)
    tables = [X, *others]
    return tables if encoder is None else [encoder.transform(t) for t in tables]


# Scorers are partial objects of module-level functions, not closures: those cannot be
# pickled.


def score_reconstruction(
    measure, sign: int, paired: bool, kwargs: dict, estimator, X, y=None
) -> float:
    X_reconstructed = _pipelines.reconstruct(estimator, X)
    if paired and y is None:
        raise ValueError("paired=True compares with y, the clean rows. Give them.")
    target = y if paired else X
    target, X_reconstructed = as_numbers(target, X_reconstructed)
    return sign * float(np.mean(measure(target, X_reconstructed, **kwargs)))


def score_denoising(
    measure, sign: int, noise, random_state, kwargs: dict, estimator, X, y=None
) -> float:
    if fit_if_table(X) is not None:
        raise ValueError(
            "X is a table of mixed columns, and noise is for numbers. Take score of "
            "DenoisingAutoencoder, which swaps categories too."
        )
    clean = as_dense(X, "X", "allow-nan")
    rng = check_random_state(random_state)
    if callable(noise):
        noisy = noise(clean, rng)
    else:
        noisy = clean + rng.normal(size=clean.shape) * as_floats(noise, "noise")
    if hasattr(X, "iloc"):
        noisy = type(X)(noisy, index=X.index, columns=X.columns)
    X_denoised = _pipelines.reconstruct(estimator, noisy)
    return sign * float(np.mean(measure(clean, X_denoised, **kwargs)))


def score_codes(measure, sign: int, kwargs: dict, estimator, X, y=None) -> float:
    return sign * float(np.mean(measure(_pipelines.encode(estimator, X), **kwargs)))


def score_samples(
    measure, sign: int, random_state, kwargs: dict, estimator, X, y=None
) -> float:
    samples = _pipelines.sample(estimator, np.shape(X)[0], random_state)
    X, samples = as_numbers(X, samples)
    return sign * float(np.mean(measure(X, samples, **kwargs)))


def trustworthiness_scorer(estimator, X, y=None) -> float:
    """Compute the trustworthiness of an estimator's codes.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator with ``transform``. If a pipeline ends in a predictor, the codes
        are the input of the predictor.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        More than 10 rows.
    y : None
        Ignored.

    Returns
    -------
    score : float
        :func:`trustworthiness` with five neighbours and Euclidean distances of the rows
        of X, which are not scaled.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sk_autoencoder.metrics import trustworthiness_scorer
    >>> X = load_iris().data
    >>> round(trustworthiness_scorer(PCA(2).fit(X), X), 2)
    0.98
    """
    codes = _pipelines.encode(estimator, X)
    return trustworthiness(*as_numbers(X), codes)


neg_reconstruction_error_scorer = make_reconstruction_scorer(
    reconstruction_error, greater_is_better=False, per="table"
)
reconstruction_r2_scorer = make_reconstruction_scorer(reconstruction_r2)
two_sample_scorer = make_sample_scorer(
    two_sample_accuracy, greater_is_better=False, random_state=0
)
