"""The kernels shown are the weights of the file."""

import json
import re
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.explorer.browser import shoot
from tests.e2e.process import ROOT

# All of the page at once: a section that is out of view fetches nothing.
TALL: ViewportSize = {"width": 1440, "height": 4000}


def first_kernels(model: Path) -> np.ndarray:
    """The weights of the first convolution in the file."""
    graph = onnx.load(model).graph
    name = next(node.input[1] for node in graph.node if node.op_type == "Conv")
    return next(numpy_helper.to_array(each) for each in graph.initializer if each.name == name)


@pytest.mark.parametrize("name", ["digits", "digits1d", "voxels"])
def test_the_legend_is_centred_on_zero_and_reaches_the_largest_weight_of_the_file(
    page: Page, name: str
) -> None:
    top = float(np.abs(first_kernels(ROOT / f"models/{name}/1/model.onnx")).max())
    page.set_viewport_size(TALL)
    page.goto(f"/#model={name}:1&layer=0")
    section = page.locator("#kernels")
    page.get_by_label(re.compile("scal", re.IGNORECASE)).first.select_option("layer")
    expect(section).to_have_attribute("data-range", re.compile(rf"^\[-{top:.4f}"[:-1]))
    low, high = json.loads(section.get_attribute("data-range") or "[]")
    assert (low, high) == pytest.approx((-top, top), rel=1e-6)


def test_pointing_at_a_kernel_tells_the_weight_of_the_file(page: Page, models_folder: Path) -> None:
    weights = first_kernels(models_folder / "imagenet/1/model.onnx")
    page.set_viewport_size(TALL)
    page.goto("/#model=imagenet:1&layer=0")
    section = page.locator("#kernels")
    section.get_by_role("button", name=re.compile("All")).click()
    sheet = section.get_by_role("img", name=re.compile("Kernels of 32 outputs over 3 inputs"))
    said = section.locator(".kernels-said")
    expect(section.get_by_role("button", name=re.compile("All"))).to_have_attribute(
        "aria-pressed", "true"
    )
    # Twice, for the first time may be before the sheet is drawn anew.
    sheet.hover(position={"x": 40, "y": 3})
    sheet.hover(position={"x": 3, "y": 3})
    expect(said).to_have_text(re.compile("output 0, input 0, at 0, 0 ="))
    assert float(said.get_attribute("title") or "nan") == pytest.approx(
        float(weights[0, 0, 0, 0]), rel=1e-6
    )
    shoot(page, "kernels")


def test_a_pool_says_that_it_learns_no_kernels(page: Page, address: str) -> None:
    layers = httpx.get(f"{address}/layers?model=imagenet").json()["layers"]
    pool = next(each for each in layers if each["kind"] == "pool")
    page.goto(f"/#model=imagenet:1&layer={pool['index']}")
    expect(page.locator("#kernels")).to_contain_text("learns no kernels")


def test_a_button_stays_the_same_while_the_sheet_is_drawn_anew(page: Page) -> None:
    """Else a click is lost that was begun before it and ended after it."""
    page.set_viewport_size(TALL)
    page.goto("/#model=imagenet:1&layer=0")
    button = page.locator("#kernels").get_by_role("button", name=re.compile("All"))
    expect(button).to_have_attribute("aria-pressed", "false")
    same = button.element_handle()
    assert same is not None
    sheet = page.locator("#kernels canvas").first
    before = sheet.get_attribute("height")
    page.locator("#kernels").evaluate("element => { element.style.maxWidth = '500px'; }")
    expect(sheet).not_to_have_attribute("height", str(before))
    assert same.evaluate("element => element.isConnected")
    same.click()
    expect(button).to_have_attribute("aria-pressed", "true")
