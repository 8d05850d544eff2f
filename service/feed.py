"""What goes into a network: a picture or tensor made ready for a model, with the way back to the picture's pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.card import ImageInput
from anatomy.graph import Shape
from service.errors import Impossible, NoImageInput
from service.geometry import picture_rect
from service.images import Prepared, decode, prepare
from service.repository import Model


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture, as posted."""

    data: bytes


@dataclass(frozen=True, eq=False)
class Tensor:
    """Numbers for the network's input itself, with or without the batch axis."""

    array: np.ndarray


Given = Picture | Tensor


@dataclass(frozen=True, eq=False)
class Feed:
    """One input of a model: `array` has the batch axis, of size 1; `prepared` is there for pictures."""

    name: str
    array: np.ndarray
    prepared: Prepared | None = None

    @property
    def feeds(self) -> Mapping[str, np.ndarray]:
        """What a session is given."""
        return {self.name: self.array}

    def rectangle(self, interval: Sequence[Sequence[int]]) -> list[list[int]] | None:
        """The pixels of the posted picture behind these rows and columns of the input; None for tensors."""
        if self.prepared is None or len(interval) != 2:
            return None
        return [list(each) for each in picture_rect(self.prepared.geometry, interval)]


def make_ready(model: Model, given: Given, max_pixels: int) -> Feed:
    """Decode, orient, crop and resize a picture, or check a tensor; raises the errors of the tree."""
    if isinstance(given, Tensor):
        return Feed(model.file.input, _fitted(model, given.array))
    spec = image_input(model)
    prepared = prepare(decode(given.data, max_pixels), spec)
    return Feed(model.file.input, np.ascontiguousarray(prepared.array[None]), prepared)


def image_input(model: Model) -> ImageInput:
    """How a picture becomes this model's input; raises NoImageInput."""
    if not isinstance(model.card.input, ImageInput):
        raise NoImageInput(
            f"model '{model.name}' has no card that says how a picture becomes its input; give it one with "
            "python -m model_build adopt FILE, or post the input itself as application/x-npy"
        )
    return model.card.input


def _fitted(model: Model, array: np.ndarray) -> np.ndarray:
    name = model.file.input
    shape, dtype = model.file.graph.shape(name), model.file.graph.dtype(name)
    if shape is not None and array.ndim == len(shape) - 1:
        array = array[None]
    if shape is not None and not fits(array.shape, shape):
        expected = f"one array of shape {shown(shape)}, with or without the batch axis"
        raise Impossible(f"input '{name}' takes {expected}, not {shown(array.shape)}")
    if dtype is None:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(cast, array):
        raise Impossible(f"input '{name}' takes {dtype}: some of these numbers are fractions or out of its range")
    return cast


def fits(given: Sequence[int], expected: Shape) -> bool:
    """Whether an array of this shape is one input, batch axis included."""
    same = all(not isinstance(want, int) or got == want for got, want in zip(given[1:], expected[1:], strict=False))
    return len(given) == len(expected) and given[0] == 1 and same


def shown(shape: Sequence[object]) -> str:
    """A shape as messages write it: ? for a size that is open."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
