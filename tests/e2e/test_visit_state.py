"""The state of a visit in a browser: what is read, left, folded and decided by; and pages that are only observed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import BrowserContext

from origin.config import load_config
from scripts.runtime.edge import LOCAL_KEYS, run_edge
from shared.session.fold import DAY_MS
from shared.signing import read_keys
from tests.e2e.chromium import forget_visitor
from tests.e2e.studio import render, serve_studio
from tests.e2e.visits import Studio, Visit, visit
from tests.e2e.world import eventually, make_world
from tests.origin.proxy import run_proxy
from worker.cookies import COOKIE
from worker.visitor import Visitor, read_visitor, write_visitor

KEYS = read_keys(LOCAL_KEYS)
# A case study read to its end counts 2, every page of prices of this visit 1.2: the threshold lies at 4.
CONFIG = """
[site]
id = "studio"
holdout_share = 0

[goals.book]

[categories.case-study]
pages = ["/cases/*"]

[categories.pricing]
pages = ["/pricing", "/pricing/*"]

[intent]
bias = -4
weights = { "session.read.case-study" = 2, "session.earlier.read.case-study" = 2, "session.categories.pricing" = 1.2 }

[touchpoints.banner]
goal = "book"
default = "own"
pages = ["/"]

[[touchpoints.banner.variants]]
name = "own"
condition = { "session.intent" = { "$lt" = 0.5 } }

[[touchpoints.banner.variants]]
name = "call"
html = "<p>Let us talk</p>"
condition = { "session.intent" = { "$gte" = 0.5 }, "session.visits" = { "$gte" = 2 } }
because = "you have read a case study and looked at our prices twice"
"""


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The studio's site once more, decided by what its visitors read."""
    folder = tmp_path_factory.mktemp("agency")
    (folder / "usher.toml").write_text(CONFIG)
    with serve_studio() as site:
        variables = {"UPSTREAM": site, "SNAPSHOT_TTL_MS": "200"}
        options = {"queue": {"maxBatchTimeout": 0.2}, "assets": False}
        with run_edge(variables=variables, options=options) as edge, run_proxy(edge.url) as wire:
            world = make_world(edge, folder, load_config(folder / "usher.toml"))
            world.publish_untrained()
            yield Studio(world, wire)
            world.kv.close()


@pytest.fixture
def window(whole_chromium: BrowserContext, agency: Studio) -> BrowserContext:
    forget_visitor(whole_chromium, agency.wire.url)
    return whole_chromium


def visitor_of(window: BrowserContext) -> Visitor:
    cookies = {cookie["name"]: cookie["value"] for cookie in window.cookies()}
    visitor, problem = read_visitor(f"{COOKIE}={cookies[COOKIE]}", KEYS)
    assert visitor is not None, problem
    return visitor


def let_days_pass(window: BrowserContext, agency: Studio, days: int) -> None:
    """The visitor's cookie as if all that it tells of had happened so many days earlier."""
    visitor = visitor_of(window)
    ago_ms = days * DAY_MS
    session = visitor.session
    earlier = replace(session, started_ms=session.started_ms - ago_ms, seen_ms=session.seen_ms - ago_ms)
    cookie, _ = write_visitor(replace(visitor, session=earlier), KEYS)
    value = cookie.partition(";")[0].partition("=")[2]
    secure_url = agency.wire.url.replace("http:", "https:")  # else the browser's own tools refuse the name
    window.add_cookies([{"name": COOKIE, "value": value, "url": secure_url, "secure": True, "httpOnly": True}])


def banner(tab: Visit) -> str:
    return tab.page.locator('[data-usher="banner"]').inner_text()


