"""Gradients of normalisations."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.gradients.gradient import gradient
from anatomy.gradients.rules.base import UnknownGradientError
from tests.anatomy.gradients.gradients import (
    BOUNDED,
    SINGLE,
    Array,
    check,
    check_again,
    check_one,
    normal,
    one,
    run,
)

shapes = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


def batch_norm(shape: tuple[int, ...]) -> dict[str, Array]:
    parts = {
        name: normal(shape[1], seed=seed)
        for seed, name in enumerate(("scale", "bias", "mean", "variance"), 1)
    }
    return {"x": normal(*shape) + 0.3, **parts, "variance": np.abs(parts["variance"]) + 0.3}


@BOUNDED
@given(shape=shapes, epsilon=st.sampled_from([1e-5, 0.1]))
def test_batch_norm_at_inference_with_respect_to_all_five_inputs(
    shape: tuple[int, ...], epsilon: float
) -> None:
    check_one(
        "BatchNormalization", dict(batch_norm(shape)), curved=["scale", "variance"], epsilon=epsilon
    )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@BOUNDED
@given(shape=st.lists(st.integers(2, 4), min_size=2, max_size=5).map(tuple))
def test_batch_norm_in_training(momentum: float, shape: tuple[int, ...]) -> None:
    """With respect to the values that it normalises by their own statistics, its scale and its
    bias.
    """
    feeds = batch_norm(shape)
    for is_open in (False, True):
        how: dict[str, Any] = {"training_mode": 1, "momentum": momentum, "epsilon": 0.1}
        model = one(
            "BatchNormalization", dict(feeds), outputs=("y", "m", "v"), is_open=is_open, **how
        )
        check(model, feeds, "y", ["x", "scale", "bias"])
        check_again(model, feeds, ["x", "scale"])


def test_the_running_statistics_of_a_batch_norm_have_gradients_too() -> None:
    outputs = ("z", "m", "v")
    feeds = batch_norm((4, 3, 5))
    model = one("BatchNormalization", dict(feeds), outputs=outputs, training_mode=1, momentum=0.7)
    for of, wrt in (("m", ["x", "mean"]), ("v", ["x", "variance"]), ("z", ["x", "scale", "bias"])):
        check(model, feeds, of, wrt)


def test_batch_norm_in_training_costs_a_few_passes() -> None:
    """Two sums and one product to learn of each channel, two products and two sums to hand back."""
    feeds = {name: array.astype(np.float32) for name, array in batch_norm((4, 3, 5, 6)).items()}
    model = one(
        "BatchNormalization", dict(feeds), outputs=("y", "m", "v"), training_mode=1, momentum=0.0
    )
    del model.graph.output[1:]
    extended, _ = gradient(model, "y", ["x", "scale", "bias"], "r")
    sizes = onnx.shape_inference.infer_shapes(extended, data_prop=True)
    shapes_by_name = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in sizes.graph.value_info
    }
    large = {name for name, shape in shapes_by_name.items() if shape == [4, 3, 5, 6]}
    read = {"x", "y", "r", *large}
    passes = [
        node.op_type
        for node in extended.graph.node[1:]
        if not read.isdisjoint([*node.input, *node.output])
    ]
    assert sorted(passes) == ["Add", "Add", "Mul", "Mul", "Mul", "ReduceSum", "ReduceSum"]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_onnx_runtime_agrees_in_single_precision(momentum: float) -> None:
    feeds = batch_norm((6, 3, 5, 4))
    wrt = ["x", "scale", "bias"]
    weights = normal(6, 3, 5, 4, seed=9)
    results = []
    for dtype in (np.float64, np.float32):
        tensors: dict[str, Any] = {name: array.astype(dtype) for name, array in feeds.items()}
        model = one(
            "BatchNormalization",
            tensors,
            outputs=("y", "m", "v"),
            training_mode=1,
            momentum=momentum,
        )
        extended, names = gradient(model, "y", wrt, "r")
        typed_feeds = {**tensors, "r": weights.astype(dtype)}
        if dtype == np.float64:
            results.append(run(extended, names, typed_feeds))
        else:
            session = onnxruntime.InferenceSession(
                extended.SerializeToString(), providers=["CPUExecutionProvider"]
            )
            results.append(session.run(names, typed_feeds))
    for double_, single in zip(*results, strict=True):
        assert np.linalg.norm(double_ - single) <= 1e-5 * np.linalg.norm(double_)


def test_inputs_of_different_types_are_refused() -> None:
    tensors: dict[str, Any] = {**batch_norm((2, 3, 4)), "mean": normal(3).astype(np.float32)}
    with pytest.raises(
        UnknownGradientError,
        match="BatchNormalization 'node' has no gradient rule for inputs of diff",
    ):
        gradient(one("BatchNormalization", tensors), "y", ["x"])


@BOUNDED
@given(shape=st.lists(st.integers(2, 4), min_size=1, max_size=4).map(tuple), data=st.data())
def test_layer_norm_from_any_axis_on(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    part = shape[axis:]
    tensors: dict[str, Any] = {"x": normal(*shape), "scale": normal(*part, seed=1)}
    if data.draw(st.booleans()):
        tensors["bias"] = normal(*part[data.draw(st.integers(0, len(part) - 1)) :], seed=2)
    check_one("LayerNormalization", tensors, axis=axis, epsilon=0.1, curved=["x", "scale"])


@BOUNDED
@given(shape=st.lists(st.integers(2, 4), min_size=3, max_size=5).map(tuple))
def test_instance_norm(shape: tuple[int, ...]) -> None:
    tensors = {
        "x": normal(*shape),
        "scale": normal(shape[1], seed=1),
        "bias": normal(shape[1], seed=2),
    }
    check_one("InstanceNormalization", dict(tensors), epsilon=0.1, curved=["x", "scale"])


def test_group_norm_of_one_scale_a_channel() -> None:
    tensors = {"x": normal(2, 6, 3, 4), "scale": normal(6, seed=1), "bias": normal(6, seed=2)}
    check_one("GroupNormalization", dict(tensors), num_groups=3, epsilon=0.1, opset=21, **SINGLE)
    with pytest.raises(UnknownGradientError, match="before opset 21"):
        gradient(one("GroupNormalization", dict(tensors), num_groups=3, opset=20), "y", ["x"])


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_local_response_norm(size: int) -> None:
    """As many samples as channels: the reference evaluator mistakes one for the other."""
    check_one(
        "LRN", {"x": normal(6, 6, 2, 3)}, size=size, alpha=0.5, beta=0.6, bias=1.1, curved=["x"]
    )
