from __future__ import annotations

import math

import pytest

from shared.constraints import (
    SMALLEST,
    constrain,
    impressions_floor,
    merge_floors,
    refuse_unsatisfiable,
)
from shared.errors import Unsatisfiable


def served(
    probabilities: list[float],
    floors: list[float] | None = None,
    caps: list[float] | None = None,
    outside: tuple[bool, ...] = (),
    share: float = 0.0,
    relaxed: tuple[str, ...] = (),
) -> list[float]:
    """The served distribution; floors of 0 and caps of 1 where none are given, nothing relaxed but what is said."""
    count = len(probabilities)
    result = constrain(
        probabilities, floors=floors or [0.0] * count, caps=caps or [1.0] * count, outside=outside, share=share
    )
    assert result.relaxations == relaxed
    return list(result.probabilities)


def test_what_keeps_all_constraints_is_served_as_it_is() -> None:
    assert served([0.7, 0.2, 0.1], [0.1, 0.1, 0.1], [0.7, 1.0, 1.0], (False, True, True), 0.3) == [0.7, 0.2, 0.1]


def test_a_floor_is_met_exactly_and_the_others_give_in_proportion() -> None:
    result = served([0.6, 0.39, 0.01], [0.0, 0.0, 0.1])
    assert result[2] == 0.1
    assert result[:2] == pytest.approx([0.9 * 0.6 / 0.99, 0.9 * 0.39 / 0.99], abs=1e-15)


def test_a_cap_is_met_exactly_and_the_others_gain_in_proportion() -> None:
    result = served([0.9, 0.06, 0.04], caps=[0.5, 1.0, 1.0])
    assert result[0] == 0.5
    assert result[1:] == pytest.approx([0.3, 0.2], abs=1e-15)


def test_raising_one_variant_can_push_another_onto_its_own_floor() -> None:
    # 0.31 is above its floor of 0.3 at first; only paying for the other floor brings it down.
    assert served([0.65, 0.31, 0.04], [0.0, 0.3, 0.2]) == pytest.approx([0.5, 0.3, 0.2], abs=1e-15)
    assert served([0.65, 0.31, 0.04], [0.0, 0.3, 0.2])[1:] == [0.3, 0.2]


def test_what_a_cap_sets_free_can_push_another_variant_onto_its_own_cap() -> None:
    assert served([0.7, 0.2, 0.1], caps=[0.3, 0.35, 1.0]) == pytest.approx([0.3, 0.35, 0.35], abs=1e-15)
    assert served([0.7, 0.2, 0.1], caps=[0.3, 0.35, 1.0])[:2] == [0.3, 0.35]


def test_floors_and_caps_bind_together() -> None:
    assert served([0.9, 0.06, 0.04], [0.0, 0.0, 0.3], [0.6, 1.0, 1.0]) == pytest.approx([0.6, 0.1, 0.3], abs=1e-15)


def test_where_as_much_is_lacking_as_is_in_excess_the_rest_stays() -> None:
    assert served([0.5, 0.375, 0.125], [0.0, 0.0, 0.25], [0.375, 1.0, 1.0]) == [0.375, 0.375, 0.25]


def test_a_floor_that_binds_only_because_of_another_variants_cap_is_left_again() -> None:
    # With the floor of the second alone λ falls, with the cap of the first it rises by more: nothing is below a floor.
    assert served([0.8, 0.15, 0.05], [0.0, 0.2, 0.0], [0.4, 1.0, 1.0]) == pytest.approx([0.4, 0.45, 0.15], abs=1e-15)


@pytest.mark.parametrize("bounds", [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]])
def test_floors_that_sum_to_one_are_the_distribution_and_so_are_such_caps(bounds: list[float]) -> None:
    assert served([0.98, 0.01, 0.01], bounds) == bounds
    assert served([0.98, 0.01, 0.01], caps=bounds) == bounds
    assert served([0.01, 0.01, 0.98], bounds, bounds) == bounds


