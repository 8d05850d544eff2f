"""What each model version did, counted as Triton counts."""

import threading
from pathlib import Path

import pytest

from service.telemetry.metrics import STAGE_BOUNDS, Metrics
from service.telemetry.shared_counters import SharedCounters
from service.telemetry.statistics import (
    MAX_BATCH_SIZES,
    BatchStatistics,
    Duration,
    Statistics,
)

MS = 1_000_000


def test_an_execution_charges_each_request_with_its_wait_and_the_whole_computation() -> None:
    statistics = Statistics()
    statistics.record(
        "digits", "1", 3, [0.001, 0.002, 0.003], decode=0.010, run=0.020, encode=0.005
    )
    statistics.record("digits", "1", 1, [0.004], decode=0.001, run=0.002, encode=0.003)
    digits = statistics.of("digits", "1")
    assert (digits.inference_count, digits.execution_count) == (4, 2)
    assert digits.queue == Duration(4, 10 * MS)
    assert digits.compute_input == Duration(4, 31 * MS)
    assert digits.compute_infer == Duration(4, 62 * MS)
    assert digits.compute_output == Duration(4, 18 * MS)
    assert digits.success == Duration(4, 121 * MS)
    assert digits.batch_stats == (
        BatchStatistics(1, Duration(1, MS), Duration(1, 2 * MS), Duration(1, 3 * MS)),
        BatchStatistics(3, Duration(1, 10 * MS), Duration(1, 20 * MS), Duration(1, 5 * MS)),
    )


def test_a_request_may_carry_several_inferences() -> None:
    statistics = Statistics()
    statistics.record("digits", "1", 8, [0.0], 0.0, 0.001, 0.0)
    digits = statistics.of("digits", "1")
    assert (digits.inference_count, digits.execution_count, digits.success.count) == (8, 1, 1)
    assert [batch.batch_size for batch in digits.batch_stats] == [8]


def test_the_last_inference_is_the_time_of_day_in_milliseconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = (Statistics(Metrics(SharedCounters(tmp_path, slot))) for slot in range(2))
    assert one.of("digits", "1").last_inference == 0
    for statistics, now in ((one, 1_700_000_000.25), (other, 1_600_000_000.0)):
        monkeypatch.setattr("service.telemetry.statistics.time.time", lambda now=now: now)
        statistics.record("digits", "1", 1, [0.0], 0.0, 0.0, 0.0)
    assert other.of("digits", "1").last_inference == 1_700_000_000_250


def test_failures_are_counted_by_reason_and_not_as_inferences() -> None:
    statistics = Statistics()
    statistics.failed("digits", "1", "REJECTED", 0.001)
    statistics.failed("digits", "1", "REJECTED", 0.001)
    statistics.failed("digits", "1", "BACKEND", 0.5)
    digits = statistics.of("digits", "1")
    assert (digits.fail, dict(digits.failures)) == (
        Duration(3, 502 * MS),
        {"BACKEND": 1, "REJECTED": 2},
    )
    assert (digits.success.count, digits.inference_count, digits.execution_count) == (0, 0, 0)


def test_runs_of_a_layer_are_no_inferences() -> None:
    statistics = Statistics()
    statistics.layer_run("digits", "1", 0.25)
    digits = statistics.of("digits", "1")
    assert digits.layer_runs == Duration(1, 250 * MS)
    assert (digits.inference_count, digits.execution_count, digits.success.count) == (0, 0, 0)


def test_versions_are_told_apart_and_all_are_listed_in_order() -> None:
    statistics = Statistics()
    statistics.record("digits", "2", 1, [0.0], 0.0, 0.0, 0.0)
    statistics.failed("digits", "1", "OTHER", 0.0)
    statistics.layer_run("a", "1", 0.0)
    assert [(model.name, model.version) for model in statistics.all()] == [
        ("a", "1"),
        ("digits", "1"),
        ("digits", "2"),
    ]
    assert [model.success.count for model in statistics.all()] == [0, 0, 1]
    assert statistics.of("nobody", "1").success == Duration(0, 0)


def test_any_process_tells_the_sum_of_all(tmp_path: Path) -> None:
    one, other = (Statistics(Metrics(SharedCounters(tmp_path, slot))) for slot in range(2))
    one.record("digits", "1", 2, [0.001, 0.001], 0.0, 0.002, 0.0)
    other.record("digits", "1", 2, [0.001, 0.003], 0.0, 0.004, 0.0)
    other.record("digits", "1", 5, [0.0] * 5, 0.0, 0.0, 0.0)
    assert one.of("digits", "1") == other.of("digits", "1")
    digits = one.of("digits", "1")
    assert (digits.inference_count, digits.execution_count, digits.queue) == (
        9,
        3,
        Duration(9, 6 * MS),
    )
    assert [(batch.batch_size, batch.compute_infer) for batch in digits.batch_stats] == [
        (2, Duration(2, 6 * MS)),
        (5, Duration(1, 0)),
    ]


def test_the_buckets_of_a_stage_hold_what_the_smaller_ones_hold_too() -> None:
    statistics = Statistics()
    for seconds in (STAGE_BOUNDS[0] / 2, STAGE_BOUNDS[0], STAGE_BOUNDS[3], 2 * STAGE_BOUNDS[-1]):
        statistics.record("digits", "1", 1, [0.0], 0.0, seconds, 0.0)
    run = statistics.of("digits", "1").stages["run"]
    assert run == (2, 2, 2, *(3,) * (len(STAGE_BOUNDS) - 3), 4)
    assert statistics.of("digits", "1").stages["queue"] == (4,) * (len(STAGE_BOUNDS) + 1)


def test_callers_who_choose_endless_batch_sizes_cost_no_endless_memory() -> None:
    statistics = Statistics()
    for size in range(1, MAX_BATCH_SIZES + 100):
        statistics.record("digits", "1", size, [0.0], 0.0, 0.0, 0.0)
    digits = statistics.of("digits", "1")
    assert len(digits.batch_stats) == MAX_BATCH_SIZES
    assert digits.execution_count == MAX_BATCH_SIZES + 99
    assert digits.inference_count == sum(range(1, MAX_BATCH_SIZES + 100))


def test_nothing_is_lost_when_many_threads_count() -> None:
    statistics = Statistics()

    def work() -> None:
        for _ in range(2000):
            statistics.record("digits", "1", 2, [0.0, 0.0], 0.0, 0.0, 0.0)
            statistics.failed("digits", "1", "OTHER", 0.0)
            statistics.layer_run("digits", "1", 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    digits = statistics.of("digits", "1")
    assert (digits.inference_count, digits.execution_count, digits.success.count) == (
        32_000,
        16_000,
        32_000,
    )
    assert (digits.fail.count, digits.layer_runs.count) == (16_000, 16_000)
    assert digits.stages["queue"][-1] == 32_000
