"""Giving the network something to see, and what it says: samples, drawings, files; with a mouse, a
finger and keys.
"""

import io
import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FilePayload, Locator, Page, Request, Route, expect

from service.client import Client
from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import Complaints, in_module, shoot
from tests.e2e.explorer.conftest import OpenPage
from tests.e2e.process import ROOT

CAT = (ROOT / "samples/cat.jpg").read_bytes()
SEVEN = [(0.24, 0.24), (0.5, 0.22), (0.76, 0.22), (0.66, 0.42), (0.55, 0.62), (0.46, 0.86)]
KINDS = {"imagenet": "picture", "digits1d": "signal", "voxels": "volume"}
OTHERS = re.compile(r"/views/(?!input_panel|predictions)\w+\.js$")
TRANSFER = """([event, name, type, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const made = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const Kind = event === "paste" ? ClipboardEvent : DragEvent;
  const target = document.querySelector(".drop:not([hidden])") ?? document.body;
  target.dispatchEvent(new Kind(event, made));
}"""


def bring(page: Page, event: str, name: str, media_type: str, data: bytes) -> None:
    """Let a file be held above the page (dragenter), dropped (drop) or pasted (paste)."""
    page.evaluate(TRANSFER, [event, name, media_type, list(data)])


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array, dtype=np.float32))
    return stream.getvalue()


def with_samples(page: Page, samples: dict[str, tuple[str, bytes]]) -> None:
    """Let each model bring these samples, by file name."""

    def answer(route: Route) -> None:
        file = route.request.url.rpartition("/samples")[2].strip("/")
        if file:
            media_type, data = samples[file]
            route.fulfill(body=data, content_type=media_type)
            return
        listed = [
            {
                "name": name.partition(".")[0],
                "file": name,
                "media_type": media_type,
                "bytes": len(data),
            }
            for name, (media_type, data) in samples.items()
        ]
        route.fulfill(body=json.dumps({"samples": listed}), content_type="application/json")

    page.route(re.compile(r"/models/[^/]+/samples(/|$)"), answer)


def opened(page: Page, model: str, samples: dict[str, tuple[str, bytes]] | None = None) -> Page:
    """The page with this model; without samples it waits for an input. The views of layers are left
    out, for speed.
    """
    nothing = "export const mount = (root) => { root.hidden = true; };"
    page.route(OTHERS, lambda route: route.fulfill(body=nothing, content_type="text/javascript"))
    with_samples(page, samples or {})
    page.goto(f"/#model={model}")
    if not samples:
        expect(page.get_by_text("This model brings no samples.")).to_be_visible()
    return page


def pad(page: Page) -> Locator:
    """The pad for drawing, once its tab is chosen."""
    page.get_by_role("tab", name="Draw").click()
    return page.get_by_role("img", name="Drawing pad")


def on(pad: Locator, places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places on the pad, parts of its side, as points of the page."""
    box = pad.bounding_box()
    assert box is not None
    return [
        (box["x"] + across * box["width"], box["y"] + down * box["height"])
        for across, down in places
    ]


def draw(page: Page, places: list[tuple[float, float]], *, lift: bool = True) -> None:
    """One stroke with the mouse."""
    first, *others = on(page.get_by_role("img", name="Drawing pad"), places)
    page.mouse.move(*first)
    page.mouse.down()
    for point in others:
        page.mouse.move(*point, steps=6)
    if lift:
        page.mouse.up()


def strongest(page: Page) -> Locator:
    return page.locator("#predictions li").first


def posted(page: Page) -> list[Request]:
    """The predictions asked for from now on, as they are asked."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if "/predict" in request.url else None)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_seven_is_called_seven_before_the_pen_is_lifted_dark_on_light_and_light_on_dark(
    open_page: OpenPage, scheme: str
) -> None:
    page = opened(open_page(color_scheme=scheme), "digits")
    pad(page)
    expect(page.get_by_text("Draw a digit")).to_be_visible()
    draw(page, SEVEN, lift=False)
    expect(strongest(page)).to_contain_text(re.compile("^7"))
    with page.expect_response("**/predict*"):
        page.mouse.up()
    expect(page.locator("#predictions")).to_have_attribute("data-status", "ready")
    assert float(strongest(page).get_attribute("data-probability") or 0) > 0.5
    expect(page.get_by_text("Given: your drawing")).to_be_visible()
    shoot(page, f"drawn-seven-{scheme}")
    assert_accessible(page, within="#predictions")
    for name in ("Samples", "Your own", "Draw"):
        page.get_by_role("tab", name=name).click()
        assert_accessible(page, within="#give")


