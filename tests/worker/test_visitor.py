from __future__ import annotations

from dataclasses import replace

import pytest

from shared.session import Session
from shared.signing import read_keys, sign
from tests.asking import ask, frozen_of, place, publish_hero
from worker.visitor import (
    COOKIE,
    MAX_AGE_S,
    MOST_COUNTED,
    PREFERENCES_COOKIE,
    PURPOSE,
    SESSION_IDLE_MS,
    Visitor,
    continue_visit,
    read_cookie,
    read_preferences,
    read_visitor,
    remember,
    without_cookie,
    without_ours,
    write_visitor,
)

KEYS = read_keys("k2:0123456789abcdef,k1:fedcba9876543210")
VISITOR = Visitor(id="v-1", unit="v-0", session_ms=1_000, seen_ms=2_000, visits=3, views=7, referral="social")
OUTLINE = "2!v-1!v-0!1000!2000!3!7!social!"


def sixteen_bytes(count: int) -> bytes:
    return bytes(range(count))


def direct() -> str:
    return "direct"


def nobody_asks() -> str:
    raise AssertionError("a session that goes on has come from where it began")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, None),
        ("", None),
        ("a=1", "1"),
        ("b=2; a=1; c=3", "1"),
        ("b=2;a=1", "1"),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("a", None),
        ("aa=1; ba=2", None),
        ("A=1", None),
        ("a=1; a=2", "1"),
        (";;; a=1 ;", "1"),
    ],
)
def test_a_cookie_is_found_by_its_exact_name(header: str | None, value: str | None) -> None:
    assert read_cookie(header, "a") == value


@pytest.mark.parametrize(
    ("header", "left"),
    [
        ("a=1", ""),
        ("a=1; b=2", "b=2"),
        ("b=2; a=1; c=3", "b=2; c=3"),
        ("b=2;c=3", "b=2; c=3"),
        ("aa=1; a=2; a=3", "aa=1"),
        ("", ""),
        (" ; a=1; ", ""),
        ("b=x=y; a=1", "b=x=y"),
    ],
)
def test_a_cookie_header_is_passed_on_without_ours(header: str, left: str) -> None:
    assert without_cookie(header, "a") == left


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (f"{COOKIE}=x", ""),
        (f"{PREFERENCES_COOKIE}=x; a=1; {COOKIE}=y", "a=1"),
        ("a=1; b=2", "a=1; b=2"),
    ],
)
def test_the_upstream_sees_neither_of_our_cookies(header: str, left: str) -> None:
    assert without_ours(header) == left


def test_a_visitor_survives_the_cookie() -> None:
    value, _, _ = write_visitor(VISITOR, KEYS).partition(";")
    assert read_visitor(f"other=1; {value}; more=2", KEYS) == (VISITOR, None)


def test_the_cookie_is_first_party_secure_and_out_of_reach_of_scripts() -> None:
    _, *attributes = write_visitor(VISITOR, KEYS).split("; ")
    assert attributes == ["Path=/", f"Max-Age={MAX_AGE_S}", "Secure", "HttpOnly", "SameSite=Lax"]
    assert write_visitor(VISITOR, KEYS).startswith("__Host-")


def test_a_cookie_of_the_key_before_still_counts_and_is_written_with_the_new_one() -> None:
    old = read_keys("k1:fedcba9876543210")
    value, _, _ = write_visitor(VISITOR, old).partition(";")
    assert read_visitor(value, KEYS) == (VISITOR, None)
    assert write_visitor(VISITOR, KEYS).startswith(f"{COOKIE}=k2.")


@pytest.mark.parametrize("header", [None, "", "other=1"])
def test_without_our_cookie_there_is_no_visitor_and_nothing_to_count(header: str | None) -> None:
    assert read_visitor(header, KEYS) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        OUTLINE,
        f"k2.{OUTLINE}.AAAAAAAAAAAAAAAAAAAAAA",
        sign(KEYS, "preview", OUTLINE),
        sign(KEYS, PURPOSE, OUTLINE).replace("v-0", "v-9"),
        sign(KEYS, PURPOSE, OUTLINE).replace("!7!", "!8!"),
        sign(read_keys("k1:another-secret-of-16"), PURPOSE, OUTLINE),
    ],
)
def test_a_forged_cookie_gives_no_visitor_and_is_counted(value: str) -> None:
    assert read_visitor(f"{COOKIE}={value}", KEYS) == (None, "visitor_cookie_forged")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1!v-1!v-0!1000!2000",
        OUTLINE.replace("2!", "1!", 1),
        OUTLINE.replace("2!", "3!", 1),
        OUTLINE.rpartition("!")[0],
        OUTLINE.replace("1000", "x"),
        OUTLINE.replace("2000", "-2"),
        OUTLINE.replace("!3!", "!!"),
        OUTLINE.replace("!7!", "!7.5!"),
    ],
)
def test_a_genuine_cookie_of_another_version_gives_no_visitor_and_is_counted(text: str) -> None:
    header = f"{COOKIE}={sign(KEYS, PURPOSE, text)}"
    assert read_visitor(header, KEYS) == (None, "visitor_cookie_unknown_version")


