"""`fovea probe` finds the service that runs here, wherever it listens, and tells how it is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.process import ROOT, Service

Probe = Callable[..., tuple[int, str]]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "models" / "digits", tmp_path / "models" / "digits")
    return tmp_path / "models"


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Exit code and standard error of the command; it sees the services whose TMPDIR is its own."""

    def ask(*arguments: str, **variables: str) -> tuple[int, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FOVEA_")}
        done = subprocess.run(
            [sys.executable, "-m", "fovea", "probe", *arguments],
            cwd=ROOT,
            env=inherited | {"TMPDIR": str(tmp_path)} | variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stderr

    return ask


@pytest.mark.parametrize(
    ("host", "workers"), [("127.0.0.1", "1"), ("0.0.0.0", "1"), ("::1", "1"), ("127.0.0.1", "2")]
)
def test_a_service_is_found_on_the_port_that_the_system_chose(
    host: str, workers: str, tmp_path: Path, digits: Path, probe: Probe
) -> None:
    variables = {"TMPDIR": str(tmp_path), "FOVEA_HOST": host, "FOVEA_WORKERS": workers}
    with Service(tmp_path, digits, **variables) as service:
        service.ready() if host != "::1" else service.address()
        proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        assert probe(**proxy) == (0, "")
        assert probe("--ready") == (0, "")
    code, errors = probe(FOVEA_PORT="9")
    assert code == 1
    assert "http://127.0.0.1:9/livez" in errors


def test_a_service_without_models_is_alive_but_not_ready(tmp_path: Path, probe: Probe) -> None:
    (tmp_path / "empty").mkdir()
    with Service(tmp_path, tmp_path / "empty", TMPDIR=str(tmp_path)) as service:
        service.address()
        assert probe() == (0, "")
        code, errors = probe("--ready")
        assert code == 1
        assert "/readyz: 503" in errors


def test_of_two_services_the_port_tells(tmp_path: Path, digits: Path, probe: Probe) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        Service(folders[0], digits, TMPDIR=str(tmp_path)) as first,
        Service(folders[1], digits, TMPDIR=str(tmp_path)) as second,
    ):
        ports = [each.ready().rpartition(":")[2] for each in (first, second)]
        code, errors = probe()
        assert code == 1
        assert all(port in errors for port in ports)
        assert [probe("--port", port) for port in ports] == [(0, ""), (0, "")]


def test_a_file_left_by_a_process_that_was_killed_counts_for_nothing(
    tmp_path: Path, digits: Path, probe: Probe
) -> None:
    with Service(tmp_path, digits, TMPDIR=str(tmp_path)) as killed:
        killed.ready()
        killed.signal(9)
        killed.wait()
    assert probe(FOVEA_PORT="9")[0] == 1
    with Service(tmp_path, digits, TMPDIR=str(tmp_path)) as service:
        service.ready()
        assert probe() == (0, "")
