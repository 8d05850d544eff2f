"""Foreign ONNX classifiers made self-describing: preprocessing in front, softmax behind if asked, the card inside.

What comes out takes uint8 [N, H, W, C] pictures, as every model of ours does. The foreign graph itself, its names
included, is left as it is.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
import onnx.checker
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from anatomy.card import Card, Colour, ImageInput, Resize
from anatomy.graph import Dim
from anatomy.model_file import ModelFile

Layout = Literal["NCHW", "NHWC"]
Array = NDArray[Any]
ColourOrder = Literal["RGB", "BGR", "L"]

FLOATS = {np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.float64)}
# Sub and Div broadcast as numpy does from 7 on; Slice takes a negative step from 10 on.
PROBABILITIES = {"Softmax", "LogSoftmax", "Sigmoid"}
RUNTIME_ERRORS = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
OLDEST_OPSET, OLDEST_SLICE = 7, 10


class AdoptError(ValueError):
    """The file cannot be adopted with these options; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Recipe:
    """How pictures become what the foreign network was trained on: (pixel / scale - mean) / deviation.

    `mean` and `deviation` hold one number or one per channel, in the network's own channel order. What is None is
    taken from the graph: `size` (h, w), `colour`, `layout`.
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    scale: float = 255.0
    colour: ColourOrder | None = None
    layout: Layout | None = None
    size: tuple[int, int] | None = None
    resize: Resize = Resize()
    softmax: bool = False


@dataclass(frozen=True)
class _Plan:
    """What the recipe means for one graph."""

    batch: int | str
    size: tuple[int, int]
    channels: int
    layout: Layout
    colour: ColourOrder
    dtype: np.dtype[np.generic]


def adopt(model: ModelFile, recipe: Recipe, card: Card) -> tuple[onnx.ModelProto, Card]:
    """The wrapped model and its card, whose `input` is made from the recipe; raises AdoptError.

    The result has passed ONNX's checker and has run once in ONNX Runtime.
    """
    plan = _plan(model, recipe)
    if card.labels:
        _check_labels(model, card.labels)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _detach_initializers(proto)
    _prepend(proto, model.input, plan, recipe)
    _append(proto, model, recipe)
    colour: Colour = "L" if plan.colour == "L" else "RGB"
    described = replace(card, input=ImageInput(plan.size, colour, recipe.resize))
    return _proved(proto, plan), described


def _plan(model: ModelFile, recipe: Recipe) -> _Plan:
    graph = model.graph
    shape, dtype = graph.shape(model.input), graph.dtype(model.input)
    if graph.opset < OLDEST_OPSET:
        raise AdoptError(f"the file uses opset {graph.opset}, expected at least {OLDEST_OPSET}; export it anew")
    if dtype not in FLOATS or dtype is None:
        raise AdoptError(f"the input {model.input!r} is {dtype}, expected a floating-point type: nothing to normalise")
    if shape is None or len(shape) != 4:
        axes = "an unknown number of" if shape is None else str(len(shape))
        raise AdoptError(f"the input {model.input!r} has {axes} axes, expected 4: NCHW or NHWC pictures")
    layout = recipe.layout or _layout(shape)
    batch, channels, height, width = (shape[axis] for axis in ((0, 1, 2, 3) if layout == "NCHW" else (0, 3, 1, 2)))
    if isinstance(batch, int) and batch != 1:
        raise AdoptError(f"the file is fixed to batches of {batch}, expected 1 or any number; export it anew")
    known = _channels(channels, recipe)
    plan = _Plan(
        batch=1 if batch == 1 else "N",
        size=_size((height, width), recipe.size),
        channels=known,
        layout=layout,
        colour=recipe.colour or ("L" if known == 1 else "RGB"),
        dtype=dtype,
    )
    _check_numbers(recipe, plan, graph.opset)
    return plan


def _layout(shape: tuple[Dim, ...]) -> Layout:
    if shape[1] in (1, 3):
        return "NCHW"
    if shape[3] in (1, 3):
        return "NHWC"
    raise AdoptError(f"neither axis 1 nor axis 3 of the input {list(shape)} has 1 or 3 channels; say --layout")


def _channels(found: Dim, recipe: Recipe) -> int:
    wanted = None if recipe.colour is None else (1 if recipe.colour == "L" else 3)
    channels = found if isinstance(found, int) else wanted or 3
    if channels not in (1, 3):
        raise AdoptError(f"the input has {channels} channels, expected 1 or 3")
    if wanted is not None and channels != wanted:
        raise AdoptError(f"--colour {recipe.colour} has {wanted} channels, the input has {channels}")
    return channels


def _size(found: tuple[Dim, Dim], given: tuple[int, int] | None) -> tuple[int, int]:
    height, width = found
    if given is None:
        if not isinstance(height, int) or not isinstance(width, int):
            raise AdoptError("the input has no fixed height and width; say --size H,W")
        return height, width
    for axis, of_graph, wanted in zip(("height", "width"), found, given, strict=True):
        if isinstance(of_graph, int) and of_graph != wanted:
            raise AdoptError(f"--size asks for {axis} {wanted}, the input is fixed to {of_graph}")
    return given


def _check_numbers(recipe: Recipe, plan: _Plan, opset: int) -> None:
    for option, values in (("--mean", recipe.mean), ("--std", recipe.deviation)):
        if len(values) not in (1, plan.channels):
            raise AdoptError(f"{option}: expected 1 or {plan.channels} numbers, got {len(values)}")
    if not all(np.isfinite(value) for value in (*recipe.mean, *recipe.deviation, recipe.scale)):
        raise AdoptError("--mean, --std and --scale: expected finite numbers")
    if min(*recipe.deviation, recipe.scale) <= 0:
        raise AdoptError("--std and --scale: expected numbers above 0")
    if plan.colour == "BGR" and opset < OLDEST_SLICE:
        raise AdoptError(f"--colour BGR needs opset {OLDEST_SLICE}, the file uses {opset}; export it anew")


def _detach_initializers(proto: onnx.ModelProto) -> None:
    """Initializers that are inputs too (the rule before IR 4) could be overridden, so no runtime may fold them."""
    initialised = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.input if value.name not in initialised]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.ir_version = max(proto.ir_version, 4)


def _prepend(proto: onnx.ModelProto, data: str, plan: _Plan, recipe: Recipe) -> None:
    chain = _Chain(proto)
    image = x = chain.unused("image")
    x = chain.add("Cast", x, to=onnx.TensorProto.FLOAT)
    if plan.colour == "BGR":
        # Backwards over the last axis, from its end to before its start.
        x = chain.add("Slice", x, np.array([-1]), np.array([np.iinfo(np.int64).min]), np.array([3]), np.array([-1]))
    mean = np.array(recipe.mean) * recipe.scale
    deviation = np.array(recipe.deviation) * recipe.scale
    if mean.any():
        x = chain.add("Sub", x, mean.astype(np.float32))
    if (deviation != 1).any():
        x = chain.add("Div", x, deviation.astype(np.float32))
    if plan.dtype != np.float32:
        x = chain.add("Cast", x, to=onnx.helper.np_dtype_to_tensor_dtype(plan.dtype))
    if plan.layout == "NCHW":
        x = chain.add("Transpose", x, perm=[0, 3, 1, 2])
    # The foreign nodes go on reading their input by its own name.
    chain.nodes[-1].output[0] = data
    foreign = list(proto.graph.node)
    del proto.graph.node[:], proto.graph.input[:]
    proto.graph.node.extend([*chain.nodes, *foreign])
    shape = [plan.batch, *plan.size, plan.channels]
    proto.graph.input.append(onnx.helper.make_tensor_value_info(image, onnx.TensorProto.UINT8, shape))


def _append(proto: onnx.ModelProto, model: ModelFile, recipe: Recipe) -> None:
    """Only the first output stays; [N, classes, 1, 1] becomes [N, classes]; softmax if asked."""
    graph, x = model.graph, model.output
    shape, chain = graph.shape(x), _Chain(proto)
    if shape is not None and len(shape) > 2 and set(shape[2:]) == {1}:
        shape, x = shape[:2], chain.add("Flatten", x, axis=1)
    if recipe.softmax:
        producer = graph.producer(model.output)
        if producer is not None and producer.operator in PROBABILITIES:
            raise AdoptError(f"the network ends in {producer.operator} already; leave out --softmax")
        if shape is None or len(shape) != 2:
            raise AdoptError(f"--softmax needs an output [N, classes], got {_text(shape)}")
        x = chain.add("Softmax", x, axis=1)
    output = proto.graph.output[0]
    if chain.nodes:
        chain.nodes[-1].output[0] = name = chain.unused("probabilities" if recipe.softmax else "scores")
        output = onnx.helper.make_tensor_value_info(name, output.type.tensor_type.elem_type, list(shape or ()))
    proto.graph.node.extend(chain.nodes)
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(output)
    del proto.graph.output[:]
    proto.graph.output.append(kept)


def _check_labels(model: ModelFile, labels: tuple[str, ...]) -> None:
    shape = model.graph.shape(model.output)
    if shape is None or len(shape) < 2 or set(shape[2:]) - {1}:
        raise AdoptError(f"labels need an output [N, classes], got {_text(shape)}")
    if isinstance(shape[1], int) and shape[1] != len(labels):
        raise AdoptError(f"the network has {shape[1]} classes, the labels name {len(labels)}")


def _text(shape: tuple[Dim, ...] | None) -> str:
    return "an unknown shape" if shape is None else str(["?" if size is None else size for size in shape])


class _Chain:
    """Nodes that follow one another, with names that the graph does not use yet."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._graph = proto.graph
        self._used = {tensor.name for tensor in proto.graph.initializer} | {value.name for value in proto.graph.input}
        self._used |= {name for node in proto.graph.node for name in (node.name, *node.input, *node.output)}

    def unused(self, name: str) -> str:
        """The name, numbered where it is taken."""
        numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        free = next(candidate for candidate in numbered if candidate not in self._used)
        self._used.add(free)
        return free

    def add(self, operator: str, x: str, *constants: Array, **attributes: Any) -> str:
        """One node that reads `x` and constants; the name of its output."""
        name = self.unused(f"adopted.{operator.lower()}")
        inputs = [x]
        for constant in constants:
            inputs.append(self.unused(f"{name}.constant"))
            self._graph.initializer.append(onnx.numpy_helper.from_array(constant, inputs[-1]))
        self.nodes.append(onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def _proved(proto: onnx.ModelProto, plan: _Plan) -> onnx.ModelProto:
    proto = onnx.shape_inference.infer_shapes(proto)
    try:
        onnx.checker.check_model(proto)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
        black = np.zeros((1, *plan.size, plan.channels), np.uint8)
        session.run(None, {proto.graph.input[0].name: black})
    except (onnx.checker.ValidationError, *RUNTIME_ERRORS) as error:
        reason = str(error).strip().splitlines()[0]
        raise AdoptError(f"the adopted network does not run: {reason}") from None
    return proto
