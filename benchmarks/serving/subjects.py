"""The models that are served and what is posted to each, with the answers that are right."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from anatomy.cards.card import ImageInput
from anatomy.model_file import ModelFile, read
from benchmarks.serving import pictures, small_cnn
from benchmarks.serving.bare import Bare
from benchmarks.serving.server import ROOT, Server, ServerError
from benchmarks.serving.wire import Answer, Call, Connection

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-4
MODELS = ROOT / "models"


@dataclass(frozen=True, eq=False)
class Subject:
    """A model alone in its folder, the pictures posted to it, and the batch whose cost per picture
    is the reference.

    `tensors` are the pictures as the network takes them, uint8 [N, H, W, C]. Where a request takes
    long its loads are `longer`: what is in flight at their end, begun but not answered, must be few
    of all.
    """

    name: str
    models: Path
    file: ModelFile
    spec: ImageInput
    labels: Sequence[str]
    bodies: Sequence[bytes]
    tensors: Array
    reference: int
    longer: int = 1

    @property
    def proto(self) -> onnx.ModelProto:
        """The model as it is served."""
        return self.file.proto

    def predictions(self) -> list[Call]:
        """A call for each picture; its answer is right if class and probability are those of the
        bare model.
        """
        scores = Bare(self.proto)(self.tensors)
        return [
            Call("/predict", predicts(row), body, pictures.media_type(body))
            for body, row in zip(self.bodies, scores, strict=True)
        ]


def small(folder: Path) -> Subject:
    """The small network with random weights, and strokes."""
    return _subject("small", folder, small_cnn.put(folder), pictures.strokes(), 8)


def imagenet(folder: Path) -> Subject:
    """EfficientNet-Lite0, and photographs."""
    return replace(
        _subject("imagenet", folder, _copied("imagenet", folder), pictures.photographs(), 1),
        longer=2,
    )


def digits(folder: Path) -> Subject:
    """The digits that learned here, and their samples.

    How ink is found is the service's own affair: what the network takes is asked of a server that
    runs for that.
    """
    path = _copied("digits", folder)
    files = sorted((MODELS / "digits" / "1" / "samples").glob("[0-9].png"))
    bodies = [file.read_bytes() for file in files]
    with Server(folder.with_name("seen"), folder, {}) as server:
        tensors = np.stack([_seen(server, body) for body in bodies])
    return _subject("digits", folder, path, bodies, 8, tensors)


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "small": small,
    "digits": digits,
    "imagenet": imagenet,
}


def predicts(scores: Array) -> Callable[[Answer], str]:
    """What tells whether an answer's first class and its probability are those of these scores."""
    best = int(scores.argmax())

    def wrong(answer: Answer) -> str:
        if answer.status != 200:
            return f"{answer.status} {answer.body[:300].decode(errors='replace')}"
        first = json.loads(answer.body)["predictions"][0]
        index, probability = int(first["index"]), float(first["probability"])
        near = (
            abs(probability - float(scores[best])) <= TOLERANCE
            and scores[best] - scores[index] <= TOLERANCE
        )
        return (
            ""
            if near
            else f"class {index} with {probability}, the bare model has {best} with {scores[best]}"
        )

    return wrong


def _subject(
    name: str,
    models: Path,
    path: Path,
    bodies: Sequence[bytes],
    reference: int,
    tensors: Array | None = None,
) -> Subject:
    file = read(path)
    assert file.card is not None
    assert isinstance(file.card.input, ImageInput)
    spec = file.card.input
    taken = (
        np.stack([pictures.plain(body, spec) for body in bodies]) if tensors is None else tensors
    )
    return Subject(name, models, file, spec, file.card.labels, bodies, taken, reference)


def _copied(name: str, models: Path) -> Path:
    """The file of a model of the repository, copied so that it is served alone."""
    source = MODELS / name / "1" / "model.onnx"
    if not source.is_file():
        raise ServerError(f"there is no model '{name}'; build it: make models")
    path = models / name / "1" / source.name
    path.parent.mkdir(parents=True)
    shutil.copyfile(source, path)
    return path


def _seen(server: Server, body: bytes) -> Array:
    """What the network is given for this picture, uint8 [H, W, C], as the server tells."""
    with Connection(server.address) as connection:
        posted = connection.ask(
            Call("/predict", lambda _: "", body, pictures.media_type(body)).bytes()
        )
        input_id = json.loads(posted.body)["input_id"]
        seen = connection.ask(Call(f"/inputs/{input_id}?view=network", lambda _: "").bytes())
    pixels = np.asarray(Image.open(io.BytesIO(seen.body)))
    return pixels.reshape(*pixels.shape[:2], -1)
