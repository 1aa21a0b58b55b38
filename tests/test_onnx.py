"""ONNX: what onnxruntime gives is what the estimator gives."""

import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
import torch
from catalogue import (
    AUTOENCODERS,
    COMPRESSORS,
    DETECTORS,
    IMPUTERS,
    ONE_OF_EACH,
    PLAIN,
    fit_once,
    label,
    name,
    one_of_each,
    quick,
    slow,
)
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from tables import pandas_frame
from torch import nn

import sk_autoencoder
from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ContractiveAutoencoder,
    SparseAutoencoder,
    VAETransformer,
    register_onnx_converters,
    to_onnx,
)
from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.export._tracing import (
    cat,
    gelu,
    layer_norm,
    solve,
    solve_triangular,
)
from sk_autoencoder.nn import Dense, Network

ATOL = 1e-4  # in float32
X = load_iris().data.astype(np.float32)
FEW = X[:, 1:3]  # each column of a table with holes adds steps to a graph
HOLED = np.where(np.random.default_rng(0).random(FEW.shape) < 0.2, np.float32(np.nan), FEW)
HOLED[0] = FEW[0]  # a complete row
HOLED = HOLED[~np.isnan(HOLED).all(axis=1)]
SIZES = (1, 2, 50)
EXPORTED_DETECTORS = [each for each in DETECTORS if hasattr(each, "n_estimators")]


pytestmark = pytest.mark.usefixtures("list_operators_once")


