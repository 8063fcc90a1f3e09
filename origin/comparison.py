"""Logged decisions against what they come out as when they are decided again.

What was drawn, held out, or forced by a preview link is a function of what was logged with it, so every field must be
the same. A repeat comes from the visitor's cookie: what that kept must be what was drawn, where the draw is known;
where it is not, it must be something that the snapshot it names could have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from origin.logged import DECIDED, FORCED, Archive, LoggedDecision, MissingVersion
from shared.decision import Decision, Frozen, decide, mark_drawn, preview
from shared.errors import InvalidSnapshot
from shared.posterior import LEVELS
from shared.reasons import say
from shared.records import Touchpoint
from shared.situation import Situation

# What a cookie keeps of a draw, so that its repeats log it again.
KEPT: Final = ("variant", "propensity", "slate", "slate_propensities", "level", "cell", "randomised")
# What every repeat logs.
_OF_REPEATS: Final[Mapping[str, object]] = {
    "eligible": (),
    "earlier": (),
    "probabilities": (),
    "holdout": False,
    "relaxations": (),
    "fallbacks": (),
    "because": say("kept"),
    "profile": "",
}

Draw = tuple[str, str, str, tuple[str, ...], str]
Kept = tuple[object, ...]  # the values of KEPT
_all_decided = attrgetter(*DECIDED)
_all_kept = attrgetter(*KEPT)
_all_constant = attrgetter(*_OF_REPEATS)


def decide_again(logged: LoggedDecision, situation: Situation) -> Decision:
    """Decide what was logged, unless it is a repeat, in the situation it was made in; that the epoch had drawn before
    is part of it. Where an older edge did not say so, it is taken at its word that a draw was not randomised.

    Raises MissingVersion where the snapshot has no readable record of the touchpoint.
    """
    try:
        if logged.reason == FORCED:
            place = situation.snapshot.touchpoint(logged.touchpoint)
            index = place.index_of(logged.variant)
            return preview(logged.touchpoint, place.default if index is None else index, situation)
        decision = decide(logged.touchpoint, situation, _mark_earlier(logged))
    except (KeyError, InvalidSnapshot) as error:
        raise _unreadable(logged, error) from error
    is_known = logged.earlier is not None or not decision.randomised
    return decision if is_known else replace(decision, randomised=logged.randomised)


def compare(logged: LoggedDecision, computed: Decision) -> tuple[str, ...]:
    """Return what differs, to the last bit: a sentence each."""
    return _contrast_all(DECIDED, _all_decided(logged), _all_decided(computed))


def name_draw(decision: Decision | LoggedDecision) -> Draw:
    """What a repeat has in common with the draw it repeats: unit, touchpoint, epoch, the variants that targeting had
    removed, and the snapshot. With any of these changed it is another draw."""
    return decision.unit, decision.touchpoint, decision.epoch, decision.excluded, decision.snapshot


def keep(decision: Decision | LoggedDecision) -> Kept:
    """What a cookie keeps of a decision."""
    return _all_kept(decision)


def compare_kept(kept: Kept, drawn: Kept) -> tuple[str, ...]:
    """Return in what a repeat differs from the draw it repeats, a sentence each."""
    return _contrast_all(KEPT, kept, drawn)


def compare_constants(logged: LoggedDecision) -> tuple[str, ...]:
    """Return in what a repeat differs from every repeat, a sentence each."""
    return _contrast_all(tuple(_OF_REPEATS), _all_constant(logged), tuple(_OF_REPEATS.values()))


def check_orphan(logged: LoggedDecision, archive: Archive) -> tuple[str, ...]:
    """Return why no draw by the snapshot that it names can be what a repeat says, a sentence each; empty where one can.

    Raises MissingVersion where the lake does not hold the snapshot.
    """
    situation = archive.situate(replace(logged, profile=""))
    try:
        place = situation.snapshot.touchpoint(logged.touchpoint)
        return tuple(_find_impossible(logged, place, situation))
    except (KeyError, InvalidSnapshot) as error:
        raise _unreadable(logged, error) from error


def _find_impossible(logged: LoggedDecision, place: Touchpoint, situation: Situation) -> Iterator[str]:
    version = f"snapshot {logged.snapshot}"
    if situation.is_holdout:
        yield f"unit: logged {logged.unit!r}, which {version} holds out"
    if not situation.lasts(place.epoch, logged.epoch):
        yield _contrast("epoch", logged.epoch, situation.epoch(place.epoch))
    for i, name in enumerate(logged.excluded):
        if place.index_of(name) is None:
            yield f"excluded[{i}]: logged {name!r}, which {place.name} of {version} does not have"
    shown = (("variant", logged.variant), *((f"slate[{i}]", name) for i, name in enumerate(logged.slate)))
    for field, name in shown:
        if place.index_of(name) is None:
            yield f"{field}: logged {name!r}, which {place.name} of {version} does not have"
        elif name in logged.excluded:
            yield f"{field}: logged {name!r}, which targeting had removed"
    propensities = enumerate(logged.slate_propensities)
    chances = (("propensity", logged.propensity), *((f"slate_propensities[{i}]", each) for i, each in propensities))
    for field, chance in chances:
        if not isinstance(chance, int | float) or not 0.0 < chance <= 1.0:
            yield f"{field}: logged {chance!r}, which is no probability of a draw"
    yield from _find_odd_slate(logged, place)
    yield from _find_odd_level(logged, place, situation)


def _find_odd_slate(logged: LoggedDecision, place: Touchpoint) -> Iterator[str]:
    count, slots = len(logged.slate), place.slots
    if not (count == 0 if slots == 1 else 1 <= count <= slots) or len(logged.slate_propensities) != count:
        sizes = f"{count} variants with {len(logged.slate_propensities)} propensities"
        yield f"slate: logged {sizes}, where {place.name} has {slots} position{'' if slots == 1 else 's'}"
    elif count and (logged.variant, logged.propensity) != (logged.slate[0], logged.slate_propensities[0]):
        yield f"slate[0]: logged {logged.slate[0]!r} at {logged.slate_propensities[0]!r}, and another as the variant"
    if len(set(logged.slate)) != count:
        yield f"slate: logged {', '.join(map(str, logged.slate))}, in which one stands twice"


def _find_odd_level(logged: LoggedDecision, place: Touchpoint, situation: Situation) -> Iterator[str]:
    version = f"snapshot {logged.snapshot}"
    if logged.level not in LEVELS:
        yield f"level: logged {logged.level!r}, which is none of {', '.join(LEVELS)}"
    elif not place.allows(logged.level):
        yield f"level: logged {logged.level!r}, finer than {place.name} may use"
    elif logged.level == "individual":
        if not place.models or logged.cell:
            yield f"cell: logged {logged.cell!r} of the individual level, which {version} does not have"
    elif situation.snapshot.cell(place.name, logged.level, logged.cell) is None:
        yield f"cell: logged {logged.cell!r} of the {logged.level} level, which {version} does not have"


def _mark_earlier(logged: LoggedDecision) -> Frozen | None:
    """The trace of the epoch's earlier draws, as the visitor's cookie brought it along."""
    if not logged.earlier:
        return None
    return mark_drawn(logged.touchpoint, logged.epoch, logged.earlier[0], logged.earlier[1:])


def _contrast_all(names: Sequence[str], logged: Kept, computed: Kept) -> tuple[str, ...]:
    if logged == computed:
        return ()
    each = zip(names, logged, computed, strict=True)
    # An older edge did not say what it had drawn earlier.
    return tuple(_contrast(*three) for three in each if three[1] != three[2] and three[:2] != ("earlier", None))


def _contrast(name: str, logged: Any, computed: Any) -> str:
    """Where two values differ; of two lists, where they first do."""
    if isinstance(logged, tuple) and isinstance(computed, tuple):
        i = next(
            (i for i, (said, was) in enumerate(zip(logged, computed, strict=False)) if said != was),
            min(len(logged), len(computed)),
        )
        said, was = (repr(each[i]) if i < len(each) else "nothing" for each in (logged, computed))
        return f"{name}[{i}]: logged {said}, computed {was}"
    return f"{name}: logged {logged!r}, computed {computed!r}"


def _unreadable(logged: LoggedDecision, error: Exception) -> MissingVersion:
    return MissingVersion(f"the snapshot {logged.snapshot} has no readable {logged.touchpoint} ({error})")
