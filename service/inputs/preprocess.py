"""What goes into a network: what was posted, made ready for a model, with the way back to a
picture's pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.cards.card import ImageInput
from service.errors import Impossible, NoImageInput
from service.inputs.array_formats import CSV, JSON, NPY, from_csv, from_json, from_npy
from service.inputs.decode import decode
from service.inputs.geometry import picture_rect
from service.inputs.resize import ResizedImage, prepare
from service.inputs.tensor_check import coerce, describe_input
from service.repository.model import Model

# What is stored of a document: this, its media type and the end of the line, then its bytes. No
# picture begins so.
_MARK = b"fovea input "
PNG = b"\x89PNG\r\n\x1a\n"
SMALL_BYTES = 16_384
SMALL_PIXELS = 64 * 64


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture, as posted."""

    data: bytes

    @property
    def stored_bytes(self) -> bytes:
        """What the store keeps of it."""
        return self.data

    @property
    def small(self) -> bool:
        """Whether it is decoded in microseconds: a PNG that says in its header that it is small."""
        if len(self.data) > SMALL_BYTES or not self.data.startswith(PNG):
            return False
        return int.from_bytes(self.data[16:20]) * int.from_bytes(self.data[20:24]) <= SMALL_PIXELS


@dataclass(frozen=True)
class Document:
    """The bytes of numbers, as posted: .npy, CSV, or JSON (which may also hold a picture)."""

    data: bytes
    media_type: str

    @property
    def stored_bytes(self) -> bytes:
        """What the store keeps of it: with its media type, for the same bytes may be two
        things.
        """
        return _MARK + self.media_type.encode() + b"\n" + self.data

    @property
    def small(self) -> bool:
        """Whether it is read in microseconds."""
        return len(self.data) <= SMALL_BYTES and self.media_type == NPY


@dataclass(frozen=True, eq=False)
class Tensor:
    """Numbers for the network's input itself, with or without the batch axis."""

    array: np.ndarray


RawInput = Picture | Document
InputSource = RawInput | Tensor


@dataclass(frozen=True, eq=False)
class ModelInput:
    """One input of a model: `array` has the batch axis, of size 1; `image` is there for
    pictures.
    """

    name: str
    array: np.ndarray
    image: ResizedImage | None = None
    posted: RawInput | None = None

    @property
    def feeds(self) -> Mapping[str, np.ndarray]:
        """What a session is source."""
        return {self.name: self.array}

    def rectangle(self, interval: Sequence[Sequence[int]]) -> list[list[int]] | None:
        """The pixels of the posted picture behind these rows and columns of the input; None for
        tensors.
        """
        if self.image is None or len(interval) != 2:
            return None
        rows, columns = picture_rect(self.image.geometry, interval)
        return [list(rows), list(columns)]

    def along(self, axis: int, intervals: Sequence[Sequence[int]]) -> list[list[int]] | None:
        """The pixels of the posted picture behind each of these rows (axis 0) or columns (1); None
        for tensors.
        """
        if self.image is None:
            return None
        picture_axis = self.image.geometry.axes[axis]
        return [list(picture_axis.seen(interval)) for interval in intervals]

    def frame(self, axis: int) -> list[float] | None:
        """Where the whole input begins and ends along this axis of the posted picture; None for
        tensors.
        """
        return None if self.image is None else list(self.image.geometry.axes[axis].ends)


def parse_stored(stored: bytes) -> RawInput:
    """What was posted, from what the store keeps of it."""
    if not stored.startswith(_MARK):
        return Picture(stored)
    head, _, data = stored.partition(b"\n")
    return Document(data, head[len(_MARK) :].decode())


def preprocess(model: Model, source: InputSource, max_pixels: int) -> ModelInput:
    """Decode, orient, crop and resize a picture, or read and check a tensor; raises the errors of
    the tree.
    """
    if isinstance(source, Document):
        return _read(model, source, max_pixels)
    if isinstance(source, Tensor):
        return ModelInput(model.file.input, coerce(model, source.array))
    spec = image_input(model)
    image = prepare(decode(source.data, max_pixels), spec)
    batch = np.ascontiguousarray(image.array[None])
    return ModelInput(model.file.input, batch, image, source)


def image_input(model: Model) -> ImageInput:
    """How a picture becomes this model's input; raises NoImageInput, which says what the model
    takes instead.
    """
    if isinstance(model.card.input, ImageInput):
        return model.card.input
    if model.card.input is not None:
        raise NoImageInput(
            f"model '{model.name}' takes no pictures; it takes {describe_input(model)}"
        )
    raise NoImageInput(
        f"model '{model.name}' has no card that says how a picture becomes its input; give it one "
        "with "
        f"python -m model_build adopt FILE, or post the input itself as {NPY}"
    )


def _read(model: Model, document: Document, max_pixels: int) -> ModelInput:
    if document.media_type == JSON:
        content = from_json(document.data)
        if isinstance(content, bytes):
            return preprocess(model, Picture(content), max_pixels)
        array = content
    elif document.media_type == CSV:
        array = _signal(model, document.data)
    else:
        array = from_npy(document.data)
    return ModelInput(model.file.input, coerce(model, array), posted=document)


def _signal(model: Model, data: bytes) -> np.ndarray:
    """A table as [L] if it is one row or one column, else with its columns as channels, [C, L]."""
    shape = model.file.graph.shape(model.file.input)
    if isinstance(model.card.input, ImageInput) or (shape is not None and len(shape) > 3):
        raise Impossible(
            f"CSV holds a signal, and model '{model.name}' takes {describe_input(model)}"
        )
    table = from_csv(data)
    return table.reshape(-1) if 1 in table.shape else table.T