def load(model):
    """Return the function with which onnxruntime turns rows into outputs, by name."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return lambda rows: dict(zip(names, session.run(None, {"X": rows}), strict=True))


def check(model, method, rows, output):
    """Compare an output with what a method gives, for several numbers of rows."""
    run = load(model)
    for n_rows in SIZES:
        expected = method(rows[:n_rows])
        found = run(rows[:n_rows])[output]
        assert found.dtype == rows.dtype
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)


@cache
def export_once(estimator):
    """Return the model of a fitted estimator that tests share."""
    return to_onnx(estimator)


def rows_for(number):
    """Return rows to fit to: each column adds steps to a pursuit."""
    return FEW if getattr(AUTOENCODERS[number], "sparsity", None) == "pursuit" else X


@cache
def fitted(number):
    """Return an autoencoder of the catalogue, fitted."""
    estimator = clone(AUTOENCODERS[number])
    # Smaller graphs; and a pursuit of as many atoms as columns ends with the choice of what
    # fits the rounding, in which float32 and float64 differ too.
    small = {"n_importance_samples": 8, "n_active": 1}
    known = estimator.get_params()
    estimator.set_params(**{key: small[key] for key in small if key in known})
    return estimator.fit(rows_for(number))


# The catalogue


def has_own_steps(autoencoder):
    """Whether exports of an autoencoder hold steps that those of no other one have."""
    is_dense = isinstance(autoencoder.make_recipe().network, Dense)
    return not is_dense or hasattr(autoencoder, "log_likelihood")


# A score encodes and decodes. The others are networks of the kinds here.
EXPORTS = [
    pytest.param(
        number,
        method,
        marks=[]
        if autoencoder is PLAIN
        or (
            method == "score_samples"
            and autoencoder in ONE_OF_EACH
            and has_own_steps(autoencoder)
        )
        else [pytest.mark.slow],
        id=f"{name(autoencoder)}-{method}",
    )
    for number, autoencoder in enumerate(AUTOENCODERS)
    for method in ("transform", "inverse_transform", "score_samples")
]


@pytest.mark.parametrize(("number", "method"), EXPORTS)
def test_autoencoders_give_in_onnxruntime_what_they_give(number, method):
    autoencoder = fitted(number)
    rows = rows_for(number)
    rows = autoencoder.transform(rows) if method == "inverse_transform" else rows
    output = "score_samples" if method == "score_samples" else "variable"
    check(to_onnx(autoencoder, method=method), getattr(autoencoder, method), rows, output)


@pytest.mark.parametrize("detector", one_of_each(EXPORTED_DETECTORS))
def test_detectors_give_in_onnxruntime_what_they_give(detector):
    detector = fit_once(detector, X)
    run = load(export_once(detector))
    for n_rows in SIZES:
        found = run(X[:n_rows])
        assert found["label"].dtype == np.int64
        assert found["label"].shape == found["scores"].shape == (n_rows, 1)
        scores = detector.decision_function(X[:n_rows])
        np.testing.assert_allclose(found["scores"][:, 0], scores, rtol=0, atol=ATOL)
        np.testing.assert_array_equal(found["label"][:, 0], detector.predict(X[:n_rows]))


@pytest.mark.parametrize("imputer", one_of_each(IMPUTERS))
def test_imputers_give_in_onnxruntime_what_they_give(imputer):
    imputer = fit_once(imputer, HOLED)
    rows = np.vstack([np.full((1, 2), np.nan, np.float32), HOLED])
    check(to_onnx(imputer), imputer.transform, rows, "variable")


@pytest.mark.slow
def test_what_near_rows_say_is_exported_and_saved(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 16))[rng.integers(60, size=600)]
    X = np.where(rng.random(X.shape) < 0.1, np.nan, X).astype(np.float32)
    imputer = AutoencoderImputer(n_estimators=2, random_state=0).fit(X)
    assert imputer.autoencoder_.nearest_.weight > 0.5
    expected = imputer.transform(X)
    check(to_onnx(imputer), imputer.transform, X, "variable")
    imputer.save(tmp_path / "imputer.skops")
    again = sk_autoencoder.load(tmp_path / "imputer.skops")
    np.testing.assert_array_equal(again.transform(X), expected)


# Pipelines


@pytest.mark.parametrize(
    "through_skl2onnx", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_pipeline_exports_in_one_call(through_skl2onnx):
    rows, target = load_breast_cancer(return_X_y=True)
    rows = rows.astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), clone(PLAIN), LogisticRegression())
    pipeline.fit(rows, target)
    if through_skl2onnx:
        register_onnx_converters()
        options = {id(pipeline): {"zipmap": False}}
        model = skl2onnx.to_onnx(pipeline, rows[:1], target_opset=18, options=options)
    else:
        model = to_onnx(pipeline, rows[:1])
    check(model, pipeline.predict_proba, rows, "probabilities")
    found = load(model)(rows)["label"]
    np.testing.assert_array_equal(found, pipeline.predict(rows))


def test_a_pipeline_may_end_in_a_detector():
    detector = AutoencoderOutlierDetector(PLAIN, n_estimators=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X)
    found = load(to_onnx(pipeline))(X)
    np.testing.assert_allclose(
        found["scores"][:, 0], pipeline.decision_function(X), rtol=0, atol=ATOL
    )
    np.testing.assert_array_equal(found["label"][:, 0], pipeline.predict(X))


@pytest.mark.slow
def test_a_pipeline_may_hold_two_autoencoders():
    first = AutoencoderTransformer(3, max_epochs=0)
    pipeline = make_pipeline("passthrough", first, "passthrough", clone(PLAIN)).fit(X)
    check(to_onnx(pipeline), pipeline.transform, X, "variable")


def test_columns_may_go_different_ways():
    ways = make_column_transformer((clone(PLAIN), [0, 1, 2]), (StandardScaler(), [3]))
    check(to_onnx(ways.fit(X)), ways.transform, X, "transformed_column")


# A user's own variant


@dataclass(kw_only=True, eq=False, repr=False)
class Shrunk(BaseAutoencoder):
    """A variant with a penalty on the squares of its codes, as a user writes one."""

    shrinkage: float = 0.1

    def make_recipe(self):
        def square(network, x, out):
            return out.code.square().sum(-1)

        penalty = {"square": (self.shrinkage, square)}
        return super().make_recipe().add_penalties(lambda start: penalty)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def test_a_variant_exports_alone():
    variant = quick(Shrunk).fit(X)
    check(to_onnx(variant), variant.transform, X, "variable")


def test_a_variant_exports_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), quick(Shrunk)).fit(X)
    register_onnx_converters()
    model = skl2onnx.to_onnx(pipeline, X[:1], target_opset=18)
    check(model, pipeline.transform, X, "variable")


def test_a_class_that_is_defined_after_the_registration_exports_too():
    register_onnx_converters()

    class Later(AutoencoderTransformer):
        """A class that no registration has met."""

    pipeline = make_pipeline(StandardScaler(), quick(Later)).fit(X)
    check(to_onnx(pipeline), pipeline.transform, X, "variable")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["reconstruction", "score_samples"])
def test_a_variant_exports_in_a_detector(method):
    detector = AutoencoderOutlierDetector(
        quick(Shrunk), method=method, n_estimators=1, random_state=0
    )
    found = load(to_onnx(detector.fit(X)))(X)
    scores = detector.decision_function(X)
    np.testing.assert_allclose(found["scores"][:, 0], scores, rtol=0, atol=ATOL)
    np.testing.assert_array_equal(found["label"][:, 0], detector.predict(X))


@pytest.mark.slow
def test_a_variant_exports_in_an_imputer():
    imputer = AutoencoderImputer(quick(Shrunk), random_state=0).fit(HOLED)
    check(to_onnx(imputer), imputer.transform, HOLED, "variable")


# Missing values, and rows far from zero


@pytest.mark.parametrize(
    ("model_rows", "dtype"), [("complete", np.float64), slow("incomplete", np.float32)]
)
def test_missing_values_are_filled_in_as_the_estimator_does(model_rows, dtype):
    autoencoder = fit_once(PLAIN, FEW if model_rows == "complete" else HOLED)
    rows = HOLED.astype(dtype)
    with export_that_changes_nothing(autoencoder):
        model = to_onnx(autoencoder, rows, allow_nan=model_rows == "complete")
    check(model, autoencoder.transform, rows, "variable")


@pytest.mark.slow
def test_an_ensemble_scores_rows_with_missing_values():
    detector = AutoencoderOutlierDetector(n_estimators=3, random_state=0).fit(HOLED)
    model = to_onnx(detector, method="score_samples")
    check(model, detector.score_samples, HOLED, "score_samples")


def test_a_row_that_cannot_be_scored_is_flagged():
    detector = fit_once(EXPORTED_DETECTORS[0], X)
    rows = X[:2].copy()
    rows[0, 0] = np.nan
    found = load(export_once(detector))(rows)
    assert np.isnan(found["scores"][0])
    assert found["label"][:, 0].tolist() == [-1, detector.predict(X[1:2])[0]]


def test_a_large_offset_costs_no_more_than_in_the_estimator():
    far = X + np.float32(1e6)
    autoencoder = clone(PLAIN).fit(far)
    check(to_onnx(autoencoder), autoencoder.transform, far, "variable")


def test_the_precision_is_that_of_the_rows():
    rows = load_iris().data
    autoencoder = AutoencoderTransformer(2, init="random", max_epochs=3, random_state=0)
    autoencoder.fit(rows)
    model = to_onnx(autoencoder, rows)
    check(model, autoencoder.transform, rows, "variable")
    found = load(model)(rows)["variable"]
    np.testing.assert_allclose(found, autoencoder.transform(rows), rtol=0, atol=1e-6)


def test_imputers_keep_their_options():
    rows = np.column_stack([HOLED, np.full(len(HOLED), np.nan, np.float32)])
    rows[:, 0] = rows[:, 0].round()
    imputer = AutoencoderImputer(
        PLAIN,
        n_estimators=1,
        missing_values=-1,
        round_discrete=True,
        keep_empty_features=True,
    )
    rows = np.nan_to_num(rows, nan=-1)
    imputer.set_params(random_state=0).fit(rows)
    check(to_onnx(imputer), imputer.transform, rows, "variable")


@contextmanager
def export_that_changes_nothing(autoencoder):
    """Compare what an export could change before and after it."""
    before = autoencoder.transform(FEW)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    np.testing.assert_array_equal(autoencoder.transform(FEW), before)
    assert next(autoencoder.net_.module_.parameters()).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_models_are_reproducible_and_name_no_file():
    first, second = (to_onnx(fitted(0)).SerializeToString() for _ in range(2))
    assert first == second
    assert b".py" not in first


# The single steps


def test_linear_systems_have_the_solutions_of_torch():
    draws = torch.randn(3, 5, 5, dtype=torch.float64, generator=torch.Generator())
    matrix, right = draws @ draws.mT + torch.eye(5), draws[..., :2]
    expected = torch.linalg.solve(matrix, right)
    torch.testing.assert_close(solve(matrix, right), expected)
    root = torch.linalg.cholesky(matrix)
    for upper, triangle in ((False, root), (True, root.mT)):
        expected = torch.linalg.solve_triangular(triangle, right, upper=upper)
        torch.testing.assert_close(solve_triangular(triangle, right, upper=upper), expected)


def test_what_stands_in_for_functions_of_torch_gives_the_same():
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(gelu(x), nn.functional.gelu(x), rtol=0, atol=1e-6)
    given = [5], x[0], x[1], 1e-3
    torch.testing.assert_close(layer_norm(x, *given), nn.functional.layer_norm(x, *given))
    for dim in (0, 1):
        torch.testing.assert_close(cat([x, 2 * x, x], dim), torch.cat([x, 2 * x, x], dim))


# What cannot be exported


class Counting(Network):
    """A network that fixes the number of rows when it is traced."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = nn.Linear(n_features, n_components)
        self.layer = nn.Linear(n_components, n_features)

    def decode(self, code):
        return self.layer(code.reshape(len(code), -1))


