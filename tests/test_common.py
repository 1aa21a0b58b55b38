"""scikit-learn's own checks, those that ``check_estimator`` leaves out included."""

from dataclasses import fields

import pytest
from catalogue import CLASSES, PLAIN, name, quick
from sklearn.base import clone
from sklearn.utils import estimator_checks as checks

from sk_autoencoder import AutoencoderOutlierDetector

PRIVATE_CHECKS = [
    checks.check_dataframe_column_names_consistency,
    checks.check_estimator_cloneable,
    checks.check_param_validation,
]
TRANSFORMER_CHECKS = [
    checks.check_global_output_transform_pandas,
    checks.check_global_set_output_transform_polars,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
]


def shorten(estimator, max_epochs):
    """Return an estimator that trains for fewer epochs, if it trains itself."""
    fewer = {"max_epochs": max_epochs}
    return estimator.set_params(**fewer) if "max_epochs" in vars(estimator) else estimator


def make_short(cls):
    """Return an estimator of `cls` that is quicker still than those of the catalogue.

    Early stopping trains twice, with folds, and is the same for all: the plain autoencoder
    has it, by itself and in an imputer. The slow checks have it everywhere.
    """
    parameters = {} if cls is type(PLAIN) else {"early_stopping": False}
    if hasattr(cls, "sample_posterior"):
        parameters = {"autoencoder": shorten(clone(PLAIN), 1)}
    if hasattr(cls, "compress"):  # one search for a step, of principal components
        parameters = {"autoencoder": None}
    if hasattr(cls, "predict"):  # two members, and one training
        parameters |= {"n_estimators": 2, "detector": AutoencoderOutlierDetector(PLAIN)}
    if hasattr(cls, "sample"):  # the default parameters fit a mixture to each code
        parameters |= {"code_density": "prior", "output_noise": False}
    known = {field.name for field in fields(cls)}
    parameters = {k: v for k, v in parameters.items() if k in known}
    return shorten(quick(cls, **parameters), 1)


ESTIMATORS = [make_short(cls) for cls in CLASSES]
TRANSFORMERS = [each for each in ESTIMATORS if hasattr(each, "transform")]
# The container of the output is scikit-learn's work: each with a check of one library, an
# autoencoder and an imputer, whose transforms have other containers, with all checks.
KINDS = [t for t in TRANSFORMERS if not hasattr(t, "network") or type(t) is type(PLAIN)]
KINDS = [each for each in KINDS if not hasattr(each, "compress")]
OTHER_CHECKS = (
    checks.check_set_output_transform_pandas,
    checks.check_transformer_get_feature_names_out_pandas,
)
CHECKED_TRANSFORMERS = [
    pytest.param(
        transformer,
        check,
        marks=[]
        if transformer in KINDS or check is OTHER_CHECKS[i % len(OTHER_CHECKS)]
        else [pytest.mark.slow],
        id=f"{name(transformer)}-{check.__name__}",
    )
    for i, transformer in enumerate(TRANSFORMERS)
    for check in TRANSFORMER_CHECKS
]


def failed_checks(estimator):
    """Return the names of scikit-learn's checks that an estimator does not pass."""
    results = checks.check_estimator(estimator, on_fail=None, on_skip=None)
    return [r["check_name"] for r in results if r["status"] != "passed"]


@pytest.mark.filterwarnings("ignore:A detector fitted to")  # some checks have few rows
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)
def test_check_estimator(estimator):
    assert failed_checks(estimator) == []


@pytest.mark.slow
@pytest.mark.parametrize("cls", CLASSES)
def test_check_estimator_with_default_parameters(cls):
    # Fewer epochs, as scikit-learn lowers max_iter where it checks its own.
    assert failed_checks(shorten(cls(), 6)) == []


# scikit-learn's checks mix frames and arrays, which warns.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", PRIVATE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)
def test_checks_that_scikit_learn_keeps_for_itself(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(("estimator", "check"), CHECKED_TRANSFORMERS)
def test_checks_of_transformers(estimator, check):
    check(type(estimator).__name__, estimator)
