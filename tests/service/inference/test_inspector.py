"""Kernels in one order whatever the operator, and the largest values whatever they are."""

import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from anatomy import model_file
from service.errors import Impossible, UnknownChannel
from service.inference.inspector import Activations, Inspector, TensorSelection, select, statistics
from service.inference.kernels import kernels
from service.inputs.preprocess import Tensor, preprocess
from service.repository.model import Model
from service.runtime.engine import Engine
from tests.service.networks import Array, parsed, tensors, weights_of
from tests.service.repository.loading import catalogue_of

DENSE = """<ir_version: 8, opset_import: ["" : 18]>
dense (float[1,2,3] x) => (float[5,1] y) <float[{shape}] w> {{
  p = MaxPool<kernel_shape=[1]>(x)
  f = Flatten(p)
  t = Transpose(f)
  y = {result}
}}"""

QUANTISED = """<ir_version: 8, opset_import: ["" : 18]>
quantised (float[1,2,6] x) => (float[1,3,4] y) <
int8[3,2,3] q = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18}, float s = {0.5}> {
  w = DequantizeLinear(q, s)
  y = Conv(x, w)
}"""


def model_of(folder: Path, proto: onnx.ModelProto) -> Model:
    model_file.write(proto, folder / "only/1/model.onnx", None)
    return catalogue_of(folder, Engine("cpu", 1)).get()


def activations(model: Model, source: Array, channels: tuple[int, ...] = ()) -> Activations:
    model_input = preprocess(model, Tensor(source), 1000)
    layer, part = model.layers[-1], TensorSelection(channels=channels)
    return select(
        layer, part, Inspector().run(model, layer, model_input, time.monotonic() + 5, part)
    )


@pytest.mark.parametrize(
    ("shape", "result"),
    [("5,6", "MatMul(w, t)"), ("5,6", "Gemm(w, t)"), ("6,5", "Gemm<transA=1>(w, t)")],
)
def test_weights_on_the_left_are_shown_outputs_first_too(
    tmp_path: Path, shape: str, result: str
) -> None:
    proto = parsed(DENSE.format(shape=shape, result=result))
    model = model_of(tmp_path, proto)
    source = np.random.default_rng(1).normal(size=(1, 2, 3)).astype(np.float32)
    [y] = tensors(proto, ["y"], source)
    shown = kernels(model.layers[-1], model).weights
    assert shown.shape == (5, 6)
    np.testing.assert_allclose(shown @ source.reshape(6, 1), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("result", "shape", "bias"),
    [
        ("Gemm<alpha=0.5, beta=2.0>(w, t, b)", "5,1", True),
        ("Gemm<beta=2.0>(w, t, b)", "1", True),
        ("Gemm<beta=0.0>(w, t, b)", "5,1", True),
        ("Gemm<alpha=2.0, transA=1, transB=1>(t, w, b)", "5", True),
        ("Gemm<transA=1, transB=1>(t, w, b)", "1,5", True),
        ("Gemm<transA=1, transB=1>(t, w)", "5", False),
    ],
)
def test_a_gemm_is_its_kernels_times_what_it_reads_and_its_bias(
    tmp_path: Path, result: str, shape: str, bias: bool
) -> None:
    text = DENSE.format(shape="5,6", result=result).replace("w> {", f"w, float[{shape}] b> {{")
    proto = parsed(
        text
        if result.startswith("Gemm<") and "(w" in result
        else text.replace("[5,1] y", "[1,5] y")
    )
    model = model_of(tmp_path, proto)
    source = np.random.default_rng(1).normal(size=(1, 2, 3)).astype(np.float32)
    [y] = tensors(proto, ["y"], source)
    selected = kernels(model.layers[-1], model, [4, 1])
    assert (selected.bias is not None) == bias
    shown = selected.weights @ source.reshape(6) + (0 if selected.bias is None else selected.bias)
    np.testing.assert_allclose(shown, y.reshape(5)[[4, 1]], rtol=1e-4, atol=1e-5)
    assert selected.weights.dtype == np.float32


def test_a_matrix_that_a_gemm_adds_is_no_bias(tmp_path: Path) -> None:
    text = DENSE.format(shape="5,6", result="Gemm<transB=1>(f, w, b)").replace(
        "w> {", "w, float[2,5] b> {"
    )
    proto = parsed(text.replace("float[1,2,3] x", "float[2,2,3] x").replace("[5,1] y", "[2,5] y"))
    model = model_of(tmp_path, proto)
    assert kernels(model.layers[-1], model).bias is None


def test_quantised_kernels_are_the_numbers_that_their_codes_stand_for(tmp_path: Path) -> None:
    proto = parsed(QUANTISED)
    model = model_of(tmp_path, proto)
    shown = kernels(model.layers[0], model).weights
    assert shown.dtype == np.float32
    assert np.array_equal(shown, weights_of(proto, "q") * np.float32(0.5))


def test_a_pool_has_no_kernels(tmp_path: Path) -> None:
    model = model_of(tmp_path, parsed(DENSE.format(shape="5,6", result="MatMul(w, t)")))
    with pytest.raises(Impossible, match="MaxPool and has no kernels"):
        kernels(model.layers[0], model)


def test_channels_are_picked_and_checked(tmp_path: Path) -> None:
    model = model_of(tmp_path, parsed(QUANTISED))
    source = np.random.default_rng(2).normal(size=(1, 2, 6)).astype(np.float32)
    complete, part = activations(model, source), activations(model, source, (2, 0))
    assert np.array_equal(part.values, complete.values[[2, 0]])
    assert [item["channel"] for item in statistics(part)] == [2, 0]
    assert statistics(part)[0] == statistics(complete)[2]
    with pytest.raises(UnknownChannel, match="0 to 2"):
        activations(model, source, (3,))


def test_what_is_not_a_number_is_never_among_the_strongest_before_numbers(tmp_path: Path) -> None:
    model = model_of(tmp_path, parsed(QUANTISED))
    source = np.zeros((1, 2, 6), np.float32)
    source[0, 0, 0], source[0, 0, 5] = np.nan, np.inf
    model_input = preprocess(model, Tensor(source), 1000)
    selected = activations(model, source)
    values = [unit.value for unit in Inspector().strongest(model, selected, model_input, 12)]
    assert values[:3] == [np.inf] * 3
    assert values[3:9] == [0.0] * 6
    assert np.isnan(values[9:]).all()


def test_fields_are_worked_out_once_per_model_and_shape(tmp_path: Path) -> None:
    model = model_of(tmp_path, parsed(QUANTISED))
    inspector = Inspector()
    assert inspector.fields(model) is inspector.fields(model, (1, 2, 6)) is model.fields
