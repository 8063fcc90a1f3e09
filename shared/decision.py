"""The decision: which variant of a touchpoint a unit sees, and with what probability it was chosen.

`decide` is total and pure: the same arguments give the same decision at the edge, in a replay at the origin, and in
the explanation a visitor asks for. It goes: holdout, eligible variants, level, posterior, Thompson probabilities,
floors, choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from shared.choice import win_race
from shared.constraints import raise_to_floors, relax_floors
from shared.snapshot import Cell, Snapshot, Touchpoint
from shared.uniform import uniform

DAY_MS: Final = 86_400_000

# Why a variant was shown. The sentence is for the visitor who asks.
REASONS: Final[Mapping[str, str]] = {
    "chosen": "it was drawn by how well each alternative has done so far",
    "kept": "it was drawn earlier in this visit, and stays the same for its rest",
    "holdout": "you belong to the group that always sees the standard page, so that we can measure the difference",
    "nothing_eligible": "none of the alternatives is meant for this visit",
    "no_posterior": "there is no score for this place yet",
    "preview": "you opened a preview link",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision, with all that logging, replay and explanation need.

    `propensity` is the probability with which `variant` was chosen (1 where nothing was random). `probabilities` is the
    served distribution over `eligible`, empty where nothing was drawn; in the holdout both say what would have been
    served. `level` and `cell` name
    the posteriors that were used (`none` and an empty name where none were). `excluded` are the variants that targeting
    removed. `randomised` says that the propensity is that of a fresh draw, so that evaluation may use the decision.
    """

    touchpoint: str
    unit: str
    epoch: str
    variant: str
    variant_index: int
    propensity: float
    eligible: tuple[str, ...]
    excluded: tuple[str, ...]
    probabilities: tuple[float, ...]
    level: str
    cell: str
    holdout: bool
    randomised: bool
    relaxations: tuple[str, ...]
    reason: str
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Whom a decision is made for: the person's earliest visitor id, and the start of the visitor's session."""

    id: str
    session_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A decision as the visitor's cookie keeps it for the rest of its epoch.

    `excluded` is the digest of the variants that targeting had removed: where it differs, the decision is made anew.
    """

    touchpoint: str
    epoch: str
    excluded: str
    variant: str
    propensity: float
    level: str
    cell: str
    snapshot: str


def freeze(decision: Decision) -> Frozen | None:
    """What to keep of a decision: nothing where nothing was drawn."""
    if not decision.randomised:
        return None
    return Frozen(
        touchpoint=decision.touchpoint,
        epoch=decision.epoch,
        excluded=_digest(decision.excluded),
        variant=decision.variant,
        propensity=decision.propensity,
        level=decision.level,
        cell=decision.cell,
        snapshot=decision.snapshot,
    )


def is_in_holdout(site: str, unit: str, holdout_share: float) -> bool:
    """Whether a unit is never personalised: by a salt of its own, so independent of every touchpoint and snapshot."""
    return uniform(site, "holdout", unit) < holdout_share


def segments_of(snapshot: Snapshot, attributes: Mapping[str, object]) -> tuple[str, ...]:
    """The names of the rule segments that the attributes fall into, in configured order."""
    return tuple(segment.name for segment in snapshot.header.segments if segment.condition(attributes, {}))


def decide(
    touchpoint: str,
    unit: Unit,
    snapshot: Snapshot,
    attributes: Mapping[str, object],
    now_ms: int,
    frozen: Frozen | None = None,
) -> Decision:
    """Decide one touchpoint for one unit, or repeat the decision that was `frozen` while its epoch lasts.

    `attributes` is the namespace that targeting conditions and segments read. Raises KeyError for a touchpoint that
    the snapshot does not hold, and InvalidSnapshot where its record is damaged; nothing else.
    """
    place = snapshot.touchpoint(touchpoint)
    epoch = _epoch_key(place.epoch, unit, snapshot.version, now_ms)
    holdout = is_in_holdout(snapshot.header.site, unit.id, snapshot.header.holdout_share)
    eligible = _eligible(place, attributes)
    if frozen is not None and not holdout:
        kept = _repeat(frozen, place, unit, epoch, eligible)
        if kept is not None:
            return kept
    cell = _finest_cell(place, snapshot, attributes)
    if cell is None or not eligible:
        reason = "holdout" if holdout else "no_posterior" if cell is None else "nothing_eligible"
        return _default(place, unit, epoch, snapshot.version, holdout=holdout, reason=reason, eligible=eligible)
    served, relaxations = _served_distribution(place, cell, eligible, snapshot)
    excluded = _excluded(place, eligible)
    if holdout:
        index, propensity, reason = place.default, 1.0, "holdout"
    else:
        salt = (snapshot.header.site, touchpoint, epoch, unit.id, "|".join(excluded))
        won = win_race(served, [uniform(*salt, place.variants[i].name) for i in eligible])
        index, propensity, reason = eligible[won], served[won], "chosen"
    return Decision(
        touchpoint=touchpoint,
        unit=unit.id,
        epoch=epoch,
        variant=place.variants[index].name,
        variant_index=index,
        propensity=propensity,
        eligible=_names(place, eligible),
        excluded=excluded,
        probabilities=tuple(served),
        level=cell.level,
        cell=cell.name,
        holdout=holdout,
        randomised=not holdout,
        relaxations=relaxations,
        reason=reason,
        snapshot=snapshot.version,
    )


