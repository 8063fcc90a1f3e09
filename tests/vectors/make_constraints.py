"""The golden cases of the constraints: the served distribution, what is relaxed for it, and floors for impressions.

The reference finds its multipliers by bisection, and relaxes by the rules as the design words them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from shared.constraints import constrain, impressions_floor, merge_floors
from tests.vectors.make import Case, by_bisection, hexes, near, rounded, same

Problem = tuple[list[float], list[float], list[float], list[bool], float]

PLAIN: list[Problem] = [
    ([1.0], [1.0], [1.0], [], 0.0),
    ([1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [], 0.0),
    ([0.98, 0.01, 0.01], [0.25, 0.25, 0.5], [1.0, 1.0, 1.0], [], 0.0),
    ([0.65, 0.31, 0.04], [0.0, 0.3, 0.2], [1.0, 1.0, 1.0], [], 0.0),
    ([0.5, 0.5], [1.0, 0.0], [1.0, 1.0], [], 0.0),
    ([0.8, 0.1, 0.1], [0.0, 0.0, 0.0], [0.4, 1.0, 1.0], [], 0.0),
    ([0.9, 0.05, 0.05], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [False, True, False], 0.4),
]
# What cannot be met, one kind after the other and two at once.
RELAXED: list[Problem] = [
    ([0.7, 0.3], [0.6, 0.6], [1.0, 1.0], [], 0.0),
    ([0.2, 0.3, 0.5], [0.9, 0.0, 0.7], [1.0, 1.0, 1.0], [], 0.0),
    ([0.7, 0.3], [0.0, 0.0], [0.4, 0.4], [], 0.0),
    ([0.7, 0.2, 0.1], [0.0, 0.05, 0.0], [0.1, 0.2, 0.6], [], 0.0),
    ([0.7, 0.2, 0.1], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [False, False, False], 0.3),
    ([0.7, 0.2, 0.1], [0.0, 0.0, 0.0], [1.0, 0.1, 0.05], [False, True, True], 0.3),
    ([0.7, 0.2, 0.1], [0.8, 0.0, 0.0], [1.0, 1.0, 1.0], [False, True, True], 0.3),
    ([0.7, 0.2, 0.1], [0.9, 0.0, 0.3], [1.0, 1.0, 1.0], [False, True, True], 0.5),
    ([0.7, 0.2, 0.1], [0.0, 0.0, 0.0], [0.3, 0.2, 0.2], [False, True, False], 0.5),
    ([1.0], [0.0], [0.25], [False], 0.2),
]


def constraints() -> list[Case]:
    cases: list[Case] = []
    for number, (probabilities, floors, caps, outside, share) in enumerate(
        [*PLAIN, *drawn(), *RELAXED, *drawn_tight()]
    ):
        got = constrain(probabilities, floors=floors, caps=caps, outside=outside, share=share)
        reference, relaxations = by_the_rules(probabilities, floors, caps, outside, share)
        same(list(got.relaxations), relaxations)
        same(bool(relaxations), number >= len(PLAIN) + 60)
        near(got.probabilities, reference, 1e-9)
        case = {"probabilities": hexes(probabilities), "floors": hexes(floors), "caps": hexes(caps)}
        more = {"outside": outside, "share": share, "reference": rounded(reference)}
        cases.append({**case, **more, "expected": hexes(got.probabilities), "relaxations": relaxations})
    return cases


def drawn() -> list[Problem]:
    generator = random.Random(9)
    problems: list[Problem] = []
    for number in range(60):
        weights = [generator.random() ** 4 for _ in range(2 + number % 6)]
        wanted = [generator.random() ** 2 if generator.random() < 0.6 else 0.0 for _ in weights]
        scale = generator.choice([0.2, 0.4, 0.6]) / max(math.fsum(wanted), 1.0)
        floors = [scale * each for each in wanted]
        caps = [max(floor, generator.choice([1.0, 1.0, 0.7])) for floor in floors]
        outside = [generator.random() < 0.5 for _ in weights] if number % 2 else []
        is_mixed = any(outside) and not all(outside)
        problems.append(([w / math.fsum(weights) for w in weights], floors, caps, outside, 0.3 if is_mixed else 0.0))
    return problems


def drawn_tight() -> list[Problem]:
    """Problems that cannot be met, drawn until there are 40."""
    generator = random.Random(19)
    problems: list[Problem] = []
    while len(problems) < 40:
        count = generator.randrange(1, 7)
        weights = [generator.random() ** 4 + 1e-6 for _ in range(count)]
        floors = [generator.choice([0.0, 0.1, 0.3, generator.random()]) for _ in weights]
        caps = [max(floor, generator.choice([0.05, 0.2, 0.5, 1.0])) for floor in floors]
        outside = [generator.random() < 0.5 for _ in weights] if generator.random() < 0.7 else []
        share = generator.choice([0.2, 0.5]) if outside else 0.0
        probabilities = [w / math.fsum(weights) for w in weights]
        if by_the_rules(probabilities, floors, caps, outside, share)[1]:
            problems.append((probabilities, floors, caps, outside, share))
    return problems


def by_the_rules(
    probabilities: Sequence[float],
    floors: Sequence[float],
    caps: Sequence[float],
    outside: Sequence[bool],
    share: float,
) -> tuple[list[float], list[str]]:
    """The served distribution and what was relaxed: floors scaled to sum to 1, caps raised to 1/K, and the interest
    share lowered to what caps outside and floors inside leave, or void."""
    relaxations = []
    if math.fsum(floors) > 1.0 + 1e-12:
        relaxations.append("floors")
        floors = [floor / math.fsum(floors) for floor in floors]
    elif math.fsum(caps) < 1.0 - 1e-12:
        relaxations.append("caps")
        caps = [max(cap, 1.0 / len(caps)) for cap in caps]
    if outside and share > 0.0:
        others = [i for i, each in enumerate(outside) if each]
        left = 1.0 - math.fsum(floors[i] for i in range(len(floors)) if i not in others)
        room = max(min(math.fsum(caps[i] for i in others), left), 0.0) if others else 0.0
        unbound = by_bisection(probabilities, floors, caps)
        if room < share - 1e-12 and math.fsum(unbound[i] for i in others) < share:
            relaxations.append("interest_share")
            share = room
    return by_bisection(probabilities, floors, caps, outside, share), relaxations


def impressions() -> list[Case]:
    cases: list[Case] = []
    for missing in (-3.0, 0.0, 1.0, 100.0, 3e7):
        for decisions in (0.0, 7.0, 1e3, 1e6):
            for count in (1, 3, 80):
                got = impressions_floor(missing, decisions, count)
                reference = 0.0 if missing <= 0.0 else 1.0 / count
                if missing > 0.0 and decisions > 0.0:
                    reference = min(reference, missing / decisions)
                same(got, reference)
                case = {"missing": missing.hex(), "decisions": decisions.hex(), "count": count}
                cases.append({**case, "expected": got.hex()})
    return cases


def merges() -> list[Case]:
    """Configured floors first; those for impressions get what is left, all by one factor where that is too little."""
    generator = random.Random(23)
    cases: list[Case] = []
    for number in range(60):
        count = 1 + number % 6
        configured = [generator.choice([0.0, 0.05, 0.9 / count * generator.random()]) for _ in range(count)]
        if number % 10 == 9:
            configured = [0.4] * count  # more than 1 from three on: only one visitor's variants sum to less
        wanted = [generator.choice([0.0, generator.random(), 1.0 / count]) for _ in range(count)]
        caps = [max(floor, generator.choice([1.0, 0.5, 0.1])) for floor in configured]
        got = merge_floors(configured, wanted, caps)
        raised = [max(floor, min(each, cap)) for floor, each, cap in zip(configured, wanted, caps, strict=True)]
        extra = [each - floor for each, floor in zip(raised, configured, strict=True)]
        room = max(1.0 - math.fsum(configured), 0.0)
        factor = min(room / math.fsum(extra), 1.0) if math.fsum(extra) else 0.0
        near(got, [floor + factor * each for floor, each in zip(configured, extra, strict=True)], 1e-15)
        case = {"configured": hexes(configured), "impressions": hexes(wanted), "caps": hexes(caps)}
        cases.append({**case, "expected": hexes(got)})
    return cases
