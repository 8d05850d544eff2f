"""The pages as a browser shows them. That they load nothing from elsewhere and log no error is what
`page` holds.
"""

from playwright.sync_api import Page, expect

from tests.e2e.explorer.accessibility import assert_accessible
from tests.e2e.explorer.browser import shoot


def test_the_api_documentation_is_drawn_from_files_of_the_service(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Fovea")).to_be_visible()
    operation = page.locator(".opblock").filter(has_text="/readyz")
    operation.locator("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_have_text(
        "200"
    )
    shoot(page, "api-documentation")


def test_the_landing_page_has_no_serious_fault_of_accessibility(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert_accessible(page)
    shoot(page, "landing-page")
