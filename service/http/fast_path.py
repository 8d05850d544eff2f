"""`POST /predict` of a small input, from the bytes of a connection to those of the answer.

A task, a scope, a route and a response object cost more than a small network. This path has none of
them: the requests that came in one turn of the event loop go through the network together, and each
answer is a few bytes around its JSON. Only plain requests come here, see `FastPath.parse_head`; the
framework answers all others, and both answer by the same code. docs/fast-path.md says what is
gained.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from service.api import problems
from service.api.dependencies import record_failure
from service.api.predictions import TopK, answer_of, at_once
from service.api.responses import JSON
from service.draining import DrainState
from service.errors import FoveaError
from service.http.middleware import AnsweredRequest, internal_error, record
from service.inference.predictor import Prediction, PredictItem
from service.inputs.array_formats import MAGIC, NPY
from service.inputs.preprocess import SMALL_BYTES, Document, Picture, RawInput
from service.repository.model import Model
from service.scheduling.work_item import outcomes
from service.services import Services
from service.telemetry.logs import request_id
from service.telemetry.metrics import Metrics

PATH = "/predict"
MAX_BATCH = 16
"""Inputs of one run: more gain nothing, and keep the others waiting."""

REQUIRED_HEADERS = frozenset((b"content-type", b"content-length"))
CLIENT_HEADERS = frozenset(
    (b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)
"""Headers that change nothing here, and are the same for all requests of a client."""
REQUEST_HEADERS = frozenset(
    (
        *(b"x-request-id", b"traceparent", b"tracestate", b"baggage"),
        *(b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"x-b3-sampled"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"),
        *(b"x-real-ip", b"forwarded"),
    )
)
"""Headers that differ from request to request, and change nothing but its id. Any other header
leads to the framework.
"""
_KNOWN_HEADERS = REQUIRED_HEADERS | CLIENT_HEADERS | REQUEST_HEADERS
_KEEP_ALIVE = b"keep-alive"
_PARAMETERS = frozenset(("model", "top_k"))
_TOP_K: TypeAdapter[int | None] = TypeAdapter(TopK)


class Connection(Protocol):
    """Where an answer goes."""

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer; `headers` are whole lines."""


@dataclass(frozen=True, slots=True)
class PredictHead:
    """What the head of a request asks for, how many bytes follow it, and whether the same bytes may
    come again.
    """

    model: str | None
    top_k: int | None
    is_array: bool
    length: int
    request_id: str | None
    cacheable: bool


@dataclass(frozen=True, slots=True)
class _QueuedPredict:
    model: Model
    item: PredictItem
    connection: Connection
    request_id: str | None
    came: float


