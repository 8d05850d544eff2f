"""Reading and writing model files: what is trusted has been checked, what is refused says why."""

from pathlib import Path

import numpy as np
import onnx
import onnx.external_data_helper
import onnx.numpy_helper
import onnx.parser
import pytest

from anatomy.cards.card import KEY, Card
from anatomy.model_file import ModelFileError, read, write

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'


@pytest.fixture
def proto() -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        HEADER
        + """
        tiny (float[N, 1, 4, 4] x) => (float[N, 1, 2, 2] y)
        <float[1, 1, 3, 3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1}> { y = Conv(x, w) }
        """
    )
    raw = onnx.numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    model.graph.initializer[0].CopyFrom(raw)
    return model


def keep_outside(proto: onnx.ModelProto, location: str) -> bytes:
    tensor = proto.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    data: bytes = proto.SerializeToString()
    return data


def save(folder: Path, data: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


def test_a_model_is_read_back_with_its_card(proto: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "1" / "model.onnx"
    write(proto, path, Card(title="Tiny"))
    model = read(path)
    assert (model.path, model.input, model.output, model.card) == (
        path,
        "x",
        "y",
        Card(title="Tiny"),
    )


def test_a_model_without_card_has_none(proto: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write(proto, path, None)
    assert read(path).card is None


def test_writing_replaces_the_card_and_keeps_other_metadata(
    proto: onnx.ModelProto, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    proto.metadata_props.add(key="author", value="someone")
    write(proto, path, Card(title="first"))
    write(read(path).proto, path, Card(title="second"))
    model = read(path)
    assert model.card == Card(title="second")
    assert [entry.key for entry in model.proto.metadata_props] == ["author", KEY]


def test_writing_leaves_one_file_that_others_may_read(
    proto: onnx.ModelProto, tmp_path: Path
) -> None:
    write(proto, tmp_path / "model.onnx", None)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_nothing(proto: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(IsADirectoryError):
        write(proto, tmp_path / "model.onnx", None)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"there is no file model\.onnx"):
        read(tmp_path / "model.onnx")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff not a model", b"\x08"])
def test_bytes_that_are_no_model_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="corrupt"):
        read(save(tmp_path, data))


def test_a_truncated_file_is_refused(proto: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="corrupt"):
        read(save(tmp_path, proto.SerializeToString()[:-9]))


def test_what_the_checker_refuses_is_refused(proto: onnx.ModelProto, tmp_path: Path) -> None:
    proto.graph.node[0].input[0] = "nowhere"
    with pytest.raises(ModelFileError, match=r"not valid ONNX: .*nowhere"):
        read(save(tmp_path, proto.SerializeToString()))


def test_a_graph_without_convolution_or_pool_is_no_cnn(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(HEADER + "g (float[N, 4] x) => (float[N, 4] y) { y = Relu(x) }")
    with pytest.raises(ModelFileError, match="not a CNN"):
        read(save(tmp_path, model.SerializeToString()))


def test_a_graph_without_input_is_refused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        HEADER + "g () => (float[1, 1, 1] y) <float[1, 1, 2] x = {1, 2}> { y = GlobalMaxPool(x) }"
    )
    with pytest.raises(ModelFileError, match="no input"):
        read(save(tmp_path, model.SerializeToString()))


def test_a_graph_with_several_inputs_is_refused_by_their_names(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        HEADER + "g (float[1, 1, 4] a, float[1, 1, 2] b) => (float[1, 1, 3] y) { y = Conv(a, b) }"
    )
    with pytest.raises(ModelFileError, match=r"several inputs \(a, b\)"):
        read(save(tmp_path, model.SerializeToString()))


def test_a_card_that_breaks_the_schema_is_refused(proto: onnx.ModelProto, tmp_path: Path) -> None:
    proto.metadata_props.add(key=KEY, value='{"schema": 7}')
    with pytest.raises(ModelFileError, match="card is invalid: schema"):
        read(save(tmp_path, proto.SerializeToString()))


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
        g (float[1, 1, 4] x) => (float[1, 1, 1] y) { y = local.block(x) }
        <opset_import: ["" : 20], domain: "local"> block (a) => (b) { b = GlobalMaxPool(a) }"""
    )
    assert [
        node.op_type for node in read(save(tmp_path, model.SerializeToString())).proto.graph.node
    ] == ["GlobalMaxPool"]


def test_external_data_beside_the_model_is_loaded(proto: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.full(9, 2, np.float32).tobytes())
    model = read(save(tmp_path, keep_outside(proto, "w.bin")))
    assert np.array_equal(model.graph.constants["w"], np.full((1, 1, 3, 3), 2, np.float32))


def test_external_data_outside_the_folder_is_refused(
    proto: onnx.ModelProto, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(36))
    (tmp_path / "inner").mkdir()
    with pytest.raises(ModelFileError, match=r"'\.\./w\.bin', outside the model's folder"):
        read(save(tmp_path / "inner", keep_outside(proto, "../w.bin")))


def test_a_link_to_external_data_outside_the_folder_is_refused(
    proto: onnx.ModelProto, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(36))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        read(save(tmp_path / "inner", keep_outside(proto, "w.bin")))


def test_external_data_that_is_missing_is_refused(proto: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"'w\.bin', which is not there"):
        read(save(tmp_path, keep_outside(proto, "w.bin")))


@pytest.mark.parametrize(("location", "offset"), [("w.bin", "many"), ("w.bin", "-5"), ("\0", "0")])
def test_external_data_at_a_place_that_is_none_is_refused(
    location: str, offset: str, proto: onnx.ModelProto, tmp_path: Path
) -> None:
    keep_outside(proto, location)
    proto.graph.initializer[0].external_data.add(key="offset", value=offset)
    (tmp_path / "w.bin").write_bytes(bytes(36))
    with pytest.raises(ModelFileError, match="tensor 'w'"):
        read(save(tmp_path, proto.SerializeToString()))


def test_a_tensor_or_input_of_a_type_that_onnx_has_not_is_refused(
    proto: onnx.ModelProto, tmp_path: Path
) -> None:
    proto.graph.initializer[0].data_type = 99
    with pytest.raises(ModelFileError, match="tensor 'w' cannot be read"):
        read(save(tmp_path, proto.SerializeToString()))
    proto.graph.initializer[0].data_type = onnx.TensorProto.FLOAT
    proto.graph.input[0].type.tensor_type.elem_type = 99
    with pytest.raises(ModelFileError, match="'x' is of element type 99"):
        read(save(tmp_path, proto.SerializeToString()))
