"""`scripts/bench soak`: a million events through workerd with faults injected, and the books balanced afterwards.

Servers and browsers send batches; some are sent twice, what is refused is sent again, and one event in a thousand is
none. Meanwhile the Queue refuses messages, and its consumer crashes before, amid and after writing
(`workers/soak.py`). In the end every good event must be in the lake exactly once, every other one in quarantine, and
`usher events audit` must find what was received to be stored, quarantined or a duplicate.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx
import ibis
from rich.console import Console

from origin.audit import audit
from origin.kv import KvClient
from origin.lake import Lake
from origin.stored import read_events
from scripts.benchmarks.edge import BenchError
from scripts.benchmarks.runtime import WORKERS
from scripts.benchmarks.sites import ROOT, demo_site, publish_site
from scripts.benchmarks.visitors import HEADERS
from scripts.runtime.edge import LOCAL_SERVER_TOKENS, Edge, run_edge
from scripts.stage import stage

PATH: Final = "/_usher/events"
BATCH: Final = 100
CLIENTS: Final = 4
VISITORS: Final = 200
# One batch in ten is sent again although it was accepted: its sender never saw the answer.
AGAIN: Final = 0.1
POISONED_EVERY: Final = 1_000
PATIENCE_S: Final = 300

out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was sent and what became of it: good events and poisoned ones, requests, those that were refused and sent
    again, batches that were sent twice, faults that the edge reported, rows in the lake and how many events they are,
    quarantined records told apart by their text, seconds for sending, and whether the audit balances."""

    events: int
    poisoned: int
    requests: int
    refused: int
    sent_twice: int
    faults: int
    rows: int
    stored: int
    quarantined: int
    sending_s: float
    is_balanced: bool
    audit: str


