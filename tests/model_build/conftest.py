"""Foreign models, made from a few lines of text."""

from collections.abc import Callable
from pathlib import Path

import onnx.parser
import pytest

from anatomy.model_file import ModelFile, read


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., ModelFile]:
    """A foreign model from its text: the mean of every channel as logits, unless told otherwise."""

    def make(
        x: str = "float[batch, 3, 4, 6] pixels",
        y: str = "float[batch, 3] logits",
        body: str = "p = GlobalAveragePool(pixels) logits = Flatten(p)",
        opset: int = 17,
    ) -> ModelFile:
        text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({x}) => ({y}) {{ {body} }}'
        path = tmp_path / "foreign.onnx"
        path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
        return read(path)

    return make
