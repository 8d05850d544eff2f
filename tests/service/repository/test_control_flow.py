"""What tells a network whose time depends on its data: it never runs on the event loop."""

from service.repository.model import has_control_flow
from tests.service.networks import SIGNALS, parsed

LOOP = """<ir_version: 8, opset_import: ["" : 18]>
counting (int64 n) => (float[1] y) <bool go = {1}, float[1] zero = {0}> {
  y = Loop(n, go, zero) <body = b (int64 i, bool c, float[1] a) => (bool d, float[1] s) {
    d = Identity(c)
    s = Add(a, a)
  }>
}"""


def test_a_loop_that_counts_to_its_input_has_control_flow() -> None:
    assert has_control_flow(parsed(LOOP))


def test_a_loop_in_a_function_of_the_file_counts_too() -> None:
    proto = parsed(SIGNALS)
    function = proto.functions.add(name="counting", domain="local")
    function.node.extend(parsed(LOOP).graph.node)
    assert has_control_flow(proto)


def test_a_convolutional_network_has_none() -> None:
    assert not has_control_flow(parsed(SIGNALS))
