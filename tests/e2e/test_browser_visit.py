"""What the browser tells of a visit, seen in Chromium and in the lake."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import BrowserContext

from scripts.runtime.edge import LOCAL_IDENTIFY_KEYS
from shared.identity import sign_user
from shared.signing import read_keys
from tests.e2e.studio import EARLY, LONG, POLICY, SECTIONS
from tests.e2e.visits import Studio, left, visit
from tests.e2e.world import read_lines

pytestmark = pytest.mark.browser


def test_a_visit_reaches_the_lake_each_event_once(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/cases/harbour?utm_source=news&utm_campaign=may&token=private")
    view = tab.view
    tab.scroll("end")
    tab.stay(3)
    tab.page.locator('[data-usher="banner"] [data-usher-goal]').click()
    tab.page.evaluate("""([user, signature]) => {
        usher.track("purchase", { event_id: "order-7", value: 12.5, currency: "EUR" });
        usher.track("plans_compared", { plans: ["small", "large"], seats: 3 });
        usher.prefer("topic", "harbours");
        usher.identify(user, signature);
    }""", ["ann", sign_user(read_keys(LOCAL_IDENTIFY_KEYS), "ann")])  # fmt: skip
    tab.go("/imprint")
    found = {str(event["type"]): event for event in studio.told(view, least=7)}
    assert sorted(found) == ["custom", "engagement", "goal", "identify", "page_view", "preference", "purchase"]
    assert {event["visitor"] for event in found.values()} == {found["goal"]["visitor"]}
    page = found["page_view"]
    assert (page["url_path"], page["category"]) == ("/cases/harbour", "case-study")
    assert page["campaign"] == {"source": "news", "name": "may"}
    assert page["language"] and page["device"] == "desktop"
    size = tab.page.evaluate("[innerWidth, innerHeight]")
    assert [page["viewport_width"], page["viewport_height"]] == size
    assert (found["goal"]["name"], found["goal"]["touchpoint"]) == ("book", "banner")
    assert (found["purchase"]["event_id"], found["purchase"]["value"]) == ("order-7", 12.5)
    assert found["custom"]["properties"] == {"plans": ["small", "large"], "seats": 3}
    assert (found["preference"]["question"], found["preference"]["answer"]) == ("topic", "harbours")
    assert len(str(found["identify"]["user"])) == 32
    assert (found["engagement"]["depth"], found["engagement"]["engaged_ms"]) == (100, 3000)
    assert "private" not in str(read_lines(studio.world.lake.events))


def test_the_next_page_names_the_page_before_as_its_referrer(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/")
    tab.follow("/pricing")
    [page] = studio.told(tab.view, "page_view")
    assert page["referrer"] == "127.0.0.1"


def test_time_counts_while_the_page_is_visible_and_has_the_focus(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.stay(3)
    other = visit(studio, window, "/pricing")
    other.front()
    assert tab.page.evaluate("document.hidden")
    tab.stay(100)
    other.stay(2)
    tab.front()
    tab.stay(4)
    views = tab.view, other.view
    tab.page.close()
    other.page.close()
    told = [studio.told(view, "engagement", least=count) for view, count in zip(views, (2, 1), strict=True)]
    assert [sorted(int(str(event["engaged_ms"])) for event in events) for events in told] == [[3000, 7000], [2000]]


def test_after_half_a_minute_without_a_sign_of_the_visitor_time_does_not_count(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window)
    tab.stay(200)
    tab.page.mouse.move(10, 10)
    tab.stay(5)
    view = tab.view
    tab.go("/imprint")
    assert left(window)[-1].rpartition(".")[2] == "35"
    [engagement] = studio.told(view, "engagement")
    assert engagement["engaged_ms"] == 35_000


def test_a_section_is_read_once_it_was_half_visible_for_a_second(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.scroll(SECTIONS[1])
    tab.stay(2)
    tab.scroll(SECTIONS[2])  # only passed
    tab.scroll(SECTIONS[3])
    tab.stay(2)
    view = tab.view
    tab.go("/imprint")
    [engagement] = studio.told(view, "engagement")
    assert engagement["sections"] == [SECTIONS[1], SECTIONS[3]]


def test_a_section_taller_than_the_window_is_read_too(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.page.evaluate("document.querySelector('[data-usher-section]').style.height = '9000px'")
    tab.page.evaluate("scrollTo(0, 4000)")
    tab.settle()
    tab.stay(2)
    view = tab.view
    tab.go("/imprint")
    [engagement] = studio.told(view, "engagement")
    assert engagement["sections"] == [SECTIONS[0]]


def test_what_is_left_for_the_edge_are_the_last_three_page_views_the_newest_last(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window)
    views = []
    for path, seconds in (("/", 1), ("/pricing", 2), ("/cases/harbour", 3), ("/pricing", 4)):
        tab.go(path)
        tab.stay(seconds)
        views.append(tab.view)
    tab.scroll("end")
    tab.go("/imprint")
    records = [record.split(".") for record in left(window)]
    assert [(view, seconds) for view, _, seconds in records] == list(zip(views[1:], "234", strict=True))
    height = tab.page.evaluate("innerHeight")
    assert [int(depth) for _, depth, _ in records] == [round(height / 4100 * 100)] * 2 + [100]


def test_a_page_that_is_left_by_a_link_has_left_its_record_by_then(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/cases/harbour")
    view = tab.view
    tab.scroll("end")
    tab.stay(3)
    tab.page.evaluate("scrollTo(0, 0)")
    tab.follow("/pricing")
    assert studio.left_with("/pricing") == [f"{view}.100.3"]


def test_a_goal_is_told_with_its_touchpoint_where_it_lies_in_one(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.page.evaluate("document.body.insertAdjacentHTML('afterbegin', '<p data-usher-goal=book><b id=deep>x</b></p>')")
    tab.page.locator("#deep").click()
    tab.page.evaluate("usher.track('goal', { name: 'book', touchpoint: 'banner' })")
    goals = studio.told(tab.view, "goal", least=2)
    assert sorted(str(goal.get("touchpoint") or "") for goal in goals) == ["", "banner"]


@pytest.mark.parametrize("button", ["left", "middle"])
def test_a_link_that_is_a_goal_is_one_with_the_middle_button_too(
    studio: Studio, window: BrowserContext, button: Literal["left", "middle"]
) -> None:
    tab = visit(studio, window)
    link = '<p><a href="/imprint" target="_blank" data-usher-goal="book"><b id="deep">x</b></a></p>'
    tab.page.evaluate("(link) => document.body.insertAdjacentHTML('afterbegin', link)", link)
    tab.page.locator("#deep").click(button="right")
    tab.page.locator('[data-usher="banner"] [data-usher-goal]').click(button="middle")  # no link
    with window.expect_page():
        tab.page.locator("#deep").click(button=button)
    [goal] = studio.told(tab.view, "goal")
    assert goal["name"] == "book"
    tab.await_answers()
    assert len(studio.sent("goal")) == 1


def test_an_event_of_the_sites_own_has_the_id_and_touchpoint_that_it_is_given(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window, "/pricing")
    given = {"event_id": "compared-7", "touchpoint": "banner", "order": "7", "seats": 3}
    tab.page.evaluate("(given) => usher.track('plans_compared', given)", given)
    tab.page.evaluate("usher.track('book', null)")
    found = {str(event["name"]): event for event in studio.told(tab.view, "custom", least=2)}
    compared = found["plans_compared"]
    assert (compared["event_id"], compared["touchpoint"]) == ("compared-7", "banner")
    assert compared["properties"] == {"order": "7", "seats": 3}
    assert found["book"]["properties"] == {}
    tab.go("/imprint")
    tab.go("/pricing")
    tab.page.evaluate("(given) => usher.track('plans_compared', given)", given)
    tab.await_answers()
    assert studio.ids("custom").count("compared-7") == 2
    assert len(studio.stored(lambda event: event["event_id"] == "compared-7")) == 1, "it counts once"


def test_what_a_page_says_before_the_script_has_run_is_told_too(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/pricing/early")
    told = studio.told(tab.view, "page_view", "purchase", "preference", least=3)
    assert sorted(str(event["type"]) for event in told) == ["page_view", "preference", "purchase"]
    assert [event["event_id"] for event in told if event["type"] == "purchase"] == ["order-4711"]
    assert "usher-said=topic:harbours" in tab.page.evaluate("document.cookie")
    tab.await_answers()
    tab.page.evaluate(EARLY)
    tab.page.evaluate("usher.push(['trak', 'purchase']).catch(() => {})")
    [more] = tab.track(2)
    tab.await_answers()
    assert studio.ids("purchase") == ["order-4711", "order-4711", more]


def test_names_that_are_too_long_are_cut_between_characters(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/cases/long")
    tab.settle()
    tab.stay(2)
    view = tab.view
    tab.go("/imprint")
    page, engagement = (studio.told(view, name)[0] for name in ("page_view", "engagement"))
    assert page["category"] == LONG[:200]
    assert engagement["sections"] == [LONG[:100]]


def test_a_strict_policy_lets_the_script_run_and_send(studio: Studio, window: BrowserContext) -> None:
    problems: list[str] = []
    window.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    window.on("weberror", lambda error: problems.append(str(error.error)))
    tab = visit(studio, window, "/pricing")
    response = tab.page.reload(wait_until="load")
    assert response is not None
    assert response.headers["content-security-policy"] == POLICY
    tab.await_answers()
    assert studio.told(tab.view)
    assert [problem for problem in problems if "favicon" not in problem] == []


def test_a_page_that_is_not_personalised_has_no_script(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/imprint")
    assert tab.page.evaluate("typeof usher") == "undefined"
    assert tab.page.locator("script").count() == 0


def test_a_browser_that_sends_global_privacy_control_is_given_no_script(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/imprint")
    tab.page.set_extra_http_headers({"Sec-GPC": "1"})
    tab.go("/pricing")
    assert tab.page.locator("script").count() == 0
    assert window.cookies() == []


def test_the_script_is_silent_where_the_browser_says_global_privacy_control(
    studio: Studio, window: BrowserContext
) -> None:
    """Where the page came before the visitor switched it on."""
    tab = visit(studio, window, "/imprint")
    tab.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    tab.go("/pricing")
    view = tab.view
    assert tab.page.locator("script[data-view][data-gpc]").count() == 1
    tab.page.locator('[data-usher="banner"] [data-usher-goal]').click()
    tab.go("/imprint")
    assert view not in {event["page_view"] for event in studio.sent()}
    assert tab.page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert left(window) == []
