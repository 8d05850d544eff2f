"""docs/training.md is true: its commands parse, its options are those that there are, its course is
one.
"""

import re
import shlex
from pathlib import Path

import pytest

from model_build.__main__ import parser
from model_build.commands.learn import LEARNED
from model_build.experiments import experiments

PAGE = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_parses() -> None:
    commands = re.findall(r"^    python -m model_build (.*?)(?: {2,}.*)?$", PAGE, re.MULTILINE)
    assert [parser().parse_args(shlex.split(command)).experiment for command in commands] == list(
        LEARNED
    )


def test_the_page_lists_the_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([LEARNED[0], "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    listed = set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE))
    assert listed | {"--replace"} == options
    assert "`--replace` learns it anew" in PAGE


def test_the_course_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    course = eval(text, vars(experiments).copy())
    assert isinstance(course, experiments.Experiment)
    assert course.network.make is experiments.EXPERIMENTS[course.name].network.make
