"""From measurements to the rows and tables of `scripts/bench edge`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub, truediv
from typing import Final

from rich.table import Table

from scripts.benchmarks.arms import Arm
from scripts.benchmarks.load import Measurement
from scripts.benchmarks.runtime import MAX_BATCH_TIMEOUT_S

NOTES: Final = (
    "Medians over rounds; each Worker on a port of its own, the pages from memory. One thread serves all Workers, the "
    "queue's consumer and its R2 writes, which run for every hundred messages (at least every "
    f"{MAX_BATCH_TIMEOUT_S} s), so what is done after a response delays the next. Ratios and differences are of p50, "
    "taken within a round, against the Python no-op, the floor and the pass-through of the same page. A floor reads KV "
    "once, has a Python handler for every slot, and sends one message. Usher reads a profile where the site has any "
    "(in profiles), and looks for a newer snapshot once a minute; decided anew: a known visitor's first page of a "
    "session. GrowthBook's SDK sends one message too; its edge app sends none (its script in the page reports to "
    "GrowthBook), and reads its payload from KV for every page."
)
HEADINGS: Final = (
    "p50 ms", "p95 ms", "p99 ms", "first byte", "per s", "× hello", "× floor", "+ floor", "+ pass", "bytes", "asked",
    "failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm at one number of connections: medians over rounds, and how it compares with its reference arms (None
    where it has none)."""

    arm: str
    title: str
    connections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_byte_ms: float
    per_second: float
    bytes: int
    requests: int
    failed: int
    times_hello: float | None
    times_floor: float | None
    over_floor_ms: float | None
    over_pass_ms: float | None


def summarise(arms: Sequence[Arm], measured: Iterable[Measurement]) -> list[Row]:
    """One row for every number of connections and arm that was measured, in the order of the arms."""
    cells: dict[tuple[int, str], list[Measurement]] = {}
    for each in measured:
        cells.setdefault((each.connections, each.arm), []).append(each)
    rows = []
    for connections in sorted({connections for connections, _ in cells}):
        by_name = {name: rounds for (count, name), rounds in cells.items() if count == connections}
        rows += [_summarise_arm(arm, by_name[arm.name], by_name) for arm in arms if arm.name in by_name]
    return rows


def _summarise_arm(arm: Arm, rounds: list[Measurement], by_name: Mapping[str, list[Measurement]]) -> Row:
    def median(read: Callable[[Measurement], float]) -> float:
        return statistics.median(map(read, rounds))

    def against(reference: str, compare: Callable[[float, float], float]) -> float | None:
        if reference not in by_name:
            return None
        pairs = zip(rounds, by_name[reference], strict=True)
        return statistics.median(compare(mine.p50_ms, its.p50_ms) for mine, its in pairs)

    return Row(
        arm=arm.name,
        title=arm.title,
        connections=rounds[0].connections,
        p50_ms=median(lambda each: each.p50_ms),
        p95_ms=median(lambda each: each.p95_ms),
        p99_ms=median(lambda each: each.p99_ms),
        first_byte_ms=median(lambda each: each.first_byte_ms),
        per_second=median(lambda each: each.per_second),
        bytes=int(median(lambda each: each.bytes)),
        requests=sum(each.requests for each in rounds),
        failed=sum(each.failed for each in rounds),
        times_hello=against(arm.hello, truediv),
        times_floor=against(arm.floor, truediv),
        over_floor_ms=against(arm.floor, sub),
        over_pass_ms=against(arm.passing, sub),
    )


def make_table(title: str, rows: Sequence[Row]) -> Table:
    """The rows as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.title,
            *(f"{value:.2f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms, row.first_byte_ms)),
            f"{row.per_second:.0f}",
            *(_format(value, ".2f") for value in (row.times_hello, row.times_floor)),
            *(_format(value, "+.2f") for value in (row.over_floor_ms, row.over_pass_ms)),
            *(str(value) for value in (row.bytes, row.requests, row.failed)),
        )
    return table


def _format(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
