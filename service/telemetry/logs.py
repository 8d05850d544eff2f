"""Structured logs: one line for each event, for people or for machines, with the id of the request
it belongs to.

Everything goes through one handler on standard error, that of uvicorn and of the libraries too.
"""

import json
import logging
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

ACCESS = "service.access"
# Frames without their variables, which hold what was posted, and took most of the time that a
# failure costs.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (standard error) as `console` or `json` lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED, processors=_rendering(log_format, handler.stream)
        )
    )
    logging.basicConfig(handlers=[handler], level=log_level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    access.configure(handler.stream, log_format, log_level)
    # Our own line for each request says more than uvicorn's, and httpx need not announce every
    # call.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level.upper())),
        cache_logger_on_first_use=False,
    )


class AccessLog:
    """A line for each request that was answered, as the other events are rendered but at a tenth of
    their cost.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._as_json = False
        self._least = logging.INFO

    def configure(self, stream: TextIO, log_format: str, log_level: str) -> None:
        """Write what is at least of this level; before it, nothing is written."""
        self._stream, self._as_json, self._least = (
            stream,
            log_format == "json",
            logging.getLevelName(log_level.upper()),
        )

    def write(self, level: int, requests: Sequence[Mapping[str, Any]]) -> None:
        """The lines of these requests, in one piece."""
        if self._stream is not None and level >= self._least:
            seconds, part = divmod(time.time(), 1)
            timestamp = f"{_second(int(seconds))}.{int(part * 1e6):06d}Z"
            self._stream.write("".join([self._line(timestamp, level, each) for each in requests]))
            self._stream.flush()

    def _line(self, timestamp: str, level: int, fields: Mapping[str, Any]) -> str:
        name = logging.getLevelName(level).lower()
        if self._as_json:
            about = {"event": "request", "level": name, "logger": ACCESS, "timestamp": timestamp}
            return json.dumps({**fields, **about}) + "\n"
        shown = " ".join([f"{name}={_spelt_out(str(value))}" for name, value in fields.items()])
        return f"{timestamp} [{name:<9}] {'request':<30} [{ACCESS}] {shown}\n"


access = AccessLog()


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def request_id(given: str | None) -> str:
    """The caller's own id if it is fit for a log line and a header, else a new one."""
    return (
        given
        if given is not None and REQUEST_ID.fullmatch(given)
        else f"{random.getrandbits(128):032x}"
    )


def _rendering(log_format: str, stream: TextIO) -> list[Processor]:
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        return [*last, _TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
    plain = structlog.dev.plain_traceback
    return [
        *last,
        _printable,
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain),
    ]


def _printable(_: object, __: str, event: EventDict) -> EventDict:
    """Control characters spelt out: the path of a stranger's request must not command the
    operator's terminal.
    """
    return {
        name: _spelt_out(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _spelt_out(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text
    )
