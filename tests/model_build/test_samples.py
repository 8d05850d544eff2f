"""Samples: examples of the test that the network names rightly, and some that it does not;
photographs are copied.
"""

from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from PIL import Image

from anatomy.cards.card import Card, ImageInput, Resize, SignalInput, VolumeInput
from model_build import __main__ as command
from model_build.commands import build
from model_build.datasets.split import Split
from model_build.samples import write_examples

# The mean of an input of one number is the probability of the second of two classes.
MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g ({dtype}[N, {sizes}] x) => (float[N, 2] y) {{
  f = Cast<to=1>(x) e = Flatten(f) p = ReduceMean<axes=[1]>(e)
  one = Constant<value_float=1.0>() q = Sub(one, p) y = Concat<axis=1>(q, p)
}}"""
VALUES = np.array([0.1, 0.9, 0.2, 0.8, 0.45, 0.7, 0.6])
LABELS = np.array([1, 1, 0, 1, 1, 0, 0], np.int64)
"""Wrong are 0, 4, 5, 6: 4 and 6 are the closest of their classes."""


def written(folder: Path, card: Card, shape: tuple[int, ...], credit: str = "By nobody.") -> Split:
    """The test of which samples were written."""
    values = np.broadcast_to(VALUES.reshape(-1, *[1] * len(shape)), (len(VALUES), *shape)).astype(
        np.float32
    )
    model = onnx.parser.parse_model(MODEL.format(dtype="float", sizes=",".join(map(str, shape))))
    test = Split(values, LABELS)
    assert write_examples(folder, model.SerializeToString(), card, test, credit) == 4
    return test


def test_the_first_of_each_class_that_is_right_and_the_closest_that_are_wrong(
    tmp_path: Path,
) -> None:
    test = written(tmp_path, Card(title="", labels=("no", "yes"), input=SignalInput(2, 3)), (2, 3))
    arrays = {
        path.name: np.loadtxt(path, np.float32, delimiter=",").T for path in tmp_path.glob("*.csv")
    }
    assert set(arrays) == {"no.csv", "yes.csv", "hard-no.csv", "hard-yes.csv"}
    for name, index in {"no": 2, "yes": 1, "hard-no": 6, "hard-yes": 4}.items():
        assert np.array_equal(arrays[f"{name}.csv"], test.inputs[index]), name
    assert (tmp_path / "README.md").read_text().endswith("\nBy nobody.\n")
    assert {path.stat().st_mode & 0o444 for path in tmp_path.iterdir()} == {0o444}


def test_volumes_are_arrays_of_the_type_that_the_network_takes(tmp_path: Path) -> None:
    test = written(
        tmp_path,
        Card(title="", labels=("no", "yes"), input=VolumeInput(1, (2, 3, 4))),
        (1, 2, 3, 4),
    )
    array = np.load(tmp_path / "yes.npy")
    assert array.dtype == np.float32
    assert np.array_equal(array, test.inputs[1])


def test_pictures_are_kept_to_the_last_level(tmp_path: Path) -> None:
    card = Card(title="", labels=("no", "yes"), input=ImageInput((4, 5), "L", Resize("stretch")))
    pixels = np.zeros((2, 4, 5, 1), np.uint8)
    pixels[1, 1:, :4] = 1
    model = onnx.parser.parse_model(MODEL.format(dtype="uint8", sizes="4,5,1")).SerializeToString()
    assert write_examples(tmp_path, model, card, Split(pixels, np.array([0, 1], np.int64)), "") == 2
    assert np.array_equal(np.asarray(Image.open(tmp_path / "yes.png")), pixels[1, ..., 0])


def test_those_of_the_model_before_are_gone_and_other_files_stay(tmp_path: Path) -> None:
    for name in ("hard-9.csv", "mine.jpg"):
        (tmp_path / name).write_bytes(b"before")
    written(tmp_path, Card(title="", labels=("no", "yes"), input=SignalInput(1, 3)), (1, 3))
    assert not (tmp_path / "hard-9.csv").exists()
    assert (tmp_path / "mine.jpg").read_bytes() == b"before"


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    model = onnx.parser.parse_model(MODEL.format(dtype="float", sizes="3"))
    monkeypatch.setattr(build, "BUILDERS", {"imagenet": lambda: (model, Card(title="Tiny"))})
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("cat.jpg", "README.md", "draw.py"):
        (folder / name).write_bytes(name.encode())
    return folder


def built(*options: str) -> list[str]:
    """The samples after a build."""
    assert command.main(["all", *options]) == 0
    return sorted(path.name for path in Path("models/imagenet/1/samples").glob("*"))


def test_a_build_takes_the_photographs_and_their_credits_along(photographs: Path) -> None:
    assert built() == []
    assert built("--samples", str(photographs)) == ["README.md", "cat.jpg"]
    assert Path("models/imagenet/1/samples/cat.jpg").read_bytes() == b"cat.jpg"


def test_without_the_option_they_are_those_beside_the_models_also_for_a_model_that_is_there(
    photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    photographs.rename("samples")
    assert built("--missing") == ["README.md", "cat.jpg"]
    assert capsys.readouterr().out.endswith("not built again\n  1 samples from samples\n")
    assert built("--missing") == ["README.md", "cat.jpg"]
    assert capsys.readouterr().out.endswith("not built again\n")


def test_a_folder_of_samples_that_is_not_there_is_one_line(
    photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["imagenet", "--samples", "nowhere"]) == 2
    assert capsys.readouterr().err == "model_build: nowhere is no folder of samples\n"
    assert not Path("models").exists()
