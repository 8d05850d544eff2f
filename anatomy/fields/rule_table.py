"""What an operator reads: a table `operator -> rule`, each rule a few lines of axis maps.

A rule answers for the data inputs of a node. For every axis of such an input it gives a `Read`:
which output axis it follows and by which map. `ALL` means that each unit reads the axis whole, as a
channel contraction does. `WIDENED` means the same, but only because the rule does not know better.
A node without a rule widens everything: unknown is never identity.
"""

from collections.abc import Mapping

from anatomy.fields.rules import mixing, placing, regrouping, sliding
from anatomy.fields.rules.base import WIDENED, Reads, Rule, RuleNotApplicable, shape_of
from anatomy.graphs.graph import Graph, GraphError, Node
from anatomy.graphs.memo import per_graph


def reads(node: Node, graph: Graph, output: str) -> Mapping[int, Reads]:
    """What one output of a node reads, by input position; inputs left out carry weights or sizes,
    never features.

    Unknown operators, and nodes whose rule cannot tell, read every input whole and say so. Raises
    GraphError for a node whose attributes or inputs do not fit its operator.
    """
    found = _ruled(node, graph, output)
    if found is None or (node.operator in MEASURES and node.inputs[0] in sized_by_values(graph)):
        return {
            i: tuple(WIDENED for _ in graph.shape(name) or ())
            for i, name in enumerate(node.inputs)
            if name
        }
    return found


def _ruled(node: Node, graph: Graph, output: str) -> Mapping[int, Reads] | None:
    try:
        found = _by_rule(node, graph, output)
    except RuleNotApplicable:
        return None
    except GraphError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise GraphError(BROKEN.format(node.operator, node.name)) from error
    if found is not None and any(
        len(axes) != len(graph.shape(node.inputs[i]) or axes) for i, axes in found.items()
    ):
        raise GraphError(BROKEN.format(node.operator, node.name))
    return found


def _by_rule(node: Node, graph: Graph, output: str) -> Mapping[int, Reads] | None:
    if node.domain == "" and node.operator in RULES:
        return RULES[node.operator](node, graph)
    if node.domain == "" and node.operator in RULES_BY_OUTPUT:
        return RULES_BY_OUTPUT[node.operator](node, graph, output)
    return None


@per_graph
def sized_by_values(graph: Graph) -> frozenset[str]:
    """Tensors whose very shape may depend on values, as that of NonZero does: no rule covers how
    they came about.
    """
    found: set[str] = set()
    for node in graph.nodes:
        for output in node.outputs:
            sizes = graph.shape(output)
            fixed = sizes is not None and all(isinstance(size, int) for size in sizes)
            if not fixed and (
                not found.isdisjoint(node.inputs) or _ruled(node, graph, output) is None
            ):
                found.add(output)
    return frozenset(found)


UNARY = (
    "Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast Ceil Celu Clip Cos "
    "Cosh DequantizeLinear "
    "Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish "
    "Neg Not "
    "QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign "
    "Sqrt Swish "
    "Tan Tanh ThresholdedRelu"
).split()

BINARY = (
    "Add And BitwiseAnd BitwiseOr BitwiseXor CastLike Div Equal Greater GreaterOrEqual Less "
    "LessOrEqual Max Mean Min "
    "Mod Mul Or PRelu Pow Sub Sum Where Xor"
).split()

REDUCTIONS = [
    f"Reduce{name}" for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()
]

MEASURES = ("Shape", "Size")

BROKEN = "{} '{}' breaks the rules of its operator, so that nothing runs it"


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(UNARY, placing.unary),
    **dict.fromkeys(BINARY, placing.broadcast),
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), sliding.convolution),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), sliding.pool),
    **dict.fromkeys(
        ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "InstanceNormalization"),
        mixing.global_pool,
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), mixing.softmax),
    **dict.fromkeys(REDUCTIONS, mixing.reduce),
    **dict.fromkeys(MEASURES, placing.nothing),
    **dict.fromkeys(("Resize", "Upsample"), placing.resize),
    "ConvTranspose": sliding.transposed_convolution,
    "Concat": placing.concat,
    "DepthToSpace": placing.depth_to_space,
    "Expand": placing.broadcast,
    "Flatten": regrouping.flatten,
    "Gather": placing.gather,
    "Gemm": mixing.gemm,
    "GroupNormalization": lambda node, graph: mixing.whole_along(
        node, graph, range(1, len(shape_of(graph, node.inputs[0])))
    ),
    "LRN": lambda node, graph: mixing.whole_along(node, graph, [1]),
    "LayerNormalization": mixing.layer_norm,
    "LpNormalization": lambda node, graph: mixing.whole_along(
        node, graph, [node.attributes.get("axis", -1)]
    ),
    "MatMul": mixing.matmul,
    "Pad": placing.pad,
    "Reshape": regrouping.reshape,
    "Slice": placing.slice_,
    "SpaceToDepth": placing.space_to_depth,
    "Squeeze": placing.squeeze,
    "Tile": placing.tile,
    "Transpose": placing.transpose,
    "Unsqueeze": placing.unsqueeze,
}


RULES_BY_OUTPUT = {"Split": placing.split}
"""Rules of operators whose outputs read different parts."""
