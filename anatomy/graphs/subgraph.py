"""The part of a model that makes given tensors: from the model's inputs to them, with nothing else
in it.
"""

from collections.abc import Mapping, Sequence

import onnx

from anatomy.graphs.graph import GraphError, captured


def extract(proto: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """A model with the same inputs whose outputs are these tensors, in this order.

    Weights that it does not need are left out; opset, functions and metadata stay. Raises
    GraphError for an unknown tensor.
    """
    needed = _needed(proto.graph, outputs)
    return _pruned(proto, needed, outputs)


def _needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> set[str]:
    """The tensors that these depend on, themselves included; raises GraphError."""
    producers = {name: node for node in graph.node for name in node.output if name}
    _check_names(graph, outputs, producers)
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        producer = producers.get(name)
        if producer is not None:
            waiting.extend(filter(None, (*producer.input, *captured(producer))))
    return needed


def _check_names(
    graph: onnx.GraphProto, names: Sequence[str], producers: Mapping[str, onnx.NodeProto]
) -> None:
    inputs = {value.name for value in graph.input}
    weights = {tensor.name for tensor in graph.initializer}
    for name in names:
        if name not in producers and name not in inputs | weights:
            raise GraphError(f"the model has no tensor '{name}'")


def _pruned(proto: onnx.ModelProto, needed: set[str], outputs: Sequence[str]) -> onnx.ModelProto:
    model = _without_graph(proto)
    graph = proto.graph
    model.graph.name = graph.name
    model.graph.node.extend(node for node in graph.node if needed.intersection(node.output))
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    model.graph.initializer.extend(weights)
    unneeded_weights = {tensor.name for tensor in graph.initializer} - needed
    inputs = [value for value in graph.input if value.name not in unneeded_weights]
    model.graph.input.extend(inputs)
    declared = (*graph.value_info, *graph.input, *graph.output)
    by_name = {value.name: value for value in declared}
    for name in outputs:
        model.graph.output.append(by_name.get(name, onnx.ValueInfoProto(name=name)))
    return model


def _without_graph(proto: onnx.ModelProto) -> onnx.ModelProto:
    shell = onnx.ModelProto(
        ir_version=proto.ir_version, producer_name=proto.producer_name, domain=proto.domain
    )
    shell.opset_import.extend(proto.opset_import)
    shell.functions.extend(proto.functions)
    shell.metadata_props.extend(proto.metadata_props)
    return shell
