"""scikit-learn's own checks, those that ``check_estimator`` leaves out included."""

import pytest
from catalogue import AUTOENCODERS, CATALOGUE, CLASSES, COMPRESSORS, IMPUTERS, name
from sklearn.utils import estimator_checks as checks

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


@pytest.mark.parametrize("cls", CLASSES)
def test_check_estimator_with_default_parameters(cls):
    # Fewer epochs, as scikit-learn lowers max_iter where it checks its own.
    fewer = {"max_epochs": 6} if "max_epochs" in cls().get_params() else {}
    results = checks.check_estimator(cls(**fewer), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] != "passed"] == []


# scikit-learn's checks mix frames and arrays, which warns.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", PRIVATE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", CATALOGUE, ids=name)
def test_checks_that_scikit_learn_keeps_for_itself(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", TRANSFORMER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", AUTOENCODERS + COMPRESSORS + IMPUTERS, ids=name)
def test_checks_of_transformers(estimator, check):
    check(type(estimator).__name__, estimator)
