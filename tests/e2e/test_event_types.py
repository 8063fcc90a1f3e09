"""Every type of event, from browsers and from servers: through the running Worker into the lake, as the schema says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from origin.event_config import make_plan
from origin.pull import pull
from scripts.runtime.edge import LOCAL_IDENTIFY_KEYS, LOCAL_SERVER_TOKENS, LOCAL_USER_KEY
from shared.events import BROWSER, EVENT_TYPES, SERVER, STORED, read_event
from shared.identity import hash_user, sign_user
from shared.signing import read_keys
from tests.e2e.world import JsonEvent, World, eventually, now_ms, read_lines
from tests.sending import WHOLE, event, given

USER = str(WHOLE["identify"]["user"])
# What the demo's own configuration plans.
PLANNED: dict[str, dict[str, Any]] = {
    "goal": {"name": "hero_click"},
    "custom": {"name": "size_guide_opened", "properties": {"item": "c-17", "sizes": ["44", "46"]}},
    "preference": {"question": "topic", "answer": "Coats"},
    "identify": {"signature": sign_user(read_keys(LOCAL_IDENTIFY_KEYS), USER)},
}
TIMES = ("created_ms", "sent_ms", "received_ms", "happened_ms", "session_ms")


def events_of(source: str, sent_ms: int) -> list[dict[str, Any]]:
    """One good event of each type that a sender may send, none of them known to the lake before."""
    made = []
    for each in EVENT_TYPES.values():
        if source in each.senders:
            planned = PLANNED.get(each.name, {})
            if source == SERVER:
                planned = {key: value for key, value in planned.items() if key != "signature"}
            event_id = f"all-{source}-{each.name}"
            made.append(event(each.name, source, event_id=event_id, created_ms=sent_ms - 500, **planned))
    return made


@pytest.mark.parametrize("source", [BROWSER, SERVER])
def test_every_type_of_event_reaches_the_lake_as_the_schema_says(shop: World, source: str) -> None:
    browser, sent_ms = shop.browser(user_agent="Mozilla/5.0 (iPhone) Mobile/15E148"), now_ms()
    browser.get("/")
    batch: dict[str, Any] = {"sent_ms": sent_ms, "events": events_of(source, sent_ms)}
    if source == BROWSER:
        answer = browser.post(batch)
    else:
        token = {"authorization": f"Bearer {LOCAL_SERVER_TOKENS.partition(':')[2]}"}
        answer = httpx.post(f"{shop.edge.url}/_usher/events", json=batch, headers=token)
    assert answer.json() == {"accepted": len(batch["events"]), "quarantined": []}
    found = shop.events(lambda each: str(each["event_id"]).startswith(f"all-{source}-"), least=len(batch["events"]))
    known = given(
        source,
        sent_ms=sent_ms,
        visitor=browser.visitor if source == BROWSER else "",
        user_agent="Mozilla/5.0 (iPhone) Mobile/15E148" if source == BROWSER else "",
        plan=make_plan(shop.config),
        hash_user=lambda user: hash_user(LOCAL_USER_KEY.encode(), user),
        is_signed=lambda *_: True,
    )
    expected = {each["type"]: read_event(each, "", known) for each in batch["events"]}
    for stored in found:
        assert list(stored)[: len(STORED)] == [field.name for field in STORED]
        assert int(str(stored["received_ms"])) - int(str(stored["happened_ms"])) == 500
        wanted = expected.pop(stored["type"])
        assert {**stored, **dict.fromkeys(TIMES)} == {**wanted, **dict.fromkeys(TIMES)}
        assert USER not in str(stored)
    assert expected == {}


def test_each_refused_event_goes_to_quarantine_with_its_code_and_without_what_is_not_kept(shop: World) -> None:
    browser, sent_ms = shop.browser(), now_ms()
    browser.get("/")
    poisoned = [
        {**event("goal", name="hero_click"), "income": 70_000},
        event("custom", **PLANNED["custom"] | {"properties": {"item": 3}}),
        event("identify", signature="site.00"),
        event("email_open"),
        {"type": "\ud800"},
        [[[]]],
    ]
    good = event("search", query="poisoned neighbours", event_id="beside-poison")
    sent = [each | {"created_ms": sent_ms} if isinstance(each, dict) else each for each in (*poisoned, good)]
    body = json.dumps({"sent_ms": sent_ms, "events": sent})  # ASCII: half a surrogate pair can be written in it
    headers = {"content-type": "application/json", "cookie": browser.cookie}
    answer = httpx.post(f"{shop.edge.url}/_usher/events", content=body, headers=headers)
    assert answer.status_code == 202
    codes = ["sensitive", "wrong_type", "signature", "not_from_here", "unknown_type", "not_an_object"]
    assert [each["code"] for each in answer.json()["quarantined"]] == codes
    assert answer.json()["accepted"] == 1
    shop.events(lambda each: each["event_id"] == "beside-poison")

    def look() -> list[JsonEvent] | None:
        pull(shop.lake, shop.settings)
        found = [line for line in read_lines(shop.lake.quarantine) if line["visitor"] == browser.visitor]
        return found if len(found) >= len(poisoned) else None

    kept = eventually(look, "the quarantine")
    assert [line["code"] for line in kept] == codes
    assert "70000" not in str(kept)
    assert USER not in str(kept)
