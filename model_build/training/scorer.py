"""Scores of a network while it is being trained, with the averaged weights on the device."""

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.graphs.builder import Builder, Value
from model_build.datasets.split import Split
from model_build.training.flat_parameters import ParameterLayout, write_as
from model_build.training.sessions import Device, on_device, session
from model_build.training.step_tensors import AVERAGES, PREFIX

ANSWERS = f"{PREFIX}answers"


class Scorer:
    """The network that `export.trainable` gave, its parameters read from one vector."""

    def __init__(
        self,
        forward: onnx.ModelProto,
        parameters: ParameterLayout,
        device: Device = "cpu",
        threads: int | None = None,
    ) -> None:
        self._session = session(_answering(forward, parameters), device, threads)
        self._device: Device = device
        self._examples = forward.graph.input[0].name

    def answers(
        self, parameters: onnxruntime.OrtValue, examples: Split, batch_size: int = 500
    ) -> NDArray[np.int64]:
        """The most probable class of each example."""
        answers = []
        for start in range(0, len(examples), batch_size):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(AVERAGES, parameters)
            inputs = on_device(examples.inputs[start : start + batch_size], self._device)
            binding.bind_ortvalue_input(self._examples, inputs)
            binding.bind_output(ANSWERS)
            self._session.run_with_iobinding(binding)
            answers.append(binding.copy_outputs_to_cpu()[0])
        return np.concatenate(answers)

    def accuracy(self, parameters: onnxruntime.OrtValue, examples: Split) -> float:
        """The share of examples that are answered right."""
        return float((self.answers(parameters, examples) == examples.labels).mean())


def _answering(forward: onnx.ModelProto, parameters: ParameterLayout) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(forward)
    before, after = Builder(f"{PREFIX}before."), Builder(f"{PREFIX}after.")
    parameters.write_unpack(before, Value(AVERAGES, np.dtype(np.float32), before))
    logits = Value(forward.graph.output[0].name, np.dtype(np.float32), after)
    write_as(after, after.op("ArgMax", logits, dtype=np.int64, axis=-1, keepdims=0), ANSWERS)
    graph = model.graph
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*before.nodes, *forward.graph.node, *after.nodes])
    graph.initializer.extend(before.initializers)
    graph.input.extend(value for value in forward.graph.input if value.name not in parameters.names)
    graph.input.append(
        helper.make_tensor_value_info(AVERAGES, TensorProto.FLOAT, [parameters.size])
    )
    graph.output.append(helper.make_tensor_value_info(ANSWERS, TensorProto.INT64, ["N"]))
    return model
