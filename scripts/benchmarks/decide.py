"""`scripts/bench decide`: microseconds per call of the core's functions, inside workerd."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.runtime import Worker, run_workers
from scripts.benchmarks.sites import Site, demo_site, made_site, write_snapshot

# Long enough that the request around the calls does not matter.
LEAST_S: Final = 0.1
MOST_CALLS: Final = 200_000
out = Console(highlight=False, stderr=True)

# What is measured: the path of the case in workers/micro.py, and what it is. A further case is a further row.
CASES: Final[Mapping[str, str]] = {
    "nothing": "an empty call (the loop's own cost)",
    "decide/five": "decide, 5 touchpoints of 4 variants, published cells",
    "decide/five-targeted": "decide, the same, one variant excluded by targeting",
    "decide-individual/five-individual": "the profile and decide, 5 touchpoints of 4 variants, all individual",
    "plan/demo": "plan_page of the demo page",
    "log/demo": "exposures and queue message of the demo page",
    "context/demo": "read_context",
    "fold/view": "fold, a page view",
    "fold/left": "fold, what was left of a page",
    "fold/visit": "fold, a page view that begins a visit, twelve categories",
    "attributes": "Session.to_attributes, four categories",
    "read-cookie/typical": "read_visitor, four categories and two decisions",
    "read-cookie/full": "read_visitor, twelve categories and two decisions",
    "write-cookie/typical": "write_visitor, four categories and two decisions",
    "write-cookie/full": "write_visitor, twelve categories and two decisions",
    "sign": "sign, the typical cookie",
    "verify": "verify, the same",
    "uniform": "uniform (SHA-256)",
    "race/4": "win_race with its uniforms, 4 variants",
    "race/34": "win_race with its uniforms, 34 variants",
    "slate/80": "rank with its uniforms, 80 variants on 10 slots, 2 of them for other interests",
    "constrain/4": "constrain, 4 variants, floors, caps and interest share binding",
    "constrain/80": "constrain, 80 variants, the same",
    "thompson-live/4": "live_probabilities, 4 variants",
    "thompson-live/4-apart": "live_probabilities, 4 variants, spreads a hundredfold apart",
    "thompson-live/34": "live_probabilities, 34 variants",
    "thompson-live/80": "live_probabilities, 80 variants",
    "thompson/4": "thompson_probabilities, 4 variants",
    "thompson/4-apart": "thompson_probabilities, 4 variants, spreads a hundredfold apart",
    "thompson/34": "thompson_probabilities, 34 variants",
    "thompson/80": "thompson_probabilities, 80 variants",
    "from-text/10KB": "Snapshot.from_text, 10 KB",
    "from-text/100KB": "Snapshot.from_text, 100 KB",
    "from-text/1MB": "Snapshot.from_text, 1 MB",
}


class DecideError(Exception):
    """A case failed; the message holds its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case: microseconds per call (median, smallest and largest over rounds), and calls a round."""

    case: str
    title: str
    median_us: float
    least_us: float
    most_us: float
    calls: int


def bench_decide(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    cases = {case: title for case, title in CASES.items() if arguments.case in case}
    with (
        run_workers([Worker(name="micro", entry="micro.py")]) as urls,
        httpx.Client(base_url=urls["micro"], timeout=120) as client,
    ):
        _send_snapshots(client)
        calls = {case: _choose_calls(client, case) for case in cases}
        times: dict[str, list[float]] = {case: [] for case in cases}
        for i in range(arguments.rounds):
            out.print(f"[dim]round {i + 1}[/]")
            for case, count in calls.items():
                times[case].append((_time(client, case, count) - _time(client, case, 0)) / count * 1e6)
    rows = [_summarise(case, title, times[case], calls[case]) for case, title in cases.items()]
    if arguments.json:
        print(json.dumps({"benchmark": "decide", "rounds": arguments.rounds, "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=110).print(_table(rows))
    return 0


def _sites() -> dict[str, Site]:
    """The sites whose snapshots the cases read. A touchpoint of four variants takes about 2.4 KB of a snapshot."""
    return {
        "demo": demo_site(),
        "five": made_site(touchpoints=5),
        "five-individual": made_site(touchpoints=5),
        "five-targeted": made_site(touchpoints=5, targeted=True),
        "10KB": made_site(touchpoints=4),
        "100KB": made_site(touchpoints=43),
        "1MB": made_site(touchpoints=434),
    }


def _send_snapshots(client: httpx.Client) -> None:
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as folder:
        for name, site in _sites().items():
            text = write_snapshot(site, Path(folder) / name)
            if name.endswith("individual"):
                text = _accept_individual_scores(text)
            out.print(f"[dim]snapshot {name}: {len(text.encode()):,} bytes[/]")
            client.put(f"/snapshots/{name}", content=text.encode()).raise_for_status()


def _accept_individual_scores(text: str) -> str:
    """The snapshot with all touchpoints at the individual level, which a site graduates to only with data."""
    lines = []
    for line in text.splitlines():
        key, tab, record = line.partition("\t")
        if key.startswith("touchpoint:"):
            record = json.dumps({**json.loads(record), "finest": "individual", "models": ["m1-bench"]})
        lines.append(key + tab + record)
    return "\n".join(lines) + "\n"


def _choose_calls(client: httpx.Client, case: str) -> int:
    """How many calls take long enough to be timed; warms the case up on the way."""
    count = 1
    while count < MOST_CALLS:
        took_s = _time(client, case, count) - _time(client, case, 0)
        if took_s >= LEAST_S:
            break
        count = min(MOST_CALLS, count * 10 if took_s < LEAST_S / 20 else int(count * 1.2 * LEAST_S / took_s) + 1)
    return count


def _time(client: httpx.Client, case: str, count: int) -> float:
    """Seconds of the request that calls a case so often."""
    started = time.perf_counter()
    response = client.get(f"/{case}", params={"n": count})
    took_s = time.perf_counter() - started
    if response.status_code != 200:
        raise DecideError(f"{case}: HTTP {response.status_code}: {response.text[:300]}")
    return took_s


def _summarise(case: str, title: str, times: list[float], calls: int) -> Row:
    return Row(
        case=case,
        title=title,
        median_us=statistics.median(times),
        least_us=min(times),
        most_us=max(times),
        calls=calls,
    )


def _table(rows: list[Row]) -> Table:
    table = Table("case", title="microseconds per call", title_justify="left")
    for name in ("median", "least", "most", "calls"):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = (f"{value:,.1f}" for value in (row.median_us, row.least_us, row.most_us))
        table.add_row(row.title, *numbers, f"{row.calls:,}")
    return table
