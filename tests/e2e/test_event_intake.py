"""Goal events: accepted once the queue has them, judged one by one, and found again in the lake."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.e2e.world import Browser, World, eventually, now_ms, read_lines


@pytest.fixture
def browser(shop: World) -> Browser:
    browser: Browser = shop.browser()
    browser.get("/")
    return browser


def test_a_click_reaches_the_lake(shop: World, browser: Browser) -> None:
    answer = browser.report("hero_click", "hero", event_id="click-1")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "quarantined": []})
    [event] = shop.events(lambda event: event["event_id"] == "click-1")
    assert (event["visitor"], event["name"], event["touchpoint"]) == (browser.visitor, "hero_click", "hero")


def test_a_wrong_clock_of_the_client_does_not_move_the_event(shop: World, browser: Browser) -> None:
    wrong = now_ms() - 25 * 3_600_000
    event = {"type": "goal", "event_id": "clock-1", "name": "hero_click", "created_ms": wrong}
    assert browser.post({"sent_ms": wrong + 5_000, "events": [event]}).status_code == 202
    [stored] = shop.events(lambda each: each["event_id"] == "clock-1")
    assert stored["happened_ms"] == int(str(stored["received_ms"])) - 5_000


def test_one_bad_event_of_three_goes_to_quarantine_with_its_reason(shop: World, browser: Browser) -> None:
    sent = now_ms()
    good = [{"type": "goal", "event_id": f"q-{i}", "name": "hero_click", "created_ms": sent} for i in range(2)]
    answer = browser.post({"sent_ms": sent, "events": [good[0], {**good[0], "name": "purchased"}, good[1]]})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    [rejected] = answer.json()["quarantined"]
    assert rejected["index"] == 1
    assert rejected["reason"].startswith("events[1].name: expected a configured goal (hero_click, pick_click)")
    shop.events(lambda event: str(event["event_id"]).startswith("q-"), least=2)
    [kept] = [line for line in read_lines(shop.lake.quarantine) if "purchased" in str(line["event"])]
    assert kept["reason"] == rejected["reason"]


def test_events_without_a_visitor_are_refused_and_not_stored(shop: World) -> None:
    answer = shop.browser().report("hero_click")
    assert (answer.status_code, answer.json()["error"]) == (401, "no_visitor")


def test_a_cookie_that_is_not_believed_is_refused_and_counted(shop: World, browser: Browser) -> None:
    before = shop.edge.counted("visitor_cookie_forged")
    browser.cookie = browser.cookie.replace(browser.visitor, "somebody-else")
    answer = browser.report("hero_click")
    assert (answer.status_code, answer.json()["error"]) == (401, "no_visitor")
    eventually(lambda: shop.edge.counted("visitor_cookie_forged") > before or None, "the forged cookie counted")


def test_what_a_cookie_declares_that_nobody_asks_reaches_neither_the_visitors_cookie_nor_the_lake(shop: World) -> None:
    before = shop.edge.counted("preference_refused")
    browser = shop.browser()
    browser.cookie = "usher-said=religion:catholic.topic:Coats.income:rich"
    browser.get("/")
    assert "~topic:Coats!" in browser.cookie and "catholic" not in browser.cookie
    stored = json.dumps(shop.events(lambda event: event["visitor"] == browser.visitor))
    assert '"preferences": {"topic": "Coats"}' in stored and "catholic" not in stored
    eventually(lambda: shop.edge.counted("preference_refused") > before or None, "the refused answers counted")


def test_a_body_without_a_length_is_read_up_to_the_limit(shop: World, browser: Browser) -> None:
    sent = now_ms()
    event = {"type": "goal", "event_id": "chunked", "name": "hero_click", "created_ms": sent}
    body = json.dumps({"sent_ms": sent, "events": [event]}).encode()
    headers = {"content-type": "application/json", "cookie": browser.cookie}
    url = shop.edge.url + "/_usher/events"
    answer = httpx.post(url, content=iter([body[:20], body[20:]]), headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "quarantined": []})
    answer = httpx.post(url, content=(b" " * 10_000 for _ in range(10)), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content-type": "application/xml"}, b"<a/>", 415, "content_type"),
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            b"{}",
            415,
            "content_encoding",
        ),
        ({"content-type": "application/json"}, b"{" * 100, 400, "not_json"),
        ({"content-type": "application/json"}, b"\xff\xfe", 400, "not_json"),
        ({"content-type": "application/json"}, b"[" * 60_000, 400, "not_json"),
        ({"content-type": "application/json"}, b'{"events": []}', 400, "not_a_batch"),
        ({"content-type": "text/plain"}, b'{"sent_ms": 1, "events": 5}', 400, "not_a_batch"),
        ({"content-type": "application/json"}, b" " * 70_000, 413, "too_large"),
    ],
)
def test_what_is_no_batch_is_refused_with_a_code_and_a_remedy(
    shop: World, browser: Browser, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = httpx.post(shop.edge.url + "/_usher/events", content=body, headers={**headers, "cookie": browser.cookie})
    assert answer.status_code == status
    assert answer.json()["error"] == code
    assert answer.json()["remedy"]


def test_a_get_request_is_refused(shop: World) -> None:
    assert httpx.get(shop.edge.url + "/_usher/events").status_code == 405


def test_events_under_global_privacy_control_are_taken_and_forgotten(shop: World) -> None:
    browser = shop.browser()
    browser.get("/")
    browser.headers["sec-gpc"] = "1"
    assert browser.report("hero_click", event_id="gpc-1").status_code == 204
    other = shop.browser()
    other.get("/")
    other.report("hero_click", event_id="after-gpc")
    shop.events(lambda event: event["event_id"] == "after-gpc")
    assert not [line for line in read_lines(shop.lake.events) if line["event_id"] == "gpc-1"]
