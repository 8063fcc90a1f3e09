"""What becomes of kept events at each answer: done with by the intake's own word, kept at anybody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import BrowserContext

from shared.events import SCHEMA
from tests.e2e.visits import Studio, Visit, batches, give, visit
from tests.e2e.world import JsonEvent, eventually
from tests.origin.proxy import Answer, Call, Forward, Rule

pytestmark = pytest.mark.browser

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}
STRANGERS: dict[str, Rule] = {
    "no such page": give(404, HTML, b"<h1>Not found</h1>"),
    "a method that a server does not know": give(405, HTML),
    "a single page for everything": give(200, HTML, b"<div id=app></div>"),
    "a firewall's challenge": give(403, HTML, b"<h1>Checking your browser</h1>"),
    "a login": give(302, {"location": "/imprint"}),
    "another's acceptance": give(202, JSON, b'{"accepted": 1}'),
    "another's refusal": give(400, JSON, b'{"error": "not_json"}'),
    "nothing": give(204),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_an_answer_that_is_not_the_intakes_loses_nothing(studio: Studio, window: BrowserContext, name: str) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    with batches(studio, STRANGERS[name]):
        with tab.page.expect_event("requestfinished"):
            ids = tab.track(1)
        assert 0 < tab.paused_ms() <= 30_000
        assert [event["event_id"] for event in tab.kept()] == ids
    view = tab.view
    tab.wait(31)
    tab.go("/pricing")
    tab.await_answers()
    assert [event["event_id"] for event in studio.told(view, "purchase")] == ids


def test_pauses_grow_while_the_intake_is_not_heard(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    pauses = []
    with batches(studio, STRANGERS["no such page"]):
        for value in range(3):
            tab.track(value)
            pauses.append(tab.paused_ms())
            tab.wait(pauses[-1] // 1000 + 1)
    assert [round(pause / 30_000) for pause in pauses] == [1, 2, 4]
    tab.track(3)
    tab.await_answers()
    assert len(studio.told(tab.view, "purchase", least=4)) == 4


def test_a_visitor_whose_cookie_is_gone_is_waited_for(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    window.clear_cookies()
    with tab.page.expect_response("**/_usher/events") as answered:
        ids = tab.track(1)
    assert answered.value.json()["error"] == "no_visitor"
    view = tab.view
    tab.go("/pricing")
    tab.await_answers()
    assert [event["event_id"] for event in studio.told(view, "purchase")] == ids


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_the_edge_does_not_take_is_kept_for_as_long_as_it_says(
    studio: Studio, window: BrowserContext, status: int
) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    with batches(studio, give(status, {"retry-after": "2"})):
        ids = tab.track(1)
        assert 0 < tab.paused_ms() <= 2000
        assert [event["event_id"] for event in tab.kept()] == ids
        ids += tab.track(2)
        tab.go("/pricing")
        assert studio.ids("purchase") == ids[:1], "something was sent within the pause"
    tab.await_answers()
    assert studio.ids("purchase") == [ids[0], *ids]


def with_headers(**more: str) -> Callable[[Call], Call]:
    """What a wire makes of a request's headers."""
    named = {name.replace("_", "-"): value for name, value in more.items()}

    def change(call: Call) -> Call:
        others = [(name, value) for name, value in call.headers if name.lower() not in named]
        return replace(call, headers=(*others, *named.items()))

    return change


def with_body(make: Callable[[JsonEvent], object]) -> Callable[[Call], Call]:
    """What a wire makes of a batch."""
    return lambda call: replace(call, body=json.dumps(make(json.loads(call.body))).encode())


SPOILT: dict[str, Callable[[Call], Call]] = {
    "not_json": lambda call: replace(call, body=call.body[:-1]),
    "not_a_batch": with_body(lambda _: {}),
    "too_many_events": with_body(lambda batch: {**batch, "events": [1] * 101}),
    "too_large": lambda call: replace(call, body=call.body + b" " * 65_536),
    "content_type": with_headers(content_type="text/html"),
    "content_encoding": with_headers(content_encoding="gzip"),
    "Global Privacy Control": with_headers(sec_gpc="1"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_the_intake_refuses_for_good_is_done_with(studio: Studio, window: BrowserContext, name: str) -> None:
    tab = visit(studio, window)
    tab.await_answers()

    def spoil(call: Call, forward: Forward) -> Answer:
        return forward(SPOILT[name](call))

    with batches(studio, spoil):
        with tab.page.expect_response("**/_usher/events") as answered:
            tab.track(1)
        assert answered.value.status == 204 or answered.value.json()["error"] == name
        tab.await_answers()
    assert not tab.page.evaluate("'usher' in localStorage")
    assert len(studio.sent("purchase")) == 1


def test_a_batch_says_of_which_schema_it_is(studio: Studio, window: BrowserContext) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    assert {body["schema"] for body in studio.bodies()} == {SCHEMA}


def test_what_an_edge_of_an_older_schema_cannot_read_is_kept_for_a_newer_one(
    studio: Studio, window: BrowserContext
) -> None:
    tab = visit(studio, window)
    tab.await_answers()
    newer = with_body(lambda batch: {**batch, "schema": SCHEMA + 1})
    with batches(studio, lambda call, forward: forward(newer(call))):
        with tab.page.expect_response("**/_usher/events") as answered:
            ids = tab.track(1)
        assert (answered.value.status, answered.value.json()["error"]) == (503, "newer_schema")
        asked = int(answered.value.headers["retry-after"])
        assert 0 < tab.paused_ms() <= asked * 1000
        assert [event["event_id"] for event in tab.kept()] == ids
    tab.wait(asked + 1)
    ids += tab.track(2)
    tab.await_answers()
    assert sorted(str(event["event_id"]) for event in studio.told(tab.view, "purchase", least=2)) == ids


def test_of_what_other_scripts_have_kept_the_older_is_sent_and_the_newer_left(
    studio: Studio, window: BrowserContext
) -> None:
    """A script is cached for an hour, a roll-out may take longer, and one of them may be taken back."""
    tab = visit(studio, window)
    tab.await_answers()
    older, newer = (keep_as(tab, 100 + SCHEMA + step) for step in (-1, 1))
    ids = tab.track(1)
    told = studio.told(tab.view, "purchase", least=2)
    assert sorted(str(event["event_id"]) for event in told) == sorted([older, *ids])
    eventually(lambda: len(tab.kept()) == 1, "the edge's answers")
    assert [event["event_id"] for event in tab.kept()] == [newer]


def keep_as(tab: Visit, number: int) -> str:
    """Keep a purchase as a script of that number does; returns its id."""
    event_id = f"order-by-{number}"
    tab.page.evaluate(
        """([key, event_id, page_view]) => { localStorage[key] = JSON.stringify({
            event_id, type: "purchase", value: 1, currency: "EUR", created_ms: Date.now(), page_view }); }""",
        [f"usher{number}!0-another", event_id, tab.view],
    )
    return event_id
