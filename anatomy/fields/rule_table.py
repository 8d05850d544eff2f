"""What an operator reads: a table `operator -> rule`, each rule a few lines of axis maps.

A rule answers for the data inputs of a node. For every axis of such an input it gives an
`AxisDependency`: which output axis it follows and by which map. `WHOLE_AXIS` means that each unit
reads the axis whole, as a channel contraction does. `WIDENED` means the same, but only because the
rule does not know better. A node without a rule widens everything: unknown is never identity.
"""

from collections.abc import Mapping

from anatomy.fields.rules import (
    elementwise,
    matrix_products,
    reductions,
    reshape,
    shape_ops,
    sliding_window,
)
from anatomy.fields.rules.base import WIDENED, AxisDependencies, Rule, RuleNotApplicable
from anatomy.graphs.graph import Graph, GraphError, Node, is_known
from anatomy.graphs.memo import per_graph

Dependencies = Mapping[int, AxisDependencies]


def dependencies(node: Node, graph: Graph, output: str) -> Dependencies:
    """What one output of a node reads, by input position; inputs left out carry weights or sizes,
    never features.

    Unknown operators, and nodes whose rule cannot tell, read every input whole and say so. Raises
    GraphError for a node whose attributes or inputs do not fit its operator.
    """
    results = _results(graph)
    if (node, output) not in results:
        results[node, output] = _dependencies(node, graph, output)
    return results[node, output]


@per_graph
def _results(graph: Graph) -> dict[tuple[Node, str], Dependencies]:
    """The results of `dependencies` so far: every walk over a graph asks for the same ones."""
    return {}


def _dependencies(node: Node, graph: Graph, output: str) -> Dependencies:
    by_input = _by_rule(node, graph, output)
    measures = node.operator in SHAPE_OPS and node.inputs[0] in data_dependent_shapes(graph)
    return _widened(node, graph) if by_input is None or measures else by_input


def _widened(node: Node, graph: Graph) -> Dependencies:
    """Every input is read whole, for want of a rule."""
    by_input: dict[int, AxisDependencies] = {}
    for position, name in enumerate(node.inputs):
        if name:
            by_input[position] = (WIDENED,) * len(graph.shape(name) or ())
    return by_input


def _by_rule(node: Node, graph: Graph, output: str) -> Dependencies | None:
    """What the rule says; None where there is none, or it cannot tell. Raises GraphError."""
    try:
        by_input = _apply_rule(node, graph, output)
    except RuleNotApplicable:
        return None
    except GraphError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise GraphError(BROKEN.format(node.operator, node.name)) from error
    for position, axes in (by_input or {}).items():
        if len(axes) != len(graph.shape(node.inputs[position]) or axes):
            raise GraphError(BROKEN.format(node.operator, node.name))
    return by_input


def _apply_rule(node: Node, graph: Graph, output: str) -> Dependencies | None:
    if node.domain == "" and node.operator in RULES:
        return RULES[node.operator](node, graph)
    if node.domain == "" and node.operator in RULES_BY_OUTPUT:
        return RULES_BY_OUTPUT[node.operator](node, graph, output)
    return None


@per_graph
def data_dependent_shapes(graph: Graph) -> frozenset[str]:
    """Tensors whose very shape may depend on values, as that of NonZero does: no rule covers how
    they came about.
    """
    tensors: set[str] = set()
    for node in graph.nodes:
        for output in filter(lambda name: _has_open_size(graph, name), node.outputs):
            from_such = not tensors.isdisjoint(node.inputs)
            if from_such or _by_rule(node, graph, output) is None:
                tensors.add(output)
    return frozenset(tensors)


def _has_open_size(graph: Graph, tensor: str) -> bool:
    shape = graph.shape(tensor)
    return shape is None or not is_known(shape)


UNARY = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast Ceil Celu Clip "
    "Cos Cosh DequantizeLinear Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity "
    "IsInf IsNaN LeakyRelu Log Mish Neg Not QuantizeLinear Reciprocal Relu Round Selu Shrink "
    "Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu"
).split()

BINARY = (
    "Add And BitwiseAnd BitwiseOr BitwiseXor CastLike Div Equal Greater GreaterOrEqual Less "
    "LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor"
).split()

REDUCTIONS = [
    f"Reduce{name}" for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()
]

SHAPE_OPS = ("Shape", "Size")

BROKEN = "{} '{}' breaks the rules of its operator, so that nothing runs it"


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(UNARY, elementwise.unary),
    **dict.fromkeys(BINARY, elementwise.broadcast),
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), sliding_window.convolution),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), sliding_window.pool),
    **dict.fromkeys(
        ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "InstanceNormalization"),
        reductions.global_pool,
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), reductions.softmax),
    **dict.fromkeys(REDUCTIONS, reductions.reduce),
    **dict.fromkeys(SHAPE_OPS, elementwise.no_dependency),
    **dict.fromkeys(("Resize", "Upsample"), shape_ops.resize),
    "ConvTranspose": sliding_window.transposed_convolution,
    "Concat": shape_ops.concat,
    "DepthToSpace": shape_ops.depth_to_space,
    "Expand": elementwise.broadcast,
    "Flatten": reshape.flatten,
    "Gather": shape_ops.gather,
    "Gemm": matrix_products.gemm,
    "GroupNormalization": reductions.group_norm,
    "LRN": reductions.local_response_norm,
    "LayerNormalization": reductions.layer_norm,
    "LpNormalization": reductions.lp_norm,
    "MatMul": matrix_products.matmul,
    "Pad": shape_ops.pad,
    "Reshape": reshape.reshape,
    "Slice": shape_ops.slice_,
    "SpaceToDepth": shape_ops.space_to_depth,
    "Squeeze": shape_ops.squeeze,
    "Tile": shape_ops.tile,
    "Transpose": shape_ops.transpose,
    "Unsqueeze": shape_ops.unsqueeze,
}


RULES_BY_OUTPUT = {"Split": shape_ops.split}
"""Rules of operators whose outputs read different parts."""
