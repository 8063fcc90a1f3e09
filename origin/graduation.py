"""Graduation: how fine the posteriors of a touchpoint may be.

`segment` needs no proof: a segment has a cell of its own once it has enough decisions, and borrows from all others. A
finer level is reached step by step, each only with enough people and days, and only where personalisation is proven to
gain something at the coarser levels: the reward rate of the personalised arm less that of the holdout, with the lower
end of its 95 % interval above 0. Where the data no longer prove it, the touchpoint falls back by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from origin.touchpoint_config import LevelsConfig
from shared.posterior import LEVELS

# The lower end of a two-sided 95 % interval.
Z: Final = 1.959963984540054
# The levels that need proof, from the coarsest, each with the levels whose decisions may prove it.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "cluster": ("segment", "global"),
    "individual": ("cluster", "segment", "global"),
}
# Below this an arm's variance says too little for the normal approximation.
LEAST_UNITS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTotals:
    """The decisions n_u and rewards r_u of an arm's U units, summed: n, r, n², n·r and r²."""

    units: int
    decisions: float
    rewards: float
    decisions_squared: float
    decisions_rewards: float
    rewards_squared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The reward rate of the personalised arm less that of the holdout, and the lower end of its 95 % interval."""

    difference: float
    lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for a finer level: people and days with decisions, and by step both arms (personalised first)."""

    people: int
    days: int
    arms: Mapping[str, tuple[ArmTotals, ArmTotals]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graduation:
    """The finest level that is reached, and why not a finer one (empty: none is allowed)."""

    level: str
    reason: str


def measure_gain(personalised: ArmTotals, holdout: ArmTotals) -> Gain | None:
    """Return the gain of one arm over the other by intention to treat, or None where an arm has under 100 units.

    A rate is Σr/Σn over the arm's units. Units are independent, their decisions are not, so the variance of a rate is
    the linearised one of a ratio of sums over U clusters, U/(U−1) · Σ(r_u − rate·n_u)² / (Σn)²; where rewards are so
    few that it is smaller, that of a binomial with two more rewards and two more failures (Agresti and Coull 1998).
    """
    if min(personalised.units, holdout.units) < LEAST_UNITS:
        return None
    difference = personalised.rewards / personalised.decisions - holdout.rewards / holdout.decisions
    lower = difference - Z * sqrt(_variance(personalised) + _variance(holdout))
    return Gain(difference=difference, lower=lower)


def graduate(levels: LevelsConfig, evidence: Evidence) -> Graduation:
    """Return the finest level that the configuration allows and the evidence supports."""
    if levels.finest == "global":
        return Graduation(level="global", reason="")
    reached = "segment"
    thresholds = {
        "cluster": (levels.cluster_min_people, levels.cluster_min_days),
        "individual": (levels.individual_min_people, levels.individual_min_days),
    }
    for step, (people, days) in thresholds.items():
        if LEVELS.index(step) < LEVELS.index(levels.finest):
            break
        missing = _find_missing(step, people, days, evidence, require_gain=levels.require_gain)
        if missing:
            return Graduation(level=reached, reason=f"{step} level: {missing}")
        reached = step
    return Graduation(level=reached, reason="")


def _find_missing(step: str, people: int, days: int, evidence: Evidence, *, require_gain: bool) -> str:
    """What a step still lacks, in words; empty where it lacks nothing."""
    lacks = []
    if evidence.people < people:
        lacks.append(f"{evidence.people:,} of {people:,} people")
    if evidence.days < days:
        lacks.append(f"{evidence.days:,} of {days:,} days")
    if lacks:
        return f"{' and '.join(lacks)} so far"
    if not require_gain:
        return ""
    arms = evidence.arms.get(step)
    gain = measure_gain(*arms) if arms is not None else None
    if gain is None:
        return f"no gain can be measured yet: fewer than {LEAST_UNITS} people in the holdout or outside it"
    if gain.lower <= 0.0:
        return (
            f"no gain over the holdout is proven: {gain.difference:+.2%} of decisions rewarded, "
            f"at least {gain.lower:+.2%} with 95 % confidence"
        )
    return ""


def _variance(arm: ArmTotals) -> float:
    rate = arm.rewards / arm.decisions
    squares = arm.rewards_squared - 2.0 * rate * arm.decisions_rewards + rate * rate * arm.decisions_squared
    clustered = arm.units / (arm.units - 1.0) * squares / (arm.decisions * arm.decisions)
    careful = (arm.rewards + 2.0) / (arm.decisions + 4.0)
    return max(clustered, careful * (1.0 - careful) / (arm.decisions + 4.0))
