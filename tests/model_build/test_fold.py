"""Folding batch norm changes the graph and not the function."""

from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from model_build.fold import fold_batch_norms

STATISTICS = """
    <float[2] s = {0.5, 2}, float[2] b = {1, -1}, float[2] m = {0.25, -3}, float[2] v = {4, 0.5},
     float[2, 1, 2] w = {1, 2, -3, 4}, float[2] c = {10, -20}>
"""


def folded(
    body: str, outputs: str = "float[N, 2, 3] y"
) -> tuple[onnx.ModelProto, onnx.ModelProto, int]:
    header = '<ir_version: 10, opset_import: ["" : 20]>'
    proto = onnx.parser.parse_model(
        f"{header} g (float[N, 1, 4] x) => ({outputs}) {STATISTICS} {{ {body} }}"
    )
    model = ir.from_proto(proto)
    count = fold_batch_norms(model)
    after = ir.to_proto(model)
    onnx.checker.check_model(after, full_check=True)
    return proto, after, count


def same(before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    x: NDArray[Any] = np.random.default_rng(0).standard_normal((2, 1, 4)).astype(np.float32)
    expected, actual = (ReferenceEvaluator(proto).run(None, {"x": x}) for proto in (before, after))
    return all(
        np.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(expected, actual, strict=True)
    )


@pytest.mark.parametrize("conv", ["Conv(x, w)", "Conv(x, w, c)"])
@pytest.mark.parametrize("epsilon", ["", "<epsilon: float = 0.5>"])
def test_a_convolution_takes_up_the_batch_norm_behind_it(conv: str, epsilon: str) -> None:
    before, after, count = folded(f"h = {conv} y = BatchNormalization{epsilon}(h, s, b, m, v)")
    assert count == 1
    assert [node.op_type for node in after.graph.node] == ["Conv"]
    assert [value.name for value in after.graph.output] == ["y"]
    assert {tensor.name for tensor in after.graph.initializer} >= {"w.weight", "w.bias"}
    assert same(before, after)


def test_statistics_that_nothing_reads_are_dropped() -> None:
    _, after, _ = folded("h = Conv(x, w) y = BatchNormalization(h, s, b, m, v)")
    assert not {tensor.name for tensor in after.graph.initializer} & {"s", "b", "m", "v", "w"}


def test_a_kernel_that_another_convolution_reads_stays_as_it_was() -> None:
    before, after, count = folded(
        "h = Conv(x, w) y = BatchNormalization(h, s, b, m, v) z = Conv(x, w)",
        "float[N, 2, 3] y, float[N, 2, 3] z",
    )
    assert count == 1
    assert same(before, after)


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (
            "h = Conv(x, w) y = BatchNormalization(h, s, b, m, v) z = Relu(h)",
            "float[N, 2, 3] y, float[N, 2, 3] z",
        ),
        (
            "h = Conv(x, w) y = BatchNormalization(h, s, b, m, v)",
            "float[N, 2, 3] y, float[N, 2, 3] h",
        ),
        ("k = Exp(w) h = Conv(x, k) y = BatchNormalization(h, s, b, m, v)", "float[N, 2, 3] y"),
        ("e = Conv(x, w) h = Relu(e) y = BatchNormalization(h, s, b, m, v)", "float[N, 2, 3] y"),
    ],
)
def test_a_batch_norm_that_cannot_be_folded_stays(body: str, outputs: str) -> None:
    before, after, count = folded(body, outputs)
    assert count == 0
    assert same(before, after)
