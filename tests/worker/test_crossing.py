"""What the devices of a person have in common: an epoch, and the draws that one of them has made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.decision import Decision, Frozen, digest_excluded
from shared.profile import Draw, Profile, write_profile
from shared.session import Session
from shared.situation import DAY_MS, PROFILE_TTL_MS
from shared.snapshot import Snapshot
from tests.asking import cell, place, publish, variant
from worker.crossing import adopt_draws
from worker.page_view import PageRequest, PageView
from worker.visitor import Visitor

NOON_MS = 20_000 * DAY_MS + DAY_MS // 2
HOUR_MS = DAY_MS // 24
UNITS = [f"u-{k}" for k in range(400)]
DRAW = Draw("hero", "forever", (), ("b",), (0.25,), "global", "", "v0", randomised=True, is_slate=False)
BEGINS, GOES_ON = Session(started_ms=NOON_MS, visits=2, views=1), Session(started_ms=NOON_MS, visits=2, views=2)
OWN = Frozen("hero", "forever", "", ("c",), (0.5,), "segment", "vip", "v9", True, earlier=("0eab8a0a",))


def shop(epoch: str, *means: float, version: str = "v1") -> Snapshot:
    late = variant("e", condition={"device": "tv"})
    records = {
        "touchpoint:hero": place(*"abcd", late, epoch=epoch),
        "cell:hero:global:": cell([*(means or [0.0] * 4), 0.0]),
    }
    return publish(records, version=version, has_profiles=True, pages={"hero": ["/"]})


def known(unit: str, *draws: Draw, several: bool = True, computed_ms: int = NOON_MS) -> Profile:
    header = {"unit": unit, "version": "p", "computed_ms": computed_ms, "cluster": "", "attributes": {}}
    said = [{name: getattr(draw, name) for name in Draw.__slots__} for draw in draws]
    return Profile.from_text(write_profile({**header, "several_devices": several, "draws": said}, {}))


def come(
    site: Snapshot,
    visitor: Visitor,
    profile: Profile | None,
    now_ms: int = NOON_MS,
    *,
    views: int = 1,
    started_ms: int | None = None,
    device: str = "mobile",
) -> PageView:
    """A page view of a session that began at that moment, or at another."""
    session = Session(started_ms=now_ms if started_ms is None else started_ms, visits=2, views=views)
    request = PageRequest(
        id="pv", names=["hero"], snapshot=site, visitor=replace(visitor, session=session), session=session,
        context={"device": device}, forced={}, now_ms=now_ms, is_shown=True, user_agent="",
    )  # fmt: skip
    return PageView(request, profile)


def shown(view: PageView) -> Decision:
    return view.plan.slots[0].decision


def draw_of(decision: Decision) -> Draw:
    """What the origin publishes of a decision."""
    return Draw(
        decision.touchpoint, decision.epoch, decision.excluded, (decision.variant,), (decision.propensity,),
        decision.level, decision.cell, decision.snapshot, decision.randomised, is_slate=False,
    )  # fmt: skip


def two_devices(unit: str) -> tuple[Visitor, Visitor]:
    """The earliest visitor of a person, and a phone that has not yet taken over its unit."""
    return Visitor(unit, unit, BEGINS), Visitor(f"phone-{unit}", f"phone-{unit}", BEGINS)


def count_differing(site: Snapshot, later_site: Snapshot, *, several: bool = True, adopts: bool = False) -> int:
    """Of how many persons the phone shows something else three hours after the first device."""
    differing = 0
    for unit in UNITS:
        first, phone = two_devices(unit)
        here = shown(come(site, first, known(unit, several=several)))
        draws = [draw_of(here)] if adopts else []
        there = shown(come(later_site, phone, known(unit, *draws, several=several), NOON_MS + 3 * HOUR_MS))
        assert here.unit == there.unit == unit
        differing += here.variant != there.variant
    return differing


@pytest.mark.parametrize("epoch", ["session", "day", "week", "snapshot", "forever"])
def test_devices_of_one_person_show_the_same_in_sessions_of_the_same_day(epoch: str) -> None:
    assert count_differing(shop(epoch), shop(epoch)) == 0


def test_sessions_of_different_visitors_have_epochs_of_their_own() -> None:
    """Without the mark, devices agree by chance: of four variants in a quarter of all cases."""
    assert count_differing(shop("session"), shop("session"), several=False) > len(UNITS) / 2


@pytest.mark.parametrize("epoch", ["session", "day", "week", "forever"])
def test_a_posterior_that_moved_meanwhile_separates_few_and_none_that_repeat_the_draw(epoch: str) -> None:
    before, after = shop(epoch), shop(epoch, 1.0, 0.0, 0.0, -0.5, version="v2")
    [old], [new] = ([shown(come(site, two_devices("u")[0], known("u")))] for site in (before, after))
    variation = sum(abs(x - y) for x, y in zip(old.probabilities, new.probabilities, strict=True)) / 2
    bound = 2 * variation / (1 + variation)
    spread = 4.5 * (bound * (1 - bound) / len(UNITS)) ** 0.5
    assert 0 < count_differing(before, after) / len(UNITS) <= bound + spread
    assert count_differing(before, after, adopts=True) == 0


def test_a_draw_that_is_repeated_is_that_of_the_other_device_and_kept() -> None:
    first, phone = two_devices("u-1")
    here = shown(come(shop("session"), first, known("u-1")))
    view = come(shop("session", 9.0, 0.0, 0.0, 0.0, version="v2"), phone, known("u-1", draw_of(here)))
    there = shown(view)
    assert (there.reason, there.randomised, there.epoch) == ("kept", True, "day 20000")
    assert (there.variant, there.propensity, there.snapshot) == (here.variant, here.propensity, "v1")
    again = come(shop("session", version="v3"), view.visitor, None, NOON_MS + 60_000, views=2, started_ms=NOON_MS)
    assert (shown(again).reason, shown(again).variant) == ("kept", here.variant)


def test_what_a_stale_profile_says_of_draws_is_not_believed() -> None:
    old = known("u-1", replace(DRAW, epoch="day 20000"), computed_ms=NOON_MS - PROFILE_TTL_MS - 1)
    view = come(shop("session"), two_devices("u-1")[0], old)
    assert (shown(view).reason, shown(view).epoch) == ("global", f"session {NOON_MS}")


@pytest.mark.parametrize("knew", [True, False])
def test_a_profile_that_is_missing_on_some_pages_of_a_session_changes_no_variant(knew: bool) -> None:
    site = shop("session", 0.5, 0.0, 0.0, 0.0)
    for unit in UNITS[:40]:
        profile = known(unit)
        first = come(site, two_devices(unit)[0], profile if knew else None)
        second = come(
            site, first.visitor, None if knew else profile, NOON_MS + HOUR_MS // 6, views=2, started_ms=NOON_MS
        )
        assert shown(second).reason == "kept"
        assert (shown(second).variant, shown(second).epoch) == (shown(first).variant, shown(first).epoch)


def test_a_session_that_goes_on_past_midnight_keeps_its_day_and_the_next_begins_another() -> None:
    site, late_ms = shop("session"), 20_001 * DAY_MS - HOUR_MS // 4
    first = come(site, two_devices("u-1")[0], known("u-1"), late_ms)
    past = come(site, first.visitor, known("u-1"), late_ms + HOUR_MS // 2, views=2, started_ms=late_ms)
    assert (shown(past).reason, shown(past).epoch) == ("kept", "day 20000")
    next_day = come(site, past.visitor, known("u-1"), late_ms + 3 * HOUR_MS)
    assert (shown(next_day).reason, shown(next_day).epoch) == ("global", "day 20001")
    assert shown(next_day).randomised


def test_another_eligible_set_is_another_draw_that_devices_make_alike() -> None:
    site = shop("forever")
    phone = come(site, two_devices("u-1")[1], known("u-1"))
    screen = known("u-1", draw_of(shown(phone)))
    first = come(site, two_devices("u-1")[0], screen, device="tv")
    assert (shown(phone).excluded, shown(first).excluded) == (("e",), ())
    assert shown(first).randomised and shown(first).reason != "kept"
    again = come(site, first.visitor, screen, NOON_MS + 9 * DAY_MS, device="tv")
    assert (shown(again).reason, shown(again).variant) == ("kept", shown(first).variant)


@pytest.mark.parametrize(
    ("own", "session", "expected"),
    [
        (None, BEGINS, "b"),
        (None, GOES_ON, "b"),
        (OWN, BEGINS, "b"),
        (OWN, GOES_ON, "c"),
        (replace(OWN, excluded="0eab8a0a"), BEGINS, "c"),
        (replace(OWN, epoch="week 3"), BEGINS, "b"),
        (replace(OWN, epoch="week 3"), GOES_ON, "c"),
    ],
)
def test_a_session_begins_with_the_persons_draws_and_then_only_fills_gaps(
    own: Frozen | None, session: Session, expected: str
) -> None:
    other = replace(OWN, touchpoint="pick")
    [kept, adopted] = sorted(
        adopt_draws((other,) if own is None else (own, other), session, [DRAW]), key=lambda each: each.touchpoint
    )[::-1]
    assert kept == other
    assert adopted.variants == (expected,)
    if expected == "c":
        assert adopted == own


def test_the_digests_of_what_was_drawn_before_in_the_epoch_outlast_the_adoption() -> None:
    draw = replace(DRAW, excluded=("e",))
    [adopted] = adopt_draws((replace(OWN, excluded=digest_excluded(("e",))),), BEGINS, [draw])
    assert (adopted.variants, adopted.earlier) == (("b",), ("0eab8a0a",))
    [fresh] = adopt_draws((), BEGINS, [draw])
    assert fresh == Frozen("hero", "forever", digest_excluded(("e",)), ("b",), (0.25,), "global", "", "v0", True)
