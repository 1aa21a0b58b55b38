"""Export of estimators and Pipelines to ONNX, and converters for skl2onnx."""

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.export._tables import put_table_before
from sk_autoencoder.export._tracing import OPSET, trace
from sk_autoencoder.utils._optional import require
from sk_autoencoder.utils._pipelines import find_estimator

METHODS = ("auto", "transform", "inverse_transform", "score_samples")
OPTIONS = {"method": list(METHODS), "allow_nan": [False, True]}
MIN_OPSET = 18
ML_OPSET = 3  # of the domain ai.onnx.ml: the latest one that skl2onnx writes
CONVERTER_PREFIX = "sk_autoencoder"


def _specify(scope, estimator) -> ExportSpec:
    check_is_fitted(estimator)
    defaults = {"method": "auto", "allow_nan": False}
    return estimator.__onnx_spec__(**scope.get_options(estimator, defaults))


def _graph(spec: ExportSpec, is_double: bool, opset: int):
    if opset < MIN_OPSET:
        raise ValueError(
            f"target_opset={opset} is too old: torch's exporter writes {MIN_OPSET} and "
            "later ones."
        )
    dtype = torch.float64 if is_double else torch.float32
    module = spec.module.to(dtype)
    return trace(module, spec.function, spec.n_columns, spec.outputs, dtype, opset)


def _parse(scope, model, inputs, custom_parsers=None):
    """Declare the outputs of an estimator."""
    from skl2onnx import get_model_alias
    from skl2onnx.common.data_types import Int64TensorType

    operator = scope.declare_local_operator(get_model_alias(type(model)), model)
    operator.inputs = inputs
    for name, shape in _specify(scope, model).outputs.items():
        kind = Int64TensorType if name == "label" else _float_type(inputs)
        variable = scope.declare_local_variable(name, kind([None, *shape]))
        operator.outputs.append(variable)
    return operator.outputs


def _float_type(inputs):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    is_double = all(type(variable.type) is DoubleTensorType for variable in inputs)
    return DoubleTensorType if is_double else FloatTensorType


def _infer_shapes(operator) -> None:
    """Set the number of rows of the outputs to that of the inputs."""
    n_rows = operator.inputs[0].get_first_dimension()
    for output in operator.outputs:
        output.type.shape = [n_rows, *output.type.shape[1:]]


def _convert(scope, operator, container) -> None:
    """Insert the graph of an estimator between its inputs and outputs."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    spec = _specify(scope, operator.raw_operator)
    if spec.table is not None:
        raise ValueError(
            f"{type(operator.raw_operator).__name__} was fitted to a table of mixed "
            "columns, and has to be the first step of a Pipeline to be exported with it."
        )
    is_double = _float_type(operator.inputs) is DoubleTensorType
    element = TensorProto.DOUBLE if is_double else TensorProto.FLOAT
    opset = container.target_opset_any_domain("")
    graph = _graph(spec, is_double, opset)
    rows = _concatenate(operator.inputs, element, scope, container)
    outputs = [output.full_name for output in operator.outputs]
    _embed(graph, rows, outputs, scope, container)


def _concatenate(inputs, element: int, scope, container) -> str:
    """Concatenate the inputs as floats of type `element`; the result is its name."""
    names = []
    for variable in inputs:
        names.append(scope.get_unique_variable_name("cast"))
        container.add_node("Cast", variable.full_name, names[-1], to=element)
    if len(names) == 1:
        return names[0]
    rows = scope.get_unique_variable_name("rows")
    container.add_node("Concat", names, rows, axis=1)
    return rows


def _embed(model, rows: str, outputs: list[str], scope, container) -> None:
    """Add the nodes of `model` between the values named `rows` and `outputs`."""
    from onnx.compose import add_prefix

    prefix = scope.get_unique_operator_name("autoencoder") + "/"
    model = add_prefix(model, prefix)  # names must differ from those of other graphs
    container.add_node("Identity", rows, model.graph.input[0].name)
    container.nodes.extend(map(_fill_optional_inputs, model.graph.node))
    container.initializers.extend(model.graph.initializer)
    for output, name in zip(model.graph.output, outputs, strict=True):
        container.add_node("Identity", output.name, name)
    container.node_domain_version_pair_sets.update(
        (opset.domain, opset.version) for opset in model.opset_import
    )


def _fill_optional_inputs(node):
    """Rewrite a node without omitted inputs, whose empty names skl2onnx cannot resolve."""
    if node.op_type == "Clip" and not node.input[1]:
        node.op_type = "Min"
        del node.input[1]
    if "" in node.input:
        raise ValueError(
            f"A Pipeline cannot hold the operator {node.op_type} that the network needs: "
            "skl2onnx cannot place it. Export the autoencoder by itself."
        )
    return node


def register_onnx_converters() -> None:
    """Register converters of this library with skl2onnx, for use within Pipelines.

    Call this before ``skl2onnx.to_onnx``; :func:`to_onnx` of this library does it for you.
    Your own variants are included if their classes are defined before the call.
    Transformers get the output "variable"; the detector "label" (+1 or -1) and "scores"
    (of ``decision_function``), as skl2onnx calls those of ``IsolationForest``. Options of
    an estimator are ``"method"`` and ``"allow_nan"``, as in :func:`to_onnx`.

    Raises
    ------
    ImportError
        If skl2onnx, onnx or onnxscript is missing.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, register_onnx_converters
    >>> X = load_iris().data.astype("float32")
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=3).fit(X)
    >>> register_onnx_converters()
    >>> model = skl2onnx.to_onnx(autoencoder, X[:1], target_opset=20)
    >>> [output.name for output in model.graph.output]
    ['variable']
    """
    require("onnx", "onnxscript", "skl2onnx", extra="onnx", purpose="Export to ONNX")
    from skl2onnx import update_registered_converter

    for cls in _exportable_classes():
        functions = {"shape_fct": _infer_shapes, "convert_fct": _convert, "parser": _parse}
        update_registered_converter(
            cls, CONVERTER_PREFIX + cls.__name__, **functions, options=OPTIONS
        )


def _exportable_classes(base: type = ExportMixin) -> set[type]:
    """List the subclasses of `base` that are defined by now, a user's included."""
    classes = set(base.__subclasses__())
    return classes.union(*map(_exportable_classes, classes))


