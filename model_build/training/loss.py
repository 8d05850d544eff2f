"""Softmax cross-entropy with label smoothing, its gradient and the number of right answers."""

from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from anatomy.graphs.builder import Builder, Value

FLOAT, WHOLE = np.dtype(np.float32), np.dtype(np.int64)


class Loss(NamedTuple):
    """Tensors of the loss.

    `value` is the mean over the batch in nats, `correct` the number of right answers, `gradient`
    that of `value` by the logits.
    """

    value: Value
    correct: Value
    gradient: Value


def cross_entropy(
    builder: Builder, logits: str, labels: str, size: tuple[int, int], label_smoothing: float
) -> Loss:
    """Write the loss of float32 `logits` [N, classes] and int64 `labels` [N] as ONNX operators.

    `size` is (N, classes). The target is 1 - label_smoothing for the right class, and
    label_smoothing shared evenly by all (Szegedy et al. 2016). The gradient is written as what it
    is, (softmax - target) / N: a walk through a logarithm of a softmax costs more.
    """
    batch, classes = size
    z, y = Value(logits, FLOAT, builder), Value(labels, WHOLE, builder)
    shared = label_smoothing / classes
    values = builder.constant(np.array([shared, 1 - label_smoothing + shared], np.float32))
    target = builder.op(
        "OneHot", y, builder.constant(np.array(classes)), values, dtype=FLOAT, axis=-1
    )
    logarithms = builder.op("LogSoftmax", z, axis=-1)
    loss = -builder.op("ReduceSum", target * logarithms, keepdims=0) / batch
    gradient = (builder.op("Softmax", z, axis=-1) - target) / batch
    right = builder.op("ArgMax", z, dtype=WHOLE, axis=-1, keepdims=0).equals(y)
    counted = builder.op("Cast", right, dtype=FLOAT, to=TensorProto.FLOAT)
    return Loss(loss, builder.op("ReduceSum", counted, keepdims=0), gradient)