def around(estimator):
    return fit_once(AutoencoderOutlierDetector(estimator, random_state=0), X)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: around(GaussianMixture()), {}, "around a GaussianMixture"),
        (lambda: around(PLAIN), {"method": "transform"}, "of a AutoencoderOutlierDetector"),
        (lambda: fit_once(PLAIN, X), {"method": "predict"}, "is not one of 'auto'"),
        (lambda: fit_once(PLAIN, X), {"target_opset": 15}, "target_opset=15 is too old"),
        (
            lambda: SparseAutoencoder(max_epochs=1).fit(X),
            {"allow_nan": True},
            "needs an autoencoder that can fill in",
        ),
        (
            lambda: clone(IMPUTERS[1]).set_params(add_indicator=True).fit(HOLED),
            {},
            "add_indicator=True cannot be exported",
        ),
        (
            lambda: fit_once(IMPUTERS[1], HOLED),
            {"method": "score_samples"},
            "Use one of 'auto', 'transform'",
        ),
        (
            lambda: AutoencoderTransformer(2, network=Counting, max_epochs=1).fit(X),
            {"method": "inverse_transform"},
            "fixes the number of rows",
        ),
        (
            lambda: make_pipeline(StandardScaler(), clone(PLAIN)).fit(X),
            {"method": "inverse_transform"},
            "of a Pipeline cannot be exported",
        ),
        (
            lambda: make_pipeline(clone(PLAIN), StandardScaler()).fit(X),
            {"method": "score_samples"},
            "asks the last step, which is a StandardScaler",
        ),
    ],
)
def test_what_cannot_be_exported_is_said(make, options, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(make(), **options)


@pytest.mark.parametrize(
    "estimator",
    [*COMPRESSORS[:1], *(each for each in DETECTORS if hasattr(each, "window"))],
    ids=name,
)
def test_estimators_that_cannot_be_exported_say_why(estimator):
    with pytest.raises(ValueError, match="cannot be exported: "):
        to_onnx(clone(estimator).fit(X))


def test_imputers_that_draw_say_so():
    vae = quick(VAETransformer)
    imputer = AutoencoderImputer(vae, sample_posterior=True, random_state=0)
    with pytest.raises(ValueError, match="sample_posterior=True cannot be exported"):
        to_onnx(imputer.fit(HOLED[:40]))


@pytest.mark.parametrize("call", [lambda: to_onnx(fitted(0)), register_onnx_converters])
def test_the_extra_is_named_where_it_is_missing(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-autoencoder\[onnx\]"):
        call()


@pytest.mark.parametrize("library", [pd.DataFrame, slow(pl.DataFrame)])
def test_a_frame_goes_through_a_column_transformer(library):
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.normal(40, 10, 100),
        "children": rng.integers(0, 4, 100),
        "member": rng.random(100) < 0.3,
        "job": rng.choice(["cook", "pilot", "vet"], 100),
    }
    frame = library(columns)
    encode = make_column_transformer(
        (StandardScaler(), ["age", "member"]),
        (OneHotEncoder(sparse_output=False), ["job"]),
        ("passthrough", ["children"]),
    )
    pipeline = make_pipeline(encode, clone(PLAIN)).fit(frame)
    session = onnxruntime.InferenceSession(to_onnx(pipeline, frame).SerializeToString())
    inputs = {name: np.asarray(values)[:, None] for name, values in columns.items()}
    inputs["member"] = inputs["member"].astype(int)
    inputs["job"] = inputs["job"].astype(object)
    codes = session.run(None, inputs)[0]
    np.testing.assert_allclose(codes, pipeline.transform(frame), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="give a frame of rows as X"):
        to_onnx(pipeline)


def feed_columns(model, frame, table):
    """Return what a model of a table takes: an array for each column."""
    days = pd.Timedelta(days=1)
    result = {}
    for value in model.graph.input:
        column = frame[value.name]
        kind = table.kinds_[list(frame.columns).index(value.name)]
        if value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
            cells = column.astype(object).where(column.notna(), "").to_numpy(object)
        elif kind in ("number", "boolean"):
            cells = column.astype(object).where(column.notna(), np.nan).astype(np.float32)
        elif kind == "category":
            cells = column.astype(object).astype(float)
        else:
            start = pd.Timestamp(0, tz=column.dt.tz) if kind == "datetime" else 0 * days
            cells = (column - start) / days
        result[value.name] = np.asarray(cells)[:, None]
    return result


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (quick(ContractiveAutoencoder, n_components=3), "transform"),
        slow(quick(AutoencoderTransformer, n_components=3), "transform"),
        slow(quick(SparseAutoencoder, sparsity="topk"), "transform"),
        slow(quick(VAETransformer, n_components=3), "transform"),
        slow(quick(AutoencoderTransformer, n_components=3), "score_samples"),
        slow(
            AutoencoderOutlierDetector(n_estimators=2, random_state=0), "decision_function"
        ),
    ],
    ids=label,
)
def test_a_table_goes_in_with_its_texts(estimator, method):
    frame = pandas_frame(80)
    fitted = fit_once(estimator, frame)
    model = to_onnx(fitted, method="auto" if method == "decision_function" else method)
    new = frame[::-1].copy()
    new.loc[3, "job"] = "pilot"  # unknown in fit
    with warnings.catch_warnings(action="ignore"):
        expected = getattr(fitted, method)(new)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, feed_columns(model, new, fitted.table_))[-1]
    tolerance = 5e-3 if isinstance(fitted, VAETransformer) else 1e-3  # float32
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=tolerance)


