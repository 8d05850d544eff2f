"""Structured logs: one line for each event, for people or for machines, with the id of the request
that it belongs to.

Everything goes through one handler on standard error, including what uvicorn and the libraries log.
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
# Frames without their variables: these hold what was posted, and took most of the time of a
# failure.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
PROCESSORS: tuple[Processor, ...] = (
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
            foreign_pre_chain=PROCESSORS, processors=_renderers(log_format, handler.stream)
        )
    )
    logging.basicConfig(handlers=[handler], level=log_level.upper(), force=True)
    logging.captureWarnings(capture=True)
    _configure_libraries()
    access.configure(handler.stream, log_format, log_level)
    structlog.configure(
        processors=[*PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level.upper())),
        cache_logger_on_first_use=False,
    )


class AccessLog:
    """A line for each request that was answered, rendered as other events are but at a tenth of
    their cost.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._as_json = False
        self._min_level = logging.INFO

    def configure(self, stream: TextIO, log_format: str, log_level: str) -> None:
        """Write lines of this level and above; nothing is written before this call."""
        self._stream = stream
        self._as_json = log_format == "json"
        self._min_level = logging.getLevelName(log_level.upper())

    def write(self, level: int, requests: Sequence[Mapping[str, Any]]) -> None:
        """Write the lines of these requests at once."""
        if self._stream is None or level < self._min_level:
            return
        seconds, fraction = divmod(time.time(), 1)
        timestamp = f"{_second(int(seconds))}.{int(fraction * 1e6):06d}Z"
        lines = [self._line(timestamp, level, request) for request in requests]
        self._stream.write("".join(lines))
        self._stream.flush()

    def _line(self, timestamp: str, level: int, fields: Mapping[str, Any]) -> str:
        level_name = logging.getLevelName(level).lower()
        if self._as_json:
            event = {
                **fields,
                "event": "request",
                "level": level_name,
                "logger": ACCESS,
                "timestamp": timestamp,
            }
            return json.dumps(event) + "\n"
        shown = " ".join([f"{name}={_escape(str(value))}" for name, value in fields.items()])
        return f"{timestamp} [{level_name:<9}] {'request':<30} [{ACCESS}] {shown}\n"


access = AccessLog()


def request_id(callers_id: str | None) -> str:
    """The caller's own id if it is fit for a log line and a header, else a new one."""
    if callers_id is not None and REQUEST_ID.fullmatch(callers_id):
        return callers_id
    return f"{random.getrandbits(128):032x}"


def _configure_libraries() -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # Our own line for each request says more than uvicorn's, and httpx need not announce every
    # call.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(log_format: str, stream: TextIO) -> list[Processor]:
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "json":
        return [without_meta, _TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [without_meta, _escape_controls, console]


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _escape_controls(_: object, __: str, event: EventDict) -> EventDict:
    """Escape control characters: the path of a stranger's request must not command the operator's
    terminal.
    """
    return {
        name: _escape(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return ascii(character)[1:-1]
