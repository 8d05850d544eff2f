"""Adopting foreign files: what comes out takes pictures and computes what the foreign network
computes on them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import pytest
from numpy.typing import NDArray

from anatomy.cards.card import Card, ImageInput, Resize
from anatomy.graphs.graph import Graph
from anatomy.model_file import ModelFile, read, write
from model_build.adopting.adopt import adopt
from model_build.adopting.preprocessing import AdoptError, Preprocessing

Array = NDArray[Any]
PICTURES: Array = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CLASSIFIER = "p = GlobalAveragePool({x}) logits = Flatten(p)"
Foreign = Callable[..., ModelFile]


def run(proto: onnx.ModelProto, pictures: Array = PICTURES) -> Array:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    scores: Array = session.run(None, {session.get_inputs()[0].name: pictures})[0]
    return scores


def means(pictures: Array, preprocessing: Preprocessing) -> Array:
    """What the foreign classifier answers to a picture prepared in the usual way."""
    normal = (pictures / preprocessing.scale - np.array(preprocessing.mean)) / np.array(
        preprocessing.std
    )
    result: Array = normal.mean(axis=(1, 2))
    return result


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(),
        IMAGENET,
        Preprocessing(scale=1),
        Preprocessing(scale=1, mean=(127.5,), std=(127.5,)),
        Preprocessing(scale=127.5, mean=(1.0,)),
    ],
)
def test_pixels_are_scaled_then_normalised(preprocessing: Preprocessing, foreign: Foreign) -> None:
    proto, _ = adopt(foreign(), preprocessing, Card())
    assert np.allclose(run(proto), means(PICTURES, preprocessing), atol=1e-4)


def test_a_network_of_blue_green_red_gets_its_channels_in_that_order(foreign: Foreign) -> None:
    preprocessing = replace(IMAGENET, colour="BGR")
    proto, card = adopt(foreign(), preprocessing, Card())
    assert np.allclose(run(proto), means(PICTURES[..., ::-1], preprocessing), atol=1e-4)
    assert card.input == ImageInput((4, 6), "RGB", Resize())


def test_channels_last_stay_last(foreign: Foreign) -> None:
    model = foreign(
        "float[batch, 4, 6, 3] pixels",
        body="c = Transpose<perm = [0, 3, 1, 2]>(pixels) " + CLASSIFIER.format(x="c"),
    )
    proto, _ = adopt(model, IMAGENET, Card())
    assert np.allclose(run(proto), means(PICTURES, IMAGENET), atol=1e-4)


def test_grey_networks_take_one_channel(foreign: Foreign) -> None:
    model = foreign("float[batch, 1, 4, 6] pixels", "float[batch, 1] logits")
    proto, card = adopt(model, Preprocessing(), Card())
    assert np.allclose(
        run(proto, PICTURES[..., :1]), means(PICTURES[..., :1], Preprocessing()), atol=1e-4
    )
    assert isinstance(card.input, ImageInput)
    assert card.input.colour == "L"


# The runtime has float64 kernels for some operators only: a pool that takes no mean, and a mean
# that is no pool.
IN_FLOAT64 = (
    "p = MaxPool<kernel_shape = [1, 1]>(pixels) logits = ReduceMean<axes = [2, 3], keepdims = 0>(p)"
)


@pytest.mark.parametrize(
    ("name", "dtype", "body"),
    [("float16", np.float16, CLASSIFIER.format(x="pixels")), ("double", np.float64, IN_FLOAT64)],
    ids=["float16", "float64"],
)
def test_other_floating_point_types_are_cast_to(
    name: str, dtype: type, body: str, foreign: Foreign
) -> None:
    model = foreign(f"{name}[batch, 3, 4, 6] pixels", f"{name}[batch, 3] logits", body)
    proto, _ = adopt(model, IMAGENET, Card())
    assert run(proto).dtype == dtype
    assert np.allclose(run(proto), means(PICTURES, IMAGENET), atol=5e-3)


def test_softmax_is_appended_if_asked(foreign: Foreign) -> None:
    proto, _ = adopt(foreign(), replace(IMAGENET, softmax=True), Card())
    powers = np.exp(means(PICTURES, IMAGENET))
    assert np.allclose(run(proto), powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    assert proto.graph.output[0].name == "probabilities"


def test_softmax_makes_probabilities_of_their_logarithms(foreign: Foreign) -> None:
    body = CLASSIFIER.format(x="pixels") + " l = LogSoftmax<axis = 1>(logits)"
    proto, _ = adopt(
        foreign(y="float[batch, 3] l", body=body), replace(IMAGENET, softmax=True), Card()
    )
    powers = np.exp(means(PICTURES, IMAGENET))
    assert np.allclose(run(proto), powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_probabilities_stay_as_they_are(foreign: Foreign) -> None:
    body = CLASSIFIER.format(x="pixels") + " s = Softmax<axis = 1>(logits)"
    proto, _ = adopt(
        foreign(y="float[batch, 3] s", body=body), IMAGENET, Card(labels=("a", "b", "c"))
    )
    powers = np.exp(means(PICTURES, IMAGENET))
    assert np.allclose(run(proto), powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    assert proto.graph.output[0].name == "s"


def test_an_output_of_one_by_one_maps_becomes_flat(foreign: Foreign) -> None:
    model = foreign(y="float[batch, 3, 1, 1] maps", body="maps = GlobalAveragePool(pixels)")
    proto, _ = adopt(model, replace(IMAGENET, softmax=True), Card(labels=("a", "b", "c")))
    assert run(proto).shape == (2, 3)


def test_only_the_first_output_stays(foreign: Foreign) -> None:
    model = foreign(y="float[batch, 3] logits, float[batch, 3, 1, 1] p")
    proto, _ = adopt(model, IMAGENET, Card())
    assert [value.name for value in proto.graph.output] == ["logits"]


def test_names_of_the_foreign_graph_stay_and_new_ones_give_way(foreign: Foreign) -> None:
    model = foreign("float[batch, 3, 4, 6] image", body=CLASSIFIER.format(x="image"))
    proto, _ = adopt(model, IMAGENET, Card())
    assert proto.graph.input[0].name == "image_2"
    assert {"p", "logits"} <= {name for node in proto.graph.node for name in node.output}


def test_an_open_size_is_fixed_by_the_recipe(foreign: Foreign) -> None:
    model = foreign("float[batch, 3, height, width] pixels")
    proto, card = adopt(model, replace(IMAGENET, size=(4, 6)), Card())
    assert np.allclose(run(proto), means(PICTURES, IMAGENET), atol=1e-4)
    assert isinstance(card.input, ImageInput)
    assert card.input.size == (4, 6)


def test_a_batch_of_one_stays_a_batch_of_one(foreign: Foreign) -> None:
    proto, _ = adopt(foreign("float[1, 3, 4, 6] pixels", "float[1, 3] logits"), IMAGENET, Card())
    assert run(proto, PICTURES[:1]).shape == (1, 3)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def test_a_batch_keeps_its_name(foreign: Foreign) -> None:
    proto, _ = adopt(foreign(), replace(IMAGENET, softmax=True), Card())
    (x,), (y,) = proto.graph.input, proto.graph.output
    assert [value.type.tensor_type.shape.dim[0].dim_param for value in (x, y)] == ["batch", "batch"]


def test_sizes_of_minus_one_are_open(foreign: Foreign) -> None:
    """PaddlePaddle's exporter writes them."""
    model = foreign("float[-1, 3, -1, -1] pixels", "float[-1, 3] logits")
    proto, _ = adopt(model, replace(IMAGENET, size=(4, 6)), Card())
    assert np.allclose(run(proto), means(PICTURES, IMAGENET), atol=1e-4)
    assert "-1" not in str(proto.graph.input) + str(proto.graph.output)


