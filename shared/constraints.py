"""Constraints on the served distribution, met with the least change of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.errors import Unsatisfiable

SMALLEST: Final = 1e-9
# By how much a sum of floors may exceed 1: what adding them up has rounded.
ROUNDING: Final = 1e-12


def raise_to_floors(probabilities: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Return the distribution nearest to `probabilities` that gives every variant at least its floor.

    Nearest in Kullback-Leibler divergence KL(q‖π), which makes it `q_a = max(floor_a, λ π_a)` with the one λ for which
    it sums to 1; the input is first clipped to at least 1e-9. Exact at the bounds; variants with equal floors keep
    their order. Both sequences have length K ≥ 1, floors are in [0, 1]. Raises Unsatisfiable when the floors sum to
    more than 1, and ValueError for unequal lengths.
    """
    if len(probabilities) != len(floors) or not probabilities:
        raise ValueError(f"got {len(probabilities)} probabilities and {len(floors)} floors")
    total_floor = 0.0
    for floor in floors:
        total_floor += floor
    if total_floor > 1.0 + ROUNDING:
        raise Unsatisfiable(f"the floors sum to {total_floor:.6g}, more than 1")
    weights = [max(probability, SMALLEST) for probability in probabilities]
    # Variants leave the free set in the order in which a falling λ reaches their floors.
    order = sorted(range(len(weights)), key=lambda i: floors[i] / weights[i], reverse=True)
    free_weight = 0.0
    for weight in weights:
        free_weight += weight
    free_share = 1.0
    held = 0
    while held < len(order):
        i = order[held]
        if floors[i] * free_weight < weights[i] * free_share:
            break
        free_weight -= weights[i]
        free_share -= floors[i]
        held += 1
    served = [0.0] * len(weights)
    for i in order[:held]:
        served[i] = floors[i]
    _fill_free(served, order[held:], weights, floors, free_share)
    return served


def relax_floors(floors: Sequence[float]) -> list[float]:
    """Scale floors that sum to more than 1 down to a sum of 1: the rule for a visitor whose eligible set is too small
    for them."""
    total = 0.0
    for floor in floors:
        total += floor
    return [floor / total for floor in floors] if total > 1.0 + ROUNDING else list(floors)


def _fill_free(
    served: list[float], free: Sequence[int], weights: Sequence[float], floors: Sequence[float], share: float
) -> None:
    """Share out what the floors left, in proportion to the weights (summed anew: differences have lost digits)."""
    total = 0.0
    for i in sorted(free):
        total += weights[i]
    for i in free:
        served[i] = max(floors[i], weights[i] * (share / total))
