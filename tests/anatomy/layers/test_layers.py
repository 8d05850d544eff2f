"""What counts as a layer, and what is told of it."""

import numpy as np
import pytest

from anatomy.graphs.graph import Graph
from anatomy.layers.layers import layers
from tests.anatomy.networks import Network, network, parse


def names(net: Network) -> list[tuple[str, str, str]]:
    """Name, kind and served tensor of every layer."""
    return [(layer.name, layer.kind, layer.tensor) for layer in net.layers]


ACTIVATIONS = {
    "Relu": "y = Relu(c)",
    "batch norm and Clip": "n = BatchNormalization(c, v, v, v, v) y = Clip(n, half, three)",
    "bias": "y = Add(c, bias)",
    "Swish": "s = Sigmoid(c) y = Mul(c, s)",
    "Swish the other way": "s = Sigmoid(c) y = Mul(s, c)",
    "hard swish": "a = Add(c, three) b = Clip(a, half, three) m = Mul(c, b) y = Div(m, three)",
    "Mish": "s = Softplus(c) t = Tanh(s) y = Mul(c, t)",
    "GELU by erf": "d = Div(c, three) e = Erf(d) o = Add(e, half) m = Mul(c, o) y = Mul(m, half)",
    "GELU by tanh": "p = Mul(c, c) q = Mul(p, c) r = Mul(q, half) s = Add(c, r) "
    "t = Mul(s, three) u = Tanh(t) "
    "o = Add(u, half) m = Mul(c, o) y = Mul(m, half)",
    "PRelu": "y = PRelu(c, bias)",
    "leaky through Max": "s = Mul(c, half) y = Max(c, s)",
    "quantised": "q = QuantizeLinear(c, half, zero) y = DequantizeLinear(q, half, zero)",
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_convolution_owns_the_activation_that_follows_it_however_it_is_spelt(name: str) -> None:
    net = network(
        f"""(float[1,2,5,5] x) => (float[1,3,3,3] z)
        <float[3,2,3,3] w, float[3] v, float[3,1,1] bias, float half = {{0.5}},
        float three = {{3.0}},
         int8 zero = {{0}}, float[3,3,1,1] last> {{
            [conv] c = Conv(x, w) {ACTIVATIONS[name]} [next] z = Conv(y, last) }}"""
    )
    assert names(net) == [("conv", "convolution", "y"), ("next", "convolution", "z")]
    assert net.layers[0].anchor_tensor == "c"


def test_a_layer_ends_where_somebody_else_reads_its_tensor() -> None:
    net = network(
        """(float[1,1,8] x) => (float[1,1,8] z) <float[1,1,3] w> {
            [conv] c = Conv<pads=[1,1]>(x, w) r = Relu(c)
            [pool] p = MaxPool<kernel_shape=[3], pads=[1,1]>(c)
            [sum] s = Add(r, p) z = Relu(s) }"""
    )
    assert names(net) == [
        ("conv", "convolution", "c"),
        ("pool", "pool", "p"),
        ("sum", "merge", "z"),
    ]
    assert [layer.inputs for layer in net.layers] == [(), ("conv",), ("conv", "pool")]


def test_an_output_of_the_model_ends_its_layer() -> None:
    net = network(
        """(float[1,1,8] x) => (float[1,1,6] c, float[1,1,6] r) <float[1,1,3] w> {
            [conv] c = Conv(x, w) r = Relu(c) }"""
    )
    assert names(net) == [("conv", "convolution", "c")]


def test_a_squeeze_and_excitation_gate_is_a_pool_two_convolutions_and_a_merge() -> None:
    net = network(
        """(float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,3,3] w, float[2,4,1,1] down,
            float[4,2,1,1] up> {
            [conv] c = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(c) a = Mul(c, s)
            [squeeze] p = GlobalAveragePool(a) [reduce] d = Conv(p, down) r = Relu(d)
            [expand] u = Conv(r, up) g = Sigmoid(u) [scale] y = Mul(a, g) }"""
    )
    assert names(net) == [
        ("conv", "convolution", "a"),
        ("squeeze", "pool", "p"),
        ("reduce", "convolution", "r"),
        ("expand", "convolution", "g"),
        ("scale", "merge", "y"),
    ]
    assert net.layer("scale").inputs == ("conv", "expand")


def test_a_product_of_two_computed_tensors_is_no_dense_layer() -> None:
    net = network(
        """(float[1,4,8] x) => (float[1,4,4] y) <float[4,4,1] w, float[4,4] m> {
            [conv] c = Conv(x, w) t = Transpose<perm=[0,2,1]>(c)
            [attention] a = MatMul(c, t) [dense] y = MatMul(a, m) }"""
    )
    assert [layer.name for layer in net.layers] == ["conv", "dense"]


def test_preprocessing_is_no_layer() -> None:
    net = network(
        """(uint8[N,8,8,3] image) => (float[N,4,6,6] y) <float scale = {255.0}, float[4,3,3,3] w> {
            f = Cast<to=1>(image) s = Div(f, scale) t = Transpose<perm=[0,3,1,2]>(s)
            [conv] y = Conv(t, w) }"""
    )
    assert names(net) == [("conv", "convolution", "y")]
    assert net.layers[0].output_shape == (4, 6, 6)
    assert net.layers[0].spatial_axes == (2, 3)


def test_layers_with_channels_last_know_their_axes() -> None:
    net = network(
        """(float[1,2,6,7] x) => (float[1,6,7,4] y) <float[4,2,3,3] w, float[4,4] m> {
            [conv] c = Conv<pads=[1,1,1,1]>(x, w) t = Transpose<perm=[0,2,3,1]>(c)
            [point] y = MatMul(t, m) }"""
    )
    point = net.layer("point")
    assert (point.spatial_axes, point.channel_axis, point.output_shape) == ((1, 2), 3, (6, 7, 4))
    assert net.rsp("point") == ((3, 1, 1), (3, 1, 1))
    assert net.fields.units(point, [(5, 0)])[0].clipped == ((4, 6), (0, 2))


def test_a_signal_convolved_as_a_flat_image_keeps_its_unit_axis() -> None:
    net = network(
        """(float[1,2,9] x) => (float[1,3,1,7] y) <int64[1] axis = {2}, float[3,2,1,3] w> {
            u = Unsqueeze(x, axis) [conv] y = Conv(u, w) }"""
    )
    conv = net.layer("conv")
    assert conv.spatial_axes == (2, 3)
    assert net.fields.units(conv, [(0, 4)])[0].clipped == ((4, 7),)


@pytest.mark.parametrize(
    ("operator", "macs", "parameters"),
    [
        # Sze, Chen, Yang, Emer, "Efficient Processing of Deep Neural Networks", Proc. IEEE 105
        # (2017): M*C*R*S*E*F.
        ("Conv(x, w)", 6 * 4 * 3 * 3 * 6 * 6, 6 * 4 * 9),
        ("Conv(x, w, b)", 6 * 4 * 3 * 3 * 6 * 6, 6 * 4 * 9 + 6),
        ("Conv<group=2>(x, g)", 6 * 2 * 3 * 3 * 6 * 6, 6 * 2 * 9),
        ("Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)", 6 * 4 * 9 * 4 * 4, 6 * 4 * 9),
        ("ConvTranspose<strides=[2,2]>(x, t)", 4 * 6 * 9 * 8 * 8, 4 * 6 * 9),
        ("MatMul(x, m)", 4 * 8 * 8 * 5, 40),
        ("MaxPool<kernel_shape=[2,2]>(x)", 0, 0),
    ],
)
def test_multiply_accumulates_and_parameters_are_counted(
    operator: str, macs: int, parameters: int
) -> None:
    net = network(
        f"""(float[N,4,8,8] x) => (float[N,A,B,C] y)
        <float[6,4,3,3] w, float[6,2,3,3] g, float[4,6,3,3] t, float[8,5] m,
        float[6] b> {{ [y] y = {operator} }}"""
    )
    assert (net.layers[0].macs, net.layers[0].parameters) == (macs, parameters)


def test_a_dense_layer_counts_its_matrix_and_bias() -> None:
    net = network(
        """(float[N,2,3,3] x) => (float[N,10] y) <float[10,18] w, float[10] b> {
            f = Flatten(x) [fc] y = Gemm<transB=1>(f, w, b) }"""
    )
    (layer,) = net.layers
    assert (layer.kind, layer.macs, layer.parameters, layer.spatial_axes) == ("dense", 180, 190, ())
    assert np.array_equal(net.graph.constants[str(layer.kernel)].shape, (10, 18))


def test_batch_norm_adds_its_scale_and_shift_but_not_its_statistics() -> None:
    net = network(
        """(float[N,2,5] x) => (float[N,3,3] y) <float[3,2,3] w, float[3] s, float[3] b,
            float[3] m, float[3] v> {
            [conv] c = Conv(x, w) y = BatchNormalization(c, s, b, m, v) }"""
    )
    assert net.layers[0].parameters == 3 * 2 * 3 + 6


def test_sizes_that_the_model_leaves_open_are_none_and_can_be_given() -> None:
    model = parse(
        "(float[N,1,H,W] x) => (float[N,2,A,B] y) <float[2,1,3,3] w> { [conv] y = Conv(x, w) }"
    )
    (open_layer,) = layers(Graph(model))
    (layer,) = layers(Graph(model, (1, 1, 10, 12)))
    assert (open_layer.output_shape, open_layer.macs) == ((2, None, None), None)
    assert (layer.output_shape, layer.macs) == ((2, 8, 10), 2 * 9 * 80)


def test_two_nodes_of_one_name_are_told_apart() -> None:
    net = network(
        "(float[1,1,8] x) => (float[1,1,4] z) <float[1,1,3] w> { [conv] y = Conv(x, w) [conv] z = "
        "Conv(y, w) }"
    )
    assert [layer.name for layer in net.layers] == ["conv", "conv.2"]


def test_same_padding_is_told_as_numbers() -> None:
    net = network(
        """(float[1,1,8,9] x) => (float[1,1,4,3] y) <float[1,1,3,5] w> {
            [y] y = Conv<auto_pad="SAME_UPPER", strides=[2,3]>(x, w) }"""
    )
    assert net.layers[0].pads == (0, 1, 1, 1)


def test_a_quantised_convolution_is_one_and_its_scales_are_no_parameters() -> None:
    net = network(
        """(uint8[1,2,8] x) => (uint8[1,4,6] y) <float s = {0.1}, uint8 z = {0},
        uint8[4,2,3] w = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1},
        float[4] ws = {0.1, 0.1, 0.1, 0.1}, uint8[4] wz = {0, 0, 0, 0},
        int32[4] b = {0, 0, 0, 0}> { [conv] y = QLinearConv(x, s, z, w, ws, wz, s, z, b) }"""
    )
    (layer,) = net.layers
    assert (layer.kind, layer.kernel, layer.parameters, layer.macs) == (
        "convolution",
        "w",
        28,
        4 * 2 * 3 * 6,
    )
    assert net.rsp("conv") == ((3, 1, 0),)


def test_a_product_with_a_vector_counts_one_multiplication_a_number() -> None:
    net = network(
        "(float[1,2,8,8] x) => (float[N,M,H] y) <float[4,2,3,3] w, float[6] v> { c = Conv(x, w) y "
        "= MatMul(c, v) }"
    )
    assert (net.layers[1].macs, net.layers[1].parameters) == (4 * 6 * 6, 6)


def test_a_long_way_through_nodes_of_no_layer_is_walked_once() -> None:
    steps = " ".join(f"s{i} = Sub(s{i - 1}, s{i - 1})" for i in range(1, 1500))
    net = network(
        f"""(float[1,2,8,8] x) => (float[N,M,H,W] y) <float[4,2,3,3] w, float[4,4,1,1] v> {{
            [first] c = Conv(x, w) s0 = Transpose<perm=[0,1,3,2]>(c) {steps}
            y = Conv(s1499, v) }}"""
    )
    assert net.layers[-1].inputs == ("first",)


def test_operands_are_the_computed_tensors_that_an_anchor_reads_with_their_own_axes() -> None:
    net = network(
        """(float[1,6,7,3] x) => (float[1,6,7,12] z) <float[4,3,3,3] w, float[4] b, float[4,4] v> {
            nchw = Transpose<perm=[0,3,1,2]>(x) n = Tanh(nchw)
            [conv] c = Conv<pads=[1,1,1,1]>(n, w, b)
            nhwc = Transpose<perm=[0,2,3,1]>(c) [mixed] m = MatMul(nhwc, v) [sum] s = Add(m, nhwc)
            [joined] z = Concat<axis=3>(s, m, s) }"""
    )
    read = {layer.name: [operand.name for operand in layer.operands] for layer in net.layers}
    assert read == {
        "conv": ["n"],
        "mixed": ["nhwc"],
        "sum": ["m", "nhwc"],
        "joined": ["s", "m", "s"],
    }
    (before,), (between,) = net.layer("conv").operands, net.layer("mixed").operands
    assert (before.shape, before.spatial_axes, before.channel_axis) == ((3, 6, 7), (2, 3), 1)
    assert (between.shape, between.spatial_axes, between.channel_axis) == ((6, 7, 4), (1, 2), 3)
    assert [net.graph.constants[str(layer.bias)].shape for layer in net.layers if layer.bias] == [
        (4,)
    ]
