"""`scripts/bench start`: the first request of a fresh isolate, and how long parsing a snapshot blocks it."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.arms import SCRIPT, SNAPSHOTS
from scripts.benchmarks.runtime import Worker, run_workers
from scripts.benchmarks.sites import PageSize, Site, made_site, write_snapshot
from scripts.benchmarks.visitors import HEADERS

PARSES: Final = 20
NOTES: Final = (
    "Every start is a workerd of its own. workerd loads Python and the Worker's modules before it listens, so that is "
    "not in the first request; reading and parsing the snapshot is. Personalised: how often the first page was. "
    "Parsing is timed inside workerd, over the same text, less the request around it."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One kind of Worker: milliseconds of the first request after the start and of the second (medians), how often
    the first page was personalised, of how many, and the milliseconds that parsing its snapshot takes."""

    title: str
    first_ms: float
    second_ms: float
    personalised: int
    starts: int
    parse_ms: float | None


def bench_start(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    sites = {size: _site(*shape) for size, shape in SNAPSHOTS.items()}
    workers = {
        "JavaScript no-op": Worker(name="js-hello", entry="nothing.js"),
        "Python no-op": Worker(name="py-hello", entry="hello.py"),
        **{
            f"Usher, {size} snapshot": Worker(name="usher-start", entry=None, site=site) for size, site in sites.items()
        },
    }
    seen: dict[str, list[tuple[float, float, bool]]] = {title: [] for title in workers}
    for i in range(arguments.rounds):
        for title, worker in workers.items():
            seen[title].append(_start(worker))
            out.print(f"[dim]round {i + 1}  {title}: {seen[title][-1][0]:.1f} ms[/]")
    parses = {f"Usher, {size} snapshot": took_ms for size, took_ms in _time_parses(sites).items()}
    rows = [_summarise(title, starts, parses.get(title)) for title, starts in seen.items()]
    if arguments.json:
        print(json.dumps({"benchmark": "start", "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=110).print(_table(rows))
        Console(highlight=False, width=110).print(f"[dim]{NOTES}[/]")
    return 0


def _site(touchpoints: int, html_bytes: int) -> Site:
    return made_site(touchpoints=touchpoints, pages={"/": PageSize(5, 10_000)}, html_bytes=html_bytes)


def _start(worker: Worker) -> tuple[float, float, bool]:
    """Start a workerd with that Worker; milliseconds of its first and second request, and if the first was served."""
    with (
        run_workers([worker]) as urls,
        httpx.Client(base_url=urls[worker.name], headers=HEADERS, timeout=120) as client,
    ):
        first_ms, page = _ask(client)
        second_ms, _ = _ask(client)
    return first_ms, second_ms, SCRIPT in page


def _ask(client: httpx.Client) -> tuple[float, str]:
    started = time.perf_counter()
    text = client.get("/").raise_for_status().text
    return (time.perf_counter() - started) * 1000, text


def _time_parses(sites: dict[str, Site]) -> dict[str, float]:
    """Milliseconds of reading each site's snapshot from its text inside workerd, the median of several measurements."""
    with (
        run_workers([Worker(name="micro", entry="micro.py")]) as urls,
        httpx.Client(base_url=urls["micro"], timeout=120) as client,
        TemporaryDirectory(prefix="usher-bench-") as folder,
    ):
        took_ms = {}
        for i, (size, site) in enumerate(sites.items()):
            client.put(
                f"/snapshots/{i}", content=write_snapshot(site, Path(folder) / str(i)).encode()
            ).raise_for_status()
            times = [_time_calls(client, str(i), PARSES) - _time_calls(client, str(i), 0) for _ in range(7)]
            took_ms[size] = statistics.median(times) / PARSES * 1000
    return took_ms


def _time_calls(client: httpx.Client, snapshot: str, count: int) -> float:
    started = time.perf_counter()
    client.get(f"/from-text/{snapshot}", params={"n": count}).raise_for_status()
    return time.perf_counter() - started


def _summarise(title: str, starts: Sequence[tuple[float, float, bool]], parse_ms: float | None) -> Start:
    return Start(
        title=title,
        first_ms=statistics.median(first for first, _, _ in starts),
        second_ms=statistics.median(second for _, second, _ in starts),
        personalised=sum(personalised for _, _, personalised in starts),
        starts=len(starts),
        parse_ms=parse_ms,
    )


def _table(rows: Sequence[Start]) -> Table:
    table = Table("Worker", title="a fresh isolate", title_justify="left")
    for name in ("first request ms", "second", "personalised", "parsing ms"):
        table.add_column(name, justify="right")
    for row in rows:
        personalised = f"{row.personalised} of {row.starts}" if row.parse_ms is not None else ""
        parse = f"{row.parse_ms:.1f}" if row.parse_ms is not None else ""
        table.add_row(row.title, f"{row.first_ms:.1f}", f"{row.second_ms:.1f}", personalised, parse)
    return table