def test_a_finger_draws_and_does_not_scroll_the_page(open_page: OpenPage) -> None:
    narrow = {"width": 390, "height": 844}
    page = opened(open_page(viewport=narrow, has_touch=True, is_mobile=True), "digits")
    points = [{"x": x, "y": y} for x, y in on(pad(page), SEVEN)]
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(strongest(page)).to_contain_text(re.compile("^7"))
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]


def test_a_drawing_that_goes_on_aborts_the_request_under_way(page: Page) -> None:
    opened(page, "digits")
    pad(page)
    held: list[Route] = []
    failed: set[Request] = set()
    page.on("requestfailed", lambda request: failed.update([request]))
    page.route("**/predict*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/predict*"):
        draw(page, SEVEN[:3])
    draw(page, SEVEN[2:])
    expect(strongest(page)).to_contain_text(re.compile("^7"))
    assert held[0].request in failed
    assert held[0].request.failure == "net::ERR_ABORTED"


def test_an_empty_sheet_is_not_posted_and_clears_the_prediction(page: Page) -> None:
    opened(page, "digits")
    sheet = pad(page)
    draw(page, SEVEN[:3])
    draw(page, SEVEN[2:])
    expect(strongest(page)).to_be_visible()
    page.keyboard.press("Control+z")
    expect(sheet).to_have_attribute("aria-label", "Drawing pad, 1 stroke")
    expect(page.locator("#predictions")).to_have_attribute("data-status", "ready")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#predictions")).to_contain_text("Nothing to predict")
    asked = posted(page)
    expect(page.get_by_role("button", name="Clear")).to_be_disabled()
    page.wait_for_timeout(300)
    assert asked == []
    assert "input=" not in page.url


def test_a_broken_file_that_is_dropped_is_refused_by_name_with_the_reason_and_the_next_is_taken(
    page: Page, complaints: Complaints
) -> None:
    complaints.expect(r"^console: .* 400 .*/predict")
    opened(page, "imagenet")
    bring(page, "dragenter", "holiday.jpg", "image/jpeg", CAT[:3000])
    expect(page.get_by_text("Drop a picture for imagenet")).to_be_visible()
    shoot(page, "drop")
    bring(page, "drop", "holiday.jpg", "image/jpeg", CAT[:3000])
    expect(page.get_by_text("Drop a picture for imagenet")).to_be_hidden()
    alert = page.locator("#give").get_by_role("alert")
    expect(alert).to_contain_text("holiday.jpg was not taken: the JPEG picture cannot be decoded")
    shoot(page, "broken-file")
    bring(page, "drop", "cat.jpg", "image/jpeg", CAT)
    expect(alert).to_have_count(0)
    expect(strongest(page)).to_contain_text("Egyptian cat")


def test_the_rows_are_what_the_api_says_in_percent_and_exactly(page: Page, client: Client) -> None:
    opened(page, "imagenet")
    bring(page, "paste", "image.png", "image/png", CAT)
    expect(page.get_by_text("Given: a pasted picture")).to_be_visible()
    expect(strongest(page)).to_be_visible()
    predictions = client.predict(CAT, model="imagenet").predictions
    rows = page.locator("#predictions li")
    expect(rows).to_have_count(len(predictions))
    for row, found in zip(rows.all(), predictions, strict=True):
        assert found.probability is not None
        expect(row).to_contain_text(f"{found.label}{100 * found.probability:.1f} %")
        assert float(row.get_attribute("data-probability") or 0) == pytest.approx(
            found.probability, rel=1e-4
        )


@pytest.mark.parametrize(
    ("name", "browsers_type", "media_type"),
    [
        ("Sheet.CSV", "application/vnd.ms-excel", "text/csv"),
        ("signal.json", "", "application/json"),
        ("solid.v2.npy", "", "application/x-npy"),
        ("photo.npy.webp", "image/webp", "image/webp"),
        ("notes.txt", "text/plain", "application/octet-stream"),
        ("cat", "", "application/octet-stream"),
    ],
)
def test_the_media_type_is_what_a_name_says_or_else_the_browser_knows_of_a_picture(
    module_page: Page, name: str, browsers_type: str, media_type: str
) -> None:
    code = "({ typed }, [name, type]) => typed(new File(['1'], name, { type })).type"
    assert in_module(module_page, "media_types.js", code, [name, browsers_type]) == media_type


def test_a_file_that_is_chosen_is_posted_as_what_its_name_says(page: Page) -> None:
    opened(page, "digits1d")
    page.get_by_role("tab", name="Your own").click()
    file = FilePayload(name="Sheet.CSV", mimeType="application/vnd.ms-excel", buffer=b"0.1\n" * 40)
    with page.expect_request("**/predict*") as asked, page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file…").click()
        chooser.value.set_files(file)
    assert asked.value.headers["content-type"] == "text/csv"
    expect(strongest(page)).to_be_visible()
    expect(page.get_by_text("Given: Sheet.CSV")).to_be_visible()


