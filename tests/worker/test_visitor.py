from __future__ import annotations

import pytest

from shared.decision import Decision, Unit
from shared.signing import read_keys, sign
from worker.visitor import (
    COOKIE,
    MAX_AGE_S,
    PURPOSE,
    SESSION_IDLE_MS,
    Visitor,
    continue_visit,
    read_cookie,
    read_visitor,
    remember,
    without_cookie,
    write_visitor,
)

KEYS = read_keys("k2:0123456789abcdef,k1:fedcba9876543210")
VISITOR = Visitor(id="v-1", unit="v-0", session_ms=1_000, seen_ms=2_000)


def sixteen_bytes(count: int) -> bytes:
    return bytes(range(count))


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
        "1!v-1!v-0!1000!2000",
        "k2.1!v-1!v-0!1000!2000.AAAAAAAAAAAAAAAAAAAAAA",
        sign(KEYS, "preview", "1!v-1!v-0!1000!2000"),
        sign(KEYS, PURPOSE, "1!v-1!v-0!1000!2000").replace("v-0", "v-9"),
    ],
)
def test_a_forged_cookie_gives_no_visitor_and_is_counted(value: str) -> None:
    assert read_visitor(f"{COOKIE}={value}", KEYS) == (None, "visitor_cookie_forged")


@pytest.mark.parametrize("text", ["2!v-1!v-0!1000!2000", "1!v-1!v-0!1000", "1!v-1!v-0!x!2000", "1!v-1!v-0!1!-2", ""])
def test_a_genuine_cookie_of_another_version_gives_no_visitor_and_is_counted(text: str) -> None:
    header = f"{COOKIE}={sign(KEYS, PURPOSE, text)}"
    assert read_visitor(header, KEYS) == (None, "visitor_cookie_unknown_version")


def test_a_first_visit_draws_an_id_that_is_also_the_unit() -> None:
    visitor = continue_visit(None, 5_000, sixteen_bytes)
    assert visitor == Visitor(id=visitor.unit, unit="AAECAwQFBgcICQoLDA0ODw", session_ms=5_000, seen_ms=5_000)


def test_a_drawn_id_survives_the_cookie() -> None:
    visitor = continue_visit(None, 5_000, lambda count: b"\xff" * count)
    assert read_visitor(write_visitor(visitor, KEYS).partition(";")[0], KEYS) == (visitor, None)


@pytest.mark.parametrize("idle_ms", [0, 1, SESSION_IDLE_MS, -5_000])
def test_a_view_within_thirty_minutes_continues_the_session(idle_ms: int) -> None:
    visitor = continue_visit(VISITOR, VISITOR.seen_ms + idle_ms, sixteen_bytes)
    assert (visitor.session_ms, visitor.seen_ms) == (VISITOR.session_ms, VISITOR.seen_ms + idle_ms)


def test_a_view_after_thirty_idle_minutes_begins_a_session_of_the_same_visitor() -> None:
    now_ms = VISITOR.seen_ms + SESSION_IDLE_MS + 1
    visitor = continue_visit(VISITOR, now_ms, sixteen_bytes)
    assert visitor == Visitor(id="v-1", unit="v-0", session_ms=now_ms, seen_ms=now_ms)


def test_decisions_are_made_for_the_unit_and_not_for_the_visitor() -> None:
    assert VISITOR.as_unit() == Unit(id="v-0", session_ms=1_000)


def decided(touchpoint: str = "hero", **changes: object) -> Decision:
    fields: dict[str, object] = {
        "touchpoint": touchpoint,
        "unit": "u",
        "epoch": "session 5",
        "variant": "craft",
        "variant_index": 1,
        "propensity": 0.1 + 0.2,
        "eligible": ("house", "craft"),
        "excluded": (),
        "probabilities": (0.7, 0.3),
        "level": "segment",
        "cell": "vip",
        "holdout": False,
        "randomised": True,
        "relaxations": (),
        "reason": "chosen",
        "snapshot": "20261122T154000000Z-0123456789ab",
    }
    return Decision(**{**fields, **changes})  # type: ignore[arg-type]


def kept(visitor: Visitor) -> Visitor:
    cookie = write_visitor(visitor, KEYS).partition(";")[0]
    read, problem = read_visitor(cookie, KEYS)
    assert read is not None and problem is None
    return read


@pytest.mark.parametrize("epoch", ["session 5", "session 4", "day 19000", "week 3", "snapshot v_1", "forever"])
def test_a_frozen_decision_comes_back_from_the_cookie_to_the_last_bit(epoch: str) -> None:
    visitor = remember(Visitor(id="v", unit="u", session_ms=5, seen_ms=6), [decided(epoch=epoch, excluded=("a", "b"))])
    assert kept(visitor) == visitor
    [frozen] = visitor.frozen
    assert (frozen.epoch, frozen.variant, frozen.propensity) == (epoch, "craft", 0.30000000000000004)


def test_what_was_not_drawn_is_not_frozen() -> None:
    visitor = Visitor(id="v", unit="u", session_ms=5, seen_ms=6)
    assert remember(visitor, [decided(holdout=True, randomised=False)]).frozen == ()


def test_a_preview_leaves_what_is_frozen_as_it_was() -> None:
    visitor = remember(Visitor(id="v", unit="u", session_ms=5, seen_ms=6), [decided()])
    assert remember(visitor, [decided(variant="offer", reason="preview", randomised=False)]) == visitor


def test_a_new_decision_replaces_that_of_its_touchpoint_and_no_other() -> None:
    visitor = remember(Visitor(id="v", unit="u", session_ms=5, seen_ms=6), [decided("hero"), decided("pick")])
    changed = remember(visitor, [decided("hero", variant="offer")])
    assert {each.touchpoint: each.variant for each in changed.frozen} == {"hero": "offer", "pick": "craft"}


def test_twenty_touchpoints_fit_into_a_cookie_and_more_never_exceed_it() -> None:
    visitor = Visitor(id="v" * 22, unit="u" * 22, session_ms=1_800_000_000_000, seen_ms=1_800_000_000_000)
    many = remember(visitor, [decided(f"touchpoint-{i}") for i in range(60)])
    cookie = write_visitor(many, KEYS)
    assert len(cookie) <= 4_096
    assert len(kept(many).frozen) >= 20


@pytest.mark.parametrize("part", ["hero", "a*b*c", "hero*s**craft*much*global**v1", "*******"])
def test_a_part_of_another_version_is_passed_over(part: str) -> None:
    cookie = f"{COOKIE}={sign(KEYS, PURPOSE, f'1!v!u!5!6!{part}')}"
    visitor, problem = read_visitor(cookie, KEYS)
    assert visitor == Visitor(id="v", unit="u", session_ms=5, seen_ms=6)
    assert problem is None
