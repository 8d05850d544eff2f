"""Modules compute what they say, with any number of spatial axes, and refuse what does not fit
where it is written.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnxscript import OpBuilder, nn

from model_build.export import Signature, export
from model_build.nn import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    Module,
    Normalise,
    Relu6,
    ShapeError,
    Softmax,
    initial,
    load,
)

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)


def filled(module: Module) -> Module:
    shapes = {
        name: p.shape
        for name, p in module.named_parameters()
        if p.const_value is None and p.shape is not None
    }
    values = {
        name: RANDOM.uniform(0.5, 1.5, shape.numpy()).astype(np.float32)
        for name, shape in shapes.items()
    }
    load(module, values)
    return module


def exported(
    module: Module, *shape: int | str, dtype: ir.DataType = ir.DataType.FLOAT
) -> onnx.ModelProto:
    return export(filled(module), Signature("x", dtype, shape, "y"), "test")


def run(proto: onnx.ModelProto, x: Array) -> Array:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    output: Array = session.run(None, {"x": x})[0]
    return output


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_convolution_has_as_many_axes_as_its_kernel(axes: int) -> None:
    x = RANDOM.standard_normal((2, 4, *[9] * axes)).astype(np.float32)
    module = Conv(4, 6, [3] * axes, stride=2, groups=2)
    proto = exported(module, "N", 4, *[9] * axes)
    assert run(proto, x).shape == (2, 6, *[5] * axes)
    (expected,) = ReferenceEvaluator(proto).run(None, {"x": x})
    assert np.allclose(run(proto, x), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "pads"),
    [
        (224, 3, 2, 1, [0, 1]),
        (225, 3, 2, 1, [1, 1]),
        (7, 5, 1, 1, [2, 2]),
        (8, 2, 1, 1, [0, 1]),
        (8, 3, 1, 2, [2, 2]),
        (8, 1, 2, 1, [0, 0]),
    ],
)
def test_same_padding_is_that_of_tensorflow(
    size: int, kernel: int, stride: int, dilation: int, pads: list[int]
) -> None:
    proto = exported(Conv(1, 1, [kernel], stride=stride, dilation=dilation), "N", 1, size)
    (attribute,) = (
        attribute for attribute in proto.graph.node[0].attribute if attribute.name == "pads"
    )
    assert list(attribute.ints) == pads
    assert proto.graph.output[0].type.tensor_type.shape.dim[2].dim_value == -(-size // stride)


def test_same_padding_of_an_open_size_is_left_to_the_runtime() -> None:
    proto = exported(Conv(1, 1, [3], stride=2), "N", 1, "L")
    assert [run(proto, np.zeros((1, 1, size), np.float32)).shape[2] for size in (8, 9)] == [4, 5]


def test_valid_and_explicit_padding() -> None:
    x = np.zeros((1, 1, 8), np.float32)
    assert run(exported(Conv(1, 1, [3], padding="valid"), "N", 1, 8), x).shape == (1, 1, 6)
    assert run(exported(Conv(1, 1, [3], padding=[2, 1]), "N", 1, 8), x).shape == (1, 1, 9)


def test_linear_is_x_times_weight_transposed_plus_bias() -> None:
    module = Linear(3, 2)
    proto = exported(module, "N", 3)
    assert module.weight.const_value is not None
    assert module.bias.const_value is not None
    x = RANDOM.standard_normal((4, 3)).astype(np.float32)
    assert np.allclose(
        run(proto, x),
        x @ module.weight.const_value.numpy().T + module.bias.const_value.numpy(),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Relu6(), lambda x: x.clip(0, 6)),
        (GlobalAveragePool(), lambda x: x.mean(axis=(2, 3), keepdims=True)),
        (Flatten(), lambda x: x.reshape(len(x), -1)),
        (Softmax(), lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)),
    ],
)
def test_modules_without_weights(module: Module, expected: Callable[[Array], Array]) -> None:
    x = RANDOM.uniform(-8, 8, (2, 3, 4, 5)).astype(np.float32)
    assert np.allclose(run(exported(module, "N", 3, 4, 5), x), expected(x), atol=1e-5)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pixels_are_normalised_and_channels_come_first(axes: int) -> None:
    pixels = RANDOM.integers(0, 256, (2, *[4] * axes, 3), np.uint8)
    module = Normalise(mean=[127.0, 100.0, 0.0], std=[128.0, 64.0, 2.0])
    output = run(exported(module, "N", *[4] * axes, 3, dtype=ir.DataType.UINT8), pixels)
    expected = (pixels.astype(np.float32) - np.array([127, 100, 0], np.float32)) / np.array(
        [128, 64, 2], np.float32
    )
    assert np.array_equal(output, np.moveaxis(expected, -1, 1))


class Twice(Module):
    def __init__(self, first: Module, second: Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        return self.second(op, self.first(op, x))


class Merge(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv(4, 1, [1, 1])
        self.sum = Add()

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        return self.sum(op, x, self.conv(op, x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Twice(Conv(4, 8, [3, 3]), Conv(4, 8, [3, 3])),
            r"Conv 'second': expected 4 channels, got 8",
        ),
        (
            lambda: Twice(Conv(4, 8, [3, 3]), BatchNorm(4)),
            r"BatchNorm 'second': expected 4 channels, got 8",
        ),
        (lambda: Twice(Flatten(), Linear(9, 2)), r"Linear 'second': expected 9 channels, got 256"),
        (lambda: Conv(4, 8, [3]), r"expected an input of 3 axes, got 4"),
        (lambda: Linear(4, 8), r"expected an input of 2 axes, got 4"),
        (Merge, r"Add 'sum': expected two equal shapes"),
    ],
)
def test_sizes_that_do_not_fit_fail_where_they_are_written(
    make: Callable[[], Module], message: str
) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        exported(make(), "N", 4, 8, 8)
    lines = [str(entry.statement) for entry in caught.traceback]
    assert any(
        "self.second(op" in line or "self.sum(op" in line or "module(builder.op" in line
        for line in lines
    )


def test_a_size_that_does_not_fit_is_noted_with_the_path_to_it() -> None:
    with pytest.raises(ShapeError) as caught:
        exported(Twice(Relu6(), Twice(Conv(4, 8, [1, 1]), BatchNorm(4))), "N", 4, 8, 8)
    assert caught.value.__notes__ == ["in BatchNorm 'second'", "in Twice 'second'", "in Twice"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(4, 8, [3], groups=3), "groups must divide 4 and 8 channels, got 3"),
        (
            lambda: Conv(4, 8, [3, 3], padding=[1, 1]),
            "expected 4 pads for kernel \\[3, 3\\], got 2",
        ),
        (lambda: Normalise([0.0], [0.0]), "expected std above 0"),
    ],
)
def test_a_module_that_cannot_be_is_refused_when_it_is_made(
    make: Callable[[], Module], message: str
) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        make()
    assert inspect.getsourcefile(make) == str(caught.traceback[1].path)


def test_weights_must_be_all_there_and_no_more() -> None:
    with pytest.raises(ShapeError, match=r"missing: bias, weight; unexpected: kernel"):
        load(Linear(2, 2), {"kernel": np.zeros((2, 2))})


def test_weights_must_have_the_parameters_shape() -> None:
    with pytest.raises(ShapeError, match=r"weight: expected shape \[2, 3\], got \[3, 2\]"):
        load(Linear(3, 2), {"weight": np.zeros((3, 2)), "bias": np.zeros(2)})


def test_a_network_without_weights_is_not_exported() -> None:
    with pytest.raises(ShapeError, match=r"without weights: bias, weight"):
        export(Linear(3, 2), Signature("x", ir.DataType.FLOAT, ("N", 3), "y"), "test")


class Unstarted(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter([2])

    def forward(self, op: OpBuilder, x: ir.Value) -> Any:
        return op.Mul(x, self.weight)


def test_initial_weights_keep_the_variance_and_depend_on_the_seed() -> None:
    kernel = initial(Conv(64, 128, (3, 3)), 0)["weight"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.01)
    assert abs(kernel.mean()) < 1e-3
    assert np.array_equal(kernel, initial(Conv(64, 128, (3, 3)), 0)["weight"])
    assert not np.array_equal(kernel, initial(Conv(64, 128, (3, 3)), 1)["weight"])
    norm = initial(BatchNorm(3), 0)
    assert {name: array.tolist() for name, array in norm.items()} == {
        "scale": [1, 1, 1],
        "bias": [0, 0, 0],
        "mean": [0, 0, 0],
        "variance": [1, 1, 1],
    }


def test_a_module_that_does_not_say_what_it_starts_with_is_refused() -> None:
    with pytest.raises(
        ShapeError, match="Unstarted does not say what its parameter 'weight' starts with"
    ):
        initial(Unstarted(), 0)
