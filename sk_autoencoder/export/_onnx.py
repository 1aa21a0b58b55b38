"""Export to ONNX: converters for skl2onnx, and one call for an estimator or a Pipeline."""

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.export._tracing import OPSET, trace
from sk_autoencoder.utils._optional import require

METHODS = ("auto", "transform", "inverse_transform", "score_samples")
OPTIONS = {"method": list(METHODS), "allow_nan": [False, True]}
LEAST_OPSET = 18
ML_OPSET = 3  # of the domain ai.onnx.ml: skl2onnx writes no later one
PREFIX = "sk_autoencoder"  # of the names of converters


def _specify(scope, estimator) -> ExportSpec:
    check_is_fitted(estimator)
    defaults = {"method": "auto", "allow_nan": False}
    return estimator.__onnx_spec__(**scope.get_options(estimator, defaults))


def _graph(spec: ExportSpec, is_double: bool, opset: int):
    if opset < LEAST_OPSET:
        raise ValueError(
            f"target_opset={opset} is too old: torch's exporter writes {LEAST_OPSET} and "
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

    is_double = all(type(each.type) is DoubleTensorType for each in inputs)
    return DoubleTensorType if is_double else FloatTensorType


def _infer_shapes(operator) -> None:
    """Tell how many rows come out: as many as go in."""
    n_rows = operator.inputs[0].get_first_dimension()
    for output in operator.outputs:
        output.type.shape = [n_rows, *output.type.shape[1:]]


def _convert(scope, operator, container) -> None:
    """Put the graph of an estimator between its inputs and outputs."""
    from onnx import TensorProto

    spec = _specify(scope, operator.raw_operator)
    element = _float_type(operator.inputs)()._get_element_onnx_type()
    opset = container.target_opset_any_domain("")
    graph = _graph(spec, element == TensorProto.DOUBLE, opset)
    rows = _side_by_side(operator.inputs, element, scope, container)
    outputs = [output.full_name for output in operator.outputs]
    _embed(graph, rows, outputs, scope, container)


def _side_by_side(inputs, element: int, scope, container) -> str:
    """Return the name of all inputs as one, of floating-point `element`."""
    names = []
    for each in inputs:
        names.append(scope.get_unique_variable_name("cast"))
        container.add_node("Cast", each.full_name, names[-1], to=element)
    if len(names) == 1:
        return names[0]
    whole = scope.get_unique_variable_name("rows")
    container.add_node("Concat", names, whole, axis=1)
    return whole


def _embed(model, rows: str, outputs: list[str], scope, container) -> None:
    """Add the nodes of `model` between the values called `rows` and `outputs`."""
    from onnx.compose import add_prefix

    prefix = scope.get_unique_operator_name("autoencoder") + "/"
    model = add_prefix(model, prefix)  # its names would meet those of others
    container.add_node("Identity", rows, model.graph.input[0].name)
    container.nodes.extend(map(_without_gaps, model.graph.node))
    container.initializers.extend(model.graph.initializer)
    for found, wished in zip(model.graph.output, outputs, strict=True):
        container.add_node("Identity", found.name, wished)
    container.node_domain_version_pair_sets.update(
        (each.domain, each.version) for each in model.opset_import
    )


def _without_gaps(node):
    """Return a node that leaves no input out: skl2onnx would look for one without name."""
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
    """Let skl2onnx convert the estimators of this library, also within Pipelines.

    Only those who call ``skl2onnx.to_onnx`` themselves need it; :func:`to_onnx` does it.
    Variants of your own count if their classes are defined before the call.
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
            cls, PREFIX + cls.__name__, **functions, options=OPTIONS
        )


def _exportable_classes(base: type = ExportMixin) -> set[type]:
    """List the subclasses of `base` that are defined by now, a user's included."""
    classes = set(base.__subclasses__())
    return classes.union(*map(_exportable_classes, classes))


def to_onnx(estimator, X=None, *, method="auto", allow_nan=False, target_opset=None):
    """Return a fitted estimator, or a Pipeline with one of this library, as ONNX.

    The model has the input "X", with any number of rows, and gives in onnxruntime what
    the estimator gives for rows of that precision, up to rounding.

    Parameters
    ----------
    estimator : estimator or Pipeline
        An autoencoder of this library or a variant of your own, an
        :class:`AutoencoderOutlierDetector`, an :class:`AutoencoderImputer`, or a Pipeline
        of steps that skl2onnx can convert.
    X : array-like of shape (n_samples, n_features) or None, default=None
        Rows whose precision the model shall take; only their dtype is looked at. None
        stands for float32.
    method : {"auto", "transform", "inverse_transform", "score_samples"}, default="auto"
        What the model computes. ``"auto"`` takes ``"transform"``, with the output
        "variable" of shape (n_samples, n_components); of a detector the outputs "label"
        (+1 or -1, int64) and "scores" (of ``decision_function``), each of shape
        (n_samples, 1), as skl2onnx gives them; of a Pipeline what skl2onnx makes of it,
        with the probabilities of a classifier as one array. In a Pipeline the others say
        what its last step does. The output of ``"inverse_transform"`` is "variable" too,
        that of ``"score_samples"``, of shape (n_samples,), has its name.
    allow_nan : bool, default=False
        Whether an autoencoder that was fitted to complete rows fills in missing values, as
        it does in Python. Otherwise a row with a NaN gives NaN, and a detector labels it
        -1. Autoencoders that were fitted to incomplete rows, and imputers, take NaN in any
        case.
    target_opset : int, dict or None, default=None
        Version of the operators, 18 or later, as skl2onnx takes it; None is
        ``{"": 20, "ai.onnx.ml": 3}``.

    Returns
    -------
    model : onnx.ModelProto
        ``model.SerializeToString()`` is what onnxruntime loads.

    Raises
    ------
    ImportError
        If onnx or onnxscript is missing, or for a Pipeline skl2onnx.
    ValueError
        If the estimator or the method cannot be exported: a TimeSeriesOutlierDetector, an
        AutoencoderCompressor, a detector around the estimator of another library, an
        imputer that draws or adds indicators, ``inverse_transform`` of a Pipeline.

    Notes
    -----
    torch's exporter traces the fitted network; what ONNX has no operator for (Cholesky
    factors, triangular systems) is unrolled into single steps. So models that take missing
    values, and pursuits, are large: of 30 columns the default detector takes half a minute
    to export with ``allow_nan=True``, and onnxruntime is faster than the estimator for few
    rows only. Where two atoms fit a row equally well, a pursuit may take the other one, as
    it may in float64. Codes of ``SparseAutoencoder(sparse_output=True)`` come out dense.
    ``score_samples`` of a VAETransformer is exported with its draws, which are always the
    same ones.

    Steps of scikit-learn follow skl2onnx: in float32 a StandardScaler rounds its mean,
    which large offsets can feel. Scaling inside the autoencoders rounds as the estimator
    does. In float64, onnxruntime 1.32 has no convolutions.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, to_onnx
    >>> X = load_iris().data.astype("float32")
    >>> autoencoder = AutoencoderTransformer(2, random_state=0).fit(X)
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
    is_double = X is not None and np.asarray(X).dtype == np.float64
    if not isinstance(estimator, ExportMixin):
        return _convert_all(estimator, is_double, method, allow_nan, target_opset)
    require("onnx", "onnxscript", extra="onnx", purpose="Export to ONNX")
    opset = target_opset[""] if isinstance(target_opset, dict) else target_opset
    spec = estimator.__onnx_spec__(method, allow_nan)
    return _graph(spec, is_double, opset or OPSET)


def _convert_all(estimator, is_double: bool, method: str, allow_nan: bool, target_opset):
    """Let skl2onnx convert a Pipeline, or another estimator around ours."""
    register_onnx_converters()
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    if hasattr(estimator, "steps"):  # skl2onnx takes "passthrough" for an estimator
        steps = [step for step in estimator.steps if step[1] not in ("passthrough", None)]
        estimator = Pipeline(steps)
    kind = DoubleTensorType if is_double else FloatTensorType
    return skl2onnx.to_onnx(
        estimator,
        initial_types=[("X", kind([None, estimator.n_features_in_]))],
        target_opset=target_opset or {"": OPSET, "ai.onnx.ml": ML_OPSET},
        options=_options(estimator, method, allow_nan),
    )


def _options(estimator, method: str, allow_nan: bool) -> dict:
    """Return the options of converters, by class or by ``id``."""
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
