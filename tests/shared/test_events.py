"""Reading events: what is stored of a good one, and why a bad one is refused."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from typing import Any, get_args

import pytest

from shared.errors import Code, InvalidEvent
from shared.events import (
    BROWSER,
    EDGE,
    EVENT_TYPES,
    LATEST_MS,
    MAX_AGE_MS,
    MAX_EVENT_BYTES,
    SCHEMA,
    SERVER,
    STORED,
    Plan,
    read_event,
)
from shared.events.kinds import Link, Listed, Mapped, NamedTexts, Text, Texts
from shared.events.reading import CLOCK_STEP_MS, host_of
from shared.events.values import reader_of
from shared.sensitive import is_sensitive
from tests.sending import IPHONE, RECEIVED_MS, SENT_MS, WHOLE, event, given

ALICE = sha256(b"alice@shop.test").hexdigest()[:32]
SENDABLE = [(each.name, sender) for each in EVENT_TYPES.values() for sender in each.senders]


def read(data: object, source: str = BROWSER, **known: Any) -> dict[str, Any]:
    return read_event(data, "events[3]", given(source, **known))


def refusal_of(data: object, source: str = BROWSER, **known: Any) -> tuple[str, str]:
    """Code and message of the refusal."""
    with pytest.raises(InvalidEvent) as raised:
        read(data, source, **known)
    error = raised.value
    assert error.code in get_args(Code)
    assert str(error) == f"{error.path}: {error.problem}"
    return error.code, str(error).replace("events[3].", "")


# The table


def test_the_types_are_those_of_the_documentation() -> None:
    assert set(EVENT_TYPES) == {*WHOLE, "crossing", "receipt", "exposure"}
    assert {name for name, sender in SENDABLE if sender == SERVER} - {
        name for name, sender in SENDABLE if sender == BROWSER
    } == {"email_open", "email_click", "support_ticket"}


def test_no_name_of_the_schema_is_sensitive_and_no_field_is_there_twice() -> None:
    for each in EVENT_TYPES.values():
        for sender in each.senders:
            names = [field.name for field in each.fields_of(sender)]
            assert len(set(names)) == len(names)
            assert not any(map(is_sensitive, [each.name, *names]))


def test_every_field_has_one_kind_wherever_it_is_stored() -> None:
    kinds: dict[str, set[object]] = {}
    for each in EVENT_TYPES.values():
        for field in (*STORED, *each.fields):
            if field.is_stored and field.name not in ("visitor", "user", "page_view"):
                kinds.setdefault(field.name, set()).add(type(field.kind))
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


def test_every_field_says_what_it_means() -> None:
    for each in EVENT_TYPES.values():
        assert each.meaning.endswith(".")
        for field in (*STORED, *each.fields):
            assert field.meaning.endswith(".")
            assert set(field.required) <= set(field.senders)


# What is stored


@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_a_good_event_of_every_type_is_stored_with_the_common_fields(name: str, source: str) -> None:
    stored = read(event(name, source), source)
    assert list(stored)[: len(STORED)] == [field.name for field in STORED]
    of_browser = source == BROWSER
    user = ALICE if name == "identify" and of_browser else stored["user"]
    assert {key: stored[key] for key in list(stored)[: len(STORED)]} == {
        "schema": SCHEMA,
        "type": name,
        "event_id": "e-1",
        "created_ms": SENT_MS - 500,
        "sent_ms": SENT_MS,
        "received_ms": RECEIVED_MS,
        "happened_ms": RECEIVED_MS - 500,
        "visitor": "v-1" if of_browser else "v-7",
        "session_ms": SENT_MS - 60_000 if of_browser else 0,
        "page_view": "pv-1",
        "source": source,
        "user": user,
    }
    known = {field.name for field in (*STORED, *EVENT_TYPES[name].fields) if field.is_stored}
    assert set(stored) <= known
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored


@pytest.mark.parametrize(
    "name", [name for name, source in SENDABLE if source == BROWSER and name not in ("page_view", "click", "identify")]
)
def test_what_is_stored_under_its_own_name_is_what_was_sent(name: str) -> None:
    stored = read(event(name))
    assert {key: stored[key] for key in WHOLE[name]} == WHOLE[name]


@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_fields_that_may_be_absent_may_be_null_and_are_then_not_stored(name: str, source: str) -> None:
    fields = EVENT_TYPES[name].fields_of(source)
    bare: dict[str, Any] = {field.name: ... for field in fields if source not in field.required}
    if source == SERVER:
        bare.pop("visitor", None)
    if name == "custom":
        bare["properties"] = {"plan": "team"}
    if name == "page_view":
        bare["url"] = "/men"
    null = {key: None if value is ... else value for key, value in bare.items()}
    stored = read(event(name, source, **bare), source)
    assert read(event(name, source, **null), source) == stored
    assert not {key for key, value in bare.items() if value is ...} & (set(stored) - {"page_view", "user"})


def test_a_page_view_keeps_path_host_and_campaign_and_gains_what_the_edge_knows() -> None:
    stored = read(event("page_view", campaign=...))
    assert {key: stored[key] for key in list(stored)[len(STORED) :]} == {
        "category": "coats",
        "referrer": "www.google.com",
        "viewport_width": 390,
        "viewport_height": 844,
        "language": "en-GB",
        "url_path": "/men/coats",
        "campaign": {"source": "letter", "name": "may"},
        "device": "mobile",
        "user_agent": IPHONE,
    }


@pytest.mark.parametrize(
    ("url", "path", "campaign"),
    [
        ("/", "/", None),
        ("/a#?utm_source=x", "/a", None),
        ("/a?utm=1&about=utm_", "/a", None),
        ("/a?utm_term=caf%C3%A9+noir&utm_content=%FF&utm_medium=", "/a", {"term": "café noir", "content": "�"}),
        ("/a?utm_source=" + "x" * 300, "/a", {"source": "x" * 200}),
        ("/a?" + "&" * 100 + "utm_source=x", "/a", None),
        ("//evil.test/a?utm_source=x", "//evil.test/a", {"source": "x"}),
    ],
)
def test_the_campaign_is_read_from_the_url_where_none_is_named(
    url: str, path: str, campaign: dict[str, str] | None
) -> None:
    stored = read(event("page_view", url=url, campaign=...))
    assert (stored["url_path"], stored.get("campaign")) == (path, campaign)
    assert "url" not in stored


@pytest.mark.parametrize("source", [BROWSER, SERVER])
def test_a_page_view_that_names_no_category_has_the_one_that_is_configured_for_its_path(source: str) -> None:
    def category_of(path: str) -> str:
        return {"/men/coats": "men"}.get(path, "")

    def category(**fields: Any) -> object:
        return read(event("page_view", source, **fields), source, category_of=category_of).get("category")

    assert category() == "coats"
    assert [category(category=left_out) for left_out in (..., None)] == ["men", "men"]
    assert category(category="") == ""
    assert category(category=..., url="/women?from=/men/coats") is None
    assert "category" not in read(event("page_view", source, category=...), source)


def test_a_page_view_that_a_server_reports_has_no_device() -> None:
    stored = read(event("page_view", SERVER), SERVER)
    assert "device" not in stored
    assert "user_agent" not in stored


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.test", "shop.test"),
        ("https://User:pass@Shop.Test:8443/a@b?c@d#e", "shop.test"),
        ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ("http://[broken", "[broken"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("https://?q", ""),
        ("about:blank", ""),
        ("", ""),
        ("https://" + "a" * 300, "a" * 253),
    ],
)
def test_only_the_host_of_a_referrer_is_kept(url: str, host: str) -> None:
    assert host_of(url) == host
    assert read(event("page_view", referrer=url))["referrer"] == host


@pytest.mark.parametrize(
    ("href", "kept"), [("https://a.test/b?c=d#e", "https://a.test/b"), ("#top", ""), ("mailto:a", "mailto:a")]
)
def test_a_link_is_kept_without_query_and_fragment(href: str, kept: str) -> None:
    assert read(event("click", href=href))["href"] == kept


def test_whole_numbers_and_numbers_are_stored_as_such() -> None:
    stored = read(event("add_to_cart", quantity=2.0, value=398))
    assert (stored["quantity"], type(stored["quantity"])) == (2, int)
    assert (stored["value"], type(stored["value"])) == (398.0, float)


# Times


@pytest.mark.parametrize("clock_error_ms", [-25 * 3_600_000, 0, 25 * 3_600_000])
def test_a_wrong_clock_of_the_sender_cancels_out_of_when_it_happened(clock_error_ms: int) -> None:
    stored = read(event("goal", created_ms=SENT_MS - 500 + clock_error_ms), sent_ms=SENT_MS + clock_error_ms)
    assert stored["happened_ms"] == RECEIVED_MS - 500


@pytest.mark.parametrize("age_ms", [0, 1, MAX_AGE_MS])
def test_an_event_may_wait_for_thirty_days(age_ms: int) -> None:
    assert read(event("goal", created_ms=SENT_MS - age_ms))["happened_ms"] == RECEIVED_MS - age_ms


@pytest.mark.parametrize("step_ms", [1, CLOCK_STEP_MS])
def test_an_event_from_before_the_clock_was_set_back_a_little_happened_when_it_was_received(step_ms: int) -> None:
    stored = read(event("goal", created_ms=SENT_MS + step_ms))
    assert (stored["created_ms"], stored["happened_ms"]) == (SENT_MS + step_ms, RECEIVED_MS)


def test_an_event_from_the_future_or_too_old_is_refused() -> None:
    assert refusal_of(event("goal", created_ms=SENT_MS + CLOCK_STEP_MS + 1)) == (
        "out_of_range",
        f"created_ms: is later than sent_ms ({SENT_MS}); take both from the same clock",
    )
    assert refusal_of(event("goal", created_ms=SENT_MS - MAX_AGE_MS - 1)) == (
        "too_old",
        f"created_ms: is more than 30 days before sent_ms ({SENT_MS})",
    )


@pytest.mark.parametrize(("before_start_ms", "is_known"), [(-1, True), (0, True), (1, False), (3 * 86_400_000, False)])
def test_what_happened_before_the_session_of_its_delivery_began_is_of_none_that_is_known(
    before_start_ms: int, is_known: bool
) -> None:
    started_ms = RECEIVED_MS - 1_000
    stored = read(event("goal", created_ms=SENT_MS - 1_000 - before_start_ms), session_ms=started_ms)
    assert stored["happened_ms"] == started_ms - before_start_ms
    assert stored["session_ms"] == (started_ms if is_known else 0)


# What is refused

WHOLE_TIME = f"expected a whole number from 0 to {LATEST_MS}"


@pytest.mark.parametrize(
    ("name", "change", "code", "message"),
    [
        ("goal", {"event_id": ""}, "out_of_range", "event_id: is empty"),
        ("goal", {"event_id": "x" * 101}, "too_long", "event_id: 101 characters; at most 100 are allowed"),
        (
            "goal", {"event_id": "18bcfe56800-0123456789abcdef-hero"}, "out_of_range",
            "event_id: begins like the ids that the edge gives to its own events; take another",
        ),
        ("goal", {"event_id": []}, "wrong_type", "event_id: expected a string, got a list"),
        ("goal", {"event_id": ...}, "missing", "event_id: missing; every goal event needs it"),
        ("goal", {"event_id": None}, "missing", "event_id: missing; every goal event needs it"),
        ("goal", {"page_view": "x" * 101}, "too_long", "page_view: 101 characters; at most 100 are allowed"),
        ("goal", {"created_ms": -1}, "out_of_range", f"created_ms: {WHOLE_TIME}, got -1"),
        ("goal", {"created_ms": 1.5}, "wrong_type", f"created_ms: {WHOLE_TIME}, got 1.5"),
        ("goal", {"created_ms": True}, "wrong_type", f"created_ms: {WHOLE_TIME}, got True"),
        ("goal", {"created_ms": "1"}, "wrong_type", f"created_ms: {WHOLE_TIME}, got a text of 1 character"),
        ("goal", {"created_ms": math.nan}, "wrong_type", f"created_ms: {WHOLE_TIME}, got nan"),
        ("goal", {"created_ms": math.inf}, "wrong_type", f"created_ms: {WHOLE_TIME}, got inf"),
        (
            "goal", {"created_ms": 10**5_000}, "out_of_range",
            f"created_ms: {WHOLE_TIME}, got a number of more than 100 digits",
        ),
        ("goal", {"name": "hivTest"}, "sensitive", "name: is on the sensitive list; do not send it"),
        ("custom", {"name": "hiv_test"}, "sensitive", "name: is on the sensitive list; do not send it"),
        (
            "goal", {"name": "a@shop.test"}, "unplanned",
            "name: expected a configured goal (order, signup), got a text of 11 characters",
        ),
        (
            "goal", {"name": "other"}, "unplanned",
            "name: expected a configured goal (order, signup), got the text 'other'",
        ),
        ("goal", {"name": "\ud800"}, "wrong_type", "name: holds half of a surrogate pair, which is no character"),
        ("goal", {"touchpoint": {}}, "wrong_type", "touchpoint: expected a string, got an object"),
        (
            "goal", {"value": 3}, "unplanned",
            "value: is no field of goal events; their fields are type, event_id, created_ms, page_view, name, "
            "touchpoint",
        ),
        ("goal", {"visitor": "v-2"}, "not_from_here", "visitor: a browser does not send it; remove it"),
        ("goal", {"user": "alice"}, "not_from_here", "user: a browser does not send it; remove it"),
        ("goal", {"income": 3}, "sensitive", "income: is on the sensitive list; do not send it"),
        ("goal", {"healthScore": None}, "sensitive", "healthScore: is on the sensitive list; do not send it"),
        ("page_view", {"url": "men"}, "out_of_range",
         "url: expected a path that begins with \"/\", got a text of 3 characters"),
        ("page_view", {"url": "/" + "x" * 2000}, "too_long", "url: 2001 characters; at most 2000 are allowed"),
        ("page_view", {"campaign": []}, "wrong_type", "campaign: expected an object, got a list"),
        (
            "page_view", {"campaign": {"source": "a", "id": "b"}}, "unplanned",
            "campaign.id: is not known here; write some of source, medium, name, term, content",
        ),
        (
            "page_view", {"campaign": {"religion": "b"}}, "sensitive",
            "campaign.religion: is on the sensitive list; do not send it",
        ),
        ("page_view", {"campaign": {"source": 1}}, "wrong_type", "campaign.source: expected a string, got a number"),
        ("page_view", {"device": "mobile"}, "unplanned", "device: is no field of page_view events; their fields are "
         "type, event_id, created_ms, page_view, url, category, referrer, campaign, viewport_width, viewport_height, "
         "language, driven"),
        ("engagement", {"depth": 101}, "out_of_range", "depth: expected a number from 0 to 100, got 101"),
        ("engagement", {"depth": math.nan}, "wrong_type", "depth: expected a number from 0 to 100, got nan"),
        ("engagement", {"depth": False}, "wrong_type", "depth: expected a number from 0 to 100, got False"),
        ("engagement", {"sections": "intro"}, "wrong_type",
         "sections: expected a list of strings, got a text of 5 characters"),
        ("engagement", {"sections": ["a"] * 21}, "too_long", "sections: 21 texts; at most 20 are allowed"),
        ("engagement", {"sections": ["a", 7]}, "wrong_type", "sections[1]: expected a string, got a number"),
        ("shown", {"page_view": ""}, "out_of_range", "page_view: is empty"),
        ("purchase", {"value": 1.1e12}, "out_of_range",
         "value: expected a number from -1e+12 to 1e+12, got 1100000000000.0"),
        ("purchase", {"value": 10**400}, "out_of_range",
         "value: expected a number from -1e+12 to 1e+12, got a number of more than 100 digits"),
        ("purchase", {"currency": "eur"}, "out_of_range",
         "currency: expected a currency of three capital letters, got a text of 3 characters"),
        ("purchase", {"currency": "EUR\n"}, "too_long", "currency: 4 characters; at most 3 are allowed"),
        ("identify", {"user": 12345}, "wrong_type", "user: expected a string, got a number"),
        ("identify", {"user": ["alice"]}, "wrong_type", "user: expected a string, got a list"),
        ("identify", {"user": ""}, "out_of_range", "user: is empty"),
        ("identify", {"user": "a" * 201}, "too_long", "user: 201 characters; at most 200 are allowed"),
        ("identify", {"signature": ...}, "missing", "signature: missing; every identify event needs it"),
        (
            "identify", {"signature": "k1.bad"}, "signature",
            "signature: does not fit the user's id; sign the id on the site's server by a key of USHER_IDENTIFY_KEYS",
        ),
        (
            "preference", {"question": "colour"}, "unplanned",
            "question: expected a configured question (topic), got the text 'colour'",
        ),
        (
            "preference", {"answer": "hats"}, "unplanned",
            "answer: expected an answer to topic (coats, shoes), got a text of 4 characters",
        ),
        (
            "preference", {"question": "religion"}, "sensitive",
            "question: is on the sensitive list; do not send it",
        ),
        (
            "preference", {"answer": "Pregnancy"}, "sensitive",
            "answer: is on the sensitive list; do not send it",
        ),
    ],
)  # fmt: skip
def test_what_is_not_of_the_schema_is_refused_with_its_place_and_code(
    name: str, change: dict[str, Any], code: str, message: str
) -> None:
    assert refusal_of(event(name, **change)) == (code, message)


@pytest.mark.parametrize("data", [None, 7, "goal", [], [event("goal")], math.nan])
def test_what_is_no_object_is_refused(data: object) -> None:
    code, message = refusal_of(data)
    assert code == "not_an_object"
    assert message.startswith("events[3]: expected an object, got ")


@pytest.mark.parametrize("name", ["", "goals", "GOAL", None, 3, ["goal"], "x" * 1000, "\ud800"])
def test_an_unknown_type_is_answered_with_the_types_there_are(name: object) -> None:
    code, message = refusal_of({**event("goal"), "type": name})
    assert code == "unknown_type"
    assert "expected a type of event (page_view, engagement, shown, " in message
    assert len(message) < 400
    message.encode()


def test_events_come_from_those_who_may_know_of_them() -> None:
    assert refusal_of(event("email_open")) == ("not_from_here", "type: only servers send email_open events")
    assert refusal_of(event("engagement", SERVER), SERVER) == (
        "not_from_here",
        "type: only browsers send engagement events",
    )
    for name in ("exposure", "crossing", "receipt"):
        assert refusal_of({**event("goal"), "type": name}) == (
            "not_from_here",
            f"type: only the edge itself logs {name} events",
        )


def test_the_place_of_a_strange_name_can_be_shown_and_stored() -> None:
    for key in ("a b", "\ud800", "x" * 5_000, "\n", 'quo"te', ""):
        code, message = refusal_of({**event("goal"), key: 1})
        assert code == "unplanned"
        assert len(message) < 250
        assert message.encode().isascii()


# Users and visitors


@pytest.mark.parametrize("name", ["alice@shop.test", "Alice Smith", "v-1\n", "ää", "//"])
@pytest.mark.parametrize("kind", ["goal", "identify"])
def test_what_is_no_visitors_id_is_refused_as_visitor_and_not_repeated(kind: str, name: str) -> None:
    code, message = refusal_of(event(kind, SERVER, visitor=name), SERVER)
    assert (code, message) == (
        "out_of_range",
        "visitor: expected a visitor's id (letters, digits, _ . ~ -), not a user's, "
        f"got a text of {len(name)} characters",
    )
    assert read(event(kind, SERVER, visitor="aZ09_.~-"), SERVER)["visitor"] == "aZ09_.~-"


@pytest.mark.parametrize("name", ["purchase", "email_open", "goal"])
def test_a_server_names_the_visitor_or_the_user_or_both(name: str) -> None:
    both = read(event(name, SERVER, user="alice@shop.test"), SERVER)
    assert (both["visitor"], both["user"]) == ("v-7", ALICE)
    alone = read(event(name, SERVER, user="alice@shop.test", visitor=...), SERVER)
    assert (alone["visitor"], alone["user"]) == ("", ALICE)
    assert read(event(name, SERVER), SERVER)["user"] == ""
    for nobody in (..., None, ""):
        assert refusal_of(event(name, SERVER, visitor=nobody), SERVER) == (
            "missing",
            "visitor: missing; name the visitor, or the user",
        )


def test_an_identify_event_stores_the_hash_and_nothing_else_of_the_user() -> None:
    stored = read(event("identify"))
    assert stored["user"] == ALICE
    assert "alice" not in json.dumps(stored)
    assert "signature" not in stored
    assert read(event("identify", SERVER), SERVER)["user"] == ALICE


@pytest.mark.parametrize(("status", "code"), [("open", "out_of_range"), (3, "wrong_type"), ([], "wrong_type")])
def test_what_is_none_of_the_choices_is_refused_with_them(status: object, code: str) -> None:
    refused, message = refusal_of(event("support_ticket", SERVER, status=status), SERVER)
    assert refused == code
    assert message.startswith("status: expected opened or answered or closed, got ")


def test_a_server_that_identifies_needs_no_signature_but_the_visitor() -> None:
    assert refusal_of(event("identify", SERVER, visitor=...), SERVER)[0] == "missing"
    assert refusal_of(event("identify", SERVER, signature="k1.good"), SERVER) == (
        "not_from_here",
        "signature: a server does not send it; remove it",
    )


def test_without_the_keys_users_are_refused_with_what_to_set() -> None:
    code, message = refusal_of(event("identify"), is_signed=None)
    assert (code, "USHER_IDENTIFY_KEYS" in message) == ("not_configured", True)
    for source in (BROWSER, SERVER):
        code, message = refusal_of(event("identify", source), source, hash_user=None)
        assert (code, "USHER_USER_KEY" in message) == ("not_configured", True)
        assert "alice" not in message


# Without a plan


def test_any_name_is_taken_where_nothing_is_published_yet_but_a_sensitive_one() -> None:
    assert read(event("goal", name="anything"), plan=None)["name"] == "anything"
    assert read(event("preference", question="mood", answer="good"), plan=None)["answer"] == "good"
    for name, key in (("goal", "name"), ("custom", "name"), ("preference", "question"), ("preference", "answer")):
        code, message = refusal_of(event(name, **{key: "pregnancy"}), plan=None)
        assert (code, message) == ("sensitive", f"{key}: is on the sensitive list; do not send it")


def test_where_nothing_is_configured_the_messages_say_so() -> None:
    assert refusal_of(event("goal"), plan=Plan()) == (
        "unplanned",
        "name: expected a configured goal (none is configured), got the text 'order'",
    )
    assert refusal_of(event("custom"), plan=Plan()) == (
        "unplanned",
        "name: expected a planned event or a goal (none is configured), got the text 'trial_begun'",
    )
    assert refusal_of(event("preference"), plan=Plan()) == (
        "unplanned",
        "question: expected a configured question (none is configured), got the text 'topic'",
    )


# Size


def test_an_event_that_would_be_too_large_in_the_lake_is_refused() -> None:
    properties = {f"p{i}": "x" * 1000 for i in range(30)}
    assert read(event("custom", name="big", properties=properties), plan=None)["properties"] == properties
    wide = {**properties, "p0": "ä" * 1000}
    code, message = refusal_of(event("custom", name="big", properties=wide), plan=None)
    assert code == "too_long"
    assert message.endswith(f" bytes as it is stored; at most {MAX_EVENT_BYTES} fit")


@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_no_event_however_long_its_texts_takes_more_than_it_may(name: str, source: str) -> None:
    fields = [field for field in EVENT_TYPES[name].fields_of(source) if field.name not in ("type", "name", "signature")]
    for letter in ("x", "ä", "\U0001f9e5"):
        longest: dict[str, Any] = {}
        for field in fields:
            match field.kind:
                case Text(longest=length, pattern=None) | Link(longest=length):
                    longest[field.name] = letter * length
                case Texts(most=most, longest=length):
                    longest[field.name] = [letter * length] * most
                case NamedTexts(names=names, longest=length):
                    longest[field.name] = dict.fromkeys(names, letter * length)
        longest |= {"url": "/" + letter * 1999} if name == "page_view" else {}
        longest |= {"properties": {f"p{i}": letter * 1000 for i in range(30)}} if name == "custom" else {}
        try:
            stored = read(event(name, source, **longest), source, plan=None, is_signed=lambda *_: True)
        except InvalidEvent as error:
            assert error.code == "too_long"
            assert letter != "x" or name == "custom"
        else:
            assert len(json.dumps(stored, separators=(",", ":"))) <= MAX_EVENT_BYTES


def test_what_only_the_edge_writes_has_no_reader() -> None:
    for kind in (Listed(of=Text(longest=3)), Mapped()):
        with pytest.raises(TypeError, match="is never sent"):
            reader_of(kind)
    assert {field.senders for field in EVENT_TYPES["receipt"].fields} == {()}
    assert EDGE not in {source for _, source in SENDABLE}
