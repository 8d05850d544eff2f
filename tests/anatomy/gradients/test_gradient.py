"""The walk backwards over a graph: what can be asked for, what comes back, and what is refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from anatomy.gradients.gradient import gradient
from anatomy.gradients.rules.base import GradientError
from anatomy.gradients.vjps import VJPS
from anatomy.graphs.graph import Graph
from anatomy.model_file import read
from tests.anatomy.gradients.gradients import Array, check, double, normal, run

EXPORTED = (
    "Conv ConvTranspose BatchNormalization Relu LeakyRelu PRelu Clip Sigmoid Tanh HardSigmoid "
    "HardSwish Gelu Softmax "
    "LogSoftmax Exp Log Sqrt Pow Add Sub Mul Div MaxPool AveragePool GlobalAveragePool "
    "GlobalMaxPool ReduceMean "
    "ReduceSum Gemm MatMul Concat Split Slice Pad Reshape Flatten Squeeze Unsqueeze Transpose "
    "Expand Resize Cast"
).split()
NETWORK = """
    (real[N,3,8,8] x) => (real[N,5] y)
    <real[4,3,3,3] w, real[4] scale, real[4] bias, real[4] mean, real[4] variance, real[5,4] v,
    real[5] b>
    {
        conv = Conv<pads = [1, 1, 1, 1]>(x, w)
        norm, m, d = BatchNormalization<training_mode = 1, momentum = 0.0>(
            conv, scale, bias, mean, variance)
        act = HardSwish(norm)
        pool = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(act)
        twice = Add(pool, pool)
        mean_ = GlobalAveragePool(twice)
        flat = Flatten(mean_)
        logits = Gemm<transB = 1>(flat, v, b)
        y = LogSoftmax(logits)
    }
"""
SIZES = {
    "w": (4, 3, 3, 3),
    "scale": (4,),
    "bias": (4,),
    "mean": (4,),
    "variance": (4,),
    "v": (5, 4),
    "b": (5,),
}
LEARNED = ["w", "scale", "bias", "v", "b"]


def network(dtype: type = np.float64) -> onnx.ModelProto:
    """A small network with weights of its own."""
    text = NETWORK if dtype is np.float64 else NETWORK.replace("real", "float")
    model = double(text)
    del model.graph.value_info[:]
    # Each weight differs from the others: ONNX Runtime stores equal constants once, and lets a
    # training batch norm write the statistics of the batch over those that it was given.
    arrays: dict[str, Array] = {
        name: np.abs(normal(*size, seed=i)).astype(dtype)
        for i, (name, size) in enumerate(SIZES.items())
    }
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    model.graph.initializer.extend(weights)
    return model


def weights_as_inputs(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The same network, its weights fed, so that they can be moved; and the weights."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    del moved.graph.initializer[:]
    feeds = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, SIZES[name]) for name in feeds
    ]
    moved.graph.input.extend(infos)
    return moved, feeds


def test_input_and_weights_of_a_network() -> None:
    model, weights = weights_as_inputs(network())
    check(model, {"x": normal(2, 3, 8, 8), **weights}, "y", ["x", *LEARNED])


def test_weights_that_the_model_keeps() -> None:
    extended, names = gradient(network(), "y", LEARNED)
    x = normal(2, 3, 8, 8)
    model, weights = weights_as_inputs(network())
    moved, others = gradient(model, "y", LEARNED)
    for constant, fed in zip(
        run(extended, names, {"x": x}), run(moved, others, {"x": x, **weights}), strict=True
    ):
        assert np.array_equal(constant, fed)


def test_an_inner_tensor_may_be_the_end_and_the_start() -> None:
    """The gradient with respect to the pool, times 2 for its two readers, is its readers'."""
    feeds = {"x": normal(2, 3, 8, 8)}
    extended, (of_pool, of_twice) = gradient(network(), "flat", ["pool", "twice"])
    pool, twice = run(extended, [of_pool, of_twice], feeds)
    assert np.allclose(pool, 2 * twice)
    assert np.allclose(twice, 1 / 9)


def test_a_tensor_has_the_gradient_one_of_itself() -> None:
    extended, (name,) = gradient(network(), "flat", ["flat"])
    assert (run(extended, [name], {"x": normal(2, 3, 8, 8)})[0] == 1).all()


def test_all_readers_of_a_tensor_count() -> None:
    model = double(
        "(real[N,3] x) => (real[N,3] y) { a = Exp(x) b = Mul(a, x) c = Sub(a, b) y = Sum(a, c, x) }"
    )
    check(model, {"x": normal(2, 3)}, "y", ["x"])


def test_the_gradient_of_a_gradient() -> None:
    """Of the sum of squares of the gradient, as a penalty on it would take."""
    model = double(
        "(real[N,3] x, real[3,4] w) => (real[N,4] y) { a = MatMul(x, w) b = Tanh(a) y = "
        "Softmax(b) }"
    )
    once, (name,) = gradient(model, "y", ["x"], "r")
    once.graph.node.append(helper.make_node("ReduceSumSquare", [name], ["penalty"], keepdims=0))
    feeds = {"x": normal(2, 3), "w": normal(3, 4), "r": normal(2, 4, seed=5)}
    check(once, feeds, "penalty", ["x", "w", "r"], cotangent="s")


def test_a_cotangent_may_be_a_tensor_of_the_model() -> None:
    model = double("(real[3] x) => (real[3] y) { r = Neg(x) y = Mul(x, x) }")
    extended, (name,) = gradient(model, "y", ["x"], "r")
    assert [value.name for value in extended.graph.input] == ["x"]
    x = normal(3)
    assert np.allclose(run(extended, [name], {"x": x})[0], -2 * x * x)


