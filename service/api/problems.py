"""Errors as RFC 9457 problems: one table from the error tree to status, type and title, one body
for every failure.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service import errors
from service.api import schemas
from service.api.oip import failures
from service.errors import FoveaError

MEDIA_TYPE = "application/problem+json"
BASE = "/problems/"


@dataclass(frozen=True)
class ProblemType:
    """A type of problem: its HTTP status and its title; its URI is `BASE` and the slug."""

    status: int
    slug: str
    title: str

    @property
    def uri(self) -> str:
        """The stable identifier, relative to the service's address."""
        return BASE + self.slug


class NotAcceptable(FoveaError):
    """The route has no answer in a media type that Accept takes."""


def _kinds(*rows: tuple[type[FoveaError], int, str]) -> dict[type[FoveaError], ProblemType]:
    return {
        error: ProblemType(status, _slug(error.__name__), title) for error, status, title in rows
    }


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


KINDS: Mapping[type[FoveaError], ProblemType] = _kinds(
    (errors.InvalidRequest, 400, "The request is malformed"),
    (errors.EmptyBody, 400, "Nothing was posted"),
    (errors.StalledUpload, 408, "The body stopped arriving"),
    (errors.BrokenPicture, 400, "The picture is truncated or corrupt"),
    (errors.NotFound, 404, "There is no such thing here"),
    (errors.UnknownModel, 404, "There is no such model"),
    (errors.UnknownLayer, 404, "There is no such layer"),
    (errors.UnknownInput, 404, "There is no such input"),
    (errors.UnknownSample, 404, "There is no such sample"),
    (errors.NotAllowed, 403, "This service is set not to do it"),
    (NotAcceptable, 406, "The answer cannot be given in this form"),
    (errors.TooLarge, 413, "The request is too large"),
    (errors.TooManyBytes, 413, "The body has too many bytes"),
    (errors.TooManyPixels, 413, "The picture has too many pixels"),
    (errors.UnsupportedMedia, 415, "This kind of content is not accepted"),
    (errors.UnsupportedContentType, 415, "This content type is not accepted"),
    (errors.UnsupportedPicture, 415, "This is not a picture of an accepted format"),
    (errors.Impossible, 422, "The request is understood but has no answer"),
    (errors.ModelRefused, 422, "The model cannot be served"),
    (errors.NoImageInput, 422, "The model takes no pictures"),
    (errors.UnknownChannel, 422, "The layer has no such channel"),
    (errors.UnknownUnit, 422, "The layer has no such unit"),
    (errors.NoSpatialAxes, 422, "The layer has no spatial axes"),
    (errors.QueueFull, 429, "Too many requests are waiting"),
    (errors.NotReady, 503, "The service is not ready"),
    (errors.DeadlinePassed, 504, "The run took too long"),
)
INVALID_PARAMETER = ProblemType(422, "invalid-parameter", "A parameter is not what it should be")
NO_ROUTE = ProblemType(404, "no-such-route", "There is no such route")
WRONG_METHOD = ProblemType(405, "method-not-allowed", "The route has no such method")
INTERNAL = ProblemType(500, "internal-error", "The service failed")
FAILED = "the service failed on this request; report it with the request id"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FRAMEWORK = (INVALID_PARAMETER, NO_ROUTE, WRONG_METHOD, INTERNAL)


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(
        description="Stable identifier of the kind of problem", examples=["/problems/unknown-layer"]
    )
    title: str = Field(description="The kind of problem, in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What was wrong, and what to do")
    request_id: str | None = Field(
        default=None, description="The X-Request-ID under which it is logged"
    )
    errors: list[dict[str, str]] | None = Field(
        default=None, description="Each parameter that was refused, and why"
    )


def kind_of(error: FoveaError) -> ProblemType:
    """The most specific kind for an error; one that is not in the table is internal."""
    return next((KINDS[base] for base in type(error).__mro__ if base in KINDS), INTERNAL)


