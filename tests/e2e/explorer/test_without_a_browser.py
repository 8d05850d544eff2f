"""Where a browser is looked for, and what .ci/run does on a machine that has none. These need no
browser themselves.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.explorer.browser import NAMES, NoBrowserError, find_browser
from tests.e2e.process import ROOT

MAKE = 'echo "make $*, browser required: $TESTS_BROWSER_REQUIRED, CI: $CI"'
DONE = [
    f"make {target}, browser required: 1, CI: true"
    for target in ("test", "test-versions", "test-long")
]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the programs here are shell scripts"
)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The only folder in the path: of a machine without a browser but with TypeScript, where we
    are root and `make` tells what it gets.
    """
    for name in ("bash", "env", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    program(tmp_path / "id", "echo 0")
    program(tmp_path / "make", MAKE)
    program(tmp_path / "tsc", "")
    return tmp_path


def ci(path: Path) -> tuple[list[str], str]:
    """The lines of standard output, and standard error, of .ci/run with this path; it has to
    succeed.
    """
    done = subprocess.run(
        [ROOT / ".ci/run"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.splitlines(), done.stderr


def test_the_browser_is_the_one_that_is_named_or_else_one_in_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TESTS_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBrowserError, match="apt-get install chromium"):
        find_browser()
    for name in ("google-chrome", "own"):
        (tmp_path / name).touch(mode=0o755)
    assert find_browser() == str(tmp_path / "google-chrome")
    monkeypatch.setenv("TESTS_BROWSER", str(tmp_path / "own"))
    assert find_browser() == str(tmp_path / "own")
    monkeypatch.setenv("TESTS_BROWSER", "no-such-browser")
    with pytest.raises(NoBrowserError, match="'no-such-browser'"):
        find_browser()


def test_ci_requires_a_browser_and_says_so_where_it_can_get_none(bare: Path) -> None:
    output, errors = ci(bare)
    assert output == DONE
    assert "none could be installed" in errors
    program(bare / "apt-get", "echo E: no such package; exit 100")
    output, errors = ci(bare)
    assert output[-3:] == DONE
    assert "E: no such package" in errors
    assert "none could be installed" in errors


def test_ci_installs_a_browser_where_there_is_none_as_root_or_with_sudo(bare: Path) -> None:
    chromium = bare / "chromium"
    program(
        bare / "apt-get",
        f'case "$*" in *install*" chromium "*) : > {chromium}; /bin/chmod +x {chromium};; esac',
    )
    output, errors = ci(bare)
    assert (output[-3:], errors) == (DONE, "")
    chromium.unlink()
    program(bare / "id", "echo 1000")
    assert "none could be installed" in ci(bare)[1]
    program(bare / "sudo", 'shift; [ "$1" = true ] || exec "$@"')
    output, errors = ci(bare)
    assert (output[-3:], errors) == (DONE, "")
    assert chromium.exists()


@pytest.mark.parametrize("name", NAMES)
def test_ci_installs_nothing_where_there_is_a_browser(bare: Path, name: str) -> None:
    program(bare / "apt-get", "exit 100")
    program(bare / name, "")
    assert ci(bare) == (DONE, "")


def test_ci_installs_typescript_where_there_is_none(bare: Path) -> None:
    program(bare / "chromium", "")
    (bare / "tsc").unlink()
    assert "TypeScript" in ci(bare)[1]
    program(
        bare / "apt-get",
        f'case "$*" in *install*" node-typescript") : > {bare / "tsc"};; esac',
    )
    output, errors = ci(bare)
    assert (output[-3:], errors) == (DONE, "")
    assert (bare / "tsc").exists()
