"""Constants that a graph computes from constants, as exporters write paddings and shapes: known
before any run.

Only small tensors and the operators of shape arithmetic count, run by ONNX's reference evaluator;
weights are left to the runtime.
"""

from collections.abc import Callable, Iterable
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from anatomy.graphs.constants import Constants
from anatomy.graphs.shapes import LARGEST

ARITHMETIC = frozenset(
    "Abs Add And Cast Ceil Concat ConstantOfShape Div Equal Expand Floor Gather Greater Identity "
    "Less Max Min Mod Mul "
    "Neg Not Or Pow Range ReduceMax ReduceMin ReduceProd ReduceSum Reshape Round ScatterND Shape "
    "Size Slice Split Sqrt "
    "Squeeze Sub Tile Transpose Unsqueeze Where".split()
)

Sizes = Callable[[str], tuple[int | str | None, ...] | None]


def folded(
    nodes: Iterable[onnx.NodeProto], constants: Constants, sizes: Sizes, opset: int
) -> dict[str, np.ndarray]:
    """Values of what these nodes, in topological order, compute from constants and from sizes that
    are known.
    """
    known = {name for name in constants if prod(constants.shape(name)) <= LARGEST}
    found: dict[str, np.ndarray] = {}
    arithmetic: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type not in ARITHMETIC or node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type in ("Shape", "Size") and node.input[0] not in known:
            found |= _measured(node, sizes(node.input[0]))
            known.update(found)
        elif known.issuperset(filter(None, node.input)) and all(
            _is_small(sizes(name)) for name in node.output
        ):
            arithmetic.append(node)
            known.update(node.output)
    return found | _evaluated(
        arithmetic, lambda name: found[name] if name in found else constants[name], opset
    )


def _is_small(shape: tuple[int | str | None, ...] | None) -> bool:
    sizes = [size for size in shape or () if isinstance(size, int)]
    return shape is not None and len(sizes) == len(shape) and prod(sizes) <= LARGEST


def _measured(
    node: onnx.NodeProto, shape: tuple[int | str | None, ...] | None
) -> dict[str, np.ndarray]:
    sizes = [size for size in shape or () if isinstance(size, int)]
    if shape is None or len(sizes) != len(shape):
        return {}
    if node.op_type == "Size":
        return {node.output[0]: np.array(prod(sizes), np.int64)}
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return {
        node.output[0]: np.array(
            sizes[ends.get("start", 0) : ends.get("end", len(sizes))], np.int64
        )
    }


def _evaluated(
    nodes: list[onnx.NodeProto], given: Callable[[str], np.ndarray], opset: int
) -> dict[str, np.ndarray]:
    outputs = [name for node in nodes for name in node.output if name]
    if not outputs:
        return {}
    # Half a second and 20 MB that most graphs need not pay.
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    read = {name for node in nodes for name in node.input if name} - set(outputs)
    weights = [numpy_helper.from_array(given(name), name) for name in sorted(read)]
    values = [onnx.ValueInfoProto(name=name) for name in outputs]
    model = helper.make_model(
        helper.make_graph(nodes, "constants", [], values, weights),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    try:
        with np.errstate(all="raise"):
            return dict(
                zip(outputs, map(np.asarray, ReferenceEvaluator(model).run(None, {})), strict=True)
            )
    except (ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return {}