def test_a_first_visit_draws_an_id_that_is_also_the_unit() -> None:
    visitor = continue_visit(None, 5_000, lambda: "search", sixteen_bytes)
    name = "AAECAwQFBgcICQoLDA0ODw"
    assert visitor == Visitor(
        id=name, unit=name, session_ms=5_000, seen_ms=5_000, visits=1, views=1, referral="search", frozen=()
    )


def test_a_drawn_id_survives_the_cookie() -> None:
    visitor = continue_visit(None, 5_000, direct, lambda count: b"\xff" * count)
    assert read_visitor(write_visitor(visitor, KEYS).partition(";")[0], KEYS) == (visitor, None)


@pytest.mark.parametrize("idle_ms", [0, 1, SESSION_IDLE_MS, -5_000])
def test_a_view_within_thirty_minutes_continues_the_session(idle_ms: int) -> None:
    visitor = continue_visit(VISITOR, VISITOR.seen_ms + idle_ms, nobody_asks, sixteen_bytes)
    assert visitor == replace(VISITOR, seen_ms=VISITOR.seen_ms + idle_ms, views=8)


def test_a_view_after_thirty_idle_minutes_begins_a_session_of_the_same_visitor() -> None:
    now_ms = VISITOR.seen_ms + SESSION_IDLE_MS + 1
    visitor = continue_visit(VISITOR, now_ms, lambda: "email", sixteen_bytes)
    assert visitor == Visitor(
        id="v-1", unit="v-0", session_ms=now_ms, seen_ms=now_ms, visits=4, views=1, referral="email"
    )


def test_a_visit_counts_its_views_and_its_sessions() -> None:
    visitor, now_ms, seen = None, 1_000_000, []
    for wait_ms in (0, 5_000, SESSION_IDLE_MS, SESSION_IDLE_MS + 1, 60_000, 86_400_000):
        now_ms += wait_ms
        visitor = continue_visit(visitor, now_ms, direct, sixteen_bytes)
        seen.append((visitor.visits, visitor.views))
    assert seen == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]


def test_counts_stop_before_they_outgrow_the_cookie() -> None:
    busy = replace(VISITOR, visits=MOST_COUNTED, views=MOST_COUNTED)
    assert continue_visit(busy, busy.seen_ms, nobody_asks, sixteen_bytes).views == MOST_COUNTED
    later_ms = busy.seen_ms + SESSION_IDLE_MS + 1
    assert continue_visit(busy, later_ms, direct, sixteen_bytes).visits == MOST_COUNTED


def test_what_is_frozen_stays_with_the_visitor_over_sessions() -> None:
    # Its epoch says whether it still counts; one that lasts a day or for ever outlives the session.
    decision = ask(publish_hero(place("a", "b", epoch="forever")))
    visitor = remember(VISITOR, [decision])
    later_ms = VISITOR.seen_ms + SESSION_IDLE_MS + 1
    assert continue_visit(visitor, later_ms, direct, sixteen_bytes).frozen == (frozen_of(decision),)


def test_decisions_read_the_session_of_the_visitor() -> None:
    assert VISITOR.as_session({"topic": "coats"}) == Session(
        started_ms=1_000, views=7, visits=3, referral="social", preferences={"topic": "coats"}
    )


@pytest.mark.parametrize(
    ("said", "preferences"),
    [
        ("topic:coats", {"topic": "coats"}),
        ("topic:coats.size:XL_2.kind-of:a-b", {"topic": "coats", "size": "XL_2", "kind-of": "a-b"}),
        ("a:1.b:2.c:3.d:4", {"a": "1", "b": "2", "c": "3"}),
        ("topic:coats.topic:hats", {"topic": "hats"}),
        ("topic", {}),
        ("topic:", {}),
        (":coats", {}),
        ("topic:a:b", {}),
        ("topic:a b", {}),
        ("tópic:a.x:y", {"x": "y"}),
        ("topic:<script>.x:y", {"x": "y"}),
        (f"{'q' * 40}:{'a' * 40}", {"q" * 40: "a" * 40}),
        (f"{'q' * 41}:a.x:{'a' * 41}", {}),
        ("..", {}),
        ("", {}),
    ],
)
def test_what_the_visitor_declared_is_read_in_part_or_whole(said: str, preferences: dict[str, str]) -> None:
    assert read_preferences(f"a=1; {PREFERENCES_COOKIE}={said}; b=2") == preferences


@pytest.mark.parametrize("header", [None, "", "a=1", "usher-saidx=topic:coats"])
def test_a_visitor_who_declared_nothing_has_no_preferences(header: str | None) -> None:
    assert read_preferences(header) == {}