def test_a_pipeline_may_begin_with_a_table():
    frame = pandas_frame(80)
    y = np.arange(80) % 2
    autoencoder = clone(quick(ContractiveAutoencoder, n_components=3))
    steps = autoencoder, "passthrough", StandardScaler(), LogisticRegression()
    pipeline = make_pipeline(*steps).fit(frame, y)
    model = to_onnx(pipeline, frame)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    labels, found = session.run(None, feed_columns(model, frame, autoencoder.table_))
    np.testing.assert_allclose(found, pipeline.predict_proba(frame), atol=1e-3)
    assert (labels == pipeline.predict(frame)).mean() > 0.95
    behind = make_pipeline(FunctionTransformer(), autoencoder)
    with pytest.raises(ValueError, match="has to be the first step of a Pipeline"):
        to_onnx(behind.fit(frame), frame)


def test_what_returns_a_frame_is_not_exported():
    frame = pandas_frame(80)
    autoencoder = quick(AutoencoderTransformer, n_components=3)
    with pytest.raises(ValueError, match="method='inverse_transform' cannot be exported"):
        to_onnx(fit_once(autoencoder, frame), method="inverse_transform")
    with pytest.raises(ValueError, match="returns a frame"):
        to_onnx(AutoencoderImputer(autoencoder, random_state=0).fit(frame))