def samples_for(model: str) -> dict[str, tuple[str, bytes]]:
    wave = np.sin(np.arange(40) / 3)
    if model == "digits1d":
        return {
            f"{name}.csv": ("text/csv", "\n".join(map(str, wave * name)).encode())
            for name in (1, 2)
        }
    if model == "voxels":
        return {
            f"{name}.npy": ("application/x-npy", npy(np.eye(16) + np.zeros((16, 1, 1)) + name))
            for name in (1, 2)
        }
    return {
        f"{name}.jpg": ("image/jpeg", (ROOT / f"samples/{name}.jpg").read_bytes())
        for name in ("cat", "rocket")
    }


@pytest.mark.parametrize("model", KINDS)
def test_the_first_sample_is_given_by_itself_and_another_by_the_keyboard(
    page: Page, model: str
) -> None:
    samples = samples_for(model)
    opened(page, model, samples)
    buttons = page.locator("#panel-samples button")
    expect(buttons).to_have_count(2)
    first, second = buttons.all()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(strongest(page)).to_be_visible()
    expect(page.get_by_text(f"Takes a {KINDS[model]}")).to_be_visible()
    first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(first).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text(f"Given: {list(samples)[1]}")).to_be_visible()
    assert_accessible(page, within="#give")
    shoot(page, f"samples-{model}")


def test_only_a_model_of_pictures_is_drawn_for_and_arrow_keys_move_among_the_ways(
    page: Page,
) -> None:
    opened(page, "digits")
    page.get_by_role("tab", name="Samples").press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Draw")).to_be_visible()
    expect(page.get_by_role("tab", name="Draw")).to_be_focused()
    page.get_by_label("Model").select_option("voxels:1")
    expect(page.get_by_role("tab", name="Draw")).to_be_hidden()
    page.get_by_role("tab", name="Samples").press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Your own")).to_be_visible()


def test_a_picture_follows_to_another_model_of_pictures_and_not_to_one_of_signals(
    page: Page,
) -> None:
    opened(page, "digits")
    pad(page)
    draw(page, SEVEN)
    expect(strongest(page)).to_contain_text(re.compile("^7"))
    # The last stroke is posted once the pen rests, to whichever model is chosen then.
    page.wait_for_timeout(300)
    page.get_by_label("Model").select_option("imagenet:1")
    expect(page.locator("#predictions")).to_contain_text("of 1000 classes")
    asked = posted(page)
    page.get_by_label("Model").select_option("digits1d:1")
    expect(page.locator("#predictions")).to_contain_text("Nothing to predict")
    assert asked == []


def test_a_link_brings_the_input_back_without_its_file(page: Page, open_page: OpenPage) -> None:
    opened(page, "imagenet")
    bring(page, "drop", "cat.jpg", "image/jpeg", CAT)
    expect(page).to_have_url(re.compile("input=[0-9a-f]{64}"))
    other = open_page()
    other.goto(page.url)
    expect(other.get_by_text("Given: an input posted before")).to_be_visible()
    expect(strongest(other)).to_contain_text("Egyptian cat")


def test_a_service_that_does_not_answer_can_be_asked_again(
    page: Page, complaints: Complaints
) -> None:
    complaints.expect("ERR_FAILED")
    opened(page, "imagenet")
    page.route("**/predict*", lambda route: route.abort(), times=1)
    bring(page, "drop", "cat.jpg", "image/jpeg", CAT)
    expect(page.locator("#predictions")).to_contain_text("the service does not answer")
    page.get_by_role("button", name="Try again").click()
    expect(strongest(page)).to_contain_text("Egyptian cat")


def test_the_strongest_class_is_announced_at_most_once_a_second_while_one_draws(page: Page) -> None:
    opened(page, "digits")
    pad(page)
    page.evaluate(
        """() => {
          window.spoken = [];
          const region = document.querySelector("#predictions [role=status]");
          const note = () => window.spoken.push([performance.now(), region.textContent]);
          const changes = { childList: true, characterData: true, subtree: true };
          new MutationObserver(note).observe(region, changes);
        }"""
    )
    asked = posted(page)
    for places in (
        SEVEN[:3],
        SEVEN[2:],
        [(0.3, 0.6), (0.75, 0.55)],
        [(0.2, 0.9), (0.8, 0.9)],
        [(0.2, 0.2), (0.2, 0.9)],
    ):
        draw(page, places)
        page.wait_for_timeout(250)
    page.wait_for_timeout(1200)
    spoken = page.evaluate("window.spoken")
    times = [time for time, _ in spoken]
    assert len(asked) >= 5
    assert 1 <= len(times) < len(asked)
    assert all(late - early > 950 for early, late in pairwise(times)), spoken
    assert spoken[-1][1].startswith(strongest(page).locator(".predictions-label").inner_text())
