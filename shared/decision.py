"""The decision: which variant of a touchpoint a unit sees, and with what probability it was chosen.

`decide` is total and pure: the same arguments give the same decision at the edge, in a replay at the origin, and in
the explanation a visitor asks for. It goes: holdout, eligible variants, what is frozen, level, posterior, Thompson
probabilities, constraints, choice, reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from shared.choice import win_race
from shared.conditions import Condition
from shared.distribution import Distribution, distribute
from shared.reasons import give_reason, say
from shared.records import Touchpoint
from shared.situation import Situation
from shared.slate import Slate, rank
from shared.uniform import uniforms

# So many eligible sets within an epoch are remembered as drawn for; a visitor who flips between more is a rare one.
MOST_EARLIER: Final = 8
# What stands between the salt and a variant's name in the race for positions that are kept for other interests.
INTEREST_RACE: Final = b"interest\x1f"


@dataclass(slots=True)
class Decision:
    """One decision, with all that logging, replay and explanation need. Nobody changes it; frozen, it would take five
    times as long to make.

    `propensity` is the probability with which `variant` was chosen (1 where nothing was random). `distribution` is what
    was drawn from; in the holdout, what would have been; None where nothing was drawn or an earlier decision is
    repeated. `level` and `cell` name the posteriors that were used (`none` and an empty name where none were).
    `randomised` says that the propensity is that of a fresh draw, so that evaluation may use the decision. A ranked
    slate holds the variants of all positions, the first of which is `variant`, with their conditional propensities.
    `reason` is a code, `because` the sentence for the visitor. `snapshot` and `profile` are the versions it rests on.
    `excluded` are the names of the variants that targeting had removed, `earlier` the digests of those that were
    removed for earlier draws within the epoch.
    """

    touchpoint: str
    unit: str
    epoch: str
    variant: str
    variant_index: int
    propensity: float
    level: str
    cell: str
    holdout: bool
    randomised: bool
    reason: str
    because: str
    snapshot: str
    profile: str
    slate: tuple[str, ...]
    slate_propensities: tuple[float, ...]
    relaxations: tuple[str, ...]
    distribution: Distribution | None
    excluded: tuple[str, ...] = ()
    earlier: tuple[str, ...] = field(default=(), compare=False)

    @property
    def eligible(self) -> tuple[str, ...]:
        """The names of the variants that were drawn from."""
        return self.distribution.names if self.distribution is not None else ()

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The served probabilities of the eligible variants."""
        return self.distribution.probabilities if self.distribution is not None else ()

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Why a finer level was not used."""
        return self.distribution.fallbacks if self.distribution is not None else ()


@dataclass(slots=True)
class Frozen:
    """A decision as the visitor's cookie keeps it for the rest of its epoch. Nobody changes it; a frozen
    dataclass would be slow to make.

    `excluded` is the digest of the variants that targeting had removed: where it differs, the decision is made anew.
    `variants` and `propensities` have one element, or one for each position of a slate; empty, they mark that there was
    a draw which cannot be repeated. `randomised` is the decision's.
    `earlier` are digests for which this epoch has drawn already: their `u` is used up.
    """

    touchpoint: str
    epoch: str
    excluded: str
    variants: tuple[str, ...]
    propensities: tuple[float, ...]
    level: str
    cell: str
    snapshot: str
    randomised: bool
    is_slate: bool = False
    earlier: tuple[str, ...] = ()


def mark_drawn(touchpoint: str, epoch: str, excluded: str, earlier: tuple[str, ...]) -> Frozen:
    """The mark that there was a draw, of which nothing is left to be repeated."""
    return Frozen(
        touchpoint=touchpoint,
        epoch=epoch,
        excluded=excluded,
        variants=(),
        propensities=(),
        level="none",
        cell="",
        snapshot="",
        randomised=False,
        earlier=earlier,
    )


def decide(touchpoint: str, situation: Situation, frozen: Frozen | None = None) -> Decision:
    """Decide one touchpoint, or repeat the decision that was `frozen` while its epoch lasts.

    Raises KeyError for a touchpoint that the snapshot does not hold, and InvalidSnapshot where its record or a cell's
    is damaged; nothing else.
    """
    place = situation.snapshot.touchpoint(touchpoint)
    eligible = find_eligible(place, situation)
    epoch = situation.epoch(place.epoch)
    used: tuple[str, ...] = ()
    if (
        frozen is not None
        and frozen.touchpoint == touchpoint
        and not situation.is_holdout
        and (frozen.epoch == epoch or situation.lasts(place.epoch, frozen.epoch))
    ):
        excluded = place.names_beside(eligible)
        if frozen.excluded == digest_excluded(excluded):
            kept = _repeat(frozen, place, eligible, excluded, situation)
            if kept is not None:
                return kept
        used = (frozen.excluded, *frozen.earlier)
    distribution = distribute(place, eligible, situation) if eligible else None
    if distribution is None:
        reason = "holdout" if situation.is_holdout else "no_posterior" if eligible else "nothing_eligible"
        return _undrawn(place, situation, epoch, place.default, reason, eligible)
    if situation.is_holdout:
        return _undrawn(place, situation, epoch, place.default, "holdout", eligible, distribution)
    return _draw(place, situation, epoch, distribution, used)


def preview(touchpoint: str, variant: int, situation: Situation) -> Decision:
    """The decision of a preview link: the variant of that index, not random, left out of learning."""
    place = situation.snapshot.touchpoint(touchpoint)
    return _undrawn(place, situation, "preview", variant, "preview", place.everyone)


def freeze(decision: Decision) -> Frozen | None:
    """What to keep of a decision: nothing where nothing was drawn now."""
    if decision.distribution is None or decision.holdout:
        return None
    digest = digest_excluded(decision.excluded)
    return Frozen(
        touchpoint=decision.touchpoint,
        epoch=decision.epoch,
        excluded=digest,
        variants=decision.slate or (decision.variant,),
        propensities=decision.slate_propensities or (decision.propensity,),
        level=decision.level,
        cell=decision.cell,
        snapshot=decision.snapshot,
        randomised=decision.randomised,
        is_slate=bool(decision.slate),
        earlier=tuple([each for each in decision.earlier if each != digest][:MOST_EARLIER]),
    )


def find_eligible(place: Touchpoint, situation: Situation) -> tuple[int, ...]:
    """The indices of the variants that the visitor may see."""
    if not place.is_targeted:
        return place.everyone
    attributes = situation.attributes
    eligible: list[int] = []
    asked: dict[Condition | None, bool] = {None: True}  # variants often have the same condition
    for i, variant in enumerate(place.variants):
        condition = variant.condition
        holds = asked.get(condition)
        if holds is None:
            assert condition is not None
            holds = asked[condition] = condition(attributes, {})
        if holds:
            eligible.append(i)
    return tuple(eligible)


def salt_of(situation: Situation, touchpoint: str, epoch: str, excluded: tuple[str, ...]) -> bytes:
    """What is hashed with a variant's name for its uniform number: site, touchpoint, epoch, unit, and the variants
    that targeting removed, each ended by U+001F."""
    site = situation.snapshot.header.site
    without = "|".join(excluded) if excluded else ""
    text = f"{site}\x1f{touchpoint}\x1f{epoch}\x1f{situation.unit}\x1f{without}\x1f"
    return text.encode("utf-8", "surrogatepass")


def _draw(
    place: Touchpoint, situation: Situation, epoch: str, distribution: Distribution, used: tuple[str, ...]
) -> Decision:
    """Draw from the distribution. A draw with a `u` that has already decided within the epoch is no fresh one: `used`
    are the digests of the excluded variants for which that happened."""
    redrawn = bool(used) and digest_excluded(distribution.excluded) in used
    salt = salt_of(situation, place.name, epoch, distribution.excluded)
    drawn = uniforms(salt, distribution.suffixes)
    slate = _rank(place, distribution, salt, drawn) if place.slots > 1 else None
    position = slate.indices[0] if slate is not None else win_race(distribution.probabilities, drawn)
    index = distribution.eligible[position]
    reason, because = distribution.reasons.get(position) or _reason(place, position, distribution, situation)
    return Decision(
        place.name,
        situation.unit,
        epoch,
        place.names[index],
        index,
        slate.propensities[0] if slate is not None else distribution.probabilities[position],
        distribution.posterior.level,
        distribution.posterior.name,
        False,  # not in the holdout
        not redrawn,
        reason,
        because,
        situation.snapshot.version,
        situation.profile.header.version if situation.profile is not None else "",
        tuple([distribution.names[i] for i in slate.indices]) if slate is not None else (),
        slate.propensities if slate is not None else (),
        distribution.relaxations + slate.relaxations if slate is not None else distribution.relaxations,
        distribution,
        distribution.excluded,
        used,
    )


def _reason(place: Touchpoint, position: int, distribution: Distribution, situation: Situation) -> tuple[str, str]:
    """Code and sentence of what was drawn, kept where they are the same for everybody."""
    reason = give_reason(place, position, distribution, situation)
    if distribution.posterior.level != "individual" and not distribution.values:
        distribution.reasons[position] = reason
    return reason


def _rank(place: Touchpoint, distribution: Distribution, salt: bytes, drawn: list[float]) -> Slate:
    """The slate: the race's order; positions kept for other interests run a race of their own."""
    if not place.interest_slots or not distribution.outside:
        return rank(distribution.probabilities, drawn, place.slots)
    return rank(
        distribution.probabilities,
        drawn,
        place.slots,
        outside=distribution.outside,
        interest_positions=place.interest_slots,
        interest_uniforms=uniforms(salt + INTEREST_RACE, distribution.suffixes),
    )


