"""What came, hour by hour of receipt: counted when objects are read, and again where copies are left out.

With both counts the audit need not believe the files: what came, less the copies, must be what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

HOUR_MS: Final = 3_600_000
# Receipts speak of events of this schema and later ones.
FIRST_WITH_RECEIPTS: Final = 3
RECEIPT: Final = "receipt"
# The columns that are counted by.
COUNTED: Final = ("type", "schema", "received_ms", "events", "quarantined")
_SUMS: Final = ("hour", "lines_sum", "promised_sum", "quarantined_sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What objects held of one hour of receipt: `lines` of events, and how many lines of events and of quarantine their
    receipts speak of (`promised`, of quarantine alone `promised_quarantined`); and how many of the lines and of the
    promised ones compaction has left out with copies of rows. None: older versions did not count that."""

    lines: int = 0
    promised: int = 0
    promised_quarantined: int | None = 0
    copies: int | None = 0
    promised_copies: int | None = 0

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            lines=self.lines + other.lines,
            promised=self.promised + other.promised,
            promised_quarantined=_add(self.promised_quarantined, other.promised_quarantined),
            copies=_add(self.copies, other.copies),
            promised_copies=_add(self.promised_copies, other.promised_copies),
        )


def _add(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def hour_of(moment_ms: int) -> int:
    """The start of the hour of a moment."""
    return moment_ms // HOUR_MS * HOUR_MS


def add_balances(hours: dict[int, Balance], more: Mapping[int, Balance]) -> None:
    """Add balances to those of the same hours (by their start in ms)."""
    for hour, balance in more.items():
        hours[hour] = hours.get(hour, Balance()) + balance


def count_lines(table: pa.Table) -> dict[int, Balance]:
    """What a table's rows, of at least the columns COUNTED, say of each hour."""
    return {
        hour: Balance(lines=lines, promised=promised, promised_quarantined=quarantined)
        for hour, lines, promised, quarantined in _sum_up(table)
    }


def count_copies(table: pa.Table) -> dict[int, Balance]:
    """What of each hour is left out, where a table's rows are."""
    return {hour: Balance(copies=lines, promised_copies=promised) for hour, lines, promised, _ in _sum_up(table)}


def _sum_up(table: pa.Table) -> Iterator[tuple[int, int, int, int]]:
    """Of each hour (its start in ms) the lines of events, and the lines that receipts speak of: all, and those of
    quarantine."""
    hour = pc.multiply(pc.divide(table["received_ms"].fill_null(0), HOUR_MS), HOUR_MS)
    is_receipt = pc.equal(table["type"], RECEIPT).fill_null(False)
    is_booked = pc.greater_equal(table["schema"].fill_null(0), FIRST_WITH_RECEIPTS)
    quarantined = pc.if_else(is_receipt, table["quarantined"].fill_null(0), 0)
    counted = pa.table(
        {
            "hour": hour,
            "lines": pc.and_(pc.invert(is_receipt), is_booked).cast(pa.int64()),
            "promised": pc.add(pc.if_else(is_receipt, table["events"].fill_null(0), 0), quarantined),
            "quarantined": quarantined,
        }
    )
    sums = counted.group_by("hour").aggregate([(name, "sum") for name in ("lines", "promised", "quarantined")])
    for start, *found in zip(*(sums[name].to_pylist() for name in _SUMS), strict=True):
        if any(found):
            yield start, *found
