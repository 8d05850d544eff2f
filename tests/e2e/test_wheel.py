"""The wheel by itself: what `pip install fovea[cpu] && fovea serve` gives in an empty folder."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import ROOT, status, until

LEARNED = ["digits", "digits1d", "voxels"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    build = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=120)
    [path] = folder.glob("*.whl")
    return path


def test_it_carries_the_packages_the_page_and_the_three_learned_models(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if not name.startswith("fovea-")}
    assert packages == {"anatomy", "fovea", "model_build", "service"}
    models = [name for name in names if name.endswith("model.onnx")]
    assert sorted(models) == [f"service/bundled_models/{name}/1/model.onnx" for name in LEARNED]
    assert "service/explorer/static/main.js" in names
    assert wheel.stat().st_size < 3_500_000


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a fresh environment with the wheel and what the lock says of its needs."""
    folder = tmp_path_factory.mktemp("environment")
    python = str(folder / "bin" / "python")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    lock = str(ROOT / "requirements" / "cpu.txt")
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(folder)],
        [*install, "--no-deps", "--require-hashes", "--requirement", lock],
        [*install, "--no-deps", "--offline", str(wheel)],
    ):
        subprocess.run(command, check=True, timeout=280)
    return folder / "bin"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a caller who has set nothing, with a temporary folder of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOVEA_")}
    kept.pop("PYTHONPATH", None)
    return kept | {"TMPDIR": str(tmp_path)}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.fixture
def address(
    installed: Path, environment: dict[str, str], empty: Path, tmp_path: Path
) -> Iterator[str]:
    """Of `fovea serve`, which was started in the empty folder."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [installed / "fovea", "serve", "--port", "0"], cwd=empty, env=environment, stdout=file
        )
    try:
        until(lambda: "docs" in output.read_text(), "the address is printed")
        found = re.search(r"http://\S+", output.read_text())
        assert found is not None
        until(lambda: status(f"{found[0]}/readyz") == 200, "the service is ready")
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.long
def test_in_an_empty_folder_it_serves_the_three_learned_models_and_the_page(address: str) -> None:
    models = httpx.get(f"{address}/models").json()["models"]
    assert sorted(model["name"] for model in models) == LEARNED
    page = httpx.get(f"{address}/")
    assert page.status_code == 200
    scripts = re.findall(r'(?:src|href)="(?:\./|/)?(explorer/[^"]+)"', page.text)
    assert scripts
    assert {httpx.get(f"{address}/{script}").status_code for script in scripts} == {200}


@pytest.mark.long
def test_a_digit_is_read(address: str) -> None:
    sample = ROOT / "models" / "digits" / "1" / "samples"
    picture = min(sample.glob("*.png"))
    answer = httpx.post(f"{address}/predict?model=digits", content=picture.read_bytes())
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["probability"] > 0.5


@pytest.mark.long
def test_the_command_and_the_package_work_there(
    address: str, installed: Path, environment: dict[str, str], empty: Path
) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run(installed / "fovea", "probe", "--ready") == ""
    model = ROOT / "models" / "digits" / "1" / "model.onnx"
    assert "convolution" in run(installed / "fovea", "inspect", model)
    code = f"import fovea; print([m.name for m in fovea.Client({address!r}).models()])"
    assert run(installed / "python", "-c", code).strip() == str(LEARNED)


@pytest.mark.long
def test_a_folder_of_models_beside_it_wins(
    installed: Path, environment: dict[str, str], empty: Path
) -> None:
    (empty / "models").mkdir()
    code = "from service.settings import Settings; print(Settings.load().models)"
    done = subprocess.run(
        [installed / "python", "-c", code],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "models\n"
