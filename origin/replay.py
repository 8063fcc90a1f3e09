"""Replay: decide again what was logged, with the snapshots and profiles of that time, and compare.

Every decision must come out the same to the last bit, in all that was logged of it, in the holdout too. Decisions that
repeat an earlier one of their epoch are held against that one. Where the lake does not hold it (its page was left
before anything was logged), a repeat cannot be certified, only checked for what no draw could have given.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from origin.comparison import (
    Draw,
    Kept,
    check_orphan,
    compare,
    compare_constants,
    compare_kept,
    decide_again,
    keep,
    name_draw,
)
from origin.lake import Lake
from origin.logged import FORCED, REPEATED, Archive, LoggedDecision, MissingVersion, read_logged
from shared.decision import Decision

# So many decisions are read at once, with their profiles.
AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A decision that came out otherwise, where it stands, and in what: a sentence each."""

    event_id: str
    place: str
    touchpoint: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a replay found.

    `same` decisions came out as they were logged, `repeats` of them by the decision they repeat. `forced` ones came
    from preview links, and are what those show. `unmatched` repeats are not certified: what they repeat is not in the
    lake, and nothing speaks against them. `different` and `missing` (the lake does not hold what they were made from)
    count the failures; of either, the one that was received first is named.
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


class _Entry(NamedTuple):
    """A decision as a failure names it; `number` is its place in the order of the log."""

    number: int
    event_id: str
    place: str
    touchpoint: str


class _Waiting(NamedTuple):
    """What is kept of a repeat until all draws are known: whose it is, what it repeats, what it says of that, and what
    is wrong with it: in itself, by its snapshot should the draw not be found, or what is missing to tell."""

    entry: _Entry
    visitor: str
    draw: Draw
    kept: Kept
    odd: tuple[str, ...]
    impossible: tuple[str, ...]
    missing: str | None


class _Tally:
    """What a replay has found so far."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.number = self.same = self.repeats = self.unmatched = self.forced = self.different = self.missing = 0
        self.first_difference: tuple[_Entry, tuple[str, ...]] | None = None
        self.first_missing: tuple[_Entry, str] | None = None
        self.drawn: dict[Draw, list[tuple[str, Kept]]] = {}
        self.waiting: list[_Waiting] = []

    def take(self, logged: LoggedDecision) -> None:
        """Replay one decision; a repeat waits where its draw has not been seen yet."""
        self.number += 1
        entry = _Entry(self.number, logged.event_id, logged.place, logged.touchpoint)
        if logged.reason == REPEATED:
            self._take_repeat(entry, logged)
        else:
            self._take_decision(entry, logged)

    def _take_decision(self, entry: _Entry, logged: LoggedDecision) -> None:
        try:
            decision = decide_again(logged, self.archive.situate(logged))
        except MissingVersion as error:
            self._remember(logged.visitor, logged)
            self._miss(entry, str(error))
            return
        self._remember(logged.visitor, decision)
        problems = compare(logged, decision)
        if logged.reason == FORCED and not problems:
            self.forced += 1
        else:
            self._count(entry, problems)

    def _take_repeat(self, entry: _Entry, logged: LoggedDecision) -> None:
        draw, kept, odd = name_draw(logged), keep(logged), compare_constants(logged)
        if self._knows(draw, kept):
            self.repeats += self._count(entry, odd)
            return
        impossible: tuple[str, ...] = ()
        missing = None
        try:
            impossible = check_orphan(logged, self.archive)
        except MissingVersion as error:
            missing = str(error)
        self.waiting.append(_Waiting(entry, logged.visitor, draw, kept, odd, impossible, missing))

    def take_waiting(self) -> None:
        """Hold the repeats that wait against what was drawn, on any device of the person. One that says otherwise than
        its own device's draw is wrong; one of no known draw can only be checked as it is."""
        for each in self.waiting:
            own = [kept for visitor, kept in self.drawn.get(each.draw, ()) if visitor == each.visitor]
            if self._knows(each.draw, each.kept):
                self.repeats += self._count(each.entry, each.odd)
            elif own:
                self._count(each.entry, each.odd + compare_kept(each.kept, own[0]))
            elif each.missing is not None:
                self._miss(each.entry, each.missing)
            elif each.odd or each.impossible:
                self._count(each.entry, each.odd + each.impossible)
            else:
                self.unmatched += 1

    def _knows(self, draw: Draw, kept: Kept) -> bool:
        return any(kept == known for _, known in self.drawn.get(draw, ()))

    def _remember(self, visitor: str, decision: Decision | LoggedDecision) -> None:
        """Keep what was drawn; nothing else can be repeated."""
        if decision.eligible and not decision.holdout:
            known, drawn = self.drawn.setdefault(name_draw(decision), []), (visitor, keep(decision))
            if drawn not in known:
                known.append(drawn)

    def _count(self, entry: _Entry, problems: tuple[str, ...]) -> bool:
        if not problems:
            self.same += 1
            return True
        self.different += 1
        if self.first_difference is None or entry < self.first_difference[0]:
            self.first_difference = entry, problems
        return False

    def _miss(self, entry: _Entry, problem: str) -> None:
        self.missing += 1
        if self.first_missing is None or entry < self.first_missing[0]:
            self.first_missing = entry, f"{entry.event_id}: {problem}"


def replay(lake: Lake) -> Replay:
    """Replay every exposure in the lake. Raises LakeError where a file cannot be read."""
    tally = _Tally(Archive(lake))
    logged = read_logged(lake)
    while chunk := list(islice(logged, AT_ONCE)):
        tally.archive.prepare(chunk)
        for each in chunk:
            tally.take(each)
    tally.take_waiting()
    return Replay(
        same=tally.same,
        repeats=tally.repeats,
        unmatched=tally.unmatched,
        forced=tally.forced,
        different=tally.different,
        missing=tally.missing,
        first_difference=_name(tally.first_difference),
        first_missing=None if tally.first_missing is None else tally.first_missing[1],
    )


def _name(found: tuple[_Entry, tuple[str, ...]] | None) -> Difference | None:
    if found is None:
        return None
    entry, problems = found
    return Difference(event_id=entry.event_id, place=entry.place, touchpoint=entry.touchpoint, problems=problems)
