"""The chosen layer's maps: what is shown is what the API says."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import Complaints, shoot
from tests.e2e.explorer.given import activations, npy, post

LAYERS = {"imagenet": 20, "digits": 2, "digits1d": 2, "voxels": 1}
REFUSED = "navigator.clipboard.writeText = () => Promise.reject(new Error('no'));"


def show(page: Page, model: str, layer: int, rest: str = "") -> str:
    """Open the page at a layer and wait for its maps; returns the input's id."""
    input_id = post(page, model)
    page.goto(f"/#model={model}:1&input={input_id}&layer={layer}{rest}")
    expect(page.locator("#layer")).to_have_attribute("data-layer", str(layer))
    return input_id


def readout(page: Page) -> Locator:
    return page.get_by_role("group", name="The unit and its channel")


def enlarged(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("Arrow keys move the unit"))


def sheet(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("Arrow keys choose among them"))


def shown(page: Page) -> tuple[int, list[int], float]:
    """Channel, position and value of the unit that is shown."""
    data = readout(page).evaluate("element => ({...element.dataset})")
    unit = [int(index) for index in data["unit"].split(",") if index]
    return int(data["channel"]), unit, float(data["value"])


@pytest.mark.parametrize("model", LAYERS)
def test_the_values_statistics_and_strongest_units_are_those_of_the_api(
    page: Page, model: str
) -> None:
    layer = LAYERS[model]
    input_id = show(page, model, layer, "&channel=3")
    query = f"input_id={input_id}&model={model}&channel=3&full=true"
    answer = page.request.get(f"/layers/{layer}/activations?{query}").json()
    values = np.asarray(answer["values"], dtype=np.float32)[0]
    expect(readout(page)).to_have_attribute("data-channel", "3")
    channel, unit, value = shown(page)
    assert (channel, unit) == (
        3,
        [int(index) for index in np.unravel_index(values.argmax(), values.shape)],
    )
    enlarged(page).press("Home")
    unit = [*unit[:-1], 0]
    expect(readout(page)).to_have_attribute("data-unit", ",".join(map(str, unit)))
    assert np.float32(shown(page)[2]) == values[tuple(unit)]
    assert value == values.max()
    told = (
        readout(page)
        .locator("dd")
        .evaluate_all("all => all.map(each => Number(each.parentElement.title))")
    )
    (expected,) = answer["channels"]
    assert told == pytest.approx(
        [expected[key] for key in ("min", "max", "mean", "zeros")], rel=1e-5
    )
    array = activations(page, model, layer, input_id)
    strongest = page.get_by_role("group", name="Strongest units").get_by_role("button")
    titles = strongest.evaluate_all("all => all.map(each => Number(each.title.split(': ')[1]))")
    np.testing.assert_array_equal(np.float32(titles), np.sort(array.ravel())[::-1][:8])
    shoot(page, f"layer-{model}")


def test_the_numbers_of_the_last_layer_carry_the_names_of_the_classes(page: Page) -> None:
    input_id = show(page, "imagenet", 59)
    array = activations(page, "imagenet", 59, input_id)
    labels = page.request.get("/models/imagenet").json()["card"]["labels"]
    best = int(array.argmax())
    expect(readout(page)).to_contain_text(f"{labels[best]} ({best})")
    sheet(page).press("End")
    expect(readout(page)).to_contain_text(f"{labels[999]} (999)")
    assert np.float32(shown(page)[2]) == array[999]
    page.get_by_role("button", name="Previous layer").click()
    expect(page.get_by_role("heading", name="pool")).to_be_visible()
    expect(readout(page)).to_contain_text(re.compile(r"^Channel \d"))


