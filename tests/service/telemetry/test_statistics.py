"""What each model version did, counted as Triton counts."""

import threading
from pathlib import Path

import pytest

from service.telemetry.shared_counters import SharedCounters
from service.telemetry.statistics import BOUNDS, SIZES, BatchStatistics, Duration, Statistics

MS = 1_000_000


def test_an_execution_charges_each_request_with_its_wait_and_the_whole_computation() -> None:
    own = Statistics()
    own.record("digits", "1", 3, [0.001, 0.002, 0.003], decode=0.010, run=0.020, encode=0.005)
    own.record("digits", "1", 1, [0.004], decode=0.001, run=0.002, encode=0.003)
    found = own.of("digits", "1")
    assert (found.inference_count, found.execution_count) == (4, 2)
    assert found.queue == Duration(4, 10 * MS)
    assert found.compute_input == Duration(4, 31 * MS)
    assert found.compute_infer == Duration(4, 62 * MS)
    assert found.compute_output == Duration(4, 18 * MS)
    assert found.success == Duration(4, 121 * MS)
    assert found.batch_stats == (
        BatchStatistics(1, Duration(1, MS), Duration(1, 2 * MS), Duration(1, 3 * MS)),
        BatchStatistics(3, Duration(1, 10 * MS), Duration(1, 20 * MS), Duration(1, 5 * MS)),
    )


def test_a_request_may_carry_several_inferences() -> None:
    own = Statistics()
    own.record("digits", "1", 8, [0.0], 0.0, 0.001, 0.0)
    found = own.of("digits", "1")
    assert (found.inference_count, found.execution_count, found.success.count) == (8, 1, 1)
    assert [batch.batch_size for batch in found.batch_stats] == [8]


def test_the_last_inference_is_the_time_of_day_in_milliseconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, other = (Statistics(SharedCounters(tmp_path, place)) for place in range(2))
    assert one.of("digits", "1").last_inference == 0
    for own, now in ((one, 1_700_000_000.25), (other, 1_600_000_000.0)):
        monkeypatch.setattr("service.telemetry.statistics.time.time", lambda now=now: now)
        own.record("digits", "1", 1, [0.0], 0.0, 0.0, 0.0)
    assert other.of("digits", "1").last_inference == 1_700_000_000_250


def test_failures_are_counted_by_reason_and_not_as_inferences() -> None:
    own = Statistics()
    own.failed("digits", "1", "REJECTED", 0.001)
    own.failed("digits", "1", "REJECTED", 0.001)
    own.failed("digits", "1", "BACKEND", 0.5)
    found = own.of("digits", "1")
    assert (found.fail, dict(found.failures)) == (
        Duration(3, 502 * MS),
        {"BACKEND": 1, "REJECTED": 2},
    )
    assert (found.success.count, found.inference_count, found.execution_count) == (0, 0, 0)


def test_runs_of_a_layer_are_no_inferences() -> None:
    own = Statistics()
    own.layer_run("digits", "1", 0.25)
    found = own.of("digits", "1")
    assert found.layer_runs == Duration(1, 250 * MS)
    assert (found.inference_count, found.execution_count, found.success.count) == (0, 0, 0)


def test_versions_are_told_apart_and_all_are_listed_in_order() -> None:
    own = Statistics()
    own.record("digits", "2", 1, [0.0], 0.0, 0.0, 0.0)
    own.failed("digits", "1", "OTHER", 0.0)
    own.layer_run("a", "1", 0.0)
    assert [(each.name, each.version) for each in own.all()] == [
        ("a", "1"),
        ("digits", "1"),
        ("digits", "2"),
    ]
    assert [each.success.count for each in own.all()] == [0, 0, 1]
    assert own.of("nobody", "1").success == Duration(0, 0)


def test_any_process_tells_the_sum_of_all(tmp_path: Path) -> None:
    one, other = (Statistics(SharedCounters(tmp_path, place)) for place in range(2))
    one.record("digits", "1", 2, [0.001, 0.001], 0.0, 0.002, 0.0)
    other.record("digits", "1", 2, [0.001, 0.003], 0.0, 0.004, 0.0)
    other.record("digits", "1", 5, [0.0] * 5, 0.0, 0.0, 0.0)
    assert one.of("digits", "1") == other.of("digits", "1")
    found = one.of("digits", "1")
    assert (found.inference_count, found.execution_count, found.queue) == (
        9,
        3,
        Duration(9, 6 * MS),
    )
    assert [(each.batch_size, each.compute_infer) for each in found.batch_stats] == [
        (2, Duration(2, 6 * MS)),
        (5, Duration(1, 0)),
    ]


def test_the_buckets_of_a_stage_hold_what_the_smaller_ones_hold_too() -> None:
    own = Statistics()
    for seconds in (BOUNDS[0] / 2, BOUNDS[0], BOUNDS[3], 2 * BOUNDS[-1]):
        own.record("digits", "1", 1, [0.0], 0.0, seconds, 0.0)
    run = own.of("digits", "1").stages["run"]
    assert run == (2, 2, 2, *(3,) * (len(BOUNDS) - 3), 4)
    assert own.of("digits", "1").stages["queue"] == (4,) * (len(BOUNDS) + 1)


def test_callers_who_choose_endless_batch_sizes_cost_no_endless_memory() -> None:
    own = Statistics()
    for size in range(1, SIZES + 100):
        own.record("digits", "1", size, [0.0], 0.0, 0.0, 0.0)
    found = own.of("digits", "1")
    assert len(found.batch_stats) == SIZES
    assert found.execution_count == SIZES + 99
    assert found.inference_count == sum(range(1, SIZES + 100))


def test_nothing_is_lost_when_many_threads_count() -> None:
    own = Statistics()

    def work() -> None:
        for _ in range(2000):
            own.record("digits", "1", 2, [0.0, 0.0], 0.0, 0.0, 0.0)
            own.failed("digits", "1", "OTHER", 0.0)
            own.layer_run("digits", "1", 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = own.of("digits", "1")
    assert (found.inference_count, found.execution_count, found.success.count) == (
        32_000,
        16_000,
        32_000,
    )
    assert (found.fail.count, found.layer_runs.count) == (16_000, 16_000)
    assert found.stages["queue"][-1] == 32_000
