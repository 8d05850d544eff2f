"""Networks whose run time depends on the values of their input never run on the event loop."""

from service.repository.model import depends_on_data
from tests.service.networks import SIGNALS, parsed

LOOP = """<ir_version: 8, opset_import: ["" : 18]>
counting (int64 n) => (float[1] y) <bool go = {1}, float[1] zero = {0}> {
  y = Loop(n, go, zero) <body = b (int64 i, bool c, float[1] a) => (bool d, float[1] s) {
    d = Identity(c)
    s = Add(a, a)
  }>
}"""


def test_a_loop_that_counts_to_its_input_depends_on_data() -> None:
    assert depends_on_data(parsed(LOOP))


def test_a_convolutional_network_does_not() -> None:
    assert not depends_on_data(parsed(SIGNALS))
