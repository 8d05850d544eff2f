"""How pictures become what a foreign network was trained on, and what that means for the graph at
hand.
"""

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
    """The file cannot be adopted with these options; the message says what was expected and what
    was found.
    """


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become what the foreign network was trained on: (pixel / scale - mean) /
    deviation.

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
    """What the recipe means for one graph; `batch` is 1 or the name of an open axis."""

    batch: int | str
    size: tuple[int, int]
    channels: int
    layout: Layout
    colour: ColourOrder
    dtype: np.dtype[np.generic]

    @property
    def pictures(self) -> tuple[int | str, int, int, int]:
        """The shape of the adopted network's input, [N, H, W, C]."""
        return (self.batch, *self.size, self.channels)


def planned(model: ModelFile, recipe: Preprocessing) -> AdoptedInput:
    """Settle what the graph and the recipe leave open; raises AdoptError where they contradict each
    other.
    """
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
    # Some exporters write -1 for an axis of any size.
    sizes = tuple(None if isinstance(size, int) and size < 1 else size for size in shape)
    layout = recipe.layout or _layout(sizes)
    batch, channels, height, width = (
        sizes[axis] for axis in ((0, 1, 2, 3) if layout == "NCHW" else (0, 3, 1, 2))
    )
    known = _channels(channels, recipe)
    plan = AdoptedInput(
        batch=_batch(batch),
        size=_size((height, width), recipe.size),
        channels=known,
        layout=layout,
        colour=recipe.colour or ("L" if known == 1 else "RGB"),
        dtype=dtype,
    )
    _check_numbers(recipe, plan)
    return plan


def _layout(shape: tuple[Dim, ...]) -> Layout:
    if shape[1] in (1, 3):
        return "NCHW"
    if shape[3] in (1, 3):
        return "NHWC"
    raise AdoptError(
        f"neither axis 1 nor axis 3 of the input {text(shape)} has 1 or 3 channels; say --layout"
    )


def _batch(found: Dim) -> int | str:
    if isinstance(found, int) and found != 1:
        raise AdoptError(
            f"the file is fixed to batches of {found}, expected 1 or any number; export it anew"
        )
    # A name that is no word ("?") would tie together axes that have nothing in common.
    return found if isinstance(found, int) or (found and found.isidentifier()) else "N"


def _channels(found: Dim, recipe: Preprocessing) -> int:
    wanted = None if recipe.colour is None else (1 if recipe.colour == "L" else 3)
    channels = found if isinstance(found, int) else wanted or 3
    if channels not in (1, 3):
        raise AdoptError(f"the input has {channels} channels, expected 1 or 3")
    if wanted is not None and channels != wanted:
        raise AdoptError(
            f"--colour {recipe.colour} has {wanted} channels, the input has {channels}"
        )
    return channels


def _size(found: tuple[Dim, Dim], given: tuple[int, int] | None) -> tuple[int, int]:
    height, width = found
    if given is None:
        if not isinstance(height, int) or not isinstance(width, int):
            raise AdoptError("the input has no fixed height and width; say --size H,W")
        return height, width
    if min(given) < 1:
        raise AdoptError(f"--size: expected two numbers of at least 1, got {given[0]},{given[1]}")
    for axis, of_graph, wanted in zip(("height", "width"), found, given, strict=True):
        if isinstance(of_graph, int) and of_graph != wanted:
            raise AdoptError(f"--size asks for {axis} {wanted}, the input is fixed to {of_graph}")
    return given


def _check_numbers(recipe: Preprocessing, plan: AdoptedInput) -> None:
    for option, values in (("--mean", recipe.mean), ("--std", recipe.std)):
        if len(values) not in (1, plan.channels):
            raise AdoptError(f"{option}: expected 1 or {plan.channels} numbers, got {len(values)}")
    if not all(np.isfinite(value) for value in (*recipe.mean, *recipe.std, recipe.scale)):
        raise AdoptError("--mean, --std and --scale: expected finite numbers")
    if min(*recipe.std, recipe.scale) <= 0:
        raise AdoptError("--std and --scale: expected numbers above 0")


def text(shape: tuple[Dim, ...] | None) -> str:
    """A shape for a message."""
    return (
        "an unknown shape"
        if shape is None
        else str(["?" if size is None else size for size in shape])
    )
