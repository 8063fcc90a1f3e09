"""Seen in a browser: the decided variant is in the HTML as received, nothing shifts, and a click reaches the lake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, Response

from tests.e2e.chromium import FLAGS, find_chromium
from tests.e2e.world import ROOT, World

ARTEFACTS = ROOT / "test-results"
SHIFTS = """() => new Promise((resolve) => {
  let score = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) score += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => setTimeout(() => resolve(score), 300));
})"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def open_treated(shop: World, chromium: Browser) -> tuple[Page, Response]:
    """Open the shop as new visitors until one is shown another hero than the page's own."""
    for _ in range(60):
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        response = page.goto(shop.edge.url, wait_until="load")
        assert response is not None
        if "look-" in response.text().partition('data-usher="hero"')[2].partition("</section>")[0]:
            return page, response
        page.context.close()
    pytest.fail("60 visitors in a row saw the page's own hero")


def test_the_variant_is_in_the_html_as_received_and_nothing_shifts(shop: World, chromium: Browser) -> None:
    page, response = open_treated(shop, chromium)
    received = response.text().partition('data-usher="hero"')[2].partition("</h1>")[0].partition("<h1>")[2]
    shown = page.locator('[data-usher="hero"] h1').inner_html()
    assert shown.replace("\xa0", "&nbsp;") == received
    assert page.evaluate(SHIFTS) == 0
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "shop.png", full_page=True)
    assert (ARTEFACTS / "shop.png").stat().st_size > 50_000
    page.context.close()


def test_nothing_fails_to_load_and_nothing_is_reported(shop: World, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("response", lambda response: problems.append(response.url) if response.status >= 400 else None)
    page.goto(shop.edge.url, wait_until="networkidle")
    assert problems == []


def test_a_click_on_a_goal_reaches_the_lake_with_its_page_view(shop: World, page: Page) -> None:
    page.goto(shop.edge.url, wait_until="load")
    view = page.locator("script[data-view]").get_attribute("data-view")
    page.locator('[data-usher="pick"] [data-usher-goal]').click()
    goals = shop.events(lambda event: event["type"] == "goal" and event["page_view"] == view)
    [goal] = {event["event_id"]: event for event in goals}.values()  # the next page may have sent it again
    assert (goal["name"], goal["touchpoint"]) == ("pick_click", "pick")
    shown = shop.events(lambda event: event["type"] == "exposure" and event["page_view"] == view, least=2)
    assert {event["visitor"] for event in shown} == {goal["visitor"]}


def test_a_returning_visitor_sees_the_same_variants(shop: World, page: Page) -> None:
    page.goto(shop.edge.url, wait_until="load")
    first = page.locator("[data-usher]").all_inner_texts()
    page.goto(f"{shop.edge.url}/men/", wait_until="load")
    page.goto(shop.edge.url, wait_until="load")
    assert page.locator("[data-usher]").all_inner_texts() == first


def test_the_cookie_is_out_of_reach_of_scripts(shop: World, page: Page) -> None:
    page.goto(shop.edge.url, wait_until="load")
    assert page.evaluate("document.cookie") == ""
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (
        "__Host-usher",
        True,
        True,
        "Lax",
    )
