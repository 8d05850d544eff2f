"""Loading on request: by name, all versions of a model as they are on disk; and what becomes of
what is unloaded.
"""

import gc
import shutil
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from service.errors import ModelRefused, NotAllowed, NotReady, SettingsError, UnknownModel
from service.inference.inspector import Inspector
from service.repository import scan as folders
from service.repository.loader import Loader
from service.repository.manager import BEING_WRITTEN, ModelManager
from service.repository.model import Model
from service.services import Services
from service.settings import Settings
from tests.service.conftest import Start
from tests.service.networks import MATRIX
from tests.service.repository.changing_folders import Events, put, served, states


def explicit(folder: Path, loader: Loader, *names: str) -> ModelManager:
    return ModelManager(folder, loader, "explicit", None, names)


@pytest.mark.parametrize("mode", ["none", "poll"])
def test_loading_on_request_is_for_explicit_only(folder: Path, loader: Loader, mode: str) -> None:
    manager = ModelManager(folder, loader, mode)  # type: ignore[arg-type]
    for ask in (manager.load, manager.unload):
        with pytest.raises(NotAllowed, match=f"FOVEA_MODEL_CONTROL is '{mode}'"):
            ask("signals")
    assert states(manager) == {"signals:1": ("READY", "")}


def test_on_request_nothing_is_loaded_before_it_is_asked_for(
    folder: Path, loader: Loader, events: Events
) -> None:
    manager = explicit(folder, loader)
    assert states(manager) == {"signals:1": ("UNAVAILABLE", "not loaded")}
    assert manager.catalogue.trouble == ""
    with pytest.raises(NotReady, match="no model is loaded"):
        manager.catalogue.get()
    with pytest.raises(UnknownModel, match="served are none"):
        manager.catalogue.get("signals")
    manager.load("signals")
    assert manager.catalogue.get().name == "signals"
    assert states(manager) == {"signals:1": ("READY", "")}
    manager.unload("signals")
    manager.unload("signals")
    assert states(manager) == {"signals:1": ("UNAVAILABLE", "not loaded")}
    assert [line["event"] for line in events] == ["model loaded", "model unloaded"]


@pytest.mark.parametrize(
    ("names", "expected"), [(("waves",), ["waves:1"]), (("*",), ["signals:1", "waves:1"])]
)
def test_models_named_are_loaded_at_the_start(
    folder: Path, loader: Loader, names: tuple[str, ...], expected: list[str]
) -> None:
    put(folder, name="waves")
    assert served(explicit(folder, loader, *names)) == expected


def test_a_model_named_that_cannot_be_loaded_at_the_start_is_a_settings_error(
    folder: Path, loader: Loader
) -> None:
    put(folder, name="matrix", text=MATRIX)
    with pytest.raises(SettingsError, match=r"FOVEA_LOAD_MODELS names 'matrix'.*not a CNN"):
        explicit(folder, loader, "matrix")
    with pytest.raises(SettingsError, match=r"FOVEA_LOAD_MODELS names 'wave'.*has matrix, signals"):
        explicit(folder, loader, "wave")
    assert served(explicit(folder, loader, "*")) == ["signals:1"]


def test_loading_again_loads_what_changed_and_leaves_the_rest(folder: Path, loader: Loader) -> None:
    put(folder, "2")
    put(folder, "3")
    manager = explicit(folder, loader, "signals")
    kept, changed = manager.catalogue.get("signals:1"), manager.catalogue.get("signals:2")
    put(folder, "2", seed=1)
    put(folder, "4")
    shutil.rmtree(folder / "signals/3")
    manager.load("signals")
    assert served(manager) == ["signals:1", "signals:2", "signals:4"]
    assert manager.catalogue.get("signals:1") is kept
    assert manager.catalogue.get("signals:2") is not changed


def test_loading_a_bad_version_says_why_and_the_former_one_goes_on(
    folder: Path, loader: Loader
) -> None:
    manager = explicit(folder, loader, "signals")
    before = manager.catalogue.get()
    put(folder, text=MATRIX)
    put(folder, "2", text=MATRIX)
    for _ in range(2):
        with pytest.raises(
            ModelRefused, match=r"'signals'.*version 1: it is not a CNN.*version 2: it is not a CNN"
        ):
            manager.load("signals")
    assert manager.catalogue.get() is before
    put(folder, "2")
    put(folder)
    manager.load("signals")
    assert served(manager) == ["signals:1", "signals:2"]
    assert manager.catalogue.refused == ()


