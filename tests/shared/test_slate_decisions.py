"""Ranked slates by way of `decide`: order, conditional propensities, freeze, holdout, interest slots."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import permutations
from math import prod

import pytest
from scipy import stats

from shared.decision import preview
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import ask, cell, frozen_of, holdout_unit, place, publish_hero, situation_of, variant

CELLS = {"global:": cell([0.4, 0.0, -0.3, 0.2])}


@cache
def ranked(slots: int = 3, version: str = "v1") -> Snapshot:
    return publish_hero(place("a", "b", "c", "d", slots=slots), cells=CELLS, version=version)


def test_a_slate_ranks_different_variants_with_conditional_propensities() -> None:
    site = ranked()
    for k in range(50):
        decision = ask(site, f"u-{k}")
        assert len(set(decision.slate)) == len(decision.slate) == len(decision.slate_propensities) == 3
        assert (decision.variant, decision.propensity) == (decision.slate[0], decision.slate_propensities[0])
        share = dict(zip(decision.eligible, decision.probabilities, strict=True))
        left = 1.0
        for name, propensity in zip(decision.slate, decision.slate_propensities, strict=True):
            assert propensity == pytest.approx(share[name] / left, abs=1e-12)
            left -= share[name]


def test_the_first_of_a_slate_is_what_a_single_place_would_show() -> None:
    single = publish_hero(place("a", "b", "c", "d"), cells=CELLS)
    for k in range(100):
        assert ask(ranked(), f"u-{k}").variant == ask(single, f"u-{k}").variant


def test_slates_come_as_often_as_the_product_of_their_propensities_says() -> None:
    n = 12_000
    site = ranked(2)
    decisions = [ask(site, f"u-{k}") for k in range(n)]
    counts = Counter(decision.slate for decision in decisions)
    chance = {decision.slate: prod(decision.slate_propensities) for decision in decisions}
    slates = list(permutations("abcd", 2))
    assert sum(chance.values()) == pytest.approx(1.0, abs=1e-9)
    expected = [n * chance[slate] for slate in slates]
    assert stats.chisquare([counts[slate] for slate in slates], expected, sum_check=False).pvalue > 1e-4


def test_a_slate_of_all_variants_ends_with_certainty() -> None:
    decision = ask(ranked(4))
    assert sorted(decision.slate) == ["a", "b", "c", "d"]
    assert decision.slate_propensities[-1] == 1.0


def test_a_slate_with_fewer_eligible_variants_than_slots_is_shorter() -> None:
    hidden = variant("c", condition={"device": "watch"})
    decision = ask(publish_hero(place("a", "b", hidden, slots=3)))
    assert sorted(decision.slate) == ["a", "b"]
    assert decision.excluded == ("c",)


def test_a_frozen_slate_is_repeated_as_a_whole() -> None:
    site = ranked()
    first = ask(site)
    frozen = frozen_of(first)
    assert (frozen.variants, frozen.propensities) == (first.slate, first.slate_propensities)
    again = ask(ranked(version="v2"), frozen=frozen)
    assert (again.slate, again.slate_propensities, again.reason) == (first.slate, first.slate_propensities, "kept")
    assert (again.variant, again.propensity, again.snapshot) == (first.variant, first.propensity, "v1")


def test_a_frozen_slate_of_which_one_variant_vanished_is_ranked_anew_and_not_randomised() -> None:
    frozen = replace(frozen_of(ask(ranked())), variants=("a", "gone", "b"))
    assert ask(ranked(), frozen=frozen) == replace(ask(ranked()), randomised=False)


def test_a_frozen_single_variant_says_nothing_of_a_slate_and_the_other_way_round() -> None:
    single = publish_hero(place("a", "b", "c", "d"), cells=CELLS)
    one, many = frozen_of(ask(single)), frozen_of(ask(ranked()))
    assert ask(ranked(), frozen=one) == replace(ask(ranked()), randomised=False)
    assert ask(single, frozen=many) == replace(ask(single), randomised=False)


def test_a_frozen_slate_of_one_eligible_variant_is_repeated() -> None:
    site = publish_hero(place("a", variant("b", condition={"device": "watch"}), slots=3))
    first = ask(site)
    assert (first.slate, first.randomised) == (("a",), True)
    again = ask(site, frozen=frozen_of(first))
    assert (again.reason, again.slate, again.randomised) == ("kept", ("a",), True)


def test_a_frozen_slate_that_floors_leave_shorter_is_repeated() -> None:
    site = publish_hero(place(variant("a", floor=0.5), variant("b", floor=0.5), "c", slots=3))
    first = ask(site)
    assert sorted(first.slate) == ["a", "b"]  # c is served to nobody
    again = ask(site, frozen=frozen_of(first))
    assert (again.reason, again.slate, again.randomised) == ("kept", first.slate, True)


def test_the_holdout_sees_the_default_alone() -> None:
    hero = place("a", "b", "c", "d", slots=3, default=2)
    site = publish_hero(hero, cells=CELLS, holdout_share=0.5)
    decision = ask(site, holdout_unit(site))
    assert (decision.slate, decision.slate_propensities) == (("c",), (1.0,))
    assert (decision.variant, decision.propensity, decision.reason) == ("c", 1.0, "holdout")
    assert len(decision.probabilities) == 4


def test_a_preview_of_a_slate_shows_the_named_variant_alone() -> None:
    decision = preview("hero", 3, situation_of(ranked()))
    assert (decision.slate, decision.slate_propensities) == (("d",), (1.0,))


# Slots kept for other interests

TAGS = {"a": ["coats"], "b": ["coats"], "c": ["shoes"], "d": ["hats"], "e": []}
FOND_OF_COATS = Session(started_ms=5, preferences={"topic": "coats"})


@cache
def tagged(*positions: int) -> Snapshot:
    variants = [variant(name, interests=tags) for name, tags in TAGS.items()]
    hero = place(*variants, slots=3, interest_slots=list(positions))
    cells = {"global:": cell([2.0, 2.0, 0.0, 0.0, 0.5])}
    return publish_hero(hero, cells=cells, interest="session.preferences.topic")


@pytest.mark.parametrize("positions", [(0,), (1,), (2,), (0, 2), (1, 2)])
def test_slots_kept_for_other_interests_stand_at_their_positions(positions: tuple[int, ...]) -> None:
    met = 0
    for k in range(100):
        decision = ask(tagged(*positions), f"u-{k}", session=FOND_OF_COATS)
        assert len(set(decision.slate)) == 3
        assert decision.propensity == decision.slate_propensities[0]
        for position in positions:
            if decision.slate[position] in "cd":
                met += 1
            else:  # both were placed before
                assert {"c", "d"} <= set(decision.slate[:position])
                assert decision.relaxations == ("interest_slots",)
    assert met > 80 * len(positions)


@pytest.mark.parametrize(
    ("positions", "session", "reasons"),
    [
        ((0,), FOND_OF_COATS, {"diverse"}),
        ((0, 2), FOND_OF_COATS, {"diverse"}),
        ((1,), FOND_OF_COATS, {"global"}),
        ((0,), Session(started_ms=5), {"global"}),  # nobody knows what would be another interest
    ],
)
def test_a_slate_whose_first_slot_is_kept_for_other_interests_says_so(
    positions: tuple[int, ...], session: Session, reasons: set[str]
) -> None:
    decisions = [ask(tagged(*positions), f"u-{k}", session=session) for k in range(100)]
    assert {each.reason for each in decisions} == reasons


def test_a_kept_first_slot_that_is_filled_like_a_regular_one_is_not_called_diverse() -> None:
    coats = variant("a", interests=["coats"]), variant("b", interests=["coats"])
    site = publish_hero(place(*coats, slots=2, interest_slots=[0]), interest="session.preferences.topic")
    decision = ask(site, session=FOND_OF_COATS)
    assert (decision.reason, decision.relaxations) == ("global", ("interest_slots",))


def test_what_is_drawn_for_a_kept_slot_is_diverse_even_at_its_floor() -> None:
    listed = variant("a", interests=["coats"]), variant("b", interests=["shoes"], floor=0.2), variant("c")
    hero = place(*listed, slots=2, interest_slots=[0])
    site = publish_hero(hero, cells={"global:": cell([9.0, 0.0, 0.0])}, interest="session.preferences.topic")
    decision = ask(site, session=FOND_OF_COATS)
    assert (decision.variant, decision.probabilities[1]) == ("b", 0.2)
    assert (decision.propensity, decision.reason) == (1.0, "diverse")


def test_a_kept_slot_draws_among_the_variants_outside_by_their_shares() -> None:
    n = 6_000
    decisions = [ask(tagged(1), f"u-{k}", session=FOND_OF_COATS) for k in range(n)]
    first = [each for each in decisions if each.slate[0] in "ab"]
    counts = Counter(each.slate[1] for each in first)
    # c and d have equal posteriors: the slot is a fair coin, independent of the regular race.
    assert [each.slate_propensities[1] for each in first] == pytest.approx([0.5] * len(first), abs=1e-9)
    assert abs(counts["c"] / len(first) - 0.5) <= 4.5 * (0.25 / len(first)) ** 0.5


def test_for_a_visitor_without_a_primary_interest_all_slots_are_regular() -> None:
    for k in range(50):
        assert ask(tagged(1), f"u-{k}").slate == ask(tagged(), f"u-{k}").slate


def test_a_kept_slot_that_finds_no_variant_outside_is_filled_and_logged() -> None:
    decision = ask(tagged(0, 1, 2), session=FOND_OF_COATS)
    assert decision.relaxations == ("interest_slots",)
    assert set(decision.slate[:2]) == {"c", "d"}
    assert decision.slate[2] in "abe"


def test_relaxed_constraints_and_relaxed_slots_are_both_logged() -> None:
    coats = variant("a", interests=["coats"]), variant("b", interests=["coats"])
    hero = place(*coats, slots=2, interest_slots=[1], interest_share=0.3)
    decision = ask(publish_hero(hero, interest="session.preferences.topic"), session=FOND_OF_COATS)
    assert decision.relaxations == ("interest_share", "interest_slots")
    assert sorted(decision.slate) == ["a", "b"]
