"""What is lost between tabs of what pages leave for the edge, in a cookie that holds three records."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.visits import Studio, Visit, left, visit

pytestmark = pytest.mark.browser

ROUNDS = 15


@pytest.mark.parametrize(("tabs", "lost"), [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (6, 3)])
def test_of_tabs_that_are_read_in_turn_the_last_three_arrive_with_the_next_page(
    studio: Studio, window: BrowserContext, tabs: int, lost: int
) -> None:
    """The tabs are opened first, and nothing else is asked for while they are read."""
    opened = [visit(studio, window, "/pricing") for _ in range(tabs)]
    for seconds, tab in enumerate(opened, start=1):
        tab.front()
        tab.stay(seconds)
        tab.scroll("end")
    records = [f"{tab.view}.100.{seconds}" for seconds, tab in enumerate(opened, start=1)]
    opened[-1].follow("/cases/harbour")
    assert studio.left_with("/cases/harbour") == records[lost:]


def test_two_windows_that_are_left_in_the_same_moment_both_leave_their_records(
    studio: Studio, window: BrowserContext
) -> None:
    """Both read the cookie and write it, in processes of their own. When this was measured, 0 of 60 records were lost;
    a browser promises nothing here, so some may be."""
    lost = 0
    for _ in range(ROUNDS):
        window.clear_cookies()
        pair = [visit(studio, window, "/pricing"), Visit(studio, open_window(window)).go("/")]
        assert [tab.page.evaluate("document.hidden") for tab in pair] == [False, False]
        views = [tab.view for tab in pair]
        for tab in pair:
            tab.page.evaluate("() => { new BroadcastChannel('go').onmessage = () => { location = '/imprint'; }; }")
        window.pages[0].goto(f"{studio.wire.url}/imprint")
        window.pages[0].evaluate("() => new BroadcastChannel('go').postMessage(1)")
        for tab in pair:
            tab.page.wait_for_url("**/imprint")
        found = {record.partition(".")[0] for record in left(window)}
        lost += sum(view not in found for view in views)
        for tab in pair:
            tab.page.close()
    assert lost <= ROUNDS // 5


def open_window(window: BrowserContext) -> Page:
    """Open a window beside the first; both are visible."""
    assert window.browser is not None
    with window.expect_page() as opened:
        window.browser.new_browser_cdp_session().send("Target.createTarget", {"url": "about:blank", "newWindow": True})
    return opened.value
