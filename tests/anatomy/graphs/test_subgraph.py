"""A part of a model computes what the whole computes, and holds nothing else."""

import numpy as np
import onnx
import onnxruntime
import pytest

from anatomy.graphs.graph import GraphError
from anatomy.graphs.subgraph import extract
from tests.anatomy.networks import Oracle, parse

TEXT = """(float[N,1,6] x) => (float[N,2,2] z) <float[1,1,3] a, float[2,1,3] b,
    float[1,1,3] unused> {
    c = Conv(x, a) r = Relu(c) other = Conv<pads=[1,1]>(x, unused) z = Conv(r, b) }"""
X = np.random.default_rng(0).normal(size=(2, 1, 6)).astype(np.float32)


def with_output(model: onnx.ModelProto, tensor: str) -> onnx.ModelProto:
    """The model as it is, with this tensor as its first output."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    extended.graph.output.insert(0, onnx.ValueInfoProto(name=tensor))
    return extended


@pytest.mark.parametrize("tensor", ["c", "r", "z", "other"])
def test_a_part_computes_what_the_whole_computes(tensor: str) -> None:
    model = parse(TEXT)
    part = extract(model, [tensor])
    assert np.array_equal(Oracle(part).run(X), Oracle(with_output(model, tensor)).run(X))


def test_a_part_holds_only_the_nodes_and_weights_that_it_needs() -> None:
    part = extract(parse(TEXT), ["r"])
    assert [node.op_type for node in part.graph.node] == ["Conv", "Relu"]
    assert [tensor.name for tensor in part.graph.initializer] == ["a"]
    assert [value.name for value in part.graph.output] == ["r"]


def test_several_tensors_come_in_the_order_asked_for() -> None:
    part = extract(parse(TEXT), ["r", "c"])
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rectified, plain = session.run(None, {"x": X})
    assert np.array_equal(rectified, np.maximum(plain, 0))


def test_an_unknown_tensor_is_refused_by_name() -> None:
    with pytest.raises(GraphError, match="nowhere"):
        extract(parse(TEXT), ["nowhere"])


def test_what_a_branch_of_control_flow_captures_is_kept() -> None:
    model = parse(
        """(float[1,1,4] x) => (float[1,1,4] y) <float[1,1,3] w, float[1,1,4] shift> {
            c = Conv<pads=[1,1]>(x, w) yes = Constant<value = bool {1}>()
            y = If<then_branch = t () => (float[1,1,4] u) { u = Add(c, shift) },
                   else_branch = e () => (float[1,1,4] v) { v = Neg(c) }>(yes) }"""
    )
    signal = X[:1, :, :4]
    part = extract(model, ["y"])
    assert {"w", "shift"} == {tensor.name for tensor in part.graph.initializer}
    assert np.array_equal(Oracle(part).run(signal), Oracle(model).run(signal))


def test_metadata_and_opsets_stay() -> None:
    model = parse(TEXT)
    model.metadata_props.add(key="note", value="kept")
    part = extract(model, ["c"])
    assert (part.metadata_props[0].value, part.opset_import[0].version) == (
        "kept",
        model.opset_import[0].version,
    )
