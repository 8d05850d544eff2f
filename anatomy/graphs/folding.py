"""Constant folding: what a graph computes from constants, as exporters write paddings and shapes,
is known before any run.

Only small tensors and the operators of shape arithmetic count, run by ONNX's reference evaluator;
weights are left to the runtime.
"""

from collections.abc import Callable, Iterable, Mapping
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from anatomy.graphs.constants import Constants
from anatomy.graphs.shapes import LARGEST

ARITHMETIC = frozenset(
    "Abs Add And Cast Ceil Concat ConstantOfShape Div Equal Expand Floor Gather Greater "
    "Identity Less Max Min Mod Mul Neg Not Or Pow Range ReduceMax ReduceMin ReduceProd "
    "ReduceSum Reshape Round ScatterND Shape Size Slice Split Sqrt Squeeze Sub Tile Transpose "
    "Unsqueeze Where".split()
)

Sizes = tuple[int | str | None, ...] | None


def fold_constants(
    nodes: Iterable[onnx.NodeProto],
    constants: Constants,
    sizes_of: Callable[[str], Sizes],
    opset: int,
) -> dict[str, np.ndarray]:
    """Values of what these nodes, in topological order, compute from constants and from sizes that
    are known.
    """
    known = {name for name in constants if prod(constants.shape(name)) <= LARGEST}
    measured: dict[str, np.ndarray] = {}
    arithmetic: list[onnx.NodeProto] = []
    for node in filter(_is_arithmetic, nodes):
        if node.op_type in ("Shape", "Size") and node.input[0] not in known:
            measured |= _measure(node, sizes_of(node.input[0]))
            known.update(measured)
        elif known.issuperset(filter(None, node.input)) and _is_small(node, sizes_of):
            arithmetic.append(node)
            known.update(node.output)
    inputs = _inputs_of(arithmetic)
    values = {name: measured[name] if name in measured else constants[name] for name in inputs}
    return measured | _evaluate(arithmetic, values, opset)


def _is_arithmetic(node: onnx.NodeProto) -> bool:
    return node.op_type in ARITHMETIC and node.domain in ("", "ai.onnx")


def _is_small(node: onnx.NodeProto, sizes_of: Callable[[str], Sizes]) -> bool:
    for name in node.output:
        sizes = _known(sizes_of(name))
        if sizes is None or prod(sizes) > LARGEST:
            return False
    return True


def _known(sizes: Sizes) -> list[int] | None:
    """The sizes as numbers; None where one is open, or even their number is."""
    if sizes is None:
        return None
    known = [size for size in sizes if isinstance(size, int)]
    return known if len(known) == len(sizes) else None


def _measure(node: onnx.NodeProto, shape: Sizes) -> dict[str, np.ndarray]:
    """What Shape or Size makes of a tensor of this shape; nothing where a size is open."""
    sizes = _known(shape)
    if sizes is None:
        return {}
    if node.op_type == "Size":
        return {node.output[0]: np.array(prod(sizes), np.int64)}
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    start, end = ends.get("start", 0), ends.get("end", len(sizes))
    return {node.output[0]: np.array(sizes[start:end], np.int64)}


def _inputs_of(nodes: list[onnx.NodeProto]) -> list[str]:
    """What the nodes read and do not make themselves."""
    read = {name for node in nodes for name in node.input if name}
    made = {name for node in nodes for name in node.output}
    return sorted(read - made)


def _evaluate(
    nodes: list[onnx.NodeProto], values: Mapping[str, np.ndarray], opset: int
) -> dict[str, np.ndarray]:
    """What the nodes compute from these values; nothing where the evaluator fails."""
    outputs = [name for node in nodes for name in node.output if name]
    if not outputs:
        return {}
    # Half a second and 20 MB that most graphs need not pay.
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    model = _model(nodes, outputs, values, opset)
    try:
        with np.errstate(all="raise"):
            results = ReferenceEvaluator(model).run(None, {})
            return dict(zip(outputs, map(np.asarray, results), strict=True))
    except (ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return {}


def _model(
    nodes: list[onnx.NodeProto],
    outputs: list[str],
    values: Mapping[str, np.ndarray],
    opset: int,
) -> onnx.ModelProto:
    weights = [numpy_helper.from_array(array, name) for name, array in values.items()]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, "constants", [], results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