def _repeat(
    frozen: Frozen, place: Touchpoint, eligible: tuple[int, ...], excluded: tuple[str, ...], situation: Situation
) -> Decision | None:
    """The frozen decision again, or None where one of its variants may no longer be shown.

    Its propensity is that of the first draw, and evaluation counts an epoch's decision once.
    """
    indices = [place.index_of(name) for name in frozen.variants]
    fits = 1 <= len(indices) <= place.slots and frozen.is_slate == (place.slots > 1)
    if not fits or any(index not in eligible for index in indices):
        return None
    index = indices[0]
    assert index is not None
    return Decision(
        place.name,
        situation.unit,
        frozen.epoch,
        frozen.variants[0],
        index,
        frozen.propensities[0],
        frozen.level,
        frozen.cell,
        False,  # not in the holdout
        frozen.randomised,
        "kept",
        say("kept"),
        frozen.snapshot,
        "",
        frozen.variants if frozen.is_slate else (),
        frozen.propensities if frozen.is_slate else (),
        (),
        None,
        excluded,
    )


def _undrawn(
    place: Touchpoint,
    situation: Situation,
    epoch: str,
    index: int,
    reason: str,
    eligible: tuple[int, ...],
    distribution: Distribution | None = None,
) -> Decision:
    """A decision without a draw: the variant of that index alone, in a slate too, for that reason."""
    is_slate = place.slots > 1
    return Decision(
        place.name,
        situation.unit,
        epoch,
        place.names[index],
        index,
        1.0,
        distribution.posterior.level if distribution is not None else "none",
        distribution.posterior.name if distribution is not None else "",
        situation.is_holdout and reason != "preview",
        False,
        reason,
        say(reason),
        situation.snapshot.version,
        situation.profile.header.version if situation.profile is not None else "",
        (place.names[index],) if is_slate else (),
        (1.0,) if is_slate else (),
        distribution.relaxations if distribution is not None else (),
        distribution,
        place.names_beside(eligible),
    )


def digest_excluded(excluded: tuple[str, ...]) -> str:
    """A short digest of the variants that targeting had removed; empty where it had removed none."""
    return sha256("|".join(excluded).encode("utf-8", "surrogatepass")).hexdigest()[:8] if excluded else ""