def test_keys_move_the_unit_the_channel_and_the_slice(page: Page) -> None:
    show(page, "voxels", 1, "&channel=3&unit=1,2,3")
    for key, channel, unit in [
        ("ArrowRight", 3, [1, 2, 4]),
        ("ArrowDown", 3, [1, 3, 4]),
        ("]", 3, [2, 3, 4]),
        ("Alt+ArrowUp", 3, [1, 3, 4]),
        ("PageDown", 4, [1, 3, 4]),
        ("End", 4, [1, 3, 7]),
        ("ArrowRight", 4, [1, 3, 7]),
        ("PageUp", 3, [1, 3, 7]),
    ]:
        enlarged(page).press(key)
        expect(readout(page)).to_have_attribute("data-unit", ",".join(map(str, unit)))
        assert shown(page)[0] == channel, key
    expect(page.locator("#layer-slice")).to_have_value("1")
    name = enlarged(page).get_attribute("aria-label") or ""
    assert name.startswith("Channel 3, slice 1, row 3, column 7: ")
    columns = int(sheet(page).get_attribute("data-columns") or 0)
    sheet(page).press("ArrowDown")
    expect(readout(page)).to_have_attribute("data-channel", str(3 + columns))


def test_pointing_shows_a_unit_and_a_click_chooses_it(page: Page) -> None:
    input_id = show(page, "imagenet", 20, "&channel=63&unit=12,7")
    array = activations(page, "imagenet", 20, input_id)
    enlarged(page).hover(position={"x": 24 * 5 + 3, "y": 24 * 2 + 3})
    expect(readout(page)).to_have_attribute("data-unit", "2,5")
    assert np.float32(shown(page)[2]) == array[63, 2, 5]
    assert "unit=12,7" in page.url
    page.mouse.move(0, 0)
    expect(readout(page)).to_have_attribute("data-unit", "12,7")
    sheet(page).hover(position={"x": 6, "y": 6})
    expect(readout(page)).to_have_attribute("data-channel", "0")
    sheet(page).click(position={"x": 6, "y": 6})
    page.mouse.move(0, 0)
    expect(readout(page)).to_have_attribute("data-unit", "0,0")
    assert np.float32(shown(page)[2]) == array[0, 0, 0]
    expect(page).to_have_url(re.compile("channel=0&unit=0,0$"))


def test_pointing_at_the_input_lights_up_the_units_that_see_the_pixel(page: Page) -> None:
    show(page, "digits", 2)
    picture = page.locator("#picture")
    picture.get_by_role("button", name="As the network sees it").click()
    expect(picture.get_by_role("button", name="As the network sees it")).to_have_attribute(
        "aria-pressed", "true"
    )
    picture.locator("canvas").last.hover(position={"x": 150, "y": 120})
    expect(page.locator("#layer")).to_have_attribute("data-pixel", re.compile(r"^\[\d+,\d+\]$"))
    data = page.locator("#layer").evaluate("element => ({...element.dataset})")
    pixel = ",".join(map(str, json.loads(data["pixel"])))
    answer = page.request.get(f"/layers/2/receptive-field?model=digits&pixel={pixel}").json()
    assert json.loads(data["lit"]) == answer["units"]
    shoot(page, "layer-lit")


def test_the_legend_tells_the_range_of_the_scaling_that_is_chosen(page: Page) -> None:
    input_id = show(page, "digits", 2, "&channel=3")
    legend = page.locator("#layer .legend")
    here, next_ = (activations(page, "digits", layer, input_id) for layer in (2, 3))
    scale = page.get_by_label("Scale per")
    expect(legend).to_have_attribute("data-high", str(float(here[3].max())))
    scale.select_option("layer")
    expect(legend).to_have_attribute("data-high", str(float(here.max())))
    page.get_by_role("button", name="Next layer").click()
    expect(legend).to_have_attribute("data-high", str(float(next_.max())))
    scale.select_option("all")
    expect(legend).to_have_attribute("data-high", str(float(max(here.max(), next_.max()))))
    page.locator("#layer").get_by_role("combobox", name="Colours").select_option("cividis")
    page.reload()
    expect(legend).to_have_attribute("data-palette", "cividis")
    expect(scale).to_have_value("all")


def test_sorting_by_the_largest_value_puts_the_strongest_map_first(page: Page) -> None:
    input_id = show(page, "digits", 2)
    array = activations(page, "digits", 2, input_id)
    page.get_by_label("Sort by").select_option("largest")
    sheet(page).hover(position={"x": 30, "y": 30})
    expect(readout(page)).to_have_attribute(
        "data-channel", str(int(array.max(axis=(1, 2)).argmax()))
    )


