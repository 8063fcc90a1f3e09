from __future__ import annotations

import itertools
import math

import pytest

from shared.choice import win_race
from shared.slate import Slate, rank

PROBABILITIES = [0.1, 0.5, 0.15, 0.25]
# Finishing times 1.05, 1.83, 8.03, 0.89: the order is 3, 0, 1, 2.
UNIFORMS = [0.9, 0.4, 0.3, 0.8]
OUTSIDE = [True, False, True, False]
# Among the variants outside, 2 finishes before 0.
OTHERS = [0.1, 0.5, 0.9, 0.5]


def with_interest(slots: int, *positions: int) -> Slate:
    return rank(PROBABILITIES, UNIFORMS, slots, outside=OUTSIDE, interest_positions=positions, interest_uniforms=OTHERS)


def test_a_slate_is_the_order_of_the_race_with_the_propensity_among_what_is_not_yet_placed() -> None:
    slate = rank(PROBABILITIES, UNIFORMS, 3)
    assert slate.indices == (3, 0, 1)
    assert slate.propensities == pytest.approx((0.25, 0.1 / 0.75, 0.5 / 0.65), abs=1e-15)
    assert slate.relaxations == ()


def test_the_first_of_a_slate_wins_the_race() -> None:
    for turn in itertools.permutations(range(4)):
        probabilities, uniforms = [PROBABILITIES[i] for i in turn], [UNIFORMS[i] for i in turn]
        assert rank(probabilities, uniforms, 1).indices == (win_race(probabilities, uniforms),)


def test_the_last_of_all_variants_is_placed_with_certainty() -> None:
    slate = rank([0.7, 0.2, 0.1 - 1e-9, 1e-9], UNIFORMS, 4)
    assert sorted(slate.indices) == [0, 1, 2, 3]
    assert slate.propensities[3] == 1.0


def test_of_fewer_variants_than_slots_the_slate_is_shorter() -> None:
    assert rank(PROBABILITIES, UNIFORMS, 10).indices == (3, 0, 1, 2)
    assert rank([1.0], [0.5], 3) == Slate(indices=(0,), propensities=(1.0,), relaxations=())


def test_a_variant_that_cannot_be_drawn_takes_no_slot() -> None:
    assert rank([0.5, 0.0, 0.5], [0.1, 0.9, 0.2], 3) == Slate(indices=(2, 0), propensities=(0.5, 1.0), relaxations=())


def test_an_interest_slot_is_filled_from_the_race_of_the_variants_outside() -> None:
    slate = with_interest(3, 1)
    assert slate.indices == (3, 2, 0)
    assert slate.propensities == pytest.approx((0.25, 0.15 / 0.25, 0.1 / 0.6), abs=1e-15)
    assert slate.relaxations == ()


def test_a_regular_slot_passes_over_what_an_interest_slot_has_placed_and_the_other_way_round() -> None:
    assert with_interest(4, 0, 1).indices == (2, 0, 3, 1)
    assert with_interest(4, 0, 1).propensities == pytest.approx((0.6, 1.0, 0.25 / 0.75, 1.0), abs=1e-15)
    assert with_interest(4, 2, 3).indices == (3, 0, 2, 1)


def test_without_a_variant_outside_left_an_interest_slot_is_regular_and_that_is_told() -> None:
    slate = with_interest(4, 0, 1, 2)
    assert slate.indices == (2, 0, 3, 1)
    assert slate.propensities == pytest.approx((0.6, 1.0, 0.25 / 0.75, 1.0), abs=1e-15)
    assert slate.relaxations == ("interest_slots",)


def test_a_visitor_without_a_primary_interest_has_regular_slots_only() -> None:
    assert rank(PROBABILITIES, UNIFORMS, 3, interest_positions=(0,)) == rank(PROBABILITIES, UNIFORMS, 3)


def test_interest_slots_beyond_the_slate_do_not_matter() -> None:
    assert with_interest(2, 2, 9) == rank(PROBABILITIES, UNIFORMS, 2)


def test_without_interest_slots_the_variants_outside_do_not_matter() -> None:
    assert rank(PROBABILITIES, UNIFORMS, 3, outside=OUTSIDE) == rank(PROBABILITIES, UNIFORMS, 3)


def test_the_propensity_of_a_rare_variant_keeps_its_digits() -> None:
    # 1 − 0.99… would have lost them.
    slate = rank([1.0 - 3e-15, 1e-15, 2e-15], [0.5, 0.9, 0.1], 2)
    assert slate.indices == (0, 1)
    assert math.isclose(slate.propensities[1], 1 / 3, rel_tol=1e-14)


@pytest.mark.parametrize(
    ("uniforms", "slots", "outside", "interest_uniforms", "problem"),
    [
        ([0.5], 1, [], [], "got 2 probabilities, 1 uniforms and 0 classes"),
        ([0.5, 0.5], 1, [True], [0.5, 0.5], "got 2 probabilities, 2 uniforms and 1 classes"),
        ([0.5, 0.5], 1, [True, False], [0.5], "got 2 probabilities and 1 uniforms of the interest race"),
        ([0.5, 0.5], 0, [], [], "got 0 slots"),
    ],
)
def test_lengths_that_differ_and_slates_without_slots_are_refused(
    uniforms: list[float], slots: int, outside: list[bool], interest_uniforms: list[float], problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        rank(
            [0.5, 0.5],
            uniforms,
            slots,
            outside=outside,
            interest_positions=(0,),
            interest_uniforms=interest_uniforms,
        )
