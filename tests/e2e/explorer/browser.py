"""A Chromium that the machine has, and what a test does with its pages besides clicking: watch,
photograph, import.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

from tests.e2e.process import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCREENSHOTS = ROOT / "screenshots"
# Whatever asks for another machine, the browser itself included, finds no such host. Playwright
# adds --no-sandbox and --disable-dev-shm-usage by itself, which containers need; every page here is
# the service's. A GPU that is not there would be imitated, slowly.
ARGUMENTS = (
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class NoBrowserError(Exception):
    """There is no browser to test with; the message says what to install."""


def find_browser() -> str:
    """The path of the browser that `TESTS_BROWSER` names, or of the first of NAMES; raises
    NoBrowserError.
    """
    named = os.environ.get("TESTS_BROWSER")
    for name in (named,) if named else NAMES:
        if path := shutil.which(name):
            return path
    if named:
        raise NoBrowserError(f"TESTS_BROWSER names {named!r}, which is no program that can be run")
    raise NoBrowserError(
        f"no browser: none of {', '.join(NAMES)} is in PATH. Install one (Debian: apt-get install "
        "chromium), "
        "or name one: TESTS_BROWSER=/path/to/chrome"
    )


class Complaints:
    """What the pages of one test complained of, each a line that begins with its kind.

    - `console: TEXT (ADDRESS)`: an error in the console; the browser writes one for every answer
      from 400 on, and for everything that the content security policy refuses
    - `uncaught: STACK`: an error that no script caught
    - `failed: METHOD ADDRESS: REASON`: a request without an answer; one that the page itself gave
      up is none
    - `elsewhere: METHOD ADDRESS`: a request to another origin than the service's
    """

    def __init__(self, address: str) -> None:
        self.seen: list[str] = []
        self._origin = urlsplit(address)[:2]
        self._expected: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Note the complaints of all pages of this context from now on."""
        context.on("console", self._console)
        context.on("weberror", self._uncaught)
        context.on("requestfailed", self._failed)
        context.on("request", self._asked)

    def expect(self, pattern: str) -> None:
        """Allow the complaints that match this regular expression, and require one at least."""
        self._expected.append(pattern)

    def verdict(self) -> str:
        """What was not expected, and what was expected and did not come; empty if all is well."""
        surprises = [
            line for line in self.seen if not any(re.search(each, line) for each in self._expected)
        ]
        missing = [
            each for each in self._expected if not any(re.search(each, line) for line in self.seen)
        ]
        return "\n".join([*surprises, *(f"expected, and never seen: {each}" for each in missing)])

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"console: {message.text} ({message.location['url']})")

    def _uncaught(self, raised: WebError) -> None:
        self.seen.append(f"uncaught: {raised.error.stack or raised.error.message}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            self.seen.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts[:2] != self._origin:
            self.seen.append(f"elsewhere: {request.method} {request.url}")


def shoot(page: Page, name: str, *, full_page: bool = False) -> Path:
    """Write what the page shows (or all of it, at its full height) to `screenshots/NAME.png`;
    returns the path.
    """
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=full_page)
    return path


def in_module(page: Page, module: str, function: str, argument: object = None) -> Any:
    """What `function(exports, argument)` answers, once the page has imported `explorer/MODULE`.

    `function` is JavaScript: `in_module(page, "npy.js", "(npy, bytes) => npy.parse(bytes)", [1,
    2])`. It may be async. The argument and the answer pass as JSON, with NaN, Infinity and
    undefined (None) besides; typed arrays do not, so spread them: `[...array]`. Raises
    playwright.sync_api.Error with what was thrown.
    """
    code = f"async ([address, argument]) => ({function})(await import(address), argument)"
    return page.evaluate(code, [urljoin(page.url, f"/explorer/{module}"), argument])
