"""Why a variant was shown: a code for the team, a sentence for the visitor who asks.

Sentences are built from what the site team has words for (the segment's and the variant's `because`, the phrases of
features) and from nothing else. What is on the sensitive list, as a name or as the value that a feature or condition
asks for, never gets this far: the snapshot is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Final

from shared.constraints import ROUNDING
from shared.distribution import Distribution
from shared.features import find_attribute
from shared.records import Phrase, Touchpoint
from shared.situation import Situation

REASONS: Final[Mapping[str, str]] = {
    "explored": "every alternative is shown to some visitors, so that we learn how well it does",
    "diverse": "some of what you see is always from outside what you usually look at",
    "targeted": "it is meant for visits like this one",
    "session": "of what you did during this visit",
    "individual": "of what you liked on earlier visits",
    "cluster": "visitors with habits like yours liked it",
    "segment": "visitors in a situation like yours liked it",
    "global": "it was drawn by how well each alternative has done with all visitors",
    "kept": "it was drawn earlier, and stays the same for a while",
    "holdout": "you belong to the group that always sees the standard page, so that we can measure the difference",
    "nothing_eligible": "none of the alternatives is meant for this visit",
    "no_posterior": "there is no score for this place yet",
    "preview": "you opened a preview link",
}


def say(reason: str, phrase: str = "") -> str:
    """The sentence of a reason: `because …`, by the phrase where there is one."""
    return f"because {phrase or REASONS[reason]}"


def give_reason(place: Touchpoint, position: int, distribution: Distribution, situation: Situation) -> tuple[str, str]:
    """Return code and sentence for the variant at a position of the distribution that was drawn.

    The most particular reason counts: that its place in a slate is kept for other interests, that it is shown to learn,
    or for the share of other interests, that it is meant for such visits, what the session shifted most in its favour,
    and then the level that its posterior comes from.
    """
    index = distribution.eligible[position]
    variant = place.variants[index]
    is_outside = bool(distribution.outside) and distribution.outside[position]
    if is_outside and _is_first_kept(place):
        return "diverse", say("diverse")
    floor = _find_floor(place, position, distribution)
    if distribution.thompson[position] < floor == distribution.probabilities[position]:
        return "explored", say("explored")
    if is_outside and _is_raised(distribution, position):
        return "diverse", say("diverse")
    if variant.condition is not None:
        return "targeted", say("targeted", variant.because)
    if distribution.values and place.shift is not None:
        name = _strongest(place.shift.names, place.shift.weights[index], distribution.values)
        if name is not None:
            return "session", say("session", _phrase_of(name, situation))
    level = distribution.posterior.level
    if level == "individual":
        return level, say(level, _profile_phrase(situation))
    if level == "segment":
        return level, say(level, situation.segments[0].because)
    return level, say(level)


def _is_first_kept(place: Touchpoint) -> bool:
    """Whether the first of a slate is drawn among the variants of other interests, as long as there is one."""
    return place.slots > 1 and 0 in place.interest_slots


def _find_floor(place: Touchpoint, position: int, distribution: Distribution) -> float:
    """The floor as it was applied: floors that sum to more than 1 among the eligible variants are scaled."""
    floor = place.floors[distribution.eligible[position]]
    if "floors" not in distribution.relaxations:
        return floor
    return floor / fsum([place.floors[i] for i in distribution.eligible])


def _is_raised(distribution: Distribution, position: int) -> bool:
    """Whether a variant of another interest is likelier because a share is kept for all of those."""
    others = [i for i, is_outside in enumerate(distribution.outside) if is_outside]
    thompson, served = distribution.thompson, distribution.probabilities
    return (
        served[position] > thompson[position] + ROUNDING
        and fsum([served[i] for i in others]) > fsum([thompson[i] for i in others]) + ROUNDING
    )


def _strongest(names: tuple[str, ...], weights: tuple[float, ...], values: tuple[float, ...]) -> str | None:
    """The feature that moved the variant's log-odds up most, or None where none did."""
    best, found = 0.0, None
    for name, weight, value in zip(names, weights, values, strict=True):
        if weight * value > best:
            best, found = weight * value, name
    return found


def _phrase_of(name: str, situation: Situation) -> str:
    for phrase in situation.snapshot.header.phrases:
        if phrase.name == name:
            return _fill(phrase, situation)
    return ""


def _profile_phrase(situation: Situation) -> str:
    """The first phrase about the profile that holds for this person."""
    for phrase in situation.snapshot.header.phrases:
        if phrase.name.startswith("profile.") and phrase.feature(situation.attributes) != 0.0:
            return _fill(phrase, situation)
    return ""


def _fill(phrase: Phrase, situation: Situation) -> str:
    """The phrase, about a feature that is not 0: either a number, or a text that the site has written in its name. So
    no text of a visitor's gets into a sentence, and of a list nothing but what was asked for."""
    path, equals, wanted = phrase.name.partition("=")
    value = wanted if equals else find_attribute(situation.attributes, path)
    shown = f"{value:.10g}" if isinstance(value, float) else str(value)
    return phrase.text.replace("{value}", shown)
