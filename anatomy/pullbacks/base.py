"""What a rule of the gradient works with: the node, its tensors, their cotangents, and nodes to write."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from anatomy.builder import Builder, Value
from anatomy.graph import Graph, GraphError, Node, Shape


class UnknownGradientError(GraphError):
    """The rule cannot say for this node; the message names it and says what it would need."""


class Pullback:
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
        return self.dys(0)

    def dys(self, position: int) -> Value:
        """The cotangent of an output."""
        given = self._cotangents[position] if position < len(self._cotangents) else None
        return given if given is not None else self.y(position) * 0

    def x(self, position: int) -> Value:
        """An input."""
        return self._value(self.node.inputs[position])

    def y(self, position: int = 0) -> Value:
        """An output; an optional one that the node does not give yet is asked for."""
        if position < len(self.node.outputs) and self.node.outputs[position]:
            return self._value(self.node.outputs[position])
        proto = next(node for node in self._extended.graph.node if node.output[0] == self.node.outputs[0])
        name = f"{proto.output[0]}.{position}"
        while len(proto.output) <= position:
            proto.output.append("")
        proto.output[position] = name
        return Value(name, np.dtype(np.int64), self.builder)

    def has(self, position: int) -> bool:
        """Whether an optional input is given."""
        return position < len(self.node.inputs) and bool(self.node.inputs[position])

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)

    def op(self, operator: str, *inputs: Value | None, dtype: Any = None, **attributes: Any) -> Value:
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
        """Sizes of an input along these axes; raises UnknownGradientError if the model leaves one open."""
        shape = self.shape(position)
        known = [shape[axis] for axis in axes]
        if not all(isinstance(size, int) for size in known):
            raise UnknownGradientError(
                f"the gradient of {self._named} needs the sizes of '{self.node.inputs[position]}'"
            )
        return tuple(size for size in known if isinstance(size, int))

    def constant(self, position: int, default: Any = None) -> Any:
        """The value of a constant input as nested lists; raises UnknownGradientError if it is computed."""
        if not self.has(position):
            return default
        name = self.node.inputs[position]
        if name not in self.graph.constants:
            raise UnknownGradientError(f"the gradient of {self._named} needs '{name}' to be constant")
        return self.graph.constants[name].tolist()

    def fit(self, cotangent: Value, position: int) -> Value:
        """A cotangent of the output's shape, summed to the shape of an input that was broadcast to it."""
        wide, narrow = self.output_shape(), self.shape(position)
        if wide == narrow and None not in wide:
            return cotangent
        added = len(wide) - len(narrow)
        axes = [*range(added), *(added + axis for axis, size in enumerate(narrow) if size == 1 != wide[added + axis])]
        if axes:
            cotangent = self.op("ReduceSum", cotangent, self.integers(axes), keepdims=1)
        return self.reshape_like(cotangent, position) if added else cotangent

    def reshape_like(self, value: Value, position: int) -> Value:
        """The values in the shape of an input."""
        return self.op("Reshape", value, self.shape_of(self.x(position)))

    def expand_like(self, value: Value, position: int) -> Value:
        """The values repeated to the shape of an input."""
        return self.op("Expand", value, self.shape_of(self.x(position)))

    def shape_of(self, value: Value) -> Value:
        """The shape as the runtime sees it."""
        return self.op("Shape", value, dtype=np.int64)

    def unknown(self, why: str) -> UnknownGradientError:
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


Rule = Callable[[Pullback, int], Value | None]
"""The cotangent of one input, given those of the outputs; None where it is zero everywhere."""
