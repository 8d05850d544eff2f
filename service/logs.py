"""Structured logs: one line for each event, for people or for machines, with the id of the request it belongs to.

Everything goes through one handler on standard error, that of uvicorn and of the libraries too.
"""

import logging
import re
import sys
import uuid
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

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
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=SHARED, processors=_rendering(log_format, handler.stream))
    )
    logging.basicConfig(handlers=[handler], level=log_level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # Our own line for each request says more than uvicorn's, and httpx need not announce every call.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level.upper())),
        cache_logger_on_first_use=False,
    )


def request_id(given: str | None) -> str:
    """The caller's own id if it is fit for a log line and a header, else a new one."""
    return given if given is not None and REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _rendering(log_format: str, stream: TextIO) -> list[Processor]:
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        return [*last, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
    return [*last, _printable, structlog.dev.ConsoleRenderer(colors=stream.isatty())]


def _printable(_: object, __: str, event: EventDict) -> EventDict:
    """Control characters spelt out: the path of a stranger's request must not command the operator's terminal."""
    return {name: _spelt_out(value) if isinstance(value, str) else value for name, value in event.items()}


def _spelt_out(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)
