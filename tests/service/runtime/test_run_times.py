"""What the runs of a session took: the shortest, and a maximum that decays."""

import math

from service.runtime.run_times import DECAY, RunTimes


def test_before_the_first_run_both_are_infinite() -> None:
    times = RunTimes()
    assert (times.shortest, times.recent_maximum) == (math.inf, math.inf)


def test_the_shortest_stays_and_the_maximum_decays_to_what_runs_take() -> None:
    times = RunTimes()
    for seconds in (1.0, 0.001, 0.001):
        times.record(seconds, seconds)
    assert times.shortest == 0.001
    assert times.recent_maximum == DECAY**2
    for _ in range(100):
        times.record(0.001, 0.001)
    assert times.recent_maximum == 0.001


def test_one_long_run_is_remembered_at_once() -> None:
    times = RunTimes()
    for seconds in (0.001, 0.5):
        times.record(seconds, seconds)
    assert (times.shortest, times.recent_maximum) == (0.001, 0.5)


def test_waiting_counts_for_neither() -> None:
    times = RunTimes()
    times.record(0.001, 0.001)
    times.record(0.5, 0.002)
    assert (times.shortest, times.recent_maximum) == (0.001, 0.002)
