"""Nothing is lost silently and nothing counts twice: networks that fail, queues that refuse, pages that close, tabs."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.visits import Studio, batches, cut, faults, hold, lose_answer, offline, visit
from tests.e2e.world import eventually

pytestmark = pytest.mark.browser


def test_a_page_that_is_closed_while_its_events_are_on_their_way(studio: Studio, window: BrowserContext) -> None:
    with faults(studio, EVENTS_send={"delay_ms": 700}):
        tab = visit(studio, window)
        view = tab.view
        tab.await_answers()
        ids = tab.track(1)
        eventually(lambda: studio.sent("purchase"), "the request")
        tab.page.close()
        [purchase] = studio.told(view, "purchase")
    assert [purchase["event_id"]] == ids


def test_a_page_that_is_left_in_the_same_moment_as_something_happens(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    view = tab.view
    tab.await_answers()
    tab.page.evaluate("() => { usher.track('purchase', { value: 1, currency: 'EUR' }); location = 'about:blank'; }")
    tab.page.wait_for_url("about:blank")
    tab.page.close()
    found = studio.told(view, "purchase", "engagement", least=2)
    assert sorted(str(event["type"]) for event in found) == ["engagement", "purchase"]


def test_a_network_that_was_cut_and_is_back(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    with offline(window):
        with tab.page.expect_event("requestfailed"):
            ids = tab.track(1, 2)
        assert [event["event_id"] for event in tab.kept()] == ids
        assert studio.sent("purchase") == []
    tab.await_answers()
    assert studio.ids("purchase") == ids
    assert sorted(str(event["event_id"]) for event in studio.told(tab.view, "purchase", least=2)) == ids


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_ids(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    with batches(studio, lose_answer):
        with tab.page.expect_event("requestfailed"):
            ids = tab.track(1, 2)
        assert [event["event_id"] for event in tab.kept()] == ids
    [more] = tab.track(3)
    tab.await_answers()
    assert studio.ids("purchase") == [*ids, *ids, more]
    found = studio.told(tab.view, "purchase", least=3)
    assert sorted(str(event["event_id"]) for event in found) == [*ids, more]


def test_what_a_page_could_not_tell_the_next_one_does(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    view = tab.view
    tab.await_answers()
    with batches(studio, cut):
        ids = tab.track(1)
        tab.go("/imprint")
        studio.wire.calls.clear()
    tab.go("/pricing")
    tab.await_answers()
    assert [event["type"] for event in studio.sent()] == ["purchase", "engagement", "page_view"]
    found = studio.told(view, least=3)
    assert sorted(str(event["type"]) for event in found) == ["engagement", "page_view", "purchase"]
    assert ids == [event["event_id"] for event in found if event["type"] == "purchase"]


def test_a_queue_that_fails_loses_nothing(studio: Studio, window: BrowserContext) -> None:
    with faults(studio, EVENTS_send={"error": "the queue is full"}, EVENTS_sendBatch={"error": "the queue is full"}):
        tab = visit(studio, window)
        eventually(lambda: tab.page.evaluate("localStorage.usher > 0"), "a refusal")
        assert [event["type"] for event in tab.kept()] == ["page_view"]
    tab.await_answers()
    [page] = studio.told(tab.view)
    assert page["type"] == "page_view"


def test_two_tabs_at_once_neither_lose_nor_repeat(studio: Studio, window: BrowserContext) -> None:
    tabs = [visit(studio, window, path) for path in ("/", "/pricing")]
    ids = [name for value in range(10) for tab in tabs for name in tab.track(value)]
    for tab in tabs:
        tab.await_answers()
    assert sorted(map(str, studio.ids("purchase"))) == sorted(ids)
    for tab in tabs:
        assert len(studio.told(tab.view, "purchase", least=10)) == 10


def test_a_tab_that_stays_tells_what_another_could_not(studio: Studio, window: BrowserContext) -> None:
    tab, other = (visit(studio, window, path) for path in ("/", "/pricing"))
    view = tab.view
    other.await_answers()
    with batches(studio, cut):
        ids = tab.track(1)
        tab.page.close()
        studio.wire.calls.clear()
    ids += other.track(2)
    other.wait(6)
    ids += other.track(3)
    other.await_answers()
    assert studio.ids("purchase") == [ids[1], ids[0], ids[2]]
    assert [event["event_id"] for event in studio.told(view, "purchase")] == ids[:1]


def test_more_than_a_browser_carries_for_a_page_that_is_left_goes_in_parts(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    studio.wire.calls.clear()
    tab.page.evaluate("""() => { for (let i = 0; i < 40; i++)
        usher.track("plans_compared", { seats: i, plans: Array(9).fill("å".repeat(200)) }); }""")
    tab.await_answers()
    sizes = [len(call.body) for call in studio.wire.calls]
    assert sum(sizes) > 2 * 65_536
    assert max(sizes) < 65_536
    found = studio.told(tab.view, "custom", least=40)
    assert sorted(int(event["properties"]["seats"]) for event in found) == list(range(40))  # type: ignore[index]


def test_the_last_batch_of_a_page_goes_out_beside_the_one_on_its_way(studio: Studio, window: BrowserContext) -> None:
    """Browsers carry 64 KB of bytes for pages that are left, all that is on its way taken together."""
    tab = visit(studio, window)
    tab.await_answers()
    studio.wire.calls.clear()
    with hold(studio):
        tab.page.evaluate("""() => { for (let i = 0; i < 40; i++)
            usher.track("plans_compared", { seats: i, plans: Array(9).fill("好".repeat(200)) }); }""")
        eventually(lambda: studio.wire.calls, "the first batch")
        tab.page.close()
        eventually(lambda: studio.wire.calls[1:], "the last batch")
    sizes = [len(call.body) for call in studio.wire.calls]
    assert len(sizes) == 2
    assert 50_000 < sum(sizes) < 65_536
    assert len({event["event_id"] for event in studio.sent()}) == len(studio.sent())


def test_a_hundred_events_are_kept_and_the_oldest_go_first(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    with batches(studio, cut):
        for first in range(0, 120, 40):
            tab.track(*range(first, first + 40))
            tab.page.wait_for_timeout(2)  # so that their times differ
        kept = sorted(int(str(event["value"])) for event in tab.kept())
    assert len(kept) == 100
    assert kept[-80:] == list(range(40, 120))


def test_without_storage_events_are_sent_all_the_same(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/imprint")
    tab.page.add_init_script("""for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });""")
    tab.go("/pricing")
    ids = tab.track(1)
    assert [event["event_id"] for event in studio.told(tab.view, "purchase")] == ids


def test_a_full_storage_loses_nothing(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    tab.page.evaluate("""() => {
        for (let size = 5e6; size >= 1; size = size >> 1) {
            try { for (let i = 0; ; i++) localStorage[`${size}.${i}`] = "x".repeat(size); } catch {}
        }
    }""")
    ids = tab.track(1, 2)
    assert sorted(str(event["event_id"]) for event in studio.told(tab.view, "purchase", least=2)) == ids


def test_an_event_too_large_is_refused_with_a_word_to_who_tracks_it(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    problem = tab.page.evaluate(
        "() => usher.track('plans_compared', { plans: ['x'.repeat(2e4)] }).catch((error) => error.message)"
    )
    assert problem == "usher: shorten the event"


def test_a_browser_without_keepalive_sends_a_beacon(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window, "/imprint")
    tab.page.add_init_script("delete Request.prototype.keepalive")
    tab.go("/pricing")
    view = tab.view
    tab.await_answers()
    tab.stay(2)
    tab.go("/imprint")
    assert [event["engaged_ms"] for event in studio.told(view, "engagement")] == [2000]


def test_what_a_browser_refuses_to_carry_as_a_beacon_is_sent_once_the_page_is_back(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window, "/imprint")
    tab.page.add_init_script("delete Request.prototype.keepalive")
    tab.go("/pricing")
    tab.await_answers()
    with hold(studio):
        # What the page itself sends takes up all that the browser carries.
        tab.page.evaluate("""() => {
            window.own = fetch("/_usher/events", { method: "POST", keepalive: true, body: " ".repeat(65500) }); }""")
        eventually(lambda: [call for call in studio.wire.calls if len(call.body) == 65_500], "the page's own request")
        studio.wire.calls.clear()
        ids = tab.track(1)
        visit(studio, window, "/imprint").front()
        assert studio.bodies() == []
        assert ids[0] in {event["event_id"] for event in tab.kept()}
    tab.front()
    tab.page.evaluate("own.then((response) => response.text())")
    ids += tab.track(2)
    assert sorted(str(event["event_id"]) for event in studio.told(tab.view, "purchase", least=2)) == ids
