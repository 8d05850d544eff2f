"""One step of training as one ONNX graph: forward, loss, backward, the optimiser's update, averages
and statistics.

The state is a few vectors (`gradients.gradient` gives the gradients, `flat_parameters` says which
weight lies where): inputs under a name, outputs under `new(name)`. What the runtime keeps between
two steps never passes through Python.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.gradients.gradient import gradient
from anatomy.graphs.builder import Builder, Value
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import layers
from model_build.training.batch_norm import RunningStatistics, spread_norms, train_norms
from model_build.training.flat_parameters import ParameterLayout, Vector, write_as, write_pack
from model_build.training.loss import Loss, cross_entropy
from model_build.training.optimiser import SGD, Optimiser, single

# No module path holds a colon, so none of these meets a tensor of the network.
PREFIX = "step:"
LABELS, RATE, COUNT = f"{PREFIX}labels", f"{PREFIX}rate", f"{PREFIX}count"
WEIGHTS, STATISTICS, AVERAGES = f"{PREFIX}weights", f"{PREFIX}statistics", f"{PREFIX}averages"
LOSS, CORRECT, NORM = f"{PREFIX}loss", f"{PREFIX}correct", f"{PREFIX}gradient_norm"
_FLOAT = np.dtype(np.float32)


class StepError(ValueError):
    """No step can be made of this network; the message says what is missing."""


@dataclass(frozen=True)
class StepConfig:
    """How weights are learned.

    `smoothing` is that of the labels; `averaging` the decay of the moving average of weights and
    statistics, shorter in the first steps, 0 for none; `running` what a batch norm's running
    statistics keep from step to step.
    """

    optimiser: Optimiser = field(default_factory=SGD)
    smoothing: float = 0.0
    averaging: float = 0.999
    running: float = 0.9

    def __post_init__(self) -> None:
        for name in ("smoothing", "averaging", "running"):
            if not 0 <= getattr(self, name) < 1:
                raise StepError(
                    f"{name}: expected 0 or more and less than 1, got {getattr(self, name)}"
                )


@dataclass(frozen=True, eq=False)
class Step:
    """The graph of a step, and where in it things lie.

    `inputs` are the batch and its random numbers; `state` has the layout of every vector that is
    kept; `gradients` the tensor of each weight's gradient; `layers` names and tensors of the
    network's layers, in their order.
    """

    model: onnx.ModelProto
    batch: int
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

    def start(self, arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Vector]:
        """The state before the first step, from what `nn.initial` drew; raises LayoutError."""
        first = self.parameters.pack(arrays)
        given = {
            WEIGHTS: first[: self.weights.size],
            STATISTICS: first[self.weights.size :],
            AVERAGES: first,
        }
        return {
            name: given.get(name, np.zeros(layout.size, np.float32))
            for name, layout in self.state.items()
        }


def new(name: str) -> str:
    """The output that a vector of the state has after the step."""
    return f"{name}.new"


def build(
    forward: onnx.ModelProto,
    parameters: Collection[str],
    recipe: StepConfig,
    batch: int,
    spread: bool = False,
) -> Step:
    """The step of a network that `export.trainable` gave, for batches of `batch` examples.

    `parameters` names those of its inputs that are learned. `spread` writes batch norms as
    operators that CUDA has. Raises StepError for a network that does not end in [N, classes],
    GradientError where an operator has no gradient.
    """
    model = _of_batch(forward, parameters, batch)
    norms = train_norms(model.graph)
    graph = Graph(model)
    logits = model.graph.output[0].name
    classes = _classes(graph, logits)
    found = tuple((layer.name, layer.tensor) for layer in layers(graph))
    if spread:
        ranks = {node.inputs[0]: len(graph.shape(node.inputs[0]) or ()) for node in graph.nodes}
        spread_norms(model.graph, ranks)
    weights, statistics = _layouts(graph, parameters, norms)
    loss = _with_loss(model, logits, (batch, classes), recipe.smoothing)
    extended, gradients = gradient(model, logits, weights.names, loss.gradient.name)
    state = {WEIGHTS: weights, AVERAGES: weights + statistics}
    state |= {STATISTICS: statistics} if statistics.names else {}
    state |= {f"{PREFIX}{slot}": weights for slot in recipe.optimiser.slots}
    writer = _Writer(recipe, state, _decays(graph, weights), norms)
    return Step(
        writer.model(extended, loss, gradients),
        batch,
        classes,
        tuple(name for name in graph.inputs if name not in parameters),
        state,
        dict(zip(weights.names, gradients, strict=True)),
        found,
    )


def _of_batch(forward: onnx.ModelProto, parameters: Collection[str], batch: int) -> onnx.ModelProto:
    """The model with the size of its batch fixed, shapes inferred anew."""
    model = onnx.ModelProto()
    model.CopyFrom(forward)
    del model.graph.value_info[:]
    for value in model.graph.input:
        if value.name not in parameters:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _classes(graph: Graph, logits: str) -> int:
    shape = graph.shape(logits)
    classes = shape[1] if shape is not None and len(shape) == 2 else None
    if not isinstance(classes, int) or graph.dtype(logits) != _FLOAT:
        raise StepError(
            f"expected a network that ends in float32 [N, classes], '{logits}' is {shape}"
        )
    return classes


def _layouts(
    graph: Graph, parameters: Collection[str], norms: list[RunningStatistics]
) -> tuple[ParameterLayout, ParameterLayout]:
    running = [name for norm in norms for name in (norm.mean, norm.variance)]
    if shared := sorted({name for name in running if running.count(name) > 1}):
        raise StepError(
            f"several batch norms keep their statistics in {shared[0]!r}; give each its own"
        )
    shapes: dict[str, list[int]] = {}
    for name in graph.inputs:
        if name in parameters:
            shapes[name] = [size for size in graph.shape(name) or () if isinstance(size, int)]
    if missing := sorted(set(parameters) - shapes.keys()):
        raise StepError(f"the network has no parameter {missing[0]!r}")
    weights = ParameterLayout.of(
        {name: shape for name, shape in shapes.items() if name not in running}
    )
    if not weights.names:
        raise StepError("the network has nothing to learn")
    return weights, ParameterLayout.of({name: shapes[name] for name in running})


def _decays(graph: Graph, weights: ParameterLayout) -> np.ndarray:
    """1 for each number of a kernel or matrix, 0 for biases, batch norms and whatever else is
    learned.
    """
    kernels = {name for node in graph.nodes for name in node.inputs[_first(node.operator) : 2]}
    marks = [
        np.full(size, name in kernels)
        for name, size in zip(weights.names, weights.sizes, strict=True)
    ]
    return np.concatenate(marks).astype(np.float32)


def _first(operator: str) -> int:
    """From which input on an operator's first two are matrices or kernels."""
    return {"Conv": 1, "ConvTranspose": 1, "Gemm": 0, "MatMul": 0}.get(operator, 2)


