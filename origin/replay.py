"""Replay: decide again what was logged, with the snapshots and profiles of that time, and compare.

Every decision must come out the same to the last bit: variant and propensity, and all else that was logged of it
(eligible variants, probabilities, level, relaxations, reason), in the holdout too. Decisions that repeat an earlier one
of their epoch are compared with that one where the lake holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from origin.lake import Lake
from origin.logged import (
    DETAILS,
    FORCED,
    REPEATED,
    Archive,
    LoggedDecision,
    MissingVersion,
    details_of,
    read_logged,
)
from shared.decision import Decision, decide
from shared.errors import InvalidSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that came out otherwise: what was logged and what was computed."""

    event_id: str
    place: str
    touchpoint: str
    logged: str
    computed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay found.

    `same` decisions came out as they were logged, `repeats` of them by the decision they repeat; `unmatched` repeats
    have their first decision outside the lake, `forced` ones came from preview links. `different` and `missing` (the
    lake does not hold what they were made from) count the failures, the first of which are named.
    """

    same: int
    repeats: int
    unmatched: int
    forced: int
    different: int
    missing: int
    first_difference: Difference | None
    first_missing: str | None

    @property
    def is_faithful(self) -> bool:
        """Whether nothing came out otherwise, and nothing was missing."""
        return self.different == 0 and self.missing == 0


Drawn = tuple[str, str, str]
Outcome = tuple[str, float, tuple[str, ...], tuple[float, ...]]
# So many decisions are read at once, with their profiles.
AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Repeat:
    """What is kept of a repeated decision until all draws are known."""

    event_id: str
    place: str
    drawn: Drawn
    outcome: Outcome


class _Tally:
    """What a replay has found so far."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.same = self.forced = self.different = self.missing = self.repeats = self.unmatched = 0
        self.first_difference: Difference | None = None
        self.first_missing: str | None = None
        self.drawn: dict[Drawn, set[Outcome]] = {}
        self.repeated: list[_Repeat] = []

    def take(self, logged: LoggedDecision) -> None:
        """Replay one decision; repeats wait until all draws are known."""
        drawn, outcome = (logged.unit, logged.touchpoint, logged.epoch), _outcome(logged)
        if logged.reason == FORCED:
            self.forced += 1
        elif logged.reason == REPEATED:
            self.repeated.append(_Repeat(logged.event_id, logged.place, drawn, outcome))
        else:
            self.drawn.setdefault(drawn, set()).add(outcome)
            self._take_draw(logged, outcome)

    def _take_draw(self, logged: LoggedDecision, outcome: Outcome) -> None:
        try:
            decision = _decide_again(logged, self.archive)
        except MissingVersion as error:
            self.missing += 1
            self.first_missing = self.first_missing or f"{logged.event_id}: {error}"
            return
        computed = decision.variant, decision.propensity, decision.slate, decision.slate_propensities
        said, says = _show(outcome), _show(computed)
        for name, before, now in zip(DETAILS, logged.details, details_of(decision), strict=True):
            if before != now:
                said, says = f"{said}, {name} {before!r}", f"{says}, {name} {now!r}"
        self._count(logged.event_id, logged.place, logged.touchpoint, said, says)

    def take_repeats(self) -> None:
        """Compare the repeats with what was drawn in their epoch."""
        for each in self.repeated:
            earlier = self.drawn.get(each.drawn)
            if earlier is None:
                self.unmatched += 1
            else:
                known = each.outcome if each.outcome in earlier else min(earlier)
                said = _show(each.outcome)
                self.repeats += self._count(each.event_id, each.place, each.drawn[1], said, _show(known))

    def _count(self, event_id: str, place: str, touchpoint: str, logged: str, computed: str) -> bool:
        if logged == computed:
            self.same += 1
            return True
        self.different += 1
        if self.first_difference is None:
            self.first_difference = Difference(
                event_id=event_id, place=place, touchpoint=touchpoint, logged=logged, computed=computed
            )
        return False


def replay(lake: Lake) -> Replay:
    """Replay every exposure in the lake. Raises LakeError where a file cannot be read."""
    tally = _Tally(Archive(lake))
    logged = read_logged(lake)
    while chunk := list(islice(logged, AT_ONCE)):
        tally.archive.prepare(chunk)
        for each in chunk:
            tally.take(each)
    tally.take_repeats()
    return Replay(
        same=tally.same,
        repeats=tally.repeats,
        unmatched=tally.unmatched,
        forced=tally.forced,
        different=tally.different,
        missing=tally.missing,
        first_difference=tally.first_difference,
        first_missing=tally.first_missing,
    )


def _decide_again(logged: LoggedDecision, archive: Archive) -> Decision:
    try:
        return decide(logged.touchpoint, archive.situate(logged))
    except (KeyError, InvalidSnapshot) as error:
        raise MissingVersion(f"the snapshot {logged.snapshot} has no readable {logged.touchpoint} ({error})") from error


def _outcome(logged: LoggedDecision) -> Outcome:
    return logged.variant, logged.propensity, logged.slate, logged.slate_propensities


def _show(outcome: Outcome) -> str:
    variant, propensity, slate, propensities = outcome
    if slate:
        return ", ".join(f"{name} at {share!r}" for name, share in zip(slate, propensities, strict=True))
    return f"{variant} at {propensity!r}"
