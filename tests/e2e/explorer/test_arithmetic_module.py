"""`arithmetic.js`: what it makes of a layer's numbers is what ONNX Runtime computes, for every unit
of odd layers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, layers
from anatomy.report import layer_body
from tests.e2e.explorer.browser import in_module
from tests.service.networks import Array, parsed, tensors, weights_of

# The input's sizes without the batch, the weights, the nodes; the last layer is the one that is
# explained.
NETWORKS = {
    "strided": (
        "3,9,11",
        "float[4,3,3,2] w, float[4] b",
        "y = Conv<strides=[2,3], pads=[0,1,2,1]>(x, w, b)",
    ),
    "dilated": ("2,9,11", "float[3,2,3,2] w", "y = Conv<dilations=[2,3], pads=[1,0,3,2]>(x, w)"),
    "grouped": (
        "6,7,7",
        "float[9,2,3,3] w, float[9] b",
        "y = Conv<group=3, pads=[1,1,1,1]>(x, w, b)",
    ),
    "multiplied": (
        "4,7,6",
        "float[8,1,3,3] w",
        "y = Conv<group=4, strides=[2,2], pads=[0,1,2,0]>(x, w)",
    ),
    "same_upper": (
        "2,8,7",
        "float[3,2,3,4] w",
        'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)',
    ),
    "same_lower": (
        "2,8,7",
        "float[3,2,2,4] w",
        'y = Conv<auto_pad="SAME_LOWER", strides=[1,2]>(x, w)',
    ),
    "open_sizes": (
        "2,H,W",
        "float[3,2,4,3] w",
        'y = Conv<auto_pad="SAME_UPPER", strides=[2,3]>(x, w)',
    ),
    "signal": (
        "2,31",
        "float[4,1,5] w, float[4] b",
        "y = Conv<group=2, strides=[3], dilations=[2], pads=[1,4]>(x, w, b)",
    ),
    "volume": (
        "2,5,6,7",
        "float[3,2,2,3,2] w",
        "y = Conv<strides=[1,2,2], pads=[0,1,1,1,0,0]>(x, w)",
    ),
    "spread": (
        "4,4,5",
        "float[4,3,3,2] w, float[6] b",
        "y = ConvTranspose<strides=[2,3], group=2, pads=[1,0,0,1], output_padding=[1,0]>(x, w, b)",
    ),
    "spread_signal": (
        "2,9",
        "float[2,3,4] w",
        "y = ConvTranspose<strides=[2], dilations=[3], pads=[1,2]>(x, w)",
    ),
    "largest": (
        "2,9,8",
        "",
        (
            "y = MaxPool<kernel_shape=[3,2], strides=[2,2], dilations=[2,1], pads=[1,0,1,1], "
            "ceil_mode=1>(x)"
        ),
    ),
    "mean": ("2,9,8", "", "y = AveragePool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1]>(x)"),
    "mean_with_padding": (
        "2,9,8",
        "",
        (
            "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,1], "
            "count_include_pad=1>(x)"
        ),
    ),
    "mean_to_the_end": (
        "2,10",
        "",
        "y = AveragePool<kernel_shape=[3], strides=[2], ceil_mode=1>(x)",
    ),
    "mean_of_all": ("3,4,5", "", "y = GlobalAveragePool(x)"),
    "largest_of_all": ("3,4,5", "", "y = GlobalMaxPool(x)"),
    "mean_of_axes": ("3,4,5", "int64[2] axes = {2, 3}", "y = ReduceMean<keepdims=0>(x, axes)"),
    "dense": ("7", "float[5,7] w, float[5] b", "y = Gemm<alpha=1.0, transB=1>(x, w, b)"),
    "product": ("7", "float[7,5] w", "y = MatMul(x, w)"),
    "sum": ("4,5,6", "float[4,4,3,3] w", "c = Conv<pads=[1,1,1,1]>(x, w) y = Add(c, x)"),
    "gated": (
        "4,5,6",
        "float[4,4,1,1] w",
        "q = GlobalAveragePool(x) c = Conv(q, w) h = Sigmoid(c) y = Mul(x, h)",
    ),
    "joined": ("2,5,6", "float[3,2,1,1] w", "c = Conv(x, w) y = Concat<axis=1>(c, x, c)"),
    "joined_in_space": ("2,5,6", "float[2,2,1,2] w", "c = Conv(x, w) y = Concat<axis=-1>(c, x)"),
}

# Every unit of every channel, from those channels and that kernel alone which `needs` names.
TOTALS = """async (arithmetic, { layer, operands, kernels, bias, channels, size }) => {
  const { Maps, positionOf } = await import("/explorer/maps.js");
  const whole = operands.map(({ shape, data }, place) =>
    new Maps({ shape, data: Float32Array.from(data) }, layer.operands[place].channel_axis));
  const some = (maps, numbers) => {
    if (numbers === null) return maps;
    const data = Float32Array.from(numbers.flatMap((each) => [...maps.map(each)]));
    return Object.assign(Object.create(maps), { numbers, channels: numbers.length, data });
  };
  const length = size.reduce((product, each) => product * each, 1);
  const found = [];
  for (let channel = 0; channel < channels; channel += 1) {
    for (let place = 0; place < length; place += 1) {
      const unit = positionOf(place, size);
      const wanted = arithmetic.needs(layer, channel, unit);
      const given = [];
      for (const { operand, channels } of wanted.operands)
        given[operand] = some(whole[operand], channels);
      const numbers = { operands: given, kernel: null, bias: null };
      if (wanted.kernel !== null) {
        numbers.kernel = { shape: kernels.shape.slice(1), weights: kernels.data[wanted.kernel] };
        numbers.bias = bias?.[wanted.kernel] ?? null;
      }
      found.push(arithmetic.explain(layer, numbers, channel, unit));
    }
  }
  const off = (each) => each.total + 1e-3 * each.magnitude + 1e-9;
  return {
    totals: found.map((each) => each.total),
    padded: found.some((each) => each.rows.some((row) => row.inside.includes(false))),
    equal: found.map((each) => [
      arithmetic.agrees(each, Math.fround(each.total)), arithmetic.agrees(each, off(each))]),
  };
}"""


def text(name: str) -> str:
    sizes, weights, nodes = NETWORKS[name]
    head = '<ir_version: 9, opset_import: ["" : 19]>'
    initializers = f"<{weights}>" if weights else ""
    return f"{head} {name} (float[1,{sizes}] x) => (y) {initializers} {{ {nodes} }}"


def given_to(name: str) -> Array:
    sizes = [int(size) if size.isdecimal() else 8 for size in NETWORKS[name][0].split(",")]
    return np.random.default_rng(11).normal(size=(1, *sizes)).astype(np.float32)


def kernels_of(model: Any, layer: Layer) -> dict[str, Any] | None:
    """The weights with the outputs first, after the ONNX specification of each operator."""
    if layer.kernel is None:
        return None
    stored = weights_of(model, layer.kernel)
    if layer.operator == "ConvTranspose":
        groups = layer.groups or 1
        stored = np.concatenate([part.swapaxes(0, 1) for part in np.split(stored, groups)])
    if layer.operator == "MatMul":
        stored = stored.T
    return {"shape": list(stored.shape), "data": stored.reshape(len(stored), -1).tolist()}


def asked_of(name: str) -> tuple[dict[str, Any], Array]:
    """The argument of TOTALS, and what ONNX Runtime computes."""
    model, x = parsed(text(name)), given_to(name)
    graph = Graph(model)
    layer = layers(graph)[-1]
    read = [x if each.name == "x" else tensors(model, [each.name], x)[0] for each in layer.operands]
    expected = tensors(model, ["y"], x)[0][0]
    argument = {
        "layer": layer_body(layer, ReceptiveFields(graph).layer(layer)),
        "operands": [
            {"shape": list(each.shape[1:]), "data": each.ravel().tolist()} for each in read
        ],
        "kernels": kernels_of(model, layer),
        "bias": None if layer.bias is None else weights_of(model, layer.bias).tolist(),
        "channels": expected.shape[0],
        "size": list(expected.shape[1:]),
    }
    return argument, expected


@pytest.fixture(scope="module")
def scratch(browser: Browser, address: str) -> Iterator[Page]:
    """One empty page of the service for all of these tests: the module keeps nothing from one call
    to the next.
    """
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.route(
        "**/scratch", lambda route: route.fulfill(body="<!doctype html><title>Scratch</title>")
    )
    page.goto("/scratch")
    yield page
    context.close()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_value_comes_about_as_the_runtime_computes_it(scratch: Page, name: str) -> None:
    argument, expected = asked_of(name)
    found = in_module(scratch, "views/convolution/arithmetic.js", TOTALS, argument)
    totals = np.reshape(found["totals"], expected.shape)
    np.testing.assert_allclose(totals, expected, rtol=1e-4, atol=1e-5)
    assert all(rounded for rounded, _ in found["equal"])
    assert not any(wrong for _, wrong in found["equal"])
    assert found["padded"] == (name in PADDED)


PADDED = {
    *(
        "strided",
        "dilated",
        "grouped",
        "multiplied",
        "same_upper",
        "same_lower",
        "open_sizes",
        "signal",
        "volume",
    ),
    *("spread", "spread_signal", "largest", "mean", "mean_with_padding", "mean_to_the_end"),
}


def test_an_operator_without_arithmetic_is_named(scratch: Page) -> None:
    layer = {"operator": "LpPool", "operands": [{}], "kernel_shape": [2]}
    ask = "(arithmetic, layer) => arithmetic.unexplained(layer)"
    said = in_module(scratch, "views/convolution/arithmetic.js", ask, layer)
    assert "LpPool" in said
    known = layer | {"operator": "MaxPool"}
    assert in_module(scratch, "views/convolution/arithmetic.js", ask, known) is None