def test_a_network_that_fails_on_two_pictures_takes_one_at_a_time(foreign: Foreign) -> None:
    """The exporter was told that the batch is open, and the network's own reshape was told that it
    is 1.
    """
    body = (
        "p = GlobalAveragePool(pixels) s = Constant<value_ints = [1, 3]>() logits = Reshape(p, s)"
    )
    proto, card = adopt(foreign(body=body), IMAGENET, Card(labels=("a", "b", "c")))
    assert [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim] == [
        1,
        4,
        6,
        3,
    ]
    assert np.allclose(run(proto, PICTURES[:1]), means(PICTURES[:1], IMAGENET), atol=1e-4)
    assert card.labels == ("a", "b", "c")


def test_classes_are_counted_where_the_file_does_not_say_how_many(foreign: Foreign) -> None:
    model = foreign(y="float[batch, classes] logits")
    with pytest.raises(AdoptError, match="has 3 classes, the labels name 2"):
        adopt(model, IMAGENET, Card(labels=("a", "b")))
    proto, _ = adopt(model, IMAGENET, Card())
    assert proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3


def test_what_a_file_says_of_its_own_output_is_kept(foreign: Foreign) -> None:
    """Of a reshape to a computed shape nothing is inferred; the file knows, and so must whoever
    shows its layers.
    """
    body = """p = GlobalAveragePool(pixels) sizes = Shape(p) first = Constant<value_ints = [0]>()
        batch = Gather(sizes, first) rest = Constant<value_ints = [-1]>()
        s = Concat<axis = 0>(batch, rest) logits = Reshape(p, s)"""
    proto, _ = adopt(foreign(body=body), replace(IMAGENET, softmax=True), Card())
    assert Graph(proto).shape("logits") == ("batch", 3)
    assert run(proto).shape == (2, 3)


