"""A small read-only view of an ONNX graph: nodes in topological order, constants as arrays,
inferred shapes, producers and consumers.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import onnx

from anatomy.graphs.constants import Constants, UnreadableTensor, array_of
from anatomy.graphs.folding import fold_constants
from anatomy.graphs.shapes import first_input, infer_shapes

Dim = int | str | None
"""A known, symbolic or unknown size."""

Shape = tuple[Dim, ...]

LARGEST_SIZE = 2**31 - 1

CONSTANT_DTYPES: Mapping[str, type[np.generic]] = {
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_float": np.float32,
    "value_floats": np.float32,
}
"""The element types of what a Constant node holds as a plain attribute."""


class GraphError(ValueError):
    """The protobuf is no graph that we can read: a cycle, a tensor that nobody makes, an unreadable
    attribute.
    """


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: its type, its name and its tensors. A missing optional tensor is the empty
    string.

    What the sub-graphs of a control-flow operator read from outside counts among its inputs.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    domain: str = ""
    proto: onnx.NodeProto = field(default_factory=onnx.NodeProto, repr=False)


class Graph:
    """What `anatomy` needs to know of an ONNX model's main graph.

    `input_shape` settles what the first input's shape leaves open. Shapes come from ONNX shape
    inference; where it fails, a shape is what the file declares, or None. Raises GraphError when
    nodes form a cycle, read a tensor that nothing produces, or the input does not take that shape.
    """

    def __init__(self, proto: onnx.ModelProto, input_shape: Sequence[int] | None = None) -> None:
        if input_shape is not None:
            _check_fit(proto, input_shape)
        nodes = [_node(node) for node in proto.graph.node]
        self.opset = _opset(proto)
        self.constants = _constants(proto.graph, nodes)
        names = set(self.constants)
        self.inputs = tuple(value.name for value in proto.graph.input if value.name not in names)
        self.outputs = tuple(value.name for value in proto.graph.output)
        operators = [node for node in nodes if node.operator != "Constant"]
        self.nodes = _sorted(operators, {*self.inputs, *names})
        self._infer(proto, input_shape)

    def _infer(self, proto: onnx.ModelProto, input_shape: Sequence[int] | None) -> None:
        """Infer shapes and fold constants in turn, until neither knows more."""
        self._shapes, self._dtypes = _declared(infer_shapes(proto, input_shape).graph)
        computed: dict[str, np.ndarray] = {}
        while folded := self._fold():
            computed |= folded
            self.constants.add(folded)
            if not any(self._is_open(node) for node in self.nodes):
                break
            inferred = infer_shapes(proto, input_shape, computed)
            self._shapes, self._dtypes = _declared(inferred.graph)

    def shape(self, name: str) -> Shape | None:
        """Sizes of a tensor, batch first as the graph has it; None if its rank is unknown."""
        if name in self.constants:
            return self.constants.shape(name)
        return self._shapes.get(name)

    def dtype(self, name: str) -> np.dtype[Any] | None:
        """Element type of a tensor; None if unknown."""
        if name in self.constants:
            return self.constants.dtype(name)
        return self._dtypes.get(name)

    def producer(self, name: str) -> Node | None:
        """The node that makes a tensor; None for inputs and constants."""
        return self._producers.get(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a tensor, in topological order."""
        return tuple(self._consumers.get(name, ()))

    def _fold(self) -> dict[str, np.ndarray]:
        known = self.constants.keys()
        protos = [node.proto for node in self.nodes if not known >= set(node.outputs)]
        return fold_constants(protos, self.constants, self._shapes.get, self.opset)

    def _is_open(self, node: Node) -> bool:
        """Whether a shape that the node makes is not known to the last size."""
        shapes = [self._shapes.get(output) for output in node.outputs if output]
        return not all(shape is not None and is_known(shape) for shape in shapes)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {output: node for node in self.nodes for output in node.outputs if output}

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        consumers: defaultdict[str, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                consumers[name].append(node)
        return dict(consumers)


def is_known(shape: Shape) -> bool:
    """Whether every size is a number."""
    return all(isinstance(size, int) for size in shape)


def _opset(proto: onnx.ModelProto) -> int:
    versions = [item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def _constants(graph: onnx.GraphProto, nodes: Sequence[Node]) -> Constants:
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    arrays = {node.outputs[0]: _constant(node) for node in nodes if node.operator == "Constant"}
    try:
        return Constants(tensors, arrays)
    except UnreadableTensor as error:
        raise GraphError(_unreadable(error)) from None


def _check_fit(proto: onnx.ModelProto, input_shape: Sequence[int]) -> None:
    """Raises GraphError unless the first input can take the shape."""
    value, shown = first_input(proto.graph), "x".join(map(str, input_shape))
    if not all(1 <= size <= LARGEST_SIZE for size in input_shape):
        raise GraphError(f"the shape {shown} is none; expected sizes from 1 to {LARGEST_SIZE}")
    if value.type.tensor_type.HasField("shape"):
        _check_declared(value, input_shape, shown)


def _check_declared(value: onnx.ValueInfoProto, input_shape: Sequence[int], shown: str) -> None:
    declared = [_dim(dim) for dim in value.type.tensor_type.shape.dim]
    if len(declared) != len(input_shape):
        raise GraphError(
            f"input '{value.name}' has {len(declared)} axes, the shape {shown} has "
            f"{len(input_shape)}"
        )
    pairs = zip(declared, input_shape, strict=True)
    if any(isinstance(size, int) and size != concrete for size, concrete in pairs):
        expected = "x".join("?" if size is None else str(size) for size in declared)
        raise GraphError(f"the shape {shown} does not fit input '{value.name}' of shape {expected}")


def _declared(graph: onnx.GraphProto) -> tuple[dict[str, Shape], dict[str, np.dtype[Any]]]:
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, np.dtype[Any]] = {}
    for value in (*graph.value_info, *graph.output, *graph.input):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            shapes[value.name] = tuple(_dim(dim) for dim in tensor.shape.dim)
        if tensor.elem_type:
            dtypes[value.name] = _dtype(value.name, tensor.elem_type)
    return shapes, dtypes


def _dtype(name: str, element: int) -> np.dtype[Any]:
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element))
    except KeyError:
        raise GraphError(
            f"tensor '{name}' is of element type {element}, which ONNX does not have"
        ) from None


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        # Some exporters write -1 for a size that they leave open.
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return dim.dim_param or None


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {attribute.name: _attribute(attribute) for attribute in proto.attribute}
    name = proto.name or next((output for output in proto.output if output), proto.op_type)
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    inputs = (*proto.input, *captured(proto))
    return Node(proto.op_type, name, inputs, tuple(proto.output), attributes, domain, proto)


