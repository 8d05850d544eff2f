"""What the other tests rely on: their tools notice what they are there to notice."""

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.e2e.explorer import browser as tools
from tests.e2e.explorer.accessibility import assert_accessible, violations
from tests.e2e.explorer.browser import Complaints, in_module
from tests.e2e.explorer.frames import Frames, _measured, frames_per_second, sweep

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
# A pointer that paints where it is, after being busy for some milliseconds; beside it an animation
# of the compositor.
POINTER = """busy => {
  const canvas = document.querySelector("canvas");
  const context = canvas.getContext("2d");
  canvas.onmousemove = event => {
    for (const end = performance.now() + busy; performance.now() < end;);
    context.fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
    context.fillRect(event.offsetX - 20, event.offsetY - 20, 40, 40);
  };
  const spinner = document.querySelector("#spinner");
  const timing = {duration: 1000, iterations: Infinity};
  spinner.animate({transform: ["rotate(0deg)", "rotate(360deg)"]}, timing);
}"""
ANIMATION = """() => {
  const spinner = document.querySelector("#spinner");
  const step = time => {
    spinner.style.left = `${time / 10 % 300}px`;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""


def scratch(page: Page, body: str, policy: str = "", path: str = "/scratch") -> None:
    """Show a page that the service does not have, at its own origin."""
    html = (
        "<!doctype html><html lang='en'><title>Scratch</title>"
        f"<main><h1>Scratch</h1>{body}</main></html>"
    )
    headers = {"Content-Type": "text/html"} | (
        {"Content-Security-Policy": policy} if policy else {}
    )
    page.route(f"**{path}", lambda route: route.fulfill(body=html, headers=headers))
    page.goto(path)


def complained(browser: Browser, address: str, script: str) -> list[str]:
    """The complaints of a page that runs this script, in the order in which they came."""
    complaints = Complaints(address)
    context = browser.new_context(base_url=address)
    complaints.watch(context)
    page = context.new_page()
    scratch(page, "")
    page.evaluate(script)
    page.wait_for_timeout(200)
    context.close()
    return complaints.seen


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("console.error('out of ink')", ["console: out of ink ("]),
        ("console.info('all is well')", []),
        ("setTimeout(() => { throw new Error('untold') })", ["uncaught: Error: untold"]),
        (
            "fetch('/no-such-address').then(() => null)",
            ["console: Failed to load resource: the server responded"],
        ),
        (
            "fetch('http://elsewhere.invalid/').catch(() => null)",
            [
                "elsewhere: GET http://elsewhere.invalid/",
                "failed: GET http",
                "console: Failed to load resource: net",
            ],
        ),
        (
            (
                "{ const stop = new AbortController(); fetch('/layers', stop).catch(() => null); "
                "stop.abort(); }"
            ),
            [],
        ),
        ("fetch(URL.createObjectURL(new Blob(['own']))).then(() => null)", []),
    ],
)
def test_what_goes_wrong_in_a_page_is_seen(
    browser: Browser, address: str, script: str, kinds: list[str]
) -> None:
    seen = complained(browser, address, script)
    assert len(seen) == len(kinds), seen
    for kind in kinds:
        assert any(line.startswith(kind) for line in seen), seen


def test_a_complaint_is_excused_by_its_announcement_only_and_an_announcement_has_to_come_true() -> (
    None
):
    complaints = Complaints("http://127.0.0.1:1")
    complaints.seen += ["console: 404 (http://127.0.0.1:1/a)", "uncaught: x"]
    assert complaints.verdict().splitlines() == complaints.seen
    complaints.expect(r"^console: 404")
    complaints.expect("never said")
    assert complaints.verdict() == "uncaught: x\nexpected, and never seen: never said"


def test_a_test_may_announce_what_it_provokes(page: Page, complaints: Complaints) -> None:
    scratch(page, "")
    complaints.expect(r"^console: .* 404 .*/no-such-address\)$")
    assert page.evaluate("fetch('/no-such-address').then(answer => answer.status)") == 404


def test_a_module_is_imported_under_the_policy_of_the_page_and_none_from_elsewhere(
    page: Page, complaints: Complaints
) -> None:
    code = "export const twice = x => 2 * x; export const fail = () => { throw new Error('no') };"
    headers = {"Content-Type": "text/javascript"}
    page.route("**/explorer/twice.js", lambda route: route.fulfill(body=code, headers=headers))
    scratch(page, "", POLICY)
    assert in_module(page, "twice.js", "(exports, x) => exports.twice(x)", 21) == 42
    with pytest.raises(Error, match="no"):
        in_module(page, "twice.js", "exports => exports.fail()")
    complaints.expect("^console: .*violates the following Content Security Policy")
    complaints.expect("^elsewhere: GET http://elsewhere.invalid/twice.js$")
    complaints.expect("^failed: GET http://elsewhere.invalid/twice.js: csp$")
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("import('http://elsewhere.invalid/twice.js')")


def test_the_modules_of_the_explorer_are_imported_under_its_policy_without_its_being_started(
    module_page: Page, complaints: Complaints
) -> None:
    assert in_module(module_page, "npy.js", "npy => Object.keys(npy).length") > 0
    assert module_page.evaluate("document.scripts.length + document.styleSheets.length") == 0
    complaints.expect("^console: .*violates the following Content Security Policy")
    module_page.evaluate("""() => {
        window.ran = false;
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
    }""")
    assert module_page.evaluate("window.ran") is False


def test_a_picture_without_a_text_is_a_fault_and_is_named(page: Page) -> None:
    scratch(page, "<img src='data:,' id='nameless'><p>Text</p>", POLICY + "; img-src data:")
    (found,) = violations(page)
    assert found.startswith("critical: ")
    assert "[image-alt]\n  #nameless: " in found
    assert_accessible(page, within="p")


def test_a_screenshot_has_the_size_of_the_window(
    page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(tools, "SCREENSHOTS", tmp_path_factory.mktemp("shots") / "new")
    scratch(page, "")
    data = tools.shoot(page, "blank").read_bytes()
    assert data[:4] == b"\x89PNG"
    assert [int.from_bytes(data[at : at + 4]) for at in (16, 20)] == [1440, 900]


def painting(page: Page, busy_ms: int) -> Frames:
    scratch(page, "<canvas width=800 height=600></canvas><div id='spinner'>spinner</div>")
    page.evaluate(POINTER, busy_ms)
    return frames_per_second(page, lambda: sweep(page, page.locator("canvas")))


def test_a_handler_that_takes_60_ms_is_told_from_a_quick_one_even_beside_a_smooth_animation(
    page: Page,
) -> None:
    slow = painting(page, 60)
    assert 3 < slow.per_second < 1 / 0.060, slow
    assert slow.p95_ms > 60
    # A busy machine can make a quick page slow, but hardly three times.
    assert any(painting(page, 0).per_second > 1.5 * slow.per_second for _ in range(3))


def test_an_animation_by_script_counts_and_a_page_at_rest_shows_no_frame(page: Page) -> None:
    scratch(page, "<div id='spinner' style='position: absolute'>x</div>")
    page.wait_for_timeout(300)
    still = frames_per_second(page, lambda: page.wait_for_timeout(500))
    page.evaluate(ANIMATION)
    assert still.count <= 1
    assert still.longest_ms >= 250
    moving = (frames_per_second(page, lambda: page.wait_for_timeout(1000)) for _ in range(3))
    assert any(20 < each.per_second < 65 for each in moving)


def test_frames_are_measured_between_the_marks_and_only_fresh_ones_of_the_page_count() -> None:
    def event(name: str, ms: float, process: int = 1) -> dict[str, object]:
        return {"name": name, "ts": 1000 * ms, "pid": process}

    fresh = [
        event(name, ms)
        for ms in (90, 116, 132, 182, 310)
        for name in ("ActivateLayerTree", "DrawFrame")
    ]
    others = [
        event("DrawFrame", 140),
        event("ActivateLayerTree", 150, 2),
        event("DrawFrame", 151, 2),
    ]
    marks = [event("frames-end", 300), event("frames-start", 100)]
    measured = _measured(fresh + others + marks)
    # Frames at 116, 132 and 182 ms: intervals of 16, 16, 50 and 118 ms.
    assert measured == Frames(count=3, seconds=0.2, longest_ms=118, p95_ms=118)
    assert measured.per_second == 15
