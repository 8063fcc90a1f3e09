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
_SUMS: Final = ("hour", "lines_sum", "promised_sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What objects held of one hour of receipt: `lines` of events, and how many lines of events and of quarantine their
    receipts speak of (`promised`); and what of both compaction has left out as copies of others (None: it was not
    counted then)."""

    lines: int = 0
    promised: int = 0
    copies: int | None = 0
    promised_copies: int | None = 0

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            lines=self.lines + other.lines,
            promised=self.promised + other.promised,
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
    return {hour: Balance(lines=lines, promised=promised) for hour, lines, promised in _sum_up(table)}


def count_copies(table: pa.Table) -> dict[int, Balance]:
    """What of each hour is left out, where a table's rows are."""
    return {hour: Balance(copies=lines, promised_copies=promised) for hour, lines, promised in _sum_up(table)}


def _sum_up(table: pa.Table) -> Iterator[tuple[int, int, int]]:
    """Of each hour (its start in ms) the lines of events, and the lines that receipts speak of."""
    hour = pc.multiply(pc.divide(table["received_ms"].fill_null(0), HOUR_MS), HOUR_MS)
    is_receipt = pc.equal(table["type"], RECEIPT).fill_null(False)
    is_booked = pc.greater_equal(table["schema"].fill_null(0), FIRST_WITH_RECEIPTS)
    counted = pa.table(
        {
            "hour": hour,
            "lines": pc.and_(pc.invert(is_receipt), is_booked).cast(pa.int64()),
            "promised": pc.if_else(
                is_receipt, pc.add(table["events"].fill_null(0), table["quarantined"].fill_null(0)), 0
            ),
        }
    )
    sums = counted.group_by("hour").aggregate([("lines", "sum"), ("promised", "sum")])
    for start, lines, promised in zip(*(sums[name].to_pylist() for name in _SUMS), strict=True):
        if lines or promised:
            yield start, lines, promised
