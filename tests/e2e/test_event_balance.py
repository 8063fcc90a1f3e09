"""Every message has a receipt, and the receipts tell what has not come: refused, repeated, or cut off on the way."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from origin.config import Config, load_config
from scripts.runtime.edge import LOCAL_SERVER_TOKENS, run_edge
from tests.e2e.world import Browser, JsonEvent, World, eventually, make_world, now_ms, read_lines

TOKEN = LOCAL_SERVER_TOKENS.partition(":")[2]
FULL: dict[str, object] = {"error": "Queue send failed: Too Many Requests"}
VARIANTS = 3_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, demo_config: Config, modules_under_test: Path) -> Iterator[World]:
    options = {"modules": str(modules_under_test), "queue": {"maxBatchTimeout": 0.2}, "ratelimits": {}}
    with run_edge(variables={"SNAPSHOT_TTL_MS": "200"}, options=options) as edge:
        made: World = make_world(edge, tmp_path_factory.mktemp("balance"), demo_config)
        made.publish_untrained()
        yield made
        made.kv.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    running.fail()
    yield running
    running.fail()


@pytest.fixture
def browser(world: World) -> Browser:
    browser: Browser = world.browser()
    browser.get("/")
    return browser


def receipts(world: World) -> dict[int, JsonEvent]:
    """The receipts in the lake, by number; all are of the one isolate."""
    found = [line for line in read_lines(world.lake.events) if line["type"] == "receipt"]
    assert len({line["isolate"] for line in found}) == 1
    return {int(str(line["number"])): line for line in found}


def await_receipt(world: World, browser: Browser) -> JsonEvent:
    """Send one more event and wait for its message's receipt."""
    name = f"last-{now_ms()}"
    assert browser.report("hero_click", event_id=name).status_code == 202
    world.events(lambda event: event["event_id"] == name)
    latest = receipts(world)
    return latest[max(latest)]


def count(receipt: JsonEvent) -> int:
    return int(str(receipt["events"])) + int(str(receipt["quarantined"]))


def numbers(receipt: JsonEvent, field: str) -> list[int]:
    values = receipt[field]
    assert isinstance(values, list)
    return values


def server_batch(count: int, name: str) -> str:
    """Events that need more than one message."""
    sent = now_ms()
    common = {"type": "support_ticket", "ticket": "t", "topic": "x" * 150, "user": "u", "created_ms": sent}
    events = [{**common, "event_id": f"{name}-{i}"} for i in range(count)]
    return json.dumps({"sent_ms": sent, "events": events})


def send(world: World, body: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    return httpx.post(f"{world.edge.url}/_usher/events", content=body, headers=headers)


def test_the_receipts_say_how_many_events_there_are(world: World, browser: Browser) -> None:
    sent = now_ms()
    good = {"type": "goal", "name": "hero_click", "created_ms": sent}
    events = [{**good, "event_id": f"n-{i}"} for i in range(7)]
    assert browser.post({"sent_ms": sent, "events": [*events, {"type": "nothing"}, 5]}).status_code == 202
    last = await_receipt(world, browser)
    stored = [line for line in read_lines(world.lake.events) if line["type"] != "receipt"]
    quarantined = read_lines(world.lake.quarantine)
    assert int(str(last["counted"])) + count(last) == len(stored) + len(quarantined)
    found = receipts(world)
    assert sorted(found) == list(range(1, len(found) + 1))
    for number in range(2, len(found) + 1):
        before = found[number - 1]
        assert found[number]["counted"] == int(str(before["counted"])) + count(before)
    assert (last["source"], last["visitor"], last["event_id"]) == ("edge", "", f"{last['isolate']}-{last['number']}")


def test_a_refused_message_is_void_and_its_events_come_with_the_next_try(world: World, browser: Browser) -> None:
    before = await_receipt(world, browser)
    world.fail(EVENTS_send=FULL)
    sent = now_ms()
    batch = {
        "sent_ms": sent,
        "events": [
            {"type": "goal", "name": "hero_click", "created_ms": sent, "event_id": f"again-{sent}-{i}"}
            for i in range(3)
        ],
    }
    answer = browser.post(batch)
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "queue", "5")
    assert browser.post(batch).status_code == 503
    world.fail()
    assert browser.post(batch).status_code == 202
    last = await_receipt(world, browser)
    found = receipts(world)
    first = int(str(before["number"])) + 1
    assert not {first, first + 1} & set(found)
    assert numbers(found[first + 2], "void") == [first, first + 1]
    assert numbers(found[first + 2], "void_counted") == [3, 3]
    assert numbers(found[first + 2], "void_lost") == [], "the browser has them"
    assert numbers(last, "void") == []
    # What the gap holds is what was void, to the event.
    gap = int(str(found[first + 2]["counted"])) - int(str(before["counted"])) - count(before)
    assert gap == 6
    stored = [line for line in read_lines(world.lake.events) if str(line["event_id"]).startswith(f"again-{sent}")]
    assert len(stored) == 3


