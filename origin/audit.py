"""The balance of events: for every hour of receipt, received = stored + quarantined + duplicates + in flight + lost.

What was received is known from the receipts, of which every queue message carries one: how many events and quarantined
events it holds, and its number among the messages of its isolate. A gap in the numbers is a message that has not come,
or one that was refused and that nobody keeps (`origin.gaps`).

The Queue delivers at least once, so messages come again, whole. Of every hour it is therefore known how many lines
came, and how many all the receipts that came speak of, copies included (`origin.balances`): where the two differ, an
object is damaged or missing. Copies are counted where they are left out, and those that did not come with a copy of
their whole message are duplicates: events that were sent again under the same id. Nothing here is found by subtracting
what is stored, so what came, less the copies, must be what is stored; where it is not, files have lost rows.

No receipt follows the last message of an isolate. Such a message is missed only if it comes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import ibis.expr.types as ir

from origin.balances import (
    FIRST_WITH_RECEIPTS,
    HOUR_MS,
    RECEIPT,
    Balance,
    add_balances,
    count_lines,
    hour_of,
)
from origin.compacted import list_new_objects, read_index
from origin.errors import LakeError
from origin.gaps import Gap, describe_gap, find_gaps
from origin.lake import Lake
from origin.lines import read_tables
from origin.quarantine import Records, read_quarantine
from origin.stored import read_copies, read_events

# A message that is still to come after this time has used up its tries, and is in the dead-letter queue.
RETRIES_MS: Final = HOUR_MS
# That queue is tried by the hour for as long as a queue keeps a message; what has not come after it is lost.
KEPT_MS: Final = RETRIES_MS + 96 * HOUR_MS


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
class Audit:
    """The balance of some hours; what in them is lost or does not fit, in words; and of how many isolates the last
    message that came was received in them: whether these sent another after it, nothing in the lake tells."""

    hours: tuple[HourBalance, ...] = ()
    problems: tuple[str, ...] = ()
    isolates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of an hour: what objects held (`came`), what is there of it, each event and receipt once (`kept`),
    what was left out as a copy when it was read (`left_out`), the quarantine records, and the gaps before receipts.

    What older versions did not count, the properties take from what is there.
    """

    start_ms: int
    came: Balance
    kept: Balance
    left_out: Balance
    records: Records
    gaps: Sequence[Gap]

    @property
    def copies(self) -> int:
        """The lines of events that were left out as copies."""
        before = self.came.copies
        return self.came.lines - self.kept.lines if before is None else before + self.left_out.lines

    @property
    def promised_copies(self) -> int:
        """The lines of which receipts speak that were left out as copies."""
        before = self.came.promised_copies
        return self.came.promised - self.kept.promised if before is None else before + self.left_out.promised

    @property
    def promised_records(self) -> int:
        """The lines of quarantine of which receipts speak, copies included."""
        promised = self.came.promised_quarantined
        return self.records.lines if promised is None else promised

    @property
    def promised_records_once(self) -> int:
        """The same, of each message once."""
        return self.kept.promised_quarantined or 0

    @property
    def records_once(self) -> int:
        """The lines of quarantine that came, of each message once. A batch of messages may have been written without
        its quarantine, and come again in others; then those count that differ."""
        if self.records.lines < self.promised_records:
            return min(self.records.different, self.promised_records_once)
        return self.promised_records_once + self.records.lines - self.promised_records


def audit(lake: Lake, now_ms: int, *, since_ms: int = 0) -> Audit:
    """Draw up the balance of the hours of receipt that end after `since_ms`. Raises LakeError."""
    connection = ibis.duckdb.connect()
    try:
        events, copies = read_events(connection, lake), read_copies(connection, lake)
        if events is None or copies is None:
            return Audit()
        kept, left_out = _count(connection, events), _count(connection, copies)
        receipts = _read_receipts(connection, events)
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()
    came, quarantine = _count_objects(lake), read_quarantine(lake)
    gaps: dict[int, list[Gap]] = {}
    for gap in find_gaps(receipts):
        gaps.setdefault(hour_of(gap.before_ms), []).append(gap)
    hours, problems = [], []
    for start in sorted({*kept, *came, *quarantine, *gaps}):
        if start + HOUR_MS > since_ms:
            known = _Known(
                start_ms=start,
                came=came.get(start, Balance()),
                kept=kept.get(start, Balance()),
                left_out=left_out.get(start, Balance()),
                records=quarantine.get(start, Records()),
                gaps=gaps.get(start, ()),
            )
            hour, found = _balance_hour(known, now_ms, lake.compacted)
            hours.append(hour)
            problems += [f"{show_hour(start)}: {problem}" for problem in found]
    last = {each["isolate"]: each["received_ms"] for each in sorted(receipts, key=lambda each: int(each["number"]))}
    isolates = sum(hour_of(each) + HOUR_MS > since_ms for each in last.values())
    return Audit(hours=tuple(hours), problems=tuple(problems), isolates=isolates)


