"""Every state has a link, and a link that cannot be honoured in full says what is missing."""

import json
import re

from playwright.sync_api import Page, Route, expect

from tests.e2e.explorer.browser import Complaints, in_module
from tests.e2e.explorer.given import post

UNKNOWN = "0" * 64


def arrived(page: Page, layer: int) -> None:
    expect(page.locator("#layer")).to_have_attribute("data-layer", str(layer))


def test_a_link_is_read_as_it_was_written(module_page: Page) -> None:
    places = [
        {"model": "imagenet:1", "input": UNKNOWN, "layer": 20, "channel": 63, "unit": [12, 7]},
        {"model": "a name/ö&:2", "input": None, "layer": 0, "channel": 0, "unit": []},
        {"model": None, "input": None, "layer": None, "channel": None, "unit": None},
    ]
    code = "(link, places) => places.map(place => link.readLink(link.linkTo(place)))"
    assert in_module(module_page, "link.js", code, places) == places
    odd = "(link, texts) => texts.map(text => link.readLink(text))"
    nothing = places[-1]
    assert (
        in_module(
            module_page, "link.js", odd, ["", "#layer", "#layer=-1&unit=1,x&input=abc&channel=1.5"]
        )
        == [nothing] * 3
    )


def test_a_reload_restores_model_input_layer_channel_and_unit(page: Page) -> None:
    input_id = post(page, "digits")
    link = f"/#model=digits:1&input={input_id}&layer=2&channel=5&unit=4,9"
    page.goto(link)
    arrived(page, 2)
    page.reload()
    arrived(page, 2)
    expect(page).to_have_url(link)
    readout = page.get_by_role("group", name="The unit and its channel")
    expect(readout).to_contain_text("Channel 5, row 4, column 9")
    expect(page.get_by_label("Model")).to_have_value("digits:1")
    expect(page.locator("#notice")).to_have_text("")


def test_a_dense_layer_and_a_model_without_a_version_are_restored_too(page: Page) -> None:
    input_id = post(page, "digits1d")
    page.goto(f"/#model=digits1d&input={input_id}&layer=7&channel=4&unit=")
    arrived(page, 7)
    expect(page).to_have_url(f"/#model=digits1d:1&input={input_id}&layer=7&channel=4&unit=")


def test_the_buttons_of_the_browser_lead_back_and_forward(page: Page) -> None:
    input_id = post(page, "digits")
    page.goto(f"/#model=digits:1&input={input_id}&layer=1&channel=2&unit=3,4")
    arrived(page, 1)
    page.get_by_role("button", name="Next layer").click()
    arrived(page, 2)
    page.get_by_role("button", name="Next layer").click()
    arrived(page, 3)
    expect(page).to_have_url(re.compile("layer=3&channel="))
    page.go_back()
    arrived(page, 2)
    page.go_back()
    arrived(page, 1)
    expect(page).to_have_url(re.compile("layer=1&channel=2&unit=3,4$"))
    page.go_forward()
    page.go_forward()
    arrived(page, 3)


def test_back_leads_to_another_model_and_its_input(page: Page) -> None:
    one, other = post(page, "digits"), post(page, "digits1d")
    page.goto(f"/#model=digits:1&input={one}&layer=1&channel=2&unit=3,4")
    arrived(page, 1)
    page.evaluate(
        "link => { location.hash = link; }",
        f"#model=digits1d:1&input={other}&layer=2&channel=1&unit=5",
    )
    arrived(page, 2)
    expect(page.get_by_label("Model")).to_have_value("digits1d:1")
    expect(page).to_have_url(f"/#model=digits1d:1&input={other}&layer=2&channel=1&unit=5")
    page.go_back()
    arrived(page, 1)
    expect(page).to_have_url(f"/#model=digits:1&input={one}&layer=1&channel=2&unit=3,4")


def test_a_link_that_comes_while_layers_are_fetched_leaves_the_address_alive(page: Page) -> None:
    first, other = post(page, "digits"), post(page, "digits1d")
    page.goto(f"/#model=digits:1&input={first}&layer=1")
    arrived(page, 1)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/layers?model=digits1d*", hold)
    for layer in (3, 4):
        page.evaluate(
            "link => { location.hash = link; }", f"#model=digits1d:1&input={other}&layer={layer}"
        )
        expect(page.get_by_label("Model")).to_have_value("digits1d:1")
    expect(page.locator("#predictions li").first).to_be_visible()
    for route in held:
        route.continue_()
    arrived(page, 4)
    page.get_by_role("button", name="Next layer").click()
    expect(page).to_have_url(re.compile("digits1d:1.*layer=5"))


