"""From events to queue messages, and from queue messages to objects in the lake.

A message is NDJSON; the first character of a line says what it is: `e` an event, `q` a quarantine record, `z` such a
line compressed (gzip, base64), since it would not fit. Among the events of every message stands its receipt.
"""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from worker.receipts import Receipts

# The Queue refuses messages of 128,000 bytes; what is larger is split before it is sent. The rest is for the receipt.
MAX_MESSAGE_BYTES: Final = 120_000
# Longer lines than this are not unpacked: none that is packed here ever comes near.
MAX_UNPACKED_BYTES: Final = 2_000_000
MAX_QUARANTINED_CHARACTERS: Final = 2_000
_FOLDERS: Final = (("events", "e"), ("quarantine", "q"))
# json.dumps would make an encoder for every call. What it writes is ASCII: as many bytes as characters.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


@dataclass(slots=True)
class Message:
    """What goes to the Queue: a text, and the number of its receipt."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object for the bucket: its key, and gzip-compressed NDJSON."""

    key: str
    content: bytes


def event_line(event: Mapping[str, object]) -> str:
    """The line of an event."""
    return "e" + _ENCODER.encode(event)


def event_lines(common: Mapping[str, object], own: Iterable[Mapping[str, object]]) -> list[str]:
    """The lines of events, each of which has the common fields, encoded once, and its own; neither are empty."""
    head = "e" + _ENCODER.encode(common)[:-1] + ","
    return [head + _ENCODER.encode(each)[1:] for each in own]


def quarantine_line(record: Mapping[str, object]) -> str:
    """The line of a quarantine record."""
    return "q" + _ENCODER.encode(record)


def fit_line(line: str, now_ms: int) -> str:
    """The line of an event so that it fits into a message.

    A decision among thousands of variants logs a vector of thousands of numbers, and a replay needs every one: it is
    compressed. What is too long even so goes to quarantine, cut.
    """
    if len(line) <= MAX_MESSAGE_BYTES:
        return line
    packed = "z" + b64encode(gzip.compress(line.encode(), compresslevel=6, mtime=0)).decode()
    if len(packed) <= MAX_MESSAGE_BYTES:
        return packed
    reason = f"{len(line)} bytes, {len(packed)} compressed; a queue message holds {MAX_MESSAGE_BYTES}"
    return quarantine_line(quarantine_record("too_large", reason, line[1:], now_ms, source="edge"))


def quarantine_record(
    code: str, reason: str, text: str, now_ms: int, *, source: str, index: int = 0, sent_ms: int = 0, visitor: str = ""
) -> dict[str, object]:
    """The quarantine record of an event, of which so much of its text is kept as there is room for."""
    return {
        "index": index,
        "code": code,
        "reason": reason,
        "received_ms": now_ms,
        "sent_ms": sent_ms,
        "visitor": visitor,
        "source": source,
        "event": text[:MAX_QUARANTINED_CHARACTERS],
    }


def pack_messages(lines: Iterable[str], receipts: Receipts, now_ms: int, *, is_kept: bool = True) -> list[Message]:
    """Pack lines that fit into as few queue messages as the size limit allows, each with its receipt.

    The receipts are issued here: what becomes of each message is to be told to `receipts`. `is_kept` says whether
    somebody keeps the events until they are accepted.
    """
    messages = []
    for part in _split(lines):
        events = sum(line[0] != "q" for line in part)
        receipt = receipts.issue(events, len(part) - events, is_kept=is_kept)
        text = "\n".join([*part, event_line(receipt.to_dict(now_ms))])
        messages.append(Message(receipt.number, text))
    return messages


def _split(lines: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for line in lines:
        length = len(line) + 1
        if part and size + length > MAX_MESSAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(line)
        size += length
    if part:
        yield part


def pack_batch(messages: Sequence[tuple[str, int, str]]) -> list[StoredObject]:
    """Pack a batch of queue messages (id, time in ms, body) into at most one events and one quarantine object.

    The keys depend on the messages only, so a batch that is delivered again overwrites itself:
    `events/<day>/<hour>/<hash of the sorted message ids>.ndjson.gz`, by the earliest message's time. A line that cannot
    be read goes to quarantine.
    """
    if not messages:
        return []
    ordered = sorted(messages)
    names = "\n".join(name for name, _, _ in ordered)
    digest = sha256(names.encode()).hexdigest()[:32]
    started = datetime.fromtimestamp(min(time_ms for _, time_ms, _ in ordered) / 1000, UTC)
    # Compressed line by line: a hundred messages unpacked at once are more than an isolate should hold.
    writers = {mark: zlib.compressobj(6, wbits=31) for _, mark in _FOLDERS}
    contents: dict[str, list[bytes]] = {mark: [] for mark in writers}
    for _, time_ms, body in ordered:
        for line in filter(None, body.split("\n")):
            readable = _unpack(line, time_ms)
            mark = readable[0]
            contents[mark].append(writers[mark].compress(readable[1:].encode(errors="replace") + b"\n"))
    return [
        StoredObject(
            key=f"{folder}/{started:%Y-%m-%d/%H}/{digest}.ndjson.gz",
            content=b"".join([*contents[mark], writers[mark].flush()]),
        )
        for folder, mark in _FOLDERS
        if contents[mark]
    ]


def _unpack(line: str, time_ms: int) -> str:
    """A line of a message as an `e` or `q` line."""
    mark = line[:1]
    if mark == "z":
        unpacked = _decompress(line[1:])
        if unpacked is not None and unpacked[:1] in ("e", "q"):
            return unpacked
    elif mark in ("e", "q"):
        return line
    reason = "a queue message held what this version of the Worker did not write"
    return quarantine_line(quarantine_record("unknown_line", reason, line, time_ms, source="edge"))


def _decompress(text: str) -> str | None:
    try:
        reader = zlib.decompressobj(wbits=31)
        content = reader.decompress(b64decode(text, validate=True), MAX_UNPACKED_BYTES)
        return content.decode() if reader.eof else None
    except (ValueError, zlib.error):
        return None
