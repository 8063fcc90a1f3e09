"""The balance of events: for every hour of receipt, received = stored + quarantined + duplicates + in flight + lost.

What was received is known from the receipts, of which every queue message carries one: how many events and quarantined
events it holds, and its number among the messages of its isolate. A gap in the numbers is a message that has not come.
The receipt after the gap says how many events had been sent before it, and so how many the gap holds; it counts to the
hour of that receipt. Numbers that were called void are messages that the Queue refused: their senders were told.

The Queue delivers at least once, so messages come again, whole. Of every hour it is therefore known how many lines
came, and how many all the receipts that came speak of, copies included (`origin.compacted.Balance`): where the two
differ, an object is damaged or missing. Lines that are neither copies of a message that had come before nor kept are
duplicates: events that were sent again under the same id.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby, pairwise
from typing import Any, Final

import duckdb
import ibis
import ibis.expr.types as ir
import msgspec
from msgspec import Struct

from origin.compacted import SUFFIX, Balance, list_new_objects, read_index
from origin.errors import LakeError
from origin.lake import Lake
from origin.lines import DAMAGE, decompress, read_tables
from origin.staging import FIRST_WITH_RECEIPTS, HOUR_MS, add_balances
from origin.stored import read_events

# A message that is still to come after this time has used up its tries, and is in the dead-letter queue if anywhere.
RETRIES_MS: Final = HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class HourBalance:
    """One hour of receipt: what was received, and where it is."""

    start_ms: int
    received: int
    stored: int
    quarantined: int
    duplicates: int
    in_flight: int
    lost: int

    @property
    def is_balanced(self) -> bool:
        """Whether all that was received is accounted for, and nothing else is there."""
        return self.received == self.stored + self.quarantined + self.duplicates + self.in_flight + self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Messages of an isolate that have not come: the first and last number, how many they are, how many events they
    hold, and when the next message that came was received."""

    isolate: str
    first: int
    last: int
    messages: int
    events: int
    before_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The balance of some hours, and what in them is lost or does not fit, in words."""

    hours: tuple[HourBalance, ...] = ()
    problems: tuple[str, ...] = ()


class _Quarantined(Struct):
    """What is looked at of a quarantine record. Those of before there were receipts have no code."""

    received_ms: int
    code: str | None = None


_decoder: Final = msgspec.json.Decoder(_Quarantined)


def audit(lake: Lake, now_ms: int, *, since_ms: int = 0) -> Audit:
    """Draw up the balance of the hours of receipt that end after `since_ms`. Raises LakeError."""
    connection = ibis.duckdb.connect()
    try:
        events = read_events(connection, lake)
        if events is None:
            return Audit()
        booked = events.filter(events["schema"] >= FIRST_WITH_RECEIPTS)
        stored, receipts = _count_stored(connection, booked), _read_receipts(connection, booked)
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()
    came, quarantine = _count_lines(lake), read_quarantine(lake)
    distinct: Counter[int] = Counter()
    for each in receipts:
        distinct[_hour(each["received_ms"])] += each["events"] + each["quarantined"]
    gaps: dict[int, list[Gap]] = {}
    for gap in find_gaps(receipts):
        gaps.setdefault(_hour(gap.before_ms), []).append(gap)
    hours, problems = [], []
    for start in sorted({*stored, *came, *quarantine, *distinct, *gaps}):
        if start + HOUR_MS > since_ms:
            balance, records = came.get(start, Balance()), quarantine.get(start, Records())
            held = Balance(lines=balance.lines + records.lines, promised=balance.promised)
            hour, found = _balance_hour(
                start, held, distinct[start], stored.get(start, 0), records.distinct, gaps.get(start, ()), now_ms
            )
            hours.append(hour)
            problems += found
    return Audit(hours=tuple(hours), problems=tuple(problems))


def _balance_hour(
    start: int, held: Balance, distinct: int, stored: int, quarantined: int, gaps: Sequence[Gap], now_ms: int
) -> tuple[HourBalance, list[str]]:
    """The balance of one hour: the lines that came and those that receipts speak of (`held`), of them each message once
    (`distinct`)."""
    duplicates = held.lines - (held.promised - distinct) - stored - quarantined
    missing = max(held.promised - held.lines, 0)
    if duplicates < 0:  # what is missing are copies of what is there
        missing = max(missing + duplicates, 0)
        duplicates = 0
    late = [gap for gap in gaps if now_ms - gap.before_ms >= RETRIES_MS]
    is_late = now_ms - start >= HOUR_MS + RETRIES_MS
    in_gaps, lost = sum(gap.events for gap in gaps), sum(gap.events for gap in late)
    hour = HourBalance(
        start_ms=start,
        received=distinct + in_gaps,
        stored=stored,
        quarantined=quarantined,
        duplicates=duplicates,
        in_flight=in_gaps - lost + (0 if is_late else missing),
        lost=lost + (missing if is_late else 0),
    )
    problems = [_describe(gap) for gap in late]
    if missing and is_late:
        problems.append(
            f"{show_hour(start)}: {missing:,} lines that receipts speak of are not in the lake; run usher pull and see "
            "which objects it names"
        )
    if not hour.is_balanced:
        surplus = hour.stored + hour.quarantined + hour.duplicates + hour.in_flight + hour.lost - hour.received
        problems.append(
            f"{show_hour(start)}: {surplus:,} lines are in the lake of which no receipt speaks; something else than "
            "the edge wrote to the bucket"
        )
    return hour, problems


def find_gaps(receipts: Iterable[Mapping[str, Any]]) -> list[Gap]:
    """Return the gaps between the receipts of each isolate, but for messages that were called void.

    `receipts` have isolate, number, events, quarantined, counted, received_ms, and as lists void and void_counted.
    """
    gaps = []
    ordered = sorted(receipts, key=lambda each: (each["isolate"], each["number"]))
    for isolate, group in groupby(ordered, key=lambda each: each["isolate"]):
        own = list(group)
        void: dict[int, int] = {}
        for each in own:
            void |= dict(zip(each["void"], each["void_counted"], strict=True))
        start = {"number": 0, "counted": 0, "events": 0, "quarantined": 0}
        for before, after in pairwise([start, *own]):
            absent = [number for number in range(before["number"] + 1, after["number"]) if number not in void]
            if absent:
                events = after["counted"] - before["counted"] - before["events"] - before["quarantined"]
                events -= sum(void.get(number, 0) for number in range(before["number"] + 1, after["number"]))
                gaps.append(
                    Gap(
                        isolate=isolate,
                        first=absent[0],
                        last=absent[-1],
                        messages=len(absent),
                        events=events,
                        before_ms=after["received_ms"],
                    )
                )
    return gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The quarantine records of one hour of receipt: the lines there are, each once, and those by the codes of their
    reasons."""

    lines: int = 0
    distinct: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)


