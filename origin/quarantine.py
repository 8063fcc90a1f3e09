"""What the edge refused, from the lake's quarantine: each event once, however often its batch was sent.

A record says when its batch was received, so that of an event that was sent again each has another record. They are
told to be one by what tells events apart, the visitor and the event's id, as far as the kept text has them; else by
the visitor and the text itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from origin.balances import hour_of
from origin.compacted import SUFFIX
from origin.errors import LakeError
from origin.lake import Lake
from origin.lines import DAMAGE, decompress


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The quarantine records of one hour of receipt: the lines there are, those of them that differ (a message that
    comes again brings the same), the events that no earlier record is of, and these by the codes of their reasons."""

    lines: int = 0
    different: int = 0
    events: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)


class _Record(Struct):
    """What is looked at of a quarantine record. Those of before there were receipts have no code."""

    received_ms: int
    code: str | None = None
    visitor: str = ""
    event: str = ""


class _Named(Struct):
    """What tells an event apart, where its kept text has it."""

    event_id: Annotated[str, Meta(min_length=1)]
    visitor: str = ""


_decoder: Final = msgspec.json.Decoder(_Record)
_named_decoder: Final = msgspec.json.Decoder(_Named)


def read_quarantine(lake: Lake) -> dict[int, Records]:
    """Read the quarantine records by hour of receipt (its start in ms). Raises LakeError."""
    lines: Counter[int] = Counter()
    different: dict[int, set[bytes]] = {}
    first: dict[bytes, tuple[int, str]] = {}
    for path in sorted(lake.quarantine.rglob(f"*{SUFFIX}")):
        for line, record in _read_records(path):
            if record.code is not None:
                hour = hour_of(record.received_ms)
                lines[hour] += 1
                different.setdefault(hour, set()).add(_digest(line))
                one, found = _identify(record), (record.received_ms, record.code)
                first[one] = min(first.get(one, found), found)
    codes: dict[int, Counter[str]] = {hour: Counter() for hour in lines}
    for received_ms, code in first.values():
        codes[hour_of(received_ms)][code] += 1
    return {
        hour: Records(lines=count, different=len(different[hour]), events=codes[hour].total(), codes=dict(codes[hour]))
        for hour, count in lines.items()
    }


def _read_records(path: Path) -> Iterator[tuple[bytes, _Record]]:
    try:
        for line in decompress(path.read_bytes()).splitlines():
            yield line, _decoder.decode(line)
    except (*DAMAGE, msgspec.MsgspecError) as error:
        raise LakeError(f"{path}: cannot be read ({error}); remove it and run usher pull") from error


def _identify(record: _Record) -> bytes:
    """A digest of what tells the event of a record apart."""
    try:
        named = _named_decoder.decode(record.event)
        parts = ("id", record.visitor or named.visitor, named.event_id)
    except (msgspec.MsgspecError, UnicodeError):  # cut, or no event at all
        parts = ("text", record.visitor, record.event)
    return _digest("\x1f".join(parts).encode())


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=12).digest()