def to_onnx(estimator, X=None, *, method="auto", allow_nan=False, target_opset=None):
    """Export a fitted estimator, or a Pipeline that contains one, to ONNX.

    The model has the input "X", with any number of rows. With a ColumnTransformer and a
    frame X it has one input for each column, of shape (n_samples, 1): numbers as they are,
    truth values as integers, all else as strings. In onnxruntime it gives the same results
    as the estimator for rows of the same precision, up to rounding.

    After a fit to a table of mixed columns the model has one input for each column, of
    shape (n_samples, 1): strings for categories of texts, "" for a missing one; float32 for
    numbers and truth values; float64 for other categories, and for times and durations in
    days (since 1970). NaN stands for missing cells.

    Parameters
    ----------
    estimator : estimator or Pipeline
        An autoencoder of this library or a variant of your own, an
        :class:`AutoencoderOutlierDetector`, an :class:`AutoencoderImputer`, or a Pipeline
        of steps that skl2onnx can convert.
    X : array-like of shape (n_samples, n_features) or None, default=None
        Rows whose dtype sets the precision of the model; their values are not used. None
        takes float32. A Pipeline with a ColumnTransformer needs the frame. One whose first
        step is an autoencoder of a table of mixed columns does not.
    method : {"auto", "transform", "inverse_transform", "score_samples"}, default="auto"
        Method that the model computes, of the last step of a Pipeline. ``"auto"`` takes
        ``"transform"`` of an autoencoder or an imputer, labels and scores of a detector,
        and the outputs that skl2onnx defines for a Pipeline. See Notes for the outputs.
    allow_nan : bool, default=False
        Whether an autoencoder that was fitted to complete rows imputes missing values, as
        in Python. Otherwise a row with NaN gives NaN and the label -1. Imputers and
        autoencoders that were fitted to incomplete rows always accept NaN.
    target_opset : int, dict or None, default=None
        Version of the operators, 18 or later, in the format of skl2onnx. None takes
        ``{"": 20, "ai.onnx.ml": 3}``.

    Returns
    -------
    model : onnx.ModelProto
        The model; onnxruntime loads ``model.SerializeToString()``.

    Raises
    ------
    ImportError
        If onnx or onnxscript is missing, or for a Pipeline skl2onnx.
    ValueError
        If the estimator or the method cannot be exported: a TimeSeriesOutlierDetector, an
        AutoencoderCompressor, a detector around the estimator of another library, an
        imputer that samples or adds indicators, ``inverse_transform`` of a Pipeline; what
        returns a frame.

    Notes
    -----
    **Outputs.** ``"transform"`` and ``"inverse_transform"`` have the output "variable" with
    the codes of shape (n_samples, n_components), the imputed rows or the reconstruction.
    ``"score_samples"`` has the output "score_samples" of shape (n_samples,). A detector has
    the outputs "label" (+1 or -1, int64) and "scores" (of ``decision_function``), each of
    shape (n_samples, 1), as in skl2onnx. The probabilities of a Pipeline with a classifier
    are one array.

    **Size.** torch's exporter traces the fitted network. ONNX has no operators for Cholesky
    factors and triangular systems, so that these are unrolled into basic operations.
    Models with missing values and pursuits are therefore large. For 30 columns and
    ``allow_nan=True``, the export of the default detector takes about half a minute, and
    onnxruntime is faster than the estimator only for few rows.

    **Differences.** If two atoms fit a row equally well, a pursuit may choose the other
    one, as it may in float64. The codes of ``SparseAutoencoder(sparse_output=True)`` are
    dense. ``score_samples`` of a VAETransformer uses the same fixed samples as in Python.
    Steps of scikit-learn are converted by skl2onnx: in float32, the rounded mean of a
    StandardScaler may be inaccurate for large offsets, unlike the scaling inside an
    autoencoder. onnxruntime 1.32 has no convolutions in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, to_onnx
    >>> X = load_iris().data.astype("float32")
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> model = to_onnx(autoencoder)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> codes = session.run(None, {"X": X})[0]
    >>> bool(np.abs(codes - autoencoder.transform(X)).max() < 1e-4)
    True
    """
    if method not in METHODS:
        known = ", ".join(map(repr, METHODS))
        raise ValueError(f"method={method!r} is not one of {known}.")
    check_is_fitted(estimator)
    first, rest = _split_table(estimator)
    if first is not None:
        encoded = to_onnx(first, X, method="transform", target_opset=target_opset)
        return _join(encoded, _convert_all(rest, None, method, allow_nan, target_opset))
    if not isinstance(estimator, ExportMixin):
        return _convert_all(estimator, X, method, allow_nan, target_opset)
    require("onnx", "onnxscript", extra="onnx", purpose="Export to ONNX")
    opset = target_opset[""] if isinstance(target_opset, dict) else target_opset
    spec = estimator.__onnx_spec__(method, allow_nan)
    is_double = spec.table is None and _is_double(X)
    graph = _graph(spec, is_double, opset or OPSET)
    return graph if spec.table is None else put_table_before(graph, spec.table)


