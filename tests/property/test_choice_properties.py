from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shared.choice import order_race, win_race
from shared.numbers import ln
from shared.uniform import uniform, uniforms

Entry = tuple[float, float]


def draws(salt: str, count: int, variants: int) -> list[list[float]]:
    """The uniforms of `count` units."""
    names = [str(variant).encode() for variant in range(variants)]
    return [uniforms(f"{salt}\x1f{unit}\x1f".encode(), names) for unit in range(count)]


def finish(entry: Entry) -> float:
    """When a variant of that probability and uniform finishes."""
    return -ln(entry[1]) / entry[0]


def plain_order(entries: list[Entry]) -> list[int]:
    """The race without bounds: all that finish, by time; what finishes at once, by index."""
    return [i for _, i in sorted((finish(entry), i) for i, entry in enumerate(entries) if entry[0] > 0.0)]


def race(entries: list[Entry]) -> int:
    """The index of the winner."""
    return win_race([p for p, _ in entries], [u for _, u in entries])


@pytest.mark.parametrize(
    "shares",
    [[0.5, 0.5], [0.9, 0.1], [0.98, 0.01, 0.01], [0.4, 0.3, 0.2, 0.1], [0.125] * 8],
)
def test_twenty_thousand_races_are_won_in_proportion_to_the_probabilities(shares: list[float]) -> None:
    n = 20_000
    won = [0] * len(shares)
    for u in draws("shares", n, len(shares)):
        won[win_race(shares, u)] += 1
    assert stats.chisquare(won, [share * n for share in shares]).pvalue > 1e-4


def test_when_the_distribution_moves_no_more_units_switch_than_the_bound_says() -> None:
    # 2,000 units a pair, 30 random pairs from nearly equal to far apart; 4.5 standard deviations of a share of n units
    # are passed by chance with probability 7e-6.
    n = 2_000
    generator = random.Random(11)
    for number in range(30):
        count = generator.choice([2, 3, 5, 8])
        units = draws(f"switch {number}", n, count)
        wild = generator.choice([0.05, 0.5, 3.0])
        weights = [generator.random() ** 2 + 1e-3 for _ in range(count)]
        moved = [weight * math.exp(wild * generator.gauss(0.0, 1.0)) for weight in weights]
        before, after = ([w / math.fsum(each) for w in each] for each in (weights, moved))
        distance = math.fsum(abs(a - b) for a, b in zip(before, after, strict=True)) / 2.0
        bound = 2.0 * distance / (1.0 + distance)
        switched = sum(win_race(before, u) != win_race(after, u) for u in units) / n
        assert switched <= bound + 4.5 * math.sqrt(bound * (1.0 - bound) / n)
        # and no coupling of the two distributions moves fewer than their distance
        assert switched >= distance - 4.5 * math.sqrt(distance * (1.0 - distance) / n)


@pytest.mark.parametrize("removed", [0, 1, 2, 3])
def test_as_many_move_as_had_the_variant_that_is_removed(removed: int) -> None:
    n = 3_000
    shares = [0.4, 0.3, 0.2, 0.1]
    kept = [i for i in range(4) if i != removed]
    moved = 0
    for u in draws("removal", n, 4):
        before = win_race(shares, u)
        after = kept[win_race([shares[i] / (1.0 - shares[removed]) for i in kept], [u[i] for i in kept])]
        assert after == before or before == removed
        moved += after != before
    assert abs(moved / n - shares[removed]) <= 4.5 * math.sqrt(shares[removed] * (1.0 - shares[removed]) / n)


# From the least to the greatest value of `uniform`.
OPEN = st.floats(2.0**-53, 1.0 - 2.0**-53)
SHARES = st.floats(0.0, 1.0)
EXTREMES = st.sampled_from([0.0, 5e-324, 1e-310, 1e-300, 1e-250, 1e-9, 1.0, 1e250, 1e300, 1.7e308])
ENTRIES = st.lists(st.tuples(SHARES, OPEN), min_size=1, max_size=8).filter(lambda each: any(p > 0.0 for p, _ in each))
EXTREME_ENTRIES = st.lists(st.tuples(SHARES | EXTREMES, OPEN), min_size=1, max_size=12).filter(
    lambda each: any(p > 0.0 for p, _ in each)
)


@st.composite
def close_races(draw: st.DrawFn) -> list[Entry]:
    """Variants that finish at nearly the same time, some at exactly the same."""
    when = draw(st.floats(1e-3, 30.0))
    entries = []
    for _ in range(draw(st.integers(2, 8))):
        u = draw(OPEN)
        nudge = draw(st.integers(-8, 8)) * 2.0**-52
        entries.append((-math.log(u) / when * (1.0 + nudge), u))
    return entries + draw(st.lists(st.sampled_from(entries), max_size=3))


@settings(max_examples=500)
@given(ENTRIES | EXTREME_ENTRIES | close_races())
def test_the_bounds_settle_the_race_as_the_logarithms_do(entries: list[Entry]) -> None:
    probabilities, u = [p for p, _ in entries], [u for _, u in entries]
    order = plain_order(entries)
    assert win_race(probabilities, u) == order[0]
    for count in (1, 2, 5, 20):
        assert order_race(probabilities, u, count) == order[:count]


def test_the_bounds_settle_large_races_as_the_logarithms_do() -> None:
    generator = random.Random(17)
    for number in range(300):
        count = generator.choice([20, 80])
        probabilities = [generator.random() ** generator.choice([0.1, 3.0, 30.0]) for _ in range(count)]
        u = draws(f"large {number}", 1, count)[0]
        order = plain_order(list(zip(probabilities, u, strict=True)))
        assert win_race(probabilities, u) == order[0]
        assert order_race(probabilities, u, 10) == order[:10]


@given(ENTRIES, st.tuples(SHARES, OPEN), st.data())
def test_adding_a_variant_moves_units_only_to_it_and_removing_it_only_those_back(
    entries: list[Entry], added: Entry, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entries)))
    more = [*entries[:place], added, *entries[place:]]
    before, after = race(entries), race(more)
    assert after in (place, before + (before >= place))


@given(ENTRIES, st.data())
def test_what_all_probabilities_are_divided_by_changes_no_winner_that_is_ahead_by_more_than_rounding(
    entries: list[Entry], data: st.DataObject
) -> None:
    # When a variant is removed, the others are divided by their sum. A power of two is exact; any other divisor rounds.
    divisor = data.draw(st.floats(1e-6, 1e6))
    before = race(entries)
    after = race([(p / divisor, u) for p, u in entries])
    assert after == before or finish(entries[after]) <= finish(entries[before]) * (1.0 + 1e-14)
    halved = [(p / 1024.0, u) for p, u in entries]
    if min(p for p, _ in entries if p > 0.0) > 1e-300:
        assert race(halved) == before


@given(ENTRIES)
def test_the_winner_always_has_a_positive_probability(entries: list[Entry]) -> None:
    assert entries[race(entries)][0] > 0.0


@given(ENTRIES, st.floats(1.0, 10.0))
def test_more_probability_never_costs_the_winner_its_place(entries: list[Entry], factor: float) -> None:
    winner = race(entries)
    entries[winner] = (entries[winner][0] * factor, entries[winner][1])
    assert race(entries) == winner


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_uniform_number_is_never_zero_or_one(parts: list[str]) -> None:
    drawn = uniform(*parts)
    assert 2.0**-53 <= drawn <= 1.0 - 2.0**-53
    assert (drawn * 2.0**53) % 2.0 == 1.0
