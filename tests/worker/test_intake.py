from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.events import BROWSER, SCHEMA, SERVER, Given, Plan
from tests.asking import place, publish_hero
from worker.admission import ALLOWANCES, Allowance, Sender
from worker.answers import DONE, Refusal
from worker.intake import CUT_SHORT, NEWER_SCHEMA, NOT_JSON, Batch, know, read_batch, refuse_body
from worker.settings import read_settings
from worker.storage import MAX_QUARANTINED_CHARACTERS

NOW_MS = 1_700_000_000_000
ANNA = "anna@example.com"
ALLOWANCE = ALLOWANCES[BROWSER]
CLICK: dict[str, object] = {"type": "goal", "event_id": "e-1", "name": "order", "created_ms": NOW_MS - 5}
GIVEN = Given(
    source=BROWSER,
    visitor="v-1",
    session_ms=NOW_MS - 60_000,
    sent_ms=0,
    received_ms=NOW_MS + 100,
    user_agent="Mobi",
    plan=Plan(goals=("order",)),
    hash_user=lambda user: f"hash of {len(user)}",
    is_signed=lambda user, signature: (user, signature) == (ANNA, "right"),
)


def read(body: str, given: Given = GIVEN, allowance: Allowance = ALLOWANCE) -> Batch | Refusal:
    return read_batch(body, given, allowance)


def batch_of(*events: object, given: Given = GIVEN, sent_ms: object = NOW_MS) -> Batch:
    batch = read(json.dumps({"sent_ms": sent_ms, "events": events}), given)
    assert isinstance(batch, Batch)
    return batch


def test_good_events_are_accepted_with_what_the_edge_knows_of_their_sender() -> None:
    batch = batch_of(CLICK, {**CLICK, "event_id": "e-2"})
    assert [
        (each["event_id"], each["visitor"], each["session_ms"], each["happened_ms"]) for each in batch.accepted
    ] == [
        ("e-1", "v-1", NOW_MS - 60_000, NOW_MS + 95),
        ("e-2", "v-1", NOW_MS - 60_000, NOW_MS + 95),
    ]
    assert {each["source"] for each in batch.accepted} == {"browser"}
    answer = batch.to_answer()
    assert (answer.status, answer.body, answer.headers) == (202, {"accepted": 2, "quarantined": []}, (DONE,))


def test_a_bad_event_goes_to_quarantine_and_the_good_ones_beside_it_are_kept() -> None:
    batch = batch_of(CLICK, {**CLICK, "name": "other"}, 7, CLICK)
    assert len(batch.accepted) == 2
    body = batch.to_answer().body
    assert body is not None
    assert body["accepted"] == 2
    verdicts = body["quarantined"]
    assert isinstance(verdicts, list)
    assert [(each["index"], each["code"]) for each in verdicts] == [(1, "unplanned"), (2, "not_an_object")]
    assert verdicts[0]["reason"].startswith("events[1].name: ")
    assert batch.quarantined[1] == {
        "index": 2,
        "code": "not_an_object",
        "reason": "events[2]: expected an object, got a number",
        "received_ms": NOW_MS + 100,
        "sent_ms": NOW_MS,
        "visitor": "v-1",
        "source": "browser",
        "event": '"(a number)"',
    }


def test_a_batch_becomes_lines_that_say_where_they_belong() -> None:
    batch = batch_of(CLICK, 7, CLICK)
    marks = [line[0] for line in batch.lines()]
    assert marks == ["e", "e", "q"]
    assert [json.loads(line[1:]) for line in batch.lines()] == [*batch.accepted, *batch.quarantined]


def test_what_the_snapshot_plans_and_which_categories_it_has_is_known_of_a_batch() -> None:
    sender = Sender(source=BROWSER, visitor="v-1", session_ms=5, user_agent="Mobi", allowance=ALLOWANCE, limits={})
    settings, _ = read_settings(lambda _name: None)
    site = publish_hero(place("a", "b"), categories=[["men", ["/men*"]]], goals=["order"])
    known = know(sender, settings, site, NOW_MS)
    assert (known.visitor, known.session_ms, known.received_ms, known.user_agent) == ("v-1", 5, NOW_MS, "Mobi")
    assert known.plan == Plan(goals=("order",))
    [view] = batch_of(
        {"type": "page_view", "event_id": "e", "created_ms": NOW_MS, "url": "/men?a"}, given=known
    ).accepted
    assert view["category"] == "men"
    unknown = know(sender, settings, None, NOW_MS)
    assert (unknown.plan, unknown.category_of) == (None, None)


def test_an_empty_batch_is_fine() -> None:
    batch = batch_of()
    assert batch.lines() == []
    assert batch.to_answer().body == {"accepted": 0, "quarantined": []}


def test_a_quarantined_event_is_kept_up_to_a_limit() -> None:
    text = batch_of({"type": "goal", **{f"padding_{i}": None for i in range(1_000)}}).quarantined[0]["event"]
    assert isinstance(text, str)
    assert len(text) == MAX_QUARANTINED_CHARACTERS


@pytest.mark.parametrize("source", [BROWSER, SERVER])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "identify", "user": ANNA, "signature": "wrong"},
        {"type": "identify", "user": ANNA},
        {"type": "identify", "user": [ANNA], "signature": "right"},
        {"type": "email_open", "user": ANNA},
        {
            "type": "custom",
            "name": "x",
            "properties": {"User": ANNA, "deep": {"user": ANNA}},
        },
        {"type": "nothing", "USER": {"id": ANNA}},
        [{"user": ANNA}],
    ],
)
def test_no_quarantine_record_and_no_answer_repeats_a_users_id(source: str, event: object) -> None:
    sent = {**event, "event_id": "e", "created_ms": NOW_MS} if isinstance(event, dict) else event
    batch = batch_of(sent, given=replace(GIVEN, source=source, visitor=""))
    assert len(batch.quarantined) == 1
    assert "anna" not in json.dumps(batch.quarantined)
    assert "anna" not in batch.to_answer().text()


