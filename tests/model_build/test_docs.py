"""docs/models.md is true: its programs run, its commands parse, its tables are complete."""

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest

from anatomy.cards.card import Card, ImageInput, SignalInput, VolumeInput
from anatomy.model_file import read
from model_build.__main__ import parsed, parser
from model_build.commands.build import BUILDERS
from model_build.nn import ShapeError

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
READ_A_CARD, WRITE_A_NETWORK = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(
    r"^    python -m model_build (.*?)(?: {4,}.*)?$", PAGE.replace("\\\n       ", ""), re.MULTILINE
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "program.py"


def test_the_program_that_reads_a_card_prints_it(
    program: Path, imagenet_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("models/imagenet/1").mkdir(parents=True)
    Path("models/imagenet/1/model.onnx").symlink_to(imagenet_model)
    program.write_text(READ_A_CARD, encoding="utf-8")
    runpy.run_path(str(program))
    assert capsys.readouterr().out.startswith(
        "EfficientNet-Lite0, ImageNet Apache-2.0 ImageInput(size=(224, 224)"
    )


def test_the_program_that_writes_a_network_prints_what_the_page_says(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.write_text(WRITE_A_NETWORK, encoding="utf-8")
    runpy.run_path(str(program))
    assert f"    {capsys.readouterr().out}" in PAGE
    model = read(Path("models/digits/1/model.onnx"))
    assert model.graph.shape(model.input) == ("N", 28, 28, 1)
    assert model.graph.shape(model.output) == ("N", 10)


def test_a_wrong_channel_count_fails_as_the_page_says(program: Path) -> None:
    program.write_text(WRITE_A_NETWORK.replace("Stage(8, 16)", "Stage(4, 16)"), encoding="utf-8")
    with pytest.raises(ShapeError) as caught:
        runpy.run_path(str(program))
    assert f"    ShapeError: {caught.value}\n" in PAGE
    assert "in Stage 'features.1'" in caught.value.__notes__
    assert not Path("models").exists()


def test_every_command_of_the_page_parses() -> None:
    adopting = [
        command
        for command in COMMANDS
        if command.startswith("adopt") and "[options]" not in command
    ]
    building = [command for command in COMMANDS if not command.startswith("adopt")]
    assert [len(adopting), len(building)] == [2, 5]
    for command in adopting + building:
        assert parsed(shlex.split(command)).run


def test_every_model_and_every_option_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["adopt", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    assert len(options) > 10
    assert {option for option in options if f"`{option}" not in PAGE} == set()
    assert {name for name in BUILDERS if f"## `{name}`" not in PAGE} == set()


def fields(document: dict[str, Any], prefix: str = "") -> set[str]:
    nested = [
        fields(value, f"{prefix}{key}.")
        for key, value in document.items()
        if isinstance(value, dict)
    ]
    return {prefix + key for key in document}.union(*nested)


def test_every_field_of_the_card_is_on_the_page() -> None:
    inputs = (ImageInput((1, 1)), SignalInput(1, 1), VolumeInput(1, (1, 1, 1)))
    known = set().union(*(fields(Card(input=card_input).to_dict()) for card_input in inputs))
    listed = set(re.findall(r"^\| `([a-z._]+)` \|", PAGE.partition("## The card")[2], re.MULTILINE))
    assert known - {"input.resize"} == listed
