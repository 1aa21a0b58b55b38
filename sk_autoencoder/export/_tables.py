"""ONNX graphs of encoded tables: one input a column, strings for categories."""

from collections.abc import Sequence

import numpy as np

from sk_autoencoder.preprocessing import TableEncoder
from sk_autoencoder.preprocessing._columns import CYCLES, OFFSETS
from sk_autoencoder.utils._sklearn_compat import feature_names

ROWS = "table/rows"


class GraphBuilder:
    """Nodes and constants of a graph, with names of their own.

    Parameters
    ----------
    dtype : type
        Floats of the graph, np.float32 or np.float64.
    """

    def __init__(self, dtype: type) -> None:
        self.dtype = dtype
        self.nodes: list = []
        self.constants: list = []

    def add(self, operator: str, *inputs: str, **attributes) -> str:
        """Add a node, and return the name of its output."""
        from onnx import helper

        name = f"table/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, values, dtype: type | None = None) -> str:
        """Add a constant, by default floats of the graph, and return its name."""
        from onnx import TensorProto, helper, numpy_helper

        name, values = f"table/constant{len(self.constants)}", np.asarray(values)
        if values.dtype.kind in "OU":
            cells = [str(value).encode() for value in values.ravel()]
            tensor = helper.make_tensor(name, TensorProto.STRING, values.shape, cells)
        else:
            is_float = values.dtype.kind == "f"
            values = values.astype(dtype or self.dtype) if is_float else values
            tensor = numpy_helper.from_array(values, name)
        self.constants.append(tensor)
        return name

    def cast(self, value: str) -> str:
        """Convert a value to the floats of the graph."""
        from onnx import helper

        element = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        return self.add("Cast", value, to=element)


def encode_category(graph: GraphBuilder, x: str, encoder, is_text: bool) -> str:
    """Look the block of a level up; an unknown level has the block that transform gives."""
    levels, blocks, unknown = encoder.lookup()
    levels = levels if is_text else levels.astype(np.float64)
    known = graph.constant(levels[None], np.float64)
    is_equal = graph.cast(graph.add("Equal", x, known))
    axis = graph.constant(np.array([1]))
    is_known = graph.add("ReduceSum", is_equal, axis, keepdims=1)
    is_unknown = graph.add("Sub", graph.constant(np.ones(1)), is_known)
    block = graph.add("MatMul", is_equal, graph.constant(blocks))
    rest = graph.add("Mul", is_unknown, graph.constant(unknown[None]))
    block = graph.add("Add", block, rest)
    if is_text:
        is_missing = graph.add("Equal", x, graph.constant(np.array([[""]], object)))
    else:
        is_missing = graph.add("IsNaN", x)
    return graph.add("Where", is_missing, graph.constant(np.full((1, 1), np.nan)), block)


def encode_time(graph: GraphBuilder, x: str, cycles: Sequence[str]) -> str:
    """Add the sines and cosines of a number of days, in float64 until there."""

    def number(value: float) -> str:
        return graph.constant(np.array([value]), np.float64)

    parts = [graph.cast(x)]
    for cycle in cycles:
        place = graph.add("Add", x, number(OFFSETS[cycle]))
        place = graph.add("Div", place, number(CYCLES[cycle]))
        place = graph.add("Sub", place, graph.add("Floor", place))
        angle = graph.cast(graph.add("Mul", place, number(2 * np.pi)))
        parts += [graph.add("Sin", angle), graph.add("Cos", angle)]
    return graph.add("Concat", *parts, axis=1)


def encode_bins(graph: GraphBuilder, x: str, knots: np.ndarray) -> str:
    """Weigh the two knots around a number."""
    if len(knots) == 1:
        return graph.add("Add", graph.add("Sub", x, x), graph.constant(np.ones((1, 1))))
    low, high = (graph.constant(knots[[i]]) for i in (0, -1))
    x = graph.add("Max", graph.add("Min", x, high), low)
    gaps = np.diff(knots)
    starts = np.r_[knots[0] - gaps[0], knots[:-1]][None], np.r_[gaps[0], gaps][None]
    ends = np.r_[knots[1:], knots[-1] + gaps[-1]][None], np.r_[gaps, gaps[-1]][None]
    rising = graph.add("Sub", x, graph.constant(starts[0]))
    rising = graph.add("Div", rising, graph.constant(starts[1]))
    falling = graph.add("Sub", graph.constant(ends[0]), x)
    falling = graph.add("Div", falling, graph.constant(ends[1]))
    return graph.add("Max", graph.add("Min", rising, falling), graph.constant(np.zeros(1)))


def encode_columns(graph: GraphBuilder, table: TableEncoder, names: list[str]) -> list:
    """Add the encoding of all columns, and return the inputs of the graph."""
    from onnx import TensorProto, helper

    float_type = helper.np_dtype_to_tensor_dtype(np.dtype(graph.dtype))
    inputs, blocks = [], []
    for name, kind, encoder in zip(names, table.kinds_, table.encoders_, strict=True):
        is_text = kind == "category" and is_textual(encoder)
        element = TensorProto.STRING if is_text else TensorProto.DOUBLE
        if kind in ("number", "boolean"):
            element = float_type
        inputs.append(helper.make_tensor_value_info(name, element, [None, 1]))
        if not encoder.suffixes():
            continue
        if kind == "category":
            blocks.append(encode_category(graph, name, encoder, is_text))
        elif encoder.holds_probabilities:
            blocks.append(encode_bins(graph, graph.cast(name), encoder.knots))
        elif kind in ("number", "boolean"):
            blocks.append(name)
        else:
            blocks.append(encode_time(graph, name, encoder.cycles))
    rows = graph.add("Concat", *blocks, axis=1)
    if table.fill_missing:
        center = graph.constant(table.center_[None])
        rows = graph.add("Where", graph.add("IsNaN", rows), center, rows)
    graph.nodes[-1].output[0] = ROWS
    return inputs


def is_textual(encoder) -> bool:
    """Check whether the levels of a category are texts."""
    return all(isinstance(level, str) for level in encoder.lookup()[0])


def put_table_before(model, table: TableEncoder):
    """Put the encoding of a table before a graph of encoded rows.

    Parameters
    ----------
    model : onnx.ModelProto
        With the input "X".
    table : TableEncoder

    Returns
    -------
    model : onnx.ModelProto
        With one input for each column, of shape (n_samples, 1).
    """
    from onnx.compose import add_prefix

    names = feature_names(table).tolist()
    outputs = {output.name for output in model.graph.output}
    if clash := outputs.intersection(names):
        raise ValueError(
            f"Column {clash.pop()!r} has the name of an output of the model. Rename it."
        )
    model = add_prefix(model, "autoencoder/", rename_inputs=False, rename_outputs=False)
    graph = GraphBuilder(np.float32)
    inputs = encode_columns(graph, table, names)
    for node in model.graph.node:
        node.input[:] = [ROWS if name == "X" else name for name in node.input]
    nodes = [*graph.nodes, *model.graph.node]
    del model.graph.input[:], model.graph.node[:]
    model.graph.input.extend(inputs)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(graph.constants)
    return model
