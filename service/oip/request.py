"""What a request for an inference says: JSON, the tensors in it, and the bytes of tensors behind
it.

Nothing here knows of models: whether one takes this is `inference.py`'s to say. All raise
InvalidRequest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import InvalidRequest
from service.oip import datatypes, document, elements
from service.oip.datatypes import BYTES, DATATYPES, MOST_AXES, Array
from service.oip.document import Fields

LARGEST_SIZE = 2**31 - 1


@dataclass(frozen=True, eq=False)
class InputTensor:
    """An input: an array, or for BYTES its elements, row by row."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: Array | None = None
    elements: Sequence[bytes] = ()


@dataclass(frozen=True)
class RequestedOutput:
    """An output: as bytes or in JSON, as it is or its `classes` largest values."""

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request. `outputs` is None where it names none, and all are wanted; `timeout` in seconds,
    None for none.
    """

    inputs: Sequence[InputTensor]
    outputs: Sequence[RequestedOutput] | None = None
    id: str | None = None
    binary: bool = False
    timeout: float | None = None


def parse(head: bytes | memoryview, tail: memoryview) -> InferRequest:
    """The request of a JSON document and the tensors' bytes behind it."""
    fields = document.read(head)
    parameters = document.parameters("the request", fields)
    binary = document.flag("the request", parameters, "binary_data_output") or False
    outputs = fields.get("outputs")
    return InferRequest(
        inputs=_inputs(document.objects("inputs", fields.get("inputs")), tail),
        outputs=None
        if outputs is None
        else _outputs(document.objects("outputs", outputs), binary) or None,
        id=_id(fields),
        binary=binary,
        timeout=(document.whole_number("the request", parameters, "timeout") or 0) / 1e6 or None,
    )


def split(body: bytes, length: int | None) -> tuple[memoryview, memoryview]:
    """The JSON document and what follows it, by the length of the document; all of it is JSON where
    none is said.
    """
    view = memoryview(body)
    if length is None:
        return view, view[:0]
    if not 0 <= length <= len(body):
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {length}, and the body has {len(body)} bytes"
        )
    return view[:length], view[length:]


def _id(fields: Fields) -> str | None:
    value = fields.get("id")
    if value is not None and not isinstance(value, str):
        raise InvalidRequest("'id' must be text")
    return value


def _inputs(items: Sequence[Fields], tail: memoryview) -> list[InputTensor]:
    blobs = _Blobs(tail)
    tensors = [_input(item, blobs) for item in items]
    blobs.finish()
    _check_single("input", [item.name for item in tensors])
    return tensors


def _input(fields: Fields, blobs: "_Blobs") -> InputTensor:
    name = document.text("the name of an input", fields.get("name"))
    what = f"input '{name[:80]}'"
    datatype, shape = fields.get("datatype"), _shape(what, fields.get("shape"))
    if datatype not in DATATYPES:
        raise InvalidRequest(
            f"{what} has datatype '{str(datatype)[:40]}'; known are {', '.join(DATATYPES)}"
        )
    parameters = document.parameters(what, fields)
    if any(parameter.startswith("shared_memory") for parameter in parameters):
        raise InvalidRequest(
            f"{what} is to come from shared memory, which is not supported; send its data"
        )
    size = document.whole_number(what, parameters, "binary_data_size")
    if (size is None) == ("data" not in fields):
        raise InvalidRequest(
            f"{what} must have either data, or the parameter binary_data_size and bytes behind "
            "the JSON"
        )
    if size is not None:
        return _read(name, datatype, shape, blobs.take(name, size))
    if datatype != BYTES:
        return InputTensor(
            name, datatype, shape, datatypes.from_json(name, datatype, shape, fields["data"])
        )
    return InputTensor(
        name,
        BYTES,
        shape,
        elements=elements.from_json(name, datatypes.flat(name, shape, fields["data"])),
    )


def _read(name: str, datatype: str, shape: tuple[int, ...], data: memoryview) -> InputTensor:
    if datatype != BYTES:
        return InputTensor(name, datatype, shape, datatypes.from_bytes(name, datatype, shape, data))
    count = 1
    for size in shape:
        count *= size
    return InputTensor(name, BYTES, shape, elements=elements.from_bytes(name, count, data))


def _shape(what: str, value: Any) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or not all(map(document.is_whole_number, value))
        or len(value) > MOST_AXES
    ):
        raise InvalidRequest(f"the shape of {what} must be a list of whole numbers from 0")
    if max(value, default=0) > LARGEST_SIZE:
        raise InvalidRequest(f"the shape of {what} has a size above {LARGEST_SIZE}")
    return tuple(value)


def _outputs(items: Sequence[Fields], binary: bool) -> list[RequestedOutput]:
    outputs = [_output(item, binary) for item in items]
    _check_single("output", [item.name for item in outputs])
    return outputs


def _output(fields: Fields, binary: bool) -> RequestedOutput:
    name = document.text("the name of an output", fields.get("name"))
    what = f"output '{name[:80]}'"
    parameters = document.parameters(what, fields)
    if any(parameter.startswith("shared_memory") for parameter in parameters):
        raise InvalidRequest(f"{what} is to go to shared memory, which is not supported")
    chosen = document.flag(what, parameters, "binary_data")
    return RequestedOutput(
        name,
        binary if chosen is None else chosen,
        document.whole_number(what, parameters, "classification") or 0,
    )


def _check_single(what: str, names: Sequence[str]) -> None:
    twice = next(_repeated(names), None)
    if twice is not None:
        raise InvalidRequest(f"{what} '{twice[:80]}' is named twice")


def _repeated(names: Sequence[str]) -> Iterator[str]:
    seen = set[str]()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


class _Blobs:
    """The bytes behind the document, taken in order."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def take(self, name: str, size: int) -> memoryview:
        """The next so many."""
        if size > len(self._data):
            raise InvalidRequest(
                f"unexpected size for input '{name}', expecting {size - len(self._data)} "
                "additional bytes"
            )
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def finish(self) -> None:
        """Raise InvalidRequest if some are left."""
        if self._data:
            raise InvalidRequest(
                f"unexpected additional input data: {len(self._data)} bytes belong to no input"
            )
