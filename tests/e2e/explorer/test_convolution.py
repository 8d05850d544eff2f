"""The explorer's arithmetic: what it shows sums to what the service serves, and the kernel moves as
it is told.
"""

import math
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Literal

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from anatomy import model_file
from service.client import Client
from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import SCREENSHOTS, Complaints
from tests.e2e.process import ROOT, Service
from tests.service.networks import Array, encoded, npy, parsed

Place = tuple[int, int, tuple[int, ...]]

TALL: ViewportSize = {"width": 1440, "height": 3000}
ODD = """<ir_version: 9, opset_import: ["" : 19]>
odd (float[1,3,12,14] x) => (
  float[1,3,A,B] y, float[1,6,C,D] d, float[1,12,E,F] k, float[1,6,G,H] o, float[1,6,I,J] l)
<float[6,3,3,3] w, float[6] b, float[6,2,3,2] v, float[6,3,1,1] s, float[6,6,1,1] g,
 float[6,2,3,3] up> {
  c = Conv<pads=[1,1,1,1]>(x, w, b)
  r = Relu(c)
  d = Conv<group=3, dilations=[2,3], pads=[2,1,3,0], strides=[2,1]>(r, v)
  e = Conv(x, s)
  a = Add(r, e)
  q = GlobalAveragePool(a)
  z = Conv(q, g)
  h = Sigmoid(z)
  m = Mul(a, h)
  k = Concat<axis=1>(m, e)
  p = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(m)
  o = AveragePool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,0]>(p)
  l = LpPool<kernel_shape=[2,2]>(m)
  u = ConvTranspose<strides=[2,2], pads=[1,0,1,1], group=3>(m, up)
  y = Conv<pads=[0,2,1,0]>(u, w2)
}"""


