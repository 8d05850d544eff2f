"""The examples of docs/api.md and docs/v2.md, run as they stand against a real service, give what
the pages show.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import ROOT

PAGE = (ROOT / "docs/api.md").read_text()
V2_PAGE = (ROOT / "docs/v2.md").read_text()
SHOWN = "http://localhost:8000"
ELLIPSIS = "…"
HTTP_ERROR = 22
BLOCKS = re.findall(r"```sh\n(.*?)```\n(?:```json\n(.*?)```\n)?", PAGE + V2_PAGE, re.DOTALL)

needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash"
)


def agrees(shown: Any, got: Any) -> bool:
    """Whether an answer is what the page shows: `…` stands for anything, fields may be left out,
    floats are near.
    """
    if shown == ELLIPSIS:
        return True
    if isinstance(shown, dict):
        return isinstance(got, dict) and objects_agree(shown, got)
    if isinstance(shown, list):
        return isinstance(got, list) and lists_agree(shown, got)
    if isinstance(shown, float):
        return isinstance(got, float) and got == pytest.approx(shown, abs=1e-3)
    return bool(shown == got)


def objects_agree(shown: dict[str, Any], got: dict[str, Any]) -> bool:
    return all(name in got and agrees(value, got[name]) for name, value in shown.items())


def lists_agree(shown: list[Any], got: list[Any]) -> bool:
    if shown[-1:] == [ELLIPSIS]:
        shown = shown[:-1]
        has_enough = len(got) > len(shown)
    else:
        has_enough = len(got) == len(shown)
    pairs = zip(shown, got, strict=False)
    return has_enough and all(agrees(value, other) for value, other in pairs)


def test_agreement_is_not_given_away() -> None:
    assert agrees({"a": [1, "…"]}, {"a": [1, 2, 3], "b": 0})
    for shown, got in [
        ({"a": 1}, {}),
        ([1], [1, 2]),
        ([1, "…"], [2, 3]),
        ([1, "…"], [1]),
        (0.5, 0.6),
        ("x", "y"),
    ]:
        assert not agrees(shown, got)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the examples run: with the samples, and a curl that fails on an error's status."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 30\n")
    return tmp_path


@needs_curl
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_gives_what_the_page_shows(
    address: str, folder: Path, samples: Path, number: int
) -> None:
    commands, shown = BLOCKS[number]
    variables = re.findall(r"^[A-Z]+=.*\n", PAGE, re.MULTILINE)
    posted = f"curl -o first.json -F file=@{samples}/cat.jpg {SHOWN}/predict\n"
    script = "".join(["set -e\n", *variables, posted, commands]).replace(SHOWN, address)
    environment = os.environ | {"CURL_HOME": str(folder), "NO_PROXY": "*"}
    command = ["bash", "-c", script]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    refused = shown.startswith('{"error"')
    assert done.returncode == (HTTP_ERROR if refused else 0), done.stdout + done.stderr
    if shown:
        assert agrees(json.loads(shown), json.loads(done.stdout)), done.stdout[:2000]


def test_the_python_example_runs_and_prints_what_it_found(address: str, folder: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    command = [sys.executable, "-c", code.replace(SHOWN, address)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Egyptian cat (480, 14, 14) ((43, 144), (156, 257))\n"
