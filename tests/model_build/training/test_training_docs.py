"""docs/training.md is true: its commands, its options and defaults, and its experiment."""

import re
import shlex
from pathlib import Path

import pytest

from model_build.__main__ import parser
from model_build.commands.learn import LEARNED
from model_build.experiments import experiments, hyperparameters

PAGE = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
HEADER = next(line for line in PAGE.splitlines() if line.startswith("| option | | "))
ROWS = re.findall(
    r"^\| `(--[a-z-]+) [NX]` \| .* \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE
)


def test_every_command_of_the_page_parses() -> None:
    commands = re.findall(r"^    python -m model_build (.*?)(?: {2,}.*)?$", PAGE, re.MULTILINE)
    assert [parser().parse_args(shlex.split(command)).experiment for command in commands] == list(
        LEARNED
    )


def test_the_page_lists_the_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([LEARNED[0], "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    listed = set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE))
    assert listed | {"--replace"} == options
    assert "`--replace` learns it anew" in PAGE


def test_the_page_has_the_defaults_of_every_network() -> None:
    columns = [learned.split("`")[1] for learned in HEADER.split("|")[3:-1]]
    assert tuple(columns) == LEARNED
    assert len(ROWS) == 7
    for column, name in enumerate(columns):
        defaults = vars(parser().parse_args([name]))
        for option, *values in ROWS:
            value = defaults[option.strip("-").replace("-", "_")]
            assert float(values[column]) == value, (name, option)


def test_the_experiment_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    experiment = eval(text, {**vars(hyperparameters), **vars(experiments)})
    assert isinstance(experiment, experiments.Experiment)
    assert experiment.network.make is experiments.EXPERIMENTS[experiment.name].network.make
