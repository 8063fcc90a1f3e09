"""The lake: the folder in which everything the origin knows is kept.

    events/<day>/<hour>/*.ndjson.gz      events as the edge stored them
    quarantine/<day>/<hour>/*.ndjson.gz  what was refused, with the reasons
    imports/<log>.parquet                logs that were imported, one file a log
    models/<version>.json                what was trained
    snapshots/<version>.txt              what was published
    published.json                       the keys of KV and the hashes of their values

Every file appears whole: it is written under another name, synced, and renamed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from origin.errors import LakeError


class Lake:
    """The folder of the lake and the places in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events = root / "events"
        self.quarantine = root / "quarantine"
        self.imports = root / "imports"
        self.models = root / "models"
        self.snapshots = root / "snapshots"
        self.published = root / "published.json"

    def write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_name(path)
        partial.write_bytes(content)
        sync(partial)
        partial.replace(path)

    def latest_model(self) -> Path:
        """The newest trained model. Raises LakeError where none was trained."""
        models = sorted(self.models.glob("*.json"))
        if not models:
            raise LakeError(f"{self.models}: no model yet; run usher train")
        return models[-1]

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


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def partial_name(path: Path) -> Path:
    """The name under which a file is written before it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
