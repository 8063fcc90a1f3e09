"""The situation: what the decisions of one page view have in common, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.features import find_attribute, read_features
from shared.posterior import Shift
from shared.profile import Profile
from shared.records import Segment
from shared.session import score_intent
from shared.snapshot import Snapshot
from shared.uniform import uniform

DAY_MS: Final = 86_400_000
# A profile older than this says nothing of a person any more: neither its scores nor its attributes are used.
PROFILE_TTL_MS: Final = 90 * DAY_MS


class Visit(Protocol):
    """What decisions read of a session: at the edge its state, in a replay what was logged of it."""

    @property
    def started_ms(self) -> int:
        """When it started, which names its epoch."""

    def to_attributes(self) -> dict[str, object]:
        """What stands below `session`, but for the intent, in a dictionary of the caller's own."""


@dataclass(slots=True, eq=False)
class Situation:
    """Whom a decision is made for, when, and by what knowledge. Nobody changes it; frozen it would be slow to make.

    `unit` is the person's earliest visitor id. `attributes` is the namespace that conditions and features read: the
    request's context, and below it `session` and `profile`. `segments` are the rule segments that fit, in configured
    order; `interest` is the visitor's primary interest, or None.
    """

    snapshot: Snapshot
    unit: str
    profile: Profile | None
    session: Visit
    attributes: Mapping[str, object]
    now_ms: int
    is_holdout: bool
    segments: tuple[Segment, ...]
    interest: str | None
    _epochs: dict[str, str] = field(default_factory=dict)
    _values: dict[tuple[str, ...], tuple[float, ...]] = field(default_factory=dict)

    def epoch(self, kind: str) -> str:
        """The name of the current epoch of a kind: what stays the same as long as a decision lasts."""
        found = self._epochs.get(kind)
        if found is None:
            found = self._epochs[kind] = _name_epoch(kind, self)
        return found

    def lasts(self, kind: str, epoch: str) -> bool:
        """Whether an epoch that was named before is still the current one of its kind. That of a session lasts by
        whichever of its names: the profile that decides on it may be missing on some of the session's pages."""
        return epoch == self.epoch(kind) or (kind == "session" and epoch in _name_session(self.session.started_ms))

    def values_of(self, shift: Shift) -> tuple[float, ...]:
        """The values of the features that shift a touchpoint's posteriors; a page's touchpoints often have the same."""
        found = self._values.get(shift.names)
        if found is None:
            found = self._values[shift.names] = read_features(shift.features, self.attributes)
        return found


def _name_epoch(kind: str, situation: Situation) -> str:
    if kind == "session":
        alone, shared = _name_session(situation.session.started_ms)
        profile = situation.profile
        return shared if profile is not None and profile.header.several_devices else alone
    if kind == "day":
        return f"day {situation.now_ms // DAY_MS}"
    if kind == "week":
        return f"week {situation.now_ms // (7 * DAY_MS)}"
    return f"snapshot {situation.snapshot.version}" if kind == "snapshot" else "forever"


def _name_session(started_ms: int) -> tuple[str, str]:
    """The names of a session's epoch: that of a person with one device, and that of a person with several, by the UTC
    day it began on, which sessions on all of them have in common."""
    return f"session {started_ms}", f"day {started_ms // DAY_MS}"


def is_in_holdout(site: str, unit: str, holdout_share: float) -> bool:
    """Whether a unit is never personalised: by a salt of its own, so independent of every touchpoint and snapshot."""
    return uniform(site, "holdout", unit) < holdout_share


def situate(
    unit: str,
    snapshot: Snapshot,
    profile: Profile | None,
    session: Visit,
    context: Mapping[str, object],
    now_ms: int,
) -> Situation:
    """Work out what all decisions of a page view need. `context` holds the request's own attributes."""
    header = snapshot.header
    if profile is not None and now_ms - profile.header.computed_ms > PROFILE_TTL_MS:
        profile = None  # a stale value is a missing value
    session_attributes = session.to_attributes()
    attributes = {
        **context,
        "session": session_attributes,
        "profile": profile.header.attributes if profile is not None else {},
    }
    session_attributes["intent"] = score_intent(header.intent, attributes)
    interest = find_attribute(attributes, header.interest) if header.interest else None
    return Situation(
        snapshot,
        unit,
        profile,
        session,
        attributes,
        now_ms,
        is_in_holdout(header.site, unit, header.holdout_share),
        tuple([segment for segment in header.segments if segment.condition(attributes, {})]),
        interest if isinstance(interest, str) and interest else None,
    )
