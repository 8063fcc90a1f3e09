"""One decision an epoch: what is frozen, what is repeated, and what a redraw says of itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from shared.decision import Frozen, freeze, preview
from shared.session import Session
from shared.situation import DAY_MS
from shared.snapshot import Snapshot
from tests.asking import (
    NOW_MS,
    Record,
    Records,
    ask,
    cell,
    frozen_of,
    holdout_unit,
    place,
    publish_hero,
    remade,
    situation_of,
    variant,
)

THREE = ("a", "b", "c")


def test_a_drawn_decision_is_frozen_with_all_that_its_repetition_tells(site: Snapshot) -> None:
    decision = ask(site, attributes={"device": "desktop", "plan": "gold"})
    frozen = frozen_of(decision)
    assert (frozen.touchpoint, frozen.epoch, frozen.snapshot) == ("hero", "session 5", "v1")
    assert (frozen.variants, frozen.propensities) == ((decision.variant,), (decision.propensity,))
    assert (frozen.level, frozen.cell, frozen.randomised) == ("segment", "vip", True)
    assert len(frozen.excluded) == 8
    assert frozen_of(ask(site)).excluded == ""


def test_what_was_not_drawn_is_not_frozen(site: Snapshot) -> None:
    assert freeze(ask(site, holdout_unit(site))) is None
    assert freeze(ask(site, touchpoint="banner")) is None
    assert freeze(preview("hero", 0, situation_of(site))) is None
    assert freeze(ask(site, frozen=frozen_of(ask(site)))) is None


@pytest.mark.parametrize("randomised", [True, False])
def test_a_frozen_decision_is_repeated_with_its_own_numbers(
    site_header: Record, site_records: Records, site: Snapshot, randomised: bool
) -> None:
    frozen = Frozen(
        touchpoint="hero",
        epoch="session 5",
        excluded="",
        variants=("craft",),
        propensities=(0.1 + 0.2,),
        level="segment",
        cell="vip",
        snapshot="v0",
        randomised=randomised,
    )
    later = remade(site_header, site_records, header_change={"version": "v2"})
    for snapshot in (site, later):
        again = ask(snapshot, frozen=frozen)
        assert (again.variant, again.variant_index, again.propensity) == ("craft", 2, 0.30000000000000004)
        assert (again.level, again.cell, again.snapshot) == ("segment", "vip", "v0")
        assert (again.randomised, again.holdout, again.reason) == (randomised, False, "kept")
        assert (again.distribution, again.eligible, again.excluded, again.probabilities) == (None, (), (), ())
        assert (again.fallbacks, again.relaxations, again.epoch) == ((), (), "session 5")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"epoch": "session 4"}, "the session is over"),
        ({"excluded": "0eab8a0a"}, "targeting had removed others"),
    ],
)
def test_a_frozen_decision_of_another_draw_is_made_anew_and_randomised(
    site: Snapshot, change: dict[str, Any], why: str
) -> None:
    frozen = replace(frozen_of(ask(site)), **change)
    assert ask(site, frozen=frozen) == ask(site), why
    assert ask(site).randomised


@pytest.mark.parametrize("variants", [("gone",), (), ("house", "offer")])
def test_a_redraw_within_the_same_draws_epoch_is_the_same_draw_and_not_randomised(
    site: Snapshot, variants: tuple[str, ...]
) -> None:
    # The variant vanished from the configuration, or the touchpoint turned from a slate into a single place.
    frozen = replace(frozen_of(ask(site)), variants=variants, propensities=(0.5,) * len(variants))
    again = ask(site, frozen=frozen)
    assert again == replace(ask(site), randomised=False)
    assert frozen_of(again).randomised is False
    assert ask(site, frozen=frozen_of(again)).randomised is False


def test_a_variant_that_vanished_is_redrawn_with_the_same_u_from_what_is_left() -> None:
    before = publish_hero(place(*THREE))
    after = publish_hero(place("a", "b"), version="v2")
    for k in range(100):
        first = ask(before, f"u-{k}")
        then = ask(after, f"u-{k}", frozen=frozen_of(first))
        if first.variant == "c":
            assert (then.randomised, then.snapshot, then.reason) == (False, "v2", "global")
            assert then.variant == ask(after, f"u-{k}").variant
        else:
            assert (then.variant, then.randomised, then.snapshot) == (first.variant, True, "v1")


def test_a_crossed_threshold_is_a_fresh_draw_within_the_session() -> None:
    late = variant("late", condition={"session.views": {"$gte": 3}})
    site = publish_hero(place("a", "b", late))
    first = ask(site, session=Session(started_ms=5, views=1))
    third = ask(site, session=Session(started_ms=5, views=3), frozen=frozen_of(first))
    assert (first.excluded, third.excluded) == (("late",), ())
    assert third.randomised
    assert third == ask(site, session=Session(started_ms=5, views=3))
    fourth = ask(site, session=Session(started_ms=5, views=4), frozen=frozen_of(third))
    assert (fourth.reason, fourth.variant) == ("kept", third.variant)


def test_the_holdout_stays_the_holdout_whatever_was_frozen(site: Snapshot) -> None:
    frozen = frozen_of(ask(site))
    assert ask(site, holdout_unit(site), frozen=frozen).reason == "holdout"


def test_the_frozen_decision_of_an_excluded_variant_is_not_repeated(site: Snapshot) -> None:
    # The digest fits, but the variant may not be shown: nothing that a cookie says overrides targeting.
    frozen = replace(frozen_of(ask(site, attributes={"device": "desktop"})), variants=("craft",))
    again = ask(site, attributes={"device": "desktop"}, frozen=frozen)
    assert again.variant != "craft"
    assert not again.randomised


@pytest.mark.parametrize("epoch", ["session", "day", "week", "snapshot", "forever"])
def test_without_the_cookie_the_decision_within_the_epoch_is_the_same(
    site_header: Record, site_records: Records, epoch: str
) -> None:
    site = remade(site_header, site_records, epoch=epoch)
    for k in range(100):
        first = ask(site, f"u-{k}")
        again = ask(site, f"u-{k}", now_ms=NOW_MS + 60_000)
        assert again == first
        frozen = freeze(first)
        if frozen is not None:
            kept = ask(site, f"u-{k}", now_ms=NOW_MS + 60_000, frozen=frozen)
            assert (kept.variant, kept.propensity) == (again.variant, again.propensity)


def test_what_is_frozen_forever_outlives_every_snapshot() -> None:
    before = publish_hero(place(*THREE, epoch="forever"))
    after = publish_hero(place(*THREE, epoch="forever"), cells={"global:": cell([9.0, 0.0, 0.0])}, version="v2")
    shown: Counter[str] = Counter()
    for k in range(200):
        first = ask(before, f"u-{k}")
        then = ask(
            after, f"u-{k}", session=Session(started_ms=9), now_ms=NOW_MS + 400 * DAY_MS, frozen=frozen_of(first)
        )
        assert (then.variant, then.propensity, then.snapshot) == (first.variant, first.propensity, "v1")
        shown[then.variant] += 1
    assert min(shown[name] for name in THREE) > 30


def test_forever_moves_only_those_that_a_changed_distribution_must_move() -> None:
    # DESIGN 4.8: with the same u, at most 2 TV / (1 + TV) of the units switch; here with their cookies lost.
    before = publish_hero(place(*THREE, epoch="forever"), cells={"global:": cell([0.0, 0.0, 0.0])})
    after = publish_hero(place(*THREE, epoch="forever"), cells={"global:": cell([0.3, 0.0, -0.2])}, version="v2")
    n = 6_000
    old, new = ask(before).probabilities, ask(after).probabilities
    variation = sum(abs(x - y) for x, y in zip(old, new, strict=True)) / 2
    bound = 2 * variation / (1 + variation)
    switched = sum(ask(before, f"u-{k}").variant != ask(after, f"u-{k}").variant for k in range(n)) / n
    spread = 4.5 * (bound * (1 - bound) / n) ** 0.5
    assert 0.05 < variation < switched + spread
    assert switched <= bound + spread


def test_the_switch_bound_of_forever_is_not_met_by_fresh_draws() -> None:
    # The same change with a new u for everybody (epoch `snapshot`) moves far more: the test above can fail.
    before = publish_hero(place(*THREE, epoch="snapshot"), cells={"global:": cell([0.0, 0.0, 0.0])})
    after = publish_hero(place(*THREE, epoch="snapshot"), cells={"global:": cell([0.3, 0.0, -0.2])}, version="v2")
    switched = sum(ask(before, f"u-{k}").variant != ask(after, f"u-{k}").variant for k in range(1_000)) / 1_000
    assert switched > 0.55


def test_a_return_to_an_earlier_eligible_set_within_the_epoch_is_no_fresh_draw() -> None:
    phone = variant("phone", condition={"device": "mobile"})
    gold = {"segments": [{"name": "gold", "condition": {"plan": "gold"}}]}
    cells = {"global:": cell([0.0, 0.0, 0.0]), "segment:gold": cell([3.0, 0.0, 0.0])}
    site = publish_hero(place("a", "b", phone), cells=cells, **gold)
    first = ask(site, attributes={"device": "mobile"})
    second = ask(site, attributes={"device": "desktop"}, frozen=frozen_of(first))
    third = ask(site, attributes={"device": "mobile", "plan": "gold"}, frozen=frozen_of(second))
    assert third.probabilities != first.probabilities
    assert not third.randomised
