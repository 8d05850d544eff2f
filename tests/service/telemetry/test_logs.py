"""Logs are one line for each event and carry the request they belong to."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from service.telemetry import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_log_is_one_object_per_line_with_the_request_id() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        structlog.get_logger("fovea").info("answered", status=200)
    [line] = lines(stream)
    assert line["event"] == "answered"
    assert (line["request_id"], line["status"], line["level"], line["logger"]) == (
        "abc",
        200,
        "info",
        "fovea",
    )
    assert str(line["timestamp"]).endswith("Z")


def test_logs_of_libraries_and_warnings_take_the_same_way() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    logging.getLogger("uvicorn.error").info("started on %s", 8000)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure("json", "info", stream)
        warnings.warn("odd file", stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"]) == ("started on 8000", "uvicorn.error")
    assert "odd file" in str(second["event"])


@pytest.mark.parametrize(
    ("sent", "written"), [("\x1b[31m", r"\x1b[31m"), ("\u202e", r"\u202e"), ("ä 猫", "ä 猫")]
)
def test_a_console_log_spells_out_what_would_command_a_terminal(sent: str, written: str) -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    structlog.get_logger("fovea").info("request", path=f"/{sent}")
    assert f"/{written}" in stream.getvalue()


def test_an_exception_stays_on_one_line() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    try:
        int("no")
    except ValueError:
        structlog.get_logger("fovea").exception("failed")
    [line] = lines(stream)
    assert "ValueError" in str(line["exception"])


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_says_where_and_nothing_of_what_was_posted(log_format: str) -> None:
    def fail(posted: str) -> None:
        raise ValueError(len(posted))

    stream = io.StringIO()
    logs.configure(log_format, "info", stream)
    try:
        fail("secret " * 3)
    except ValueError:
        structlog.get_logger("fovea").exception("failed")
    text = stream.getvalue()
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "secret secret" not in text


def test_the_level_is_the_least_that_is_logged() -> None:
    stream = io.StringIO()
    logs.configure("console", "warning", stream)
    structlog.get_logger("fovea").info("quiet")
    structlog.get_logger("fovea").warning("loud")
    logging.getLogger("other").info("quiet")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_line_for_people_has_no_colours_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    structlog.get_logger("fovea").info("hello", model="a")
    assert "\x1b" not in stream.getvalue()
    assert "model=a" in stream.getvalue()


@pytest.mark.parametrize("callers_id", [None, "", "a b", "a\nb", "x" * 65, "é"])
def test_an_id_unfit_for_a_log_line_is_replaced(callers_id: str | None) -> None:
    made = logs.request_id(callers_id)
    assert made != callers_id
    assert len(made) == 32


def test_the_callers_own_id_is_kept() -> None:
    assert logs.request_id("run-7.a_b:c") == "run-7.a_b:c"
