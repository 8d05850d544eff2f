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
from service.repository.loader import Loader
from service.repository.manager import GONE
from tests.service.networks import MATRIX
from tests.service.repository.changing_folders import Events, polled, put, served, told, twice


def test_a_bad_new_version_leaves_the_former_one_and_is_not_tried_again_until_it_changes(
    folder: Path, loader: Loader, events: Events
) -> None:
    control = polled(folder, loader)
    path = folder / "signals/2/model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"no network")
    for _ in range(5):
        control.look()
    assert control.repository.get().version == "1"
    state, reason = told(control)["signals:2"]
    assert (state, told(control)["signals:1"]) == ("UNAVAILABLE", ("READY", ""))
    assert "corrupt" in reason
    assert [(line["event"], line["log_level"], line["reason"]) for line in events] == [
        ("model refused", "error", reason)
    ]
    assert control.repository.trouble == ""
    put(folder, "2")
    twice(control)
    assert control.repository.get().version == "2"
    assert control.repository.refused == ()


def test_a_version_whose_file_is_replaced_by_a_bad_one_goes_on_and_says_so(
    folder: Path, loader: Loader, events: Events
) -> None:
    control = polled(folder, loader)
    before = control.repository.get()
    put(folder, text=MATRIX)
    twice(control)
    assert control.repository.get() is before
    state, reason = told(control)["signals:1"]
    assert state == "READY"
    assert "refused" in reason
    assert "not a CNN" in reason
    assert [(line["event"], line["serving"]) for line in events] == [
        ("model refused", "the former one")
    ]
    put(folder)
    twice(control)
    # The first file is back, byte for byte.
    assert control.repository.get() is before
    assert told(control) == {"signals:1": ("READY", "")}


def test_the_last_version_goes_on_without_its_file_until_another_can_be_loaded(
    folder: Path, loader: Loader, events: Events
) -> None:
    control = polled(folder, loader)
    shutil.rmtree(folder / "signals/1")
    put(folder, "2", text=MATRIX)
    for _ in range(3):
        control.look()
    assert control.repository.get().version == "1"
    assert told(control)["signals:1"] == ("READY", GONE)
    assert [line["event"] for line in events] == ["model refused", "model file gone"]
    put(folder, "2")
    twice(control)
    assert served(control) == ["signals:2"]


def test_a_models_folder_that_cannot_be_listed_changes_nothing_and_is_told_once(
    folder: Path, loader: Loader, events: Events
) -> None:
    control = polled(folder, loader)
    folder.rename(folder.with_name("away"))
    for _ in range(4):
        control.look()
    assert served(control) == ["signals:1"]
    assert [line["event"] for line in events] == ["models folder not read"]
    folder.with_name("away").rename(folder)
    twice(control)
    assert served(control) == ["signals:1"]


def test_a_model_whose_folder_cannot_be_listed_goes_on(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    put(folder, name="waves")
    control = polled(folder, loader)
    listed = folders._folders

    def fail(path: Path) -> list[str]:
        if path.name == "waves":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(folders, "_folders", fail)
    for _ in range(3):
        control.look()
    assert served(control) == ["signals:1", "waves:1"]
    assert [(line["event"], line["model"]) for line in events] == [
        ("model folder not read", "waves")
    ]


def test_a_default_that_appears_later_answers_then(folder: Path, loader: Loader) -> None:
    control = polled(folder, loader, "waves:2")
    with pytest.raises(NotReady, match="the default model 'waves:2' is not served"):
        control.repository.get()
    assert control.repository.get("signals").name == "signals"
    assert control.repository.trouble == ""
    put(folder, "2", name="waves")
    twice(control)
    assert control.repository.get().name == "waves"
    assert control.repository.without_default == ""
    shutil.rmtree(folder / "waves")
    twice(control)
    assert "waves:2" in control.repository.without_default


def test_what_was_refused_is_forgotten_with_its_file(folder: Path, loader: Loader) -> None:
    put(folder, "2", text=MATRIX)
    control = polled(folder, loader)
    assert control.repository.counts == (1, 1)
    shutil.rmtree(folder / "signals/2")
    twice(control)
    assert control.repository.counts == (1, 0)


def test_a_look_that_fails_does_not_end_the_looking(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    control = polled(folder, loader)
    look, looks = folders.scan, []

    def fail_once(path: Path) -> folders.Scan:
        looks.append(path)
        if len(looks) == 1:
            raise RuntimeError("a fault of the service")
        return look(path)

    monkeypatch.setattr(folders, "scan", fail_once)
    put(folder, "2")
    control.watch(0.01)
    end = time.monotonic() + 30
    while len(served(control)) == 1 and time.monotonic() < end:
        time.sleep(0.01)
    control.close()
    assert served(control) == ["signals:1", "signals:2"]
    assert [line["event"] for line in events] == [
        "models not looked at",
        "model loaded",
        "model swapped",
    ]


def test_a_file_that_was_half_copied_at_the_start_is_served_when_it_is_whole(
    folder: Path, loader: Loader
) -> None:
    path = folder / "signals/1/model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    control = polled(folder, loader)
    assert control.repository.counts == (0, 1)
    path.write_bytes(whole)
    twice(control)
    assert control.repository.counts == (1, 0)


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
        ("model folder not read", odd.name)
    ]
