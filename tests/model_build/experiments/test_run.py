"""`python -m model_build digits1d` learns, tests, writes and draws; interrupted, it goes on."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anatomy.model_file import read
from model_build import __main__ as command
from model_build.datasets import mnist1d
from model_build.datasets.split import Dataset
from model_build.evaluate import evaluate
from model_build.training.progress import Progress

EPOCHS = ("digits1d", "--threads", "1", "--epochs")


def learn(out: Path, epochs: int, *options: str) -> tuple[int, Path]:
    """The exit status, and the folder of what was written."""
    return command.main([*EPOCHS, str(epochs), "--out", str(out), *options]), out / "digits1d" / "1"


@pytest.fixture(scope="module")
def signals() -> Dataset:
    return mnist1d.load()


@pytest.fixture(autouse=True)
def _made_once(signals: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist1d, "load", lambda: signals)


def weights(folder: Path) -> dict[str, bytes]:
    return {
        name: array.tobytes() for name, array in read(folder / "model.onnx").graph.constants.items()
    }


def test_it_writes_a_tested_model_with_pictures_and_no_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, folder = learn(tmp_path, 1, "--seed", "3", "--learning-rate", "0.002")
    assert status == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.png",
        "kernels.png",
        "model.onnx",
        "samples",
        "training.png",
    ]
    assert (folder / "samples" / "README.md").read_text().endswith("seed 42. Apache-2.0.\n")
    for picture in folder.glob("*.png"):
        with Image.open(picture) as opened:
            assert min(opened.size) > 50
    card = read(folder / "model.onnx").card
    assert card is not None
    scores = evaluate(folder / "model.onnx", mnist1d.load().test)
    assert scores.accuracy == card.scores["test_accuracy"] > 0.2, "a tenth would be chance"
    assert (card.history["seed"], len(card.history["epochs"])) == (3, 1)
    hyperparameters = ("batch", "learning_rate", "weight_decay", "label_smoothing", "ema_decay")
    assert [card.history[name] for name in hyperparameters] == [100, 0.002, 0.05, 0.1, 0.998]
    assert (
        f"model.onnx: {scores.accuracy:.2%} of 1,000 test examples right" in capsys.readouterr().out
    )


def test_a_model_that_is_there_is_kept_unless_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "digits1d" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"kept")
    assert learn(tmp_path, 1)[0] == 2
    assert path.read_bytes() == b"kept"
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "exists; add --replace" in error
    assert learn(tmp_path, 1, "--replace")[0] == 0
    assert read(path).card is not None


def test_an_interrupted_one_goes_on_to_the_same_weights_when_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    per_epoch = 38
    steps = 0

    def interrupt(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == per_epoch + 2:
            raise KeyboardInterrupt

    threads = threading.active_count()
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Progress, "step", interrupt)
        status, folder = learn(tmp_path, 2)
    assert status == 130
    assert capsys.readouterr().err.endswith(
        "interrupted; the same command goes on from its last checkpoint\n"
    )
    assert [path.name for path in folder.iterdir()] == ["checkpoint.npz"]
    assert threading.active_count() == threads
    for options, named in ((["3"], "epochs"), (["2", "--seed", "1"], "seed")):
        assert command.main([*EPOCHS, *options, "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert f"checkpoint.npz is of another training: {named} differ" in error
        assert error.count("\n") == 1
    with np.load(folder / "checkpoint.npz") as file:
        assert f'"step": {per_epoch},' in str(file["about"])
    assert learn(tmp_path, 2)[0] == 0
    assert "going on from" in capsys.readouterr().out
    status, unbroken = learn(tmp_path / "unbroken", 2)
    assert status == 0
    assert weights(folder) == weights(unbroken)


def test_data_that_are_not_there_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["voxels", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{tmp_path} has neither train-images-idx3-ubyte.gz" in error


def test_learning_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("model_build.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("model_build.experiments.run", raising=False)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert learn(tmp_path, 1)[0] == 2
    assert capsys.readouterr().err == (
        'model_build: onnxscript is not installed; learning needs: pip install -e ".[cpu,build]"\n'
    )


@pytest.mark.parametrize(("option", "least"), [("--seed", 0), ("--epochs", 1), ("--threads", 1)])
@pytest.mark.parametrize("value", ["-1", "1.5", "many"])
def test_a_number_that_cannot_be_is_refused(
    option: str, least: int, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["digits", f"{option}={value}"])
    assert (
        f"argument {option}: expected a whole number from {least} on, got '{value}'"
        in capsys.readouterr().err
    )
