from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decision import decide, find_eligible, freeze
from shared.reasons import REASONS
from shared.session import Session
from shared.situation import DAY_MS, Situation, situate
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, profile_of
from tests.property.publishing import ATTRIBUTES, EXTREME, SESSIONS, USUAL, Numbers, profiles, sites

UNDRAWN = ("holdout", "no_posterior", "nothing_eligible")


@st.composite
def situations(draw: st.DrawFn, numbers: Numbers = USUAL) -> Situation:
    """Anybody on any site."""
    site, unit = draw(sites(numbers)), draw(st.text(max_size=8))
    readable = "".join(letter for letter in unit if letter.isprintable())
    profile = draw(profiles(readable, numbers))
    return situate(unit, site, profile, draw(SESSIONS), draw(ATTRIBUTES), NOW_MS)


@settings(max_examples=150)
@given(situations())
def test_a_decision_is_always_made_and_always_consistent(situation: Situation) -> None:
    decision = decide("hero", situation)
    place = situation.snapshot.touchpoint("hero")
    assert decision == decide("hero", situation)
    assert place.variants[decision.variant_index].name == decision.variant
    assert decision.reason in REASONS
    assert decision.because.startswith("because ")
    assert set(decision.excluded) <= set(place.names) - set(decision.eligible)
    assert not decision.eligible or sorted((*decision.eligible, *decision.excluded)) == sorted(place.names)
    assert (decision.level == "none") is (decision.distribution is None)
    assert 0.0 < decision.propensity <= 1.0
    assert decision.holdout is (decision.reason == "holdout") is situation.is_holdout
    assert len(decision.slate) == len(decision.slate_propensities)
    if decision.reason in UNDRAWN:
        assert (decision.variant_index, decision.propensity, decision.randomised) == (place.default, 1.0, False)
        return
    assert decision.randomised
    if place.slots == 1:
        assert decision.slate == ()
        assert decision.propensity == decision.probabilities[decision.eligible.index(decision.variant)]
    else:
        able = sum(share > 0.0 for share in decision.probabilities)
        assert 1 <= len(decision.slate) == min(place.slots, able)
        assert len(set(decision.slate)) == len(decision.slate)
        assert set(decision.slate) <= set(decision.eligible)
        assert all(0.0 < propensity <= 1.0 for propensity in decision.slate_propensities)


@settings(max_examples=150)
@given(situations())
def test_the_served_distribution_sums_to_one_and_meets_what_it_does_not_relax(situation: Situation) -> None:
    decision = decide("hero", situation)
    distribution = decision.distribution
    if distribution is None:
        return
    place = situation.snapshot.touchpoint("hero")
    served = distribution.probabilities
    assert sum(served) == pytest.approx(1.0, abs=1e-12)
    assert sum(distribution.thompson) == pytest.approx(1.0, abs=1e-9)
    bounds = [place.variants[i] for i in distribution.eligible]
    if "floors" not in decision.relaxations:
        assert all(share >= each.floor - 1e-12 for share, each in zip(served, bounds, strict=True))
    if "caps" not in decision.relaxations:
        assert all(share <= each.cap + 1e-12 for share, each in zip(served, bounds, strict=True))
    if distribution.outside and "interest_share" not in decision.relaxations:
        outside = sum(share for share, each in zip(served, distribution.outside, strict=True) if each)
        assert outside >= place.interest_share - 1e-9
    floors = [each.floor for each in bounds]
    assert ("floors" in decision.relaxations) is (sum(floors) > 1.0 + 1e-12)


@settings(max_examples=150)
@given(situations(), ATTRIBUTES, st.integers(1, 9))
def test_what_is_frozen_is_repeated_or_drawn_anew_but_never_shown_to_whom_it_is_not_for(
    situation: Situation, attributes: dict[str, object], views: int
) -> None:
    first = decide("hero", situation)
    frozen = freeze(first)
    if frozen is None:
        assert first.reason in UNDRAWN
        return
    session = Session(started_ms=situation.session.started_ms, views=views)
    later = situate(situation.unit, situation.snapshot, situation.profile, session, attributes, NOW_MS)
    again = decide("hero", later, frozen)
    fresh = decide("hero", later)
    assert first.distribution is not None
    eligible = find_eligible(situation.snapshot.touchpoint("hero"), later)
    if eligible == first.distribution.eligible:
        assert again.reason == "kept"
        assert (again.variant, again.propensity, again.slate) == (first.variant, first.propensity, first.slate)
    else:
        assert again == fresh
    if eligible:
        assert again.variant_index in eligible or again.reason in UNDRAWN


@settings(max_examples=150)
@given(situations(), st.integers(0, DAY_MS - 1), st.integers(0, DAY_MS - 1))
def test_devices_of_one_person_that_know_the_same_decide_alike_in_sessions_of_one_day(
    situation: Situation, first_ms: int, second_ms: int
) -> None:
    day_ms = NOW_MS // DAY_MS * DAY_MS
    profile = profile_of(several_devices=True)
    here, there = (
        situate(
            situation.unit,
            situation.snapshot,
            profile,
            Session(started_ms=day_ms + each_ms),
            {"device": "mobile"},
            NOW_MS,
        )
        for each_ms in (first_ms, second_ms)
    )
    assert decide("hero", here) == decide("hero", there)


@settings(max_examples=120)
@given(situations(EXTREME))
def test_no_published_extreme_leaves_the_numbers(situation: Situation) -> None:
    decision = decide("hero", situation)
    assert 0.0 < decision.propensity <= 1.0
    distribution = decision.distribution
    if distribution is not None:
        posterior = distribution.posterior
        assert all(isfinite(value) for value in (*posterior.means, *posterior.sds, *distribution.thompson))
        assert all(sd > 0.0 for sd in posterior.sds)
        assert sum(decision.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert all(0.0 <= share <= 1.0 for share in decision.probabilities)


@settings(max_examples=60)
@given(sites(), st.lists(st.tuples(ATTRIBUTES, SESSIONS), min_size=2, max_size=4))
def test_what_is_kept_with_a_snapshot_never_changes_a_decision(
    site: Snapshot, asked: list[tuple[dict[str, object], Session]]
) -> None:
    lines = dict(site._lines)

    def fresh() -> Snapshot:
        return Snapshot(site.header, dict(lines))

    for unit in ("u-1", "u-2"):
        for attributes, session in asked:
            warm = decide("hero", situate(unit, site, None, session, attributes, NOW_MS))
            assert warm == decide("hero", situate(unit, fresh(), None, session, attributes, NOW_MS))