@pytest.mark.browser
def test_who_read_a_case_study_and_came_back_for_the_prices_sees_the_call_to_action(
    agency: Studio, window: BrowserContext
) -> None:
    tab = visit(agency, window, "/cases/harbour")
    tab.stay(25)
    tab.scroll("end")
    tab.page.close()
    let_days_pass(window, agency, 2)

    tab = visit(agency, window)
    assert banner(tab) == "Book"
    tab.follow("/pricing")
    assert banner(tab.follow("/")) == "Book"
    tab.follow("/pricing")
    assert banner(tab.follow("/")) == "Let us talk"

    session = visitor_of(window).session.to_attributes()
    assert (session["visits"], session["away_days"], session["views"]) == (2, 2, 5)
    assert (session["categories"], session["bigrams"]) == ({"pricing": 2}, ["pricing>pricing"])
    assert session["earlier"] == {
        "views": 1,
        "engaged_s": 25,
        "pages_read": 1,
        "categories": {"case-study": 1},
        "read": {"case-study": 1},
    }
    visitor = visitor_of(window).id
    wanted = {"type": "exposure", "visitor": visitor, "variant": "call"}
    [exposure] = agency.stored(lambda event: wanted.items() <= event.items())
    assert exposure["because"] == "because you have read a case study and looked at our prices twice"
    logged = exposure["session"]
    assert isinstance(logged, dict)
    assert logged.pop("intent") == pytest.approx(0.598688, abs=1e-6)  # the logistic of 2 + 2 × 1.2 − 4
    assert logged == session


@pytest.mark.browser
@pytest.mark.parametrize("read", [False, True])
def test_others_do_not_see_it(agency: Studio, window: BrowserContext, read: bool) -> None:
    """Neither who has only looked at the prices, nor who has read a case study and is here for the first time."""
    tab = visit(agency, window, "/cases/harbour")
    if read:
        tab.scroll("end")
    for path in ("/pricing", "/", "/pricing"):
        tab.follow(path)
    if not read:
        let_days_pass(window, agency, 2)
        for path in ("/pricing", "/imprint", "/pricing"):
            tab.go(path)
    assert banner(tab.go("/")) == "Book"


@pytest.mark.browser
def test_what_several_tabs_have_left_is_folded_once(agency: Studio, window: BrowserContext) -> None:
    tabs = [visit(agency, window, path) for path in ("/cases/harbour", "/pricing", "/cases/harbour")]
    for seconds, tab in enumerate(tabs, start=1):
        tab.front()
        tab.stay(seconds)
        tab.scroll("end")
    for path in ("/", "/pricing", "/"):
        tabs[-1].follow(path)
    session = visitor_of(window).session.to_attributes()
    assert (session["views"], session["engaged_s"], session["pages_read"]) == (6, 6, 3)
    assert session["read"] == {"case-study": 2, "pricing": 1}
    tabs[0].front()
    tabs[0].stay(10)
    tabs[2].front()
    tabs[2].follow("/pricing")
    session = visitor_of(window).session.to_attributes()
    assert (session["views"], session["engaged_s"], session["pages_read"]) == (7, 16, 3)


def test_a_page_that_is_only_observed_gets_the_script_and_a_cookie_and_nothing_else(agency: Studio) -> None:
    browser = agency.world.browser()
    page = browser.get("/pricing")
    script = page.text.partition("<head>")[2].partition("</script>")[0] + "</script>"
    assert script.startswith("<script src=")
    assert page.text.replace(script, "", 1) == render("/pricing")
    assert page.headers["cache-control"] == "private, no-cache"
    visitor, _ = read_visitor(browser.cookie, KEYS)
    assert visitor is not None
    assert (visitor.frozen, visitor.session.to_attributes()["categories"]) == ((), {"pricing": 1})


def test_a_page_that_is_not_observed_passes_untouched(agency: Studio) -> None:
    response = agency.world.browser().get("/imprint")
    assert response.text == render("/imprint")
    assert "set-cookie" not in response.headers


def test_page_views_that_the_cookie_does_not_know_are_counted_once_and_the_page_goes_on(agency: Studio) -> None:
    edge = agency.world.edge
    before = edge.counted("left_unknown")
    browser = agency.world.browser()
    for left in ("", *["; usher-left=18bcf-0123456789abcdef.95.40~18bcf-0123456789abcde0.95.40"] * 2):
        browser.cookie += left
        assert browser.get("/pricing").status_code == 200
    assert "!?abcdef~abcde0." in browser.cookie
    eventually(lambda: edge.counted("left_unknown") >= before + 2 or None, "the lost views counted")
    assert edge.counted("left_unknown") == before + 2


def test_where_there_is_no_cookie_no_view_is_lost_between_tabs(agency: Studio) -> None:
    before = agency.world.edge.counted("left_unknown")
    browser = agency.world.browser()
    browser.cookie = "usher-left=18bcf-0123456789abcdef.95.40"
    for _ in range(2):
        assert browser.get("/pricing").status_code == 200
        browser.cookie += "; usher-left=18bcf-0123456789abcdef.95.40"
    assert agency.world.edge.counted("left_unknown") == before
