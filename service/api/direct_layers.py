"""`/layers/{n}/activations` as .npy past the framework, whose machinery costs as much as the first layers of a network.

As in `service/api/direct.py`, everything out of the ordinary is left to the framework's routes, and both answer by the
same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import bodies, problems
from service.api.activations import MOST_STRONGEST, Asked, Selection, of_kept, of_posted
from service.api.rendering import NPY
from service.api.work import limits_of, services_of
from service.errors import FoveaError
from service.inspector import Tap

_BEFORE, _AFTER = "/layers/", "/activations"
_NPY = NPY.encode()
_ONCE = frozenset(("model", "input_id", "tap", "operand", "strongest"))
_TAPS: Mapping[str, Tap] = {tap: tap for tap in get_args(Tap)}


@dataclass(frozen=True)
class _Route:
    """What metrics call the route."""

    path: str


_ROUTE = _Route("/layers/{n:path}/activations")


@dataclass(frozen=True, slots=True)
class Plain:
    """What a plain request asks for; `input_id` is None where the input comes with it."""

    n: str
    model: str | None
    input_id: str | None
    selection: Selection


class DirectLayers:
    """Answers what is plain itself and passes the rest on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = plain(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        request = Request(scope, receive)
        try:
            services = await services_of(request)
            asked = Asked.of(services.repository.get(found.model), found.n, found.selection, NPY)
            if found.input_id is None:
                response = await of_posted(services, asked, await bodies.read_one(request, limits_of(services)))
            else:
                response = await of_kept(services, asked, found.input_id)
        except FoveaError as error:
            response = problems.answer(error, problems.request_id(request))
        await response(scope, receive, send)


def plain(scope: Mapping[str, Any]) -> Plain | None:
    """What is asked for; None for what the framework is to look at."""
    if scope["type"] != "http" or not (path := scope["path"]).startswith(_BEFORE) or not path.endswith(_AFTER):
        return None
    method, n = scope["method"], path[len(_BEFORE) : -len(_AFTER)]
    if not n or scope.get("root_path") or method not in ("GET", "POST") or not _of_here(scope["headers"]):
        return None
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given = {name: value for name, value in pairs if name != "channel"}
    channels = [value for name, value in pairs if name == "channel"]
    if (
        not given.keys() <= _ONCE
        or len(given) + len(channels) < len(pairs)
        or ("input_id" in given) != (method == "GET")
    ):
        return None
    selection = _selection(given, channels)
    return None if selection is None else Plain(n, given.get("model"), given.get("input_id"), selection)


def _of_here(headers: Any) -> bool:
    """Whether it asks for .npy and nothing else, and comes from no other site's page."""
    accepted = [value for name, value in headers if name == b"accept"]
    return accepted == [_NPY] and all(name != b"origin" for name, _ in headers)


def _selection(given: Mapping[str, str], channels: list[str]) -> Selection | None:
    tap, operand, strongest = given.get("tap", "post"), given.get("operand", "0"), given.get("strongest", "1")
    if tap not in _TAPS or not all(map(_is_number, (operand, strongest, *channels))):
        return None
    if not 1 <= int(strongest) <= MOST_STRONGEST:
        return None
    most = int(strongest) if "strongest" in given else None
    return Selection(_TAPS[tap], int(operand), tuple(map(int, channels)), most)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9
