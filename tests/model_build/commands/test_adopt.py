"""Adopting a file: what is written and printed, and one line with the reason when it cannot."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest

from anatomy.cards.card import ImageInput, Resize
from anatomy.model_file import read
from model_build import __main__ as command

TINY = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 3, 4, 6] x) => (float[N, 3] y) { p = GlobalAveragePool(x) y = Flatten(p) }"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(onnx.parser.parse_model(TINY).SerializeToString())
    return path


def test_adopt_writes_what_its_options_say(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\n\nblue\n", encoding="utf-8")
    options = [
        "--labels",
        f"{tmp_path}/labels.txt",
        "--mean",
        "0.5",
        "--std",
        "0.5,0.4,0.3",
        "--softmax",
    ]
    options += ["--resize", "centre_crop:0.875:bilinear", "--title", "Means", "--licence", "MIT"]
    assert (
        command.main(
            ["adopt", str(tiny), "--name", "means", "--out", str(tmp_path / "models"), *options]
        )
        == 0
    )
    card = read(tmp_path / "models" / "means" / "1" / "model.onnx").card
    assert card is not None
    assert (card.title, card.licence, card.labels) == ("Means", "MIT", ("red", "green", "blue"))
    assert card.input == ImageInput((4, 6), "RGB", Resize("centre_crop", 0.875, "bilinear"))
    assert card.provenance.startswith("Adopted from tiny.onnx, SHA-256 ")


def test_the_input_and_the_scores_are_said(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command.main(["adopt", str(tiny), "--name", "means", "--out", str(tmp_path), "--softmax"])
        == 0
    )
    assert capsys.readouterr().out.endswith(
        "  image uint8 [N, 4, 6, 3] -> probabilities float32 [N, 3]\n"
    )


def test_scores_that_may_be_logits_are_pointed_out(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["adopt", str(tiny), "--name", "means", "--out", str(tmp_path)]) == 0
    assert "note: it ends in GlobalAveragePool; if its scores are no" in capsys.readouterr().out


def test_provenance_holds_the_digest_of_every_file_that_was_read(
    tiny: Path, tmp_path: Path
) -> None:
    proto = onnx.load(tiny)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(9, np.float32), "w"))
    onnx.save_model(
        proto,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    assert (
        command.main(["adopt", str(tmp_path / "net.onnx"), "--name", "net", "--out", str(tmp_path)])
        == 0
    )
    card = read(tmp_path / "net" / "1" / "model.onnx").card
    digests = [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("net.onnx", "net.data")
    ]
    assert card is not None
    assert (
        card.provenance
        == f"Adopted from net.onnx, SHA-256 {digests[0]} with net.data, SHA-256 {digests[1]}"
    )


def test_labels_may_be_a_json_list(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(["a", "b", "c"]), encoding="utf-8")
    options = ["--labels", str(tmp_path / "labels.json"), "--out", str(tmp_path)]
    assert command.main(["adopt", str(tiny), "--name", "means", *options]) == 0
    card = read(tmp_path / "means" / "1" / "model.onnx").card
    assert card is not None
    assert card.labels == ("a", "b", "c")


def test_adopting_does_not_replace_a_model_unless_asked(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adopt = ["adopt", str(tiny), "--name", "means", "--out", str(tmp_path)]
    assert [command.main(adopt), command.main(adopt), command.main([*adopt, "--replace"])] == [
        0,
        2,
        0,
    ]
    assert "exists; choose another --name or add --replace" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "../up"], "may hold letters"),
        (["--name", "x", "--mean", "1,2"], "--mean: expected 1 or 3 numbers"),
        (["--name", "x", "--labels", "nowhere.txt"], "nowhere.txt"),
        (["--name", "x", "--labels", "bad.json"], "no JSON list"),
        (["--name", "x", "--labels", "numbers.json"], "labels"),
        (["--name", "x", "--labels", "binary.txt"], "binary.txt is not text in UTF-8"),
    ],
)
def test_what_cannot_be_adopted_is_one_line(
    options: list[str],
    message: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("[1,", encoding="utf-8")
    Path("numbers.json").write_text("[1, 2, 3]", encoding="utf-8")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    assert command.main(["adopt", str(tiny), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("file", ["nothing.onnx", "labels.txt"])
def test_a_file_that_is_no_model_is_one_line(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.txt").write_text("no model", encoding="utf-8")
    assert command.main(["adopt", file, "--name", "x"]) == 2
    assert capsys.readouterr().err.startswith("model_build: ")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--mean", "a,b", "expected numbers with commas between, got 'a,b'"),
        ("--size", "224", "expected H,W, got '224'"),
        ("--resize", "crop", "expected one of centre_crop, stretch, pad, digit, got 'crop'"),
        ("--resize", "centre_crop:2", "at most 1, got 2.0"),
        ("--resize", "pad:cubic", "expected one of nearest, bilinear, bicubic, lanczos"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["adopt", "x.onnx", "--name", "x", option, value])
    assert message in capsys.readouterr().err
