"""`POST …/infer` past the framework, see `service/http/dispatch.py`."""

import re
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.api.oip.infer import PATH, VERSION_PATH, inferred
from service.http.dispatch import FastRoute
from service.services import Services

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")


def route(scope: Scope) -> FastRoute | None:
    """How a plain inference is answered."""
    if scope["method"] != "POST" or not (found := _PATH.fullmatch(scope["path"])):
        return None
    name, version = found.groups()
    return FastRoute(PATH if version is None else VERSION_PATH, partial(_answer, name, version))


async def _answer(name: str, version: str | None, request: Request, services: Services) -> Response:
    return await inferred(request, services, name, version)