def captured(proto: onnx.NodeProto) -> tuple[str, ...]:
    """What the sub-graphs of a node read from the graph around it."""
    graphs = [graph for attribute in proto.attribute for graph in (attribute.g, *attribute.graphs)]
    return tuple(dict.fromkeys(name for graph in graphs for name in _free(graph)))


def _free(graph: onnx.GraphProto) -> Iterator[str]:
    """The names that a sub-graph reads and does not define."""
    defined = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        defined.update(node.output)
    read = [name for node in graph.node for name in (*node.input, *captured(node)) if name]
    read.extend(value.name for value in graph.output)
    yield from (name for name in read if name not in defined)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return _array(value)
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return tuple(value)
    if attribute.type == onnx.AttributeProto.STRINGS:
        return tuple(item.decode("utf-8", "replace") for item in value)
    return value


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return array_of(tensor)
    except UnreadableTensor as error:
        raise GraphError(_unreadable(error)) from None


def _unreadable(error: UnreadableTensor) -> str:
    return f"tensor '{error}' cannot be read as the type and shape that it declares"


def _constant(node: Node) -> np.ndarray:
    if len(node.attributes) != 1:
        raise GraphError(f"Constant '{node.name}' has {len(node.attributes)} values, expected one")
    ((kind, value),) = node.attributes.items()
    if kind.startswith("sparse"):
        raise GraphError(f"Constant '{node.name}' is sparse; only dense constants are read")
    return np.asarray(value, CONSTANT_DTYPES.get(kind))


def _sorted(nodes: list[Node], known: set[str]) -> tuple[Node, ...]:
    """Topological order that keeps the file's order where it can (Kahn 1962)."""
    available = known | {""}
    ordered: list[Node] = []
    waiting = nodes
    while waiting:
        blocked: list[Node] = []
        for node in waiting:
            if available.issuperset(node.inputs):
                ordered.append(node)
                available.update(node.outputs)
            else:
                blocked.append(node)
        if len(blocked) == len(waiting):
            _raise_blocked(blocked[0], available)
        waiting = blocked
    return tuple(ordered)


def _raise_blocked(node: Node, available: set[str]) -> NoReturn:
    missing = next(name for name in node.inputs if name not in available)
    raise GraphError(
        f"{node.operator} '{node.name}' reads '{missing}', which nothing before it produces"
    )
