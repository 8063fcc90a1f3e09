from __future__ import annotations

import json

import pytest

from worker.intake import (
    MAX_BODY_BYTES,
    MAX_EVENTS,
    MAX_QUARANTINED_CHARACTERS,
    Batch,
    Refusal,
    check_headers,
    read_batch,
    too_large,
)

NOW_MS = 1_700_000_000_000
CLICK: dict[str, object] = {"type": "goal", "event_id": "e-1", "name": "order", "created_ms": NOW_MS - 5}


def read(body: bytes, visitor: str = "v-1") -> Batch | Refusal:
    return read_batch(body, visitor=visitor, received_ms=NOW_MS + 100, goals=("order",))


def batch_of(*events: object, visitor: str = "v-1", sent_ms: object = NOW_MS) -> Batch:
    batch = read(json.dumps({"sent_ms": sent_ms, "events": events}).encode(), visitor)
    assert isinstance(batch, Batch)
    return batch


@pytest.mark.parametrize(
    ("content_type", "encoding", "length"),
    [
        ("application/json", None, None),
        ("application/json; charset=utf-8", "identity", "120"),
        ("text/plain;charset=UTF-8", "", "0"),
        ("Text/Plain", " Identity ", str(MAX_BODY_BYTES)),
        ("application/json", None, "many"),
        ("application/json", None, "-1"),
    ],
)
def test_a_request_of_the_usual_headers_is_read(content_type: str, encoding: str | None, length: str | None) -> None:
    assert check_headers(content_type, encoding, length) is None


@pytest.mark.parametrize(
    "content_type", [None, "", "text/html", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_another_content_type_is_refused_with_what_to_send(content_type: str | None) -> None:
    refusal = check_headers(content_type, None, None)
    assert refusal == Refusal(status=415, code="content_type", remedy="send application/json or text/plain")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    refusal = check_headers("application/json", encoding, None)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (415, "content_encoding")


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 300])
def test_a_body_that_says_it_is_too_large_is_refused_unread(length: str) -> None:
    assert check_headers("application/json", None, length) == too_large()
    assert (too_large().status, too_large().code) == (413, "too_large")


def test_good_events_are_accepted_with_their_visitor_and_times() -> None:
    batch = batch_of(CLICK, {**CLICK, "event_id": "e-2"})
    assert [(goal.event_id, goal.visitor, goal.happened_ms) for goal in batch.accepted] == [
        ("e-1", "v-1", NOW_MS + 95),
        ("e-2", "v-1", NOW_MS + 95),
    ]
    assert batch.verdicts() == {"accepted": 2, "quarantined": []}


def test_a_bad_event_goes_to_quarantine_and_the_good_ones_beside_it_are_kept() -> None:
    batch = batch_of(CLICK, {**CLICK, "name": "other"}, 7, CLICK)
    assert len(batch.accepted) == 2
    reasons = [
        "events[1].name: expected a configured goal (order), got the text 'other'",
        "events[2]: expected an object, got 7",
    ]
    assert batch.verdicts() == {
        "accepted": 2,
        "quarantined": [{"index": 1, "reason": reasons[0]}, {"index": 2, "reason": reasons[1]}],
    }
    assert batch.quarantined[1] == {"index": 2, "reason": reasons[1], "received_ms": NOW_MS + 100, "event": "7"}


def test_an_empty_batch_is_fine() -> None:
    assert batch_of().verdicts() == {"accepted": 0, "quarantined": []}


def test_a_quarantined_event_is_kept_up_to_a_limit() -> None:
    batch = batch_of({"type": "goal", "padding": "x" * 50_000})
    text = batch.quarantined[0]["event"]
    assert isinstance(text, str)
    assert len(text) == MAX_QUARANTINED_CHARACTERS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"{",
        b"\xff\xfe{}",
        b'{"sent_ms":1,"events":[]}\x00',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"9" * 60_000,
        json.dumps({"sent_ms": 1}).encode("utf-16"),
    ],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    assert read(body) == Refusal(status=400, code="not_json", remedy="send one JSON object in UTF-8")


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (b"[]", "expected an object, got a list"),
        (b"null", "expected an object, got nothing"),
        (b"NaN", "expected an object, got nan"),
        (b'{"events":[]}', f"sent_ms: missing; expected a whole number from 0 to {1 << 53}"),
        (b'{"sent_ms":"1","events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got the text '1'"),
        (b'{"sent_ms":true,"events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got True"),
        (b'{"sent_ms":1e9,"events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got 1000000000.0"),
        (b'{"sent_ms":1}', "events: missing; expected a list"),
        (b'{"sent_ms":1,"events":{}}', "events: expected a list, got an object"),
    ],
)
def test_a_json_that_is_no_batch_is_refused_with_what_is_wrong(body: bytes, remedy: str) -> None:
    assert read(body) == Refusal(status=400, code="not_a_batch", remedy=remedy)


@pytest.mark.parametrize(("count", "accepted"), [(MAX_EVENTS, True), (MAX_EVENTS + 1, False)])
def test_a_batch_holds_a_hundred_events(count: int, accepted: bool) -> None:
    result = read(json.dumps({"sent_ms": NOW_MS, "events": [CLICK] * count}).encode())
    assert isinstance(result, Batch) is accepted
    if isinstance(result, Refusal):
        assert (result.status, result.code) == (413, "too_many_events")


@pytest.mark.parametrize("depth", [10, 400, 900, 980, 990, 1_000, 5_000])
def test_an_event_nested_deep_is_quarantined_or_the_batch_refused(depth: int) -> None:
    body = b'{"sent_ms":1,"events":[' + b"[" * depth + b"]" * depth + b"]}"
    result = read(body)
    assert isinstance(result, Refusal) or len(result.quarantined) == 1


@pytest.mark.parametrize(
    "event",
    [
        {**CLICK, "name": "\ud800"},
        {**CLICK, "created_ms": 10**400},
        {**CLICK, "created_ms": -(10**4_000)},
        {**CLICK, "created_ms": float("nan")},
        {**CLICK, "created_ms": float("inf")},
        {**CLICK, "event_id": "\x00" * 101},
        {**CLICK, "touchpoint": [CLICK]},
        {"\ud800": "\udfff"},
    ],
)
def test_a_hostile_event_ends_in_quarantine_as_text_that_can_be_stored(event: dict[str, object]) -> None:
    batch = batch_of(CLICK, event)
    assert len(batch.accepted) == 1
    record = json.dumps(batch.quarantined[0])
    assert record.encode("utf-8").isascii()
    assert batch.quarantined[0]["index"] == 1