def test_weights_beside_the_file_are_taken_in(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
        g (float[N, 3, 4, 6] x, float[2, 3, 1, 1] w) => (float[N, 2, 1, 1] y) {
            c = Conv(x, w) y = GlobalAveragePool(c) }"""
    proto, weight = (
        onnx.parser.parse_model(text),
        np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1),
    )
    del proto.graph.input[1]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save_model(
        proto,
        tmp_path / "new.onnx",
        save_as_external_data=True,
        location="new.onnx.data",
        size_threshold=0,
    )
    adopted, _ = adopt(read(tmp_path / "new.onnx"), IMAGENET, Card())
    assert np.allclose(run(adopted), means(PICTURES, IMAGENET) @ weight.reshape(2, 3).T, atol=1e-4)


LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize(
    ("name", "softmax"), [("squeezenet", False), ("shufflenet", False), ("densenet121", True)]
)
def test_old_files_of_the_model_zoo_compute_the_same_when_adopted(name: str, softmax: bool) -> None:
    """Opset 9, IR 3, every weight an input too; the onnx package ships their graphs with constant
    weights.
    """
    path = LIGHT / f"light_{name}.onnx"
    preprocessing = Preprocessing(scale=1, mean=(104, 117, 123), colour="BGR", softmax=softmax)
    model = read(path)
    proto, card = adopt(model, preprocessing, Card(labels=tuple(map(str, range(1000)))))
    assert card.input == ImageInput((224, 224), "RGB", Resize())
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    x = (
        picture[..., ::-1].astype(np.float32) - np.array(preprocessing.mean, np.float32)
    ).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = np.reshape(session.run([model.output], {model.input: x})[0], (1, 1000))
    if softmax:
        expected = np.exp(expected - expected.max()) / np.exp(expected - expected.max()).sum()
    assert np.abs(run(proto, picture) - expected).max() <= 1e-6


def test_weights_that_are_inputs_too_become_constants(tmp_path: Path) -> None:
    text = """<ir_version: 3, opset_import: ["" : 9]>
        g (float[N, 3, 4, 6] x, float[2, 3, 1, 1] w) => (float[N, 2, 4, 6] y) { y = Conv(x, w) }"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    )
    (tmp_path / "old.onnx").write_bytes(proto.SerializeToString())
    adopted, _ = adopt(read(tmp_path / "old.onnx"), IMAGENET, Card())
    assert [value.name for value in adopted.graph.input] == ["image"]
    assert run(adopted).shape == (2, 2, 4, 6)


def test_what_was_adopted_is_a_model_file(foreign: Foreign, tmp_path: Path) -> None:
    proto, card = adopt(
        foreign(),
        replace(IMAGENET, resize=Resize("pad")),
        Card(title="Means", labels=("r", "g", "b")),
    )
    write(proto, tmp_path / "adopted.onnx", card)
    model = read(tmp_path / "adopted.onnx")
    assert model.card == Card(
        title="Means", labels=("r", "g", "b"), input=ImageInput((4, 6), "RGB", Resize("pad"))
    )
    assert model.graph.shape(model.input) == ("batch", 4, 6, 3)