def _is_double(X) -> bool:
    return X is not None and np.asarray(X).dtype == np.float64


def _inputs(estimator, X) -> list[tuple]:
    """List names and types of the inputs: "X", or the columns that are chosen by name."""
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    columns = find_estimator(estimator, lambda step: isinstance(step, ColumnTransformer))
    if columns is not None and hasattr(columns, "feature_names_in_") and X is None:
        raise ValueError(
            "The ColumnTransformer chooses columns by name: give a frame of rows as X, "
            "whose columns become the inputs."
        )
    if columns is None or not hasattr(X, "columns"):
        kind = DoubleTensorType if _is_double(X) else FloatTensorType
        return [("X", kind([None, estimator.n_features_in_]))]
    kinds = {"f": FloatTensorType, "i": Int64TensorType, "u": Int64TensorType}
    kinds |= {"b": Int64TensorType}  # few converters of skl2onnx take truth values
    inputs = []
    for name in estimator.feature_names_in_:
        values = np.asarray(X[name])
        kind = kinds.get(values.dtype.kind, StringTensorType)
        is_double = kind is FloatTensorType and values.dtype == np.float64
        inputs.append((name, (DoubleTensorType if is_double else kind)([None, 1])))
    return inputs


def _split_table(estimator) -> tuple:
    """Split a Pipeline behind its first step, if that takes a table of mixed columns."""
    steps = [step for _, step in getattr(estimator, "steps", [])]
    steps = [step for step in steps if step not in ("passthrough", None)]
    if len(steps) < 2 or getattr(steps[0], "table_", None) is None:
        return None, estimator
    return steps[0], Pipeline([(str(i), step) for i, step in enumerate(steps[1:])])


def _join(first, second):
    """Join two graphs: the output of the first is the input of the second."""
    from onnx.compose import add_prefix, merge_models

    second = add_prefix(second, "then/", rename_inputs=False, rename_outputs=False)
    first.ir_version = second.ir_version = max(first.ir_version, second.ir_version)
    between = [(first.graph.output[0].name, second.graph.input[0].name)]
    return merge_models(first, second, between)


def _convert_all(estimator, X, method: str, allow_nan: bool, target_opset):
    """Convert a Pipeline, or another estimator that contains ours, by skl2onnx."""
    register_onnx_converters()
    import skl2onnx

    if hasattr(estimator, "steps"):  # skl2onnx cannot convert "passthrough"
        steps = [step for step in estimator.steps if step[1] not in ("passthrough", None)]
        estimator = Pipeline(steps)
    return skl2onnx.to_onnx(
        estimator,
        initial_types=_inputs(estimator, X),
        target_opset=target_opset or {"": OPSET, "ai.onnx.ml": ML_OPSET},
        options=_options(estimator, method, allow_nan),
    )


def _options(estimator, method: str, allow_nan: bool) -> dict:
    """Collect the options of converters, by class or by ``id``."""
    options: dict = {cls: {"allow_nan": allow_nan} for cls in _exportable_classes()}
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    if is_classifier(last):
        options[id(last)] = {"zipmap": False}
    if method == "auto":
        return options
    if not isinstance(last, ExportMixin):
        raise ValueError(
            f"method={method!r} asks the last step, which is a {type(last).__name__}. "
            "Use method='auto'."
        )
    if method == "inverse_transform":
        raise ValueError(
            "method='inverse_transform' of a Pipeline cannot be exported. Export that of "
            "its autoencoder, and undo the steps before it yourself."
        )
    return {**options, id(last): {"method": method}}
