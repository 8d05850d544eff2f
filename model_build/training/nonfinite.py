"""Anomaly detection: where numbers first became NaN or infinite.

The layers of the step that failed are computed once more, one by one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.graphs.subgraph import extract
from model_build.training.sessions import run
from model_build.training.step_graph import Step
from model_build.training.step_tensors import STATISTICS, WEIGHTS

Feeds = Mapping[str, NDArray[Any]]


def first_bad(step: Step, state: Feeds, batch: Feeds) -> str:
    """What first held NaN or infinity, in words.

    The weights, the input, a layer, the gradient of a weight or the loss. `state` is that before
    the step, `batch` what the step read beside it.
    """
    for name in (WEIGHTS, STATISTICS):
        if name in state:
            weights = step.state[name].unpack(np.asarray(state[name], np.float32))
            if bad := _first_nonfinite(weights):
                return f"the weights {bad!r}"
    floats = {name: array for name, array in batch.items() if array.dtype.kind == "f"}
    if bad := _first_nonfinite(floats):
        return f"the input {bad!r}"
    feeds = {**state, **batch}
    if bad := _first_nonfinite(_computed(step, dict(step.layers), feeds)):
        return f"layer {bad!r}"
    # The walk goes backwards: the last weight's gradient comes first.
    backwards = dict(reversed(list(step.gradients.items())))
    if bad := _first_nonfinite(_computed(step, backwards, feeds)):
        return f"the gradient of {bad!r}"
    return "the loss"


def _computed(step: Step, tensors: Mapping[str, str], feeds: Feeds) -> dict[str, NDArray[Any]]:
    model = extract(step.model, list(tensors.values()))
    return dict(zip(tensors, run(model, feeds), strict=True))


def _first_nonfinite(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            return name
    return None
