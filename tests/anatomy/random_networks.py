"""Random networks with branches in one, two and three dimensions, for properties that must hold for
all of them.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from anatomy.graphs.graph import Graph

OPSET = 19


@dataclass
class Sketch:
    """A network being written: nodes and constants, and the one tensor that goes on."""

    rank: int
    draw: st.DrawFn
    sizes: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        )
        return output

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def pick(self, low: int, high: int) -> list[int]:
        """One number an axis."""
        return [self.draw(st.integers(low, high)) for _ in range(self.rank)]

    def weights(self, *shape: int) -> str:
        """Positive whole numbers, so that every input counts and sums are exact in float32."""
        seed = self.draw(st.integers(0, 2**16))
        return self.constant(np.random.default_rng(seed).integers(1, 3, shape).astype(np.float32))

    def model(self, output: str) -> onnx.ModelProto:
        shape = [1, 1, *self.sizes]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [None] * len(shape))],
            self.constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9
        )

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Spatial sizes; None where the tensor would be empty or does not fit."""
        shape = Graph(self.model(tensor)).shape(tensor)
        if shape is None or not all(isinstance(size, int) and 0 < size < 40 for size in shape[2:]):
            return None
        return tuple(size for size in shape[2:] if isinstance(size, int))


def convolution(sketch: Sketch, x: str) -> str:
    kernel, dilations = sketch.pick(1, 3), sketch.pick(1, 2)
    padding = sketch.draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]))
    # ONNX Runtime computes the padding of a dilated SAME as if it were not dilated.
    dilations = dilations if padding in ("NOTSET", "VALID") else [1] * sketch.rank
    pads = (
        {"pads": sketch.pick(0, 2) + sketch.pick(0, 2)}
        if padding == "NOTSET"
        else {"auto_pad": padding}
    )
    # Where the kernel reaches beyond the padded input the runtime refuses, though shape inference
    # may find a size.
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if any(r > size for r, size in zip(reach, sketch.shape(x) or sketch.sizes, strict=True)):
        return x
    weights = sketch.weights(1, 1, *kernel)
    return sketch.add("Conv", x, weights, strides=sketch.pick(1, 3), dilations=dilations, **pads)


def pool(sketch: Sketch, x: str) -> str:
    kernel = sketch.pick(2, 3)
    pads = [sketch.draw(st.integers(0, size - 1)) for size in kernel * 2]
    operator = sketch.draw(st.sampled_from(["MaxPool", "AveragePool"]))
    ceil = sketch.draw(st.booleans())
    return sketch.add(
        operator, x, kernel_shape=kernel, strides=sketch.pick(1, 3), pads=pads, ceil_mode=int(ceil)
    )


def transposed(sketch: Sketch, x: str) -> str:
    kernel, strides = sketch.pick(2, 3), sketch.pick(1, 2)
    weights = sketch.weights(1, 1, *kernel)
    return sketch.add(
        "ConvTranspose", x, weights, strides=strides, pads=sketch.pick(0, 1) + sketch.pick(0, 1)
    )


def padded(sketch: Sketch, x: str) -> str:
    sizes = sketch.shape(x)
    # An axis of one sample has nothing to reflect, which ONNX Runtime refuses.
    reflects = sizes is not None and min(sizes) > 1
    mode = sketch.draw(st.sampled_from(["constant", "edge", *(["reflect"] if reflects else [])]))
    pads = np.array([0, 0, *sketch.pick(0, 1), 0, 0, *sketch.pick(0, 1)], np.int64)
    return sketch.add("Pad", x, sketch.constant(pads), mode=mode)


def sliced(sketch: Sketch, x: str) -> str:
    starts, steps = np.array(sketch.pick(0, 2), np.int64), np.array(sketch.pick(1, 2), np.int64)
    ends, axes = np.full(sketch.rank, 1000, np.int64), np.arange(2, 2 + sketch.rank)
    return sketch.add("Slice", x, *map(sketch.constant, (starts, ends, axes, steps)))


def resized(sketch: Sketch, x: str) -> str:
    # Linear interpolation exists in ONNX Runtime for all ranks, cubic for two dimensions only.
    mode = sketch.draw(st.sampled_from(["nearest", "linear"]))
    position = sketch.draw(st.sampled_from(["half_pixel", "asymmetric", "align_corners"]))
    sizes = sketch.shape(x)
    target_sizes = [
        max(1, size + sketch.draw(st.integers(-2, 3))) for size in sizes or (1,) * sketch.rank
    ]
    target = sketch.constant(np.array([1, 1, *target_sizes], np.int64))
    return sketch.add(
        "Resize", x, "", "", target, mode=mode, coordinate_transformation_mode=position
    )


def activated(sketch: Sketch, x: str) -> str:
    return sketch.add("Relu", x)


STEPS = (convolution, convolution, pool, transposed, padded, sliced, resized, activated)


def chain(sketch: Sketch, x: str, steps: int) -> str:
    """Up to `steps` operators, leaving out those that would leave nothing."""
    for _ in range(steps):
        nodes, constants = len(sketch.nodes), len(sketch.constants)
        following = sketch.draw(st.sampled_from(STEPS))(sketch, x)
        if sketch.shape(following) is None:
            del sketch.nodes[nodes:], sketch.constants[constants:]
        else:
            x = following
    return x


def merged(sketch: Sketch, left: str, right: str) -> str:
    """Two branches, cropped to what they have in common and added, or laid side by side along the
    first axis.
    """
    sizes = zip(sketch.shape(left) or (), sketch.shape(right) or (), strict=True)
    common = np.array([min(pair) for pair in sizes], np.int64)
    axes, zeros = np.arange(2, 2 + sketch.rank), np.zeros(sketch.rank, np.int64)
    cropped = [
        sketch.add("Slice", branch, *map(sketch.constant, (zeros, common, axes)))
        for branch in (left, right)
    ]
    if sketch.draw(st.booleans()):
        return sketch.add("Add", *cropped)
    return sketch.add("Concat", *cropped, axis=2)


@st.composite
def networks(draw: st.DrawFn, rank: int) -> onnx.ModelProto:
    """A chain, two branches from it, their merge and a last chain; the output is a convolution."""
    sketch = Sketch(
        rank, draw, tuple(draw(st.integers(5, 17 if rank < 3 else 9)) for _ in range(rank))
    )
    steps = 2 if rank < 3 else 1
    trunk = chain(sketch, "x", draw(st.integers(0, steps)))
    if draw(st.booleans()):
        left, right = (chain(sketch, trunk, draw(st.integers(1, steps))) for _ in range(2))
        if "x" not in (left, right) or left != right:
            trunk = merged(sketch, left, right)
    last = chain(sketch, trunk, draw(st.integers(0, steps)))
    return sketch.model(sketch.add("Conv", last, sketch.weights(1, 1, *[1] * rank)))