@pytest.fixture(scope="module")
def odd_address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of one network with all operators that are explained, and one that is not."""
    folder = tmp_path_factory.mktemp("odd")
    text = ODD.replace("up> {", "up, float[3,6,2,3] w2> {")
    model_file.write(parsed(text), folder / "models/odd/1/model.onnx", None)
    with Service(folder, folder / "models") as service:
        yield service.ready()


@pytest.fixture
def odd_page(browser: Browser, odd_address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=odd_address, viewport=TALL)
    yield context.new_page()
    context.close()


def given_to(model: str) -> tuple[bytes, str]:
    """Something for a model to see, with its media type."""
    random = np.random.default_rng(5)
    arrays: dict[str, Array] = {
        "digits1d": random.normal(size=(1, 40)), "voxels": random.random(size=(1, 16, 16, 16)),
        "odd": random.normal(size=(3, 12, 14)),
    }  # fmt: skip
    if model in arrays:
        return npy(arrays[model].astype(np.float32)), "application/x-npy"
    if model == "digits":
        seven = Image.new("L", (120, 120), 255)
        ImageDraw.Draw(seven).line([(30, 30), (90, 30), (55, 95)], fill=0, width=12)
        return encoded(np.asarray(seven)), "image/png"
    return (ROOT / "samples/cat.jpg").read_bytes(), "image/jpeg"


@cache
def posted(address: str, model: str) -> str:
    data, media_type = given_to(model)
    url = f"{address}/layers/0/activations?model={model}&units=0"
    answer = httpx.post(url, content=data, headers={"Content-Type": media_type})
    return str(answer.json()["input_id"])


def opened(
    page: Page, address: str, model: str, layer: int, channel: int, unit: tuple[int, ...]
) -> Locator:
    """The section, once it shows this unit."""
    page.set_viewport_size(TALL)
    position = ",".join(map(str, unit))
    input_id = posted(address, model)
    link = f"/#model={model}:1&input={input_id}&layer={layer}&channel={channel}&unit={position}"
    page.goto("about:blank")
    page.goto(link)
    section = page.locator("#convolution")
    expect(section).to_have_attribute("data-place", f"{layer}/{channel}/{position}")
    expect(section).to_have_attribute("data-status", "ready")
    return section


def number(section: Locator, name: str) -> float:
    return float(section.get_attribute(f"data-{name}") or "nan")


def served(
    address: str,
    model: str,
    layer: int,
    channel: int,
    unit: tuple[int, ...],
    tap: Literal["pre", "post"] = "pre",
) -> float:
    with Client(address, model=model) as client:
        maps = client.activations(layer, input_id=posted(address, model), tap=tap, channel=channel)
    return float(maps[(0, *unit)])


def check(page: Page, address: str, model: str, units: list[Place]) -> None:
    """Each of these units shows its own sum: the page is opened once and follows its link."""
    section = opened(page, address, model, *units[0])
    for layer, channel, unit in units:
        position = ",".join(map(str, unit))
        input_id = posted(address, model)
        hash_ = f"model={model}:1&input={input_id}&layer={layer}&channel={channel}&unit={position}"
        page.evaluate("hash => { location.hash = hash; }", hash_)
        expect(section).to_have_attribute("data-place", f"{layer}/{channel}/{position}")
        expected = served(address, model, layer, channel, unit)
        assert math.isclose(number(section, "sum"), expected, rel_tol=1e-4, abs_tol=1e-4), (
            layer,
            expected,
        )
        assert number(section, "served") == expected
        assert number(section, "post") == served(address, model, layer, channel, unit, "post")
        expect(section.locator(".convolution-verdict.good")).to_be_visible()
        section.screenshot(path=SCREENSHOTS / f"convolution-{model}-{layer}.png")


UNITS: dict[str, list[Place]] = {
    "digits": [(1, 13, (13, 13)), (5, 3, (0, 0)), (6, 7, ())],
    "digits1d": [(2, 34, (19,))],
    "voxels": [(1, 3, (0, 7, 3))],
    "imagenet": [
        (0, 5, (111, 20)),
        (1, 7, (0, 111)),
        (20, 63, (12, 7)),
        (58, 112, (0, 0)),
        (59, 285, ()),
    ],
}
ODD_UNITS: list[Place] = [
    (1, 4, (0, 0)),
    (1, 5, (5, 11)),
    (3, 2, (0, 6)),
    (6, 2, (3, 6)),
    (7, 8, (11, 7)),
    (8, 2, (0, 3)),
    (9, 2, (0, 0)),
    (11, 2, (7, 22)),
    (12, 2, (22, 0)),
]


@pytest.mark.parametrize("model", UNITS)
def test_what_is_shown_sums_to_what_is_served(page: Page, address: str, model: str) -> None:
    check(page, address, model, UNITS[model])


def test_so_does_a_network_with_dilation_groups_odd_padding_and_merges(
    odd_page: Page, odd_address: str
) -> None:
    check(odd_page, odd_address, "odd", ODD_UNITS)


def test_an_operator_whose_arithmetic_is_unknown_is_named(odd_page: Page, odd_address: str) -> None:
    section = opened(odd_page, odd_address, "odd", 9, 0, (0, 0))
    odd_page.evaluate("location.hash = location.hash.replace('layer=9', 'layer=10')")
    expect(section).to_have_attribute("data-status", "unexplained")
    expect(section.get_by_text("The arithmetic of LpPool is not known here")).to_be_visible()


def test_what_is_not_equal_is_said_to_be_so_with_both_numbers(page: Page, address: str) -> None:
    def tampered(route: Route) -> None:
        answer = route.fetch()
        stream = BytesIO()
        np.save(stream, np.load(BytesIO(answer.body())) + np.float32(0.5))
        route.fulfill(response=answer, body=stream.getvalue())

    page.route("**/activations?*tap=pre*", tampered)
    section = opened(page, address, "digits", 1, 13, (5, 8))
    assert math.isclose(number(section, "served") - number(section, "sum"), 0.5, abs_tol=1e-4)
    expect(section.get_by_text("Not equal: the two differ by 5.0e−1.")).to_be_visible()
    expect(section.locator(".convolution-verdict.good")).to_have_count(0)


def test_arrow_keys_move_the_unit_and_stop_at_the_edge(page: Page, address: str) -> None:
    section = opened(page, address, "digits", 1, 13, (0, 12))
    board = section.locator(".convolution-board")
    for key, place in [
        ("ArrowRight", "0,13"),
        ("ArrowRight", "0,13"),
        ("ArrowUp", "0,13"),
        ("ArrowDown", "1,13"),
        ("ArrowLeft", "1,12"),
    ]:
        board.press(key)
        expect(section).to_have_attribute("data-place", f"1/13/{place}")
    assert math.isclose(
        number(section, "sum"),
        served(address, "digits", 1, 13, (1, 12)),
        rel_tol=1e-4,
        abs_tol=1e-5,
    )
    assert page.url.endswith("unit=1,12")


def test_a_step_moves_the_kernel_and_neither_fetches_numbers_nor_lengthens_the_history(
    page: Page, address: str
) -> None:
    section = opened(page, address, "digits", 1, 13, (0, 13))
    fetched: list[str] = []
    page.on(
        "request",
        lambda request: (
            fetched.append(request.url) if re.search("tap=|kernels", request.url) else None
        ),
    )
    before = page.evaluate("history.length")
    section.get_by_role("button", name="Step forward").click()
    expect(section).to_have_attribute("data-place", "1/13/1,0")
    section.get_by_role("button", name="Step back").click()
    expect(section).to_have_attribute("data-place", "1/13/0,13")
    assert (fetched, page.evaluate("history.length")) == ([], before)


def test_play_slides_the_kernel_over_the_whole_map_and_compares_each_value(
    page: Page, address: str
) -> None:
    section = opened(page, address, "digits", 3, 2, (3, 3))
    section.get_by_label("Speed").select_option("4 steps a second")
    section.locator(".convolution-board").press(" ")
    expect(section.get_by_text(re.compile(r"^[3-9] of 49 values computed here"))).to_be_visible()
    assert page.url.endswith("unit=3,3")
    section.get_by_role("button", name="Pause").click()
    expect(page).not_to_have_url(re.compile(r"unit=3,3$"))
    place = section.get_attribute("data-place")
    page.wait_for_timeout(300)
    assert section.get_attribute("data-place") == place
    section.get_by_label("Speed").select_option("row by row")
    section.get_by_role("button", name="Play").click()
    expect(
        section.get_by_text("49 of 49 values computed here; all equal to the served map")
    ).to_be_visible()
    expect(section).to_have_attribute("data-place", "3/2/6,6")
    expect(section.get_by_role("button", name="Play")).to_be_visible()


def test_nothing_is_fetched_before_the_section_comes_into_view(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "tap=" in request.url else None)
    page.set_viewport_size({"width": 500, "height": 300})
    page.goto(f"/#model=digits:1&input={posted(address, 'digits')}&layer=1&channel=1&unit=1,1")
    expect(page.locator("#predictions")).to_contain_text("%")
    page.wait_for_timeout(300)
    assert not [url for url in asked if "tap=pre" in url]
    page.locator("#convolution").scroll_into_view_if_needed()
    expect(page.locator("#convolution")).to_have_attribute("data-status", "ready")


def test_each_channel_has_a_row_the_strongest_first_and_can_be_chosen(
    page: Page, address: str
) -> None:
    section = opened(page, address, "imagenet", 22, 3, (4, 4))
    rows = section.locator(".convolution-rows button")
    expect(rows).to_have_count(6)
    section.get_by_role("button", name="Show all 480").click()
    expect(rows).to_have_count(480)
    sums = [
        float(text.replace("−", "-"))
        for text in section.locator(".convolution-rows .convolution-sum").all_inner_texts()
    ]
    assert [abs(each) for each in sums] == sorted((abs(each) for each in sums), reverse=True)
    bias = number(section, "bias")
    assert math.isclose(sum(sums) + bias, number(section, "sum"), rel_tol=1e-3, abs_tol=1e-2)
    expect(rows.first).to_have_attribute("aria-pressed", "true")
    rows.nth(3).click()
    expect(rows.nth(3)).to_have_attribute("aria-pressed", "true")
    chosen = rows.nth(3).locator(".convolution-name").inner_text()
    assert section.get_by_label("Input channel").input_value() == chosen.removeprefix("channel ")


def test_a_failure_is_told_and_can_be_tried_again(
    page: Page, address: str, complaints: Complaints
) -> None:
    complaints.expect("503")
    page.route("**/kernels?*", lambda route: route.fulfill(status=503, body="busy"))
    page.set_viewport_size(TALL)
    page.goto(f"/#model=digits:1&input={posted(address, 'digits')}&layer=1&channel=1&unit=1,1")
    section = page.locator("#convolution")
    expect(section).to_have_attribute("data-status", "failed")
    page.unroute("**/kernels?*")
    section.get_by_role("button", name="Try again").click()
    expect(section).to_have_attribute("data-status", "ready")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_arithmetic_has_no_serious_fault_of_accessibility(
    page: Page, address: str, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, address, "digits", 1, 13, (13, 13))
    assert_accessible(page, "#convolution")


@pytest.mark.parametrize(
    ("model", "layer", "unit"),
    [("digits", 5, (0, 0)), ("digits1d", 2, (9,)), ("voxels", 1, (1, 2, 3))],
)
def test_a_telephone_shows_it_without_scrolling_sideways(
    page: Page, address: str, model: str, layer: int, unit: tuple[int, ...]
) -> None:
    section = opened(page, address, model, layer, 1, unit)
    page.set_viewport_size({"width": 390, "height": 3000})
    # The page is longer now: out of view nothing is drawn anew.
    section.scroll_into_view_if_needed()
    # It is drawn anew in the frames after the change, which a busy machine takes its time for.
    reach = (
        "Math.max(...[...document.querySelectorAll('#convolution *')]"
        ".map(each => each.getBoundingClientRect().right))"
    )
    page.wait_for_function(f"() => {reach} <= 390")
    assert section.evaluate("section => section.scrollWidth <= section.clientWidth")
