"""`scripts/bench intake`: what a batch of events costs, against a Python Worker that only enqueues it."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.edge import BenchError, tell
from scripts.benchmarks.load import Measurement, Target, run_load
from scripts.benchmarks.runtime import Worker, run_world
from scripts.benchmarks.sites import demo_site
from scripts.benchmarks.visitors import HEADERS

PATH: Final = "/_usher/events"
NOTES: Final = (
    "Medians over rounds; differences are of p50, taken within a round. The floor reads the body, parses the JSON and "
    "sends it to the Queue. Usher also verifies the cookie, checks every field of every event, brings it into the form "
    "of the lake and writes a receipt. With --limits it also asks both rate limiters: at Cloudflare these are counters "
    "in the memory of the machine, but here Durable Objects with a database on disk, in the one thread of all."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm: medians over rounds, and by how much its p50 is above the floor's of the same round (None: it is it)."""

    arm: str
    connections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float
    over_floor_ms: float | None
    requests: int
    failed: int


def bench_intake(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    site = demo_site()
    workers = [
        Worker(name="floor", entry="intake_floor.py", site=site),
        Worker(name="usher-intake", entry=None, site=site, limits=arguments.limits),
    ]
    body = make_body(arguments.events, time.time_ns() // 1_000_000)
    with run_world(workers) as world:
        targets = [_prepare(worker.name, world.urls[worker.name], body, arguments.events) for worker in workers]
        measured = run_load(
            targets,
            rounds=arguments.rounds,
            requests=arguments.requests,
            most_s=10,
            warmup=100,
            connections=arguments.connections,
            on_measurement=tell,
        )
    rows = summarise(measured)
    if arguments.json:
        circumstances = {"events": arguments.events, "bytes": len(body), "rounds": arguments.rounds}
        print(json.dumps({"benchmark": "intake", **circumstances, "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=120).print(_table(rows, f"a batch of {arguments.events} events, {len(body):,} bytes"))
        Console(highlight=False, width=120).print(f"[dim]{NOTES}[/]")
    return 1 if any(row.failed for row in rows) else 0


def make_body(count: int, now_ms: int) -> str:
    """A batch as the client script sends it: what happens on a page, over and over."""
    page: list[dict[str, object]] = [
        {
            "type": "page_view", "url": "/men/?utm_source=news&utm_medium=email", "category": "shop",
            "referrer": "https://www.example.com/", "viewport_width": 1440, "viewport_height": 900, "language": "en-GB",
        },
        {"type": "click", "target": "menu", "href": "/men/coats"},
        {"type": "search", "query": "wool coat", "results": 12},
        {"type": "engagement", "depth": 40, "engaged_ms": 12_500, "sections": ["intro"]},
        {"type": "click", "target": "size-guide", "href": "/men/sizes"},
        {"type": "custom", "name": "size_guide_opened", "properties": {"item": "c-17", "sizes": ["48", "50"]}},
        {"type": "add_to_cart", "item": "c-17", "quantity": 1, "value": 199.5, "currency": "EUR"},
        {"type": "goal", "name": "hero_click", "touchpoint": "hero"},
        {"type": "purchase", "value": 199.5, "currency": "EUR", "order": "o-9", "items": ["c-17"]},
        {"type": "engagement", "depth": 75, "engaged_ms": 41_500, "sections": ["intro", "sizes"]},
    ]  # fmt: skip
    events = [
        {
            **page[i % len(page)],
            "event_id": f"{now_ms:x}-{i:012x}",
            "created_ms": now_ms - 1_000 * (count - i),
            "page_view": f"{now_ms:x}-0123456789abcdef",
        }
        for i in range(count)
    ]
    return json.dumps({"sent_ms": now_ms, "events": events}, separators=(",", ":"))


def _prepare(name: str, url: str, body: str, events: int) -> Target:
    """Earn the cookie that a batch comes with, and look whether the arm takes all of its events.

    Raises BenchError where it does not.
    """
    with httpx.Client(base_url=url, timeout=60) as client:
        headers = {"user-agent": HEADERS["user-agent"], "content-type": "application/json", "origin": url}
        if name != "floor":
            cookie = client.get("/", headers=HEADERS).headers["set-cookie"].partition(";")[0]
            headers["cookie"] = cookie
        answer = client.post(PATH, content=body, headers=headers)
    if answer.status_code != 202 or answer.json()["accepted"] != events:
        raise BenchError(f"{name}: HTTP {answer.status_code}, {answer.text[:200]}; {events} events were to be accepted")
    return Target(name=name, url=url + PATH, headers=headers, body=body, status=202)


def summarise(measured: Sequence[Measurement]) -> list[Row]:
    """One row for every number of connections and arm."""
    cells: dict[tuple[int, str], list[Measurement]] = {}
    for each in measured:
        cells.setdefault((each.connections, each.arm), []).append(each)
    return [_summarise(rounds, cells[connections, "floor"]) for (connections, _), rounds in sorted(cells.items())]


def _summarise(rounds: list[Measurement], floor: list[Measurement]) -> Row:
    over = statistics.median(mine.p50_ms - its.p50_ms for mine, its in zip(rounds, floor, strict=True))
    return Row(
        arm=rounds[0].arm,
        connections=rounds[0].connections,
        p50_ms=statistics.median(each.p50_ms for each in rounds),
        p95_ms=statistics.median(each.p95_ms for each in rounds),
        p99_ms=statistics.median(each.p99_ms for each in rounds),
        per_second=statistics.median(each.per_second for each in rounds),
        over_floor_ms=None if rounds[0].arm == "floor" else over,
        requests=sum(each.requests for each in rounds),
        failed=sum(each.failed for each in rounds),
    )


def _table(rows: Sequence[Row], title: str) -> Table:
    table = Table("arm", title=title, title_justify="left")
    for name in ("connections", "p50 ms", "p95 ms", "p99 ms", "per s", "+ floor", "requests", "failed"):
        table.add_column(name, justify="right")
    for row in rows:
        over = "" if row.over_floor_ms is None else f"{row.over_floor_ms:+.2f}"
        times = [f"{value:.2f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms)]
        counts = [str(row.requests), str(row.failed)]
        table.add_row(row.arm, str(row.connections), *times, f"{row.per_second:.0f}", over, *counts)
    return table