@pytest.mark.parametrize("probability", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("floor", [0.0, 0.4, 1.0])
def test_a_single_variant_is_served_always(probability: float, floor: float) -> None:
    assert served([probability], [floor]) == [1.0]


def test_a_variant_of_probability_zero_is_clipped_so_that_it_can_still_be_drawn() -> None:
    result = served([1.0, 0.0])
    assert result[1] == pytest.approx(SMALLEST, rel=1e-6)
    assert result[0] + result[1] == pytest.approx(1.0, abs=1e-15)


def test_too_little_outside_is_raised_to_exactly_the_share_each_class_in_proportion() -> None:
    result = served([0.6, 0.3, 0.08, 0.02], outside=(False, False, True, True), share=0.2)
    assert result == pytest.approx([0.8 * 2 / 3, 0.8 / 3, 0.16, 0.04], abs=1e-15)


def test_the_share_goes_by_the_distribution_after_floors() -> None:
    assert served([0.9, 0.05, 0.05], [0.0, 0.1, 0.1], outside=(False, True, True), share=0.2) == [0.8, 0.1, 0.1]


def test_floors_and_caps_hold_within_the_classes() -> None:
    result = served(
        [0.5, 0.45, 0.03, 0.02], [0.3, 0.0, 0.0, 0.0], [1.0, 0.45, 0.1, 1.0], (False, False, True, True), 0.3
    )
    assert result == pytest.approx([0.7 * 10 / 19, 0.7 * 9 / 19, 0.1, 0.2], abs=1e-15)
    assert result[2] == 0.1
    pressed = served([0.6, 0.36, 0.02, 0.02], [0.0, 0.3, 0.0, 0.0], [1.0] * 4, (False, False, True, True), 0.3)
    assert pressed == pytest.approx([0.4, 0.3, 0.15, 0.15], abs=1e-15)
    assert pressed[1] == 0.3


def test_the_share_is_met_where_every_variant_is_outside() -> None:
    assert served([0.75, 0.25], outside=(True, True), share=1.0) == [0.75, 0.25]


def test_a_share_of_one_leaves_nothing_inside() -> None:
    assert served([0.5, 0.25, 0.25], outside=(False, True, True), share=1.0) == [0.0, 0.5, 0.5]


def test_a_visitor_without_primary_interest_has_no_share() -> None:
    assert served([0.75, 0.25], share=0.5) == [0.75, 0.25]


@pytest.mark.parametrize(
    ("floors", "relaxed"), [([0.8, 0.8], [0.5, 0.5]), ([1.0, 0.5, 0.5], [0.5, 0.25, 0.25]), ([0.9, 0.3], [0.75, 0.25])]
)
def test_floors_that_sum_to_more_than_one_are_scaled(floors: list[float], relaxed: list[float]) -> None:
    assert served([1.0] * len(floors), floors, relaxed=("floors",)) == pytest.approx(relaxed, abs=1e-15)


def test_caps_that_sum_to_less_than_one_become_at_least_an_even_part() -> None:
    assert served([0.5, 0.3, 0.2], caps=[0.1, 0.6, 0.2], relaxed=("caps",)) == pytest.approx(
        [1 / 3, (2 / 3) * 0.6, (2 / 3) * 0.4], abs=1e-15
    )
    assert served([0.9, 0.1], caps=[0.3, 0.2], relaxed=("caps",)) == [0.5, 0.5]
    assert served([1.0], caps=[0.2], relaxed=("caps",)) == [1.0]


def test_without_a_variant_outside_the_share_is_void() -> None:
    result = served([0.75, 0.25], outside=(False, False), share=0.2, relaxed=("interest_share",))
    assert result == [0.75, 0.25]


def test_without_a_share_nothing_is_void() -> None:
    assert served([0.75, 0.25], outside=(False, False)) == [0.75, 0.25]


def test_the_share_shrinks_to_the_caps_outside() -> None:
    result = served(
        [0.75, 0.24, 0.01], caps=[1.0, 1.0, 0.05], outside=(False, False, True), share=0.2, relaxed=("interest_share",)
    )
    assert result[2] == 0.05
    assert result[:2] == pytest.approx([0.95 * 0.75 / 0.99, 0.95 * 0.24 / 0.99], abs=1e-15)


def test_the_share_shrinks_to_what_the_floors_inside_leave() -> None:
    result = served(
        [0.5, 0.4, 0.1], [0.9, 0.0, 0.0], outside=(False, False, True), share=0.2, relaxed=("interest_share",)
    )
    assert result == pytest.approx([0.9, 0.0, 0.1], abs=1e-15)
    assert result[:2] == [0.9, 0.0]


def test_relaxations_are_named_in_order() -> None:
    nothing_left = served(
        [0.5, 0.5], [0.9, 0.9], outside=(True, False), share=0.8, relaxed=("floors", "interest_share")
    )
    assert nothing_left == [0.5, 0.5]
    served([0.5, 0.5], caps=[0.4, 0.5], outside=(True, False), share=0.8, relaxed=("caps", "interest_share"))


def test_a_hair_of_rounding_is_not_a_contradiction() -> None:
    assert served([0.5, 0.5], [0.5, 0.5 + 2.0**-53]) == pytest.approx([0.5, 0.5], abs=1e-15)
    assert served([0.5, 0.3, 0.2], caps=[0.3, 0.3, 0.4 - 2.0**-54]) == pytest.approx([0.3, 0.3, 0.4], abs=1e-15)
    close = served([0.9, 0.1], caps=[1.0, 0.2], outside=(False, True), share=0.2 + 1e-16)
    assert close == pytest.approx([0.8, 0.2], abs=1e-15)


def test_a_floor_above_its_cap_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"floor 0\.3 is above its cap 0\.2"):
        constrain([0.5, 0.5], floors=[0.0, 0.3], caps=[1.0, 0.2])


