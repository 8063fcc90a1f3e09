"""Decisions in the visitor's cookie: what is kept, what comes back, and that it never outgrows a cookie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.decision import Decision, Frozen, preview
from shared.session import Left, Session, Viewed, fold, start, write_session
from shared.signing import read_keys, sign
from shared.snapshot import Snapshot
from tests.asking import (
    Record,
    ask,
    frozen_of,
    holdout_unit,
    place,
    profile_of,
    publish,
    publish_hero,
    situation_of,
    variant,
)
from worker.cookies import COOKIE
from worker.kept import drop_ended
from worker.visitor import MAX_COOKIE, PURPOSE, Visitor, continue_visit, read_visitor, remember, write_visitor

KEYS = read_keys("k2:0123456789abcdef,k1:fedcba9876543210")
VISITOR = Visitor("v" * 22, "u" * 22, Session(started_ms=5, seen_ms=6))
VERSION = "20261122T154000000Z-0123456789ab"
SITE = publish_hero(place("a", "b"))


def kept(visitor: Visitor) -> Visitor:
    cookie = write_visitor(visitor, KEYS)[0].partition(";")[0]
    read, problem = read_visitor(cookie, KEYS)
    assert read is not None and problem is None
    return read


def frozen(touchpoint: str = "hero", **changes: Any) -> Frozen:
    fields: dict[str, Any] = {
        "touchpoint": touchpoint,
        "epoch": "session 5",
        "excluded": "",
        "variants": ("craft",),
        "propensities": (0.1 + 0.2,),
        "level": "segment",
        "cell": "vip",
        "snapshot": VERSION,
        "randomised": True,
        **changes,
    }
    return Frozen(**fields)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "session 5"},
        {"epoch": "session 4"},
        {"epoch": "day 19000"},
        {"epoch": "week 3"},
        {"epoch": "snapshot v_1"},
        {"epoch": "forever"},
        {"excluded": "0eab8a0a"},
        {"variants": ("a", "b.c", "d_e-f"), "propensities": (0.5, 1e-9, 1.0), "is_slate": True},
        {"variants": ("a",), "propensities": (1.0,), "is_slate": True},
        {"propensities": (5e-324,)},
        {"propensities": (1.0,)},
        {"level": "individual", "cell": ""},
        {"level": "cluster", "cell": "km-7"},
        {"level": "global", "cell": "", "randomised": False},
        {"level": "segment", "cell": "plan:gold", "randomised": False},
    ],
)
def test_a_frozen_decision_comes_back_from_the_cookie_to_the_last_bit(change: dict[str, Any]) -> None:
    visitor = replace(VISITOR, frozen=(frozen("pick"), frozen(**change)))
    assert kept(visitor) == visitor


def test_decisions_of_several_snapshots_come_back_each_with_its_own() -> None:
    versions = ["v1", "v2", "v1", VERSION]
    visitor = replace(VISITOR, frozen=tuple(frozen(f"t{i}", snapshot=each) for i, each in enumerate(versions)))
    assert [each.snapshot for each in kept(visitor).frozen] == versions


def decide_again(site: Snapshot, decision: Decision) -> Decision:
    [again] = kept(remember(VISITOR, [decision])).frozen
    return ask(site, decision.unit, frozen=again)


def test_the_cookie_keeps_all_that_a_repeated_decision_logs() -> None:
    hero = place("a", "b", "c", finest="individual", models=["m"], slots=2)
    site = publish_hero(hero, version=VERSION)
    scores: dict[tuple[str, str], Record] = {("hero", "m"): {"means": [0.0, 0.2, 0.1], "sds": [1.0, 1.0, 1.0]}}
    for profile in (None, profile_of(scores=scores)):
        first = ask(site, profile=profile)
        again = decide_again(publish_hero(hero, version="later"), first)
        for name in ("variant", "propensity", "snapshot", "level", "cell", "randomised", "slate", "slate_propensities"):
            assert getattr(again, name) == getattr(first, name), name
        assert again.reason == "kept"


def test_a_redraw_is_not_randomised_on_later_views_either() -> None:
    redrawn = ask(SITE, frozen=frozen(variants=("gone",)))
    assert not redrawn.randomised
    assert not decide_again(SITE, redrawn).randomised


def test_what_was_not_drawn_is_not_frozen_and_leaves_what_was(site: Snapshot) -> None:
    # A variant that is eligible again later in the epoch is drawn with a u that is known to be used up.
    nobody = publish_hero(place(variant("a", condition={"device": "watch"})))
    for undrawn in (ask(site, holdout_unit(site)), ask(nobody)):
        assert remember(VISITOR, [undrawn]).frozen == ()
        before = replace(VISITOR, frozen=(frozen(), frozen("pick")))
        assert remember(before, [undrawn]) == before


def test_the_cookie_keeps_for_which_eligible_sets_an_epoch_has_drawn() -> None:
    visitor = replace(VISITOR, frozen=(frozen(excluded="0eab8a0a", earlier=("", "12345678")),))
    assert kept(visitor) == visitor


def test_a_preview_leaves_what_is_frozen_as_it_was() -> None:
    before = replace(VISITOR, frozen=(frozen(),))
    assert remember(before, [preview("hero", 1, situation_of(SITE))]) == before
    assert remember(VISITOR, [preview("hero", 1, situation_of(SITE))]) == VISITOR


def test_a_repeated_decision_stays_as_it_was_frozen() -> None:
    first = ask(SITE)
    visitor = remember(VISITOR, [first])
    assert remember(visitor, [ask(SITE, frozen=frozen_of(first))]) == visitor


def test_a_new_decision_replaces_that_of_its_touchpoint_and_no_other() -> None:
    before = replace(VISITOR, frozen=(frozen(), frozen("pick")))
    after = remember(before, [ask(SITE)])
    assert after.frozen == (frozen_of(ask(SITE)), frozen("pick"))


def twenty(slots: int = 1) -> tuple[list[str], Snapshot]:
    """Twenty touchpoints with names as a shop gives them, all targeted, all at the individual level."""
    names = [f"category-page-recommendation-row-{i}" for i in range(20)]
    variants = [variant(f"2026-autumn-collection-teaser-{kind}") for kind in ("coats", "shoes", "hats")]
    hidden = variant("staff-only", condition={"plan": "staff"})
    hero = place(*variants, hidden, slots=slots)
    even: Record = {"means": [0.0] * 4, "sds": [1.0] * 4, "probabilities": [0.25] * 4}
    records = {f"touchpoint:{name}": hero for name in names}
    segment = "returning-visitors-with-basket"
    cells = {f"cell:{name}:segment:{segment}": even for name in names}
    header: Record = {"version": VERSION, "segments": [{"name": segment, "condition": {}}]}
    return names, publish({**records, **cells}, **header)


def largest_session(now_ms: int) -> Session:
    """A state of which nothing can be longer: some thousand characters."""
    names = [f"{i:02}{'-' * 22}" for i in range(12)]
    session = start(Viewed(now_ms, "view-000000", names[0], "campaign"))
    for i in range(1, 40):
        session = fold(session, Viewed(now_ms, f"view-{i:06}", names[i % 12]))
        session = fold(session, Left(f"view-{i:06}", 100, 3_600))
    session.categories = {name: (each[0], 999, 999, 999, 999, 999) for name, each in session.categories.items()}
    session.views = session.visits = session.engaged_s = session.pages_read = 1_000_000
    session.earlier = (1_000_000, 1_000_000, 1_000_000)
    session.preferences = {letter * 40: "-" * 40 for letter in "abc"}
    return session


def whole(visitor: Visitor) -> tuple[Visitor, str | None]:
    """The visitor as the next request has it, and what was counted; the cookie is within what browsers keep."""
    cookie, problem = write_visitor(visitor, KEYS)
    assert len(cookie.encode()) <= MAX_COOKIE < 4_096
    return kept(visitor), problem


@pytest.mark.parametrize("session", [Session(started_ms=1_800_000_000_000), largest_session(1_800_000_000_000)])
def test_twenty_touchpoints_fit_into_the_cookie(session: Session) -> None:
    names, site = twenty()
    full = remember(replace(VISITOR, session=session), [ask(site, touchpoint=name, session=session) for name in names])
    assert whole(full) == (full, None)
    assert [each.touchpoint for each in kept(full).frozen] == names


@pytest.mark.parametrize("session", [VISITOR.session, largest_session(1_700_000_000_000)])
def test_twenty_decisions_made_in_other_epochs_fit_as_well(session: Session) -> None:
    names = [f"category-page-row-{i}" for i in range(20)]
    epochs = ["day 20000", "week 2857", f"snapshot {VERSION}", "forever", "session 1700000000000"]
    decisions = tuple(frozen(name, epoch=epochs[i % 5]) for i, name in enumerate(names))
    visitor = replace(VISITOR, session=session, frozen=decisions)
    assert whole(visitor) == (visitor, None)


def is_marker(each: Frozen) -> bool:
    return each.variants == ()


@pytest.mark.parametrize("length", [1, 10, 20])
def test_what_does_not_fit_in_full_leaves_a_marker(length: int) -> None:
    many = tuple(frozen(f"{i:03}{'t' * length}", cell="c" * 60, excluded="0eab8a0a") for i in range(45))
    back, problem = whole(replace(VISITOR, frozen=many))
    assert problem is None
    assert [(each.touchpoint, each.epoch, each.excluded) for each in back.frozen] == [
        (each.touchpoint, each.epoch, each.excluded) for each in many
    ]
    count = [is_marker(each) for each in back.frozen].index(True)
    assert back.frozen[:count] == many[:count]
    assert 15 < count < 45
    assert all(is_marker(each) for each in back.frozen[count:])


@pytest.mark.parametrize("length", [1, 20, 60, 100])
def test_what_leaves_no_marker_either_is_counted(length: int) -> None:
    many = tuple(frozen(f"{i:03}{'t' * length}", cell="c" * length) for i in range(400))
    back, problem = whole(replace(VISITOR, frozen=many))
    assert problem == "cookie_full"
    fulls = [each for each in back.frozen if not is_marker(each)]
    assert fulls == list(many[: len(fulls)])
    assert 10 < len(fulls) < len(back.frozen) < 400


def test_decisions_of_many_snapshots_never_exceed_a_cookie() -> None:
    many = tuple(frozen(f"touchpoint-{i}", epoch="forever", snapshot=f"{i:03}-{VERSION}") for i in range(60))
    back, problem = whole(replace(VISITOR, frozen=many))
    assert problem is None
    assert [each.touchpoint for each in back.frozen] == [each.touchpoint for each in many]


def test_a_key_with_a_long_name_leaves_less_room_and_no_larger_cookie() -> None:
    many = tuple(frozen(f"touchpoint-{i}") for i in range(200))
    keys = read_keys(f"{'k' * 500}:0123456789abcdef")
    cookie, problem = write_visitor(replace(VISITOR, frozen=many), keys)
    assert (MAX_COOKIE - 60 < len(cookie) <= MAX_COOKIE, problem) == (True, "cookie_full")


def test_a_marker_stays_one_and_keeps_what_the_epoch_has_drawn_for() -> None:
    marker = frozen(variants=(), propensities=(), level="none", cell="", snapshot="", randomised=False)
    marker = replace(marker, excluded="0eab8a0a", earlier=("", "12345678"))
    visitor = replace(VISITOR, frozen=(marker, frozen("pick")))
    assert whole(visitor) == (visitor, None)


def test_a_draw_that_finds_a_marker_is_no_fresh_one_and_draws_the_same() -> None:
    site = publish_hero(place("a", "b", "c"))
    first = ask(site)
    many = tuple(frozen(f"{i:03}") for i in range(100))
    back = kept(replace(VISITOR, frozen=(*many, frozen_of(first))))
    [marker] = [each for each in back.frozen if each.touchpoint == "hero"]
    assert is_marker(marker)
    again = ask(site, frozen=marker)
    assert first.randomised and not again.randomised
    assert (again.variant, again.propensity, again.reason) == (first.variant, first.propensity, first.reason)
    # In another epoch, and for other variants, a draw is fresh.
    assert ask(site, session=Session(started_ms=6), frozen=marker).randomised
    targeted = publish_hero(place("a", "b", variant("c", condition={"device": "watch"})))
    assert ask(targeted, frozen=marker).randomised
    [later] = remember(replace(VISITOR, frozen=(marker,)), [again]).frozen
    assert not is_marker(later) and not later.randomised


def test_what_was_decided_now_is_kept_before_what_is_older() -> None:
    old = replace(VISITOR, frozen=tuple(frozen(f"old-touchpoint-{i}", cell="c" * 80) for i in range(100)))
    now = kept(remember(old, [ask(SITE)]))
    assert now.frozen[0] == frozen_of(ask(SITE))


def test_an_epoch_of_a_kind_that_this_version_does_not_know_may_last() -> None:
    assert drop_ended([frozen(epoch="month 3")], 10**12) == (frozen(epoch="month 3"),)


@pytest.mark.parametrize(
    "part",
    [
        "hero",
        "a*b",
        "hero*s**craft*much*s*vip*0",
        "hero*s**craft*0.5*x*vip*0",
        "hero*s**craft*0.5**vip*0",
        "hero*s**craft*0.5*s*vip*7",
        "hero*s**craft*0.5*s*vip*zero",
        "hero*s**craft*0.5*s*vip*0*more",
        "*******",
    ],
)
def test_a_part_of_another_version_is_passed_over(part: str) -> None:
    good = "pick*s**craft*0.5*s*vip*0"
    text = f"3!v!u!{write_session(VISITOR.session)}!{VERSION}!{part}!{good}"
    visitor, problem = read_visitor(f"{COOKIE}={sign(KEYS, PURPOSE, text)}", KEYS)
    assert problem is None
    expected = frozen("pick", propensities=(0.5,))
    assert visitor == Visitor("v", "u", VISITOR.session, (expected,))


def unpacked(visitor: Visitor) -> Visitor:
    return replace(visitor, packed="")


@pytest.mark.parametrize("count", [0, 1, 3, 20, 45])
def test_decisions_that_have_not_changed_are_written_as_they_stood_in_the_cookie(count: int) -> None:
    decisions = [frozen(f"row-{i}", snapshot=f"v{i % 3}", earlier=("",) * (i % 2)) for i in range(count)]
    slate = frozen("slate", variants=("a", "b"), propensities=(0.5, 0.25), is_slate=True)
    read = kept(replace(VISITOR, frozen=(*decisions, slate) if count else ()))
    assert bool(read.packed) is bool(count)
    for visitor in (read, replace(read, reported=("a", "b")), continue_visit(read, [], Viewed(7, "pv-1"), bytes)):
        assert visitor.packed == read.packed
        assert write_visitor(visitor, KEYS) == write_visitor(unpacked(visitor), KEYS)


def test_decisions_are_packed_anew_where_one_has_changed_or_the_visit_has_ended() -> None:
    read = kept(replace(VISITOR, frozen=(frozen("pick"), frozen(epoch="forever"))))
    later = continue_visit(read, [], Viewed(86_400_000, "pv-1"), bytes)
    assert (later.packed, [each.epoch for each in later.frozen]) == ("", ["forever"])
    again = remember(read, [ask(SITE)])
    assert again.frozen != read.frozen and again.packed == ""
    assert remember(read, [preview("pick", 0, situation_of(publish({"touchpoint:pick": place("a")})))]) is read
    without = replace(read, frozen=())
    assert write_visitor(without, KEYS) == write_visitor(unpacked(without), KEYS)


def test_a_part_that_could_not_be_read_is_not_written_again() -> None:
    text = write_visitor(replace(VISITOR, frozen=(frozen("pick"),)), KEYS)[0].partition(";")[0].partition("=")[2]
    inside = text.split(".", 1)[1].rpartition(".")[0]
    read, problem = read_visitor(f"{COOKIE}={sign(KEYS, PURPOSE, inside + '!hero*s**a*x*s**0')}", KEYS)
    assert read is not None and problem is None
    assert ([each.touchpoint for each in read.frozen], read.packed) == (["pick"], "")


def test_decisions_are_packed_anew_where_the_room_has_shrunk() -> None:
    names = [f"category-page-recommendation-row-{i}" for i in range(30)]
    full = kept(replace(VISITOR, frozen=tuple(frozen(name) for name in names)))
    grown = replace(full, session=largest_session(full.session_ms))
    assert write_visitor(grown, KEYS) == write_visitor(unpacked(grown), KEYS)
    assert len(write_visitor(grown, KEYS)[0]) <= MAX_COOKIE