def test_a_file_that_is_written_to_while_it_is_loaded_on_request_is_refused(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = explicit(folder, loader)
    load = Loader.load
    monkeypatch.setattr(
        Loader, "load", lambda self, files: (load(self, files), put(folder, seed=1))[0]
    )
    with pytest.raises(ModelRefused, match=BEING_WRITTEN):
        manager.load("signals")
    assert served(manager) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/",
        "../models/signals",
        "signals/1",
        "signals/",
        "./signals",
        ".hidden",
        "a\0b",
        "signals:1",
    ],
)
def test_a_name_that_is_no_folder_of_the_models_folder_is_unknown(
    folder: Path, loader: Loader, name: str
) -> None:
    put(folder, name=".hidden")
    manager = explicit(folder, loader)
    for ask in (manager.load, manager.unload):
        with pytest.raises(UnknownModel):
            ask(name)
    assert served(manager) == []


def test_one_load_waits_for_another_and_both_see_all_of_it(
    folder: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = explicit(folder, loader)
    load, loads = Loader.load, []

    def slowly(self: Loader, files: folders.ModelFiles) -> object:
        loads.append(files.key)
        time.sleep(0.05)
        return load(self, files)

    monkeypatch.setattr(Loader, "load", slowly)
    threads = [threading.Thread(target=manager.load, args=("signals",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [("signals", "1")]
    assert served(manager) == ["signals:1"]


def test_requests_keep_their_model_and_its_memory_is_free_when_the_last_is_done(
    folder: Path, loader: Loader
) -> None:
    manager = explicit(folder, loader, "signals")
    inspector = Inspector()

    def use() -> tuple[Model, "weakref.ref[Model]", "weakref.ref[object]"]:
        model = manager.catalogue.get()
        model.tap("c")
        inspector.fields(model, (1, 2, 9))
        return model, weakref.ref(model), weakref.ref(model.main_session)

    model, reference, session = use()
    tap = weakref.ref(model.tap("c"))
    manager.unload("signals")
    gc.collect()
    assert tap() is not None
    [y] = model.main_session.run({"x": np.zeros((1, 2, 9), np.float32)})
    assert y.shape == (1, 3, 9)
    del model
    gc.collect()
    assert (reference(), session(), tap()) == (None, None, None)
    assert len(inspector._fields) == 0
    assert len(loader._sessions) == 0


def test_a_reloaded_version_answers_from_sessions_of_its_own(folder: Path, loader: Loader) -> None:
    manager = explicit(folder, loader, "signals")
    feeds = {"x": np.ones((1, 2, 9), np.float32)}
    held = manager.catalogue.get()
    [before] = held.tap("c").run(feeds)
    put(folder, seed=1)
    manager.load("signals")
    [after] = manager.catalogue.get().tap("c").run(feeds)
    [again] = held.tap("c").run(feeds)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(before, again)


def test_nothing_of_a_service_holds_a_model_that_it_unloaded(
    settings: Settings, started: Start, picture: bytes
) -> None:
    services = Services.start(
        settings.model_copy(update={"model_control": "explicit", "load_models": ("photos",)})
    )
    client = started(services.settings, services)
    for _ in range(2):
        answer = client.post("/predict?model=photos:1", content=picture)
        input_id = answer.json()["input_id"]
        for path in ("activations", "receptive-fields", "kernels"):
            assert client.get(f"/layers/0/{path}?model=photos:1&input_id={input_id}").is_success
        assert client.get("/models/photos:1").status_code == 200
        tensor = {"name": "image", "shape": [1, 32, 32, 3], "datatype": "UINT8", "data": [7] * 3072}
        asked = {"inputs": [tensor], "outputs": [{"name": "scores"}, {"name": "layer:0"}]}
        assert client.post("/v2/models/photos/versions/1/infer", json=asked).status_code == 200
        assert client.post("/predict?model=photos:1", content=b"no picture").status_code == 415
    reference = weakref.ref(services.catalogue.get("photos:1"))
    services.manager.unload("photos")
    end = time.monotonic() + 10
    while reference() is not None and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)
    assert reference() is None
    assert client.post("/predict?model=photos", content=picture).status_code == 404
    assert client.get("/readyz").status_code == 200
