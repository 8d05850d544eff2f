"""The answer to an inference: JSON, and behind it the bytes of tensors that were asked for so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from service.errors import Impossible
from service.oip import datatypes, elements
from service.oip.datatypes import BYTES, Array


@dataclass(frozen=True, eq=False)
class Output:
    """A tensor of the answer, as bytes or as JSON; texts are an array of objects."""

    name: str
    array: Array
    binary: bool


@dataclass(frozen=True)
class InferResponse:
    """The body, and how many of its bytes are the document; None where nothing follows it."""

    body: bytes
    length: int | None


def answer(
    model: str, version: str, request: str | None, outputs: Sequence[Output]
) -> InferResponse:
    """The body; raises Impossible for numbers that JSON does not have."""
    blobs: list[bytes] = []
    listed = [_listed(output, blobs) for output in outputs]
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    document |= ({} if request is None else {"id": request}) | {"outputs": listed}
    head = _dumped(document)
    if not any(output.binary for output in outputs):
        return InferResponse(head, None)
    return InferResponse(b"".join((head, *blobs)), len(head))


def _listed(output: Output, blobs: list[bytes]) -> dict[str, Any]:
    array = output.array
    datatype = datatypes.datatype_of(array.dtype)
    about = {"name": output.name, "datatype": datatype, "shape": list(array.shape)}
    if output.binary:
        texts = [str(text).encode() for text in array.reshape(-1)] if datatype == BYTES else []
        blobs.append(elements.to_bytes(texts) if datatype == BYTES else datatypes.to_bytes(array))
        return about | {"parameters": {"binary_data_size": len(blobs[-1])}}
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Impossible(
            f"output '{output.name}' holds NaN or infinity, which JSON does not have; ask for it "
            "with binary_data"
        )
    flat = np.ascontiguousarray(array).reshape(-1)
    return about | {"data": flat.tolist() if datatype == BYTES else flat}


def _dumped(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # A name that is no UTF-8, as one in a stranger's file may be.
        outputs = [
            output | {"name": output["name"].encode("utf-8", "replace").decode()}
            for output in document["outputs"]
        ]
        return orjson.dumps(document | {"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
