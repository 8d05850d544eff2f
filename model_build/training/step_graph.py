"""One step of training as one ONNX graph.

Forward pass, loss, backward pass, the optimiser's update, averages and statistics. The state is a
few vectors (`gradients.gradient` gives the gradients, `flat_parameters` says which weight lies
where): inputs under a name, outputs under `new(name)`. What the runtime keeps between two steps
never passes through Python.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.gradients.gradient import gradient
from anatomy.graphs.builder import Builder
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import layers
from model_build.training.batch_norm import (
    RunningStatistics,
    decompose_batch_norms,
    set_training_mode,
)
from model_build.training.flat_parameters import ParameterLayout, Vector
from model_build.training.hyperparameters import StepConfig
from model_build.training.loss import Loss, cross_entropy
from model_build.training.step_tensors import AVERAGES, LABELS, PREFIX, STATISTICS, WEIGHTS, slot
from model_build.training.update_graph import FLOAT, UpdateGraph

FIRST_KERNEL_INPUT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 0, "MatMul": 0}
"""From which input on an operator's first two inputs are kernels or matrices."""


class StepError(ValueError):
    """No step can be made of this network; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class Step:
    """The graph of a step, and where in it things lie.

    `inputs` are the batch and its random numbers; `state` has the layout of every vector that is
    kept; `gradients` the tensor of each weight's gradient; `layers` names and tensors of the
    network's layers, in their order.
    """

    model: onnx.ModelProto
    batch_size: int
    classes: int
    inputs: tuple[str, ...]
    state: Mapping[str, ParameterLayout]
    gradients: Mapping[str, str]
    layers: tuple[tuple[str, str], ...]

    @property
    def weights(self) -> ParameterLayout:
        """The weights that are learned by gradients."""
        return self.state[WEIGHTS]

    @property
    def parameters(self) -> ParameterLayout:
        """All that the network keeps: weights, then running statistics."""
        return self.state[AVERAGES]

    def initial_state(self, arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Vector]:
        """The state before the first step, from what `nn.initial` drew.

        Raises ParameterLayoutError.
        """
        parameters = self.parameters.pack(arrays)
        state = {name: np.zeros(layout.size, np.float32) for name, layout in self.state.items()}
        state[WEIGHTS] = parameters[: self.weights.size]
        state[AVERAGES] = parameters
        if STATISTICS in state:
            state[STATISTICS] = parameters[self.weights.size :]
        return state


def build(
    forward: onnx.ModelProto,
    parameters: Collection[str],
    config: StepConfig,
    batch_size: int,
    decompose_norms: bool = False,
) -> Step:
    """The step of a network that `export.trainable` gave.

    `parameters` names those of its inputs that are learned. `decompose_norms` writes batch norms as
    operators that CUDA has. Raises StepError for a network that does not end in [N, classes],
    GradientError where an operator has no gradient.
    """
    model = _with_batch_size(forward, parameters, batch_size)
    norms = set_training_mode(model.graph)
    graph = Graph(model)
    logits = model.graph.output[0].name
    classes = _classes(graph, logits)
    layer_tensors = tuple((layer.name, layer.tensor) for layer in layers(graph))
    if decompose_norms:
        ranks = {node.inputs[0]: len(graph.shape(node.inputs[0]) or ()) for node in graph.nodes}
        decompose_batch_norms(model.graph, ranks)
    weights, statistics = _layouts(graph, parameters, norms)
    loss = _with_loss(model, logits, (batch_size, classes), config.label_smoothing)
    extended, gradients = gradient(model, logits, weights.names, loss.gradient.name)
    state = _state(weights, statistics, config)
    update = UpdateGraph(config, state, _decay_mask(graph, weights), norms)
    return Step(
        update.model(extended, loss, gradients),
        batch_size,
        classes,
        tuple(name for name in graph.inputs if name not in parameters),
        state,
        dict(zip(weights.names, gradients, strict=True)),
        layer_tensors,
    )


def _state(
    weights: ParameterLayout, statistics: ParameterLayout, config: StepConfig
) -> dict[str, ParameterLayout]:
    """The layout of every vector that is kept between steps."""
    state = {WEIGHTS: weights, AVERAGES: weights + statistics}
    if statistics.names:
        state[STATISTICS] = statistics
    for name in config.optimiser.slots:
        state[slot(name)] = weights
    return state


def _with_batch_size(
    forward: onnx.ModelProto, parameters: Collection[str], batch_size: int
) -> onnx.ModelProto:
    """The model with the size of its batch fixed, shapes inferred anew."""
    model = onnx.ModelProto()
    model.CopyFrom(forward)
    del model.graph.value_info[:]
    for value in model.graph.input:
        if value.name not in parameters:
            value.type.tensor_type.shape.dim[0].dim_value = batch_size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _classes(graph: Graph, logits: str) -> int:
    shape = graph.shape(logits)
    classes = shape[1] if shape is not None and len(shape) == 2 else None
    if not isinstance(classes, int) or graph.dtype(logits) != FLOAT:
        raise StepError(
            f"expected a network that ends in float32 [N, classes], '{logits}' is {shape}"
        )
    return classes


def _layouts(
    graph: Graph, parameters: Collection[str], norms: list[RunningStatistics]
) -> tuple[ParameterLayout, ParameterLayout]:
    """Layouts of the weights and of the batch norms' running statistics."""
    running = [name for norm in norms for name in (norm.mean, norm.variance)]
    if shared := sorted({name for name in running if running.count(name) > 1}):
        raise StepError(
            f"several batch norms keep their statistics in {shared[0]!r}; give each its own"
        )
    shapes = _shapes(graph, parameters)
    weights = {name: shape for name, shape in shapes.items() if name not in running}
    if not weights:
        raise StepError("the network has nothing to learn")
    statistics = {name: shapes[name] for name in running}
    return ParameterLayout.of(weights), ParameterLayout.of(statistics)


def _shapes(graph: Graph, parameters: Collection[str]) -> dict[str, list[int]]:
    """The shape of each parameter, in the order of the graph's inputs."""
    shapes = {}
    for name in graph.inputs:
        if name in parameters:
            shapes[name] = [size for size in graph.shape(name) or () if isinstance(size, int)]
    if missing := sorted(set(parameters) - shapes.keys()):
        raise StepError(f"the network has no parameter {missing[0]!r}")
    return shapes


def _decay_mask(graph: Graph, weights: ParameterLayout) -> NDArray[np.float32]:
    """1 for each number of a kernel or matrix, 0 for biases, batch norms and other weights."""
    kernels = set[str]()
    for node in graph.nodes:
        kernels.update(node.inputs[FIRST_KERNEL_INPUT.get(node.operator, 2) : 2])
    marks = [
        np.full(size, name in kernels, np.float32)
        for name, size in zip(weights.names, weights.sizes, strict=True)
    ]
    return np.concatenate(marks)


def _with_loss(
    model: onnx.ModelProto, logits: str, size: tuple[int, int], label_smoothing: float
) -> Loss:
    """Append the loss to the model, in place."""
    builder = Builder(f"{PREFIX}loss.")
    loss = cross_entropy(builder, logits, LABELS, size, label_smoothing)
    model.graph.input.append(helper.make_tensor_value_info(LABELS, TensorProto.INT64, [size[0]]))
    model.graph.node.extend(builder.nodes)
    model.graph.initializer.extend(builder.initializers)
    return loss
