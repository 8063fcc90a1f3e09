"""The derivation of a logged decision: everything between what was known and what was shown.

It computes with the functions that decided, so what it prints is what happened; where the replay comes out otherwise,
that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from origin.comparison import compare, decide_again, keep, name_draw
from origin.lake import Lake
from origin.logged import FORCED, REPEATED, Archive, LoggedDecision
from shared.constraints import constrain
from shared.decision import INTEREST_RACE, Decision, salt_of
from shared.distribution import Distribution, find_posterior
from shared.numbers import ln
from shared.posterior import Posterior
from shared.records import Touchpoint
from shared.situation import Situation
from shared.uniform import uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One eligible variant on its way through the decision: posterior before and after the session's shift, Thompson
    probability, its bounds, the probability after floors, after caps, and as served."""

    name: str
    mean: float
    sd: float
    shifted_mean: float
    shifted_sd: float
    thompson: float
    floor: float
    floored: float
    cap: float
    capped: float
    is_outside: bool
    served: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One variant in a race: its probability, its uniform number, and when it finishes (infinite: never)."""

    name: str
    probability: float
    u: float
    finish: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A decision with its whole derivation.

    `shift` holds the session features that moved the posteriors. `rows` are the eligible variants in published order,
    empty where there were no posteriors. `race` has the runners by their finish, empty where nothing was drawn;
    `interest_race` those of the race for the positions that a slate keeps for other interests, empty where none is run.
    `problems` says in what the replay differs from the log.
    """

    logged: LoggedDecision
    situation: Situation
    place: Touchpoint
    decision: Decision
    shift: tuple[tuple[str, float], ...]
    rows: tuple[VariantRow, ...]
    race: tuple[Runner, ...]
    interest_race: tuple[Runner, ...]
    problems: tuple[str, ...]


def find_draw(logged: LoggedDecision, all_logged: list[LoggedDecision]) -> LoggedDecision | None:
    """The decision that a repeated one repeats, where it is among these; a decision that was drawn is its own."""
    if logged.reason == FORCED:
        return None
    if logged.reason != REPEATED:
        return logged
    draw, kept = name_draw(logged), keep(logged)
    for each in all_logged:
        if each.reason not in (REPEATED, FORCED) and name_draw(each) == draw and keep(each) == kept:
            return each
    return None


def derive(logged: LoggedDecision, lake: Lake) -> Derivation:
    """Derive a logged decision that is no repeat. Raises MissingVersion where the lake lacks what it was made from."""
    archive = Archive(lake)
    archive.prepare([logged])
    situation = archive.situate(logged)
    decision = decide_again(logged, situation)
    place = situation.snapshot.touchpoint(logged.touchpoint)
    distribution = decision.distribution
    race: tuple[Runner, ...] = ()
    interest_race: tuple[Runner, ...] = ()
    if distribution is not None and not decision.holdout:
        salt = salt_of(situation, place.name, decision.epoch, distribution.excluded)
        race = _run(distribution, distribution.probabilities, salt)
        if place.slots > 1 and place.interest_slots and distribution.outside:
            chances = zip(distribution.probabilities, distribution.outside, strict=True)
            weights = [chance if is_outside else 0.0 for chance, is_outside in chances]
            interest_race = _run(distribution, weights, salt + INTEREST_RACE)
    return Derivation(
        logged=logged,
        situation=situation,
        place=place,
        decision=decision,
        shift=_shift(place, distribution),
        rows=_rows(place, distribution, situation) if distribution is not None else (),
        race=race,
        interest_race=interest_race,
        problems=compare(logged, decision),
    )


def _shift(place: Touchpoint, distribution: Distribution | None) -> tuple[tuple[str, float], ...]:
    if place.shift is None or distribution is None:
        return ()
    return tuple((name, x) for name, x in zip(place.shift.names, distribution.values, strict=False) if x != 0.0)


def _rows(place: Touchpoint, distribution: Distribution, situation: Situation) -> tuple[VariantRow, ...]:
    before, _ = find_posterior(place, situation)
    assert isinstance(before, Posterior)
    floors = [place.floors[i] for i in distribution.eligible]
    caps = [place.caps[i] for i in distribution.eligible]
    floored = constrain(distribution.thompson, floors=floors, caps=[1.0] * len(floors)).probabilities
    capped = constrain(distribution.thompson, floors=floors, caps=caps).probabilities
    return tuple(
        VariantRow(
            name=distribution.names[position],
            mean=before.means[index],
            sd=before.sds[index],
            shifted_mean=distribution.posterior.means[index],
            shifted_sd=distribution.posterior.sds[index],
            thompson=distribution.thompson[position],
            floor=floors[position],
            floored=floored[position],
            cap=caps[position],
            capped=capped[position],
            is_outside=bool(distribution.outside) and distribution.outside[position],
            served=distribution.probabilities[position],
        )
        for position, index in enumerate(distribution.eligible)
    )


def _run(distribution: Distribution, probabilities: Sequence[float], salt: bytes) -> tuple[Runner, ...]:
    """The race of those probabilities, by their finish."""
    runners = [
        Runner(name=name, probability=share, u=u, finish=-ln(u) / share if share > 0.0 else inf)
        for name, share, u in zip(distribution.names, probabilities, uniforms(salt, distribution.suffixes), strict=True)
    ]
    return tuple(sorted(runners, key=lambda each: each.finish))
