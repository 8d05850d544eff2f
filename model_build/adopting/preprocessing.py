"""How images become what a foreign network was trained on, and what that means for its graph."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from anatomy.cards.card import Resize
from anatomy.graphs.graph import Dim
from anatomy.model_file import ModelFile

Layout = Literal["NCHW", "NHWC"]
ColourOrder = Literal["RGB", "BGR", "L"]

FLOATS = frozenset({np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.float64)})
OLDEST_OPSET = 7
"""From 7 on, Sub and Div broadcast as numpy does."""


class AdoptError(ValueError):
    """The file cannot be adopted with these options; the message says expected and actual."""


@dataclass(frozen=True)
class Preprocessing:
    """How images become what the foreign network was trained on: (pixel / scale - mean) / std.

    `mean` and `std` hold one number or one per channel, in the network's own channel order.
    What is None is taken from the graph: `size` (h, w), `colour`, `layout`.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 255.0
    colour: ColourOrder | None = None
    layout: Layout | None = None
    size: tuple[int, int] | None = None
    resize: Resize = Resize()
    softmax: bool = False


@dataclass(frozen=True)
class AdoptedInput:
    """The input that is adopted; `batch` is 1 or the name of an open axis."""

    batch: int | str
    size: tuple[int, int]
    channels: int
    layout: Layout
    colour: ColourOrder
    dtype: np.dtype[np.generic]

    @property
    def shape(self) -> tuple[int | str, int, int, int]:
        """The shape of the adopted network's input, [N, H, W, C]."""
        return (self.batch, *self.size, self.channels)


def resolved(model: ModelFile, preprocessing: Preprocessing) -> AdoptedInput:
    """Settle what the graph and the options leave open.

    Raises AdoptError where they contradict each other.
    """
    shape, dtype = _checked_input(model)
    # Some exporters write -1 for an axis of any size.
    sizes = tuple(None if isinstance(size, int) and size < 1 else size for size in shape)
    layout = preprocessing.layout or _layout(sizes)
    axes = (0, 1, 2, 3) if layout == "NCHW" else (0, 3, 1, 2)
    batch, channels, height, width = (sizes[axis] for axis in axes)
    channel_count = _channels(channels, preprocessing)
    adopted = AdoptedInput(
        batch=_batch(batch),
        size=_size((height, width), preprocessing.size),
        channels=channel_count,
        layout=layout,
        colour=preprocessing.colour or ("L" if channel_count == 1 else "RGB"),
        dtype=dtype,
    )
    _check_numbers(preprocessing, adopted)
    return adopted


def _checked_input(model: ModelFile) -> tuple[tuple[Dim, ...], np.dtype[np.generic]]:
    """Shape and type of the model's input; raises AdoptError for one that takes no images."""
    graph = model.graph
    shape, dtype = graph.shape(model.input), graph.dtype(model.input)
    if graph.opset < OLDEST_OPSET:
        raise AdoptError(
            f"the file uses opset {graph.opset}, expected at least {OLDEST_OPSET}; export it anew"
        )
    if dtype is None or dtype not in FLOATS:
        raise AdoptError(
            f"the input {model.input!r} is {dtype}, expected a floating-point type: nothing to "
            "normalise"
        )
    if shape is None or len(shape) != 4:
        axes = "an unknown number of" if shape is None else str(len(shape))
        raise AdoptError(
            f"the input {model.input!r} has {axes} axes, expected 4: NCHW or NHWC pictures"
        )
    return shape, dtype


def _layout(shape: tuple[Dim, ...]) -> Layout:
    if shape[1] in (1, 3):
        return "NCHW"
    if shape[3] in (1, 3):
        return "NHWC"
    raise AdoptError(
        f"neither axis 1 nor axis 3 of the input {text(shape)} has 1 or 3 channels; say --layout"
    )


def _batch(size: Dim) -> int | str:
    if isinstance(size, int):
        if size != 1:
            raise AdoptError(
                f"the file is fixed to batches of {size}, expected 1 or any number; export it anew"
            )
        return size
    # A name that is no word ("?") would tie together axes that have nothing in common.
    return size if size and size.isidentifier() else "N"


def _channels(size: Dim, preprocessing: Preprocessing) -> int:
    colour = preprocessing.colour
    expected = None if colour is None else (1 if colour == "L" else 3)
    channels = size if isinstance(size, int) else expected or 3
    if channels not in (1, 3):
        raise AdoptError(f"the input has {channels} channels, expected 1 or 3")
    if expected is not None and channels != expected:
        raise AdoptError(f"--colour {colour} has {expected} channels, the input has {channels}")
    return channels


def _size(graph_size: tuple[Dim, Dim], option: tuple[int, int] | None) -> tuple[int, int]:
    height, width = graph_size
    if option is None:
        if not isinstance(height, int) or not isinstance(width, int):
            raise AdoptError("the input has no fixed height and width; say --size H,W")
        return height, width
    if min(option) < 1:
        raise AdoptError(f"--size: expected two numbers of at least 1, got {option[0]},{option[1]}")
    for axis, fixed, length in zip(("height", "width"), graph_size, option, strict=True):
        if isinstance(fixed, int) and fixed != length:
            raise AdoptError(f"--size asks for {axis} {length}, the input is fixed to {fixed}")
    return option


def _check_numbers(preprocessing: Preprocessing, adopted: AdoptedInput) -> None:
    for option, values in (("--mean", preprocessing.mean), ("--std", preprocessing.std)):
        if len(values) not in (1, adopted.channels):
            raise AdoptError(
                f"{option}: expected 1 or {adopted.channels} numbers, got {len(values)}"
            )
    numbers = (*preprocessing.mean, *preprocessing.std, preprocessing.scale)
    if not np.isfinite(numbers).all():
        raise AdoptError("--mean, --std and --scale: expected finite numbers")
    if min(*preprocessing.std, preprocessing.scale) <= 0:
        raise AdoptError("--std and --scale: expected numbers above 0")


def text(shape: tuple[Dim, ...] | None) -> str:
    """A shape for a message."""
    if shape is None:
        return "an unknown shape"
    return str(["?" if size is None else size for size in shape])
