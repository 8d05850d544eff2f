"""`POST /predict` of a small input, from the bytes of a connection to those of the answer.

A task, a scope, a route and a response object cost more than a small network. Here is none of them:
what came in one turn of the event loop goes through the network together, and each answer is a few
bytes around its JSON. Only what is plain comes here, see `FastPath.plan`; whatever is not goes the
ordinary way, and both answer by the same code.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import structlog
from starlette.responses import Response

from service.api import problems
from service.api.dependencies import record_failure
from service.api.predictions import at_once, body_of, server_timing
from service.api.responses import json_bytes
from service.draining import DrainState
from service.errors import FoveaError
from service.http.fast_predict import PATH, PredictQuery, plain
from service.http.middleware import logged
from service.http.protocol import Connection
from service.inference.predictor import Prediction, PredictItem
from service.inputs.array_formats import MAGIC, NPY
from service.inputs.preprocess import SMALL_BYTES, Document, Picture, RawInput
from service.repository.model import Model
from service.scheduling.work_item import outcomes
from service.services import Services
from service.telemetry.logs import access, request_id
from service.telemetry.metrics import Metrics

MOST = 16
"""Inputs of one run: more gain nothing, and keep the others waiting."""

NEEDED = frozenset((b"content-type", b"content-length"))
KEPT = frozenset(
    (b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)
"""What changes nothing here, and is the same for all requests of a client."""
ITS_OWN = frozenset(
    b"x-request-id traceparent tracestate baggage b3 x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled "
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip forwarded".split()
)
"""What a request has for itself, and changes nothing but its id. Any other header leads the
ordinary way.
"""
KEEP = b"keep-alive"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What the head of a request asks for, and how many bytes follow it."""

    asked: PredictQuery
    numbers: bool
    length: int
    request_id: str | None
    repeats: bool


@dataclass(frozen=True, slots=True)
class _QueuedPredict:
    model: Model
    wanted: PredictItem
    connection: Connection
    request_id: str | None
    came: float


class FastPath:
    """Answers on the event loop itself; `take` says no to what would hold it up."""

    def __init__(self, services: Services, metrics: Metrics, health: DrainState) -> None:
        self.plans: dict[bytes, PredictRequest] = {}
        self._services = services
        self._metrics = metrics
        self._health = health
        self._loop = asyncio.get_running_loop()
        self._most = services.settings.max_batch or MOST
        self._waiting: list[_QueuedPredict] = []

    def plan(self, scope: Mapping[str, Any]) -> PredictRequest | None:
        """What the head of this request asks for; None if it is to go the ordinary way."""
        asked = plain(scope)
        headers = dict(scope["headers"])
        if asked is None or scope["http_version"] != "1.1" or len(headers) < len(scope["headers"]):
            return None
        if (
            not NEEDED <= headers.keys() <= NEEDED | KEPT | ITS_OWN
            or headers.get(b"connection", KEEP).lower() != KEEP
        ):
            return None
        kind = headers[b"content-type"].decode("latin-1").partition(";")[0].strip().lower()
        length = headers[b"content-length"]
        picture = kind.startswith("image/") or kind == "application/octet-stream"
        if (
            not (picture or kind == NPY)
            or not length.isdigit()
            or not 0 < int(length) <= SMALL_BYTES
        ):
            return None
        given = headers.get(b"x-request-id")
        name = None if given is None else given.decode("latin-1")
        return PredictRequest(
            asked, not picture, int(length), name, headers.keys().isdisjoint(ITS_OWN)
        )

    def take(self, plan: PredictRequest, body: bytes, connection: Connection) -> bool:
        """Answer this request before the loop turns again; False if it is to go the ordinary way."""
        services = self._services
        if self._health.draining or plan.length > services.settings.max_bytes:
            return False
        try:
            model = services.catalogue.get(plan.asked.model)
        except FoveaError:
            return False
        given: RawInput = (
            Document(body, NPY) if plan.numbers or body.startswith(MAGIC) else Picture(body)
        )
        if not at_once(model, given):
            return False
        came = time.monotonic()
        wanted = PredictItem(
            given, plan.asked.top_k, came + services.settings.deadline_seconds, came
        )
        if not self._waiting:
            self._loop.call_soon(self.work)
        self._waiting.append(_QueuedPredict(model, wanted, connection, plan.request_id, came))
        return True

    def work(self) -> None:
        """Answer now what was taken."""
        waiting, self._waiting = self._waiting, []
        for _, same in groupby(waiting, key=lambda each: id(each.model)):
            left = deque(same)
            while left:
                self._answer([left.popleft() for _ in range(min(self._most, len(left)))])

    def _answer(self, together: Sequence[_QueuedPredict]) -> None:
        model, started = together[0].model, time.monotonic()
        predictor = self._services.predictor
        found = outcomes(
            lambda wanted: predictor.predict_all(model, wanted), [each.wanted for each in together]
        )
        lines = []
        for each, outcome in zip(together, found, strict=True):
            name, waited = request_id(each.request_id), started - each.came
            if isinstance(outcome, Prediction):
                status, headers, body = 200, *_answer(model, outcome, waited)
            else:
                record_failure(self._services, model, outcome, each.came)
                refusal = _refusal(outcome, name)
                status, body = refusal.status_code, bytes(refusal.body)
                headers = b"".join(b"%b: %b\r\n" % pair for pair in refusal.raw_headers)
            each.connection.reply(
                status, b"%bx-request-id: %b\r\n" % (headers, name.encode()), body
            )
            seconds = time.monotonic() - each.came
            self._metrics.request_answered("POST", PATH, status, seconds)
            lines.append(logged("POST", PATH, status, seconds, name))
        access.write(logging.INFO, lines)


def _answer(model: Model, prediction: Prediction, waited: float) -> tuple[bytes, bytes]:
    """The headers and the body that `predicted` would give."""
    body = json_bytes(body_of(model, prediction, waited))
    timing = server_timing([prediction], waited).encode()
    return b"server-timing: %b\r\ncontent-length: %d\r\ncontent-type: application/json\r\n" % (
        timing,
        len(body),
    ), body


def _refusal(error: object, name: str) -> Response:
    if isinstance(error, FoveaError) and problems.kind_of(error) is not problems.INTERNAL:
        return problems.answer(error, name)
    log.error("request failed", method="POST", path=PATH, request_id=name, exc_info=error)
    return problems.response(problems.INTERNAL, problems.FAILED, name)
