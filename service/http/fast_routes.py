"""The table of routes that are answered in front of the framework, whose machinery costs more than
they do.

Only plain requests match. Everything out of the ordinary (a parameter that is not as it should be,
an origin of another site) is left to the framework's route, and both answer by the same code.
docs/fast-path.md says what is gained.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems, request_bodies
from service.api.activations import ActivationsRequest, Selection, of_kept, of_posted
from service.api.dependencies import limits_of, services_of
from service.api.oip import infer
from service.api.responses import NPY
from service.errors import FoveaError
from service.services import Services

ACTIVATIONS_PATH = "/layers/{n:path}/activations"
_PREFIX, _SUFFIX = "/layers/", "/activations"
_INFER_PATTERN = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_ACCEPT_NPY = [NPY.encode()]
_SINGLE_PARAMETERS = frozenset(("model", "input_id", "tap", "operand", "strongest"))
_SELECTION = TypeAdapter(Selection)


@dataclass(frozen=True, slots=True)
class FastRoute:
    """How a matching request is answered, and the path that metrics report."""

    path: str
    answer: Callable[[Request, Services], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ActivationsQuery:
    """The parameters of a plain request; `input_id` is None where the input comes with it."""

    n: str
    model: str | None
    input_id: str | None
    selection: Selection


class FastRoutes:
    """Answers the requests that match a row of the table and passes the others on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = match(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        # Metrics and logs ask a route for its path.
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await route.answer(request, await services_of(request))
        except FoveaError as error:
            response = problems.answer(error, problems.request_id(request), scope["path"])
        await response(scope, receive, send)


def match(scope: Scope) -> FastRoute | None:
    """The row of the table that answers this request; None for the framework's."""
    if any(name == b"origin" for name, _ in scope["headers"]):
        return None
    return match_activations(scope) or match_infer(scope)


def match_infer(scope: Scope) -> FastRoute | None:
    """`POST /v2/models/…/infer`, which has no parameters but those in its path."""
    if scope["method"] != "POST":
        return None
    path = _INFER_PATTERN.fullmatch(scope["path"])
    if path is None:
        return None
    name, version = path.groups()
    template = infer.PATH if version is None else infer.VERSION_PATH
    return FastRoute(template, partial(_answer_infer, name, version))


def match_activations(scope: Scope) -> FastRoute | None:
    """`/layers/{n}/activations` as .npy."""
    query = parse_activations(scope)
    return None if query is None else FastRoute(ACTIVATIONS_PATH, partial(_answer_npy, query))


def parse_activations(scope: Scope) -> ActivationsQuery | None:
    """The parameters, validated as the framework's route declares them; None for what it is to
    refuse or to answer.
    """
    n, method = _layer_of(scope["path"]), scope["method"]
    if n is None or method not in ("GET", "POST") or scope.get("root_path"):
        return None
    if not _accepts_npy_only(scope):
        return None
    parameters = _parameters(scope["query_string"])
    if parameters is None or ("input_id" in parameters) != (method == "GET"):
        return None
    model, input_id = parameters.pop("model", None), parameters.pop("input_id", None)
    selection = _validated(parameters)
    return None if selection is None else ActivationsQuery(n, model, input_id, selection)


def _accepts_npy_only(scope: Scope) -> bool:
    return [value for name, value in scope["headers"] if name == b"accept"] == _ACCEPT_NPY


def _parameters(query: bytes) -> dict[str, Any] | None:
    """The parameters by their names; None where one is unknown, or repeated and not `channel`."""
    parameters: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name == "channel":
            parameters.setdefault(name, []).append(value)
        elif name in _SINGLE_PARAMETERS and name not in parameters:
            parameters[name] = value
        else:
            return None
    return parameters


def _layer_of(path: str) -> str | None:
    if not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
        return None
    return path[len(_PREFIX) : -len(_SUFFIX)] or None


def _validated(parameters: dict[str, Any]) -> Selection | None:
    try:
        return _SELECTION.validate_python(parameters)
    except ValidationError:
        return None


async def _answer_npy(query: ActivationsQuery, request: Request, services: Services) -> Response:
    model = services.catalogue.get(query.model)
    asked = ActivationsRequest.of(model, query.n, query.selection, NPY)
    if query.input_id is not None:
        return await of_kept(services, asked, query.input_id)
    source = await request_bodies.read_one(request, limits_of(services))
    return await of_posted(services, asked, source)


async def _answer_infer(
    name: str, version: str | None, request: Request, services: Services
) -> Response:
    return await infer.inferred(request, services, name, version)
