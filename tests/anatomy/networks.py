"""Networks for tests: ONNX text with weights made up, and what the runtime says that a unit depends
on.
"""

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
from numpy.typing import NDArray

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, layers

HEADER = '<ir_version: 9, opset_import: ["": 19]>'


def parse(text: str, seed: int = 0) -> onnx.ModelProto:
    """A model from ONNX text; tensors that are declared and never produced become positive random
    weights.
    """
    model = onnx.parser.parse_model(f"{HEADER} net {text}")
    made = {name for node in model.graph.node for name in node.output}
    random = np.random.default_rng(seed)
    for value in [value for value in model.graph.value_info if value.name not in made]:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        weights = random.integers(1, 4, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, value.name))
        model.graph.value_info.remove(value)
    return model


class Network:
    """A parsed model with everything that tests ask about it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = Graph(model)
        self.layers = layers(self.graph)
        self.fields = ReceptiveFields(self.graph)

    def layer(self, name: str) -> Layer:
        """The layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)

    def rsp(self, name: str) -> tuple[tuple[float, ...], ...]:
        """(r, S, P) of the first axis that a table gives for a layer; all axes must agree."""
        field = self.fields.layer(self.layer(name))
        assert field.status == "exact"
        assert field.reason is None
        return tuple(zip(field.size or (), field.stride or (), field.padding or (), strict=True))


def network(text: str) -> Network:
    """A network from ONNX text."""
    return Network(parse(text))


class Oracle:
    """The network itself, run on changed inputs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        # The runtime plans its buffers with sizes that it gets wrong for some pools with ceil_mode.
        options.enable_mem_reuse = False
        options.log_severity_level = 4
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first output."""
        result: NDArray[np.float32] = self._session.run(
            None, {self._session.get_inputs()[0].name: array}
        )[0]
        return result
