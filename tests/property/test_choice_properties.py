from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shared.choice import win_race
from shared.uniform import uniform


def draws(salt: str, count: int, variants: int) -> list[list[float]]:
    return [[uniform(salt, str(unit), str(variant)) for variant in range(variants)] for unit in range(count)]


@pytest.mark.parametrize(
    "shares",
    [[0.5, 0.5], [0.9, 0.1], [0.98, 0.01, 0.01], [0.4, 0.3, 0.2, 0.1], [0.125] * 8],
)
def test_twenty_thousand_races_are_won_in_proportion_to_the_probabilities(shares: list[float]) -> None:
    n = 20_000
    won = [0] * len(shares)
    for uniforms in draws("shares", n, len(shares)):
        won[win_race(shares, uniforms)] += 1
    assert stats.chisquare(won, [share * n for share in shares]).pvalue > 1e-4


def test_when_the_distribution_moves_no_more_units_switch_than_the_bound_says() -> None:
    n = 1_500
    generator = random.Random(11)
    for count in (2, 3, 5):
        uniforms = draws(f"switch {count}", n, count)
        for _ in range(6):
            weights = [[generator.random() ** 2 + 1e-3 for _ in range(count)] for _ in range(2)]
            before, after = ([w / math.fsum(each) for w in each] for each in weights)
            distance = math.fsum(abs(a - b) for a, b in zip(before, after, strict=True)) / 2.0
            bound = 2.0 * distance / (1.0 + distance)
            switched = sum(win_race(before, u) != win_race(after, u) for u in uniforms) / n
            assert switched <= bound + 4.5 * math.sqrt(bound * (1.0 - bound) / n)
            # and no coupling of the two distributions moves fewer than their distance
            assert switched >= distance - 4.5 * math.sqrt(distance * (1.0 - distance) / n)


@pytest.mark.parametrize("removed", [0, 1, 2, 3])
def test_removing_a_variant_moves_only_those_who_had_it(removed: int) -> None:
    shares = [0.4, 0.3, 0.2, 0.1]
    kept = [i for i in range(4) if i != removed]
    moved = 0
    for uniforms in draws("removal", 3_000, 4):
        before = win_race(shares, uniforms)
        after = kept[win_race([shares[i] / (1.0 - shares[removed]) for i in kept], [uniforms[i] for i in kept])]
        assert after == before or before == removed
        moved += after != before
    assert abs(moved / 3_000 - shares[removed]) <= 4.5 * math.sqrt(shares[removed] * (1.0 - shares[removed]) / 3_000)


OPEN = st.floats(2.0**-53, 1.0 - 2.0**-53)
ENTRIES = st.lists(st.tuples(st.floats(0.0, 1.0), OPEN), min_size=1, max_size=8).filter(
    lambda entries: any(share > 0.0 for share, _ in entries)
)


@given(ENTRIES)
def test_the_winner_always_has_a_positive_probability(entries: list[tuple[float, float]]) -> None:
    shares, uniforms = [share for share, _ in entries], [u for _, u in entries]
    assert shares[win_race(shares, uniforms)] > 0.0


@given(ENTRIES, st.floats(1.0, 10.0))
def test_more_probability_never_costs_the_winner_its_place(entries: list[tuple[float, float]], factor: float) -> None:
    shares, uniforms = [share for share, _ in entries], [u for _, u in entries]
    winner = win_race(shares, uniforms)
    shares[winner] *= factor
    assert win_race(shares, uniforms) == winner


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_uniform_number_is_never_zero_or_one(parts: list[str]) -> None:
    drawn = uniform(*parts)
    assert 2.0**-53 <= drawn <= 1.0 - 2.0**-53
    assert (drawn * 2.0**53) % 2.0 == 1.0
