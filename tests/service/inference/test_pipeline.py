"""Which inputs go through the network together, and what comes back and is counted for each."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from anatomy import model_file
from service.errors import DeadlinePassed, FoveaError, Impossible
from service.inference.pipeline import Array, PreparedInput, run_batches
from service.repository.model import Model
from service.runtime.engine import Engine
from service.telemetry.statistics import Statistics
from tests.service.networks import parsed
from tests.service.repository.loading import catalogue_of

SUMS = """<ir_version: 8, opset_import: ["" : 18]>
sums (float[{batch},1,M] x) => (float[{batch},1] y) <int64[1] axes = {{2}}> {{
  p = MaxPool<kernel_shape=[1]>(x)
  y = ReduceSum<keepdims=0>(p, axes)
}}"""
LATER = 60.0


def model_of(folder: Path, batch: str = "N") -> Model:
    model_file.write(parsed(SUMS.format(batch=batch)), folder / "sums/1/model.onnx", None)
    return catalogue_of(folder, Engine("cpu", 1)).get()


def prepared(rows: int, size: int, deadline: float = LATER) -> PreparedInput:
    now = time.monotonic()
    return PreparedInput(
        np.ones((rows, 1, size), np.float32), now + deadline, now - 0.5, 0.25, 0.125
    )


class Ran:
    """Runs the model and keeps the shapes and the deadline of each run."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.statistics = Statistics()
        self.shapes: list[list[tuple[int, ...]]] = []
        self.deadlines: list[float] = []

    def run(self, arrays: Sequence[Array], deadline: float) -> Array:
        self.shapes.append([array.shape for array in arrays])
        self.deadlines.append(deadline)
        return self.model.run(arrays, deadline)[0]

    def split(
        self, sums: Array, batch: Sequence[PreparedInput], _: float
    ) -> list[float | FoveaError]:
        return [float(value) if value < 9 else Impossible("large") for value in sums[:, 0]]

    def __call__(self, *inputs: PreparedInput | FoveaError) -> list[float | FoveaError]:
        return run_batches(self.model, inputs, self.run, self.split, self.statistics)


def test_neighbours_of_one_shape_share_a_run_with_the_latest_deadline(tmp_path: Path) -> None:
    ran = Ran(model_of(tmp_path))
    inputs = [prepared(1, 3), prepared(1, 3, deadline=90), prepared(1, 2), prepared(1, 3)]
    assert ran(*inputs) == [3, 3, 2, 3]
    assert ran.shapes == [[(1, 1, 3), (1, 1, 3)], [(1, 1, 2)], [(1, 1, 3)]]
    assert ran.deadlines[0] == inputs[1].deadline


def test_a_model_of_a_fixed_batch_runs_each_by_itself(tmp_path: Path) -> None:
    ran = Ran(model_of(tmp_path, "1"))
    assert ran(prepared(1, 3), prepared(1, 3)) == [3, 3]
    assert len(ran.shapes) == 2


@pytest.mark.parametrize("rows", [(3, 3, 3), (1, 3, 4), (4, 1, 2, 1)])
def test_a_run_has_no_more_rows_than_the_largest_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[int, ...]
) -> None:
    model = model_of(tmp_path)
    monkeypatch.setitem(model.__dict__, "batch_sizes", (1, 2, 4))
    ran = Ran(model)
    run_batches(
        model,
        [prepared(count, 2) for count in rows],
        ran.run,
        lambda sums, batch, _: [0.0] * len(batch),
        None,
    )
    assert max(sum(shape[0] for shape in batch) for batch in ran.shapes) <= 4
    assert [shape[0] for batch in ran.shapes for shape in batch] == list(rows)


def test_an_error_stays_in_its_place_and_parts_no_neighbours(tmp_path: Path) -> None:
    ran, error = Ran(model_of(tmp_path)), Impossible("not decoded")
    assert ran(prepared(1, 3), error, prepared(1, 3)) == [3, error, 3]
    assert len(ran.shapes) == 1


def test_each_input_is_charged_with_its_own_wait_and_the_run_of_all(tmp_path: Path) -> None:
    ran = Ran(model_of(tmp_path))
    results = ran(prepared(1, 3), prepared(1, 3), prepared(1, 9))
    assert isinstance(results[2], Impossible)
    counted = ran.statistics.of("sums", "1")
    assert (counted.inference_count, counted.execution_count, counted.success.count) == (3, 2, 2)
    assert counted.queue.ns / 2e9 == pytest.approx(0.75, abs=0.2)
    assert counted.compute_input.ns / 2e9 == pytest.approx(0.125)


def test_nothing_is_counted_of_runs_that_fail_and_are_tried_again(tmp_path: Path) -> None:
    ran = Ran(model_of(tmp_path))
    with pytest.raises(DeadlinePassed):
        ran(prepared(1, 3), prepared(1, 2, deadline=-1))
    assert ran.statistics.of("sums", "1").execution_count == 0
