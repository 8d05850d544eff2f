"""Where numbers first stopped being numbers: the layers of the step that failed, run once more one
by one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.graphs.subgraph import extract
from model_build.training.sessions import run
from model_build.training.step_graph import STATISTICS, WEIGHTS, Step

Feeds = Mapping[str, NDArray[Any]]


def first_bad(step: Step, state: Feeds, batch: Feeds) -> str:
    """What first held NaN or infinity, in words: the batch, a weight, a layer, the loss or the
    gradient of a weight.

    `state` is that before the step, `batch` what the step read beside it.
    """
    for name in (WEIGHTS, STATISTICS):
        if name in state and (
            bad := _first(step.state[name].unpack(np.asarray(state[name], np.float32)))
        ):
            return f"the weights {bad!r}"
    if bad := _first({name: array for name, array in batch.items() if array.dtype.kind == "f"}):
        return f"the input {bad!r}"
    feeds = {**state, **batch}
    if bad := _first(_computed(step, dict(step.layers), feeds)):
        return f"layer {bad!r}"
    # The walk goes backwards: the last weight's gradient comes first.
    if bad := _first(_computed(step, dict(reversed([*step.gradients.items()])), feeds)):
        return f"the gradient of {bad!r}"
    return "the loss"


def _computed(step: Step, tensors: Mapping[str, str], feeds: Feeds) -> dict[str, NDArray[Any]]:
    model = extract(step.model, list(tensors.values()))
    return dict(zip(tensors, run(model, feeds), strict=True))


def _first(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    return next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
