from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.constraints import SMALLEST, raise_to_floors, relax_floors

Problem = tuple[list[float], list[float]]
ROUNDING = 1e-12


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A distribution, and floors that sum to a drawn total of at most 1."""
    count = draw(st.integers(1, 8))
    parts = st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count)
    weights, shares = draw(parts), draw(parts)
    assume(sum(weights) > 1e-3 and sum(shares) > 1e-3)
    total = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999, 1.0]))
    return [w / sum(weights) for w in weights], [total * f / sum(shares) for f in shares]


def by_bisection(probabilities: list[float], floors: list[float]) -> list[float]:
    """max(floor, λ π) for the λ where it sums to 1, found by halving an interval."""
    weights = [max(p, SMALLEST) for p in probabilities]
    low, high = 0.0, 1.0 / min(weights)
    for _ in range(400):
        middle = (low + high) / 2.0
        total = math.fsum(max(f, middle * w) for f, w in zip(floors, weights, strict=True))
        low, high = (middle, high) if total < 1.0 else (low, middle)
    return [max(f, low * w) for f, w in zip(floors, weights, strict=True)]


def divergence(q: list[float], p: list[float]) -> float:
    return math.fsum(a * math.log(a / max(b, SMALLEST)) for a, b in zip(q, p, strict=True) if a > 0.0)


@given(problems())
def test_the_served_distribution_is_that_of_an_independent_search(problem: Problem) -> None:
    probabilities, floors = problem
    assert raise_to_floors(probabilities, floors) == pytest.approx(by_bisection(probabilities, floors), abs=1e-9)


@given(problems())
def test_it_is_a_distribution_and_every_floor_is_met(problem: Problem) -> None:
    probabilities, floors = problem
    served = raise_to_floors(probabilities, floors)
    assert abs(math.fsum(served) - 1.0) <= ROUNDING
    assert all(share >= floor - ROUNDING for share, floor in zip(served, floors, strict=True))
    assert all(share >= 0.0 for share in served)


@given(problems())
def test_a_variant_is_at_its_floor_exactly_or_shares_the_common_factor(problem: Problem) -> None:
    probabilities, floors = problem
    served = raise_to_floors(probabilities, floors)
    factors = [
        share / max(p, SMALLEST)
        for share, floor, p in zip(served, floors, probabilities, strict=True)
        if share != floor
    ]
    assert all(factor == pytest.approx(factors[0], rel=1e-12) for factor in factors)


@given(problems())
def test_variants_of_equal_floors_keep_their_order(problem: Problem) -> None:
    probabilities, floors = problem
    level = min(floors)
    served = raise_to_floors(probabilities, [level] * len(floors))
    ranked = sorted(range(len(served)), key=lambda i: probabilities[i])
    assert all(served[a] <= served[b] + ROUNDING for a, b in itertools.pairwise(ranked))


@given(problems(), st.data())
def test_no_feasible_step_away_from_it_comes_nearer_to_the_wish(problem: Problem, data: st.DataObject) -> None:
    probabilities, floors = problem
    served = raise_to_floors(probabilities, floors)
    index = st.integers(0, len(served) - 1)
    giver, taker = data.draw(index), data.draw(index)
    step = min(1e-3, served[giver] - floors[giver])
    assume(giver != taker and step > 1e-9)
    moved = list(served)
    moved[giver] -= step
    moved[taker] += step
    assert divergence(moved, probabilities) >= divergence(served, probabilities) - ROUNDING


@given(problems())
def test_floors_that_are_met_already_change_nothing(problem: Problem) -> None:
    probabilities, floors = problem
    served = raise_to_floors(probabilities, floors)
    assert raise_to_floors(served, floors) == pytest.approx(served, abs=1e-8)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_relaxed_floors_can_always_be_met_and_keep_their_proportions(floors: list[float]) -> None:
    relaxed = relax_floors(floors)
    served = raise_to_floors([1.0 / len(floors)] * len(floors), relaxed)
    assert abs(math.fsum(served) - 1.0) <= ROUNDING
    factor = min(1.0, 1.0 / math.fsum(floors)) if any(floors) else 1.0
    assert relaxed == pytest.approx([floor * factor for floor in floors], abs=1e-12)
