"""Replay: decide again what was logged, with the snapshots and profiles of that time, and compare.

Every decision must come out the same, variant and propensity, to the last bit. Decisions that repeat an earlier one of
their epoch are compared with that one where the lake holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from origin.lake import Lake
from origin.logged import FORCED, REPEATED, Archive, LoggedDecision, MissingVersion, read_logged
from shared.decision import decide
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


class _Tally:
    """What a replay has found so far."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.same = self.forced = self.different = self.missing = self.repeats = self.unmatched = 0
        self.first_difference: Difference | None = None
        self.first_missing: str | None = None
        self.drawn: dict[Drawn, set[Outcome]] = {}
        self.repeated: list[LoggedDecision] = []

    def take(self, logged: LoggedDecision) -> None:
        """Replay one decision; repeats wait until all draws are known."""
        if logged.reason == FORCED:
            self.forced += 1
        elif logged.reason == REPEATED:
            self.repeated.append(logged)
        else:
            outcome = _outcome(logged)
            self.drawn.setdefault(_drawn(logged), set()).add(outcome)
            try:
                computed = _decide_again(logged, self.archive)
            except MissingVersion as error:
                self.missing += 1
                self.first_missing = self.first_missing or f"{logged.event_id}: {error}"
                return
            self._compare(logged, {computed})

    def take_repeats(self) -> None:
        """Compare the repeats with what was drawn in their epoch."""
        for logged in self.repeated:
            earlier = self.drawn.get(_drawn(logged))
            if earlier is None:
                self.unmatched += 1
            else:
                self.repeats += self._compare(logged, earlier)

    def _compare(self, logged: LoggedDecision, computed: set[Outcome]) -> bool:
        if _outcome(logged) in computed:
            self.same += 1
            return True
        self.different += 1
        if self.first_difference is None:
            self.first_difference = Difference(
                event_id=logged.event_id,
                place=logged.place,
                touchpoint=logged.touchpoint,
                logged=_show(_outcome(logged)),
                computed=" or ".join(map(_show, sorted(computed))),
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


def _decide_again(logged: LoggedDecision, archive: Archive) -> Outcome:
    try:
        decision = decide(logged.touchpoint, archive.situate(logged))
    except (KeyError, InvalidSnapshot) as error:
        raise MissingVersion(f"the snapshot {logged.snapshot} has no readable {logged.touchpoint} ({error})") from error
    return decision.variant, decision.propensity, decision.slate, decision.slate_propensities


def _outcome(logged: LoggedDecision) -> Outcome:
    return logged.variant, logged.propensity, logged.slate, logged.slate_propensities


def _drawn(logged: LoggedDecision) -> Drawn:
    return logged.unit, logged.touchpoint, logged.epoch


def _show(outcome: Outcome) -> str:
    variant, propensity, slate, propensities = outcome
    if slate:
        return ", ".join(f"{name} at {share!r}" for name, share in zip(slate, propensities, strict=True))
    return f"{variant} at {propensity!r}"
