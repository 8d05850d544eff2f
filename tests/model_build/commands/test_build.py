"""Building models: what is written, printed, and left behind by what cannot be built."""

import errno
import sys
from pathlib import Path
from types import MappingProxyType

import onnx
import onnx.numpy_helper
import onnx.parser
import pytest

from anatomy.cards.card import Card
from anatomy.model_file import read
from model_build import __main__ as command
from model_build.commands import build
from model_build.published import imagenet
from model_build.published.torch_checkpoint import WeightsError

TINY = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 3, 4, 6] x) => (float[N, 3] y) { p = GlobalAveragePool(x) y = Flatten(p) }"""


@pytest.fixture
def one_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    builders = MappingProxyType(
        {"imagenet": lambda: (onnx.parser.parse_model(TINY), Card(title="Tiny"))}
    )
    monkeypatch.setattr(build, "BUILDERS", builders)


@pytest.mark.usefixtures("one_builder")
def test_a_model_is_built_under_its_name_and_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["imagenet", "--out", str(tmp_path)]) == 0
    card = read(tmp_path / "imagenet" / "1" / "model.onnx").card
    assert card == Card(title="Tiny")
    assert capsys.readouterr().out.startswith(
        f"{tmp_path}/imagenet/1/model.onnx: 0.0 MB, 0.00 million parameters"
    )


@pytest.mark.usefixtures("one_builder")
def test_missing_leaves_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "imagenet" / "1" / "model.onnx"
    assert command.main(["all", "--missing", "--out", str(tmp_path)]) == 0
    path.write_bytes(b"kept")
    assert command.main(["all", "--missing", "--out", str(tmp_path)]) == 0
    assert path.read_bytes() == b"kept"
    assert capsys.readouterr().out.endswith("model.onnx is there, not built again\n")
    assert command.main(["all", "--out", str(tmp_path)]) == 0
    assert path.read_bytes() != b"kept"


@pytest.mark.usefixtures("one_builder")
def test_an_interrupted_build_leaves_no_model_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Path, "replace", interrupt)
        assert command.main(["all", "--missing", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "model_build: interrupted; what it was writing is not there\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert command.main(["all", "--missing", "--out", str(tmp_path)]) == 0
    assert read(tmp_path / "imagenet" / "1" / "model.onnx").card == Card(title="Tiny")


@pytest.mark.usefixtures("one_builder")
def test_an_interrupted_build_leaves_the_old_model_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "imagenet" / "1" / "model.onnx"
    assert command.main(["imagenet", "--out", str(tmp_path)]) == 0
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert command.main(["imagenet", "--out", str(tmp_path)]) == 2
    assert path.read_bytes() == before


@pytest.mark.usefixtures("one_builder")
def test_what_a_killed_build_left_is_no_model(tmp_path: Path) -> None:
    """A process that is killed cannot tidy up: the file it was writing has another name."""
    folder = tmp_path / "imagenet" / "1"
    folder.mkdir(parents=True)
    (folder / ".model.onnx.killed").write_bytes(b"half")
    assert command.main(["all", "--missing", "--out", str(tmp_path)]) == 0
    assert read(folder / "model.onnx").card == Card(title="Tiny")


def test_a_build_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("model_build.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("model_build.published.imagenet", raising=False)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert command.main(["imagenet", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        'model_build: onnxscript is not installed; builds need: pip install -e ".[cpu,build]"\n'
    )


def test_weights_that_cannot_be_read_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise WeightsError("wrong file")

    monkeypatch.setattr(imagenet, "weights", fail)
    assert command.main(["imagenet", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "model_build: wrong file\n"