class FastPath:
    """Answers on the event loop itself; `try_handle` says no to what would block it."""

    def __init__(self, services: Services, metrics: Metrics, health: DrainState) -> None:
        self.heads: dict[bytes, PredictHead] = {}
        """Parsed heads, keyed by their bytes."""
        self._services = services
        self._metrics = metrics
        self._health = health
        self._loop = asyncio.get_running_loop()
        self._max_batch = services.settings.max_batch or MAX_BATCH
        self._queue: list[_QueuedPredict] = []

    def parse_head(self, scope: Mapping[str, Any]) -> PredictHead | None:
        """What the head of this request asks for; None if the framework is to answer it."""
        is_predict = scope["path"] == PATH and scope["method"] == "POST"
        if not is_predict or scope["http_version"] != "1.1":
            return None
        headers = _plain_headers(scope["headers"])
        query = _parse_query(scope["query_string"])
        if headers is None or query is None:
            return None
        length = _length(headers[b"content-length"])
        is_array = _is_array(headers[b"content-type"])
        if length is None or is_array is None:
            return None
        sent_id = headers.get(b"x-request-id")
        return PredictHead(
            model=query[0],
            top_k=query[1],
            is_array=is_array,
            length=length,
            request_id=None if sent_id is None else sent_id.decode("latin-1"),
            cacheable=headers.keys().isdisjoint(REQUEST_HEADERS),
        )

    def try_handle(self, head: PredictHead, body: bytes, connection: Connection) -> bool:
        """Answer this request before the loop turns again; False if the framework is to answer."""
        services = self._services
        if self._health.draining or head.length > services.settings.max_bytes:
            return False
        try:
            model = services.catalogue.get(head.model)
        except FoveaError:
            return False
        source: RawInput = Picture(body)
        if head.is_array or body.startswith(MAGIC):
            source = Document(body, NPY)
        if not at_once(model, source):
            return False
        came = time.monotonic()
        deadline = came + services.settings.deadline_seconds
        item = PredictItem(source, head.top_k, deadline, came)
        if not self._queue:
            self._loop.call_soon(self.run_batch)
        self._queue.append(_QueuedPredict(model, item, connection, head.request_id, came))
        return True

    def run_batch(self) -> None:
        """Answer now every request that was queued."""
        queue, self._queue = self._queue, []
        for _, group in groupby(queue, key=lambda queued: id(queued.model)):
            left = deque(group)
            while left:
                size = min(self._max_batch, len(left))
                self._answer([left.popleft() for _ in range(size)])

    def _answer(self, batch: Sequence[_QueuedPredict]) -> None:
        model, started = batch[0].model, time.monotonic()
        predictor = self._services.predictor
        results = outcomes(
            lambda items: predictor.predict_all(model, items), [queued.item for queued in batch]
        )
        answered = [
            self._reply(queued, result, started)
            for queued, result in zip(batch, results, strict=True)
        ]
        record(self._metrics, answered)

    def _reply(self, queued: _QueuedPredict, result: object, started: float) -> AnsweredRequest:
        """Send the answer to one request of a batch that was run at `started`."""
        name = request_id(queued.request_id)
        if isinstance(result, Prediction):
            status = 200
            body, extra = answer_of(queued.model, [result], started - queued.came)
            headers = b"content-length: %d\r\ncontent-type: %b\r\n" % (len(body), JSON.encode())
            headers = _lines(_encoded(extra)) + headers
        else:
            record_failure(self._services, queued.model, result, queued.came)
            refusal = _refusal(result, name)
            status, body = refusal.status_code, bytes(refusal.body)
            headers = _lines(refusal.raw_headers)
        queued.connection.reply(status, b"%bx-request-id: %b\r\n" % (headers, name.encode()), body)
        seconds = time.monotonic() - queued.came
        return AnsweredRequest("POST", PATH, PATH, status, seconds, name)


def _plain_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """The headers by their names; None where one is missing, unknown or repeated."""
    pairs = list(pairs)
    headers = dict(pairs)
    if len(headers) < len(pairs):
        return None
    if not REQUIRED_HEADERS <= headers.keys() <= _KNOWN_HEADERS:
        return None
    if headers.get(b"connection", _KEEP_ALIVE).lower() != _KEEP_ALIVE:
        return None
    return headers


def _parse_query(query: bytes) -> tuple[str | None, int | None] | None:
    """`model` and `top_k`, validated as the route declares them; None where they are not valid."""
    if not query:
        return None, None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs) or not values.keys() <= _PARAMETERS:
        return None
    try:
        top_k = _TOP_K.validate_python(values.get("top_k"))
    except ValidationError:
        return None
    return values.get("model"), top_k


def _length(text: bytes) -> int | None:
    """The length of a body that is small; None for any other."""
    length = int(text) if text.isdigit() else 0
    return length if 0 < length <= SMALL_BYTES else None


def _is_array(content_type: bytes) -> bool | None:
    """Whether the body is an array; False for a picture, None for anything else."""
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        return False
    return True if kind == NPY else None


def _encoded(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def _refusal(error: object, request_id: str) -> Response:
    """The answer to a request that failed."""
    if isinstance(error, FoveaError) and problems.kind_of(error) is not problems.INTERNAL:
        return problems.answer(error, request_id)
    return internal_error(error, "POST", PATH, request_id)
