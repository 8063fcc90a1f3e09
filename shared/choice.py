"""Choosing variants from a distribution, reproducibly.

An exponential race: variant a finishes at `−ln(u_a) / π_a`, and the first to finish is chosen, which happens with
probability exactly π_a. It does not depend on the order of the variants, and when the distribution moves, only those
units switch that must. The order in which all finish is a draw without replacement (Plackett–Luce).

A logarithm costs more than all the rest, so it is taken only where the bounds 2(1−u)/(1+u) ≤ −ln(u) ≤ (1−u)/√u leave
open who is ahead. (With x = −ln(u) they read 2 tanh(x/2) ≤ x ≤ 2 sinh(x/2).)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from shared.numbers import ln

# Far more than the rounding of bounds, logarithm and quotient together (some 1e-15).
_SLACK: Final = 1.0 - 1e-12
# Between these the bounds neither overflow nor lose digits below the smallest normal number.
_LEAST_SPEED: Final = 1e-250
_MOST_SPEED: Final = 1e250


def win_race(probabilities: Sequence[float], uniforms: Sequence[float]) -> int:
    """Return the index of the variant that wins the race; of those that finish at once, the first.

    `probabilities` are non-negative with at least one positive, `uniforms` in (0, 1) and independent, one a variant.
    Raises ValueError where no probability is positive or the lengths differ.
    """
    if len(probabilities) != len(uniforms):
        raise _differ(probabilities, uniforms)
    # The two that are fastest by the bound. One loop without lists: nearly all decisions end after it.
    leader, fastest, second = 0, 0.0, 0.0
    for i, u in enumerate(uniforms):
        speed = probabilities[i] * (1.0 + u) / (1.0 - u)
        if speed > fastest:
            leader, fastest, second = i, speed, fastest
        elif speed > second:
            second = speed
    if _LEAST_SPEED < fastest < _MOST_SPEED and second < _certain_speed(probabilities[leader], uniforms[leader]):
        return leader
    order = order_race(probabilities, uniforms, 1)
    if not order:
        raise ValueError("no variant has a positive probability")
    return order[0]


def order_race(probabilities: Sequence[float], uniforms: Sequence[float], count: int) -> list[int]:
    """Return the indices of the first `count` ≥ 1 variants to finish, in order; fewer where fewer finish at all.

    The arguments are those of `win_race`, which returns the first of them; a variant of probability 0 never finishes.
    Raises ValueError where the lengths differ.
    """
    if len(probabilities) != len(uniforms):
        raise _differ(probabilities, uniforms)
    speeds = [probability * (1.0 + u) / (1.0 - u) for probability, u in zip(probabilities, uniforms, strict=True)]
    leaders = sorted(range(len(speeds)), key=speeds.__getitem__, reverse=True)[:count]
    slowest = min([_certain_speed(probabilities[i], uniforms[i]) for i in leaders], default=0.0)
    if slowest > _LEAST_SPEED and speeds[leaders[0]] < _MOST_SPEED:
        runners = [i for i, speed in enumerate(speeds) if speed >= slowest]
    else:
        runners = [i for i, probability in enumerate(probabilities) if probability > 0.0]
    finishes = sorted([(-ln(uniforms[i]) / probabilities[i], i) for i in runners])
    return [i for _, i in finishes[:count]]


def _certain_speed(probability: float, u: float) -> float:
    """Twice the reciprocal of the latest time at which a variant may finish, less all rounding."""
    return 2.0 * sqrt(u) * probability / (1.0 - u) * _SLACK


def _differ(probabilities: Sequence[float], uniforms: Sequence[float]) -> ValueError:
    return ValueError(f"got {len(probabilities)} probabilities and {len(uniforms)} uniforms")
