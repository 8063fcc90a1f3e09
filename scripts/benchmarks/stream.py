"""`scripts/bench stream`: whether the first byte waits for an origin that sends its page slowly."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.arms import make_slow
from scripts.benchmarks.edge import run_arms, tell_problems
from scripts.benchmarks.rows import Row

PAUSE_MS: Final = 200
NOTES: Final = (
    "The origin sends a tenth of a page of 100 KB at once and another every 200 ms; five slots are spread over it. "
    "Eight clients at once; medians over rounds of the medians."
)


def bench_stream(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    rows = run_arms(make_slow(PAUSE_MS), rounds=arguments.rounds, requests=8, most_s=60, warmup=8, connections=[8])
    if arguments.json:
        print(json.dumps({"benchmark": "stream", "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=110).print(_table(rows))
        Console(highlight=False, width=110).print(f"[dim]{NOTES}[/]")
    return tell_problems(rows)


def _table(rows: list[Row]) -> Table:
    table = Table("arm", title="a slow origin", title_justify="left")
    for name in ("first byte ms", "last byte ms", "failed"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.title, f"{row.first_byte_ms:.1f}", f"{row.p50_ms:.1f}", str(row.failed))
    return table
