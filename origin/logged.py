"""Logged decisions, read back from the lake together with what they were made from."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from origin.errors import LakeError
from origin.lake import Lake
from shared.decision import Decision
from shared.errors import InvalidProfile, InvalidSnapshot
from shared.events import SCHEMA
from shared.profile import Profile
from shared.session import Session
from shared.situation import Situation, situate
from shared.snapshot import Snapshot

# Decisions that were not drawn from a distribution, so that there is nothing to compute again.
REPEATED: Final = "kept"
FORCED: Final = "preview"


# What a replay compares beside variant, propensity and slate.
DETAILS: Final = (
    "epoch", "level", "cell", "eligible", "excluded", "probabilities", "holdout", "relaxations", "fallbacks", "reason",
    "because",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecision:
    """An exposure as it stands in the lake: the decision, and what it was made from. `details` are the values of
    DETAILS."""

    event_id: str
    visitor: str
    unit: str
    touchpoint: str
    epoch: str
    variant: str
    propensity: float
    slate: tuple[str, ...]
    slate_propensities: tuple[float, ...]
    reason: str
    because: str
    snapshot: str
    profile: str
    decided_ms: int
    context: Mapping[str, Any]
    session: Mapping[str, Any]
    details: tuple[Any, ...]
    place: str


class MissingVersion(LakeError):
    """The lake does not hold what a decision was made from."""


class Archive:
    """The published snapshots and profiles, as the lake keeps them; the last few stay parsed."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._profiles: dict[tuple[str, str], str] = {}
        self.snapshot = lru_cache(maxsize=8)(self._read_snapshot)

    def prepare(self, logged: Iterable[LoggedDecision]) -> None:
        """Read the profiles of these decisions at once, in place of those read before."""
        self._profiles = self._lake.read_profiles([(each.unit, each.profile) for each in logged if each.profile])

    def _read_snapshot(self, version: str) -> Snapshot:
        """The snapshot of that version. Raises MissingVersion where the lake has none, or one that cannot be read."""
        path = self._lake.snapshots / f"{version}.txt"
        try:
            return Snapshot.from_text(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise MissingVersion(f"{path}: the lake does not hold this snapshot; bring it back") from None
        except (InvalidSnapshot, UnicodeDecodeError, OSError) as error:
            raise MissingVersion(f"{path}: cannot be read ({error})") from error

    def profile(self, unit: str, version: str) -> Profile | None:
        """The profile of that unit and version, which were prepared; None for an empty version. Raises
        MissingVersion."""
        if not version:
            return None
        text = self._profiles.get((unit, version))
        if text is None:
            raise MissingVersion(f"{self._lake.profiles}: holds no profile {version} of the unit {unit}")
        try:
            return Profile.from_text(text)
        except InvalidProfile as error:
            raise MissingVersion(
                f"{self._lake.profiles}: the profile {version} of {unit} is damaged ({error})"
            ) from error

    def situate(self, logged: LoggedDecision) -> Situation:
        """The situation a decision was made in. Raises MissingVersion."""
        session = logged.session
        return situate(
            logged.unit,
            self.snapshot(logged.snapshot),
            self.profile(logged.unit, logged.profile),
            Session(
                started_ms=int(session["started_ms"]),
                views=int(session["views"]),
                visits=int(session["visits"]),
                referral=str(session["referral"]),
                preferences=dict(session["preferences"]),
            ),
            logged.context,
            logged.decided_ms,
        )


def read_logged(lake: Lake) -> Iterator[LoggedDecision]:
    """Every exposure in the lake, file by file in the order of their hours. Raises LakeError for a damaged one."""
    for path in sorted(lake.events.rglob("*.ndjson.gz")):
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if '"type":"exposure"' in line:
                        logged = _read(line, f"{path}:{number}")
                        if logged is not None:
                            yield logged
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise LakeError(f"{path}: cannot be read ({error}); bring it back with usher pull") from error


def find_logged(lake: Lake, wanted: str) -> list[LoggedDecision]:
    """The decisions of that event id, visitor or unit, oldest first."""
    found = [each for each in read_logged(lake) if wanted in (each.event_id, each.visitor, each.unit)]
    return sorted(found, key=lambda each: each.decided_ms)


def details_of(decision: Decision) -> tuple[Any, ...]:
    """The values of DETAILS of a decision, as they would be logged."""
    return tuple(getattr(decision, name) for name in DETAILS)


def _plain(value: Any) -> Any:
    """A logged value in the form of the decision's own: lists are tuples there."""
    return tuple(value) if isinstance(value, list) else value


def _read(line: str, place: str) -> LoggedDecision | None:
    """One exposure; None for one of a schema that did not log what a replay needs."""
    try:
        event = json.loads(line)
        if event["type"] != "exposure" or event["schema"] < SCHEMA:
            return None
        return LoggedDecision(
            event_id=event["event_id"],
            visitor=event["visitor"],
            unit=event["unit"],
            touchpoint=event["touchpoint"],
            epoch=event["epoch"],
            variant=event["variant"],
            propensity=float(event["propensity"]),
            slate=tuple(event.get("slate", ())),
            slate_propensities=tuple(float(each) for each in event.get("slate_propensities", ())),
            reason=event["reason"],
            because=event["because"],
            snapshot=event["snapshot"],
            profile=event["profile"],
            decided_ms=int(event["created_ms"]),
            context=event["context"],
            session=event["session"],
            details=tuple(_plain(event[name]) for name in DETAILS),
            place=place,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{place}: is no exposure ({error!r}); the file is damaged") from error
