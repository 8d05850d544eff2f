"""`POST /predict` past the framework, whose machinery costs as much as a small network.

Everything out of the ordinary (a parameter that is not as it should be, an origin of another site) is left to the
framework's route; both answer by the same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import bodies, problems
from service.api.predictions import predicted
from service.api.work import limits_of, services_of
from service.errors import FoveaError

PATH = "/predict"
_PARAMETERS = frozenset(("model", "top_k"))


@dataclass(frozen=True)
class _Route:
    """What metrics call the route."""

    path: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of a plain request asks for."""

    model: str | None
    top_k: int | None


class Direct:
    """Answers what is plain itself and passes the rest on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._route = _Route(PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = plain(scope)
        if asked is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        request = Request(scope, receive)
        try:
            services = await services_of(request)
            model = services.repository.get(asked.model)
            given = await bodies.read_all(request, limits_of(services))
            response = await predicted(services, model, given, asked.top_k)
        except FoveaError as error:
            response = problems.answer(error, problems.request_id(request))
        await response(scope, receive, send)


def plain(scope: Mapping[str, Any]) -> Asked | None:
    """What is asked for; None for what the framework is to look at."""
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
        return None
    if any(name == b"origin" for name, _ in scope["headers"]):
        return None
    query = scope["query_string"]
    if not query:
        return Asked(None, None)
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = dict(pairs)
    top_k = given.get("top_k")
    if len(given) < len(pairs) or not given.keys() <= _PARAMETERS:
        return None
    if top_k is not None and not (top_k.isascii() and top_k.isdecimal() and int(top_k[:9]) > 0 and len(top_k) < 9):
        return None
    return Asked(given.get("model"), None if top_k is None else int(top_k))
