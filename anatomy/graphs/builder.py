"""Writing nodes: values with Python's operators, so that a formula in a rule looks like the formula
in the book.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph that is being written. Numbers beside it become constants of its own
    type.
    """

    name: str
    dtype: np.dtype[Any]
    builder: "Builder"

    def __add__(self, other: "Value | float") -> "Value":
        return self.builder.op("Add", self, self._operand(other))

    def __radd__(self, other: float) -> "Value":
        return self._operand(other) + self

    def __sub__(self, other: "Value | float") -> "Value":
        return self.builder.op("Sub", self, self._operand(other))

    def __rsub__(self, other: float) -> "Value":
        return self._operand(other) - self

    def __mul__(self, other: "Value | float") -> "Value":
        return self.builder.op("Mul", self, self._operand(other))

    def __rmul__(self, other: float) -> "Value":
        return self._operand(other) * self

    def __truediv__(self, other: "Value | float") -> "Value":
        return self.builder.op("Div", self, self._operand(other))

    def __rtruediv__(self, other: float) -> "Value":
        return self._operand(other) / self

    def __pow__(self, other: "Value | float") -> "Value":
        return self.builder.op("Pow", self, self._operand(other))

    def __neg__(self) -> "Value":
        return self.builder.op("Neg", self)

    def __gt__(self, other: "Value | float") -> "Value":
        return self.builder.op("Greater", self, self._operand(other), dtype=np.bool_)

    def __lt__(self, other: "Value | float") -> "Value":
        return self.builder.op("Less", self, self._operand(other), dtype=np.bool_)

    def equals(self, other: "Value | float") -> "Value":
        """Where the two are equal, as booleans."""
        return self.builder.op("Equal", self, self._operand(other), dtype=np.bool_)

    def __and__(self, other: "Value") -> "Value":
        return self.builder.op("And", self, other)

    def where(self, true: "Value", false: "Value | float") -> "Value":
        """Choose by this condition."""
        otherwise = true._operand(false)  # noqa: SLF001 - its own
        return self.builder.op("Where", self, true, otherwise, dtype=true.dtype)

    def _operand(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            return other
        return self.builder.constant(np.asarray(other, self.dtype))


class Builder:
    """Collects nodes and constants under names that start with `prefix`, which no tensor of the
    graph may use.

    Equal nodes are written once, so that rules need not share what they have in common.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._constants: dict[tuple[Any, ...], Value] = {}
        self._written: dict[tuple[bytes, int], tuple[Value, ...]] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def op(
        self, operator: str, *inputs: Value | None, dtype: Any = None, **attributes: Any
    ) -> Value:
        """A node of one output, of the type of its first input unless `dtype` says otherwise."""
        return self.ops(operator, *inputs, types=[dtype], **attributes)[0]

    def ops(
        self, operator: str, *inputs: Value | None, types: Sequence[Any], **attributes: Any
    ) -> tuple[Value, ...]:
        """A node of several outputs, one of each type; None is the type of the first input."""
        present = {key: value for key, value in attributes.items() if value is not None}
        names = ["" if value is None else value.name for value in inputs]
        node = helper.make_node(operator, names, [], **present)
        key = (node.SerializeToString(deterministic=True), len(types))
        if key not in self._written:
            self._written[key] = self._write(node, inputs, types)
        return self._written[key]

    def _write(
        self, node: onnx.NodeProto, inputs: Sequence[Value | None], types: Sequence[Any]
    ) -> tuple[Value, ...]:
        node.name = f"{self._prefix}{node.op_type}_{len(self.nodes)}"
        default = next((value.dtype for value in inputs if value is not None), np.dtype(np.float32))
        outputs: list[Value] = []
        for i, dtype in enumerate(types):
            name = f"{node.name}.{i}" if i else node.name
            outputs.append(Value(name, np.dtype(dtype or default), self))
        node.output.extend(value.name for value in outputs)
        self.nodes.append(node)
        return tuple(outputs)

    def constant(self, array: np.ndarray[Any, Any]) -> Value:
        """A constant; equal ones are written once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self._prefix}constant_{len(self._constants)}"
            self.initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = Value(name, array.dtype, self)
        return self._constants[key]

    def integers(self, values: Sequence[int]) -> Value:
        """A constant list of whole numbers, as axes and shapes are given."""
        return self.constant(np.asarray(list(values), np.int64))
