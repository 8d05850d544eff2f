"""The nested patches of a unit are those of the API, and each layer's middle unit sees what the API
says.
"""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import in_module, shoot
from tests.e2e.process import ROOT

# All of the page at once: a section that is out of view fetches nothing.
TALL: ViewportSize = {"width": 1440, "height": 4000}


def posted(address: str, model: str, name: str) -> str:
    data = (ROOT / "samples" / name).read_bytes()
    answer = httpx.post(
        f"{address}/predict?model={model}", content=data, headers={"Content-Type": "image/jpeg"}
    )
    return str(answer.json()["input_id"])


def answered(address: str, path: str, **query: Any) -> Any:
    answer = httpx.get(f"{address}/{path}", params=query)
    answer.raise_for_status()
    return answer.json()


@pytest.mark.parametrize(("layer", "unit"), [(20, (12, 7)), (20, (0, 13)), (0, (111, 111))])
def test_the_patches_are_those_of_the_api_from_the_input_to_the_unit(
    page: Page, address: str, layer: int, unit: tuple[int, int]
) -> None:
    input_id = posted(address, "imagenet", "cat.jpg")
    position = ",".join(map(str, unit))
    page.set_viewport_size(TALL)
    page.goto(f"/#model=imagenet:1&input={input_id}&layer={layer}&channel=3&unit={position}")
    section = page.locator("#pyramid")
    levels = answered(address, f"layers/{layer}/pyramid", model="imagenet", unit=position)["levels"]
    own = [[index, index + 1] for index in unit]
    expected = [
        {
            "index": level["layer"] and level["layer"]["index"],
            **{key: level[key] for key in ("interval", "clipped")},
        }
        for level in reversed(levels)
    ] + [{"index": layer, "interval": own, "clipped": own}]
    expect(section).to_have_attribute("data-levels", json.dumps(expected, separators=(",", ":")))


def test_the_middle_unit_of_each_layer_on_the_way_sees_what_the_api_says(
    module_page: Page, address: str
) -> None:
    layers = answered(address, "layers", model="imagenet")["layers"]
    levels = answered(address, "layers/30/pyramid", model="imagenet", unit="5,6")["levels"]
    shown = in_module(
        module_page,
        "views/pyramid/levels.js",
        """(levels, {chosen, unit, given, layers}) => levels
            .nestedFields(levels.path(chosen, unit, given, layers, [224, 224]))
            .map(({level: {index, position}, interval}) => ({index, position, interval}))""",
        {"chosen": layers[30], "unit": [5, 6], "given": levels, "layers": layers},
    )
    assert len(shown) > 20
    for each in shown:
        unit = ",".join(map(str, each["position"]))
        field = answered(
            address, f"layers/{each['index']}/receptive-field", model="imagenet", unit=unit
        )
        assert each["interval"] == field["interval"], each


def test_the_fields_grow_from_layer_to_layer_and_the_slider_names_each(
    page: Page, address: str
) -> None:
    page.set_viewport_size(TALL)
    input_id = posted(address, "imagenet", "cat.jpg")
    page.goto(f"/#model=imagenet:1&input={input_id}&layer=12&channel=0&unit=9,9")
    section = page.locator("#pyramid")
    slider = section.get_by_label("From layer to layer")
    expect(slider).to_be_visible()
    expect(section.locator(".pyramid-said")).to_contain_text("Layer 12")
    slider.press("Home")
    expect(section.locator(".pyramid-said")).to_contain_text("Layer 0")
    expect(section.locator(".pyramid-said")).to_contain_text("3 × 3 of the input")
    slider.press("ArrowRight")
    expect(section.locator(".pyramid-said")).to_contain_text("Layer 1")
    expect(section.locator(".pyramid-said")).to_contain_text("7 × 7 of the input")


@pytest.mark.parametrize("model", ["digits", "digits1d", "voxels"])
def test_a_network_of_any_rank_has_its_pyramid(page: Page, model: str) -> None:
    page.set_viewport_size(TALL)
    page.goto(f"/#model={model}:1&layer=3")
    section = page.locator("#pyramid")
    section.get_by_text("Every layer on the way").click()
    expect(section.get_by_role("rowheader").last).to_have_text("the input")
    shoot(page, f"pyramid-{model}")
    assert_accessible(page)
