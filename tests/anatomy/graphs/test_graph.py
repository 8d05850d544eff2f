"""The view of a protobuf: order, constants, shapes, and what it refuses."""

import onnx
import pytest

from anatomy.graphs.graph import Graph, GraphError
from tests.anatomy.networks import parse


def test_nodes_come_in_topological_order_whatever_the_order_of_the_file() -> None:
    model = parse("(float[1,1,4] x) => (float[1,1,4] z) { y = Relu(x) z = Neg(y) }")
    model.graph.node.reverse()
    assert [node.operator for node in Graph(model).nodes] == ["Relu", "Neg"]


def test_a_cycle_is_refused_with_the_tensor_that_is_missing() -> None:
    model = parse("(float[1,1,4] x) => (float[1,1,4] z) { y = Add(x, x) z = Neg(y) }")
    model.graph.node[0].input[1] = "z"
    with pytest.raises(GraphError, match=r"Add .* reads 'z', which nothing before it produces"):
        Graph(model)


def test_producers_consumers_and_types_are_known() -> None:
    graph = Graph(parse("(uint8[N,4] x) => (float[N,4] z) { y = Cast<to=1>(x) z = Add(y, y) }"))
    producer = graph.producer("y")
    assert producer is not None
    assert producer.operator == "Cast"
    assert [node.operator for node in graph.consumers("y")] == ["Add"]
    assert (graph.producer("x"), graph.consumers("z")) == (None, ())
    assert [str(graph.dtype(name)) for name in "xz"] == ["uint8", "float32"]
    assert graph.shape("z") == ("N", 4)


def test_initializers_that_are_listed_as_inputs_are_constants() -> None:
    model = parse("(float[1,1,8] x) => (float[1,1,6] y) <float[1,1,3] w> { y = Conv(x, w) }")
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [1, 1, 3])
    )
    graph = Graph(model)
    assert graph.inputs == ("x",)
    assert graph.constants["w"].shape == (1, 1, 3)


def test_shapes_follow_from_what_the_graph_computes_of_shapes() -> None:
    graph = Graph(
        parse(
            """(float[2,3,4,5] x) => (float y) <int64[1] one = {1}, int64[1] rest = {-1}> {
                zero = Constant<value_ints=[0]>() s = Shape(x) i = Constant<value_int=1>()
                c = Gather(s, i) u = Unsqueeze(c, zero)
                t = Concat<axis=0>(rest, u) r = Reshape(x, t) y = Identity(r) }"""
        )
    )
    assert graph.shape("r") == (40, 3)
    assert graph.constants["t"].tolist() == [-1, 3]


def test_a_division_by_zero_among_constants_is_left_to_the_runtime() -> None:
    graph = Graph(
        parse(
            """(float[1,1,4] x) => (float[1,1,4] y) <int64[1] one = {1}, int64[1] zero = {0}> {
                d = Div(one, zero) f = Cast<to=1>(d) y = Add(x, f) }"""
        )
    )
    assert graph.shape("y") == (1, 1, 4)


def test_a_window_that_would_begin_beyond_the_input_is_not_counted_by_a_pool_that_rounds_up() -> (
    None
):
    """The operator specification of MaxPool; onnx.shape_inference says 4 here, ONNX Runtime gives
    3.
    """
    graph = Graph(
        parse(
            """(float[1,1,5] x) => (float[1,1,A] y) {
                y = MaxPool<kernel_shape=[2], strides=[2], pads=[0,1], ceil_mode=1>(x) }"""
        )
    )
    assert graph.shape("y") == (1, 1, 3)


def test_a_file_whose_shapes_contradict_each_other_keeps_those_that_it_declares() -> None:
    model = parse("(float[1,2,8] x) => (float[1,1,6] y) <float[1,1,3] w> { y = Conv(x, w) }")
    assert Graph(model).shape("y") == (1, 1, 6)


def test_a_size_of_minus_one_is_an_open_size() -> None:
    model = parse("(float[1,1,4] x) => (float[1,1,4] y) { y = Relu(x) }")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert Graph(model).shape("x") == (None, 1, 4)


def test_a_shape_can_be_given_to_files_that_list_their_weights_as_inputs_first() -> None:
    model = parse(
        "(float[1,1,S] x) => (float[1,1,T] y) <float[1,1,5000] w> { y = Conv<pads=[2500,2499]>(x, "
        "w) }"
    )
    weight = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [1, 1, 5000])
    model.graph.input.insert(0, weight)
    assert Graph(model, (1, 1, 64)).shape("y") == (1, 1, 64)