def test_where_one_of_several_messages_is_refused_the_whole_batch_is_put_off(world: World, browser: Browser) -> None:
    before = await_receipt(world, browser)
    body = server_batch(600, f"part-{now_ms()}")
    world.fail(EVENTS_send={**FULL, "spared": 1})
    assert send(world, body).status_code == 503
    world.fail()
    assert send(world, body).status_code == 202
    await_receipt(world, browser)
    names = {event["event_id"] for event in json.loads(body)["events"]}

    def look() -> list[JsonEvent] | None:
        world.events(lambda event: event["event_id"] in names)
        stored = [line for line in read_lines(world.lake.events) if line["event_id"] in names]
        return stored if {line["event_id"] for line in stored} == names else None

    stored = eventually(look, "the whole batch")
    assert len(stored) > len(names), "the first message of the first try is there as well"
    first = int(str(before["number"])) + 1
    void = {number for each in receipts(world).values() for number in numbers(each, "void") if number >= first}
    assert void
    assert void == set(range(first + 1, max(void) + 1))


def test_a_message_that_the_queue_took_though_it_said_no_is_not_missing(world: World, browser: Browser) -> None:
    world.fail(EVENTS_send={"after": "Queue send failed: timeout"})
    name = f"yes-{now_ms()}"
    assert browser.report("hero_click", event_id=name).status_code == 503
    world.fail()
    assert browser.report("hero_click", event_id=name).status_code == 202
    last = await_receipt(world, browser)
    stored = [line for line in read_lines(world.lake.events) if line["event_id"] == name]
    assert len(stored) == 2
    [void] = numbers(receipts(world)[int(str(last["number"])) - 1], "void")
    assert void in receipts(world)


def test_exposures_which_nobody_else_keeps_outlast_a_hiccup_of_the_queue(world: World, browser: Browser) -> None:
    await_receipt(world, browser)
    world.fail(EVENTS_send={**FULL, "until": 2})
    visitor = world.browser()
    visitor.get("/")
    assert set(world.exposures(visitor)) == {"hero", "pick"}
    world.fail()
    last = await_receipt(world, browser)
    assert not numbers(last, "void")


def test_exposures_go_round_a_queue_that_stays_shut(world: World, browser: Browser) -> None:
    await_receipt(world, browser)
    world.fail(EVENTS_send=FULL)
    visitor = world.browser()
    visitor.get("/")
    assert set(world.exposures(visitor)) == {"hero", "pick"}
    assert world.edge.counted("queue_bypassed") == 1
    world.fail()
    last = await_receipt(world, browser)
    assert count(receipts(world)[int(str(last["number"])) - 1]) == 2
    assert not numbers(last, "void")


def test_exposures_that_nothing_takes_are_void_and_lost(world: World, browser: Browser) -> None:
    await_receipt(world, browser)
    world.fail(EVENTS_send=FULL, LAKE_put={"error": "put: internal error"})
    before = world.edge.counted("queue_failed")
    world.browser().get("/")
    eventually(lambda: world.edge.counted("queue_failed") > before or None, "the failure counted")
    world.fail()
    last = await_receipt(world, browser)
    assert numbers(last, "void_counted") == [2]
    assert numbers(last, "void_lost") == numbers(last, "void")


def test_the_message_of_a_client_who_leaves_goes_out(world: World, browser: Browser) -> None:
    world.fail(EVENTS_send={"delay_ms": 700})
    name = f"left-{now_ms()}"
    sent = now_ms()
    event = {"type": "goal", "name": "hero_click", "created_ms": sent, "event_id": name}
    body = json.dumps({"sent_ms": sent, "events": [event]})
    host, _, port = world.edge.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        head = (
            f"POST /_usher/events HTTP/1.1\r\nhost: {host}:{port}\r\ncookie: {browser.cookie}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        client.sendall((head + body).encode())
        time.sleep(0.3)
    [stored] = world.events(lambda each: each["event_id"] == name)
    assert stored["visitor"] == browser.visitor
    world.fail()
    last = await_receipt(world, browser)
    assert not numbers(last, "void")


def test_a_decision_among_three_thousand_variants_is_logged_whole(world: World, tmp_path: Path) -> None:
    rows = "\n".join(f"article-{i:012},Item {i}" for i in range(VARIANTS))
    (tmp_path / "items.csv").write_text(f"id,title\n{rows}\n")
    (tmp_path / "usher.toml").write_text(
        '[site]\nid = "many"\nholdout_share = 0\n[goals.click]\nwindow_h = 1\n[touchpoints.hero]\ngoal = "click"\n'
        f'default = "article-{0:012}"\npages = ["/"]\n'
        'catalogue = { file = "items.csv", name = "{id}", html = "<b>{title}</b>" }\n'
    )
    config = load_config(tmp_path / "usher.toml")
    many = make_world(world.edge, tmp_path, config)
    many.publish_untrained()
    browser = many.browser()

    def look() -> JsonEvent | None:
        browser.get("/")
        found = many.events(lambda event: event["type"] == "exposure" and event["visitor"] == browser.visitor)
        return next((event for event in found if len(list(event["probabilities"])) == VARIANTS), None)  # type: ignore[call-overload]

    exposure = eventually(look, "a decision among all of them")
    assert len(json.dumps(exposure)) > 120_000
    assert set(exposure["eligible"]) == {f"article-{i:012}" for i in range(VARIANTS)}  # type: ignore[call-overload]
    many.kv.close()
    world.publish_untrained()
