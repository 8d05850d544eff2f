"""Gradients of convolutions and pools in one, two and three dimensions.

These operators are linear in each input, or piecewise so: a difference of any step is the slope
itself, and with whole numbers ONNX Runtime computes both sides without any rounding. So equality is
demanded, where no average divides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.gradients.gradient import gradient
from anatomy.graphs.graph import Graph

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=SLOW, derandomize=True)
Array = NDArray[np.float32]
Shapes = dict[str, list[int]]


def model(
    operator: str, tensors: Mapping[str, Sequence[int | str]], **attributes: Any
) -> onnx.ModelProto:
    """One node; every tensor is an input."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in tensors.items()
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(tensors["x"]))
    node = helper.make_node(operator, list(tensors), ["y"], name="node", **attributes)
    graph = helper.make_graph([node], "one", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(net: onnx.ModelProto, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
    """What ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(
        net.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values: list[Array] = session.run(list(outputs), dict(feeds))
    return values


def whole_numbers(shapes: Shapes, seed: int = 0) -> dict[str, Array]:
    """Random whole numbers of these shapes."""
    random = np.random.default_rng(seed)
    return {
        name: random.integers(-4, 5, shape).astype(np.float32) for name, shape in shapes.items()
    }


def check(net: onnx.ModelProto, feeds: Mapping[str, Array], relative: float = 0) -> None:
    """Assert that the gradients with respect to every input are the slopes of y."""
    random = np.random.default_rng(1)
    (y,) = run(net, ["y"], feeds)
    weights = random.integers(-4, 5, y.shape).astype(np.float32)
    extended, names = gradient(net, "y", list(feeds), "r")
    for name, grad in zip(feeds, run(extended, names, {**feeds, "r": weights}), strict=True):
        assert grad.shape == feeds[name].shape
        direction = random.integers(-1, 2, grad.shape).astype(np.float32)
        above, below = (
            run(net, ["y"], {**feeds, name: feeds[name] + sign * direction})[0] for sign in (1, -1)
        )
        slope = float((weights.astype(np.float64) * (above - below)).sum()) / 2
        size = float(np.abs(grad.astype(np.float64) * direction).sum())
        assert abs(float((grad.astype(np.float64) * direction).sum()) - slope) <= relative * size, (
            name
        )


@st.composite
def convolutions(
    draw: st.DrawFn, transposed: bool
) -> tuple[dict[str, list[int]], dict[str, object]]:
    """Shapes of x, w and perhaps b, and attributes."""
    rank = draw(st.integers(1, 3))
    groups, inputs, outputs = (
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
    )

    def pick(low: int, high: int) -> list[int]:
        return [draw(st.integers(low, high)) for _ in range(rank)]

    kernel, sizes = pick(1, 3), pick(2, 6 if rank < 3 else 4)
    strides, dilations = pick(1, 3), pick(1, 2)
    channels = groups * draw(st.sampled_from([1, 3] if rank < 3 else [1])) * inputs
    maps = [groups * outputs, channels // groups] if not transposed else [channels, outputs]
    shapes = {"x": [2, channels, *sizes], "w": [*maps, *kernel]}
    if draw(st.booleans()):
        shapes["b"] = [groups * outputs]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": groups}
    if transposed:
        attributes["pads"] = pick(0, 1) * 2
        # What is laid beyond the stride is only there for a stride: the runtime wants it smaller
        # than that.
        attributes["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in strides]
    elif draw(st.booleans()):
        # ONNX Runtime computes the padding of a dilated SAME as if it were not dilated.
        attributes |= {
            "auto_pad": draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"])),
            "dilations": [1] * rank,
        }
    else:
        attributes["pads"] = pick(0, 2) + pick(0, 2)
    return shapes, attributes


def runs(net: onnx.ModelProto, shape: Sequence[int]) -> bool:
    """Whether the kernel fits into the input, so that there is something to compute."""
    sizes = Graph(net, shape).shape("y")
    return sizes is not None and all(isinstance(size, int) and size > 0 for size in sizes)


def fits(shapes: Shapes, attributes: Mapping[str, Any]) -> bool:
    """Whether no axis of the padded input is shorter than the kernel's reach: the runtime refuses
    those.
    """
    rank = len(shapes["x"]) - 2
    pads = attributes.get(
        "pads", [9] * 2 * rank if "SAME" in attributes.get("auto_pad", "") else [0] * 2 * rank
    )
    return all(
        attributes["dilations"][i] * (shapes["w"][2 + i] - 1)
        < shapes["x"][2 + i] + pads[i] + pads[rank + i]
        for i in range(rank)
    )


@pytest.mark.parametrize("batch", [2, "N"])
@BOUNDED
@given(case=convolutions(transposed=False))
def test_convolution(batch: int | str, case: tuple[Shapes, dict[str, Any]]) -> None:
    shapes, attributes = case
    assume(fits(shapes, attributes))
    declared: dict[str, list[int | str]] = {name: [*shape] for name, shape in shapes.items()}
    declared["x"][0] = batch
    net = model("Conv", declared, **attributes)
    assume(runs(net, shapes["x"]))
    check(net, whole_numbers(shapes))


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_of_open_sizes(stride: int) -> None:
    shapes = {"x": [2, 3, 7, 6], "w": [4, 3, 3, 2], "b": [4]}
    declared: dict[str, Sequence[int | str]] = {**shapes, "x": ["N", 3, "H", "W"]}
    net = model("Conv", declared, strides=[stride, stride], pads=[1, 0, 1, 1])
    check(net, whole_numbers(shapes))


@pytest.mark.parametrize("batch", [2, "N"])
def test_a_kernel_as_large_as_the_map_of_its_channel(batch: int | str) -> None:
    shapes = {"x": [2, 3, 4, 5], "w": [3, 1, 4, 5], "b": [3]}
    declared: dict[str, Sequence[int | str]] = {**shapes, "x": [batch, 3, 4, 5]}
    check(model("Conv", declared, group=3), whole_numbers(shapes))


@BOUNDED
@given(case=convolutions(transposed=True))
def test_transposed_convolution(case: tuple[Shapes, dict[str, Any]]) -> None:
    shapes, attributes = case
    net = model("ConvTranspose", shapes, **attributes)
    assume(runs(net, shapes["x"]))
    check(net, whole_numbers(shapes))


@pytest.mark.parametrize(
    "attributes", [{"auto_pad": "SAME_UPPER"}, {"output_shape": [9, 7]}, {"auto_pad": "VALID"}]
)
def test_transposed_convolution_whose_padding_follows_from_its_size(
    attributes: dict[str, Any],
) -> None:
    shapes = {"x": [2, 2, 5, 4], "w": [2, 3, 3, 3]}
    check(model("ConvTranspose", shapes, strides=[2, 2], **attributes), whole_numbers(shapes))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@BOUNDED
@given(data=st.data())
def test_pools(operator: str, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(rank)]
    pads = [data.draw(st.integers(0, size - 1)) for size in kernel * 2]
    sizes = [data.draw(st.integers(3, 6 if rank < 3 else 4)) for _ in range(rank)]
    more = {"count_include_pad": int(data.draw(st.booleans()))} if operator == "AveragePool" else {}
    net = model(
        operator,
        {"x": ["N", 2, *sizes]},
        kernel_shape=kernel,
        strides=[data.draw(st.integers(1, 3)) for _ in range(rank)],
        pads=pads,
        ceil_mode=int(data.draw(st.booleans())),
        **more,
    )
    assume(runs(net, [2, 2, *sizes]))
    # Distinct values, so far apart that a step does not change which is the greatest.
    order = np.random.default_rng(2).permutation(4 * int(np.prod(sizes)))
    check(net, {"x": (8 * order).reshape(2, 2, *sizes).astype(np.float32)}, relative=1e-5)


def test_the_first_of_equal_maxima_gets_it_all() -> None:
    net = model("MaxPool", {"x": [1, 1, 6]}, kernel_shape=[3], strides=[3])
    extended, names = gradient(net, "y", ["x"])
    (grad,) = run(extended, names, {"x": np.array([[[5, 5, 1, 0, 7, 7]]], np.float32)})
    assert grad.tolist() == [[[1, 0, 0, 0, 1, 0]]]


def test_overlapping_maxima_add_up() -> None:
    net = model("MaxPool", {"x": [1, 1, 5]}, kernel_shape=[3], strides=[1])
    extended, names = gradient(net, "y", ["x"])
    (grad,) = run(extended, names, {"x": np.array([[[0, 1, 9, 1, 0]]], np.float32)})
    assert grad.tolist() == [[[0, 0, 3, 0, 0]]]
