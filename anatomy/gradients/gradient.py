"""Gradients of an ONNX graph as an ONNX graph: a walk backwards over a table of rules
(`anatomy.gradients.vjps`).

Reverse accumulation (Linnainmaa 1970): each tensor's cotangent is the sum of what its readers hand
back. The result is made of ordinary operators, so that every runtime computes it, and gradients can
be taken of it again.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx

from anatomy.gradients.rules.base import GradientError, NodeContext, Rule
from anatomy.gradients.vjps import VJPS
from anatomy.graphs.builder import Builder, Value
from anatomy.graphs.graph import Graph, Node

OLDEST_OPSET = 13
PREFIX = "grad."


def gradient(
    model: onnx.ModelProto, of: str, wrt: Sequence[str], cotangent: str | None = None
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model, extended by the gradients of tensor `of` with respect to the tensors `wrt`, and
    their names.

    The gradients are outputs after those that the model has. Without `cotangent` they are those of
    the sum of `of`; with it they are weighted by the tensor of that name, which becomes an input
    unless the model has it. Raises GradientError for an unknown tensor, for one that `of` does not
    depend on, for an opset below 13, and for an operator without a rule.
    """
    graph = Graph(model)
    _check(graph, of, wrt)
    path = _path(graph, of, wrt)
    prefix = _unused(graph, PREFIX)
    builder = Builder(prefix)
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    walk = _Walk(
        graph,
        builder,
        extended,
        {name for node in path for name in node.outputs if name} | set(wrt),
    )
    walk.start(of, cotangent)
    for node in reversed(path):
        walk.step(node)
    found = tuple(
        walk.cotangents[name].name if name in walk.cotangents else walk.zeros(name) for name in wrt
    )
    nodes, read = _needed(builder.nodes, found)
    extended.graph.node.extend(nodes)
    extended.graph.initializer.extend(
        tensor for tensor in builder.initializers if tensor.name in read
    )
    extended.graph.output.extend(
        _output(graph, name, result) for name, result in zip(wrt, found, strict=True)
    )
    return extended, found


def _check(graph: Graph, of: str, wrt: Iterable[str]) -> None:
    if graph.opset < OLDEST_OPSET:
        raise GradientError(
            f"the model uses opset {graph.opset}; gradients need {OLDEST_OPSET} or later"
        )
    made = {
        *graph.inputs,
        *graph.constants,
        *(name for node in graph.nodes for name in node.outputs),
    }
    for name in (of, *wrt):
        if name not in made:
            raise GradientError(f"the model has no tensor '{name}'")
        dtype = graph.dtype(name)
        if dtype is None or dtype.kind != "f":
            raise GradientError(f"'{name}' is {dtype}: only floating-point tensors have gradients")


def _path(graph: Graph, of: str, wrt: Sequence[str]) -> list[Node]:
    """The nodes through which `of` depends on `wrt`."""
    depends = set(wrt)
    for node in graph.nodes:
        if not depends.isdisjoint(node.inputs):
            depends.update(filter(None, node.outputs))
    needed = {of}
    path: list[Node] = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs) and not depends.isdisjoint(node.inputs):
            path.append(node)
            needed.update(name for name in node.inputs if name in depends)
    unreached = next((name for name in wrt if name not in needed), None)
    if unreached is not None:
        raise GradientError(f"'{of}' does not depend on '{unreached}'")
    return path[::-1]


def _needed(
    nodes: Sequence[onnx.NodeProto], results: Sequence[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that the results depend on, for runtimes run all that there are; and all that these
    read.
    """
    read, kept = set(results), []
    for node in reversed(nodes):
        if not read.isdisjoint(node.output):
            kept.append(node)
            read.update(node.input)
    return kept[::-1], read


def _unused(graph: Graph, prefix: str) -> str:
    names = {
        *graph.inputs,
        *graph.constants,
        *(name for node in graph.nodes for name in node.outputs),
    }
    while any(name.startswith(prefix) for name in names):
        prefix = f"{PREFIX}{prefix}"
    return prefix


def _output(graph: Graph, name: str, result: str) -> onnx.ValueInfoProto:
    dtype = onnx.helper.np_dtype_to_tensor_dtype(graph.dtype(name) or np.dtype(np.float32))
    return onnx.helper.make_tensor_value_info(result, dtype, graph.shape(name))


class _Walk:
    """The cotangents found so far, from `of` backwards."""

    def __init__(
        self, graph: Graph, builder: Builder, extended: onnx.ModelProto, wanted: set[str]
    ) -> None:
        self._graph = graph
        self._builder = builder
        self._extended = extended
        self._wanted = wanted
        self.cotangents: dict[str, Value] = {}

    def start(self, of: str, cotangent: str | None) -> None:
        """The cotangent of the end of the walk: ones, or what the caller gives."""
        value = self._value(of)
        if cotangent is None:
            self.cotangents[of] = self._filled(value, 1)
            return
        if cotangent not in self._graph.inputs and self._graph.dtype(cotangent) is None:
            info = _output(self._graph, of, cotangent)
            self._extended.graph.input.append(info)
        self.cotangents[of] = Value(cotangent, value.dtype, self._builder)

    def step(self, node: Node) -> None:
        """Hand the cotangents of a node's outputs back to its inputs."""
        given = [self.cotangents.get(name) for name in node.outputs]
        positions = [i for i, name in enumerate(node.inputs) if name in self._wanted]
        if not positions or not any(given):
            return
        rule = _rule(node)
        context = NodeContext(node, self._graph, self._builder, given, self._extended)
        for position in positions:
            back = rule(context, position)
            if back is not None:
                self._add(node.inputs[position], back)

    def zeros(self, name: str) -> str:
        """The gradient with respect to a tensor that nothing was handed back to."""
        return self._filled(self._value(name), 0).name

    def _add(self, name: str, part: Value) -> None:
        self.cotangents[name] = self.cotangents[name] + part if name in self.cotangents else part

    def _value(self, name: str) -> Value:
        return Value(name, self._graph.dtype(name) or np.dtype(np.float32), self._builder)

    def _filled(self, like: Value, number: float) -> Value:
        fill = onnx.numpy_helper.from_array(np.array([number], like.dtype))
        shape = self._builder.op("Shape", like, dtype=np.int64)
        return self._builder.op("ConstantOfShape", shape, dtype=like.dtype, value=fill)


def _rule(node: Node) -> Rule:
    rule = VJPS.get(node.operator) if node.domain == "" else None
    if rule is None:
        raise GradientError(f"{node.operator} '{node.name}' has no gradient rule")
    return rule
