"""Tracing of a fitted torch module into an ONNX graph."""

import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

OPSET = 20  # the version that torch's exporter writes without a conversion
N_TRACED_ROWS = 3  # in the example input; the graph takes any number
LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")  # they report skipped optimisations


def solve(matrix: Tensor, right: Tensor, join: Callable = torch.cat) -> Tensor:
    """Solve ``matrix @ x = right`` for x (..., n, k), by Gauss-Jordan elimination.

    `matrix` (..., n, n) is symmetric and positive definite, so no pivot is searched. `join`
    concatenates.
    """
    rows = join([matrix, right], -1)
    for _ in range(matrix.shape[-1]):
        first = rows[..., :1, 1:] / rows[..., :1, :1]
        others = rows[..., 1:, 1:] - rows[..., 1:, :1] * first
        rows = join([others, first], -2)  # after n steps in the first order again
    return rows


def solve_triangular(matrix: Tensor, right: Tensor, *, upper: bool) -> Tensor:
    """Solve ``matrix @ x = right`` for x (..., n, k), row by row."""
    n = matrix.shape[-1]
    rows = [right[..., 0, :]] * n
    for i in reversed(range(n)) if upper else range(n):
        rows[i] = right[..., i, :] / matrix[..., i, i, None]
        right = right - matrix[..., i, None] * rows[i][..., None, :]
    return torch.stack(rows, -2)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Concatenate `tensors` by padding and addition."""
    tensors = [tensor.movedim(dim, -1) for tensor in tensors]
    width, start, result = sum(tensor.shape[-1] for tensor in tensors), 0, 0
    for tensor in tensors:
        end = start + tensor.shape[-1]
        result = result + F.pad(tensor, (start, width - end))
        start = end
    return result.movedim(-1, dim)


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise `x` to mean 0 and variance 1 along its last axes."""
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    normal = centred / (centred.square().mean(axes, keepdim=True) + eps).sqrt()
    scaled = normal if weight is None else normal * weight
    return scaled if bias is None else scaled + bias


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """Compute ``x * P(Z < x)``; onnxruntime has the error function in float32 only."""
    if approximate != "none" or x.dtype != torch.float64:
        return F.gelu(x, approximate=approximate)
    return x * (0.5 + 0.5 * (x * 0.5**0.5).float().erf().double())


SUBSTITUTES = {
    F.gelu: gelu,
    torch.linalg.solve: solve,
    torch.linalg.solve_triangular: solve_triangular,
}


# Under vmap, torch 2.13 fixes the number of rows of these functions to that of the example.
UNDER_VMAP = {
    torch.cat: cat,
    F.layer_norm: layer_norm,
    torch.linalg.solve: partial(solve, join=cat),
}


class DecomposeUnsupported(TorchFunctionMode):
    """Replaces functions that cannot be exported by equivalent ones that can."""

    def __init__(self, under_vmap: bool) -> None:
        super().__init__()
        self.substitutes = SUBSTITUTES | (UNDER_VMAP if under_vmap else {})

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return self.substitutes.get(func, func)(*args, **(kwargs or {}))


class ExportModule(nn.Module):
    """Module that applies a function to a module and rows.

    Parameters
    ----------
    module : nn.Module
        An autoencoder or an ensemble.
    function : callable
        ``(module, rows)`` -> one tensor an output of the graph.
    """

    def __init__(self, module: nn.Module, function: Callable) -> None:
        super().__init__()
        self.module = module
        self.function = function

    def forward(self, X: Tensor):
        """Apply the function to `X` of shape (batch, n_columns)."""
        with DecomposeUnsupported(under_vmap=self.module.n_members > 1):
            return self.function(self.module, X)


@contextmanager
def _quiet():
    """Silence the messages of torch's exporter that a user cannot act on."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # torch.export calls a deprecated function of torch itself (torch 2.13).
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def trace(
    module: nn.Module,
    function: Callable,
    n_columns: int,
    names: Sequence[str],
    dtype: torch.dtype = torch.float32,
    opset: int = OPSET,
):
    """Trace `function` of `module` and rows into an ONNX model.

    Parameters
    ----------
    module : nn.Module
        A copy of the fitted module on the CPU, in `dtype`. It is set to evaluation mode.
    function : callable
        ``(module, rows)`` -> one tensor an output.
    n_columns : int
        Number of columns of the input "X", which takes any number of rows.
    names : sequence of str
        Names of the outputs.
    dtype : torch.dtype, default=torch.float32
        Precision of the module and of the input.
    opset : int, default=20
        Version of the operators.

    Returns
    -------
    model : onnx.ModelProto

    Raises
    ------
    ValueError
        If the network fixes the number of rows.
    """
    rows = torch.zeros(N_TRACED_ROWS, n_columns, dtype=dtype)
    with _quiet(), torch.no_grad():
        exported = torch.onnx.export(
            ExportModule(module, function).eval(),
            (rows,),
            input_names=["X"],
            output_names=list(names),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=opset,
            optimize=False,
            dynamo=True,
            verbose=False,
        )
    _simplify(exported.model)
    model = exported.model_proto
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise ValueError(
            f"The network fixes the number of rows to the {N_TRACED_ROWS} that were "
            "traced. Write x.shape[0] in place of len(x) in it."
        )
    _strip_metadata(model)
    return model


def _simplify(model) -> None:
    """Fold constants and remove what is not used, without the rewriting rules of torch.

    The rules take most of the time of an export, and onnxruntime has the same.
    """
    from onnx_ir.passes import Sequential, common
    from onnxscript.optimizer import fold_constants

    common.InlinePass()(model)
    fold_constants(model)
    Sequential(
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)


def _strip_metadata(model) -> None:
    """Remove torch's metadata, which names files of the exporting machine."""
    graph = model.graph
    lists = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for message in (model, graph, *chain.from_iterable(lists)):
        message.ClearField("metadata_props")
