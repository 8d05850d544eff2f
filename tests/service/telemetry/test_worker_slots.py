"""Where the workers of a server count."""

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.telemetry import worker_slots as module
from service.telemetry.shared_counters import CAPACITY
from service.telemetry.worker_slots import worker_slots


def test_each_worker_has_a_slot_of_its_own_and_all_of_them_go_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", str(tmp_path))
    with worker_slots(2) as slots:
        [folder] = tmp_path.iterdir()
        assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
            "0.values": 8 * CAPACITY,
            "1.values": 8 * CAPACITY,
        }
        slots[1].metrics().sessions_built.inc()
        assert (folder / "1.keys").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_successor_goes_on_counting_and_the_gauges_of_a_dead_worker_are_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", str(tmp_path))
    with worker_slots(1) as [slot]:
        dead = slot.metrics()
        dead.sessions_built.inc(3)
        dead.queue_length.set(5)
        slot.reset_gauges()
        successor = slot.metrics()
        assert (successor.sessions_built.value, successor.queue_length.value) == (3, 0)


def test_where_there_is_no_folder_in_memory_the_temporary_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with worker_slots(1) as [slot]:
        assert slot.folder.parent == tmp_path


def test_without_room_anywhere_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, start: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "MEMORY", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.posix_fallocate", full)
    with (
        pytest.raises(SettingsError, match=r"no room for what 2 workers count; .*No space left"),
        worker_slots(2),
    ):
        raise AssertionError("there was room")
    assert list(tmp_path.iterdir()) == []
