"""Numbers for a network's input: brought to its rank and type, or refused with what it takes."""

from collections.abc import Sequence

import numpy as np

from anatomy.cards.card import ImageInput, SignalInput, VolumeInput
from anatomy.graphs.graph import Shape
from service.errors import Impossible
from service.repository.model import Model


def coerce(model: Model, array: np.ndarray) -> np.ndarray:
    """The array with its batch axis, and its channel axis if that has size 1, in the input's type.

    Raises Impossible for another shape, and for numbers that the type (or, of a signal or volume, a
    float) cannot hold.
    """
    name = model.file.input
    shape, dtype = model.file.graph.shape(name), model.file.graph.dtype(name)
    if shape is not None:
        array = _with_all_axes(model, array, shape)
    if dtype is None:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(cast, array):
        raise Impossible(
            f"input '{name}' takes {dtype}: some of these numbers are fractions or out of its range"
        )
    if isinstance(model.card.input, SignalInput | VolumeInput):
        _check_finite(cast)
    return cast


def fits(given: Sequence[int], expected: Shape) -> bool:
    """Whether an array of this shape is one input, batch axis included."""
    same = all(
        not isinstance(want, int) or got == want
        for got, want in zip(given[1:], expected[1:], strict=False)
    )
    return len(given) == len(expected) and given[0] == 1 and same


def shown(shape: Sequence[object]) -> str:
    """A shape as messages write it: ? for a size that is open."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def describe_input(model: Model) -> str:
    """What the model takes, and how it is posted."""
    match model.card.input:
        case ImageInput() as image:
            height, width = image.size
            return f"a picture, or its pixels as uint8 {shown(image.shape)} in JSON or .npy ({height} x {width})"
        case SignalInput() as signal:
            return (
                f"a signal of {signal.channels} x {signal.length} samples, {shown(signal.shape)}: "
                "post it as JSON "
                '{"inputs": lists}, as text/csv with a column for each channel, or as .npy'
            )
        case VolumeInput() as volume:
            return f'a volume, {shown(volume.shape)}: post it as .npy, or as JSON {{"inputs": nested lists}}'
    shape = model.file.graph.shape(model.file.input)
    return f"an array of shape {'any' if shape is None else shown(shape[1:])}: post it as .npy or as JSON"


def _with_all_axes(model: Model, array: np.ndarray, shape: Shape) -> np.ndarray:
    """The array as [1, ...]; raises Impossible if it does not fit."""
    whole = array
    channels = len(shape) - 1 if isinstance(model.card.input, ImageInput) else 1
    if array.ndim == len(shape) - 2 >= 1 and shape[channels] == 1:
        whole = np.expand_dims(array, channels - 1)
    if whole.ndim == len(shape) - 1:
        whole = whole[None]
    if fits(whole.shape, shape):
        return whole
    raise Impossible(
        f"input '{model.file.input}' takes one array of shape {shown(shape)}, with or without the "
        "batch axis, "
        f"not {shown(array.shape)}{_advice(whole.shape, shape)}; model '{model.name}' takes "
        f"{describe_input(model)}"
    )


def _advice(got: Sequence[int], expected: Shape) -> str:
    if len(got) != len(expected):
        return f", which has {len(got)} axes instead of {len(expected)}"
    if got[0] != 1:
        return ", which holds several; post them one by one"
    turned = len(got) == 3 and fits((1, got[2], got[1]), expected)
    return "; turn it, the channels come first" if turned else "; cut, fill or resample it"


def _check_finite(array: np.ndarray) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        place = ", ".join(map(str, np.unravel_index(int(np.argmin(finite)), array.shape)[1:]))
        raise Impossible(
            f"the number at [{place}] is NaN, infinite or too large for {array.dtype}; fill gaps "
            "before posting"
        )
