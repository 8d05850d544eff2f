"""What the server is measured against: the model alone in ONNX Runtime, and a plain loop around it
without HTTP.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime

from anatomy.cards.card import ImageInput
from benchmarks.serving.pictures import plain

Array = np.ndarray[Any, Any]
TOP_K = 5


class Bare:
    """A session with one thread that does not spin: what the network itself costs, with nothing
    around it.
    """

    def __init__(self, proto: onnx.ModelProto, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, ["CPUExecutionProvider"]
        )
        self._input: str = self._session.get_inputs()[0].name

    def __call__(self, batch: Array) -> Array:
        """The first output for a batch, [N, ...]."""
        output: Array = self._session.run(None, {self._input: batch})[0]
        return output


@dataclass(frozen=True)
class Cost:
    """Of one item: processor seconds on average, and seconds by the clock as the median of the
    runs.
    """

    cpu: float
    wall: float


def cost(run: Callable[[], object], items: int, seconds: float) -> Cost:
    """Run again and again for so long, `items` items each time; everything else in this process
    must be at rest.
    """
    run()
    walls: list[float] = []
    end = time.perf_counter() + seconds
    began = time.process_time()
    while not walls or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        walls.append(time.perf_counter() - start)
    cpu = time.process_time() - began
    return Cost(cpu / len(walls) / items, statistics.median(walls) / items)


def naive(
    bare: Bare, bodies: Sequence[bytes], spec: ImageInput, labels: Sequence[str]
) -> list[str]:
    """The loop that anybody would write: decode and resize with Pillow, run the batch, the
    strongest five as JSON.
    """
    batch = np.stack([plain(body, spec) for body in bodies])
    answers = []
    for scores in bare(batch):
        order = np.argsort(-scores, kind="stable")[:TOP_K].tolist()
        classes = [
            {"index": index, "label": labels[index], "probability": float(scores[index])}
            for index in order
        ]
        answers.append(json.dumps({"predictions": classes}))
    return answers


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
