"""`/layers/{n}/activations` as .npy past the framework, see `service/http/dispatch.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.api import request_bodies
from service.api.activations import (
    MOST_STRONGEST,
    ActivationsRequest,
    Selection,
    of_kept,
    of_posted,
)
from service.api.dependencies import limits_of
from service.api.responses import NPY
from service.http.dispatch import FastRoute
from service.inference.inspector import Tap
from service.services import Services

_BEFORE, _AFTER = "/layers/", "/activations"
_NPY = NPY.encode()
_ONCE = frozenset(("model", "input_id", "tap", "operand", "strongest"))
_TAPS: Mapping[str, Tap] = {tap: tap for tap in get_args(Tap)}


PATH = "/layers/{n:path}/activations"


@dataclass(frozen=True, slots=True)
class ActivationsQuery:
    """What a plain request asks for; `input_id` is None where the input comes with it."""

    n: str
    model: str | None
    input_id: str | None
    selection: Selection


def route(scope: Scope) -> FastRoute | None:
    """How plain activations are answered."""
    wanted = plain(scope)
    return None if wanted is None else FastRoute(PATH, partial(_answer, wanted))


async def _answer(wanted: ActivationsQuery, request: Request, services: Services) -> Response:
    asked = ActivationsRequest.of(
        services.catalogue.get(wanted.model), wanted.n, wanted.selection, NPY
    )
    if wanted.input_id is None:
        return await of_posted(
            services, asked, await request_bodies.read_one(request, limits_of(services))
        )
    return await of_kept(services, asked, wanted.input_id)


def plain(scope: Mapping[str, Any]) -> ActivationsQuery | None:
    """What is asked for; None for what the framework is to look at."""
    if (
        scope["type"] != "http"
        or not (path := scope["path"]).startswith(_BEFORE)
        or not path.endswith(_AFTER)
    ):
        return None
    method, n = scope["method"], path[len(_BEFORE) : -len(_AFTER)]
    if (
        not n
        or scope.get("root_path")
        or method not in ("GET", "POST")
        or not _npy_only(scope["headers"])
    ):
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
    return (
        None
        if selection is None
        else ActivationsQuery(n, given.get("model"), given.get("input_id"), selection)
    )


def _npy_only(headers: Any) -> bool:
    """Whether it asks for .npy and nothing else."""
    return [value for name, value in headers if name == b"accept"] == [_NPY]


def _selection(given: Mapping[str, str], channels: list[str]) -> Selection | None:
    tap, operand, strongest = (
        given.get("tap", "post"),
        given.get("operand", "0"),
        given.get("strongest", "1"),
    )
    if tap not in _TAPS or not all(map(_is_number, (operand, strongest, *channels))):
        return None
    if not 1 <= int(strongest) <= MOST_STRONGEST:
        return None
    most = int(strongest) if "strongest" in given else None
    return Selection(_TAPS[tap], int(operand), tuple(map(int, channels)), most)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9
