"""`python -m anatomy`: the table for people, the API's own bodies for programs, one line for every
mistake.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anatomy import model_file
from anatomy.__main__ import main
from anatomy.report import layers_body, projective_body, unit_body
from tests.anatomy.networks import Network, parse

TEXT = """(float[N,1,12,16] x) => (float[N,3] y)
    <float[2,1,3,3] a, float[2,2,3,5] b, float[3,2] w> {
    [stem] c = Conv<strides=[2,2], pads=[1,1,1,1]>(x, a) r = Relu(c)
    [body] d = Conv<pads=[1,2,1,2]>(r, b) [pool] p = GlobalAveragePool(d)
    f = Flatten(p) [fc] y = Gemm<transB=1>(f, w) }"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model of four layers in a repository."""
    path = tmp_path / "tiny/3/model.onnx"
    model_file.write(parse(TEXT), path, None)
    return path


@pytest.fixture
def net() -> Network:
    """The same model, as a network."""
    return Network(parse(TEXT))


def body(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """What the command prints, parsed."""
    assert main(list(map(str, arguments))) == 0
    return json.loads(capsys.readouterr().out)


def test_the_table_has_a_line_for_each_layer_and_a_total(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == "1 body convolution 3x5 1 2x6x8 60 2,880 7x11 2 3x5 exact".split()
    assert lines[-1] == "4 layers, 84 parameters, 3,750 MACs"
    assert len(lines) == 7


def test_json_is_the_body_of_the_api(
    file: Path, net: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = layers_body(net.graph, net.layers, net.fields, "tiny", "3")
    assert body(capsys, file, "--json") == json.loads(json.dumps(expected))


@pytest.mark.parametrize("reference", ["1", "body"])
def test_a_unit_of_a_layer_named_either_way(
    reference: str, file: Path, net: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = body(capsys, file, "--json", "--layer", reference, "--unit", "5,7")
    assert answer == json.loads(json.dumps(unit_body(net.layers[1], (5, 7), net.fields)))
    assert answer["interval"] == [[7, 14], [9, 20]]
    assert answer["clipped"] == [[7, 12], [9, 16]]


def test_a_pixel_and_another_layer_as_the_source(
    file: Path, net: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = body(capsys, file, "--layer", "1", "--pixel", "0,0", "--of", "stem")
    assert answer == json.loads(
        json.dumps(projective_body(net.layers[1], (0, 0), net.fields, net.layers[0]))
    )
    assert answer["units"] == [[0, 2], [0, 3]]


def test_open_sizes_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "open.onnx"
    model_file.write(parse(TEXT.replace("12,16", "H,W")), path, None)
    assert body(capsys, path, "--json")["layers"][0]["output_shape"] == [2, None, None]
    assert body(capsys, path, "--json", "--shape", "1,1,20,30")["layers"][0]["output_shape"] == [
        2,
        10,
        15,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "9"], "layers 0 to 3"),
        (["--layer", "nowhere"], "no layer 'nowhere'"),
        (["--layer", "1", "--unit", "6,0"], "outside layer 'body', whose map is 6x8"),
        (["--layer", "1", "--unit", "1"], "2 spatial axes"),
        (["--layer", "fc", "--unit", "0"], "no spatial axes"),
        (["--layer", "0", "--pixel", "12,0"], "outside the input"),
        (["--layer", "0", "--of", "pool"], "does not depend on"),
        (["--unit", "1,1"], "--layer"),
        (["--shape", "1,2"], "4 axes"),
        (["--shape=1,1,-12,16"], "1x1x-12x16 is none"),
        (["--shape", "1,1,12,99999999999999999999"], "sizes from 1 to"),
        (["--shape", "1,3,12,16"], "1x3x12x16 does not fit"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(
    arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_file_that_is_no_model_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    assert main([str(tmp_path / "no.onnx")]) == 1
    assert "not an ONNX model" in capsys.readouterr().err


def test_a_unit_and_a_pixel_are_not_asked_for_at_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(file), "--layer", "0", "--unit", "1,1", "--pixel", "1,1"])
    assert "not allowed with argument --unit" in capsys.readouterr().err


def command(*arguments: object) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "anatomy", *map(str, arguments)]


# Where standard output is not buffered, argparse itself passes over the broken pipe: 0.
@pytest.mark.parametrize(("option", "statuses"), [("--json", {141}), ("--help", {0, 141})])
def test_a_reader_that_has_gone_ends_the_command_quietly(
    file: Path, option: str, statuses: set[int]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = subprocess.run(
        command(file, option), stdout=write_end, stderr=subprocess.PIPE, check=False
    )
    os.close(write_end)
    assert run.stderr == b""
    assert run.returncode in statuses


ASCII_TERMINALS = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]


@pytest.mark.parametrize("terminal", ASCII_TERMINALS, ids=str)
@pytest.mark.parametrize(
    ("option", "text"), [("--shape=1,1,12,16", "b?dy"), ("--json", "b\\u00f6dy"), ("--help", "?")]
)
def test_an_ascii_terminal_gets_no_traceback(
    tmp_path: Path, terminal: dict[str, str], option: str, text: str
) -> None:
    path = tmp_path / "model.onnx"
    proto = parse(TEXT)
    proto.graph.node[2].name = "bödy"
    model_file.write(proto, path, None)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUTF8"}
    run = subprocess.run(
        command(path, option), env={**environment, **terminal}, capture_output=True, check=True
    )
    assert text in run.stdout.decode("ascii")
    assert run.stderr == b""
