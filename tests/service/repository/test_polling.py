"""Polling: models are loaded, swapped and dropped as their files come, change and go. A look is
made by hand here.
"""

import os
import shutil
from pathlib import Path

import onnx
import pytest

from service.errors import NotReady, UnknownModel
from service.repository import scan as folders
from service.repository.loader import Loader
from tests.service.repository.changing_folders import Events, poll_twice, polled, put, served


def test_a_new_version_is_taken_at_the_second_look_and_answers_for_the_name(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    put(folder, "2", seed=1)
    manager.poll()
    assert served(manager) == ["signals:1"]
    manager.poll()
    assert manager.catalogue.get("signals").version == "2"
    assert manager.catalogue.get("signals:1").version == "1"
    assert [(line["event"], line.get("before")) for line in events] == [
        ("model loaded", None),
        ("model swapped", "1"),
    ]


def test_a_new_model_is_served_beside_the_others(folder: Path, loader: Loader) -> None:
    manager = polled(folder, loader)
    put(folder, name="waves")
    poll_twice(manager)
    assert served(manager) == ["signals:1", "waves:1"]


def test_a_folder_that_was_empty_at_the_start_is_served_when_it_is_filled(
    tmp_path: Path, loader: Loader
) -> None:
    manager = polled(tmp_path / "later", loader)
    with pytest.raises(NotReady, match="model_build"):
        manager.catalogue.get()
    put(tmp_path / "later")
    poll_twice(manager)
    assert manager.catalogue.get().name == "signals"
    assert manager.catalogue.trouble == ""


def test_a_file_that_grows_between_two_looks_waits_until_it_keeps_still(
    folder: Path, loader: Loader, events: Events
) -> None:
    content = put(folder.parent / "elsewhere").read_bytes()
    manager = polled(folder, loader)
    path = folder / "signals/2/model.onnx"
    path.parent.mkdir()
    for end in (10, 20, len(content) - 1):
        path.write_bytes(content[:end])
        manager.poll()
    path.write_bytes(content)
    manager.poll()
    assert (served(manager), events) == (["signals:1"], [])
    manager.poll()
    assert served(manager) == ["signals:1", "signals:2"]


def test_weights_beside_the_graph_that_still_grow_are_waited_for_too(
    folder: Path, loader: Loader
) -> None:
    manager = polled(folder, loader)
    path = put(folder, "2")
    manager.poll()
    (path.parent / "weights.bin").write_bytes(b"half")
    manager.poll()
    assert served(manager) == ["signals:1"]
    manager.poll()
    assert served(manager) == ["signals:1", "signals:2"]


def test_a_file_that_is_written_to_while_it_is_loaded_is_not_taken(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    manager = polled(folder, loader)
    path = put(folder, "2")
    load = Loader.load

    def written_meanwhile(self: Loader, files: folders.ModelFiles) -> object:
        model = load(self, files)
        put(folder, "2", seed=2)
        return model

    manager.poll()
    with monkeypatch.context() as patched:
        patched.setattr(Loader, "load", written_meanwhile)
        manager.poll()
    assert (served(manager), events) == (["signals:1"], [])
    poll_twice(manager)
    assert manager.catalogue.get().file.proto == onnx.load(path)


def test_a_version_whose_file_is_replaced_is_swapped(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    before = manager.catalogue.get()
    put(folder, seed=1)
    poll_twice(manager)
    after = manager.catalogue.get()
    assert after is not before
    assert after.version == "1"
    assert [line["event"] for line in events] == ["model loaded", "model swapped"]


def test_a_file_that_was_only_touched_is_not_loaded_again(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    before = manager.catalogue.get()
    os.utime(folder / "signals/1/model.onnx", ns=(1, 1))
    poll_twice(manager)
    assert manager.catalogue.get() is before
    assert events == []


def test_samples_and_hidden_files_are_no_change(folder: Path, loader: Loader) -> None:
    manager = polled(folder, loader)
    before = manager.catalogue.entries["signals", "1"].files.signature
    (folder / "signals/1/samples").mkdir()
    (folder / "signals/1/samples/a.csv").write_text("1")
    (folder / "signals/1/.model.onnx.part").write_text("1")
    assert folders.scan(folder).files["signals", "1"].signature == before
    assert served(manager) == ["signals:1"]


def test_a_version_that_was_deleted_goes_at_the_second_look(
    folder: Path, loader: Loader, events: Events
) -> None:
    put(folder, "2")
    manager = polled(folder, loader)
    shutil.rmtree(folder / "signals/2")
    manager.poll()
    assert manager.catalogue.get().version == "2"
    manager.poll()
    assert manager.catalogue.get().version == "1"
    assert [line["event"] for line in events] == ["model unloaded", "model swapped"]


def test_a_model_that_was_deleted_is_unknown_and_the_last_one_leaves_the_service_not_ready(
    folder: Path, loader: Loader
) -> None:
    put(folder, name="waves")
    manager = polled(folder, loader)
    shutil.rmtree(folder / "signals")
    poll_twice(manager)
    with pytest.raises(UnknownModel, match="served are waves"):
        manager.catalogue.get("signals")
    assert manager.catalogue.get().name == "waves"
    shutil.rmtree(folder / "waves")
    poll_twice(manager)
    with pytest.raises(NotReady):
        manager.catalogue.get("waves")


def test_a_version_that_is_renamed_is_served_without_a_gap(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = polled(folder, loader)
    (folder / "signals/1").rename(folder / "signals/2")
    manager.poll()
    assert served(manager) == ["signals:1"]
    manager.poll()
    assert served(manager) == ["signals:2"]
    assert [line["event"] for line in events] == ["model loaded", "model swapped", "model unloaded"]
