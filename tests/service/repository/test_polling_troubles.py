"""Polling when something is wrong: what is bad, gone or unreadable leaves what is served as it is,
and is told.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

from service.errors import NotReady
from service.repository import scan as folders
from service.repository import scanner
from service.repository.entry import FILE_MISSING
from service.repository.loader import Loader
from tests.service.networks import MATRIX
from tests.service.repository.changing_folders import (
    Events,
    poll_twice,
    polled,
    put,
    served,
    states,
)


def test_a_bad_new_version_leaves_the_former_one_and_is_not_tried_again_until_it_changes(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    path = folder / "signals/2/model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"no network")
    for _ in range(5):
        manager.poll()
    assert manager.catalogue.get().version == "1"
    state, reason = states(manager)["signals:2"]
    assert (state, states(manager)["signals:1"]) == ("UNAVAILABLE", ("READY", ""))
    assert "corrupt" in reason
    assert [(line["event"], line["log_level"], line["reason"]) for line in events] == [
        ("model rejected", "error", reason)
    ]
    assert manager.catalogue.trouble == ""
    put(folder, "2")
    poll_twice(manager)
    assert manager.catalogue.get().version == "2"
    assert manager.catalogue.refused == ()


def test_a_version_whose_file_is_replaced_by_a_bad_one_goes_on_and_says_so(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    before = manager.catalogue.get()
    put(folder, text=MATRIX)
    poll_twice(manager)
    assert manager.catalogue.get() is before
    state, reason = states(manager)["signals:1"]
    assert state == "READY"
    assert "refused" in reason
    assert "not a CNN" in reason
    assert [(line["event"], line["serving"]) for line in events] == [
        ("model rejected", "the former one")
    ]
    put(folder)
    poll_twice(manager)
    # The first file is back, byte for byte.
    assert manager.catalogue.get() is before
    assert states(manager) == {"signals:1": ("READY", "")}


def test_the_last_version_goes_on_without_its_file_until_another_can_be_loaded(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    shutil.rmtree(folder / "signals/1")
    put(folder, "2", text=MATRIX)
    for _ in range(3):
        manager.poll()
    assert manager.catalogue.get().version == "1"
    assert states(manager)["signals:1"] == ("READY", FILE_MISSING)
    assert [line["event"] for line in events] == ["model rejected", "model file missing"]
    put(folder, "2")
    poll_twice(manager)
    assert served(manager) == ["signals:2"]


def test_a_models_folder_that_cannot_be_listed_changes_nothing_and_is_told_once(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    folder.rename(folder.with_name("away"))
    for _ in range(4):
        manager.poll()
    assert served(manager) == ["signals:1"]
    assert [line["event"] for line in events] == ["models folder unreadable"]
    folder.with_name("away").rename(folder)
    poll_twice(manager)
    assert served(manager) == ["signals:1"]


def test_a_model_whose_folder_cannot_be_listed_goes_on(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    put(folder, name="waves")
    manager = polled(folder, loader)
    listed = folders._folders

    def fail(path: Path) -> list[str]:
        if path.name == "waves":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(folders, "_folders", fail)
    for _ in range(3):
        manager.poll()
    assert served(manager) == ["signals:1", "waves:1"]
    assert [(line["event"], line["model"]) for line in events] == [
        ("model folder unreadable", "waves")
    ]


def test_a_default_that_appears_later_answers_then(folder: Path, loader: Loader) -> None:
    manager = polled(folder, loader, "waves:2")
    with pytest.raises(NotReady, match="the default model 'waves:2' is not served"):
        manager.catalogue.get()
    assert manager.catalogue.get("signals").name == "signals"
    assert manager.catalogue.trouble == ""
    put(folder, "2", name="waves")
    poll_twice(manager)
    assert manager.catalogue.get().name == "waves"
    assert manager.catalogue.without_default == ""
    shutil.rmtree(folder / "waves")
    poll_twice(manager)
    assert "waves:2" in manager.catalogue.without_default


def test_what_was_refused_is_forgotten_with_its_file(folder: Path, loader: Loader) -> None:
    put(folder, "2", text=MATRIX)
    manager = polled(folder, loader)
    assert manager.catalogue.counts == (1, 1)
    shutil.rmtree(folder / "signals/2")
    poll_twice(manager)
    assert manager.catalogue.counts == (1, 0)


def test_a_look_that_fails_does_not_end_the_looking(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    manager = polled(folder, loader)
    scan, scans = folders.scan, []

    def fail_once(path: Path) -> folders.Scan:
        scans.append(path)
        if len(scans) == 1:
            raise RuntimeError("a fault of the service")
        return scan(path)

    monkeypatch.setattr(scanner, "scan", fail_once)
    put(folder, "2")
    manager.watch(0.01)
    end = time.monotonic() + 30
    while len(served(manager)) == 1 and time.monotonic() < end:
        time.sleep(0.01)
    manager.close()
    assert served(manager) == ["signals:1", "signals:2"]
    assert [line["event"] for line in events] == [
        "models poll failed",
        "model loaded",
        "model swapped",
    ]


def test_a_file_that_was_half_copied_at_the_start_is_served_when_it_is_whole(
    folder: Path, loader: Loader
) -> None:
    path = folder / "signals/1/model.onnx"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    manager = polled(folder, loader)
    assert manager.catalogue.counts == (0, 1)
    path.write_bytes(content)
    poll_twice(manager)
    assert manager.catalogue.counts == (1, 0)


def test_a_link_that_leads_nowhere_beside_a_model_is_no_hindrance(
    folder: Path, loader: Loader
) -> None:
    (folder / "signals/1/notes.txt").symlink_to(folder / "nowhere")
    assert served(polled(folder, loader)) == ["signals:1"]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"two\nlines"])
def test_a_name_that_is_no_text_stays_out_and_is_told(
    folder: Path, loader: Loader, events: Events, name: bytes
) -> None:
    odd = folder / os.fsdecode(name)
    (folder / "signals").rename(odd)
    put(folder)
    assert served(polled(folder, loader)) == ["signals:1"]
    assert [(line["event"], line["model"]) for line in events] == [
        ("model folder unreadable", odd.name)
    ]
