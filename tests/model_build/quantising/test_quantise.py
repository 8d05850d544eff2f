"""Models in 8 bits: what is quantised and how, what stays in float, what is refused, and how little
is lost.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import pytest

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.graphs.graph import Graph
from anatomy.graphs.subgraph import extract
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import ModelFile, read
from model_build.quantising.quantise import Int8Error, quantised
from tests.conftest import Examples

BODY = """n = Div(pixels, k)
  [first] a = Conv<pads=[1,1,1,1]>(n, w) s = Sigmoid(a) m = Mul(a, s)
  [second] b = Conv<pads=[1,1,1,1]>(m, v) c = Add(m, b)
  p = GlobalAveragePool(c) f = Flatten(p) [last] logits = Gemm(f, d)"""
POOLED = "p = GlobalAveragePool(pixels) f = Flatten(p) logits = MatMul(f, e)"


def foreign(body: str = BODY, opset: int = 17, dtype: str = "float") -> ModelFile:
    """Normalisation, two convolutions with a residual, a linear layer; most nodes have no name."""
    weights = {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3), "d": (4, 5), "e": (3, 5), "k": (1,)}
    declared = ", ".join(
        f"{dtype}[{','.join(map(str, shape))}] {name}" for name, shape in weights.items()
    )
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> net ({dtype}[batch, 3, 4, 6] pixels) => '
        f"({dtype}[batch, 5] logits) <{declared}> {{ {body} }}"
    )
    random = np.random.default_rng(0)
    for value in [value for value in model.graph.value_info if value.name in weights]:
        numbers = random.normal(size=weights[value.name])
        kind = np.float32 if dtype == "float" else np.float16
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(numbers.astype(kind), value.name)
        )
        model.graph.value_info.remove(value)
    return ModelFile(None, model, Graph(model), None)


@pytest.fixture(scope="module")
def pair(int8_folder: Path) -> tuple[ModelFile, ModelFile]:
    """`digits` in float and in 8 bits."""
    return read(int8_folder / "digits/1/model.onnx"), read(int8_folder / "digits-int8/1/model.onnx")


def test_every_weighted_operator_reads_codes_with_a_symmetric_scale_for_each_output(
    pair: tuple[ModelFile, ModelFile],
) -> None:
    graph = pair[1].graph
    for layer in layers(graph):
        node = graph.producer(layer.anchor_tensor)
        assert node is not None
        assert [getattr(graph.producer(name), "operator", None) for name in node.inputs] == [
            "DequantizeLinear"
        ] * 3
        weights = graph.producer(node.inputs[1])
        assert weights is not None
        codes, scales, zeros = (graph.constants[name] for name in weights.inputs)
        # A Gemm's weights are [in, out] or [out, in].
        assert scales.shape == (layer.output_shape[0],)
        assert codes.dtype == np.int8
        assert not zeros.any()
        assert np.abs(codes.astype(int)).max() == 127


def test_pixels_are_normalised_and_the_softmax_is_taken_in_float(
    pair: tuple[ModelFile, ModelFile],
) -> None:
    graph = pair[1].graph
    for node in graph.nodes:
        if node.name.startswith("preprocess.") and node.operator in (
            "Cast",
            "Sub",
            "Div",
            "Transpose",
        ):
            assert "Dequantize" not in str(graph.producer(node.inputs[0]))
    softmax = graph.producer("probabilities")
    assert softmax is not None
    assert getattr(graph.producer(softmax.inputs[0]), "operator", None) == "Gemm"


def test_names_shapes_and_receptive_fields_of_all_layers_are_those_of_the_float_model(
    pair: tuple[ModelFile, ModelFile],
) -> None:
    tables = [
        [summary(layer, ReceptiveFields(model.graph)) for layer in layers(model.graph)]
        for model in pair
    ]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 7


def summary(layer: Layer, fields: ReceptiveFields) -> tuple[object, ...]:
    """What a layer is and sees, as a whole and by two of its units."""
    sizes = [int(size or 1) for size in layer.output_shape[1:]]
    units = (
        fields.units(layer, [[0] * len(sizes), [size // 2 for size in sizes]]) if sizes else None
    )
    description = (
        layer.name,
        layer.kind,
        layer.operator,
        layer.output_shape,
        layer.parameters,
        layer.macs,
        layer.inputs,
    )
    return *description, fields.layer(layer), units


def test_activations_of_every_layer_are_close_to_the_float_ones(
    pair: tuple[ModelFile, ModelFile], digit_examples: Examples
) -> None:
    images = digit_examples[0][5000:5032, ..., None]
    maps = []
    for model in pair:
        tensors = [layer.tensor for layer in layers(model.graph)]
        session = onnxruntime.InferenceSession(extract(model.proto, tensors).SerializeToString())
        maps.append(session.run(None, {"image": images}))
    for ours, theirs in zip(*maps, strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        assert not np.array_equal(ours, theirs)
        assert np.linalg.norm(ours - theirs) < 0.04 * np.linalg.norm(ours)


def test_of_the_test_digits_that_did_not_calibrate_hardly_one_gets_another_name(
    pair: tuple[ModelFile, ModelFile],
) -> None:
    card = pair[1].card
    assert card is not None
    assert card.scores["measured_on"] == 9744
    assert card.scores["float_agreement"] > 0.998
    assert card.scores["float_test_accuracy"] > 0.995
    assert card.scores["test_accuracy"] > card.scores["float_test_accuracy"] - 0.001


def test_the_scores_of_the_card_are_what_the_two_files_answer(
    pair: tuple[ModelFile, ModelFile], int8_folder: Path, digit_examples: Examples
) -> None:
    pictures, labels = digit_examples
    sessions = [
        onnxruntime.InferenceSession(int8_folder / name / "1/model.onnx")
        for name in ("digits", "digits-int8")
    ]
    before, after = (
        session.run(None, {"image": pictures[256:, ..., None]})[0] for session in sessions
    )
    scores = pair[1].card.scores if pair[1].card else {}
    assert scores["test_accuracy"] == np.mean(after.argmax(axis=1) == labels[256:])
    assert scores["float_test_accuracy"] == np.mean(before.argmax(axis=1) == labels[256:])
    assert scores["float_agreement"] == np.mean(before.argmax(axis=1) == after.argmax(axis=1))
    assert scores["float_difference_mean"] == pytest.approx(np.abs(before - after).mean(), rel=1e-4)
    assert scores["float_difference_max"] == pytest.approx(np.abs(before - after).max(), rel=1e-4)


def test_equal_inputs_give_equal_bytes_and_the_source_is_left_alone() -> None:
    model = foreign()
    before = model.proto.SerializeToString(deterministic=True)
    inputs = np.random.default_rng(1).normal(size=(9, 3, 4, 6)).astype(np.float32)
    made = [quantised(model, inputs, 4).SerializeToString(deterministic=True) for _ in range(2)]
    assert made[0] == made[1]
    assert model.proto.SerializeToString(deterministic=True) == before


def test_a_foreign_network_keeps_its_layers_and_nearly_its_answers() -> None:
    model = foreign()
    inputs = np.random.default_rng(1).normal(size=(64, 3, 4, 6)).astype(np.float32)
    made = quantised(model, inputs[:32], 8)
    graph = Graph(made)
    assert [layer.name for layer in layers(graph)] == [layer.name for layer in layers(model.graph)]
    assert graph.producer("n") is not None
    assert made.metadata_props == model.proto.metadata_props
    before, after = (
        onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"pixels": inputs[32:]})[
            0
        ]
        for proto in (model.proto, made)
    )
    assert not np.array_equal(before, after)
    assert np.linalg.norm(before - after) < 0.05 * np.linalg.norm(before)


def test_nothing_of_the_library_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    quantised(foreign(), np.ones((2, 3, 4, 6), np.float32), 2)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"body": POOLED}, "no Conv"),
        ({"opset": 12}, "opset 12, which has no scales per channel; export it in 13"),
        (
            {
                "body": BODY.replace("Div(pixels, k)", "DequantizeLinear(q, k)").replace(
                    "n =", "q = Cast<to=3>(pixels) n ="
                )
            },
            "quantised already: its graph has DequantizeLinear",
        ),
        (
            {"body": BODY.replace("Gemm(f, d)", "Gemm(f, e)")},
            "does not run in ONNX Runtime: .*Gemm",
        ),
        ({"dtype": "float16"}, "weights in float16, expected float32"),
    ],
)
def test_what_cannot_be_quantised_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Int8Error, match=says):
        quantised(foreign(**changes), np.ones((2, 3, 4, 6), np.float32), 2)