def test_a_user_is_stored_as_the_hash_alone() -> None:
    event = {
        "type": "identify",
        "user": ANNA,
        "signature": "right",
        "event_id": "e",
        "created_ms": NOW_MS,
    }
    batch = batch_of(event)
    assert batch.accepted[0]["user"] == "hash of 16"
    assert "anna" not in "".join(batch.lines())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "{",
        '{"sent_ms":1,"events":[]}\x00',
        "[" * 60_000,
        '{"a":' * 10_000,
        "9" * 60_000,
    ],
)
def test_a_body_that_is_no_json_is_refused(body: str) -> None:
    assert read(body) == NOT_JSON
    assert (NOT_JSON.status, NOT_JSON.code) == (400, "not_json")
    assert NOT_JSON.to_answer().headers == (DONE,)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", "expected an object, got a list"),
        ("null", "expected an object, got nothing"),
        ("NaN", "expected an object, got nan"),
        ('{"events":[]}', f"sent_ms: missing; expected a whole number from 0 to {1 << 53}"),
        ('{"sent_ms":"1","events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got the text '1'"),
        ('{"sent_ms":true,"events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got True"),
        ('{"sent_ms":1e9,"events":[]}', f"sent_ms: expected a whole number from 0 to {1 << 53}, got 1000000000.0"),
        ('{"sent_ms":1}', "events: missing; expected a list"),
        ('{"sent_ms":1,"events":{}}', "events: expected a list, got an object"),
        ('{"schema":"3"}', f"schema: expected a whole number from 1 to {1 << 53}, got the text '3'"),
        ('{"schema":0}', f"schema: expected a whole number from 1 to {1 << 53}, got 0"),
    ],
)
def test_a_json_that_is_no_batch_is_refused_with_what_is_wrong(body: str, problem: str) -> None:
    remedy = f'send {{"sent_ms": …, "events": […]}}; {problem}'
    assert read(body) == Refusal(status=400, code="not_a_batch", remedy=remedy, is_final=True)


@pytest.mark.parametrize("schema", [{}, {"schema": None}, {"schema": 1}, {"schema": SCHEMA}])
def test_a_batch_of_this_schema_or_an_older_one_is_read(schema: dict[str, object]) -> None:
    batch = read(json.dumps({**schema, "sent_ms": NOW_MS, "events": [CLICK]}))
    assert isinstance(batch, Batch)
    assert len(batch.accepted) == 1


@pytest.mark.parametrize(
    "more", [{"sent_ms": NOW_MS, "events": [CLICK, {"type": "of tomorrow"}]}, {"sent": "otherwise"}]
)
def test_a_batch_of_a_newer_schema_is_put_off_unread(more: dict[str, object]) -> None:
    assert read(json.dumps({"schema": SCHEMA + 1, **more})) == NEWER_SCHEMA
    assert NEWER_SCHEMA.status == 503
    assert NEWER_SCHEMA.to_answer().headers == (("retry-after", "60"),)


@pytest.mark.parametrize("source", [BROWSER, SERVER])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_batch_holds_so_many_events_as_its_sender_is_allowed(source: str, beyond: int) -> None:
    allowance = ALLOWANCES[source]
    result = read(json.dumps({"sent_ms": NOW_MS, "events": [CLICK] * (allowance.events + beyond)}), GIVEN, allowance)
    assert isinstance(result, Refusal if beyond else Batch)
    if isinstance(result, Refusal):
        assert (result.status, result.code) == (413, "too_many_events")
        assert result.remedy == f"send at most {allowance.events} events a request"
        assert DONE in result.to_answer().headers


@pytest.mark.parametrize("depth", [10, 400, 900, 980, 990, 1_000, 5_000])
def test_an_event_nested_deep_is_quarantined_or_the_batch_refused(depth: int) -> None:
    result = read('{"sent_ms":1,"events":[' + "[" * depth + "]" * depth + "]}")
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
        {**CLICK, "\ud800": 1},
        {"\ud800": "\udfff"},
    ],
)
def test_a_hostile_event_ends_in_quarantine_as_text_that_can_be_stored(event: dict[str, object]) -> None:
    batch = batch_of(CLICK, event)
    assert len(batch.accepted) == 1
    assert all(line.isascii() for line in batch.lines())
    assert batch.to_answer().text().isascii()
    assert batch.quarantined[0]["index"] == 1


@pytest.mark.parametrize(
    ("word", "more", "status", "code"),
    [
        ("large", "", 413, "too_large"),
        ("lost", "", 400, "cut_short"),
        ("binary", "", 400, "not_json"),
        ("limited", "VISITOR_LIMIT", 429, "visitor_limit"),
        ("limited", "ADDRESS_LIMIT", 429, "address_limit"),
    ],
)
def test_a_body_that_was_not_read_is_refused_with_the_reason(word: str, more: str, status: int, code: str) -> None:
    refusal = refuse_body(word, more, ALLOWANCE)
    assert (refusal.status, refusal.code) == (status, code)
    assert ("retry-after", "10") in refusal.to_answer().headers or status != 429
    assert CUT_SHORT.to_answer().headers == ()
