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
    builder = Builder(_unused_prefix(graph))
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    on_path = {name for node in path for name in node.outputs if name}
    walk = _Walk(graph, builder, extended, on_path | set(wrt))
    walk.start(of, cotangent)
    for node in reversed(path):
        walk.step(node)
    gradients = tuple(walk.gradient_name(name) for name in wrt)
    _extend(extended, builder, graph, wrt, gradients)
    return extended, gradients


def _extend(
    extended: onnx.ModelProto,
    builder: Builder,
    graph: Graph,
    wrt: Sequence[str],
    gradients: Sequence[str],
) -> None:
    """Add what was written to the model, with the gradients as its last outputs."""
    nodes, read = _needed(builder.nodes, gradients)
    extended.graph.node.extend(nodes)
    constants = [tensor for tensor in builder.initializers if tensor.name in read]
    extended.graph.initializer.extend(constants)
    for name, result in zip(wrt, gradients, strict=True):
        extended.graph.output.append(_output(graph, name, result))


def _check(graph: Graph, of: str, wrt: Iterable[str]) -> None:
    if graph.opset < OLDEST_OPSET:
        raise GradientError(
            f"the model uses opset {graph.opset}; gradients need {OLDEST_OPSET} or later"
        )
    names = _tensor_names(graph)
    for name in (of, *wrt):
        if name not in names:
            raise GradientError(f"the model has no tensor '{name}'")
        dtype = graph.dtype(name)
        if dtype is None or dtype.kind != "f":
            raise GradientError(f"'{name}' is {dtype}: only floating-point tensors have gradients")


def _tensor_names(graph: Graph) -> set[str]:
    computed = [name for node in graph.nodes for name in node.outputs]
    return {*graph.inputs, *graph.constants, *computed}


def _path(graph: Graph, of: str, wrt: Sequence[str]) -> list[Node]:
    """The nodes through which `of` depends on `wrt`."""
    dependent = _dependent_tensors(graph, wrt)
    needed = {of}
    path: list[Node] = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs) and not dependent.isdisjoint(node.inputs):
            path.append(node)
            needed.update(dependent.intersection(node.inputs))
    unreached = next((name for name in wrt if name not in needed), None)
    if unreached is not None:
        raise GradientError(f"'{of}' does not depend on '{unreached}'")
    return path[::-1]


def _dependent_tensors(graph: Graph, wrt: Sequence[str]) -> set[str]:
    """The tensors that depend on `wrt`, these included."""
    dependent = set(wrt)
    for node in graph.nodes:
        if not dependent.isdisjoint(node.inputs):
            dependent.update(filter(None, node.outputs))
    return dependent


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


def _unused_prefix(graph: Graph) -> str:
    names, prefix = _tensor_names(graph), PREFIX
    while any(name.startswith(prefix) for name in names):
        prefix = f"{PREFIX}{prefix}"
    return prefix


def _output(graph: Graph, name: str, result: str) -> onnx.ValueInfoProto:
    dtype = onnx.helper.np_dtype_to_tensor_dtype(graph.dtype(name) or np.dtype(np.float32))
    return onnx.helper.make_tensor_value_info(result, dtype, graph.shape(name))


class _Walk:
    """The walk from `of` backwards, with the cotangents of the tensors that it has passed."""

    def __init__(
        self, graph: Graph, builder: Builder, extended: onnx.ModelProto, on_path: set[str]
    ) -> None:
        self._graph = graph
        self._builder = builder
        self._extended = extended
        self._on_path = on_path
        self._cotangents: dict[str, Value] = {}

    def start(self, of: str, cotangent: str | None) -> None:
        """The cotangent of the end of the walk: ones, or what the caller gives."""
        value = self._value(of)
        if cotangent is None:
            self._cotangents[of] = self._filled(value, 1)
            return
        if cotangent not in self._graph.inputs and self._graph.dtype(cotangent) is None:
            info = _output(self._graph, of, cotangent)
            self._extended.graph.input.append(info)
        self._cotangents[of] = Value(cotangent, value.dtype, self._builder)

    def step(self, node: Node) -> None:
        """Hand the cotangents of a node's outputs back to its inputs."""
        cotangents = [self._cotangents.get(name) for name in node.outputs]
        positions = [i for i, name in enumerate(node.inputs) if name in self._on_path]
        if not positions or not any(cotangents):
            return
        rule = _rule(node)
        context = NodeContext(node, self._graph, self._builder, cotangents, self._extended)
        for position in positions:
            cotangent = rule(context, position)
            if cotangent is not None:
                self._add(node.inputs[position], cotangent)

    def gradient_name(self, name: str) -> str:
        """The gradient with respect to a tensor; zeros if nothing was handed back to it."""
        cotangent = self._cotangents.get(name)
        return (self._filled(self._value(name), 0) if cotangent is None else cotangent).name

    def _add(self, name: str, part: Value) -> None:
        sum_so_far = self._cotangents.get(name)
        self._cotangents[name] = part if sum_so_far is None else sum_so_far + part

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
