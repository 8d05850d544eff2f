"""How many frames a page really shows while something is done to it, from the browser's trace."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from playwright.sync_api import Locator, Page

START, END = "frames-start", "frames-end"
CATEGORIES = ["-*", "disabled-by-default-devtools.timeline.frame", "blink.user_timing"]

Event = dict[str, Any]


@dataclass(frozen=True)
class Frames:
    """The frames with fresh content in a span of time."""

    count: int
    seconds: float
    longest_ms: float
    """The longest time without one, the spans before the first and after the last included."""
    p95_ms: float
    """The interval that 95 % of the intervals do not exceed (nearest rank)."""

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.per_second:.1f} frames/s ({self.count} in {self.seconds:.2f} s), "
            f"interval p95 {self.p95_ms:.0f} ms, longest {self.longest_ms:.0f} ms"
        )


def frames_per_second(page: Page, action: Callable[[], object]) -> Frames:
    """The frames that `page` shows while `action` runs; `sweep` is such an action.

    Counted are the frames drawn with something new from the page's main thread. Those that only
    move an animation of the compositor (a spinner) are not, so that they cannot hide a slow script;
    nor are those that the browser saves because nothing changed, so the action has to change
    something all the time. A headless browser draws 60 a second at most. Other pages must be quiet:
    only one trace can run in a browser.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=CATEGORIES)
    try:
        page.evaluate("name => { performance.mark(name); }", START)
        action()
        page.evaluate("name => { performance.mark(name); }", END)
    finally:
        trace = browser.stop_tracing()
    return _measured(json.loads(trace)["traceEvents"])


def sweep(page: Page, target: Locator, seconds: float = 2.0) -> None:
    """Lead the pointer over the middle nine tenths of an element, along a curve that crosses all of
    it.

    Each move waits until the page has handled it, as a browser does that joins the moves of one
    frame.
    """
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None, "the element is not shown"
    begin = time.monotonic()
    while (t := time.monotonic() - begin) < seconds:
        x = 0.5 + 0.45 * math.sin(2.3 * t)
        y = 0.5 + 0.45 * math.sin(3.1 * t)
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        time.sleep(0.004)


def _measured(events: list[Event]) -> Frames:
    """The frames between the two marks, in the process that made the marks."""
    marks = {event["name"]: event for event in events if event["name"] in (START, END)}
    process, start, end = marks[START]["pid"], marks[START]["ts"], marks[END]["ts"]
    own = sorted(
        (event for event in events if event["pid"] == process), key=lambda event: float(event["ts"])
    )
    times = [ts for ts in _fresh(own) if start <= ts <= end]
    intervals = sorted((late - early) / 1e3 for early, late in pairwise([start, *times, end]))
    p95 = intervals[math.ceil(0.95 * len(intervals)) - 1]
    return Frames(
        count=len(times), seconds=(end - start) / 1e6, longest_ms=intervals[-1], p95_ms=p95
    )


def _fresh(events: list[Event]) -> Iterator[float]:
    """The times, in microseconds, of the frames that show a state of the main thread for the first
    time.
    """
    fresh = False
    for event in events:
        if event["name"] == "ActivateLayerTree":
            fresh = True
        elif event["name"] == "DrawFrame" and fresh:
            fresh = False
            yield event["ts"]