def read_quarantine(lake: Lake) -> dict[int, Records]:
    """Read the quarantine records by hour of receipt (its start in ms). Raises LakeError."""
    lines: Counter[int] = Counter()
    codes: dict[int, Counter[str]] = {}
    seen: set[bytes] = set()
    for path in sorted(lake.quarantine.rglob(f"*{SUFFIX}")):
        try:
            for line in decompress(path.read_bytes()).splitlines():
                record = _decoder.decode(line)
                if record.code is None:
                    continue
                hour = _hour(record.received_ms)
                lines[hour] += 1
                digest = blake2b(line, digest_size=12).digest()
                if digest not in seen:
                    seen.add(digest)
                    codes.setdefault(hour, Counter())[record.code] += 1
        except (*DAMAGE, msgspec.MsgspecError) as error:
            raise LakeError(f"{path}: cannot be read ({error}); remove it and run usher pull") from error
    return {
        hour: Records(lines=count, distinct=codes[hour].total(), codes=dict(codes[hour]))
        for hour, count in lines.items()
    }


def _count_stored(connection: ibis.BaseBackend, events: ir.Table) -> dict[int, int]:
    """How many events are stored, by hour of receipt."""
    kept = events.filter(events.type != "receipt").select("received_ms")
    counted = kept.group_by(hour=kept.received_ms // HOUR_MS).aggregate(count=kept.count())
    return {row["hour"] * HOUR_MS: row["count"] for row in connection.to_pyarrow(counted).to_pylist()}


def _read_receipts(connection: ibis.BaseBackend, events: ir.Table) -> list[dict[str, Any]]:
    """All receipts, each once."""
    columns = ("isolate", "number", "events", "quarantined", "counted", "received_ms", "void", "void_counted")
    rows: list[dict[str, Any]] = connection.to_pyarrow(
        events.filter(events.type == "receipt").select(*columns)
    ).to_pylist()
    for row in rows:
        row["void"], row["void_counted"] = json.loads(row["void"] or "[]"), json.loads(row["void_counted"] or "[]")
    return rows


def _count_lines(lake: Lake) -> dict[int, Balance]:
    """What all objects held, compacted or not, by hour of receipt."""
    index = read_index(lake)
    hours = dict(index.hours)
    for table in read_tables(path for _, path in list_new_objects(lake, index)):
        add_balances(hours, table)
    return hours


def _hour(moment_ms: int) -> int:
    return moment_ms // HOUR_MS * HOUR_MS


def show_hour(start_ms: int) -> str:
    """An hour as a person reads it."""
    return f"{datetime.fromtimestamp(start_ms / 1000, UTC):%Y-%m-%d %H:00} UTC"


def _describe(gap: Gap) -> str:
    numbers = (
        f"message {gap.first}" if gap.messages == 1 else f"{gap.messages:,} messages from {gap.first} to {gap.last}"
    )
    hour = show_hour(_hour(gap.before_ms))
    return (
        f"{hour}: {numbers} of isolate {gap.isolate} with {gap.events:,} events did not come; look into the "
        "dead-letter queue"
    )
