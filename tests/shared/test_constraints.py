from __future__ import annotations

import pytest

from shared.constraints import SMALLEST, raise_to_floors, relax_floors
from shared.errors import Unsatisfiable


def test_without_floors_nothing_changes() -> None:
    assert raise_to_floors([0.7, 0.2, 0.1], [0.0, 0.0, 0.0]) == pytest.approx([0.7, 0.2, 0.1], abs=1e-15)


def test_a_floor_is_met_exactly_and_the_others_give_in_proportion() -> None:
    served = raise_to_floors([0.6, 0.39, 0.01], [0.0, 0.0, 0.1])
    assert served[2] == 0.1
    assert served[:2] == pytest.approx([0.9 * 0.6 / 0.99, 0.9 * 0.39 / 0.99], abs=1e-15)


def test_raising_one_variant_can_push_another_onto_its_own_floor() -> None:
    # 0.31 is above its floor of 0.3 at first; only paying for the other floor brings it down.
    assert raise_to_floors([0.65, 0.31, 0.04], [0.0, 0.3, 0.2]) == pytest.approx([0.5, 0.3, 0.2], abs=1e-15)
    assert raise_to_floors([0.65, 0.31, 0.04], [0.0, 0.3, 0.2])[1:] == [0.3, 0.2]


def test_floors_that_sum_to_one_are_the_distribution() -> None:
    assert raise_to_floors([0.98, 0.01, 0.01], [0.25, 0.25, 0.5]) == [0.25, 0.25, 0.5]


def test_a_floor_of_one_leaves_nothing_to_the_others() -> None:
    assert raise_to_floors([0.5, 0.5], [1.0, 0.0]) == [1.0, 0.0]


@pytest.mark.parametrize("floor", [0.0, 0.4, 1.0])
def test_a_single_variant_is_served_always(floor: float) -> None:
    assert raise_to_floors([1.0], [floor]) == [1.0]


def test_a_variant_of_probability_zero_is_clipped_so_that_it_can_still_be_drawn() -> None:
    served = raise_to_floors([1.0, 0.0], [0.0, 0.0])
    assert served[1] == pytest.approx(SMALLEST, rel=1e-6)
    assert served[0] + served[1] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("floors", "problem"),
    [
        ([0.6, 0.5], "the floors sum to 1.1, more than 1"),
        ([1.0, 0.001], "the floors sum to 1.001, more than 1"),
    ],
)
def test_floors_that_no_distribution_can_meet_are_refused_with_the_arithmetic(
    floors: list[float], problem: str
) -> None:
    with pytest.raises(Unsatisfiable) as raised:
        raise_to_floors([0.5, 0.5], floors)
    assert str(raised.value) == problem


@pytest.mark.parametrize(("probabilities", "floors"), [([0.5, 0.5], [0.1]), ([], []), ([1.0], [])])
def test_lengths_that_differ_or_are_zero_are_refused(probabilities: list[float], floors: list[float]) -> None:
    with pytest.raises(ValueError, match=f"got {len(probabilities)} probabilities and {len(floors)} floors"):
        raise_to_floors(probabilities, floors)


def test_a_hair_of_rounding_above_one_is_not_a_contradiction() -> None:
    assert raise_to_floors([0.5, 0.5], [0.5, 0.5 + 2.0**-53]) == pytest.approx([0.5, 0.5], abs=1e-15)


@pytest.mark.parametrize(
    ("floors", "relaxed"),
    [
        ([0.8, 0.8], [0.5, 0.5]),
        ([1.0, 0.5, 0.5], [0.5, 0.25, 0.25]),
        ([0.2, 0.3], [0.2, 0.3]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([], []),
    ],
)
def test_floors_are_scaled_only_where_they_sum_to_more_than_one(floors: list[float], relaxed: list[float]) -> None:
    assert relax_floors(floors) == relaxed


def test_relaxed_floors_are_a_new_list() -> None:
    floors = [0.1, 0.2]
    relax_floors(floors).append(0.3)
    assert floors == [0.1, 0.2]
