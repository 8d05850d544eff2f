"""The `fovea` command: each command is the module that does it, and streams are treated well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anatomy.__main__ import BROKEN_PIPE_STATUS
from fovea.__main__ import COMMANDS, HELP, main

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "1" / "model.onnx"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fovea", *arguments],
        capture_output=True,
        env=os.environ | variables,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == HELP + "\n"
    assert {line.split()[0] for line in HELP.splitlines()[2:-2]} == COMMANDS.keys()


def test_without_a_command_the_help_is_printed_and_the_code_is_2() -> None:
    done = run()
    assert (done.returncode, done.stdout.decode().strip()) == (2, HELP)


def test_an_unknown_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sevre"]) == 2
    assert "unknown command 'sevre'" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "word"), [("serve", "--port"), ("inspect", "--layer")])
def test_a_command_has_the_help_of_its_module(command: str, word: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert word in done.stdout.decode()
    assert f"usage: fovea {command}" in done.stdout.decode()


def test_adopt_and_build_are_commands_of_the_builder() -> None:
    assert "--mean" in run("adopt", "--help").stdout.decode()
    assert "imagenet" in run("build", "--help").stdout.decode()


def test_inspect_prints_what_the_module_prints() -> None:
    module = [sys.executable, "-m", "anatomy", str(DIGITS)]
    expected = subprocess.run(module, capture_output=True, check=True).stdout
    assert run("inspect", str(DIGITS)).stdout == expected


def test_inspect_into_a_reader_that_goes_ends_quietly() -> None:
    """As `fovea inspect FILE --json | head -1` does; the body is longer than a pipe holds."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "fovea", "inspect", str(DIGITS), "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (BROKEN_PIPE_STATUS, b"")


def test_an_ascii_terminal_gets_the_table_without_a_traceback() -> None:
    done = run("inspect", "--help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
