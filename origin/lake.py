"""The lake: the folder in which everything the origin knows is kept.

    events/<day>/<hour>/*.ndjson.gz      events as the edge stored them
    compacted/                           events as Parquet by day, each once; see origin.compacted
    quarantine/<day>/<hour>/*.ndjson.gz  what was refused, with the reasons
    imports/<log>.parquet                logs that were imported, one file a log
    identities/                          who belongs together, and the trail of it; see origin.identity.state
    models/<version>.json                what was trained; beside it <version>.people.parquet, where people were
    snapshots/<version>.txt              what was published
    profiles/<publication>.parquet       people's profiles that were published; `.pending.parquet` until KV has them all

Every file appears whole: it is written under another name, synced, and renamed.
"""

from __future__ import annotations

import fcntl
import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import duckdb

from origin.errors import LakeError


class Lake:
    """The folder of the lake and the places in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events = root / "events"
        self.compacted = root / "compacted"
        self.quarantine = root / "quarantine"
        self.imports = root / "imports"
        self.models = root / "models"
        self.snapshots = root / "snapshots"
        self.profiles = root / "profiles"

    def write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all. Raises LakeError where the disk is full or the folder not writable."""
        partial = partial_name(path)
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(content)
                sync(partial)
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

    def rename(self, path: Path, target: Path) -> None:
        """Give a file its other name. Raises LakeError where that is not possible."""
        with reported(target):
            path.replace(target)

    def latest_model(self) -> Path:
        """The newest trained model. Raises LakeError where none was trained."""
        models = sorted(self.models.glob("*.json"))
        if not models:
            raise LakeError(f"{self.models}: no model yet; run usher train")
        return models[-1]

    def profile_pattern(self) -> str:
        """The files of published profiles, as DuckDB takes a pattern."""
        return f"{glob.escape(str(self.profiles))}/*.parquet"

    def read_profile(self, unit: str, version: str) -> str | None:
        """The text of a unit's profile of that version as it was published, or None. Raises LakeError."""
        return self.read_profiles([(unit, version)]).get((unit, version))

    def read_profiles(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The texts of profiles as they were published, by unit and version; those not there are missing. Raises
        LakeError."""
        asked = sorted(set(wanted))
        if not asked or not any(self.profiles.glob("*.parquet")):
            return {}
        units, versions = [unit for unit, _ in asked], [version for _, version in asked]
        query = (
            "SELECT unit, version, text FROM read_parquet(?) "
            "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS unit, unnest(?::VARCHAR[]) AS version) USING (unit, version)"
        )
        try:
            found = self._reader.execute(query, [self.profile_pattern(), units, versions]).fetchall()
        except duckdb.Error as error:
            raise LakeError(f"{self.profiles}: cannot be read: {str(error).splitlines()[0]}") from error
        return {(unit, version): text for unit, version, text in found}

    @cached_property
    def _reader(self) -> duckdb.DuckDBPyConnection:
        """What reads Parquet; kept, since a replay asks for many profiles and opening takes longer than asking."""
        return duckdb.connect()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out. Raises LakeError where one is under way, and where the folder cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("w")
        except OSError as error:
            raise LakeError(
                f"{self.root}: cannot be the lake ({error.strerror}); set USHER_LAKE to a folder"
            ) from error
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LakeError(
                    f"{self.root}: another usher command is writing to this lake; try again later"
                ) from error
            yield


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise what the disk refuses while a file is written as a LakeError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise LakeError(f"{path}: cannot be written ({reason}); see to the space and the rights there") from error


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def partial_name(path: Path) -> Path:
    """The name under which a file is written before it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def name_moment(now_ms: int) -> str:
    """A moment as versions begin with it: UTC to the millisecond, in an order that is the order of time."""
    seconds, milliseconds = divmod(now_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}{milliseconds:03d}Z"
