"""The red square is where the API says, on the picture as posted and on the network's input."""

import io
import json
from itertools import product
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import Complaints, shoot
from tests.e2e.explorer.frames import sweep
from tests.e2e.explorer.given import npy, post

MODELS = ("imagenet", "digits", "digits1d", "voxels")
BLUE, GREEN = (0, 0, 200), (0, 200, 0)
UPRIGHT = 1
TURNED = 6
"""EXIF: the first row of the file is the right side of what is to be seen."""

# [left, top, right, bottom], in CSS pixels, of what a colour covers: the pixels of `canvas` that
# pass the test.
COVERED = """([canvas, kind]) => {
  const ratio = window.devicePixelRatio;
  const {width, height} = canvas;
  const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
  const is = {
    red: place => data[place + 3] > 200 && data[place] > 170
      && data[place + 1] < 90 && data[place + 2] < 90,
    green: place => data[place + 1] > 120 && data[place] < 90 && data[place + 2] < 90,
  }[kind];
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!is((y * width + x) * 4)) continue;
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1); box[3] = Math.max(box[3], y + 1);
    }
  }
  return box[0] < Infinity ? box.map(each => each / ratio) : null;
}"""


def answered(page: Page, path: str, **query: Any) -> Any:
    answer = page.request.get(path, params=query)
    assert answer.ok, answer.text()
    return answer.json()


def link(model: str, input_id: str, layer: int, unit: tuple[int, ...]) -> str:
    return (
        f"#model={model}:1&input={input_id}&layer={layer}&channel=0&unit={','.join(map(str, unit))}"
    )


def go(page: Page, model: str, input_id: str, layer: int, unit: tuple[int, ...]) -> Locator:
    page.goto("/" + link(model, input_id, layer, unit))
    section = page.locator("#picture")
    section.locator("canvas").first.wait_for()
    return section


def exact(value: Any) -> str:
    """As the page writes it."""
    return json.dumps(value, separators=(",", ":"))


def expect_field(section: Locator, field: dict[str, Any]) -> None:
    for key in ("interval", "clipped", "picture"):
        expect(section).to_have_attribute(f"data-{key}", exact(field[key]))