@pytest.mark.parametrize(
    ("floors", "caps", "outside"),
    [([0.0], [1.0, 1.0], ()), ([0.0, 0.0], [1.0], ()), ([0.0, 0.0], [1.0, 1.0], (True,)), ([0.0] * 3, [1.0] * 3, ())],
)
def test_lengths_that_differ_are_an_error(floors: list[float], caps: list[float], outside: tuple[bool, ...]) -> None:
    lengths = f"2 probabilities, {len(floors)} floors, {len(caps)} caps and {len(outside)} classes"
    with pytest.raises(ValueError, match=lengths):
        constrain([0.5, 0.5], floors=floors, caps=caps, outside=outside)


def test_no_variant_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="got 0 probabilities"):
        constrain([], floors=[], caps=[])


# What no traffic could meet

NAMES = ["house", "wide", "tall"]


def refusal(
    floors: list[float] | None = None,
    caps: list[float] | None = None,
    interests: tuple[tuple[str, ...], ...] = (),
    share: float = 0.0,
    targeted: tuple[bool, ...] = (),
) -> str | None:
    """Why the touchpoint `hero` of three variants is refused; None where it is not."""
    try:
        refuse_unsatisfiable(
            "hero",
            NAMES,
            floors=floors or [0.0] * 3,
            caps=caps or [1.0] * 3,
            interests=interests,
            share=share,
            targeted=targeted,
        )
    except Unsatisfiable as refused:
        return str(refused)
    return None


@pytest.mark.parametrize(
    ("floors", "problem"),
    [
        ([0.6, 0.6, 0.0], "floors of hero sum to 1.2 = 2 × 0.6, more than 1: lower them"),
        ([0.6, 0.3, 0.2], "floors of hero sum to 1.1 = 0.6 + 0.3 + 0.2, more than 1: lower them"),
        ([0.2, 0.2, 0.7], "floors of hero sum to 1.1 = 2 × 0.2 + 0.7, more than 1: lower them"),
        ([1.0, 0.0, 0.001], "floors of hero sum to 1.001 = 1 + 0.001, more than 1: lower them"),
        ([0.5, 0.3, 0.2], None),
        ([0.1, 0.2, 0.7 + 1e-13], None),
    ],
)
def test_floors_that_sum_to_more_than_one_are_refused(floors: list[float], problem: str | None) -> None:
    assert refusal(floors) == problem


@pytest.mark.parametrize(
    ("caps", "problem"),
    [
        ([0.5, 0.3, 0.0], "caps of hero sum to 0.8 = 0.5 + 0.3, less than 1: raise them"),
        ([0.9, 0.0, 0.0], "caps of hero sum to 0.9, less than 1: raise them"),
        ([0.0, 0.0, 0.0], "caps of hero sum to 0, less than 1: raise them"),
        ([1 / 3, 1 / 3, 1 / 3], None),
        ([1.0, 0.0, 0.0], None),
    ],
)
def test_caps_that_sum_to_less_than_one_are_refused(caps: list[float], problem: str | None) -> None:
    assert refusal(caps=caps) == problem


def test_a_floor_above_its_cap_is_refused_and_every_contradiction_is_told() -> None:
    assert refusal([0.3, 0.0, 0.0], [0.2, 1.0, 1.0]) == "floor 0.3 of house is above its cap 0.2"
    assert refusal([0.3, 0.0, 0.0], [0.2, 0.2, 0.2]) == (
        "floor 0.3 of house is above its cap 0.2; caps of hero sum to 0.6 = 3 × 0.2, less than 1: raise them"
    )
    assert refusal([0.3, 0.2, 0.0], [0.3, 0.2, 1.0]) is None


def test_floors_of_targeted_variants_count_only_beside_those_that_are_always_eligible() -> None:
    # One floor for phones, one for desktops: each visitor meets one of them.
    assert refusal([0.2, 0.6, 0.6], targeted=(False, True, True)) is None
    assert refusal([0.2, 0.6, 0.9], targeted=(False, True, True)) == (
        "floor 0.9 of tall and those of hero that are always eligible sum to 1.1 = 0.2 + 0.9, more than 1: lower them"
    )
    assert refusal([0.6, 0.6, 0.9], targeted=(False, False, True)) == (
        "floors of hero sum to 1.2 = 2 × 0.6, more than 1: lower them"
    )


