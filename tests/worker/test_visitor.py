"""The visitor's cookie: who it is, which keys it holds by, and what earlier versions wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.session import Declared, Event, Left, Session, Viewed, fold, start
from shared.session.fold import DAY_MS, SESSION_IDLE_MS
from shared.signing import Keys, read_keys, sign
from tests.asking import ask, frozen_of, place, publish_hero
from worker.cookies import COOKIE
from worker.kept import read_decisions
from worker.visitor import (
    MAX_AGE_S,
    PURPOSE,
    Visitor,
    continue_visit,
    read_visitor,
    remember,
    write_visitor,
)

KEYS = read_keys("k2:0123456789abcdef,k1:fedcba9876543210")
T_MS = 1_700_000_000_000
SESSION = fold(
    fold(start(Viewed(T_MS, "view-000001", "pricing", "social")), Left("view-000001", 95, 40)),
    Declared({"topic": "coats"}),
)
VISITOR = Visitor("v-1", "v-0", SESSION)
OUTLINE = f"3!v-1!v-0!{T_MS}.{T_MS}.1.1.0.40.95.1.0.0.0.social~apricing.1.1.8.0.0~a~000001a5f0284~topic:coats!"


def sixteen_bytes(count: int) -> bytes:
    return bytes(range(count))


def cookie_of(visitor: Visitor, keys: Keys = KEYS) -> str:
    """The pair of name and value that a browser sends back."""
    cookie, problem = write_visitor(visitor, keys)
    assert problem is None
    return cookie.partition(";")[0]


def signed(text: str) -> str:
    return f"{COOKIE}={sign(KEYS, PURPOSE, text)}"


def view(after_ms: int = 60_000, category: str = "") -> Viewed:
    return Viewed(T_MS + after_ms, "view-000002", category, "email")


def test_a_visitor_survives_the_cookie() -> None:
    assert cookie_of(VISITOR).partition("=")[2].split(".", 1)[1].startswith(OUTLINE)
    assert read_visitor(f"other=1; {cookie_of(VISITOR)}; more=2", KEYS) == (VISITOR, None)
    assert VISITOR.session_ms == T_MS


def test_what_the_client_had_reported_survives_the_cookie_beside_decisions_or_without() -> None:
    visitor = replace(VISITOR, reported=("00001a", "_-_-_-", "b"))
    assert read_visitor(cookie_of(visitor), KEYS) == (visitor, None)
    assert f"{OUTLINE}!?00001a~_-_-_-~b." in cookie_of(visitor)
    decided = remember(visitor, [ask(publish_hero(place("a", "b")))])
    assert read_visitor(cookie_of(decided), KEYS) == (decided, None)
    # Versions that do not know of it read all parts as decisions.
    assert read_decisions(["v1", "?00001a~_-_-_-~b"], T_MS) == ()


def test_the_cookie_is_first_party_secure_and_out_of_reach_of_scripts() -> None:
    _, *attributes = write_visitor(VISITOR, KEYS)[0].split("; ")
    assert attributes == ["Path=/", f"Max-Age={MAX_AGE_S}", "Secure", "HttpOnly", "SameSite=Lax"]
    assert cookie_of(VISITOR).startswith("__Host-")


def test_keys_are_rotated_without_losing_a_visitor() -> None:
    first = read_keys("k1:fedcba9876543210")
    both = read_keys("k2:0123456789abcdef,k1:fedcba9876543210")
    second = read_keys("k2:0123456789abcdef")
    cookie = cookie_of(VISITOR, first)
    visitor, problem = read_visitor(cookie, both)
    assert (visitor, problem) == (VISITOR, None)
    assert visitor is not None
    renewed = cookie_of(visitor, both)
    assert renewed.startswith(f"{COOKIE}=k2.")
    assert read_visitor(renewed, second) == (VISITOR, None)
    # Who was away for as long as the old key was in use starts anew.
    assert read_visitor(cookie, second) == (None, "visitor_cookie_forged")


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
        sign(KEYS, PURPOSE, OUTLINE).replace("pricing.1", "pricing.2"),
        sign(KEYS, PURPOSE, OUTLINE).replace("k2.", "k1."),
        sign(read_keys("k1:another-secret-of-16"), PURPOSE, OUTLINE),
    ],
)
def test_a_forged_cookie_gives_no_visitor_and_is_counted(value: str) -> None:
    assert read_visitor(f"{COOKIE}={value}", KEYS) == (None, "visitor_cookie_forged")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "1!v-1!v-0!1000!2000",
        OUTLINE.replace("3!", "4!", 1),
        OUTLINE.rpartition("!")[0],
        OUTLINE.replace(".social", ".x.social"),
        OUTLINE.replace("~a~", "~"),
        "2!v-1!v-0!1000!2000!3!7!social",
        "2!v-1!v-0!x!2000!3!7!social!",
        "2!v-1!v-0!1000!-2!3!7!social!",
        "2!v-1!v-0!1000!2000!!7!social!",
        "2!v-1!v-0!1000!2000!3!7.5!social!",
        "2!v-1!v-0",
    ],
)
def test_a_genuine_cookie_of_another_version_gives_no_visitor_and_is_counted(text: str) -> None:
    assert read_visitor(signed(text), KEYS) == (None, "visitor_cookie_unknown_version")


def test_a_cookie_of_the_version_before_keeps_its_visitor_session_and_decisions() -> None:
    decision = frozen_of(ask(publish_hero(place("a", "b")), session=Session(started_ms=1000)))
    part = f"hero*s**{decision.variants[0]}*{decision.propensities[0]!r}*g**0"
    visitor, problem = read_visitor(signed(f"2!v-1!v-0!1000!2000!3!7!social!v1!{part}"), KEYS)
    session = Session(started_ms=1000, seen_ms=2000, views=7, visits=3, referral="social")
    assert (visitor, problem) == (Visitor("v-1", "v-0", session, (decision,)), None)
    assert visitor is not None
    going_on = continue_visit(visitor, [], Viewed(62_000, "view-000001", "pricing"), sixteen_bytes)
    assert (going_on.session_ms, going_on.session.views, going_on.frozen) == (1000, 8, (decision,))
    assert read_visitor(cookie_of(going_on), KEYS) == (going_on, None)


def test_a_first_visit_draws_an_id_that_is_also_the_unit() -> None:
    name = "AAECAwQFBgcICQoLDA0ODw"
    assert continue_visit(None, [], view(), sixteen_bytes) == Visitor(name, name, start(view()))


def test_a_drawn_id_survives_the_cookie() -> None:
    visitor = continue_visit(None, [], view(), lambda count: b"\xff" * count)
    assert read_visitor(cookie_of(visitor), KEYS) == (visitor, None)


@pytest.mark.parametrize("known", [None, VISITOR])
def test_what_the_client_left_is_folded_with_the_view(known: Visitor | None) -> None:
    reports: list[Event] = [Left("view-000001", 100, 60), Declared({"size": "xl"})]
    visitor = continue_visit(known, reports, view(), sixteen_bytes)
    assert visitor.session.preferences == {"size": "xl"}
    assert (visitor.session.views, visitor.session.engaged_s) == ((1, 0) if known is None else (2, 60))


def test_what_was_left_of_a_visit_that_is_over_counts_for_that_visit() -> None:
    visitor = continue_visit(VISITOR, [Left("view-000001", 100, 60)], view(2 * DAY_MS), sixteen_bytes)
    assert (visitor.session.visits, visitor.session.away_days, visitor.session.engaged_s) == (2, 2, 0)
    assert visitor.session.earlier == (1, 60, 1)


@pytest.mark.parametrize(
    ("epoch", "is_kept"),
    [
        ("forever", True),
        ("snapshot v1", True),
        (f"session {T_MS}", False),
        (f"day {(T_MS + DAY_MS) // DAY_MS}", True),
        (f"day {T_MS // DAY_MS}", False),
        (f"week {(T_MS + DAY_MS) // (7 * DAY_MS)}", True),
        (f"week {T_MS // (7 * DAY_MS) - 1}", False),
    ],
)
def test_decisions_whose_epoch_is_over_leave_the_cookie_when_a_visit_begins(epoch: str, is_kept: bool) -> None:
    frozen = replace(frozen_of(ask(publish_hero(place("a", "b")))), epoch=epoch)
    before = Visitor("v-1", "v-0", SESSION, (frozen,))
    assert continue_visit(before, [], view(SESSION_IDLE_MS), sixteen_bytes).frozen == (frozen,)
    assert continue_visit(before, [], view(DAY_MS), sixteen_bytes).frozen == ((frozen,) if is_kept else ())


def test_what_is_frozen_stays_with_the_visitor_over_sessions() -> None:
    # Its epoch says whether it still counts; one that lasts for ever outlives the session.
    decision = ask(publish_hero(place("a", "b", epoch="forever")))
    visitor = remember(VISITOR, [decision])
    assert continue_visit(visitor, [], view(DAY_MS), sixteen_bytes).frozen == (frozen_of(decision),)
