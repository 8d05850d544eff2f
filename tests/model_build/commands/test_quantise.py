"""`--int8` on the command line: the quantised variant, what is said of it, and the reasons
when it cannot.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from anatomy.cards.card import Card, SignalInput
from anatomy.model_file import read, write
from model_build import __main__ as command
from model_build.quantising import report
from tests.conftest import Examples

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models with `digits1d`, the one whose data are no files."""
    shutil.copytree(ROOT / "models" / "digits1d", tmp_path / "digits1d")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return command.main([*arguments, "--int8", "--out", str(folder)])


def test_the_variant_has_a_name_of_its_own_and_the_float_model_stays_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder / "digits1d" / "1" / "model.onnx"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(folder, "digits1d") == 0
    assert all(path.read_bytes() == data for path, data in before.items())
    assert sorted(path.name for path in folder.iterdir()) == ["digits1d", "digits1d-int8"]
    sizes = [len(path.read_bytes()) for path in (source, folder / "digits1d-int8/1/model.onnx")]
    assert sizes[1] < 0.4 * sizes[0]
    output = capsys.readouterr().out
    assert "317,676 -> " in output
    assert (
        "calibrated with 200 examples held out from training, measured on the 1000 of the test"
        in output
    )
    assert "float_test_accuracy 0.99" in output
    assert " ms -> " in output


def test_the_card_says_what_it_was_made_of_and_what_was_lost(
    folder: Path, signal_examples: Examples
) -> None:
    run(folder, "digits1d")
    source, made = folder / "digits1d/1/model.onnx", folder / "digits1d-int8/1/model.onnx"
    before, after = read(source).card, read(made).card
    assert before is not None
    assert after is not None
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (after.labels, after.input, after.licence) == (
        before.labels,
        before.input,
        before.licence,
    )
    assert after.title == "Digits as signals (int8)"
    assert after.provenance.startswith(before.provenance)
    for part in (digest, "digits1d/1/model.onnx", onnxruntime.__version__, "200 examples held out"):
        assert part in after.provenance
    history = after.history["int8"]
    assert {key: history[key] for key in ("from", "calibrated_with", "measured_on")} == {
        "from": digest,
        "calibrated_with": 200,
        "measured_on": 1000,
    }
    bare = onnx.load(made)
    del bare.metadata_props[:]
    assert history["bytes_int8"] == len(bare.SerializeToString())
    signals, labels = signal_examples
    answers = onnxruntime.InferenceSession(made).run(None, {"signal": signals})[0]
    assert after.scores["test_accuracy"] == np.mean(answers.argmax(axis=1) == labels)
    assert after.scores["float_test_accuracy"] == before.scores["test_accuracy"]


def test_it_comes_out_the_same_again_and_the_samples_come_along(folder: Path) -> None:
    run(folder, "digits1d")
    made = folder / "digits1d-int8/1"
    first = {path.name: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert first.keys() > {path.name for path in (folder / "digits1d/1/samples").iterdir()}
    assert run(folder, "digits1d", "--replace") == 0
    assert {path.name: path.read_bytes() for path in made.rglob("*") if path.is_file()} == first


def test_the_highest_version_is_taken(folder: Path) -> None:
    other = read(folder / "digits1d/1/model.onnx")
    write(
        other.proto, folder / "digits1d/10/model.onnx", Card(title="Ten", input=SignalInput(1, 40))
    )
    shutil.copytree(folder / "digits1d/1", folder / "digits1d/9")
    run(folder, "digits1d")
    card = read(folder / "digits1d-int8/1/model.onnx").card
    assert card is not None
    assert card.title == "Ten (int8)"
    assert "digits1d/10/model.onnx" in card.provenance


def test_photographs_calibrate_and_every_second_one_is_held_out(
    imagenet_model: Path, samples: Path, tmp_path: Path
) -> None:
    shutil.copytree(
        imagenet_model.parents[1], tmp_path / "photos", ignore=shutil.ignore_patterns("samples")
    )
    assert run(tmp_path, "photos", "--calibrate", str(samples)) == 0
    card = read(tmp_path / "photos-int8/1/model.onnx").card
    assert card is not None
    assert "calibrated with 3 pictures of a folder, measured on 2 others of it" in card.provenance
    assert card.scores.keys() == {
        "float_agreement",
        "float_difference_mean",
        "float_difference_max",
        "measured_on",
    }
    assert (card.scores["measured_on"], card.scores["float_agreement"]) == (2, 1.0)
    assert 0 < card.scores["float_difference_mean"] < card.scores["float_difference_max"] < 0.1


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before = sorted(folder.rglob("*"))
    assert run(folder, *arguments) == 2
    assert sorted(folder.rglob("*")) == before
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    return output


def test_reasons_are_one_line_and_nothing_is_written(
    folder: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds no model; build, learn or adopt it" in refused(folder, capsys, "nobody")
    assert "may hold letters" in refused(folder, capsys, "../digits1d")
    shutil.copytree(ROOT / "models/digits", folder / "digits")
    assert "--calibrate names the folder of MNIST" in refused(
        folder, capsys, "digits", "--calibrate", str(samples)
    )
    shutil.copytree(ROOT / "models/digits", folder / "ink")
    shutil.copytree(ROOT / "models/digits1d", folder / "signals")
    few = tmp_path / "few"
    few.mkdir()
    assert "--calibrate DIR" in refused(folder, capsys, "ink")
    assert "no folder of pictures" in refused(
        folder, capsys, "ink", "--calibrate", str(folder / "gone")
    )
    assert "has 0 pictures; expected 4" in refused(folder, capsys, "ink", "--calibrate", str(few))
    for name in ("cat.jpg", "rocket.jpg", "espresso.jpg"):
        shutil.copy(samples / name, few)
    assert "has 3 pictures; expected 4" in refused(folder, capsys, "ink", "--calibrate", str(few))
    assert "ink to be found on paper" in refused(folder, capsys, "ink", "--calibrate", str(samples))
    assert "how a picture becomes its input" in refused(
        folder, capsys, "signals", "--calibrate", str(samples)
    )


def test_a_variant_is_not_overwritten_unasked_and_has_none_itself(
    int8_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "exists; add --replace" in refused(int8_folder, capsys, "digits")
    assert "it is quantised already" in refused(int8_folder, capsys, "digits-int8")
