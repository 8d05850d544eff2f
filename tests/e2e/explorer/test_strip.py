"""The strip shows every layer as the API describes it, fetches what is in view only, and is steered
by keys alone.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import FloatRect, Page, expect

from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import Complaints, in_module
from tests.e2e.explorer.frames import sweep
from tests.e2e.explorer.written import serve_from
from tests.e2e.process import Service

QUIET_MS = 600
SHIFTS = """() => {
  window.shifts = [];
  const elementOf = (node) => (node instanceof Element ? node : node?.parentElement);
  const within = ({node}) => elementOf(node)?.closest("section")?.id ?? "";
  const told = ({value, sources}) => ({value, within: sources.map(within)});
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map(told)))
    .observe({type: "layout-shift", buffered: false});
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of its own, with networks that have 80 layers and branches."""
    folder = tmp_path_factory.mktemp("written")
    with Service(folder, serve_from(folder / "models"), FOVEA_DEFAULT_MODEL="deep") as service:
        service.ready()
        yield service.address()


def layers_of(address: str, model: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{address}/layers?model={model}").json()["layers"]
    return found


def glanced(page: Page) -> list[int]:
    """The layers whose strongest channels are asked for from now on, in order; the list grows."""
    asked: list[int] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.path.endswith("/activations") and "strongest" in parse_qs(parts.query):
            asked.append(int(parts.path.split("/")[-2]))

    page.on("request", lambda request: note(request.url))
    return asked


def opened(page: Page, place: str) -> None:
    """Show the page until nothing is fetched any more."""
    page.goto(f"/#{place}")
    expect(page.locator("#strip [aria-current]")).to_be_visible()
    expect(page.locator("#strip [aria-current] .strip-figure")).to_have_attribute(
        "data-state", "ready"
    )
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(QUIET_MS)


def in_view(page: Page, margin: int = 0) -> list[int]:
    found: list[int] = page.evaluate(
        """(margin) => {
          const view = document.querySelector(".strip-scroller").getBoundingClientRect();
          return [...document.querySelectorAll("#strip [data-index]")]
            .filter((card) => {
              const {left, right} = card.getBoundingClientRect();
              return right > view.left - margin && left < view.right + margin;
            })
            .map((card) => Number(card.dataset.index));
        }""",
        margin,
    )
    return found


def current(page: Page) -> int:
    return int(page.locator("#strip [aria-current]").get_attribute("data-index") or -1)


def test_every_layer_has_a_card_with_what_the_api_says_of_it(page: Page, address: str) -> None:
    opened(page, "model=deep&layer=0")
    layers = layers_of(address, "deep")
    cards = page.locator("#strip [role=option]")
    assert len(layers) == 80
    expect(cards).to_have_count(80)
    for layer, title in zip(
        layers, cards.evaluate_all("cards => cards.map((card) => card.title)"), strict=True
    ):
        assert title.startswith(f"{layer['index']}: {layer['name']}\n")
        assert " × ".join(map(str, layer["output_shape"])) in title.split("\n")
    depthwise = cards.nth(1)
    expect(depthwise).to_contain_text("depthwise convolution")
    expect(depthwise).to_contain_text("Conv 3 × 3")
    expect(depthwise).to_contain_text("sees 7 × 7")
    expect(cards.nth(79)).to_contain_text("sees everything")


def test_only_layers_in_view_are_fetched_and_all_come_when_they_are_scrolled_to(page: Page) -> None:
    asked = glanced(page)
    opened(page, "model=deep&layer=0")
    near = set(in_view(page, 200))
    assert set(in_view(page)) <= set(asked) <= near
    assert len(asked) == len(set(asked)) < 15
    page.locator(".strip-scroller").evaluate(
        "element => element.scrollTo({left: 6000, behavior: 'instant'})"
    )
    expect(page.locator(f"[data-index='{in_view(page)[2]}'] .strip-figure")).to_have_attribute(
        "data-state", "ready"
    )
    page.wait_for_timeout(QUIET_MS)
    assert set(asked) - near <= set(in_view(page, 200))
    assert set(asked) - near


def test_the_pointer_moves_without_a_request_and_without_moving_anything(page: Page) -> None:
    opened(page, "model=deep&layer=3")
    for section in page.locator("main section:visible").all():
        # What is fetched as soon as it is in view is there before.
        section.scroll_into_view_if_needed()
    page.locator("#strip").scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(QUIET_MS)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate(SHIFTS)
    sweep(page, page.locator("#strip"), 0.8)
    sweep(page, page.locator("#layer"), 0.8)
    page.wait_for_timeout(QUIET_MS)
    assert requests == []
    shifts = page.evaluate("window.shifts")
    assert not any("strip" in each["within"] for each in shifts), shifts
    # A number that is aligned to the right begins elsewhere when it has more digits.
    assert sum(each["value"] for each in shifts) < 0.001, shifts


def test_a_click_chooses_a_layer_and_moves_the_strip_alone(page: Page) -> None:
    opened(page, "model=deep&layer=0")
    last = in_view(page)[-1]
    page.locator(f"#strip [data-index='{last}']").click(position={"x": 5, "y": 5})
    expect(page.locator(f"#strip [data-index='{last}']")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile(f"layer={last}&"))
    page.wait_for_function(
        "last => document.querySelector('.strip-scroller').scrollLeft > 0", arg=last
    )
    assert page.evaluate("window.scrollY") == 0


def test_keys_follow_the_path_change_lanes_and_reach_every_layer(page: Page, address: str) -> None:
    opened(page, "model=branching&layer=0")
    layers = layers_of(address, "branching")
    named = {layer["name"]: layer["index"] for layer in layers}
    page.locator("#strip [aria-current]").focus()

    def press(key: str) -> str:
        page.keyboard.press(key)
        found = page.evaluate("Number(document.activeElement.dataset.index)")
        return str(layers[found]["name"])

    assert press("ArrowRight") == "/mixed_a/branch3x3double/reduce/Conv"
    assert press("ArrowDown") == "/mixed_a/branch1x1/Conv"
    assert press("ArrowRight") == "/mixed_a/Concat"
    assert press("ArrowLeft") == "/mixed_a/branch3x3double/conv2/Conv"
    assert press("End") == layers[-1]["name"]
    expect(page.locator(f"#strip [data-index='{len(layers) - 1}']")).to_have_attribute(
        "aria-current", "true"
    )
    assert press("Home") == layers[0]["name"]
    assert [press("PageDown") for _ in layers[1:]] == [layer["name"] for layer in layers[1:]]
    assert named["/mixed_a/Concat"] == 9
    expect(page.locator("#strip [tabindex='0']")).to_have_count(1)


def test_branches_lie_below_each_other_and_meet_in_a_small_card(page: Page, address: str) -> None:
    opened(page, "model=branching&layer=0")
    indices = {layer["name"]: layer["index"] for layer in layers_of(address, "branching")}

    def box(name: str) -> FloatRect:
        found = page.locator(f"#strip [data-index='{indices[name]}']").bounding_box()
        assert found is not None
        return found

    begin = (
        "branch3x3double/reduce/Conv",
        "branch1x1/Conv",
        "branch3x3/reduce/Conv",
        "branch_pool/MaxPool",
    )
    first = [box(f"/mixed_a/{each}") for each in begin]
    assert len({each["x"] for each in first}) == 1
    assert all(below["y"] >= above["y"] + above["height"] for above, below in pairwise(first))
    concat, double = box("/mixed_a/Concat"), box("/mixed_a/branch3x3double/conv2/Conv")
    assert concat["width"] < double["width"]
    assert concat["x"] > double["x"] + double["width"]


def test_layers_are_found_by_what_they_are(page: Page, address: str) -> None:
    opened(page, "model=deep&layer=0")
    field = page.get_by_role("searchbox", name="Find a layer")
    field.fill("add merge")
    adds = [layer["index"] for layer in layers_of(address, "deep") if layer["operator"] == "Add"]
    expect(page.locator("#strip output")).to_contain_text(f"{len(adds)} of 80")
    left = page.locator("#strip [data-index]:not(.other)").evaluate_all(
        "all => all.map((card) => card.dataset.index)"
    )
    assert left == [str(index) for index in adds]
    field.press("Enter")
    field.press("Enter")
    expect(page.locator(f"#strip [data-index='{adds[1]}']")).to_have_attribute(
        "aria-current", "true"
    )
    field.fill("no such layer")
    expect(page.locator("#strip output")).to_contain_text("none of 80")


def test_a_glance_that_fails_is_marked_and_says_why(page: Page, complaints: Complaints) -> None:
    complaints.expect("500")
    problem = {
        "title": "Broken",
        "status": 500,
        "detail": "the second layer is out of order",
        "type": "/problems/x",
    }
    page.route(
        "**/layers/1/activations?*strongest*",
        lambda route: route.fulfill(
            status=500, json=problem, content_type="application/problem+json"
        ),
    )
    opened(page, "model=deep&layer=0")
    figure = page.locator("#strip [data-index='1'] .strip-figure")
    expect(figure).to_have_attribute("data-state", "failed")
    expect(figure).to_have_attribute(
        "title", "No glance at this layer: the second layer is out of order"
    )
    expect(page.locator("#strip [role=alert]")).to_have_count(0)


FLOOD = """async ({Thumbnails}) => {
  const {Store} = await import(new URL("store.js", new URL("explorer/", document.baseURI)));
  const {Maps} = await import(new URL("maps.js", new URL("explorer/", document.baseURI)));
  const colours = {sequential: "viridis", diverging: "blue–orange", scaling: "map"};
  const scene = {model: "m", input: "first"};
  const store = new Store({scene, colours, theme: "light"});
  const scroller = document.body.appendChild(document.createElement("div"));
  const thumbnails = new Thumbnails(store, scroller);
  const log = {asked: [], aborted: 0, most: 0};
  let under = 0;
  const fetching = (model, input, signal) => new Promise((resolve, reject) => {
    log.asked.push(input);
    under += 1;
    log.most = Math.max(log.most, under);
    const settle = (act) => { under -= 1; act(); };
    const answer = new Maps({shape: [1, 2, 2], data: new Float32Array(4)}, 0);
    const timer = setTimeout(() => settle(() => resolve(answer)), 60);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      log.aborted += 1;
      settle(() => reject(new DOMException("gone", "AbortError")));
    });
  });
  const figures = Array.from({length: 8}, () => {
    const figure = scroller.appendChild(document.createElement("div"));
    const canvas = figure.appendChild(document.createElement("canvas"));
    thumbnails.add({figure, canvas, size: {width: 20, height: 20}, fetching});
    return figure;
  });
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const states = () => figures.map((figure) => figure.dataset.state);
  while (!states().every((state) => state === "ready")) await wait(20);
  const first = log.asked.length;
  for (const input of ["a", "b", "c", "d", "last"]) {
    store.setScene({input});
    await wait(40);
  }
  const between = {asked: log.asked.slice(first), states: states()};
  while (!states().every((state) => state === "ready")) await wait(20);
  return {...log, first, between, last: log.asked.slice(first)};
}"""


def test_inputs_that_change_several_times_a_second_are_waited_out(module_page: Page) -> None:
    """Former glances stay, marked stale; then only the last input is asked for, three layers at a
    time.
    """
    found = in_module(module_page, "views/layer_list/thumbnails.js", FLOOD)
    assert found["first"] == 8
    assert found["between"] == {"asked": [], "states": ["stale"] * 8}
    assert found["last"] == ["last"] * 8
    assert found["most"] == 3
    assert found["aborted"] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_strip_is_accessible(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, "model=branching&layer=8")
    assert_accessible(page, "#strip")


def test_a_narrow_window_scrolls_the_strip_and_not_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, "model=deep&layer=40")
    assert 40 in in_view(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("window.scrollY") == 0


def test_written_networks_are_what_they_claim(address: str) -> None:
    operators = [layer["operator"] for layer in layers_of(address, "deep")]
    assert operators.count("Add") == 25
    concat = next(
        layer for layer in layers_of(address, "branching") if layer["operator"] == "Concat"
    )
    assert len(concat["inputs"]) == 4
