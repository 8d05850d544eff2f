"""The part of a model that makes given tensors: from the model's inputs to them, with nothing else
in it.
"""

from collections.abc import Sequence

import onnx

from anatomy.graphs.graph import GraphError, captured


def extract(proto: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """A model with the same inputs whose outputs are these tensors, in this order.

    Weights that it does not need are left out; opset, functions and metadata stay. Raises
    GraphError for an unknown tensor.
    """
    producers = {name: node for node in proto.graph.node for name in node.output if name}
    given = {value.name for value in proto.graph.input} | {
        tensor.name for tensor in proto.graph.initializer
    }
    unknown = next((name for name in outputs if name not in producers and name not in given), None)
    if unknown is not None:
        raise GraphError(f"the model has no tensor '{unknown}'")
    needed, waiting = set[str](), list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            producer = producers.get(name)
            waiting += (
                [] if producer is None else filter(None, (*producer.input, *captured(producer)))
            )
    return _pruned(proto, needed, outputs)


def _pruned(proto: onnx.ModelProto, needed: set[str], outputs: Sequence[str]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(_without_graph(proto))
    known = {
        value.name: value
        for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output)
    }
    graph = model.graph
    graph.name = proto.graph.name
    graph.node.extend(node for node in proto.graph.node if needed.intersection(node.output))
    graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in needed)
    initialised = {tensor.name for tensor in proto.graph.initializer}
    graph.input.extend(
        value
        for value in proto.graph.input
        if value.name in needed or value.name not in initialised
    )
    graph.output.extend(known.get(name, onnx.ValueInfoProto(name=name)) for name in outputs)
    return model


def _without_graph(proto: onnx.ModelProto) -> onnx.ModelProto:
    shell = onnx.ModelProto(
        ir_version=proto.ir_version, producer_name=proto.producer_name, domain=proto.domain
    )
    shell.opset_import.extend(proto.opset_import)
    shell.functions.extend(proto.functions)
    shell.metadata_props.extend(proto.metadata_props)
    return shell