def bench_soak(arguments: argparse.Namespace) -> int:
    """Run the soak; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="usher-soak-") as name:
        folder = Path(name)
        modules = folder / "modules"
        stage(modules)
        shutil.copyfile(modules / "entry.py", modules / "worker" / "entry.py")
        shutil.copyfile(WORKERS / "soak.py", modules / "entry.py")
        options = {
            "modules": str(modules),
            "queue": {"maxBatchSize": 10, "maxBatchTimeout": 1},
            "ratelimits": {},  # a batch a second and visitor is no attack
        }
        with run_edge(options=options, state=folder / "state") as edge:
            result = _soak(edge, folder / "lake", arguments.events)
    print(json.dumps({"benchmark": "soak", **asdict(result)}) if arguments.json else _describe(result))
    whole = (
        result.rows == result.stored == result.events and result.quarantined == result.poisoned and result.is_balanced
    )
    return 0 if whole else 1


def _soak(edge: Edge, lake: Path, count: int) -> Result:
    client = KvClient(edge.environment()["USHER_KV_URL"])
    publish_site(demo_site(), client, lake.with_name("published"))
    client.close()
    senders = [_server(), *_browsers(edge, VISITORS)]
    counts = {"requests": 0, "refused": 0, "twice": 0}
    lock = threading.Lock()
    numbers = range((count + BATCH - 1) // BATCH)
    started = time.perf_counter()

    def work(part: Sequence[int]) -> None:
        chance = random.Random(part[0])
        with httpx.Client(base_url=edge.url, timeout=60) as client:
            for number in part:
                # Every other batch comes from the server, whose events name their visitors.
                sender = senders[0] if number % 2 else senders[1 + number // 2 % VISITORS]
                visitor = f"served-{number % 5_000}" if number % 2 else None
                body = make_batch(number, min(BATCH, count - number * BATCH), visitor)
                twice = chance.random() < AGAIN
                for _ in range(2 if twice else 1):
                    requests = _deliver(client, body, sender)
                    with lock:
                        counts["requests"] += requests
                        counts["refused"] += requests - 1
                counts["twice"] += twice
                if number % 500 == 0:
                    out.print(f"[dim]batch {number:,}[/]")

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, [numbers[i::CLIENTS] for i in range(CLIENTS)]))
    sending_s = time.perf_counter() - started
    poisoned = len(range(0, count, POISONED_EVERY))
    good = count - poisoned
    balance, is_balanced = _settle(edge, lake, good)
    rows, distinct = _count_stored(Lake(lake))
    return Result(
        events=good,
        poisoned=poisoned,
        requests=counts["requests"],
        refused=counts["refused"],
        sent_twice=counts["twice"],
        faults=edge.counted("fault"),
        rows=rows,
        stored=distinct,
        quarantined=_count_quarantined(Lake(lake)),
        sending_s=round(sending_s, 1),
        is_balanced=is_balanced,
        audit=balance,
    )


def make_batch(number: int, count: int, visitor: str | None) -> str:
    """A batch of page views, clicks, goals and searches, of a visitor where the sender is a server; one in a thousand
    is of no known type."""
    now_ms = time.time_ns() // 1_000_000
    kinds: list[dict[str, object]] = [
        {"type": "page_view", "url": "/men/?utm_source=news", "language": "en-GB", "viewport_width": 1440},
        {"type": "click", "target": "size-guide", "href": "/men/sizes"},
        {"type": "goal", "name": "hero_click", "touchpoint": "hero"},
        {"type": "search", "query": "overcoat", "results": 12},
    ]
    events = []
    for i in range(count):
        whole = number * BATCH + i
        kind = {"type": "unheard_of"} if whole % POISONED_EVERY == 0 else kinds[i % len(kinds)]
        event = {**kind, "event_id": f"soak-{whole}", "created_ms": now_ms - 10}
        events.append(event if visitor is None else {**event, "visitor": visitor})
    return json.dumps({"sent_ms": now_ms, "events": events}, separators=(",", ":"))


def _server() -> Mapping[str, str]:
    token = LOCAL_SERVER_TOKENS.partition(":")[2]
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _browsers(edge: Edge, count: int) -> list[Mapping[str, str]]:
    """Headers of so many browsers, each with a cookie of its own."""
    found: list[Mapping[str, str]] = []
    with httpx.Client(base_url=edge.url, headers=HEADERS, timeout=60) as client:
        for _ in range(count):
            cookie = client.get("/").headers["set-cookie"].partition(";")[0]
            client.cookies.clear()
            found.append({"cookie": cookie, "content-type": "application/json", "user-agent": HEADERS["user-agent"]})
    return found


def _deliver(client: httpx.Client, body: str, headers: Mapping[str, str]) -> int:
    """Send a batch until it is accepted; returns how many requests that took."""
    for requests in range(1, 100):
        answer = client.post(PATH, content=body, headers=headers)
        if answer.status_code == 202:
            return requests
        if answer.status_code not in (429, 503):
            raise BenchError(f"HTTP {answer.status_code}: {answer.text[:300]}")
    raise BenchError("a batch was refused a hundred times")


def _settle(edge: Edge, lake: Path, good: int) -> tuple[str, bool]:
    """Pull and compact until all has come and nothing is in flight any more, and audit.

    The audit alone cannot say that all has come: nothing tells of an isolate's last messages before they are there.
    """
    environment = {**os.environ, **edge.environment(), "USHER_LAKE": str(lake)}

    def usher(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("usher")), *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    deadline = time.monotonic() + PATIENCE_S
    while True:
        for words in (["pull"], ["compact"]):
            done = usher(*words)
            if done.returncode != 0:
                raise BenchError(f"usher {words[0]}: {done.stderr}")
        hours = audit(Lake(lake), time.time_ns() // 1_000_000).hours
        is_over = _count_stored(Lake(lake))[1] >= good and not any(hour.in_flight for hour in hours)
        if is_over or time.monotonic() > deadline:
            printed = usher("events", "audit")
            return printed.stdout + printed.stderr, printed.returncode == 0
        time.sleep(3)


def _count_stored(lake: Lake) -> tuple[int, int]:
    """How many rows of events that were sent here the lake holds, and how many different events these are."""
    connection = ibis.duckdb.connect()
    try:
        events = read_events(connection, lake)
        if events is None:
            return 0, 0
        mine = events.filter(events.event_id.startswith("soak-"))
        counted = mine.aggregate(rows=mine.count(), distinct=mine.event_id.nunique())
        [row] = connection.to_pyarrow(counted).to_pylist()
    finally:
        connection.disconnect()
    return row["rows"], row["distinct"]


def _count_quarantined(lake: Lake) -> int:
    """How many different events are in quarantine, whatever copies there are of them."""
    found = {
        json.loads(json.loads(line)["event"])["event_id"]
        for file in lake.quarantine.rglob("*.ndjson.gz")
        for line in gzip.decompress(file.read_bytes()).splitlines()
    }
    return len(found)


def _describe(result: Result) -> str:
    per_s = (result.events + result.poisoned) / result.sending_s
    return "\n".join(
        (
            f"sent: {result.events:,} good events and {result.poisoned:,} others in {result.sending_s:.0f} s "
            f"({per_s:,.0f} per s), {result.requests:,} requests",
            f"faults: {result.refused:,} requests refused and sent again, {result.sent_twice:,} batches sent twice, "
            f"{result.faults:,} crashes of the consumer",
            f"in the lake: {result.rows:,} rows of {result.stored:,} events; in quarantine: {result.quarantined:,}",
            f"balanced: {result.is_balanced}",
            result.audit,
        )
    )
