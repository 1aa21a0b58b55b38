"""Measures of reconstructions, codes and samples, and scorers built on them.

Measures are functions of arrays, like those of ``sklearn.metrics``. Scorers take an
estimator and rows, so that they can be the ``scoring`` of a search. They need no y, and
measure every estimator that has ``inverse_transform``, including PCA and pipelines.
"""

from sk_autoencoder.metrics._codes import (
    active_components,
    dead_components,
    mean_participation,
    trustworthiness,
)
from sk_autoencoder.metrics._reconstruction import (
    peak_signal_noise_ratio,
    reconstruction_error,
    reconstruction_r2,
    structural_similarity,
)
from sk_autoencoder.metrics._sample_report import sample_report
from sk_autoencoder.metrics._samples import two_sample_accuracy
from sk_autoencoder.metrics._scorers import (
    make_code_scorer,
    make_denoising_scorer,
    make_reconstruction_scorer,
    make_sample_scorer,
    neg_reconstruction_error_scorer,
    reconstruction_r2_scorer,
    trustworthiness_scorer,
    two_sample_scorer,
)
from sk_autoencoder.metrics._timeseries import vus_pr_score, vus_roc_score
from sk_autoencoder.utils._names import set_public_module

__all__ = [
    "active_components",
    "dead_components",
    "make_code_scorer",
    "make_denoising_scorer",
    "make_reconstruction_scorer",
    "make_sample_scorer",
    "mean_participation",
    "neg_reconstruction_error_scorer",
    "peak_signal_noise_ratio",
    "reconstruction_error",
    "reconstruction_r2",
    "reconstruction_r2_scorer",
    "sample_report",
    "structural_similarity",
    "trustworthiness",
    "trustworthiness_scorer",
    "two_sample_accuracy",
    "two_sample_scorer",
    "vus_pr_score",
    "vus_roc_score",
]

set_public_module(__name__, globals())
