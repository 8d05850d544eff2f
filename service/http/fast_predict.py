"""`POST /predict` past the framework, see `service/http/dispatch.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.api import request_bodies
from service.api.dependencies import limits_of
from service.api.predictions import predicted
from service.http.dispatch import FastRoute
from service.services import Services

PATH = "/predict"
_PARAMETERS = frozenset(("model", "top_k"))


@dataclass(frozen=True, slots=True)
class PredictQuery:
    """What the query of a plain request asks for."""

    model: str | None
    top_k: int | None


def route(scope: Scope) -> FastRoute | None:
    """How a plain prediction is answered."""
    asked = plain(scope)
    return None if asked is None else FastRoute(PATH, partial(_answer, asked))


async def _answer(asked: PredictQuery, request: Request, services: Services) -> Response:
    model = services.catalogue.get(asked.model)
    given = await request_bodies.read_all(request, limits_of(services))
    return await predicted(services, model, given, asked.top_k)


def plain(scope: Mapping[str, Any]) -> PredictQuery | None:
    """What is asked for; None for what the framework is to look at."""
    if scope["path"] != PATH or scope["method"] != "POST":
        return None
    query = scope["query_string"]
    if not query:
        return PredictQuery(None, None)
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = dict(pairs)
    top_k = given.get("top_k")
    if len(given) < len(pairs) or not given.keys() <= _PARAMETERS:
        return None
    if top_k is not None and not (
        top_k.isascii() and top_k.isdecimal() and int(top_k[:9]) > 0 and len(top_k) < 9
    ):
        return None
    return PredictQuery(given.get("model"), None if top_k is None else int(top_k))
