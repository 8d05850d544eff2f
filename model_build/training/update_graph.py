"""What a step's graph has around the network and its gradients.

In front the weights are taken out of their vector; behind are the optimiser's update, the running
statistics and the moving averages, as new vectors.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.graphs.builder import Builder, Value
from model_build.training.batch_norm import RunningStatistics
from model_build.training.flat_parameters import ParameterLayout, write_as, write_pack
from model_build.training.hyperparameters import StepConfig
from model_build.training.loss import Loss
from model_build.training.optimiser import single
from model_build.training.step_tensors import (
    AVERAGES,
    CORRECT,
    GRADIENT_NORM,
    LEARNING_RATE,
    LOSS,
    PREFIX,
    STATISTICS,
    STEP_NUMBER,
    WEIGHTS,
    new,
    slot,
)

FLOAT = np.dtype(np.float32)


class UpdateGraph:
    """Writes a step's graph around a network with its gradients."""

    def __init__(
        self,
        config: StepConfig,
        state: Mapping[str, ParameterLayout],
        decay_mask: NDArray[np.float32],
        norms: Sequence[RunningStatistics],
    ) -> None:
        self._config, self._state, self._norms = config, state, norms
        self._builder = Builder(PREFIX)
        self._vectors = {name: Value(name, FLOAT, self._builder) for name in state}
        self._decay_mask = self._builder.constant(decay_mask)
        self._learning_rate = Value(LEARNING_RATE, FLOAT, self._builder)
        self._step = Value(STEP_NUMBER, np.dtype(np.float64), self._builder)

    def model(
        self, extended: onnx.ModelProto, loss: Loss, gradients: Sequence[str]
    ) -> onnx.ModelProto:
        """The graph of the whole step."""
        for name in (WEIGHTS, STATISTICS):
            if name in self._state and self._state[name].names:
                self._state[name].write_unpack(self._builder, self._vectors[name])
        nodes_in_front = len(self._builder.nodes)
        grad = write_pack(self._builder, gradients)
        results = {
            GRADIENT_NORM: self._builder.op("ReduceL2", grad, keepdims=0),
            LOSS: loss.value,
            CORRECT: loss.correct,
        }
        for name, value in self._updated(grad).items():
            results[new(name)] = value
        for name, value in results.items():
            write_as(self._builder, value, name)
        return self._assembled(extended, nodes_in_front, tuple(results))

    def _updated(self, grad: Value) -> dict[str, Value]:
        """The new vector of each vector of the state."""
        optimiser = self._config.optimiser
        slots = [slot(name) for name in optimiser.slots]
        weights, new_slots = optimiser.update(
            self._vectors[WEIGHTS],
            grad,
            [self._vectors[name] for name in slots],
            self._learning_rate,
            self._step,
            self._decay_mask,
        )
        updated = {WEIGHTS: weights, **dict(zip(slots, new_slots, strict=True))}
        parameters = weights
        if self._norms:
            updated[STATISTICS] = self._running_statistics()
            parameters = self._builder.op("Concat", weights, updated[STATISTICS], axis=0)
        updated[AVERAGES] = self._averages(parameters)
        return updated

    def _running_statistics(self) -> Value:
        names = [name for norm in self._norms for name in (norm.batch_mean, norm.batch_variance)]
        batch = write_pack(self._builder, names)
        momentum = self._config.batch_norm_momentum
        return momentum * self._vectors[STATISTICS] + (1 - momentum) * batch

    def _averages(self, parameters: Value) -> Value:
        """The exponential moving average of all parameters.

        Its decay grows with the steps, step / (step + 9), so that the first weights are soon
        forgotten.
        """
        if not self._config.ema_decay:
            return parameters
        growing = single(self._step / (self._step + 9.0))
        limit = self._builder.constant(np.array(self._config.ema_decay, np.float32))
        decay = self._builder.op("Min", growing, limit)
        return decay * self._vectors[AVERAGES] + (1 - decay) * parameters

    def _assembled(
        self, extended: onnx.ModelProto, nodes_in_front: int, results: tuple[str, ...]
    ) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(extended)
        graph = model.graph
        del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
        del graph.initializer[:]
        nodes = self._builder.nodes
        graph.node.extend([*nodes[:nodes_in_front], *extended.graph.node, *nodes[nodes_in_front:]])
        read = {name for node in graph.node for name in node.input}
        constants = (*extended.graph.initializer, *self._builder.initializers)
        graph.initializer.extend(tensor for tensor in constants if tensor.name in read)
        graph.input.extend(self._inputs(extended.graph))
        sizes = {new(name): [layout.size] for name, layout in self._state.items()}
        graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes.get(name, []))
            for name in results
        )
        return model

    def _inputs(self, network: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
        """The batch, the learning rate, the number of the step, and the vectors of the state."""
        parameters = set(self._state[AVERAGES].names)
        vectors = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [layout.size])
            for name, layout in self._state.items()
        ]
        return [
            *(value for value in network.input if value.name not in parameters),
            helper.make_tensor_value_info(LEARNING_RATE, TensorProto.FLOAT, []),
            helper.make_tensor_value_info(STEP_NUMBER, TensorProto.DOUBLE, []),
            *vectors,
        ]