def _repeat(frozen: Frozen, place: Touchpoint, unit: Unit, epoch: str, eligible: list[int]) -> Decision | None:
    """The frozen decision, or None where its epoch is over, targeting has changed, or its variant is gone.

    It is the same draw, so it keeps its propensity and snapshot; the vector of probabilities was logged with the first.
    """
    index = place.index_of(frozen.variant)
    excluded = _excluded(place, eligible)
    if frozen.epoch != epoch or frozen.excluded != _digest(excluded) or index not in eligible or index is None:
        return None
    return Decision(
        touchpoint=place.name,
        unit=unit.id,
        epoch=epoch,
        variant=frozen.variant,
        variant_index=index,
        propensity=frozen.propensity,
        eligible=_names(place, eligible),
        excluded=excluded,
        probabilities=(),
        level=frozen.level,
        cell=frozen.cell,
        holdout=False,
        randomised=True,
        relaxations=(),
        reason="kept",
        snapshot=frozen.snapshot,
    )


def preview(place: Touchpoint, variant: int, unit: Unit, snapshot: str) -> Decision:
    """The decision of a preview link: the named variant, not random, left out of learning."""
    return _default(
        place, unit, "preview", snapshot, holdout=False, reason="preview", eligible=[variant], index=variant
    )


def _default(
    place: Touchpoint,
    unit: Unit,
    epoch: str,
    snapshot: str,
    *,
    holdout: bool,
    reason: str,
    eligible: list[int],
    index: int | None = None,
) -> Decision:
    """A decision without a draw: the default, or the variant of that index."""
    shown = place.default if index is None else index
    return Decision(
        touchpoint=place.name,
        unit=unit.id,
        epoch=epoch,
        variant=place.variants[shown].name,
        variant_index=shown,
        propensity=1.0,
        eligible=_names(place, eligible),
        excluded=_excluded(place, eligible),
        probabilities=(),
        level="none",
        cell="",
        holdout=holdout,
        randomised=False,
        relaxations=(),
        reason=reason,
        snapshot=snapshot,
    )


def _epoch_key(epoch: str, unit: Unit, version: str, now_ms: int) -> str:
    """What stays the same as long as a decision lasts."""
    if epoch == "session":
        return f"session {unit.session_ms}"
    if epoch == "day":
        return f"day {now_ms // DAY_MS}"
    if epoch == "week":
        return f"week {now_ms // (7 * DAY_MS)}"
    return f"snapshot {version}" if epoch == "snapshot" else "forever"


def _eligible(place: Touchpoint, attributes: Mapping[str, object]) -> list[int]:
    return [
        i for i, variant in enumerate(place.variants) if variant.condition is None or variant.condition(attributes, {})
    ]


def _finest_cell(place: Touchpoint, snapshot: Snapshot, attributes: Mapping[str, object]) -> Cell | None:
    """The cell of the segment that the visitor belongs to, the first that fits; where it has none, the global one."""
    segment = next((each.name for each in snapshot.header.segments if each.condition(attributes, {})), None)
    cell = snapshot.cell(place.name, "segment", segment) if segment is not None else None
    return cell if cell is not None else snapshot.cell(place.name, "global", "")


def _served_distribution(
    place: Touchpoint, cell: Cell, eligible: list[int], snapshot: Snapshot
) -> tuple[list[float], tuple[str, ...]]:
    """The distribution over the eligible variants after floors, and the names of the constraints that were relaxed."""
    if len(eligible) == len(place.variants):
        thompson = list(cell.probabilities)
    else:
        thompson = snapshot.probabilities_among(place.name, cell, tuple(eligible))
    floors = [place.variants[i].floor for i in eligible]
    relaxed = relax_floors(floors)
    return raise_to_floors(thompson, relaxed), () if relaxed == floors else ("floors",)


def _digest(excluded: tuple[str, ...]) -> str:
    return sha256("|".join(excluded).encode("utf-8", "surrogatepass")).hexdigest()[:8] if excluded else ""


def _excluded(place: Touchpoint, eligible: list[int]) -> tuple[str, ...]:
    return tuple(variant.name for i, variant in enumerate(place.variants) if i not in eligible)


def _names(place: Touchpoint, indices: list[int]) -> tuple[str, ...]:
    return tuple(place.variants[i].name for i in indices)
