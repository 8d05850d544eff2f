"""Request bodies: a picture, several pictures or a tensor, however they are sent; bytes are counted as they arrive.

Raw `image/*` or `application/octet-stream`, a multipart form with `file`, JSON with `image` in base64 or `inputs` as
nested lists, and `application/x-npy`. Nothing here decodes a picture.
"""

import base64
import binascii
import io
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Never

import numpy as np
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import EmptyBody, InvalidRequest, TooManyBytes, UnsupportedContentType
from service.feed import Given, Picture, Tensor

ACCEPTED = "image/*, application/octet-stream, multipart/form-data, application/json or application/x-npy"
# Python makes an object of each while every other request waits: as many as fit into `max_bytes` take seconds.
MOST_LISTS = 500_000


@dataclass(frozen=True)
class Limits:
    """Bytes of a body, and pictures in it."""

    max_bytes: int
    max_files: int


class _InMemory(MultiPartParser):
    """Keeps files in memory: they are bounded already, and the file system may be read-only."""

    spool_max_size = 1 << 62


async def read_all(request: Request, limits: Limits) -> list[Given]:
    """What the request carries, at least one; raises the errors of the tree for what cannot be read."""
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedContentType(f"a body with Content-Encoding {encoding[:40]} is not accepted; send it as it is")
    reader = _READERS.get("image/*" if kind.startswith("image/") else kind)
    if reader is None:
        raise UnsupportedContentType(
            f"Content-Type {kind[:80]} is not accepted; send {ACCEPTED}, "
            "as in curl -H 'Content-Type: image/jpeg' --data-binary @cat.jpg or curl -F file=@cat.jpg"
        )
    return await reader(request, limits)


async def read_one(request: Request, limits: Limits) -> Given:
    """The one picture or tensor that the request carries; raises InvalidRequest for several."""
    given = await read_all(request, limits)
    if len(given) > 1:
        raise InvalidRequest(f"this route takes one picture, {len(given)} were posted; post them one by one")
    return given[0]


async def _raw(request: Request, limits: Limits) -> list[Given]:
    return [Picture(await _body(request, limits))]


async def _form(request: Request, limits: Limits) -> list[Given]:
    parser = _InMemory(request.headers, _counted(request, limits), max_files=limits.max_files, max_fields=16)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the multipart form cannot be read: {error.message}") from None
    try:
        return await _files(form)
    finally:
        await form.close()


async def _files(form: FormData) -> list[Given]:
    files = form.getlist("file")
    if not files:
        fields = ", ".join(sorted({name[:40] for name in form})) or "none"
        raise EmptyBody(f"the form has no field 'file'; its fields: {fields}; send one as in curl -F file=@cat.jpg")
    return [await _file(each) for each in files]


async def _file(item: UploadFile | str) -> Given:
    if isinstance(item, str):
        raise InvalidRequest("the field 'file' holds text; send a file, as in curl -F file=@cat.jpg")
    data = await item.read()
    if not data:
        raise EmptyBody("a file of the form is empty; post the bytes of a picture")
    return Picture(data)


async def _json(request: Request, limits: Limits) -> list[Given]:
    data = await _body(request, limits)
    if data.count(b"[") + data.count(b"{") > MOST_LISTS:
        raise InvalidRequest(f"the JSON holds more than {MOST_LISTS} lists; send the array as application/x-npy")
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest('the body is not JSON; send {"image": "<base64>"}') from None
    if not isinstance(value, dict) or len(value.keys() & {"image", "inputs"}) != 1 or len(value) != 1:
        raise InvalidRequest('the JSON must be an object of one key: {"image": "<base64>"} or {"inputs": nested lists}')
    return [_from_base64(value["image"]) if "image" in value else _from_lists(value["inputs"])]


def _no_constant(name: str) -> Never:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)


def _from_base64(text: Any) -> Given:
    if not isinstance(text, str):
        raise InvalidRequest("'image' must be a string: the picture's bytes in base64")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("'image' is not base64; encode the picture's bytes, without line breaks") from None
    if not data:
        raise EmptyBody("'image' is empty; send the picture's bytes in base64")
    return Picture(data)


def _from_lists(value: Any) -> Given:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise InvalidRequest("'inputs' is ragged: lists of the same depth must have the same length") from None
    if array.dtype.kind not in "iuf":
        raise InvalidRequest("'inputs' must hold numbers only")
    return Tensor(array)


async def _npy(request: Request, limits: Limits) -> list[Given]:
    return [Tensor(_array(await _body(request, limits)))]


def _array(data: bytes) -> np.ndarray:
    """An .npy file without objects; its header is checked against the bytes before anything is allocated."""
    stream = io.BytesIO(data)
    with _readable():
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
    if dtype.kind not in "iuf":
        raise InvalidRequest(f"the array holds {dtype}; send numbers")
    with _readable():
        flat = np.frombuffer(data, dtype, offset=stream.tell())
        return flat.reshape(shape, order="F" if fortran else "C")


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever reading an array raises, its bytes are to blame: the header is a literal of Python, parsed as such."""
    try:
        yield
    except Exception as error:
        raise InvalidRequest("the body is not an .npy file, or it is truncated; write it with numpy.save") from error


async def _body(request: Request, limits: Limits) -> bytes:
    data = b"".join([chunk async for chunk in _counted(request, limits)])
    if not data:
        raise EmptyBody("the body is empty; post the bytes of a picture")
    return data


async def _counted(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body's chunks; raises TooManyBytes as soon as it is known, at best before the first."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_bytes:
        raise TooManyBytes(f"the body has {int(declared)} bytes; at most {limits.max_bytes} are taken")
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count > limits.max_bytes:
            raise TooManyBytes(f"the body has more than the {limits.max_bytes} bytes that are taken")
        yield chunk


_READERS: dict[str, Callable[[Request, Limits], Coroutine[Any, Any, list[Given]]]] = {
    "image/*": _raw,
    "application/octet-stream": _raw,
    "multipart/form-data": _form,
    "application/json": _json,
    "application/x-npy": _npy,
}


def documented(several: bool) -> dict[str, Any]:
    """OpenAPI's `requestBody` for a route that takes a picture, or several."""
    binary = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": binary, "minItems": 1} if several else binary
    form = {"type": "object", "required": ["file"], "properties": {"file": files}}
    base64_image = {
        "type": "object",
        "title": "A picture",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {"image": {"type": "string", "contentEncoding": "base64", "description": "The picture's bytes"}},
    }
    nested = {
        "type": "object",
        "title": "A tensor",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {"inputs": {"type": "array", "items": {}, "description": "Nested lists of numbers"}},
    }
    content = {
        "image/*": {"schema": binary},
        "application/octet-stream": {"schema": binary},
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": {"oneOf": [base64_image, nested]}},
        "application/x-npy": {"schema": binary},
    }
    return {"requestBody": {"required": True, "description": "The input of the network", "content": content}}
