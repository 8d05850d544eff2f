"""Request bodies: a picture or numbers, or several in a form; bytes are counted as they arrive.

Raw `image/*` or `application/octet-stream`, a multipart form with `file`, JSON with `image` in
base64 or `inputs` as nested lists, `text/csv` and `application/x-npy`. Nothing here decodes a
picture or reads a number.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from service.errors import (
    EmptyBody,
    InvalidRequest,
    StalledUpload,
    TooManyBytes,
    UnsupportedContentType,
)
from service.inputs.array_formats import CSV, JSON, MAGIC, NPY
from service.inputs.preprocess import Document, Picture, RawInput

ACCEPTED = (
    "image/*, application/octet-stream, multipart/form-data, application/json, text/csv or "
    "application/x-npy"
)
ENDINGS = {".npy": NPY, ".csv": CSV, ".json": JSON}


@dataclass(frozen=True)
class Limits:
    """Bytes of a body, seconds between two parts of it, and pictures in it."""

    max_bytes: int
    max_files: int
    seconds: float


class _InMemory(MultiPartParser):
    """Keeps files in memory: they are bounded already, and the file system may be read-only."""

    spool_max_size = 1 << 62


async def read_all(request: Request, limits: Limits) -> list[RawInput]:
    """What the request carries, at least one; raises the errors of the tree for what cannot be
    read.
    """
    kind = (
        request.headers.get("content-type", "application/octet-stream")
        .partition(";")[0]
        .strip()
        .lower()
    )
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedContentType(
            f"a body with Content-Encoding {encoding[:40]} is not accepted; send it as it is"
        )
    reader = _READERS.get("image/*" if kind.startswith("image/") else kind)
    if reader is None:
        raise UnsupportedContentType(
            f"Content-Type {kind[:80]} is not accepted; send {ACCEPTED}, "
            "as in curl -H 'Content-Type: image/jpeg' --data-binary @cat.jpg or curl -F "
            "file=@cat.jpg"
        )
    return await reader(request, limits)


async def read_one(request: Request, limits: Limits) -> RawInput:
    """The one input that the request carries; raises InvalidRequest for several."""
    sources = await read_all(request, limits)
    if len(sources) > 1:
        raise InvalidRequest(
            f"this route takes one input, {len(sources)} were posted; post them one by one"
        )
    return sources[0]


async def _raw(request: Request, limits: Limits) -> list[RawInput]:
    return [_recognised(await _body(request, limits), "", "")]


async def _form(request: Request, limits: Limits) -> list[RawInput]:
    parser = _InMemory(
        request.headers, counted(request, limits), max_files=limits.max_files, max_fields=16
    )
    try:
        form = await parser.parse()
    # Starlette hands on the parser's own error, or one of its own, by its version.
    except (MultiPartException, FormParserError) as error:
        raise InvalidRequest(f"the multipart form cannot be read: {error}") from None
    try:
        return await _files(form)
    finally:
        await form.close()


async def _files(form: FormData) -> list[RawInput]:
    files = form.getlist("file")
    if not files:
        fields = ", ".join(sorted({name[:40] for name in form})) or "none"
        raise EmptyBody(
            f"the form has no field 'file'; its fields: {fields}; send one as in curl -F "
            "file=@cat.jpg"
        )
    return [await _file(item) for item in files]


async def _file(item: UploadFile | str) -> RawInput:
    if isinstance(item, str):
        raise InvalidRequest(
            "the field 'file' holds text; send a file, as in curl -F file=@cat.jpg"
        )
    data = await item.read()
    if not data:
        raise EmptyBody("a file of the form is empty; post the bytes of a picture")
    return _recognised(data, item.content_type or "", item.filename or "")


def _recognised(data: bytes, content_type: str, name: str) -> RawInput:
    """Numbers by their first bytes, their type or the end of their name; whatever is left is taken
    for a picture.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if data.startswith(MAGIC):
        return Document(data, NPY)
    if kind in _DOCUMENTS:
        return Document(data, kind)
    ending = next((suffix for suffix in ENDINGS if name.lower().endswith(suffix)), None)
    return Picture(data) if ending is None else Document(data, ENDINGS[ending])


def _document(media_type: str) -> "Reader":
    async def read(request: Request, limits: Limits) -> list[RawInput]:
        return [Document(await _body(request, limits), media_type)]

    return read


async def _body(request: Request, limits: Limits) -> bytes:
    data = b"".join([chunk async for chunk in counted(request, limits)])
    if not data:
        raise EmptyBody("the body is empty; post the bytes of a picture")
    return data


async def counted(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body's chunks; raises TooManyBytes as soon as it is known, at best before the first, or
    StalledUpload.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_bytes:
        raise TooManyBytes(
            f"the body has {int(declared)} bytes; at most {limits.max_bytes} are taken"
        )
    count, more = 0, True
    while more:
        message = await _next(request.receive, limits.seconds)
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        count += len(chunk)
        if count > limits.max_bytes:
            raise TooManyBytes(
                f"the body has more than the {limits.max_bytes} bytes that are taken"
            )
        yield chunk


async def _next(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            return await receive()
    except TimeoutError:
        raise StalledUpload(
            f"nothing of the body arrived for {seconds:g} s; post it again"
        ) from None


Reader = Callable[[Request, Limits], Coroutine[Any, Any, list[RawInput]]]
_DOCUMENTS: dict[str, Reader] = {kind: _document(kind) for kind in (JSON, CSV, NPY)}
_READERS: dict[str, Reader] = {
    "image/*": _raw,
    "application/octet-stream": _raw,
    "multipart/form-data": _form,
    **_DOCUMENTS,
}


_BASE64_IMAGE = {
    "type": "object",
    "title": "A picture",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "The picture's bytes",
        }
    },
}
_NESTED_LISTS = {
    "type": "object",
    "title": "A signal, a volume, or the input of any network",
    "required": ["inputs"],
    "additionalProperties": False,
    "properties": {
        "inputs": {
            "type": "array",
            "items": {},
            "description": "Nested lists of numbers, channels first",
        }
    },
}
_TABLE = {
    "type": "string",
    "description": "A signal: a row, a column, or a column for each channel",
}


def documented(several: bool) -> dict[str, Any]:
    """OpenAPI's `requestBody` of a route that takes a picture, a signal or a volume, or several."""
    binary = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": binary, "minItems": 1} if several else binary
    form = {"type": "object", "required": ["file"], "properties": {"file": files}}
    content = {
        "image/*": {"schema": binary},
        "application/octet-stream": {"schema": binary},
        "multipart/form-data": {"schema": form},
        JSON: {"schema": {"oneOf": [_BASE64_IMAGE, _NESTED_LISTS]}},
        CSV: {"schema": _TABLE},
        NPY: {"schema": binary},
    }
    return {
        "requestBody": {
            "required": True,
            "description": "The input of the network",
            "content": content,
        }
    }
