"""Every operator's rule against ONNX Runtime: what a unit sees is what changes it, index by index.

Each network is one operator (or a few) and a pointwise convolution that makes its result a layer.
"""

import numpy as np
import onnx
import pytest

from anatomy.fields.forward import spatial_axes
from anatomy.fields.rule_table import BINARY, REDUCTIONS, RULES, RULES_BY_OUTPUT, UNARY
from anatomy.graphs.graph import Graph, GraphError
from anatomy.layers.layers import layers
from tests.anatomy.networks import Network, Oracle, parse

IMAGE, SIGNAL = "1,2,6,7", "1,2,9"

EXACT: dict[str, tuple[str, str]] = {
    "Add": (IMAGE, "t = Add(x, x)"),
    "AveragePool": (
        SIGNAL,
        "t = AveragePool<kernel_shape=[3], pads=[1,1], strides=[2], ceil_mode=1>(x)",
    ),
    "BatchNormalization": (IMAGE, "t = BatchNormalization(x, pair, pair, pair, pair)"),
    "Concat": (SIGNAL, "p = MaxPool<kernel_shape=[3]>(x) t = Concat<axis=2>(p, x, p)"),
    "Concat channels": (
        IMAGE,
        "p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) t = Concat<axis=1>(p, x)",
    ),
    "Conv": (IMAGE, "t = Conv<dilations=[2,1], pads=[0,2,1,0], strides=[1,2]>(x, kernel)"),
    "Conv grouped": (
        IMAGE,
        "t = Conv<group=2, auto_pad='SAME_LOWER', strides=[2,2]>(x, depthwise)",
    ),
    "ConvTranspose": (
        IMAGE,
        "t = ConvTranspose<strides=[2,3], pads=[1,0,0,1], output_padding=[1,0]>(x, kernel)",
    ),
    "ConvTranspose to a shape": (
        IMAGE,
        "t = ConvTranspose<strides=[2,2], output_shape=[11,13]>(x, kernel)",
    ),
    "DepthToSpace": (
        "1,8,3,4",
        "t = DepthToSpace<blocksize=2>(x)",
    ),
    "Expand": ("1,2,1,5", "to = Constant<value_ints=[1,2,3,5]>() t = Expand(x, to)"),
    "Gather": (SIGNAL, "i = Constant<value_ints=[7,0,0,-1]>() t = Gather<axis=2>(x, i)"),
    "Gather one": (
        "1,2,5,6,7",
        "i = Constant<value_int=2>() t = Gather<axis=2>(x, i)",
    ),
    "GlobalAveragePool": (IMAGE, "p = GlobalAveragePool(x) t = Add(x, p)"),
    "InstanceNormalization": (SIGNAL, "t = InstanceNormalization(x, pair, pair)"),
    "LRN": (IMAGE, "t = LRN<size=3>(x)"),
    "LayerNormalization": (
        SIGNAL,
        (
            "g = Constant<value_floats=[1.0,2.0,3.0,1.0,2.0,3.0,1.0,2.0,3.0]>() t = "
            "LayerNormalization(x, g)"
        ),
    ),
    "LpPool": (SIGNAL, "t = LpPool<kernel_shape=[3], strides=[2]>(x)"),
    "MatMul": (IMAGE, "t = MatMul(x, seven)"),
    "MatMul left": (IMAGE, "t = MatMul(six, x)"),
    "MaxPool": (
        IMAGE,
        "t = MaxPool<kernel_shape=[2,3], strides=[2,2], pads=[1,0,0,1], dilations=[2,1]>(x)",
    ),
    "Mul": (IMAGE, "gate = Sigmoid(x) t = Mul(x, gate)"),
    "Pad constant": (SIGNAL, "p = Constant<value_ints=[0,0,2,0,0,-3]>() t = Pad(x, p)"),
    "Pad edge": (SIGNAL, "p = Constant<value_ints=[0,0,2,0,0,1]>() t = Pad<mode='edge'>(x, p)"),
    "Pad reflect": (
        SIGNAL,
        "p = Constant<value_ints=[0,0,3,0,0,4]>() t = Pad<mode='reflect'>(x, p)",
    ),
    "Pad wrap": (SIGNAL, "p = Constant<value_ints=[0,0,3,0,0,4]>() t = Pad<mode='wrap'>(x, p)"),
    "Pad some axes": (
        IMAGE,
        (
            "p = Constant<value_ints=[2,1]>() z = Constant<value_float=0.0>() a = "
            "Constant<value_ints=[-1]>() "
            "t = Pad(x, p, z, a)"
        ),
    ),
    "ReduceMean": (IMAGE, "a = Constant<value_ints=[2]>() m = ReduceMean(x, a) t = Add(x, m)"),
    "ReduceMean last": (IMAGE, "a = Constant<value_ints=[-1]>() t = ReduceMean<keepdims=0>(x, a)"),
    "Flatten": ("1,2,3,1", "f = Flatten(x) t = Unsqueeze(f, two)"),
    "Reshape into tokens": (IMAGE, "s = Constant<value_ints=[1,2,42]>() t = Reshape(x, s)"),
    "Reshape of neighbours": (
        "1,2,6,3,4",
        "s = Constant<value_ints=[1,2,6,12]>() t = Reshape(x, s)",
    ),
    "Reshape into channels": ("1,2,6,3", "s = Constant<value_ints=[1,12,3]>() t = Reshape(x, s)"),
    "Reshape with ones": (
        IMAGE,
        "s = Constant<value_ints=[1,1,2,6,1,7]>() r = Reshape(x, s) t = Squeeze(r, one)",
    ),
    "pixel shuffle": (
        "1,8,3,4",
        (
            "s = Constant<value_ints=[1,2,2,2,3,4]>() r = Reshape(x, s) m = "
            "Transpose<perm=[0,1,4,2,5,3]>(r) "
            "g = Constant<value_ints=[1,2,6,8]>() t = Reshape(m, g)"
        ),
    ),
    "Reshape": (
        IMAGE,
        "s = Constant<value_ints=[1,2,1,6,7]>() r = Reshape(x, s) t = Squeeze(r, two)",
    ),
    "Resize cubic": (
        IMAGE,
        "n = Constant<value_ints=[1,2,9,5]>() t = Resize<mode='cubic'>(x, , , n)",
    ),
    "Resize linear": (
        IMAGE,
        "n = Constant<value_ints=[1,2,9,5]>() t = Resize<mode='linear'>(x, , , n)",
    ),
    "Resize nearest": (
        SIGNAL,
        (
            "n = Constant<value_ints=[1,2,18]>() "
            "t = Resize<coordinate_transformation_mode='asymmetric', nearest_mode='floor'>(x, , , "
            "n)"
        ),
    ),
    "Resize by scales": (
        SIGNAL,
        "f = Constant<value_floats=[1.0,1.0,1.5]>() t = Resize<mode='linear'>(x, , f)",
    ),
    "Slice": (
        SIGNAL,
        (
            "b = Constant<value_ints=[1]>() e = Constant<value_ints=[8]>() s = "
            "Constant<value_ints=[3]>() "
            "t = Slice(x, b, e, two, s)"
        ),
    ),
    "Slice backwards": (
        SIGNAL,
        (
            "b = Constant<value_ints=[-2]>() e = Constant<value_ints=[-100]>() s = "
            "Constant<value_ints=[-2]>() "
            "t = Slice(x, b, e, two, s)"
        ),
    ),
    "Softmax": (SIGNAL, "t = Softmax(x)"),
    "Softmax channels": (SIGNAL, "t = Softmax<axis=1>(x)"),
    "SpaceToDepth": (
        "1,2,6,8",
        "t = SpaceToDepth<blocksize=2>(x)",
    ),
    "Split": (
        SIGNAL,
        "n = Constant<value_ints=[4,5]>() a, b = Split<axis=2>(x, n) t = Concat<axis=2>(b, a)",
    ),
    "Squeeze": ("1,2,1,6,7", "t = Squeeze(x, two)"),
    "Tile": (SIGNAL, "r = Constant<value_ints=[1,1,2]>() t = Tile(x, r)"),
    "Transpose": (IMAGE, "t = Transpose<perm=[0,1,3,2]>(x)"),
    "Unsqueeze": (SIGNAL, "t = Unsqueeze(x, two)"),
    "Where": (IMAGE, "zero = Sub(x, x) c = Greater(x, zero) t = Where(c, x, zero)"),
}
"""Networks whose fields must be exact; the text makes `t` of `x`."""

