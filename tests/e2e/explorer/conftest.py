"""A headless browser, and one service with all four models, for the tests of what is shown in a
browser.

A test takes `page`, which is blank, and begins with `page.goto("/")`. `complaints` is for what it
expects to go wrong, `open_page` for a page of another kind (a touch screen, a narrow window) or for
several, `client` for what the REST API of the same service says, `module_page` with `in_module` for
a JavaScript module alone.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.explorer.browser import ARGUMENTS, Complaints, NoBrowserError, find_browser
from tests.e2e.process import ROOT, Service

LEARNED = ("digits", "digits1d", "voxels")
PATIENCE_MS = 15_000
# With an icon, or else the browser asks for /favicon.ico.
EMPTY = (
    "<!doctype html><html lang='en'><title>Modules</title>"
    "<link rel='icon' href='data:,'><main></main></html>"
)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    """The browser that the tests of a file share. It does not outlive the file: until it is closed,
    the event loop of Playwright counts as running in this thread, and `asyncio.run` is refused.
    """
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=ARGUMENTS, timeout=60_000
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser's program. Without one the tests are skipped, or fail if TESTS_BROWSER_REQUIRED
    is set.
    """
    try:
        return find_browser()
    except NoBrowserError as error:
        missing = str(error)
    if os.environ.get("TESTS_BROWSER_REQUIRED") or os.environ.get("TESTS_BROWSER"):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def models_folder(
    browser_path: str, models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with `imagenet` and the three learned models. Not to be written to."""
    folder = tmp_path_factory.mktemp("all-models")
    (folder / "imagenet").symlink_to(models_folder / "imagenet")
    for name in LEARNED:
        shutil.copytree(ROOT / "models" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def service(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `models_folder`, which all tests with a browser share: none stops it or
    changes its settings.
    """
    with Service(tmp_path_factory.mktemp("explorer"), models_folder) as service:
        service.ready()
        yield service


@pytest.fixture(scope="session")
def address(service: Service) -> str:
    """The address of the service, `http://127.0.0.1:PORT`. A page's own addresses are relative to
    it.
    """
    return service.address()


@pytest.fixture
def complaints(address: str) -> Iterator[Complaints]:
    """What the pages of this test complain of. Whatever the test did not announce by `expect` fails
    it at its end.
    """
    complaints = Complaints(address)
    yield complaints
    if verdict := complaints.verdict():
        pytest.fail(f"in the browser:\n{verdict}", pytrace=False)


@pytest.fixture
def open_page(browser: Browser, address: str, complaints: Complaints) -> Iterator[OpenPage]:
    """`open_page(**options)` is a blank page, watched, with a storage of its own.

    The options are those of Playwright's `Browser.new_context`, such as `has_touch=True`. Without
    them it is 1440 x 900 CSS pixels, light, in British English, and motion is not reduced;
    `page.emulate_media(color_scheme="dark")` and `page.set_viewport_size` change that while the
    test runs.
    """
    default: dict[str, Any] = {
        "base_url": address,
        "viewport": {"width": 1440, "height": 900},
        "color_scheme": "light",
        "reduced_motion": "no-preference",
        "locale": "en-GB",
    }
    with ExitStack() as opened:

        def open_page(**options: Any) -> Page:
            context = browser.new_context(**(default | options))
            opened.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            complaints.watch(context)
            return context.new_page()

        yield open_page


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """One blank page of `open_page`."""
    return open_page()


@pytest.fixture
def module_page(page: Page) -> Page:
    """An empty page at `/` with the headers, hence the content security policy, of the real one,
    which is not started: `in_module(module_page, ...)` imports its modules one at a time.
    """
    page.route("/", lambda route: route.fulfill(response=route.fetch(), body=EMPTY))
    page.goto("/")
    page.unroute("/")
    return page
