"""Constraints on the served distribution, met with the least change of it.

The served distribution q is the projection of the wished one π: of all distributions that keep the constraints, the
one of least Kullback-Leibler divergence KL(q‖π). Its optimality conditions give it a closed form (see `constrain`), so
it is found exactly, in a few passes over the variants. `refuse_unsatisfiable` says at compile time what no traffic
could meet; what only one visitor's eligible variants cannot meet, `constrain` relaxes and names. `impressions_floor`
and `merge_floors` turn a minimum of impressions into floors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import fsum
from operator import gt, le
from typing import Final

from shared.errors import Unsatisfiable

SMALLEST: Final = 1e-9
# By how much a sum may miss its bound: what adding it up has rounded.
ROUNDING: Final = 1e-12


@dataclass(slots=True)
class Constrained:
    """The served distribution, and which rules had to be relaxed for it: of `floors`, `caps`, `interest_share`. Nobody
    changes it; frozen it would be slow to make."""

    probabilities: tuple[float, ...]
    relaxations: tuple[str, ...]


def constrain(
    probabilities: Sequence[float],
    *,
    floors: Sequence[float],
    caps: Sequence[float],
    outside: Sequence[bool] = (),
    share: float = 0.0,
) -> Constrained:
    """Return the distribution nearest to `probabilities` that keeps floors, caps and the interest share.

    All sequences run over the K ≥ 1 eligible variants; `outside[i]` says that variant i is tagged with interests, none
    of them the visitor's primary one (empty for a visitor without a primary interest), and those variants together get
    at least `share`. Nearest in KL(q‖π), π clipped to at least 1e-9, which makes it `q_a = min(max(floor_a, λ π_a),
    cap_a)` with the one λ for which q sums to 1; where that leaves too little outside, the share binds, and either
    class has a λ of its own. Exact at the bounds; of two variants with equal bounds and class, the likelier gets no
    less.

    What these variants cannot meet is relaxed, and named in this order: `floors` that sum to more than 1 are scaled to
    sum to 1; where `caps` sum to less than 1, each becomes at least 1/K; the `interest_share` shrinks to what the caps
    outside and the floors inside leave, and is void without a variant outside.
    Raises ValueError for lengths that differ or are 0, and for a floor above its cap.
    """
    count = len(probabilities)
    if not len(floors) == len(caps) == count or len(outside) not in (0, count) or not count:
        lengths = f"{count} probabilities, {len(floors)} floors, {len(caps)} caps and {len(outside)} classes"
        raise ValueError(f"got {lengths}")
    weights = [each if each > SMALLEST else SMALLEST for each in probabilities]
    served = _spread(weights, 1.0)
    relaxations: list[str] = []
    if not (all(map(le, floors, served)) and all(map(le, served, caps))):
        floors, caps = _relax_bounds(floors, caps, relaxations)
        _project(served, weights, floors, caps, 1.0)
    if share > 0.0 and outside:
        _raise_outside(served, weights, floors, caps, outside, share, relaxations)
    return Constrained(tuple(served), tuple(relaxations))


def refuse_unsatisfiable(
    touchpoint: str,
    names: Sequence[str],
    *,
    floors: Sequence[float],
    caps: Sequence[float],
    interests: Sequence[Collection[str]] = (),
    share: float = 0.0,
    targeted: Sequence[bool] = (),
) -> None:
    """Refuse a touchpoint whose constraints no traffic could meet, whatever targeting lets through.

    All sequences run over its variants; `targeted[i]` says that variant i has a condition, and so may be missing where
    another is eligible (empty: none has). Refused are
    - a floor above its cap;
    - floors that sum to more than 1: of those always eligible together, or with one targeted variant added;
    - caps that sum to less than 1;
    - an interest share that not even a visitor to whom every tagged variant is of another interest could get, for the
      caps of the tagged variants or the floors of the others. Without any tagged variant it is void, and fine.
    What some visitors could get is not refused: for the others `constrain` relaxes it.

    Raises Unsatisfiable with every contradiction and its arithmetic.
    """
    problems = [
        f"floor {_show(floor)} of {name} is above its cap {_show(cap)}"
        for name, floor, cap in zip(names, floors, caps, strict=True)
        if floor > cap
    ]
    always = [not each for each in targeted] or [True] * len(names)
    problems += _floor_problems(touchpoint, names, floors, always)
    if fsum(caps) < 1.0 - ROUNDING:
        problems.append(f"caps of {touchpoint} sum to {_add_up(caps)}, less than 1: raise them")
    tagged = [bool(each) for each in interests]
    if share > 0.0 and any(tagged):
        problems += _share_problems(touchpoint, floors, caps, tagged, always, share)
    if problems:
        raise Unsatisfiable("; ".join(problems))


def impressions_floor(missing: float, expected: float, count: int) -> float:
    """The floor that lets a variant catch up with its minimum of impressions: min(1/K, missing ÷ expected).

    `missing` are the impressions it lacks in the evaluation period, `expected` the decisions of the touchpoint until
    that ends, `count` is K ≥ 1. It is 0 where nothing is missing, 1/K where no decisions are expected any more.
    """
    if missing <= 0.0:
        return 0.0
    even = 1.0 / count
    return min(even, missing / expected) if expected > 0.0 else even


def merge_floors(configured: Sequence[float], impressions: Sequence[float], caps: Sequence[float]) -> list[float]:
    """Return the floors of a touchpoint: the configured ones, raised to those for minimum impressions where there is
    room.

    No floor is above its cap, and where the configured ones sum to at most 1, so do these: what the impressions ask
    for beyond the configured floors gives way, all of it by the same factor. All sequences run over the variants.
    """
    wanted = [max(floor, min(each, cap)) for floor, each, cap in zip(configured, impressions, caps, strict=True)]
    total, least = fsum(wanted), fsum(configured)
    if total <= 1.0 or total == least:
        return wanted
    factor = max(1.0 - least, 0.0) / (total - least)
    return [min(floor + factor * (each - floor), each) for floor, each in zip(configured, wanted, strict=True)]


def _relax_bounds(
    floors: Sequence[float], caps: Sequence[float], relaxations: list[str]
) -> tuple[Sequence[float], Sequence[float]]:
    """The bounds, relaxed where no distribution keeps them; at most one kind needs it, floors being below caps."""
    if any(map(gt, floors, caps)):
        floor, cap = next(pair for pair in zip(floors, caps, strict=True) if pair[0] > pair[1])
        raise ValueError(f"floor {floor!r} is above its cap {cap!r}")
    if (total := fsum(floors)) > 1.0 + ROUNDING:
        relaxations.append("floors")
        return [floor / total for floor in floors], caps
    if fsum(caps) < 1.0 - ROUNDING:
        relaxations.append("caps")
        even = 1.0 / len(caps)
        return floors, [max(cap, even) for cap in caps]
    return floors, caps


def _raise_outside(
    served: list[float],
    weights: Sequence[float],
    floors: Sequence[float],
    caps: Sequence[float],
    outside: Sequence[bool],
    share: float,
    relaxations: list[str],
) -> None:
    """Give the variants outside their share where they have less, each class projected on its own."""
    others = [i for i, each in enumerate(outside) if each]
    if fsum([served[i] for i in others]) >= share:
        return
    insiders = [i for i, each in enumerate(outside) if not each]
    held = fsum([floors[i] for i in insiders])
    room = min(fsum([caps[i] for i in others]), 1.0 - held)
    if room < share - ROUNDING:
        relaxations.append("interest_share")
        share = max(room, 0.0)
    for members, mass in ((others, share), (insiders, max(1.0 - share, held))):
        own = [weights[i] for i in members]
        parts = _spread(own, mass)
        _project(parts, own, [floors[i] for i in members], [caps[i] for i in members], mass)
        for i, part in zip(members, parts, strict=True):
            served[i] = part


def _spread(weights: Sequence[float], mass: float) -> list[float]:
    """The weights, scaled to sum to `mass`."""
    scale = fsum(weights) / mass if mass > 0.0 else float("inf")
    return [weight / scale for weight in weights]


def _project(
    served: list[float], weights: Sequence[float], floors: Sequence[float], caps: Sequence[float], mass: float
) -> None:
    """Turn what is `served` if nothing binds into min(max(floor, λ w), cap) with the λ for which it sums to `mass`,
    which floors and caps allow.

    With λ as if nothing that is open were bound, either the variants below their floors lack more than those above
    their caps have in excess, or less. In the first case λ can only fall, so the former stay at their floors for good;
    in the second it can only rise, so the latter stay at their caps. A round settles all of them at once.
    """
    free = list(range(len(weights)))
    held: list[float] = []
    while free:
        low = [i for i in free if served[i] <= floors[i]]
        high = [i for i in free if served[i] >= caps[i]]
        lack = fsum([floors[i] - served[i] for i in low]) if low else 0.0
        excess = fsum([served[i] - caps[i] for i in high]) if high else 0.0
        if lack >= excess:
            for i in low:
                served[i] = floors[i]
        if excess >= lack:
            for i in high:
                served[i] = caps[i]
        if lack > excess:
            held += [floors[i] for i in low]
            free = [i for i in free if served[i] > floors[i]]
        elif excess > lack:
            held += [caps[i] for i in high]
            free = [i for i in free if served[i] < caps[i]]
        else:
            return
        for i, part in zip(free, _spread([weights[i] for i in free], mass - fsum(held)), strict=True):
            served[i] = part


def _floor_problems(
    touchpoint: str, names: Sequence[str], floors: Sequence[float], always: Sequence[bool]
) -> list[str]:
    base = [floor for floor, each in zip(floors, always, strict=True) if each]
    if fsum(base) > 1.0 + ROUNDING:
        return [f"floors of {touchpoint} sum to {_add_up(base)}, more than 1: lower them"]
    return [
        f"floor {_show(floor)} of {name} and those of {touchpoint} that are always eligible sum to"
        f" {_add_up([*base, floor])}, more than 1: lower them"
        for name, floor, each in zip(names, floors, always, strict=True)
        if not each and fsum([*base, floor]) > 1.0 + ROUNDING
    ]


def _share_problems(
    touchpoint: str,
    floors: Sequence[float],
    caps: Sequence[float],
    tagged: Sequence[bool],
    always: Sequence[bool],
    share: float,
) -> list[str]:
    problems = []
    what = f"interest share {_show(share)} of {touchpoint} is out of every visitor's reach"
    reach = [cap for cap, each in zip(caps, tagged, strict=True) if each]
    if fsum(reach) < share - ROUNDING:
        problems.append(f"{what}: the caps of the variants with interests sum to {_add_up(reach)}, less than it")
    held = [floor for floor, each, stays in zip(floors, tagged, always, strict=True) if stays and not each]
    if fsum(held) > 1.0 - share + ROUNDING:
        left = _show(max(1.0 - fsum(held), 0.0))
        problems.append(f"{what}: the floors of those without interests sum to {_add_up(held)}, which leaves {left}")
    return problems


def _add_up(terms: Sequence[float]) -> str:
    """The arithmetic of a sum: `1.2 = 0.6 + 3 × 0.2`; just the sum where there is one term at most."""
    counts = [(value, len(list(group))) for value, group in groupby([each for each in terms if each != 0.0])]
    shown = [f"{count} × {_show(value)}" if count > 1 else _show(value) for value, count in counts]
    total = _show(fsum(terms))
    return f"{total} = {' + '.join(shown)}" if shown and shown != [total] else total


def _show(value: float) -> str:
    return f"{value:.12g}"