def response(
    kind: ProblemType,
    detail: str,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
    path: str = "",
) -> Response:
    """The problem response of this kind; under `/v2` the error of that protocol."""
    if failures.covers(path):
        return failures.response(kind.status, kind.slug, detail, headers)
    body = {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": detail}
    body |= {"request_id": request_id} | dict(more or {})
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(content, kind.status, headers, MEDIA_TYPE)


def documented(*kinds: type[FoveaError] | ProblemType) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` of a route that fails in these ways; a wrong parameter and a failure
    always count.
    """
    types = [kind if isinstance(kind, ProblemType) else KINDS[kind] for kind in kinds]
    by_status: dict[int | str, list[ProblemType]] = {}
    for problem in (*types, INVALID_PARAMETER, INTERNAL):
        by_status.setdefault(problem.status, []).append(problem)
    return {status: _document(same) for status, same in by_status.items()}


def _document(kinds: list[ProblemType]) -> dict[str, Any]:
    text = "; ".join(f"{kind.title} (`{kind.uri}`)" for kind in kinds)
    return {
        "description": text,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def install(app: FastAPI) -> None:
    """Answer every error of the tree and of the framework with a problem."""
    app.add_exception_handler(FoveaError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


def request_id(request: Request) -> str | None:
    """The id under which this request is logged."""
    return getattr(request.state, "request_id", None)


def answer(error: FoveaError, request_id: str | None, path: str = "") -> Response:
    """The response to an error of the tree at this path; one that is not in the table is raised
    again.
    """
    kind = kind_of(error)
    if kind is INTERNAL:
        raise error
    headers = {}
    if isinstance(error, errors.QueueFull):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, errors.StalledUpload):
        headers["Connection"] = "close"
    elif isinstance(error, errors.NotReady):
        headers["Retry-After"] = "5"
    return response(kind, str(error), request_id, headers, path=path)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FoveaError)  # noqa: S101 - Starlette's handlers are typed for any exception
    return answer(error, request_id(request), request.url.path)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [
        {"parameter": _place(item["loc"]), "message": str(item["msg"])} for item in error.errors()
    ]
    detail = "; ".join(f"{fault['parameter']}: {fault['message']}" for fault in faults)
    more = {"errors": faults}
    return response(
        INVALID_PARAMETER, detail, request_id(request), more=more, path=request.url.path
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 405:
        allowed = _allowed(request)
        detail = (
            f"{request.url.path} does not take {request.method}; "
            f"it takes {allowed or 'other methods'}"
        )
        return response(
            WRONG_METHOD, detail, request_id(request), {"Allow": allowed}, path=request.url.path
        )
    if error.status_code == 404:
        detail = f"there is no {request.url.path} here; GET /docs lists every route"
        return response(NO_ROUTE, detail, request_id(request), path=request.url.path)
    kind = ProblemType(error.status_code, "invalid-request", KINDS[errors.InvalidRequest].title)
    return response(
        kind, str(error.detail), request_id(request), error.headers, path=request.url.path
    )


def _allowed(request: Request) -> str:
    """The methods of all routes of this path; the framework names those of the first."""
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return ", ".join(
        method
        for method, scope in asked.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    )


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


router = APIRouter(tags=["problems"])


@router.get(
    "/problems/{slug}",
    summary="What a problem type means",
    response_model=schemas.ProblemType,
    responses=documented(errors.NotFound),
)
async def problem_type(slug: str) -> JSONResponse:
    """Every error names its `type`; this says what it means."""
    for error, kind in KINDS.items():
        if kind.slug == slug:
            return _explained(kind, error.__doc__ or kind.title)
    for kind in FRAMEWORK:
        if kind.slug == slug:
            return _explained(kind, kind.title)
    raise errors.NotFound(f"there is no problem type '{slug[:80]}'")


def _explained(kind: ProblemType, text: str) -> JSONResponse:
    return JSONResponse(
        {"type": kind.uri, "title": kind.title, "status": kind.status, "description": text}
    )
