"""Whatever is sent as an event: the stored form, or InvalidEvent; never another exception, and nothing that the lake,
a queue message or an answer could not hold."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from shared.errors import Code, InvalidEvent
from shared.events import BROWSER, EVENT_TYPES, MAX_EVENT_BYTES, SERVER, STORED, Given, read_event, redact
from shared.events.reading import host_of
from shared.parse import load_json
from shared.sensitive import is_sensitive
from tests.property.documents import Json
from tests.sending import PLAN, RECEIVED_MS, WHOLE, event, given

SENDABLE = [(each.name, sender) for each in EVENT_TYPES.values() for sender in each.senders]
FIELDS = sorted({field.name for each in EVENT_TYPES.values() for field in each.fields_of(BROWSER)})
GIVENS = [given(source, plan=plan) for source in (BROWSER, SERVER) for plan in (PLAN, None)]
# Python's own range of texts, halves of surrogate pairs and NUL included.
AnyText = st.text(st.characters() | st.sampled_from("\ud800\udfff\x00\U0001f9e5"), max_size=40)
Hostile = (
    Json
    | AnyText
    | st.sampled_from([10**400, -(10**400), 1 << 60, 1e308, float("nan"), float("inf"), -0.0, 1.0])
    | st.sampled_from(["a" * 3_000, [[[]]], {"a": {"b": {}}}, ["\ud800"], {"\ud800": 1}, {"income": 1}])
    | st.dictionaries(
        AnyText, st.recursive(st.none() | AnyText, lambda inner: st.lists(inner, max_size=3)), max_size=40
    )
)
Names = st.sampled_from([*FIELDS, "visitor", "user", "signature", "income", "other", "\ud800"]) | AnyText


def outcome_of(data: Any, known: Given) -> dict[str, Any] | None:
    """What is stored, or None where it was refused; all that must hold in either case is asserted."""
    try:
        stored: dict[str, Any] = read_event(data, "events[0]", known)
    except InvalidEvent as error:
        assert error.code in get_args(Code)
        assert str(error).startswith("events[0]")
        str(error).encode()
        assert "alice" not in str(error)
        json.dumps({"reason": str(error), "event": json.dumps(redact(data, known))[:2_000]}).encode()
        return None
    line = json.dumps(stored, allow_nan=False, separators=(",", ":"))
    assert len(line.encode()) <= MAX_EVENT_BYTES
    assert "\n" not in line
    assert load_json(line) == stored
    assert list(stored)[: len(STORED)] == [field.name for field in STORED]
    assert stored["happened_ms"] <= RECEIVED_MS
    return stored


@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_the_events_that_are_changed_below_are_good(name: str, source: str) -> None:
    assert outcome_of(event(name, source), given(source)) is not None


@settings(max_examples=300)
@drawn(Json | st.dictionaries(Names, Hostile, max_size=8), st.sampled_from(GIVENS))
def test_any_json_is_an_event_or_refused(data: object, known: Given) -> None:
    outcome_of(data, known)


@settings(max_examples=600)
@drawn(st.sampled_from(sorted(WHOLE)), Names, Hostile, st.sampled_from(GIVENS))
def test_an_event_with_any_field_replaced_is_one_or_refused(name: str, key: str, value: object, known: Given) -> None:
    outcome_of({**event(name, known.source), key: value}, known)


@settings(max_examples=250)
@drawn(st.sampled_from(sorted(WHOLE)), st.sets(Names, max_size=4), st.sampled_from(GIVENS))
def test_an_event_without_some_of_its_fields_is_one_or_refused(name: str, left_out: set[str], known: Given) -> None:
    sent = {key: value for key, value in event(name, known.source).items() if key not in left_out}
    stored = outcome_of(sent, known)
    if stored is not None:
        assert not left_out & {"type", "event_id", "created_ms"}


@settings(max_examples=250)
@drawn(st.dictionaries(AnyText | st.sampled_from(["plan", "seats", "healthy", "salary"]), Hostile, max_size=35))
def test_any_properties_are_read_or_refused_and_no_sensitive_one_is_kept(properties: dict[str, object]) -> None:
    for known in (given(), given(plan=None)):
        stored = outcome_of(event("custom", properties=properties), known)
        if stored is not None:
            assert not any(map(is_sensitive, stored["properties"]))
            assert not any(map(is_sensitive, properties))


@settings(max_examples=250)
@drawn(AnyText | st.text("htps:/@[]?#.a&=%utm_source", max_size=60))
def test_any_url_is_read(url: str) -> None:
    host = host_of(url)
    assert len(host) <= 253
    assert not set(host) & set("/?#@")
    outcome_of(event("page_view", url="/" + url, referrer=url, campaign=...), given())


ADDRESS = "alice@shop.test"
Unknown = st.sampled_from(["id", "customerId", "distinct_id", "mail", "account", "user", "signature", "x", ADDRESS])
Holding = st.recursive(
    st.just(ADDRESS) | st.just(json.dumps({"user": ADDRESS})),
    lambda inner: (
        st.lists(inner | Json, min_size=1, max_size=3) | st.dictionaries(Unknown, inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=400)
@drawn(st.sampled_from(sorted(WHOLE)), Unknown, Holding, st.sampled_from(GIVENS))
def test_neither_quarantine_nor_the_reason_holds_what_stands_under_an_unknown_name(
    name: str, key: str, value: object, known: Given
) -> None:
    for data in ({**event(name, known.source), key: value}, {key: value}, [value], value):
        assert "alice" not in json.dumps(redact(data, known))
        try:
            read_event(data, "events[0]", known)
        except InvalidEvent as error:
            assert "alice" not in str(error)


HOSTILE_TEXTS = [
    '{"type":"goal","type":"shown","event_id":"e","created_ms":1,"page_view":"p"}',
    '{"type":"goal","event_id":"e","event_id":7,"created_ms":1,"name":"order"}',
    '{"type":"goal","event_id":"\\ud800","created_ms":1,"name":"order"}',
    '{"type":"goal","event_id":"e","created_ms":1e400,"name":"order"}',
    '{"type":"goal","event_id":"e","created_ms":-Infinity,"name":"order"}',
    '{"type":"goal","event_id":"e","created_ms":' + "9" * 4_000 + ',"name":"order"}',
    '{"type":"custom","event_id":"e","created_ms":1,"name":"x","properties":{"a":' + "[" * 90 + "]" * 90 + "}}",
    '{"type":"custom","event_id":"e","created_ms":1,"name":"x","properties":' + '{"a":' * 90 + "1" + "}" * 91,
    '{"__proto__":{},"constructor":1,"type":"goal"}',
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_hostile_json_is_an_event_or_refused(text: str) -> None:
    data = load_json(text, lenient=True)
    for known in GIVENS:
        outcome_of(data, known)


def test_of_a_key_that_stands_there_twice_the_last_counts() -> None:
    stored = outcome_of(
        load_json('{"type":"goal","event_id":"e","created_ms":1,"name":"x","name":"order"}'), given(sent_ms=1)
    )
    assert stored is not None
    assert stored["name"] == "order"