def _balance_hour(known: _Known, now_ms: int, compacted: Path) -> tuple[HourBalance, list[str]]:
    """The balance of an hour, and what in it is lost or does not fit."""
    duplicates, missing = _find_duplicates(known)
    gone = known.came.lines - known.copies - known.kept.lines
    promised_gone = known.came.promised - known.promised_copies - known.kept.promised
    age_ms = now_ms - known.start_ms - HOUR_MS
    in_gaps, lost = (
        sum(gap.events for gap in known.gaps),
        sum(gap.events for gap in known.gaps if _is_lost(gap, now_ms)),
    )
    if age_ms >= KEPT_MS:
        lost += missing
    hour = HourBalance(
        start_ms=known.start_ms,
        received=known.kept.promised + in_gaps,
        stored=known.kept.lines,
        quarantined=known.records.events,
        duplicates=duplicates,
        in_flight=in_gaps + missing - lost,
        lost=lost + max(gone, 0),
    )
    problems = [
        describe_gap(gap, is_lost=_is_lost(gap, now_ms))
        for gap in known.gaps
        if gap.is_refused or now_ms - gap.before_ms >= RETRIES_MS
    ]
    if missing and age_ms >= RETRIES_MS:
        problems.append(
            f"{missing:,} lines that receipts speak of are not in the lake; run usher pull and see which objects it "
            "names"
        )
    if gone or promised_gone:
        problems.append(
            f"{_describe_rows(gone, promised_gone, compacted)}; remove it, then run usher pull and usher compact"
        )
    elif not hour.is_balanced:
        surplus = hour.stored + hour.quarantined + hour.duplicates + hour.in_flight + hour.lost - hour.received
        problems.append(
            f"{surplus:,} lines are in the lake of which no receipt speaks; something else than the edge wrote to the "
            "bucket"
        )
    return hour, problems


def _find_duplicates(known: _Known) -> tuple[int, int]:
    """The lines of an hour that neither came with a copy of their whole message nor are kept, and the lines of which
    receipts speak that did not come."""
    again = known.promised_copies - known.promised_records + known.promised_records_once
    duplicates = known.copies - again + known.records_once - known.records.events
    surplus = max(known.records.lines - known.promised_records, 0)  # events that the consumer could not read
    missing = max(known.came.promised - known.promised_records - known.came.lines - surplus, 0)
    missing += max(known.promised_records_once - known.records_once, 0)
    # Below zero, what is missing are copies of what is there.
    return (duplicates, missing) if duplicates >= 0 else (0, max(missing + duplicates, 0))


def _is_lost(gap: Gap, now_ms: int) -> bool:
    """Whether nothing can bring the messages of a gap any more."""
    return gap.is_refused or now_ms - gap.before_ms >= KEPT_MS


def _describe_rows(gone: int, promised_gone: int, compacted: Path) -> str:
    """How what is there differs from what came, in words."""
    if gone < 0:
        return f"{-gone:,} events more than came are in {compacted}"
    what = f"{gone:,} events" if gone else f"receipts of {abs(promised_gone):,} events"
    return f"{what} that had come are gone from {compacted}"


def _count(connection: ibis.BaseBackend, events: ir.Table) -> dict[int, Balance]:
    """What rows of the lake say of each hour, as `count_lines` does."""
    is_receipt = events.type.fill_null("") == RECEIPT
    is_booked = events["schema"].fill_null(0) >= FIRST_WITH_RECEIPTS
    promised = events.events.fill_null(0) + events.quarantined.fill_null(0)
    counted = events.group_by(hour=events.received_ms.fill_null(0) // HOUR_MS).aggregate(
        lines=(~is_receipt & is_booked).sum(),
        promised=promised.sum(where=is_receipt).fill_null(0),
        promised_quarantined=events.quarantined.sum(where=is_receipt).fill_null(0),
    )
    rows = connection.to_pyarrow(counted.filter((counted.lines > 0) | (counted.promised > 0))).to_pylist()
    return {row.pop("hour") * HOUR_MS: Balance(**row) for row in rows}


def _read_receipts(connection: ibis.BaseBackend, events: ir.Table) -> list[dict[str, Any]]:
    """All receipts, each once."""
    lists = ("void", "void_counted", "void_lost")
    columns = ("isolate", "number", "events", "quarantined", "counted", "received_ms", *lists)
    rows: list[dict[str, Any]] = connection.to_pyarrow(
        events.filter(events.type == RECEIPT).select(*columns)
    ).to_pylist()
    for row in rows:
        row |= {name: json.loads(row[name] or "[]") for name in lists}
    return rows


def _count_objects(lake: Lake) -> dict[int, Balance]:
    """What all objects held, compacted or not, by hour of receipt."""
    index = read_index(lake)
    hours = dict(index.hours)
    for table in read_tables(path for _, path in list_new_objects(lake, index)):
        add_balances(hours, count_lines(table))
    return hours


def show_hour(start_ms: int) -> str:
    """An hour as a person reads it."""
    return f"{datetime.fromtimestamp(start_ms / 1000, UTC):%Y-%m-%d %H:00} UTC"
