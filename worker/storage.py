"""From queue messages to objects in the lake."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

# A queue message may hold 128 KB; what is larger is split before it is sent.
MAX_MESSAGE_BYTES: Final = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object for the bucket: its key, and gzip-compressed NDJSON."""

    key: str
    content: bytes


def to_messages(events: Iterable[Mapping[str, object]], quarantined: Iterable[Mapping[str, object]]) -> list[str]:
    """Pack events and quarantine records into as few queue messages as the size limit allows.

    A message is NDJSON; the first character of a line says where it belongs: `e` event, `q` quarantine.
    """
    lines = [f"e{_dump(event)}" for event in events]
    lines.extend(f"q{_dump(record)}" for record in quarantined)
    messages: list[str] = []
    open_lines: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode()) + 1
        if open_lines and size + length > MAX_MESSAGE_BYTES:
            messages.append("\n".join(open_lines))
            open_lines, size = [], 0
        open_lines.append(line)
        size += length
    if open_lines:
        messages.append("\n".join(open_lines))
    return messages


def pack_batch(messages: Sequence[tuple[str, int, str]]) -> list[StoredObject]:
    """Pack a batch of queue messages (id, time in ms, body) into at most one events and one quarantine object.

    The keys depend on the messages only, so a batch that is delivered again overwrites itself:
    `events/<day>/<hour>/<hash of the sorted message ids>.ndjson.gz`, by the earliest message's time.
    """
    if not messages:
        return []
    ordered = sorted(messages)
    names = "\n".join(name for name, _, _ in ordered)
    digest = sha256(names.encode()).hexdigest()[:32]
    started = datetime.fromtimestamp(min(time_ms for _, time_ms, _ in ordered) / 1000, UTC)
    lines = [line for _, _, body in ordered for line in body.split("\n")]
    objects = []
    for folder, mark in (("events", "e"), ("quarantine", "q")):
        kept = [line[1:] for line in lines if line[:1] == mark]
        if kept:
            content = gzip.compress(("\n".join(kept) + "\n").encode(), compresslevel=6, mtime=0)
            objects.append(StoredObject(key=f"{folder}/{started:%Y-%m-%d/%H}/{digest}.ndjson.gz", content=content))
    return objects


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
