"""Errors under `/v2`: always `{"error": text}`, and the statuses that the protocol's clients know.

What is understood but has no answer (422 elsewhere) is the caller's mistake here, 400, and so is a
tensor that holds no picture.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

ROOT = "/v2"
MEDIA_TYPE = "application/json"
_MALFORMED = frozenset((415, 422))
_CODING = "unsupported-content-type"
_TEXTS = {
    400: "The request, a tensor or a parameter is not what it should be",
    403: "Models are not loaded on request: `FOVEA_MODEL_CONTROL` is not `explicit`",
    404: "There is no such model or version",
    408: "The body stopped arriving",
    413: "The body, a picture in it or what would be answered is too large",
    415: "The Content-Encoding is neither gzip nor deflate",
    429: "The queue is full; see `Retry-After`",
    500: "The service failed",
    503: "Not ready",
    504: "The deadline or the request's `timeout` passed",
}


class V2Error(BaseModel):
    """The body of every error under `/v2`."""

    model_config = ConfigDict(extra="forbid")

    error: str = Field(description="What was wrong, and what to do")


def covers(path: str) -> bool:
    """Whether errors at this path are the protocol's."""
    return path == ROOT or path.startswith(ROOT + "/")


def response(
    status: int, slug: str, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to a problem of this status and kind."""
    all_headers = dict(headers or {})
    if slug == _CODING:
        all_headers["Accept-Encoding"] = "gzip, deflate"
    elif status in _MALFORMED:
        status = 400
    body = orjson.dumps({"error": text.encode("utf-8", "replace").decode()})
    return Response(body, status, all_headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` of a route that fails in these ways; a failure of the service always
    counts.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/V2Error"}}}
    return {
        status: {"description": _TEXTS[status], "content": content} for status in (*statuses, 500)
    }
