"""The distribution a touchpoint is drawn from: level, posterior, session shift, Thompson probabilities, constraints.

What comes from published posteriors depends on few things (cell, eligible variants, primary interest, feature values),
so it is kept with the snapshot; those of one person are not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shared.constraints import Constrained, constrain
from shared.errors import InvalidProfile
from shared.policy import live_probabilities, live_probabilities_of, thompson_probabilities
from shared.posterior import Posterior, shift_posterior
from shared.records import Touchpoint
from shared.situation import Situation

# Stands for all interests that no variant is tagged with; no tag can be it.
OTHER_INTEREST: Final = "\x1f"


@dataclass(slots=True)
class Distribution:
    """What was drawn from, over the eligible variants (K′ of the touchpoint's K, in published order). Nobody changes it
    but to keep reasons; frozen it would be slow to make.

    `eligible` are their indices and `names` their names, `excluded` the names that targeting removed; `posterior` is
    what was used, shifted by `values` of the touchpoint's session features (empty: not shifted); `thompson` are the
    probabilities to be the best, `probabilities` those that are served. `relaxations` names the constraints that the
    eligible set could not meet, `fallbacks` why a finer level was not used. `outside` marks the variants of other
    interests than the visitor's; empty where there is no primary interest. `reasons` keeps code and sentence of the
    variants drawn so far, by their position, where they are the same for everybody who draws from it.
    """

    eligible: tuple[int, ...]
    names: tuple[str, ...]
    excluded: tuple[str, ...]
    suffixes: tuple[bytes, ...]
    posterior: Posterior
    values: tuple[float, ...]
    outside: tuple[bool, ...]
    thompson: tuple[float, ...]
    probabilities: tuple[float, ...]
    relaxations: tuple[str, ...]
    fallbacks: tuple[str, ...]
    reasons: dict[int, tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)


def distribute(place: Touchpoint, eligible: tuple[int, ...], situation: Situation) -> Distribution | None:
    """Return the distribution over the eligible variants (at least one), or None where the touchpoint has no
    posteriors yet. Raises InvalidSnapshot where a cell's record is damaged."""
    segments = situation.segments
    if situation.profile is None and place.is_plain and eligible is place.everyone:
        # The commonest case, and one of the shortest: all variants, and nothing known but the rule segment.
        plain = (place.name, segments[0].name if segments else None)
        found = situation.snapshot.recall(plain)
        if found is None:
            found = _distribute(place, eligible, situation)
            if found is not None:
                situation.snapshot.keep(plain, found)
        return found  # type: ignore[return-value]  # what is kept under these keys
    return _distribute(place, eligible, situation)


def _distribute(place: Touchpoint, eligible: tuple[int, ...], situation: Situation) -> Distribution | None:
    posterior, fallbacks = find_posterior(place, situation)
    if posterior is None:
        return None
    values: tuple[float, ...] = ()
    if place.shift is not None:
        values = situation.values_of(place.shift)
        if not any(values):
            values = ()
    interest = situation.interest if place.is_tagged else None
    if interest is not None and interest not in place.tags:
        interest = OTHER_INTEREST  # visitors may name anything; what no variant is tagged with is all the same
    if posterior.level == "individual":
        return _compute(place, eligible, posterior, values, interest, fallbacks)
    if not all(map(float.is_integer, values)):
        return _compute(place, eligible, posterior, values, interest, fallbacks)  # hardly ever the same again
    key = (place.name, posterior.level, posterior.name, eligible, values, interest, fallbacks)
    found = situation.snapshot.recall(key)
    if not isinstance(found, Distribution):
        found = _compute(place, eligible, posterior, values, interest, fallbacks)
        situation.snapshot.keep(key, found)
    return found


def find_posterior(place: Touchpoint, situation: Situation) -> tuple[Posterior | None, tuple[str, ...]]:
    """The posterior of the finest level that the touchpoint allows and that is there and fresh, and why finer ones
    were passed over: `profile_stale`, `profile_model` (scores of other models only), `profile_invalid`."""
    snapshot, profile = situation.snapshot, situation.profile
    fallbacks: tuple[str, ...] = ()
    if profile is not None and place.allows("cluster"):
        age_ms = situation.now_ms - profile.header.computed_ms
        if place.allows("individual"):
            found, fallbacks = _individual(place, situation, age_ms)
            if found is not None:
                return found, ()
        if profile.header.cluster and age_ms <= place.cluster_ttl_ms:
            cell = snapshot.cell(place.name, "cluster", profile.header.cluster)
            if cell is not None:
                return cell, fallbacks
    if situation.segments and place.allows("segment"):
        cell = snapshot.cell(place.name, "segment", situation.segments[0].name)
        if cell is not None:
            return cell, fallbacks
    return snapshot.cell(place.name, "global", ""), fallbacks


def _individual(place: Touchpoint, situation: Situation, age_ms: int) -> tuple[Posterior | None, tuple[str, ...]]:
    if not place.models:
        return None, ()
    if age_ms > place.individual_ttl_ms:
        return None, ("profile_stale",)
    assert situation.profile is not None
    try:
        scores = situation.profile.scores(place.name, place.models, len(place.variants))
    except InvalidProfile:
        return None, ("profile_invalid",)
    if scores is None and situation.profile.knows(place.name):
        return None, ("profile_model",)
    return scores, ()


def _compute(
    place: Touchpoint,
    eligible: tuple[int, ...],
    posterior: Posterior,
    values: tuple[float, ...],
    interest: str | None,
    fallbacks: tuple[str, ...],
) -> Distribution:
    if values and place.shift is not None:
        posterior = shift_posterior(posterior, place.shift, values)
    thompson = _probabilities(posterior, eligible)
    outside = _outside(place, eligible, interest)
    served = constrain_among(place, eligible, thompson, outside)
    everyone = eligible is place.everyone
    return Distribution(
        eligible,
        place.names if everyone else tuple([place.names[i] for i in eligible]),
        place.names_beside(eligible),
        place.suffixes if everyone else tuple([place.suffixes[i] for i in eligible]),
        posterior,
        values,
        outside,
        thompson,
        served.probabilities,
        served.relaxations,
        fallbacks,
    )


def constrain_among(
    place: Touchpoint, eligible: tuple[int, ...], thompson: tuple[float, ...], outside: tuple[bool, ...]
) -> Constrained:
    """Meet the touchpoint's floors, caps and interest share over the eligible variants."""
    everyone = eligible is place.everyone
    return constrain(
        thompson,
        floors=place.floors if everyone else [place.floors[i] for i in eligible],
        caps=place.caps if everyone else [place.caps[i] for i in eligible],
        outside=outside,
        share=place.interest_share if outside else 0.0,
    )


def _probabilities(posterior: Posterior, eligible: tuple[int, ...]) -> tuple[float, ...]:
    """Published probabilities where all variants are eligible; else integrated, live what is hardly ever the same
    again."""
    if len(eligible) == len(posterior.means):
        return posterior.probabilities or tuple(live_probabilities_of(posterior))
    means, sds = [posterior.means[i] for i in eligible], [posterior.sds[i] for i in eligible]
    is_live = posterior.level == "individual" or not posterior.probabilities
    integrate = live_probabilities if is_live else thompson_probabilities
    return tuple(integrate(means, sds))


def _outside(place: Touchpoint, eligible: tuple[int, ...], interest: str | None) -> tuple[bool, ...]:
    """Which eligible variants are tagged, but not with the primary interest; empty where nobody knows one."""
    if interest is None:
        return ()
    interests = [place.variants[i].interests for i in eligible]
    return tuple([bool(tags) and interest not in tags for tags in interests])