def test_layers_that_were_not_answered_can_be_asked_for_again(
    page: Page, complaints: Complaints
) -> None:
    page.route("**/layers?model=digits*", lambda route: route.abort("connectionrefused"), times=1)
    complaints.expect("^(failed|console): .*layers")
    page.goto("/#model=digits:1&layer=2")
    page.locator("#strip").get_by_role("button", name="Try again").click()
    arrived(page, 2)


def test_an_input_that_is_forgotten_is_posted_again(page: Page, complaints: Complaints) -> None:
    input_id = post(page, "digits")
    gone = json.dumps(
        {
            "type": "/problems/unknown-input",
            "title": "No such input",
            "status": 404,
            "detail": "gone",
        }
    )
    page.goto(f"/#model=digits:1&input={input_id}&layer=1")
    arrived(page, 1)
    fulfil = {"status": 404, "content_type": "application/problem+json", "body": gone}
    page.route(
        re.compile(r"/layers/2/activations\?(?!.*strongest)"),
        lambda route: route.fulfill(**fulfil),
        times=1,
    )
    complaints.expect("^console: .* 404 ")
    page.get_by_role("button", name="Next layer").click()
    again = page.locator("#layer").get_by_role("button", name="Try again")
    with page.expect_request(lambda request: request.method == "POST"):
        again.click()
    arrived(page, 2)


def test_an_input_that_is_gone_is_told_and_a_sample_is_shown_instead(
    page: Page, complaints: Complaints
) -> None:
    complaints.expect(f"^console: .* 404 .*/inputs/{UNKNOWN}")
    samples = page.request.get("/models/imagenet/samples").json()["samples"]
    assert samples
    page.goto(f"/#model=imagenet:1&input={UNKNOWN}&layer=58")
    expect(page.locator("#notice")).to_contain_text("post it again")
    arrived(page, 58)
    expect(page).to_have_url(re.compile(r"input=(?!0000)[0-9a-f]{64}&layer=58&"))
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#notice")).to_have_text("")


def test_a_layer_that_is_not_there_is_told_and_the_first_is_shown(page: Page) -> None:
    page.goto(f"/#model=digits:1&input={post(page, 'digits')}&layer=99&channel=1&unit=0,0")
    expect(page.locator("#notice")).to_contain_text(
        "layer 99 is not there: this model has layers 0 to 6"
    )
    arrived(page, 0)


def test_a_unit_that_is_not_there_is_told_and_the_strongest_is_chosen(page: Page) -> None:
    page.goto(f"/#model=digits:1&input={post(page, 'digits')}&layer=2&channel=1&unit=99,0")
    arrived(page, 2)
    expect(page.locator("#notice")).to_contain_text("unit 99, 0) is not on this layer's maps")
    strongest = page.get_by_role("group", name="Strongest units").get_by_role("button").first
    expect(strongest).to_have_attribute("aria-pressed", "true")


def test_a_model_that_is_not_served_is_told_and_the_default_is_shown(page: Page) -> None:
    page.goto("/#model=no-such:1&layer=3")
    expect(page.locator("#notice")).to_contain_text("model no-such:1 is not served here")
    default = next(each for each in page.request.get("/models").json()["models"] if each["default"])
    expect(page.get_by_label("Model")).to_have_value(f"{default['name']}:{default['version']}")


def test_the_skip_link_leaves_the_link_whole(page: Page) -> None:
    page.goto(f"/#model=digits:1&input={post(page, 'digits')}&layer=2")
    arrived(page, 2)
    page.get_by_role("link", name="Skip to the layer").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#model=digits:1&input=.*&layer=2&"))
    expect(page.locator("#layer")).to_be_focused()


def test_the_theme_goes_round_and_is_kept(page: Page) -> None:
    page.goto("/")
    button = page.get_by_role("button", name=re.compile("^Theme: "))
    for name, theme in [("light", "light"), ("dark", "dark")]:
        button.click()
        expect(button).to_have_accessible_name(re.compile(f"^Theme: {name}. Change to "))
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    button.click()
    expect(button).to_have_accessible_name("Theme: system. Change to light.")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_link_is_copied_by_hand_without_a_clipboard(page: Page) -> None:
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'));")
    page.goto(f"/#model=digits:1&input={post(page, 'digits')}&layer=2&channel=1&unit=2,3")
    arrived(page, 2)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_have_value(page.url)
