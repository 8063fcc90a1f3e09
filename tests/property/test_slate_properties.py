from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shared.choice import order_race
from shared.slate import Slate, rank
from shared.uniform import uniforms

OPEN = st.floats(2.0**-53, 1.0 - 2.0**-53)


def slate_probability(
    slate: Sequence[int], probabilities: Sequence[float], outside: Sequence[bool], positions: Sequence[int]
) -> float:
    """The probability of a slate by its definition: a product over the slots, each among what is not yet placed."""
    result = 1.0
    for position, index in enumerate(slate):
        left = [i for i in range(len(probabilities)) if i not in slate[:position]]
        others = [i for i in left if outside[i]]
        rivals = others if position in positions and others else left
        result *= probabilities[index] / math.fsum(probabilities[i] for i in rivals) if index in rivals else 0.0
    return result


def draw_slates(
    salt: str, n: int, probabilities: list[float], slots: int, outside: list[bool], positions: tuple[int, ...]
) -> list[Slate]:
    """The slates of `n` units."""
    names = [str(i).encode() for i in range(len(probabilities))]
    return [
        rank(
            probabilities,
            uniforms(f"{salt}\x1f{unit}\x1f".encode(), names),
            slots,
            outside=outside,
            interest_positions=positions,
            interest_uniforms=uniforms(f"{salt}\x1f{unit}\x1finterest\x1f".encode(), names),
        )
        for unit in range(n)
    ]


@pytest.mark.parametrize(
    ("probabilities", "slots", "outside", "positions"),
    [
        ([0.5, 0.3, 0.2], 3, [False] * 3, ()),
        ([0.6, 0.2, 0.15, 0.05], 2, [False] * 4, ()),
        ([0.25] * 4, 3, [False] * 4, ()),
        ([0.5, 0.2, 0.2, 0.1], 3, [False, True, False, True], (0,)),
        ([0.5, 0.2, 0.2, 0.1], 3, [False, True, False, True], (1,)),
        ([0.4, 0.3, 0.1, 0.1, 0.1], 3, [False, True, True, False, True], (0, 2)),
        ([0.4, 0.3, 0.2, 0.1], 4, [False, True, False, True], (1, 2, 3)),
        ([0.7, 0.2, 0.1], 2, [False, False, False], (1,)),
    ],
)
def test_twelve_thousand_slates_come_with_their_exact_probabilities(
    probabilities: list[float], slots: int, outside: list[bool], positions: tuple[int, ...]
) -> None:
    n = 12_000
    exact = {
        slate: slate_probability(slate, probabilities, outside, positions)
        for slate in itertools.permutations(range(len(probabilities)), slots)
    }
    assert math.fsum(exact.values()) == pytest.approx(1.0, abs=1e-12)
    drawn = draw_slates(f"slates {probabilities} {positions}", n, probabilities, slots, outside, positions)
    counts = Counter(slate.indices for slate in drawn)
    possible = [slate for slate, probability in exact.items() if probability > 0.0]
    assert set(counts) <= set(possible)
    # Slates expected fewer than five times are counted together, as the chi-square distribution needs.
    frequent = [slate for slate in possible if exact[slate] * n >= 5.0]
    observed = [counts[slate] for slate in frequent]
    expected = [exact[slate] * n for slate in frequent]
    if len(frequent) < len(possible):
        observed.append(n - sum(observed))
        expected.append(n - math.fsum(expected))
    # One of ten thousand correct programs would fail with this seed.
    assert stats.chisquare(observed, expected).pvalue > 1e-4
    for slate in drawn[:500]:
        assert math.prod(slate.propensities) == pytest.approx(exact[slate.indices], rel=1e-12)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[float], list[float], int, list[bool], list[int], list[float]]:
    """Arguments of `rank`, in its order."""
    count = draw(st.integers(1, 9))
    weights = draw(st.lists(st.floats(1e-6, 1.0) | st.just(0.0), min_size=count, max_size=count))
    return (
        weights,
        draw(st.lists(OPEN, min_size=count, max_size=count)),
        draw(st.integers(1, 12)),
        draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        draw(st.lists(st.integers(0, 11), max_size=4)),
        draw(st.lists(OPEN, min_size=count, max_size=count)),
    )


def rank_problem(
    weights: list[float], drawn: list[float], slots: int, outside: list[bool], positions: list[int], other: list[float]
) -> Slate:
    return rank(weights, drawn, slots, outside=outside, interest_positions=positions, interest_uniforms=other)


@given(problems())
def test_the_product_of_the_propensities_is_the_probability_of_the_slate(
    problem: tuple[list[float], list[float], int, list[bool], list[int], list[float]],
) -> None:
    weights, drawn, slots, outside, positions, other = problem
    slate = rank_problem(weights, drawn, slots, outside, positions, other)
    eligible = [outside[i] and weights[i] > 0.0 for i in range(len(weights))]
    exact = slate_probability(slate.indices, weights, eligible, positions)
    assert math.prod(slate.propensities) == pytest.approx(exact, rel=1e-12)
    assert all(0.0 < propensity <= 1.0 for propensity in slate.propensities)


@given(problems())
def test_every_slot_is_filled_once_while_there_are_variants_and_kept_slots_with_those_outside(
    problem: tuple[list[float], list[float], int, list[bool], list[int], list[float]],
) -> None:
    weights, drawn, slots, outside, positions, other = problem
    slate = rank_problem(weights, drawn, slots, outside, positions, other)
    possible = [i for i, weight in enumerate(weights) if weight > 0.0]
    assert len(slate.indices) == len(set(slate.indices)) == len(slate.propensities) == min(slots, len(possible))
    assert set(slate.indices) <= set(possible)
    missed = False
    for position in positions:
        left = [i for i in possible if outside[i] and i not in slate.indices[:position]]
        if position < len(slate.indices):
            assert not left or outside[slate.indices[position]]
            missed = missed or not left
    assert slate.relaxations == (("interest_slots",) if missed else ())


@given(problems())
def test_the_regular_slots_keep_the_order_of_the_race_and_the_kept_ones_that_of_theirs(
    problem: tuple[list[float], list[float], int, list[bool], list[int], list[float]],
) -> None:
    weights, drawn, slots, outside, positions, other = problem
    slate = rank_problem(weights, drawn, slots, outside, positions, other)
    order = order_race(weights, drawn, len(weights))
    others = order_race([w if out else 0.0 for w, out in zip(weights, outside, strict=True)], other, len(weights))
    for position, index in enumerate(slate.indices):
        placed = slate.indices[:position]
        kept = position in positions and any(i not in placed for i in others)
        assert index == next(i for i in (others if kept else order) if i not in placed)


@given(problems())
def test_a_variant_that_is_placed_later_or_not_at_all_may_go_without_changing_the_slots_before(
    problem: tuple[list[float], list[float], int, list[bool], list[int], list[float]],
) -> None:
    weights, drawn, slots, _, _, _ = problem
    full = rank(weights, drawn, slots).indices
    for removed in range(len(weights)):
        without = rank([0.0 if i == removed else w for i, w in enumerate(weights)], drawn, slots).indices
        stays = [i for i in full if i != removed]
        assert list(without[: len(stays)]) == stays
