"""What a rule of the gradient works with: the node, its tensors, their cotangents, and nodes to
write.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from anatomy.graphs.builder import Builder, Value
from anatomy.graphs.graph import Dim, Graph, GraphError, Node, Shape


class GradientError(GraphError):
    """No gradient can be derived; the message names the operator or tensor that is to blame."""


class UnknownGradientError(GradientError):
    """The rule cannot say for this node; the message names it and says what it would need."""


class NodeContext:
    """One node on the walk backwards. `x` are its inputs, `y` its outputs."""

    def __init__(
        self,
        node: Node,
        graph: Graph,
        builder: Builder,
        cotangents: Sequence[Value | None],
        extended: onnx.ModelProto,
    ) -> None:
        self.node = node
        self.graph = graph
        self.builder = builder
        self._cotangents = cotangents
        self._extended = extended

    @property
    def dy(self) -> Value:
        """The cotangent of the first output; zeros if nobody reads it."""
        return self.cotangent_or_zeros(0)

    def cotangent_or_zeros(self, position: int) -> Value:
        """The cotangent of an output; zeros if nobody reads it."""
        cotangent = self.cotangent(position)
        if cotangent is not None:
            return cotangent
        return self.zeros_like(self.y(position, self.x(0).dtype))

    def cotangent(self, position: int) -> Value | None:
        """The cotangent of an output; None if nobody reads it."""
        return self._cotangents[position] if position < len(self._cotangents) else None

    def x(self, position: int) -> Value:
        """An input."""
        return self._value(self.node.inputs[position])

    def y(self, position: int = 0, dtype: Any = np.int64) -> Value:
        """An output; an optional one that the node lacks is added to it, with this element type."""
        if position < len(self.node.outputs) and self.node.outputs[position]:
            return self._value(self.node.outputs[position])
        nodes = self._extended.graph.node
        proto = next(node for node in nodes if node.output[0] == self.node.outputs[0])
        name = f"{proto.output[0]}.{position}"
        while len(proto.output) <= position:
            proto.output.append("")
        proto.output[position] = name
        return Value(name, np.dtype(dtype), self.builder)

    def has(self, position: int) -> bool:
        """Whether an optional input is given."""
        return position < len(self.node.inputs) and bool(self.node.inputs[position])

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def op(
        self, operator: str, *inputs: Value | None, dtype: Any = None, **attributes: Any
    ) -> Value:
        """Write a node of one output."""
        return self.builder.op(operator, *inputs, dtype=dtype, **attributes)

    def integers(self, values: Sequence[int]) -> Value:
        """Write a list of whole numbers."""
        return self.builder.integers(values)

    def shape(self, position: int) -> Shape:
        """The shape of an input; raises UnknownGradientError if its rank is unknown."""
        return self._shape(self.node.inputs[position])

    def output_shape(self, position: int = 0) -> Shape:
        """The shape of an output; raises UnknownGradientError if its rank is unknown."""
        return self._shape(self.node.outputs[position])

    def sizes(self, position: int, axes: Sequence[int]) -> tuple[int, ...]:
        """Sizes of an input along these axes; raises UnknownGradientError if the model leaves one
        open.
        """
        shape = self.shape(position)
        known = [shape[axis] for axis in axes]
        if not all(isinstance(size, int) for size in known):
            raise UnknownGradientError(
                f"the gradient of {self._named} needs the sizes of '{self.node.inputs[position]}'"
            )
        return tuple(size for size in known if isinstance(size, int))

    def constant(self, position: int, default: Any = None) -> Any:
        """The value of a constant input as nested lists; raises UnknownGradientError if it is
        computed.
        """
        if not self.has(position):
            return default
        name = self.node.inputs[position]
        if name not in self.graph.constants:
            raise UnknownGradientError(
                f"the gradient of {self._named} needs '{name}' to be constant"
            )
        return self.graph.constants[name].tolist()

    def unbroadcast(self, cotangent: Value, position: int, wide: Shape | None = None) -> Value:
        """A cotangent of the output's shape, or `wide`, summed to the shape of an input that was
        broadcast to it.
        """
        wide, narrow = wide or self.output_shape(), self.shape(position)
        added = len(wide) - len(narrow)
        aligned = list(zip(narrow, wide[added:], strict=True))
        if any(_may_be_broadcast(size, wide_size) for size, wide_size in aligned):
            cotangent = self._unbroadcast_at_run(cotangent, position, len(wide))
        else:
            repeated = [size == 1 and wide_size != 1 for size, wide_size in aligned]
            axes = [
                axis for axis, is_repeated in enumerate([True] * added + repeated) if is_repeated
            ]
            if axes:
                cotangent = self.op("ReduceSum", cotangent, self.integers(axes), keepdims=1)
        return self.reshape_like(cotangent, position) if added else cotangent

    def _unbroadcast_at_run(self, cotangent: Value, position: int, rank: int) -> Value:
        """The model leaves open which sizes are 1: the runtime sums over those that are."""
        shape = self.shape_of(self.x(position))
        if added := rank - len(self.shape(position)):
            shape = self.op("Concat", self.integers([1] * added), shape, axis=0)
        ones = shape.equals(self.builder.constant(np.array(1, np.int64)))
        axes = self.op("Reshape", self.op("NonZero", ones, dtype=np.int64), self.integers([-1]))
        return self.op("ReduceSum", cotangent, axes, keepdims=1, noop_with_empty_axes=1)

    def reshape_like(self, value: Value, position: int) -> Value:
        """The values in the shape of an input."""
        return self.op("Reshape", value, self.shape_of(self.x(position)))

    def expand_like(self, value: Value, position: int) -> Value:
        """The values repeated to the shape of an input."""
        return self.op("Expand", value, self.shape_of(self.x(position)))

    def mask(self, cotangent: Value, condition: Value) -> Value:
        """The cotangent where the condition holds, else 0; a product: Where is slow in ONNX Runtime
        on the CPU.
        """
        return cotangent * self.cast(condition, cotangent.dtype)

    def cast(self, value: Value, dtype: np.dtype[Any]) -> Value:
        """The values as another type."""
        if value.dtype == dtype:
            return value
        return self.op("Cast", value, dtype=dtype, to=onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def zeros_like(self, value: Value) -> Value:
        """Zeros in the shape of a tensor."""
        zero = self.builder.constant(np.zeros((), value.dtype))
        return self.op("Expand", zero, self.shape_of(value))

    def size_along(self, value: Value, shape: Shape, axis: int) -> Value:
        """One size of a tensor, as a list of one number: a constant if the model says it."""
        size = shape[axis]
        if isinstance(size, int):
            return self.integers([size])
        return self.op("Gather", self.shape_of(value), self.integers([axis]))

    def shape_of(self, value: Value) -> Value:
        """The shape as the runtime sees it."""
        return self.op("Shape", value, dtype=np.int64)

    def unsupported(self, why: str) -> UnknownGradientError:
        """The error of a rule that cannot say."""
        return UnknownGradientError(f"{self._named} has no gradient rule for {why}")

    @property
    def _named(self) -> str:
        return f"{self.node.operator} '{self.node.name}'"

    def _shape(self, name: str) -> Shape:
        shape = self.graph.shape(name)
        if shape is None:
            raise UnknownGradientError(f"the gradient of {self._named} needs the rank of '{name}'")
        return shape

    def _value(self, name: str) -> Value:
        return Value(name, self.graph.dtype(name) or np.dtype(np.float32), self.builder)


def _may_be_broadcast(size: Dim, wide_size: Dim) -> bool:
    """Whether the model leaves open if an axis was broadcast."""
    if isinstance(size, int) or wide_size == 1:
        return False
    return size is None or size != wide_size


Rule = Callable[[NodeContext, int], Value | None]
"""The cotangent of one input, given those of the outputs; None where it is zero everywhere."""
