"""Choosing a variant from a distribution, reproducibly.

An exponential race: variant a finishes at `−ln(u_a) / π_a`, and the first to finish is chosen, which happens with
probability exactly π_a. It does not depend on the order of the variants, and when the distribution moves, only those
units switch that must.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.numbers import ln


def win_race(probabilities: Sequence[float], uniforms: Sequence[float]) -> int:
    """Return the index of the variant that wins the race.

    `probabilities` are non-negative with at least one positive, `uniforms` in (0, 1) and independent, one a variant.
    Raises ValueError where no probability is positive or the lengths differ.
    """
    if len(probabilities) != len(uniforms):
        raise ValueError(f"got {len(probabilities)} probabilities and {len(uniforms)} uniforms")
    winner = -1
    best = 0.0
    for i, probability in enumerate(probabilities):
        if probability > 0.0:
            finish = -ln(uniforms[i]) / probability
            if winner < 0 or finish < best:
                winner, best = i, finish
    if winner < 0:
        raise ValueError("no variant has a positive probability")
    return winner