def units_of(size: list[int]) -> list[tuple[int, ...]]:
    """The middle and every corner."""
    return [tuple(each // 2 for each in size), *product(*({0, each - 1} for each in size))]


def covered(section: Locator, kind: str) -> list[float] | None:
    """What is red on the marks, or green on the picture, of the first plane."""
    canvas = (
        section.locator(".picture-plane").first.locator("canvas").nth(1 if kind == "red" else 0)
    )
    found: list[float] | None = canvas.evaluate(
        f"(canvas, kind) => ({COVERED})([canvas, kind])", kind
    )
    return found


def painted(
    size: tuple[int, int], rectangle: list[list[int]], orientation: int = UPRIGHT, form: str = "PNG"
) -> bytes:
    """A blue picture of this height and width, green in these rows and columns once it is turned
    upright.
    """
    pixels = np.full((*size, 3), BLUE, np.uint8)
    (top, bottom), (left, right) = rectangle
    pixels[top:bottom, left:right] = GREEN
    image = Image.fromarray(pixels if orientation == UPRIGHT else np.rot90(pixels))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, exif=exif)
    return buffer.getvalue()


def posted(page: Page, data: bytes, media_type: str, model: str = "imagenet") -> str:
    answer = page.request.post(
        f"/predict?model={model}", data=data, headers={"Content-Type": media_type}
    )
    assert answer.ok, answer.text()
    return str(answer.json()["input_id"])


def assert_around(red: list[float] | None, green: list[float] | None) -> None:
    """The outline lies directly around what is outlined: two pixels wide, and up to one for
    rounding.
    """
    assert red is not None
    assert green is not None
    grown = [green[0] - 2, green[1] - 2, green[2] + 2, green[3] + 2]
    assert red == pytest.approx(grown, abs=1.25), (red, green)


@pytest.mark.parametrize("model", MODELS)
def test_the_middle_unit_and_every_corner_see_what_the_api_says(page: Page, model: str) -> None:
    layers = [
        each
        for each in answered(page, "/layers", model=model)["layers"]
        if len(each["output_shape"]) > 1
    ]
    input_id = post(page, model)
    section = go(
        page, model, input_id, layers[0]["index"], units_of(layers[0]["output_shape"][1:])[0]
    )
    for layer in (layers[0], layers[len(layers) // 2], layers[-1]):
        for unit in units_of(layer["output_shape"][1:]):
            page.evaluate(
                "hash => { location.hash = hash; }", link(model, input_id, layer["index"], unit)
            )
            position = ",".join(map(str, unit))
            path = f"/layers/{layer['index']}/receptive-field"
            expect_field(
                section, answered(page, path, model=model, unit=position, input_id=input_id)
            )
            expect(section.locator(".picture-numbers")).to_contain_text(
                f"({', '.join(map(str, unit))})"
            )


def test_a_dense_layer_sees_the_whole_input_and_says_so(page: Page) -> None:
    layers = answered(page, "/layers", model="digits")["layers"]
    dense = next(each for each in layers if len(each["output_shape"]) == 1)
    page.goto(f"/#model=digits:1&input={post(page, 'digits')}&layer={dense['index']}")
    section = page.locator("#picture")
    expect(section).to_have_attribute("data-interval", "[[0,28],[0,28]]")
    expect(section.locator(".picture-told")).to_contain_text("sees the whole input")


@pytest.mark.parametrize(
    ("unit", "orientation"), [((7, 7), UPRIGHT), ((3, 10), UPRIGHT), ((5, 9), TURNED)]
)
def test_the_outline_on_the_posted_picture_lies_around_exactly_the_pixels_that_the_api_names(
    page: Page, unit: tuple[int, int], orientation: int
) -> None:
    size, form = (300, 452), "PNG" if orientation == UPRIGHT else "JPEG"
    blank = posted(
        page, painted(size, [[0, 0], [0, 0]], orientation, form), f"image/{form.lower()}"
    )
    position = ",".join(map(str, unit))
    field = answered(page, "/layers/20/receptive-field", unit=position, input_id=blank)
    shown = posted(
        page, painted(size, field["picture"], orientation, form), f"image/{form.lower()}"
    )
    section = go(page, "imagenet", shown, 20, unit)
    expect_field(section, field)
    page.wait_for_timeout(200)
    assert_around(covered(section, "red"), covered(section, "green"))


def test_the_outline_on_what_the_network_is_given_lies_around_the_interval(page: Page) -> None:
    # Of 256 x 256 pixels the middle 224 x 224 are taken as they are.
    field = answered(page, "/layers/20/receptive-field", unit="7,4")
    inside = [[start + 16, stop + 16] for start, stop in field["clipped"]]
    section = go(
        page, "imagenet", posted(page, painted((256, 256), inside), "image/png"), 20, (7, 4)
    )
    section.get_by_role("button", name="As the network sees it").click()
    expect(section).to_have_attribute("data-on", "source")
    page.wait_for_timeout(200)
    assert_around(covered(section, "red"), covered(section, "green"))


def test_padding_is_dashed_beyond_the_picture_and_only_there(page: Page) -> None:
    input_id = post(page, "digits")
    size = answered(page, "/layers", model="digits")["layers"][1]["output_shape"][1:]
    section = go(page, "digits", input_id, 1, (0, 0))
    section.get_by_role("button", name="As the network sees it").click()
    expect(section).to_have_attribute("data-on", "source")
    canvas = section.locator("canvas").nth(1)
    for unit, beyond in (((0, 0), True), ((size[0] // 2, size[1] // 2), False)):
        page.evaluate("hash => { location.hash = hash; }", link("digits", input_id, 1, unit))
        field = answered(
            page, "/layers/1/receptive-field", model="digits", unit=",".join(map(str, unit))
        )
        expect(section).to_have_attribute("data-interval", exact(field["interval"]))
        page.wait_for_timeout(200)
        left, top, scale = json.loads(canvas.get_attribute("data-place") or "")
        red = covered(section, "red")
        assert red is not None
        (y0, y1), (x0, x1) = field["interval"]
        assert red == pytest.approx(
            [
                left + x0 * scale - 2,
                top + y0 * scale - 2,
                left + x1 * scale + 2,
                top + y1 * scale + 2,
            ],
            abs=1.25,
        )
        assert (red[0] < left - 2.5 and red[1] < top - 2.5) is beyond


def test_a_signal_has_a_band_over_the_samples_that_are_seen(page: Page) -> None:
    section = go(page, "digits1d", post(page, "digits1d"), 1, (10,))
    field = answered(page, "/layers/1/receptive-field", model="digits1d", unit="10")
    expect(section).to_have_attribute("data-interval", exact(field["interval"]))
    page.wait_for_timeout(200)
    left, _, scale = json.loads(section.locator("canvas").nth(1).get_attribute("data-place") or "")
    red = covered(section, "red")
    [(start, stop)] = field["clipped"]
    assert red is not None
    assert [red[0], red[2]] == pytest.approx(
        [left + start * scale - 2, left + stop * scale + 2], abs=1.25
    )


def test_of_a_volume_the_slice_follows_the_unit_until_it_is_held(page: Page) -> None:
    input_id = post(page, "voxels")
    section = go(page, "voxels", input_id, 1, (2, 5, 3))
    field = answered(page, "/layers/1/receptive-field", model="voxels", unit="2,5,3")
    expect(section).to_have_attribute("data-interval", exact(field["interval"]))
    slider, follow = (
        section.get_by_role("slider"),
        section.get_by_role("button", name="Follow the unit"),
    )
    (first, stop), *_ = field["clipped"]
    expect(slider).to_have_value(str((first + stop - 1) // 2))
    front = section.locator(".picture-plane").first
    page.wait_for_timeout(200)
    left, top, scale = json.loads(front.locator("canvas").nth(1).get_attribute("data-place") or "")
    _, (y0, y1), (x0, x1) = field["clipped"]
    box = [left + x0 * scale - 2, top + y0 * scale - 2, left + x1 * scale + 2, top + y1 * scale + 2]
    assert covered(section, "red") == pytest.approx(box, abs=1.25)
    front.locator("canvas").nth(1).hover()
    page.mouse.wheel(0, 50)
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(slider).to_have_value(str((first + stop - 1) // 2 + 1))
    page.evaluate("hash => { location.hash = hash; }", link("voxels", input_id, 1, (6, 1, 1)))
    expect(section.locator(".picture-numbers")).to_contain_text("(6, 1, 1)")
    expect(slider).to_have_value(str((first + stop - 1) // 2 + 1))
    follow.click()
    [(first, stop), *_] = answered(page, "/layers/1/receptive-field", model="voxels", unit="6,1,1")[
        "clipped"
    ]
    expect(slider).to_have_value(str((first + stop - 1) // 2))


def test_pointing_at_a_pixel_says_which_units_see_it_without_asking_the_service(page: Page) -> None:
    section = go(page, "imagenet", post(page, "imagenet"), 20, (7, 7))
    section.get_by_role("button", name="As the network sees it").click()
    expect(section).to_have_attribute("data-on", "source")
    canvas = section.get_by_role("application")
    canvas.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    left, top, scale = json.loads(canvas.get_attribute("data-place") or "")
    for pixel in ((0, 0), (100, 80), (223, 120)):
        units = answered(page, "/layers/20/receptive-field", pixel=",".join(map(str, pixel)))[
            "units"
        ]
        (y0, y1), (x0, x1) = units
        canvas.hover(
            position={"x": left + (pixel[1] + 0.5) * scale, "y": top + (pixel[0] + 0.5) * scale}
        )
        count = (y1 - y0) * (x1 - x0)
        expect(section.locator(".picture-told")).to_have_text(
            f"{count} of 196 units of each channel ({y1 - y0} × {x1 - x0}) see pixel ({pixel[0]}, "
            f"{pixel[1]})."
        )
    sweep(page, canvas, 0.5)
    assert asked == []
    page.mouse.move(5, 5)
    expect(section.locator(".picture-told")).to_contain_text("Outlined in red")


def test_arrow_keys_move_a_pixel_and_escape_ends(page: Page) -> None:
    section = go(page, "digits", post(page, "digits"), 1, (3, 3))
    section.get_by_role("button", name="As the network sees it").click()
    expect(section).to_have_attribute("data-on", "source")
    canvas, told = section.get_by_role("application"), section.locator(".picture-told")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    (y0, y1), (x0, x1) = json.loads(section.get_attribute("data-clipped") or "")
    row, column = (y0 + y1) // 2, (x0 + x1) // 2
    expect(told).to_contain_text(f"pixel ({row}, {column + 1})")
    page.keyboard.press("Shift+ArrowDown")
    expect(told).to_contain_text(f"pixel ({row + 3}, {column + 1})")
    page.keyboard.press("Escape")
    expect(told).to_contain_text("Outlined in red")


def test_a_file_that_browsers_do_not_show_is_shown_as_the_network_is_given_it(page: Page) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), GREEN, np.uint8)).save(buffer, "TIFF")
    section = go(page, "imagenet", posted(page, buffer.getvalue(), "image/tiff"), 0, (5, 5))
    expect(section).to_have_attribute("data-on", "source")
    expect(section).to_contain_text("The browser cannot show the posted file")
    expect(section.get_by_role("button", name="As posted")).to_be_hidden()


def test_pixels_posted_as_numbers_are_painted_in_their_colours(page: Page) -> None:
    array = np.full((224, 224, 3), BLUE, np.uint8)
    array[50:100, 60:160] = GREEN
    section = go(page, "imagenet", posted(page, npy(array), "application/x-npy"), 0, (5, 5))
    expect(section).to_have_attribute("data-on", "source")
    page.wait_for_timeout(200)
    left, top, scale = json.loads(
        section.locator("canvas").nth(1).get_attribute("data-place") or ""
    )
    box = [left + 60 * scale, top + 50 * scale, left + 160 * scale, top + 100 * scale]
    assert covered(section, "green") == pytest.approx(box, abs=1.25)


def test_where_fields_cannot_be_worked_out_the_reason_is_given(
    page: Page, complaints: Complaints
) -> None:
    problem = {
        "type": "/problems/impossible",
        "title": "Impossible",
        "status": 422,
        "detail": "ask for single units",
    }
    page.route(
        "**/receptive-fields?*",
        lambda route: route.fulfill(
            status=422, json=problem, content_type="application/problem+json"
        ),
    )
    complaints.expect("^console: .* 422 ")
    section = go(page, "digits", post(page, "digits"), 1, (3, 3))
    expect(section.locator(".picture-told")).to_contain_text(
        "cannot be worked out: ask for single units"
    )
    assert covered(section, "red") is None


@pytest.mark.parametrize(("model", "scheme"), [("imagenet", "light"), ("voxels", "dark")])
def test_the_picture_has_no_serious_fault_of_accessibility(
    page: Page, model: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    section = go(page, model, post(page, model), 1, (0, 7, 3)[: 2 if model == "imagenet" else 3])
    expect(section.locator(".picture-told")).to_contain_text("Outlined in red")
    assert_accessible(page, within="#picture")
    shoot(page, f"picture-{model}-{scheme}")