def test_what_is_not_finite_is_told_in_words(page: Page) -> None:
    array = np.random.default_rng(0).random((32, 14, 14), dtype=np.float32)
    array[3, 0, :3] = [np.nan, np.inf, -np.inf]

    def odd(route: Route) -> None:
        route.fulfill(body=npy(array), content_type="application/x-npy")

    page.route(re.compile(r"/layers/2/activations\?"), odd)
    show(page, "digits", 2, "&channel=3&unit=0,0")
    expect(page.locator("#layer")).to_contain_text("not finite (NaN or infinite): 3, pink")
    expect(readout(page)).to_contain_text("not a number (NaN)")
    enlarged(page).press("ArrowRight")
    expect(readout(page)).to_contain_text("infinite (+∞)")
    enlarged(page).press("ArrowRight")
    expect(readout(page)).to_contain_text("infinite (−∞)")
    expect(readout(page)).to_contain_text("not finite3")
    shoot(page, "layer-not-finite")


def test_a_failure_is_told_and_can_be_tried_again(page: Page, complaints: Complaints) -> None:
    input_id = post(page, "digits")
    problem = json.dumps(
        {
            "type": "/problems/queue-full",
            "title": "Busy",
            "status": 429,
            "detail": "come back later",
        }
    )
    pattern = re.compile(r"/layers/2/activations\?(?!.*strongest)")
    headers = {"Content-Type": "application/problem+json", "Retry-After": "0"}
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, headers=headers, body=problem)

    page.route(pattern, busy)
    complaints.expect("^console: .* 429 ")
    page.goto(f"/#model=digits:1&input={input_id}&layer=2")
    expect(page.locator("#layer").get_by_role("alert")).to_contain_text("Busy: come back later")
    assert len(asked) == 3, "a busy service is asked again by the page itself, but not for ever"
    page.unroute(pattern)
    page.locator("#layer").get_by_role("button", name="Try again").click()
    expect(page.locator("#layer")).to_have_attribute("data-layer", "2")


def test_the_request_is_copied_by_hand_without_a_clipboard_and_runs_in_a_shell(page: Page) -> None:
    page.add_init_script(REFUSED)
    input_id = show(page, "digits", 2)
    page.get_by_role("button", name="Copy as curl").click()
    text = page.get_by_role("dialog").get_by_role("textbox").input_value()
    assert page.evaluate("getSelection().toString()") == text
    assert shlex.split(text)[0] == "curl"
    run = subprocess.run(["bash", "-c", f"{text} -sS"], capture_output=True, check=True, timeout=30)
    answer = json.loads(run.stdout)
    assert (answer["input_id"], answer["model"], answer["layer"]["index"]) == (
        input_id,
        "digits",
        2,
    )
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_downloads_hold_what_is_shown(page: Page, tmp_path: Path) -> None:
    input_id = show(page, "digits", 2)
    array = activations(page, "digits", 2, input_id)
    files = {}
    for name in ("PNG", "JSON", ".npy"):
        with page.expect_download() as caught:
            page.get_by_role("button", name=f"Download {name}:").click()
        files[name] = tmp_path / caught.value.suggested_filename
        caught.value.save_as(files[name])
    assert [path.name for path in files.values()] == [
        f"digits-1-layer-2-blocks.2.conv{end}" for end in (".png", ".json", ".npy")
    ]
    np.testing.assert_array_equal(np.load(files[".npy"]), array)
    assert json.loads(files["JSON"].read_bytes())["units"][0]["value"] == array.max()
    assert files["PNG"].read_bytes().startswith(b"\x89PNG")


def test_the_layer_has_no_serious_fault_of_accessibility_in_any_theme_or_width(page: Page) -> None:
    show(page, "digits", 2)
    assert_accessible(page, within="#layer")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert_accessible(page, within="#layer")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "layer-narrow-dark", full_page=True)


def test_from_a_layer_of_numbers_one_comes_back_to_maps(page: Page) -> None:
    """Until the new layer's unit is known, nothing is marked: the former unit has no place on a
    map.
    """
    show(page, "digits", 2, "&channel=3")
    cards = page.locator("#strip [data-index]")
    last = cards.count() - 1
    for index in (last, 2, last, 0):
        cards.nth(index).click()
        expect(page.locator("#layer")).to_have_attribute("data-layer", str(index))
        page.mouse.move(0, 0)
        sheet(page).press("Home")
