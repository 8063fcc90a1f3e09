"""From measurements to the rows and tables of `scripts/bench edge`."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from operator import attrgetter, sub, truediv
from typing import Final

from rich.table import Table

from scripts.benchmarks.arms import Arm
from scripts.benchmarks.failures import describe_failures
from scripts.benchmarks.load import Measurement
from scripts.benchmarks.runtime import MAX_BATCH_TIMEOUT_S

NOTES: Final = (
    "Medians over rounds; each Worker on a port of its own, the pages from memory. One thread serves all Workers, the "
    "queue's consumer and its R2 writes, which run for every hundred messages (at least every "
    f"{MAX_BATCH_TIMEOUT_S} s), so what is done after a response delays the next. Differences and ratios are taken "
    "within a round, of p50 but for the last: against the floor, the Worker whose page Usher's page.mjs streams, and "
    "the pass-through of the same page, and of p95 against GrowthBook's edge app. Both floors have the I/O of the arm "
    "that is compared with them: one read of KV where Usher reads a profile (on the sites that have any, and there in "
    "every arm here), none where it reads none; one message a page. The Python floor has a Python handler for every "
    "slot and sets no headers; what Usher takes above the other is what it does beside I/O and streaming: identity, "
    "decision, cookie, log. Decisions kept: a page that repeats what the cookie holds. Decided anew: a known visitor's "
    "first page of a session, each time; individual: two touchpoints by the visitor's own posteriors (one, where "
    "there is one). Usher looks for a newer snapshot once a minute. GrowthBook's SDK sends one message too; its edge "
    "app sends none (its script in the page reports to GrowthBook), and reads its payload from KV for every page. "
    "Failed: another status, or of every tenth answer one whose slots were not written as they should be."
)
# Figures of a row that may have a target, and how a row that has one reads.
TARGETS: Final = {
    "over_floor_ms": "{value:+.2f} ms of p50 above the floor; target: at most {most:+.1f} ms",
    "p95_times_edge_app": "p95 is {value:.2f} times that of GrowthBook's edge app; target: less than {most:.0f}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm at one number of connections: medians over rounds, and how it compares with its reference arms (None
    where it has none).

    `problem` is the first answer's that failed; `counted` are failures that Usher counted meanwhile, by their reasons;
    `targets` is the most that some of the figures should be.
    """

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
    problem: str
    counted: Mapping[str, int]
    times_floor: float | None
    over_floor_ms: float | None
    over_streamer_ms: float | None
    over_pass_ms: float | None
    p95_times_edge_app: float | None
    targets: Mapping[str, float]


def summarise(
    arms: Sequence[Arm], measured: Iterable[Measurement], counted: Mapping[tuple[str, int], Counter[str]]
) -> list[Row]:
    """One row for every number of connections and arm that was measured, in the order of the arms; `counted` are the
    failures that Usher counted, by arm and connections."""
    cells: dict[tuple[int, str], list[Measurement]] = {}
    for each in measured:
        cells.setdefault((each.connections, each.arm), []).append(each)
    rows = []
    for connections in sorted({connections for connections, _ in cells}):
        by_name = {name: rounds for (count, name), rounds in cells.items() if count == connections}
        rows += [_summarise(arm, by_name, counted.get((arm.name, connections), Counter())) for arm in arms]
    return rows


def _summarise(arm: Arm, by_name: Mapping[str, list[Measurement]], counted: Counter[str]) -> Row:
    rounds = by_name[arm.name]

    def median(name: str) -> float:
        return float(statistics.median(map(attrgetter(name), rounds)))

    def against(reference: str, compare: Callable[[float, float], float], name: str = "p50_ms") -> float | None:
        if reference not in by_name:
            return None
        read = attrgetter(name)
        pairs = zip(rounds, by_name[reference], strict=True)
        return statistics.median(compare(read(mine), read(its)) for mine, its in pairs)

    return Row(
        arm=arm.name,
        title=arm.title,
        connections=rounds[0].connections,
        p50_ms=median("p50_ms"),
        p95_ms=median("p95_ms"),
        p99_ms=median("p99_ms"),
        first_byte_ms=median("first_byte_ms"),
        per_second=median("per_second"),
        bytes=int(median("bytes")),
        requests=sum(each.requests for each in rounds),
        failed=sum(each.failed for each in rounds),
        problem=next((each.problem for each in rounds if each.problem), ""),
        counted=dict(counted),
        times_floor=against(arm.floor, truediv),
        over_floor_ms=against(arm.floor, sub),
        over_streamer_ms=against(arm.streamer, sub),
        over_pass_ms=against(arm.passing, sub),
        p95_times_edge_app=against(arm.edge_app, truediv, "p95_ms"),
        targets=arm.targets,
    )


# The columns of the table: heading, figure, and its form.
COLUMNS: Final = (
    ("p50 ms", "p50_ms", ".2f"),
    ("p95 ms", "p95_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("first byte", "first_byte_ms", ".2f"),
    ("per s", "per_second", ".0f"),
    ("× floor", "times_floor", ".2f"),
    ("+ floor", "over_floor_ms", "+.2f"),
    ("+ page.mjs", "over_streamer_ms", "+.2f"),
    ("+ pass", "over_pass_ms", "+.2f"),
    ("p95 × edge app", "p95_times_edge_app", ".2f"),
    ("bytes", "bytes", "d"),
    ("asked", "requests", "d"),
    ("failed", "failed", "d"),
)


def make_table(title: str, rows: Sequence[Row]) -> Table:
    """The rows as a table for the terminal; a column that has no figure is left out."""
    columns = [(heading, attrgetter(name), form) for heading, name, form in COLUMNS]
    columns = [each for each in columns if any(each[1](row) is not None for row in rows)]
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    for row in rows:
        figures = ((read(row), form) for _, read, form in columns)
        table.add_row(row.title, *("" if value is None else format(value, form) for value, form in figures))
    return table


def describe_targets(rows: Sequence[Row]) -> list[str]:
    """How the rows that have targets stand to them, a line each."""
    lines = []
    for row in rows:
        for name, most in row.targets.items():
            value = getattr(row, name)
            if value is not None:
                verdict = "met" if value <= most else "missed"
                lines.append(f"{row.title}: {TARGETS[name].format(value=value, most=most)}: {verdict}")
    return lines


def describe_problems(rows: Sequence[Row]) -> list[str]:
    """What went wrong while the rows were measured, a line each."""
    lines = []
    for row in rows:
        where = f"{row.arm} ×{row.connections}"
        if row.failed:
            lines.append(f"{where}: {row.failed:,} of {row.requests:,} answers failed; the first: {row.problem}")
        if row.counted:
            lines.append(f"{where}: Usher counted failures meanwhile: {describe_failures(row.counted)}")
    return lines


def describe_tail(requests: int) -> str:
    """Which value of so many the p99 of a round is."""
    place = requests - ceil(0.99 * requests) + 1
    ordinal = {1: "largest", 2: "second largest", 3: "third largest"}.get(place, f"{place}th largest")
    return f"p99 is the {ordinal} of the {requests:,} values of a round; --requests asks for more."
