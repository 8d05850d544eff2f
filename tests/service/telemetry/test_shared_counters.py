"""Numbers that several processes count and any of them can tell."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.telemetry import shared_counters
from service.telemetry.shared_counters import Key, SharedCounters

KILLED = """
import os, signal, sys
from pathlib import Path
from service.telemetry.shared_counters import SharedCounters

own = SharedCounters(Path(sys.argv[1]), 1)
block = own.block("sum", "requests", ("GET",), 2)
for _ in range(1000):
    block[0] += 1.0
own.block("now", "in flight", (), 1)[0] = 5.0
os.kill(os.getpid(), signal.SIGKILL)
"""


def requests(whole: SharedCounters) -> tuple[float, ...]:
    return whole.read()[Key("sum", "requests", ("GET",))]


def test_a_block_is_the_same_numbers_each_time_and_zero_at_first() -> None:
    own = SharedCounters()
    assert tuple(own.block("sum", "requests", ("GET",), 3)) == (0, 0, 0)  # type: ignore[arg-type]
    own.block("sum", "requests", ("GET",), 3)[1] += 2.5
    own.block("sum", "requests", ("POST",), 1)[0] += 7
    assert own.read() == {
        Key("sum", "requests", ("GET",)): (0, 2.5, 0),
        Key("sum", "requests", ("POST",)): (7,),
    }


def test_every_place_tells_the_sum_of_all_at_once_whoever_came_first(tmp_path: Path) -> None:
    places = [SharedCounters(tmp_path, place) for place in range(3)]
    for number, place in enumerate(places, 1):
        place.block("sum", "requests", ("GET",), 2)[1] += number
        place.block("latest", "last", (), 1)[0] = 10 - number
        place.block("now", "in flight", (), 1)[0] = number
        place.block("sum", "own", (str(number),), 1)[0] = number
    expected = {
        Key("sum", "requests", ("GET",)): (0, 6),
        Key("latest", "last", ()): (9,),
        Key("now", "in flight", ()): (6,),
    } | {Key("sum", "own", (str(number),)): (number,) for number in (1, 2, 3)}
    assert [place.read() for place in places] == [expected] * 3
    places[2].block("sum", "requests", ("GET",), 2)[1] += 1
    assert [requests(place) for place in places] == [(0, 7)] * 3


def test_counts_of_a_killed_process_stay_its_successor_goes_on_and_what_was_true_of_it_is_forgotten(
    tmp_path: Path,
) -> None:
    watching = SharedCounters(tmp_path, 0)
    for killed in (1, 2):
        process = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60
        )
        assert process.returncode == -signal.SIGKILL
        assert requests(watching) == (1000 * killed, 0)
        assert watching.read()[Key("now", "in flight", ())] == (5,)
        SharedCounters(tmp_path, 1)
        assert watching.read()[Key("now", "in flight", ())] == (0,)


def test_half_a_line_of_a_killed_process_is_not_taken_for_a_block(tmp_path: Path) -> None:
    SharedCounters(tmp_path, 0).block("sum", "requests", ("GET",), 2)[0] += 3
    with (tmp_path / "0.keys").open("ab") as file:
        file.write(b'["sum", "torn", ["a"]')
    watching, again = SharedCounters(tmp_path, 1), SharedCounters(tmp_path, 0)
    again.block("sum", "whole", (), 1)[0] += 1
    again.block("sum", "requests", ("GET",), 2)[0] += 1
    expected = {Key("sum", "requests", ("GET",)): (4, 0), Key("sum", "whole", ()): (1,)}
    assert watching.read() == again.read() == expected


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    reader, sibling = SharedCounters(tmp_path, 0), SharedCounters(tmp_path, 1)
    for size in range(1, 200):
        sibling.block("sum", "things", (str(size),), size)[size - 1] = size
    began, every = threading.Barrier(8), sys.getswitchinterval()

    def read(_: int) -> set[float]:
        began.wait(20)
        return {sum(values) - int(key.labels[0]) for key, values in reader.read().items()}

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, range(8))) == [{0}] * 8
    finally:
        sys.setswitchinterval(every)
    assert len(reader.read()) == 199


def test_too_many_numbers_are_counted_by_nobody_and_harm_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counters, "CELLS", 4096)
    for own in (SharedCounters(), SharedCounters(tmp_path, 0)):
        own.block("sum", "first", (), 4000)[0] += 1
        for _ in range(2):
            own.block("sum", "too large", (), 97)[96] += 1
        own.block("sum", "last", (), 96)[95] += 1
        assert {key.name: sum(values) for key, values in own.read().items()} == {
            "first": 1,
            "last": 1,
        }


def test_others_cannot_read_the_files(tmp_path: Path) -> None:
    SharedCounters(tmp_path, 0).block("sum", "requests", (), 1)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        "0.cells": "0o600",
        "0.keys": "0o600",
    }
    assert os.path.getsize(tmp_path / "0.cells") == 8 * shared_counters.CELLS  # noqa: PTH202
