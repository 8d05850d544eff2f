"""Doubles that several processes count in and any of them can read."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.telemetry import shared_counters
from service.telemetry.shared_counters import Key, SharedCounters, Values

GET = Key("sum", "requests", ("GET",))
IN_FLIGHT = Key("livesum", "in flight", ())

KILLED = """
import os, signal, sys
from pathlib import Path
from service.telemetry.shared_counters import Key, SharedCounters

counters = SharedCounters(Path(sys.argv[1]), 1)
values = counters.values(Key("sum", "requests", ("GET",)), 2)
for _ in range(1000):
    values[0] += 1.0
counters.values(Key("livesum", "in flight", ()), 1)[0] = 5.0
os.kill(os.getpid(), signal.SIGKILL)
"""


def total(name: str, *labels: str) -> Key:
    return Key("sum", name, labels)


def test_a_series_has_the_same_values_each_time_and_zeros_at_first() -> None:
    counters = SharedCounters()
    first: Values = counters.values(GET, 3)
    assert [first[index] for index in range(3)] == [0, 0, 0]
    counters.values(GET, 3)[1] += 2.5
    counters.values(total("requests", "POST"), 1)[0] += 7
    assert counters.read() == {GET: (0, 2.5, 0), total("requests", "POST"): (7,)}


def test_every_worker_reads_the_values_of_all_put_together(tmp_path: Path) -> None:
    workers = [SharedCounters(tmp_path, slot) for slot in range(3)]
    for number, worker in enumerate(workers, 1):
        worker.values(GET, 2)[1] += number
        worker.values(Key("max", "last", ()), 1)[0] = 10 - number
        worker.values(IN_FLIGHT, 1)[0] = number
        worker.values(total("own", str(number)), 1)[0] = number
    expected = {GET: (0, 6), Key("max", "last", ()): (9,), IN_FLIGHT: (6,)} | {
        total("own", str(number)): (number,) for number in (1, 2, 3)
    }
    assert [worker.read() for worker in workers] == [expected] * 3
    workers[2].values(GET, 2)[1] += 1
    assert [worker.read()[GET] for worker in workers] == [(0, 7)] * 3


def test_each_workers_value_of_a_series_can_be_read_its_own_first(tmp_path: Path) -> None:
    workers = [SharedCounters(tmp_path, slot) for slot in range(3)]
    for slot in (0, 1):
        workers[slot].values(GET, 1)[0] = 10 + slot
    assert workers[1].read_each(GET) == [(11,), (10,)]
    assert workers[2].read_each(GET) == []


def test_counts_of_a_killed_worker_stay_its_successor_goes_on_and_its_gauges_are_reset(
    tmp_path: Path,
) -> None:
    watching = SharedCounters(tmp_path, 0)
    for killed in (1, 2):
        process = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60
        )
        assert process.returncode == -signal.SIGKILL
        assert watching.read()[GET] == (1000 * killed, 0)
        assert watching.read()[IN_FLIGHT] == (5,)
        SharedCounters(tmp_path, 1)
        assert watching.read()[IN_FLIGHT] == (0,)


def test_half_a_line_of_a_killed_worker_is_not_taken_for_a_series(tmp_path: Path) -> None:
    SharedCounters(tmp_path, 0).values(GET, 2)[0] += 3
    with (tmp_path / "0.keys").open("ab") as file:
        file.write(b'["sum", "torn", ["a"]')
    watching, again = SharedCounters(tmp_path, 1), SharedCounters(tmp_path, 0)
    again.values(total("complete"), 1)[0] += 1
    again.values(GET, 2)[0] += 1
    assert watching.read() == again.read() == {GET: (4, 0), total("complete"): (1,)}


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    reader, sibling = SharedCounters(tmp_path, 0), SharedCounters(tmp_path, 1)
    for size in range(1, 200):
        sibling.values(total("things", str(size)), size)[size - 1] = size
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


def test_series_that_do_not_fit_are_dropped_and_harm_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counters, "CAPACITY", 4096)
    for counters in (SharedCounters(), SharedCounters(tmp_path, 0)):
        counters.values(total("first"), 4000)[0] += 1
        for _ in range(2):
            counters.values(total("too large"), 97)[96] += 1
        counters.values(total("last"), 96)[95] += 1
        assert {key.name: sum(values) for key, values in counters.read().items()} == {
            "first": 1,
            "last": 1,
        }


def test_others_cannot_read_the_files(tmp_path: Path) -> None:
    SharedCounters(tmp_path, 0).values(GET, 1)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        "0.values": "0o600",
        "0.keys": "0o600",
    }
    assert os.path.getsize(tmp_path / "0.values") == 8 * shared_counters.CAPACITY  # noqa: PTH202