def _with_loss(
    model: onnx.ModelProto, logits: str, size: tuple[int, int], smoothing: float
) -> Loss:
    builder = Builder(f"{PREFIX}loss.")
    loss = cross_entropy(builder, logits, LABELS, size, smoothing)
    model.graph.input.append(helper.make_tensor_value_info(LABELS, TensorProto.INT64, [size[0]]))
    model.graph.node.extend(builder.nodes)
    model.graph.initializer.extend(builder.initializers)
    return loss


class _Writer:
    """Writes what stands before the network (weights out of vectors) and behind its gradients (the
    new vectors).
    """

    def __init__(
        self,
        recipe: StepConfig,
        state: Mapping[str, ParameterLayout],
        decays: np.ndarray,
        norms: list[RunningStatistics],
    ) -> None:
        self._recipe, self._state, self._norms = recipe, state, norms
        self._builder = Builder(PREFIX)
        self._vectors = {name: Value(name, _FLOAT, self._builder) for name in state}
        self._decays = self._builder.constant(decays)
        self._rate = Value(RATE, _FLOAT, self._builder)
        self._count = Value(COUNT, np.dtype(np.float64), self._builder)

    def model(
        self, extended: onnx.ModelProto, loss: Loss, gradients: tuple[str, ...]
    ) -> onnx.ModelProto:
        """The whole step."""
        for name in (WEIGHTS, STATISTICS):
            if name in self._state and self._state[name].names:
                self._state[name].write_unpack(self._builder, self._vectors[name])
        before = len(self._builder.nodes)
        slope = write_pack(self._builder, gradients)
        results = {
            NORM: self._builder.op("ReduceL2", slope, keepdims=0),
            LOSS: loss.value,
            CORRECT: loss.correct,
        }
        results |= {new(name): value for name, value in self._updated(slope).items()}
        for name, value in results.items():
            write_as(self._builder, value, name)
        return self._assembled(extended, before, tuple(results))

    def _updated(self, slope: Value) -> dict[str, Value]:
        names = [f"{PREFIX}{slot}" for slot in self._recipe.optimiser.slots]
        weights, slots = self._recipe.optimiser.update(
            self._vectors[WEIGHTS],
            slope,
            [self._vectors[name] for name in names],
            self._rate,
            self._count,
            self._decays,
        )
        updated = {WEIGHTS: weights, **dict(zip(names, slots, strict=True))}
        kept = weights
        if self._norms:
            updated[STATISTICS] = self._running()
            kept = self._builder.op("Concat", weights, updated[STATISTICS], axis=0)
        updated[AVERAGES] = self._averaged(kept)
        return updated

    def _running(self) -> Value:
        batch = write_pack(
            self._builder,
            [name for norm in self._norms for name in (norm.batch_mean, norm.batch_variance)],
        )
        return self._recipe.running * self._vectors[STATISTICS] + (1 - self._recipe.running) * batch

    def _averaged(self, kept: Value) -> Value:
        """The decay grows with the steps, count / (count + 9), so that the first weights are soon
        forgotten.
        """
        if not self._recipe.averaging:
            return kept
        growing = single(self._count / (self._count + 9.0))
        most = self._builder.constant(np.array(self._recipe.averaging, np.float32))
        decay = self._builder.op("Min", growing, most)
        return decay * self._vectors[AVERAGES] + (1 - decay) * kept

    def _assembled(
        self, extended: onnx.ModelProto, before: int, results: tuple[str, ...]
    ) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(extended)
        graph = model.graph
        del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
        nodes = self._builder.nodes
        graph.node.extend([*nodes[:before], *extended.graph.node, *nodes[before:]])
        read = {name for node in graph.node for name in node.input}
        del graph.initializer[:]
        constants = (*extended.graph.initializer, *self._builder.initializers)
        graph.initializer.extend(tensor for tensor in constants if tensor.name in read)
        learned = set(self._state[AVERAGES].names)
        graph.input.extend(value for value in extended.graph.input if value.name not in learned)
        graph.input.append(helper.make_tensor_value_info(RATE, TensorProto.FLOAT, []))
        graph.input.append(helper.make_tensor_value_info(COUNT, TensorProto.DOUBLE, []))
        for name, layout in self._state.items():
            graph.input.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [layout.size])
            )
        sizes = {new(name): [layout.size] for name, layout in self._state.items()}
        for name in results:
            graph.output.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes.get(name, []))
            )
        return model
