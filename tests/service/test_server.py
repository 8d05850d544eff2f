"""Where the workers of a server count."""

from pathlib import Path

import pytest

from service import server
from service.errors import SettingsError
from service.telemetry.shared_counters import CAPACITY, Key, SharedCounters


def test_each_worker_has_room_of_its_own_and_all_of_it_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MEMORY", str(tmp_path))
    with server.counts(2) as folder:
        assert folder.parent == tmp_path
        assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
            "0.values": 8 * CAPACITY,
            "1.values": 8 * CAPACITY,
        }
        SharedCounters(folder, 1).values(Key("sum", "things", ()), 1)
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_folder_in_memory_the_temporary_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MEMORY", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with server.counts(1) as folder:
        assert folder.parent == tmp_path


def test_without_room_anywhere_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, start: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server, "MEMORY", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.posix_fallocate", full)
    with (
        pytest.raises(SettingsError, match=r"no room for what 2 workers count; .*No space left"),
        server.counts(2),
    ):
        raise AssertionError("there was room")
    assert list(tmp_path.iterdir()) == []
