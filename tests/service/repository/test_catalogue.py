"""What of a folder is served: good files by name and version; a bad file is refused by name and
stops no other.
"""

from pathlib import Path

import onnx
import pytest

from anatomy import model_file
from anatomy.cards.card import Card, ImageInput
from service.errors import NotReady, SettingsError, UnknownLayer, UnknownModel
from service.repository.catalogue import Catalogue
from service.runtime.engine import Engine
from tests.service.networks import MATRIX, SIGNALS, parsed, photo_model, reading_outside
from tests.service.repository.loading import catalogue_of

OPEN_AT_THE_END = """<ir_version: 8, opset_import: ["" : 18, "my.ops" : 1]>
custom (float[N,1,8,8] x) => (float[N,1,P,Q] y) <float[1,1,3,3] w> {
    c = Conv(x, w)
    y = my.ops.Foo(c)
}"""

WRONG_CHANNELS = """<ir_version: 8, opset_import: ["" : 18]>
wrong (float[N,1,8,8] x) => (float[N,1,P,Q] y) <float[1,2,3,3] w> { y = Conv(x, w) }"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", 1)


def put(
    folder: Path, name: str, model: onnx.ModelProto, card: Card | None = None, version: str = "1"
) -> None:
    model_file.write(model, folder / name / version / "model.onnx", card)


def reasons(catalogue: Catalogue) -> dict[str, str]:
    return {refused.name: refused.reason for refused in catalogue.refused}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good model, `signals`."""
    put(tmp_path, "signals", parsed(SIGNALS))
    return tmp_path


def test_the_highest_number_answers_for_a_name(folder: Path, engine: Engine) -> None:
    for version in ("2", "10"):
        put(folder, "signals", parsed(SIGNALS), version=version)
    catalogue = catalogue_of(folder, engine)
    assert [catalogue.get(spec).version for spec in (None, "signals", "signals:2")] == [
        "10",
        "10",
        "2",
    ]


def test_folders_that_are_no_version_and_hidden_ones_stay_out(folder: Path, engine: Engine) -> None:
    for name, version in (
        ("signals", "latest"),
        ("signals", "1.5"),
        ("signals", "-1"),
        (".cache", "1"),
    ):
        put(folder, name, parsed(SIGNALS), version=version)
    catalogue = catalogue_of(folder, engine)
    assert [(model.name, model.version) for model in catalogue] == [("signals", "1")]
    assert catalogue.refused == ()


def test_a_folder_that_is_not_there_serves_nothing_and_says_how_to_build(
    tmp_path: Path, engine: Engine
) -> None:
    catalogue = catalogue_of(tmp_path / "none", engine)
    with pytest.raises(NotReady, match="python -m model_build imagenet"):
        catalogue.get()


def test_where_every_file_is_refused_the_reasons_are_why_it_is_not_ready(
    tmp_path: Path, engine: Engine
) -> None:
    put(tmp_path, "matrix", parsed(MATRIX))
    with pytest.raises(NotReady, match="matrix:1 was refused: it is not a CNN"):
        catalogue_of(tmp_path, engine).get()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (parsed(MATRIX), "not a CNN"),
        (reading_outside(), "outside the model's folder"),
        (parsed(OPEN_AT_THE_END), "Foo"),
        (parsed(WRONG_CHANNELS), "a first run failed"),
    ],
    ids=["not a CNN", "data outside", "unknown operator", "wrong channels"],
)
def test_a_bad_model_is_refused_with_its_reason_and_the_others_are_served(
    folder: Path, engine: Engine, model: onnx.ModelProto, reason: str
) -> None:
    put(folder, "bad", model)
    catalogue = catalogue_of(folder, engine)
    assert [model.name for model in catalogue] == ["signals"]
    assert reason in reasons(catalogue)["bad"]
    assert len(reasons(catalogue)["bad"]) > 10
    for internal in (str(folder), "ONNXRuntimeError", "onnxruntime", "Traceback", ".cc", ".h:"):
        assert internal not in reasons(catalogue)["bad"]
    with pytest.raises(UnknownModel, match="signals"):
        catalogue.get("bad")


