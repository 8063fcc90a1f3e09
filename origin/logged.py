"""Logged decisions, read back from the lake together with what they were made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import duckdb
import ibis

from origin.columns import COLUMNS, JSON
from origin.errors import LakeError
from origin.lake import Lake
from origin.stored import read_events
from shared.errors import InvalidProfile, InvalidSnapshot
from shared.events import LOGGED
from shared.profile import Profile
from shared.situation import Situation, situate
from shared.snapshot import Snapshot

# Exposures hold all that a replay needs since this version of the event schema.
FIRST_WITH_ALL: Final = 3
# Reasons of decisions that were not made at their view: one repeats an earlier one, a preview link forced the other.
REPEATED: Final = "kept"
FORCED: Final = "preview"
# All that is logged of a decision, by its own names.
DECIDED: Final = (*LOGGED, "slate", "slate_propensities")
# Those that may be missing, and what they are then: only slates have positions, and older edges did not say what they
# had drawn earlier.
_MAY_LACK: Final[Mapping[str, tuple[()] | None]] = {"slate": (), "slate_propensities": (), "earlier": None}


# So many rows are read at once.
AT_ONCE: Final = 5_000
# What a person may name decisions by, and the columns that are read.
_IDS: Final = ("event_id", "visitor", "unit")
_READ: Final = ("event_id", "visitor", "received_ms", "created_ms", "context", "session", *DECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecision:
    """An exposure as it stands in the lake: the decision, in fields named as those of `shared.decision.Decision`, and
    what it was made from. `earlier` is None where the edge did not say yet; `place` says where in the lake it is."""

    event_id: str
    visitor: str
    touchpoint: str
    unit: str
    epoch: str
    variant: str
    propensity: float
    eligible: tuple[str, ...]
    excluded: tuple[str, ...]
    earlier: tuple[str, ...] | None
    probabilities: tuple[float, ...]
    level: str
    cell: str
    holdout: bool
    randomised: bool
    relaxations: tuple[str, ...]
    fallbacks: tuple[str, ...]
    reason: str
    because: str
    snapshot: str
    profile: str
    slate: tuple[str, ...]
    slate_propensities: tuple[float, ...]
    decided_ms: int
    context: Mapping[str, Any]
    session: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class LoggedSession:
    """A session as an exposure logged it."""

    attributes: Mapping[str, Any]

    @property
    def started_ms(self) -> int:
        """When it started."""
        return int(self.attributes["started_ms"])

    def to_attributes(self) -> dict[str, object]:
        """What was logged; the intent among it is computed anew."""
        return dict(self.attributes)


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
        return situate(
            logged.unit,
            self.snapshot(logged.snapshot),
            self.profile(logged.unit, logged.profile),
            LoggedSession(logged.session),
            logged.context,
            logged.decided_ms,
        )


def read_logged(lake: Lake) -> Iterator[LoggedDecision]:
    """Every exposure in the lake, in the order in which they were received. Raises LakeError for a damaged one."""
    return _read_exposures(lake, None)


def find_logged(lake: Lake, wanted: str) -> list[LoggedDecision]:
    """The decisions of that event id, visitor or unit, oldest first. Raises LakeError for a damaged one."""
    return sorted(_read_exposures(lake, wanted), key=lambda each: each.decided_ms)


def _read_exposures(lake: Lake, wanted: str | None) -> Iterator[LoggedDecision]:
    """The exposures of an event id, visitor or unit (None: all), but for those of a schema that did not log what a
    replay needs."""
    connection = ibis.duckdb.connect()
    try:
        events = read_events(connection, lake)
        if events is None:
            return
        exposures = events.filter(events.type == "exposure", events["schema"] >= FIRST_WITH_ALL)
        if wanted is not None:
            exposures = exposures.filter(ibis.or_(*(exposures[name] == wanted for name in _IDS)))
        ordered = exposures.order_by("received_ms", "visitor", "event_id").select(*_READ)
        for batch in connection.con.sql(connection.compile(ordered)).to_arrow_reader(AT_ONCE):
            yield from map(_read, batch.to_pylist())
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()


def _read(row: Mapping[str, Any]) -> LoggedDecision:
    """One exposure from its columns."""
    place = f"visitor {row['visitor']}, received at {row['received_ms']} ms"
    try:
        return LoggedDecision(
            event_id=row["event_id"],
            visitor=row["visitor"],
            decided_ms=_required(row, "created_ms"),
            context=json.loads(_required(row, "context")),
            session=json.loads(_required(row, "session")),
            place=place,
            **{name: _decided(row, name) for name in DECIDED},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{row['event_id']} ({place}): is no exposure ({error!r}); its object is damaged") from error


def _decided(row: Mapping[str, Any], name: str) -> Any:
    """A field of the decision, as the decision has it."""
    if row[name] is None and name in _MAY_LACK:
        return _MAY_LACK[name]
    value = _required(row, name)
    if COLUMNS[name] != JSON:
        return value
    listed = json.loads(value)
    if not isinstance(listed, list) or any(isinstance(each, list | dict) for each in listed):
        raise TypeError(f"{name} is no list of texts or numbers")
    return tuple(listed)


def _required(row: Mapping[str, Any], name: str) -> Any:
    """The value of a column that every exposure has. Raises KeyError where it is missing."""
    if row[name] is None:
        raise KeyError(name)
    return row[name]