WEIGHTS = """<float[2] pair, float[2,2,3,3] kernel, float[2,1,3,2] depthwise, float[7,4] seven,
    float[5,6] six,
int64[1] two = {2}, int64[1] one = {1}>"""


def made(shape: str, body: str) -> Network:
    """The text as a network, followed by a pointwise convolution of every channel."""
    model = parse(
        f"(float[{shape}] x) => (float y) {WEIGHTS} {{ {body.replace(chr(39), chr(34))} }}"
    )
    sizes = Graph(model).shape("t")
    assert sizes is not None
    assert isinstance(sizes[1], int)
    weights = np.arange(1, 1 + sizes[1], dtype=np.float32).reshape(1, -1, *[1] * (len(sizes) - 2))
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "last"))
    model.graph.node.append(onnx.helper.make_node("Conv", ["t", "last"], ["y"], "y"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return Network(model)


def influences(net: Network) -> np.ndarray:
    """Of each unit of the last map and each position of the input: whether the position changes the
    unit.
    """
    oracle = Oracle(net.model)
    shape = [size for size in net.graph.shape("x") or () if isinstance(size, int)]
    base = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)
    before = oracle.run(base)[0, 0]
    result = np.zeros((*before.shape, *shape[2:]), np.bool_)
    for position in np.ndindex(*shape[2:]):
        for bump in (-3.0, 3.0):
            changed = base.copy()
            changed[(0, slice(None), *position)] += np.array(
                [bump, bump / 2, 2 * bump, *[bump] * 5]
            )[: shape[1]]
            result[(..., *position)] |= oracle.run(changed)[0, 0] != before
    return result


def hull(seen: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The interval per axis that holds everything marked."""
    indices = np.argwhere(seen)
    return tuple(
        (int(low), int(high) + 1)
        for low, high in zip(indices.min(axis=0), indices.max(axis=0), strict=True)
    )


@pytest.mark.parametrize("name", EXACT)
def test_what_a_unit_sees_is_what_changes_it(name: str) -> None:
    net = made(*EXACT[name])
    layer, reality = net.layer("y"), influences(net)
    assert net.fields.layer(layer).status in ("exact", "whole_input")
    units = list(np.ndindex(*reality.shape[: len(layer.spatial_axes)]))
    axes = [axis - 2 for axis in spatial_axes(net.graph)]
    assert [field.clipped for field in net.fields.units(layer, units)] == [
        tuple(hull(reality[unit])[axis] for axis in axes)
        if reality[unit].any()
        else ((0, 0),) * len(axes)
        for unit in units
    ]


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("s = Constant<value_ints=[1,2,14,3]>() t = Reshape(x, s)", "Reshape"),
        ("a = ArgMax<axis=1>(x) f = Cast<to=1>(a) t = Concat<axis=1>(f, x)", "ArgMax"),
        ("n = NonZero(x) s = Shape(n) c = Cast<to=1>(s) m = ReduceMax(c) t = Add(x, m)", "NonZero"),
    ],
)
def test_what_no_rule_can_tell_is_widened_and_named(body: str, operator: str) -> None:
    net = made(IMAGE, body)
    field = net.fields.layer(net.layer("y"))
    assert (field.status, field.operator) == ("upper_bound", operator)
    assert net.fields.units(net.layer("y"), [(1, 1)])[0].clipped == ((0, 6), (0, 7))


def test_a_branch_of_control_flow_widens_to_all_that_it_captures() -> None:
    net = made(
        IMAGE,
        "c = Constant<value = bool {1}>() t = If<then_branch = a () => (float[1,2,6,7] u) { u = "
        "Relu(x) }, "
        "else_branch = b () => (float[1,2,6,7] v) { v = Neg(x) }>(c)",
    )
    field = net.fields.layer(net.layer("y"))
    assert (field.status, field.operator) == ("upper_bound", "If")


def test_paddings_and_shapes_that_the_graph_computes_from_constants_are_known() -> None:
    net = made(
        SIGNAL,
        "zero = Constant<value_ints=[0]>() z = Constant<value_ints=[0,0]>() p = Concat<axis=0>(z, "
        "one, z, one) "
        "q = Mul(p, one) padded = Pad(x, q) s = Shape(x) three = Add(two, one) w = Slice(s, two, "
        "three) "
        "w2 = Add(w, one) b = Slice(w2, zero, one) t = Slice(padded, one, b, two)",
    )
    assert net.rsp("y") == ((1, 1, 0),)


def test_a_rule_is_shown_here_for_every_operator_that_moves_or_mixes_values() -> None:
    shown = " ".join(body for _, body in EXACT.values())
    alike = {
        "ConvInteger",
        "QLinearConv",
        "GlobalMaxPool",
        "GlobalLpPool",
        "GroupNormalization",
        "LogSoftmax",
    }
    alike |= {"Hardmax", "LpNormalization", "Size", "Upsample", "Gemm"}
    movers = {*RULES, *RULES_BY_OUTPUT} - {*UNARY, *BINARY, *REDUCTIONS, "Shape"} - alike
    assert {name for name in movers if f"{name}(" not in shown and f"{name}<" not in shown} == set()


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("y = Conv<strides=[2]>(x, w)", r"strides of Conv 'y' is \[2\]; expected 2"),
        ("y = Conv<pads=[1, 1]>(x, w)", "pads of Conv 'y'.*expected 4"),
        ("y = Conv<dilations=[0, 1]>(x, w)", "dilations of Conv 'y'.*at least 1"),
        ("t = Transpose<perm=[0, 1, 7, 3]>(x) y = Conv(t, w)", "Transpose 't' breaks the rules"),
        ("a = Conv(x, w) y = Gemm(a, w)", "Gemm 'y' breaks the rules"),
    ],
)
def test_a_node_that_breaks_the_rules_of_its_operator_is_named(nodes: str, message: str) -> None:
    model = parse(f"(float[1,2,8,8] x) => (float[N,M,H,W] y) <float[2,2,3,3] w> {{ {nodes} }}")
    with pytest.raises(GraphError, match=message):
        layers(Graph(model))
