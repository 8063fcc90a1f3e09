"""The golden cases of the race: who wins, in which order the variants finish, and the slates that are made of it."""

from __future__ import annotations

import math
import random

from shared.choice import order_race, win_race
from shared.slate import rank
from tests.vectors.make import Case, by_hash, by_race, hexes, near, same


def races() -> list[Case]:
    generator = random.Random(5)
    cases: list[Case] = []
    for number in range(60):
        probabilities, drawn = draw(generator, number, 2 + number % 5, "race")
        winner = by_race(probabilities, drawn)
        same(win_race(probabilities, drawn), winner)
        cases.append({"probabilities": hexes(probabilities), "uniforms": hexes(drawn), "winner": winner})
    return cases


def draw(generator: random.Random, number: int, count: int, salt: str) -> tuple[list[float], list[float]]:
    weights = [generator.random() ** 3 for _ in range(count)]
    probabilities = [weight / math.fsum(weights) for weight in weights]
    if number % 7 == 0:
        probabilities[0] = 0.0
    return probabilities, uniforms(salt, number, count)


def uniforms(salt: str, number: int, count: int) -> list[float]:
    return [by_hash([salt, str(number), str(i)]) for i in range(count)]


def orders() -> list[Case]:
    generator = random.Random(29)
    cases: list[Case] = []
    for number in range(60):
        probabilities, drawn = draw(generator, number, 1 + number % 9, "order")
        if number % 11 == 0:  # so near that only the logarithm tells them apart
            probabilities = [math.log(u) / -3.0 * (1.0 + 1e-14 * i) for i, u in enumerate(drawn)]
        count = 1 + number % 4
        finishes = sorted((-math.log(u) / p, i) for i, (u, p) in enumerate(zip(drawn, probabilities, strict=True)) if p)
        order = [i for _, i in finishes[:count]]
        same(order_race(probabilities, drawn, count), order)
        cases.append(
            {"probabilities": hexes(probabilities), "uniforms": hexes(drawn), "count": count, "expected": order}
        )
    return cases


def slates() -> list[Case]:
    generator = random.Random(31)
    cases: list[Case] = []
    for number in range(80):
        count = 80 if number == 79 else 1 + number % 9
        probabilities, drawn = draw(generator, number, count, "slate")
        outside = [generator.random() < 0.4 for _ in range(count)] if number % 4 else []
        positions = [[], [1], [0, 2], [0, 1, 2, 3]][number % 4 if outside else 0]
        slots = 10 if number == 79 else 1 + number % 6
        others = uniforms("interest", number, count)
        got = rank(probabilities, drawn, slots, outside=outside, interest_positions=positions, interest_uniforms=others)
        indices, propensities, relaxations = by_slots(probabilities, drawn, slots, outside, positions, others)
        same([list(got.indices), list(got.relaxations)], [indices, relaxations])
        near(got.propensities, propensities, 1e-12)
        case = {"probabilities": hexes(probabilities), "uniforms": hexes(drawn), "slots": slots, "outside": outside}
        more = {"interest_positions": positions, "interest_uniforms": hexes(others)}
        cases.append({**case, **more, "expected": [indices, hexes(got.propensities), relaxations]})
    return cases


def by_slots(
    probabilities: list[float],
    drawn: list[float],
    slots: int,
    outside: list[bool],
    positions: list[int],
    others: list[float],
) -> tuple[list[int], list[float], list[str]]:
    """Slot by slot the first of those that are left: at a kept position by the other race, of those outside."""
    left = [i for i, p in enumerate(probabilities) if p > 0.0]
    indices: list[int] = []
    propensities = []
    relaxations: list[str] = []
    for position in range(min(slots, len(left))):
        among, times = left, drawn
        if outside and position in positions:
            elsewhere = [i for i in left if outside[i]]
            among, times = (elsewhere, others) if elsewhere else (left, drawn)
            relaxations = relaxations if elsewhere else ["interest_slots"]
        placed = min(among, key=lambda i: -math.log(times[i]) / probabilities[i])
        indices.append(placed)
        propensities.append(probabilities[placed] / math.fsum(probabilities[i] for i in among))
        left = [i for i in left if i != placed]
    return indices, propensities, relaxations
