"""The derivation of a logged decision: everything between what was known and what was shown.

It computes with the functions that decided, so what it prints is what happened; where the replay comes out otherwise,
that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from origin.lake import Lake
from origin.logged import FORCED, REPEATED, Archive, LoggedDecision
from shared.constraints import constrain
from shared.decision import Decision, decide, salt_of
from shared.distribution import Distribution, find_posterior
from shared.numbers import ln
from shared.posterior import Posterior
from shared.records import Touchpoint
from shared.situation import Situation
from shared.uniform import uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One eligible variant on its way through the decision: posterior before and after the session's shift, Thompson
    probability, probability after floors, after caps, and as served; its uniform number and the finish of its race."""

    name: str
    mean: float
    sd: float
    shifted_mean: float
    shifted_sd: float
    thompson: float
    floored: float
    capped: float
    served: float
    u: float
    finish: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A decision with its whole derivation; `rows` is empty where nothing was drawn.

    `shift` holds the session features that moved the posteriors, `is_same` whether the replay agrees with the log.
    """

    logged: LoggedDecision
    situation: Situation
    decision: Decision
    segments: tuple[str, ...]
    is_holdout: bool
    shift: tuple[tuple[str, float], ...]
    rows: tuple[VariantRow, ...]
    is_same: bool


def find_draw(logged: LoggedDecision, all_logged: list[LoggedDecision]) -> LoggedDecision | None:
    """The decision that a repeated one repeats, where it is among these; a decision that was drawn is its own."""
    if logged.reason == FORCED:
        return None
    if logged.reason != REPEATED:
        return logged
    for each in all_logged:
        same = (each.unit, each.touchpoint, each.epoch) == (logged.unit, logged.touchpoint, logged.epoch)
        if same and each.reason not in (REPEATED, FORCED) and each.variant == logged.variant:
            return each
    return None


def derive(logged: LoggedDecision, lake: Lake) -> Derivation:
    """Derive a logged decision that was drawn. Raises MissingVersion where the lake lacks what it was made from."""
    archive = Archive(lake)
    archive.prepare([logged])
    situation = archive.situate(logged)
    decision = decide(logged.touchpoint, situation)
    place = situation.snapshot.touchpoint(logged.touchpoint)
    distribution = decision.distribution
    values = distribution.values if distribution is not None else ()
    names = place.shift.names if place.shift is not None else ()
    return Derivation(
        logged=logged,
        situation=situation,
        decision=decision,
        segments=tuple(segment.name for segment in situation.segments),
        is_holdout=situation.is_holdout,
        shift=tuple((name, value) for name, value in zip(names, values, strict=False) if value != 0.0),
        rows=_rows(place, distribution, situation, logged.epoch) if distribution is not None else (),
        is_same=(decision.variant, decision.propensity) == (logged.variant, logged.propensity),
    )


def _rows(place: Touchpoint, distribution: Distribution, situation: Situation, epoch: str) -> tuple[VariantRow, ...]:
    before, _ = find_posterior(place, situation)
    assert isinstance(before, Posterior)
    variants = [place.variants[i] for i in distribution.eligible]
    floors = [variant.floor for variant in variants]
    floored = constrain(distribution.thompson, floors=floors, caps=[1.0] * len(variants)).probabilities
    caps = [variant.cap for variant in variants]
    capped = constrain(distribution.thompson, floors=floors, caps=caps).probabilities
    drawn = uniforms(salt_of(situation, place.name, epoch, distribution.excluded), distribution.suffixes)
    return tuple(
        VariantRow(
            name=distribution.names[position],
            mean=before.means[index],
            sd=before.sds[index],
            shifted_mean=distribution.posterior.means[index],
            shifted_sd=distribution.posterior.sds[index],
            thompson=distribution.thompson[position],
            floored=floored[position],
            capped=capped[position],
            served=distribution.probabilities[position],
            u=drawn[position],
            finish=-ln(drawn[position]) / distribution.probabilities[position],
        )
        for position, index in enumerate(distribution.eligible)
    )