@pytest.mark.parametrize(
    "content", [b"", b"no ONNX file", b"\x08\x08" + b"\xff" * 50], ids=["empty", "text", "noise"]
)
def test_a_corrupt_file_is_refused(folder: Path, engine: Engine, content: bytes) -> None:
    (folder / "bad" / "1").mkdir(parents=True)
    (folder / "bad" / "1" / "model.onnx").write_bytes(content)
    catalogue = catalogue_of(folder, engine)
    assert "corrupt" in reasons(catalogue)["bad"]
    assert catalogue.get().name == "signals"


def test_a_truncated_file_is_refused(folder: Path, engine: Engine) -> None:
    content = (folder / "signals/1/model.onnx").read_bytes()
    (folder / "bad" / "1").mkdir(parents=True)
    (folder / "bad" / "1" / "model.onnx").write_bytes(content[: len(content) // 2])
    assert reasons(catalogue_of(folder, engine)).keys() == {"bad"}


def test_a_card_that_does_not_fit_the_network_is_refused(folder: Path, engine: Engine) -> None:
    put(folder, "bad", photo_model()[0], Card(title="Too large", input=ImageInput((64, 64), "RGB")))
    assert "32, 32, 3" in reasons(catalogue_of(folder, engine))["bad"]


def test_a_refused_version_leaves_the_other_versions(folder: Path, engine: Engine) -> None:
    put(folder, "signals", parsed(MATRIX), version="2")
    catalogue = catalogue_of(folder, engine)
    assert catalogue.get("signals").version == "1"
    assert [(refused.name, refused.version) for refused in catalogue.refused] == [("signals", "2")]


def test_a_graph_that_no_reader_foresaw_stops_no_other(
    folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "odd", parsed(SIGNALS))
    extract = engine.load

    def load(proto: onnx.ModelProto, **how: bool) -> object:
        if len(loaded) == 0:
            loaded.append(proto)
            raise KeyError("axis")
        return extract(proto, **how)

    loaded: list[onnx.ModelProto] = []
    monkeypatch.setattr(engine, "load", load)
    catalogue = catalogue_of(folder, engine)
    assert reasons(catalogue) == {"odd": "its graph is not understood (KeyError)"}
    assert catalogue.get().name == "signals"


def test_the_default_is_as_set_or_imagenet_or_the_first_by_name(
    folder: Path, engine: Engine
) -> None:
    put(folder, "zebra", parsed(SIGNALS))
    assert catalogue_of(folder, engine).get().name == "signals"
    assert catalogue_of(folder, engine, "zebra").get().name == "zebra"
    put(folder, "aardvark", parsed(SIGNALS))
    assert catalogue_of(folder, engine).get().name == "aardvark"
    put(folder, "imagenet", parsed(SIGNALS))
    assert catalogue_of(folder, engine).get().name == "imagenet"


@pytest.mark.parametrize("name", ["nets", "signals:2", ":1"])
def test_a_default_that_is_not_served_is_a_settings_error(
    folder: Path, engine: Engine, name: str
) -> None:
    with pytest.raises(SettingsError, match="known models: signals"):
        catalogue_of(folder, engine, name)


def test_a_default_that_was_refused_says_why(folder: Path, engine: Engine) -> None:
    put(folder, "matrix", parsed(MATRIX))
    with pytest.raises(SettingsError, match="not a CNN"):
        catalogue_of(folder, engine, "matrix")


def test_a_layer_is_found_by_a_name_of_any_length(tmp_path: Path, engine: Engine) -> None:
    model, name = parsed(SIGNALS), "block/" * 100 + "conv"
    model.graph.node[0].name = name
    put(tmp_path, "long", model)
    loaded = catalogue_of(tmp_path, engine).get()
    assert loaded.layer(name).index == 0
    with pytest.raises(UnknownLayer, match="0 to 0"):
        loaded.layer(name + "x")


def test_one_session_is_built_per_tensor_asked_for(folder: Path, engine: Engine) -> None:
    model = catalogue_of(folder, engine).get()
    before = engine.sessions_built
    assert model.tap("c") is model.tap("c")
    assert model.tap("c").outputs == ("c",)
    assert engine.sessions_built == before + 1
    assert model.main_session.outputs == ("y",)