def test_one_graph_runs_with_every_batch_in_onnx_runtime() -> None:
    single, (name, *others) = gradient(network(np.float32), "y", ["x", *LEARNED], "r")
    session = onnxruntime.InferenceSession(
        single.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    extended, names = gradient(network(), "y", ["x", *LEARNED], "r")
    for batch in (2, 5):
        feeds = {"x": normal(batch, 3, 8, 8), "r": normal(batch, 5)}
        expected = run(extended, names, feeds)
        computed = session.run(
            [name, *others], {key: value.astype(np.float32) for key, value in feeds.items()}
        )
        for ours, theirs in zip(computed, expected, strict=True):
            assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs) + 1e-6


def test_the_extended_model_is_valid_and_its_old_part_unchanged() -> None:
    model = network()
    extended, names = gradient(model, "y", ["x", "w"])
    onnx.checker.check_model(extended)
    old = list(model.graph.node)
    kept = list(extended.graph.node[: len(old)])
    assert [(node.op_type, list(node.input)) for node in kept] == [
        (node.op_type, list(node.input)) for node in old
    ]
    assert [value.name for value in extended.graph.output] == ["y", *names]
    graph = Graph(extended)
    assert graph.shape(names[1]) == (4, 3, 3, 3)


def test_nothing_is_written_twice_or_in_vain() -> None:
    extended, names = gradient(network(), "y", ["x", *LEARNED], "r")
    new = extended.graph.node[len(network().graph.node) :]
    written = [(node.op_type, tuple(node.input), str(node.attribute)) for node in new]
    assert len(set(written)) == len(written)
    read = {name for node in new for name in node.input} | set(names)
    assert all(not read.isdisjoint(node.output) for node in new)


def test_the_network_itself_is_not_touched() -> None:
    model = network()
    before = model.SerializeToString()
    gradient(model, "y", ["x"])
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("of", "wrt", "message"),
    [
        ("y", ["nobody"], "no tensor 'nobody'"),
        ("nobody", ["x"], "no tensor 'nobody'"),
        ("first", ["x"], "'first' is int64: only floating-point tensors"),
        ("y", ["first"], "'first' is int64"),
        ("y", ["z"], "'y' does not depend on 'z'"),
        ("s", ["y"], "'s' does not depend on 'y'"),
    ],
)
def test_what_has_no_gradient_is_refused_by_name(of: str, wrt: list[str], message: str) -> None:
    model = double(
        "(real[N,3] x, real[3] z) => (real[N,3] y, real[3] s) { first = ArgMax(x) y = Exp(x) s = "
        "Neg(z) }"
    )
    with pytest.raises(GradientError, match=message):
        gradient(model, of, wrt)


def test_an_operator_without_a_rule_is_named() -> None:
    model = double("(real[3,3] x) => (real y) { y = Det(x) }")
    model.graph.node[0].name = "volume"
    with pytest.raises(GradientError, match="Det 'volume' has no gradient rule"):
        gradient(model, "y", ["x"])


def test_an_operator_of_another_domain_is_not_taken_for_one_of_onnx() -> None:
    model = double("(real[3] x) => (real[3] y) { y = Relu(x) }")
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(GradientError, match="Relu 'y' has no gradient rule"):
        gradient(model, "y", ["x"])


def test_an_operator_without_a_rule_that_is_not_on_the_way_does_no_harm() -> None:
    model = double("(real[3,3] x, real[3,3] z) => (real[3,3] y) { d = Det(z) y = Mul(x, d) }")
    check(model, {"x": normal(3, 3), "z": normal(3, 3)}, "y", ["x"])


def test_old_opsets_are_refused() -> None:
    with pytest.raises(GradientError, match="opset 12; gradients need 13"):
        gradient(double("(real[3] x) => (real[3] y) { y = Relu(x) }", opset=12), "y", ["x"])


def test_what_only_steps_depend_on_has_the_gradient_zero() -> None:
    model = double("(real[3] x, real[3] z) => (real[3] y) { s = Sign(z) y = Mul(x, s) }")
    extended, (name,) = gradient(model, "y", ["z"])
    assert run(extended, [name], {"x": normal(3), "z": normal(3)})[0].tolist() == [0, 0, 0]


def test_names_of_the_model_are_not_taken() -> None:
    model = double(
        "(real[3] x) => (real[3] y) { grad.a = Exp(x) y = Exp(grad.a) }".replace("grad.a", "grad_a")
    )
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name.replace("grad_a", "grad.Mul_0") for name in names]
    check(model, {"x": normal(3)}, "y", ["x"])


@pytest.mark.parametrize("operator", EXPORTED)
def test_every_usual_operator_has_a_rule(operator: str) -> None:
    assert operator in VJPS


def test_every_operator_of_the_real_network_has_a_rule(imagenet_model: Path) -> None:
    graph = read(imagenet_model).graph
    assert {node.operator for node in graph.nodes} <= VJPS.keys()


def test_every_rule_is_of_an_operator_that_onnx_has() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert VJPS.keys() <= known


def test_the_page_on_gradients_lists_the_rules_that_there_are() -> None:
    text = (Path(__file__).parents[3] / "docs" / "gradients.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Operators") : text.index("\nNot there:")]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    assert sorted(", ".join(cells).replace(" ", "").split(",")) == sorted(VJPS)
