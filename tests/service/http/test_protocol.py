"""The HTTP server is refused at the start where it lacks what the protocol overrides."""

from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import __main__
from service.errors import UnsupportedUvicorn
from service.http.protocol import OVERRIDDEN, USED, HttpProtocol, check_uvicorn
from service.settings import Settings


def lacking(owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a name from a class of uvicorn."""
    if hasattr(owner, name):
        monkeypatch.delattr(owner, name)
        return

    def constructor(self: object) -> None:
        pass

    monkeypatch.setattr(owner, "__init__", constructor)


def test_the_installed_version_is_accepted() -> None:
    check_uvicorn()


def test_all_that_is_overridden_is_checked() -> None:
    theirs = set(vars(HttpToolsProtocol)) - {"__init__", "__module__", "__doc__"}
    ours = {name for name in vars(HttpProtocol) if not name.startswith("__")}
    assert ours & theirs == set(OVERRIDDEN)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_version_without_a_method_that_is_overridden_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(HttpToolsProtocol, name, monkeypatch)
    with pytest.raises(UnsupportedUvicorn, match=rf"HttpToolsProtocol\.{name} "):
        check_uvicorn()


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in USED for name in names]
)
def test_a_version_without_an_attribute_that_is_used_is_refused(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(owner, name, monkeypatch)
    with pytest.raises(UnsupportedUvicorn, match=rf"{owner.__name__}\.{name}\b"):
        check_uvicorn()


def test_a_method_that_has_other_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Any, cycle: Any) -> None:
        pass

    monkeypatch.setattr(HttpToolsProtocol, "_start_asgi_task", start)
    with pytest.raises(UnsupportedUvicorn, match=r"no HttpToolsProtocol\._start_asgi_task as"):
        check_uvicorn()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_service_does_not_start_with_it_and_says_why(
    workers: int,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = settings.model_copy(update={"port": 0, "workers": workers})
    monkeypatch.setattr(Settings, "load", lambda _: changed)
    monkeypatch.setattr(__main__, "configure", lambda *_: None)
    monkeypatch.delattr(FlowControl, "resume_reading")
    assert __main__.main([]) == __main__.CANNOT_START
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fovea: uvicorn ")
    assert "FlowControl.resume_reading" in printed.err
