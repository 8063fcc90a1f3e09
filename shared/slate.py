"""A ranked slate: several variants of one touchpoint, in order, each with the propensity of its slot.

The slate is the order in which the variants finish the exponential race (`shared.choice`), which is a Plackett–Luce
draw: slot by slot, a variant not yet placed with probability π_a / (1 − already placed). Slots kept for other interests
stand at fixed positions and run a race of their own, among the variants outside; a regular slot then passes over what
such a slot has placed. The two races are independent and without memory, so every slot's propensity is exact given the
slots before it, and their product is the probability of the slate.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import fsum

from shared.choice import order_race


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """Variants by slot: their indices, and the propensity of each given the slots before it.

    `relaxations` holds `interest_slots` where a slot kept for other interests found no variant outside any more and was
    filled like a regular one.
    """

    indices: tuple[int, ...]
    propensities: tuple[float, ...]
    relaxations: tuple[str, ...]


def rank(
    probabilities: Sequence[float],
    uniforms: Sequence[float],
    slots: int,
    *,
    outside: Sequence[bool] = (),
    interest_positions: Collection[int] = (),
    interest_uniforms: Sequence[float] = (),
) -> Slate:
    """Return the slate of the race that `probabilities` and `uniforms` run (see `win_race`) on `slots` ≥ 1 slots.

    `outside[i]` says that variant i is of another interest than the visitor's primary one; empty for a visitor without
    one, whose slots are all regular. `interest_positions` are the slots kept for those variants, counted from 0;
    `interest_uniforms`, one a variant and independent of `uniforms`, are read for them. Where fewer variants than slots
    have a positive probability, the slate is shorter.
    Raises ValueError where lengths differ or no slot is asked for.
    """
    count = len(probabilities)
    if len(uniforms) != count or len(outside) not in (0, count):
        raise ValueError(f"got {count} probabilities, {len(uniforms)} uniforms and {len(outside)} classes")
    if slots < 1:
        raise ValueError(f"got {slots} slots")
    order = order_race(probabilities, uniforms, slots)
    if not outside or not interest_positions:
        return _fill_slots(probabilities, order, probabilities, (), ())
    if len(interest_uniforms) != count:
        raise ValueError(f"got {count} probabilities and {len(interest_uniforms)} uniforms of the interest race")
    weights = [weight if each else 0.0 for weight, each in zip(probabilities, outside, strict=True)]
    others = order_race(weights, interest_uniforms, slots)
    return _fill_slots(probabilities, order, weights, others, interest_positions)


def _fill_slots(
    probabilities: Sequence[float],
    order: Sequence[int],
    weights: Sequence[float],
    others: Sequence[int],
    positions: Collection[int],
) -> Slate:
    """Fill the slots in turn from the race's order, those at `positions` from that of the `others` with `weights`.

    Either order has as many variants as slots or all that finish, so it runs out only where all of them are placed.
    """
    left, left_outside = list(probabilities), list(weights)
    placed: list[int] = []
    propensities: list[float] = []
    relaxations: tuple[str, ...] = ()
    for position in range(len(order)):
        index, rivals = None, left_outside
        if position in positions:
            index = next((i for i in others if i not in placed), None)
            if index is None:
                relaxations = ("interest_slots",)
        if index is None:
            index, rivals = next(i for i in order if i not in placed), left
        placed.append(index)
        propensities.append(rivals[index] / fsum(rivals))
        left[index] = left_outside[index] = 0.0
    return Slate(indices=tuple(placed), propensities=tuple(propensities), relaxations=relaxations)
