"""Graphs in which QuantizeLinear and DequantizeLinear stand around the operators, as quantised
files have them.
"""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

from anatomy.graphs.dequantise import real_values
from anatomy.graphs.graph import Graph, GraphError
from tests.anatomy.networks import network

CODES = {
    "one scale": "<int8[2,3] q = {-128,127,3,-4,5,6}, float s = {0.3}> { "
    "w = DequantizeLinear(q, s)",
    "one scale in a list": "<int8[2,3] q = {-128,127,3,-4,5,6}, float[1] s = {0.3}, "
    "int8[1] z = {7}> "
    "{ w = DequantizeLinear<axis=0>(q, s, z)",
    "a scale for each row": "<int8[2,3] q = {-128,127,3,-4,5,6}, float[2] s = {0.3, 7.1}, "
    "int8[2] z = {0,-128}> "
    "{ w = DequantizeLinear<axis=0>(q, s, z)",
    "a scale for each column": "<uint8[2,3] q = {255,127,3,4,5,6}, float[3] s = {0.3, 7.1, 2}, "
    "uint8[3] z = {128,255,0}> { w = DequantizeLinear(q, s, z)",
    "the last axis, counted from the end": "<uint8[2,3] q = {255,127,3,4,5,6}, "
    "float[3] s = {0.3, 7.1, 2}> "
    "{ w = DequantizeLinear<axis=-1>(q, s)",
    "a scale for each two columns": "<int8[2,3] q = {-128,127,3,-4,5,6}, "
    "float[2,2] s = {0.3, 7.1, 2, 0.7}> "
    "{ w = DequantizeLinear<axis=1, block_size=2>(q, s)",
    "large integers, as biases are": "<int32[2,3] q = {-2000000,127,3,-4,5,6}, "
    "float[2] s = {0.3, 0.0001}> "
    "{ w = DequantizeLinear<axis=0>(q, s)",
    "behind an identity and a cast": "<int8[2,3] q = {-128,127,3,-4,5,6}, float s = {0.3}> "
    "{ i = Identity(q) d = DequantizeLinear(i, s) w = Cast<to=10>(d)",
}


@pytest.mark.parametrize("name", CODES)
def test_real_weights_are_those_that_the_reference_computes(name: str) -> None:
    header = '<ir_version: 10, opset_import: ["": 21]> g (float[2,3] x) => (y)'
    nodes = "f = Cast<to=1>(w) y = Add(x, f) }"
    model = onnx.parser.parse_model(f"{header} {CODES[name]} {nodes}")
    model.graph.output.append(onnx.ValueInfoProto(name="w"))
    (expected,) = np.asarray(
        ReferenceEvaluator(model).run(["w"], {"x": np.zeros((2, 3), np.float32)})
    )
    weights = real_values(Graph(model), "w")
    assert weights.dtype == expected.dtype
    assert np.array_equal(weights, expected)


def test_what_depends_on_the_input_is_no_weight() -> None:
    net = network("(float[1,2,5] x) => (float[1,2,5] y) { r = Relu(x) y = Identity(r) }")
    for tensor in ("x", "r", "y"):
        with pytest.raises(GraphError, match="not made of constants"):
            real_values(net.graph, tensor)


AROUND = """(float[1,1,9,9] x) => (float[1,2,7,7] z)
<float s = {0.5}, uint8 u = {0}, int8[2,1,3,3] a = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1},
 float[2] p = {1, 2},
 int8[2] n = {0, 0}, int32[2] b = {5, 6}, float[2,2,1,1] w> {
    xq = QuantizeLinear(x, s, u) xd = DequantizeLinear(xq, s, u)
    wd = DequantizeLinear<axis=0>(a, p, n) bd = DequantizeLinear<axis=0>(b, p)
    [conv] c = Conv(xd, wd, bd) """


def test_weights_behind_a_dequantisation_are_weights_and_their_scales_are_not_counted() -> None:
    net = network(
        AROUND + "q = QuantizeLinear(c, s, u) d = DequantizeLinear(q, s, u) [next] z = Conv(d, w) }"
    )
    conv = net.layer("conv")
    assert (conv.kind, conv.tensor, conv.kernel, conv.bias) == ("convolution", "d", "a", "b")
    assert (conv.parameters, conv.macs, conv.kernel_shape) == (18 + 2, 2 * 7 * 7 * 9, (3, 3))
    assert [operand.name for operand in conv.operands] == ["xd"]
    assert net.rsp("conv") == ((3, 1, 0), (3, 1, 0))


def test_a_layer_never_answers_with_codes() -> None:
    net = network(
        AROUND
        + """r = Relu(c) q = QuantizeLinear(r, s, u) d = DequantizeLinear(q, s, u)
            e = DequantizeLinear(q, s, u)
        f = Conv(d, w) g = Conv(e, w) [sum] z = Add(f, g) }"""
    )
    assert net.layer("conv").tensor == "r"
    assert net.layer("sum").inputs == ("f", "g")
    assert net.layer("f").inputs == net.layer("g").inputs == ("conv",)