SHARE = "interest share 0.2 of hero is out of every visitor's reach"


@pytest.mark.parametrize(
    ("floors", "caps", "interests", "problem"),
    [
        (
            None,
            [1.0, 0.05, 0.05],
            ((), ("golf",), ("chess",)),
            f"{SHARE}: the caps of the variants with interests sum to 0.1 = 2 × 0.05, less than it",
        ),
        (
            [0.85, 0.0, 0.0],
            None,
            ((), ("golf",), ("golf",)),
            f"{SHARE}: the floors of those without interests sum to 0.85, which leaves 0.15",
        ),
        # For who likes golf there is nothing outside; for everybody else there is.
        (None, [1.0, 0.1, 0.1], ((), ("golf",), ("golf",)), None),
        # For who likes golf only 0.1 is outside, and the share is relaxed; who likes neither gets it.
        (None, [1.0, 0.1, 0.1], ((), ("golf",), ("chess",)), None),
        ([0.8, 0.0, 0.0], None, ((), ("golf",), ("chess",)), None),
        # The floor inside counts as outside for who likes something else.
        ([0.9, 0.0, 0.0], None, (("art",), ("golf",), ("chess",)), None),
        (None, None, ((), (), ()), None),
        (None, None, (), None),
    ],
)
def test_a_share_that_no_visitor_could_get_is_refused(
    floors: list[float] | None,
    caps: list[float] | None,
    interests: tuple[tuple[str, ...], ...],
    problem: str | None,
) -> None:
    assert refusal(floors, caps, interests, 0.2) == problem
    assert refusal(floors, caps, interests, 0.0) is None


def test_a_floor_that_targeting_may_take_away_leaves_room_for_the_share() -> None:
    tags = ((), ("golf",), ("chess",))
    assert refusal([0.9, 0.0, 0.0], interests=tags, share=0.2, targeted=(True, False, False)) is None
    overfull = refusal([1.1, 0.0, 0.0], [1.1, 1.0, 1.0], interests=tags, share=0.2)
    assert overfull == (
        "floors of hero sum to 1.1, more than 1: lower them; "
        f"{SHARE}: the floors of those without interests sum to 1.1, which leaves 0"
    )


# Minimum impressions


@pytest.mark.parametrize(
    ("missing", "expected", "floor"),
    [(0, 1000, 0.0), (-5, 1000, 0.0), (0, 0, 0.0), (100, 1000, 0.1), (250, 1000, 0.25), (900, 1000, 0.25)],
)
def test_missing_impressions_are_spread_over_the_decisions_still_expected(
    missing: float, expected: float, floor: float
) -> None:
    assert impressions_floor(missing, expected, 4) == floor


@pytest.mark.parametrize("expected", [0, -1, 5e-324])
def test_where_no_decisions_are_expected_the_floor_is_an_even_part(expected: float) -> None:
    assert impressions_floor(1, expected, 4) == 0.25


def test_floors_for_impressions_raise_the_configured_ones() -> None:
    assert merge_floors([0.1, 0.0, 0.2], [0.05, 0.3, 0.2], [1.0] * 3) == [0.1, 0.3, 0.2]


def test_floors_for_impressions_stay_below_the_caps() -> None:
    assert merge_floors([0.1, 0.0], [0.5, 0.5], [0.3, 0.2]) == [0.3, 0.2]


def test_floors_for_impressions_give_way_in_proportion_to_the_configured_ones() -> None:
    merged = merge_floors([0.8, 0.0, 0.0], [0.0, 0.3, 0.1], [1.0] * 3)
    assert merged == pytest.approx([0.8, 0.15, 0.05], abs=1e-15)
    assert merged[0] == 0.8
    assert merge_floors([0.4, 0.6], [0.5, 0.5], [1.0, 1.0]) == [0.4, 0.6]


def test_configured_floors_above_one_are_left_to_the_relaxation() -> None:
    # They may belong to variants that are never eligible together.
    assert merge_floors([0.6, 0.6, 0.0], [0.0, 0.0, 0.3], [1.0] * 3) == [0.6, 0.6, 0.0]
    assert merge_floors([0.6, 0.6], [0.0, 0.0], [1.0] * 2) == [0.6, 0.6]


def test_when_all_variants_lack_impressions_the_merged_floors_are_even_and_can_be_met() -> None:
    merged = merge_floors([0.0] * 7, [impressions_floor(10, 0, 7)] * 7, [1.0] * 7)
    assert merged == [1 / 7] * 7
    assert math.fsum(served([1.0] + [0.0] * 6, merged)) == pytest.approx(1.0, abs=1e-15)


# The former functions, until their last callers are gone
