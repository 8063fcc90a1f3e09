"""Pages that browsers take from memory, or fetch and render ahead: decided once, and a view once they are shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.visits import Studio, Visit, visit
from tests.e2e.world import JsonEvent, eventually, now_ms

pytestmark = pytest.mark.browser

ACTIVATED_MS = "performance.timeOrigin + performance.getEntriesByType('navigation')[0].activationStart - 1"
PURPOSES = {"prefetch": "prefetch", "prerender": "prefetch;prerender"}


def exposures(studio: Studio, view: str) -> list[JsonEvent]:
    return studio.stored(lambda event: event["type"] == "exposure" and event["page_view"] == view)


def views_told(studio: Studio) -> set[object]:
    """The page views that browsers have said something of."""
    return {event["page_view"] for event in studio.sent()}


def fetch_ahead(studio: Studio, window: BrowserContext, how: str, path: str = "/pricing") -> tuple[Visit, str]:
    """Open the page that has the browser fetch another one ahead; returns the tab, and the id of the view to come."""
    began_ms = now_ms()
    tab = visit(studio, window, f"/ahead/{how}{path}")
    eventually(lambda: studio.asked(path) == [PURPOSES[how]], f"the {how} of {path}")
    [exposure] = studio.stored(lambda event: event["type"] == "exposure" and int(str(event["received_ms"])) >= began_ms)
    return tab, str(exposure["page_view"])


def test_a_page_restored_from_the_back_forward_cache_is_one_view(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    view = tab.view
    tab.page.evaluate("window.isSame = true")
    tab.stay(2)
    tab.follow("/pricing")
    tab.await_answers()
    tab.page.go_back(wait_until="commit")
    tab.page.wait_for_function("window.isSame && !document.hidden")
    assert tab.page.evaluate("performance.getEntriesByType('navigation')[0].notRestoredReasons") is None
    tab.stay(3)
    tab.scroll("end")
    tab.page.close()
    told = studio.told(view, "engagement", least=2)
    assert [event["engaged_ms"] for event in sorted(told, key=lambda event: int(str(event["created_ms"])))] == [
        2000,
        5000,
    ]
    assert len(studio.told(view, "page_view")) == 1
    assert len(exposures(studio, view)) == 1
    assert studio.asked("/") == [""], "the page was asked for once"
    assert len([event for event in studio.sent("page_view") if event["page_view"] == view]) == 1


@pytest.mark.parametrize("how", PURPOSES)
def test_a_page_fetched_ahead_is_a_view_once_it_is_shown(studio: Studio, window: BrowserContext, how: str) -> None:
    tab, view = fetch_ahead(studio, window, how)
    assert view not in views_told(studio)
    tab.follow("/pricing")
    assert tab.view == view
    tab.await_answers()
    assert studio.asked("/pricing") == [PURPOSES[how]], "the page was not asked for again"
    told = studio.told(view, least=2)
    assert sorted(str(event["type"]) for event in told) == ["page_view", "shown"]
    [exposure] = exposures(studio, view)
    assert exposure["is_shown"] is False
    tab.stay(2)
    tab.go("/imprint")
    assert [event["engaged_ms"] for event in studio.told(view, "engagement")] == [2000]
    assert len(studio.sent("shown")) == 1


@pytest.mark.parametrize("how", PURPOSES)
def test_a_page_fetched_ahead_and_never_shown_is_no_view(studio: Studio, window: BrowserContext, how: str) -> None:
    tab, view = fetch_ahead(studio, window, how)
    tab.go("/cases/harbour")
    tab.await_answers()
    studio.told(tab.view, "page_view")
    assert view not in views_told(studio)
    assert [exposure["is_shown"] for exposure in exposures(studio, view)] == [False]
    assert view not in str(tab.page.context.cookies())


def test_what_is_tracked_while_a_page_is_rendered_ahead_waits_until_it_is_shown(
    studio: Studio, window: BrowserContext
) -> None:
    tab, view = fetch_ahead(studio, window, "prerender", "/pricing/bought")
    assert view not in views_told(studio)
    tab.page.get_by_role("link", name="/pricing/bought").click()
    told = studio.told(view, "page_view", "purchase", "shown", least=3)
    assert min(int(str(event["created_ms"])) for event in told) >= tab.page.evaluate(ACTIVATED_MS)
