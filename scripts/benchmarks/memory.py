"""`scripts/bench memory`: heap and wasm memory before and after many requests, half of them aborted by the client, and
half of them by visitors whose profile is read from KV."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.arms import SCRIPT as USHER_SCRIPT
from scripts.benchmarks.edge import BenchError
from scripts.benchmarks.failures import FailureLog, describe_failures
from scripts.benchmarks.load import LoadError
from scripts.benchmarks.runtime import Worker, World, run_world
from scripts.benchmarks.sites import PageSize, Site, made_site, with_individuals
from scripts.benchmarks.visitors import HEADERS, VISITS, earn_cookie, end_session, publish_profile

SCRIPT: Final = Path(__file__).with_name("memory.mjs")
WORKER: Final = "usher-memory"
CONNECTIONS: Final = 16
VISITORS: Final = 20
PAUSE_MS: Final = 5
COLLECTIONS: Final = 3
# A page whose client left without the Worker noticing is closed by Usher's timer, after 20 s.
MOST_OPEN_S: Final = 40
NOTES: Final = (
    "After forced collections. The isolate's total is V8's used heap and the wasm memory, which only grows; Python's "
    "objects are what its collector knows of. Pages come in pieces; two of five touchpoints are individual. Half of "
    "the requests bring a cookie, as many of a session that lasts as of one that has ended, so that a profile is read; "
    "KV is late with it by 0 to 80 ms, and the deadline is the page's arrival and 10 ms. Of either half every second "
    "client leaves: in turn after the first bytes, and before, within 100 ms, while page and profile are awaited."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory of the isolate: V8's used heap and the wasm memory in bytes, the objects that Python's collector
    knows, pages that are still open; and how many profiles were asked for so far."""

    heap: int
    wasm: int
    objects: int
    open_pages: int
    reads: int


def bench_memory(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    made = with_individuals(made_site(touchpoints=5, pages={"/": PageSize(5, 100_000)}), profiles=1_000, touchpoints=5)
    site = replace(made, name=f"{made.name}-memory", origin="slow.js", pause_ms=PAUSE_MS)
    worker = Worker(name=WORKER, entry="memory.py", modules=("late.mjs",), site=site, extends=True)
    with run_world([worker], inspect=True) as world:
        cookies = _make_visitors(world, site)
        _load(world, cookies, arguments.warmup)
        failures = FailureLog(world.log)
        failures.skip()
        before = _measure(world)
        counts = _load(world, cookies, arguments.requests)
        after = _measure(world)
        counted = failures.take()
    if arguments.json:
        found = {**counts, "counted": counted, "before": asdict(before), "after": asdict(after)}
        print(json.dumps({"benchmark": "memory", **found}))
    else:
        reads = f"{after.reads - before.reads:,} profiles asked for, {counted['profile_deadline']:,} of them too late"
        aborted = f"{counts['aborted']:,} aborted, {counts['early']:,} of them before any answer"
        Console(width=110).print(_table(before, after, f"{arguments.requests:,} requests, {aborted}; {reads}"))
        Console(highlight=False, width=110).print(f"[dim]{NOTES}[/]")
    return _tell_problems(counts, counted, after.reads - before.reads)


def _make_visitors(world: World, site: Site) -> list[str]:
    """The cookies of visitors who have a profile: of each, one in a session that lasts, one of a session before."""
    cookies = []
    with httpx.Client(base_url=world.urls[WORKER], headers=HEADERS, timeout=60) as client, world.kv(site) as kv:
        for _ in range(VISITORS):
            earned = earn_cookie(client, site, "/")
            if earned is None:
                raise BenchError(f"{WORKER}: none of {VISITS} visitors was shown a variant in every slot")
            publish_profile(kv, site, earned.cookie)
            cookies += [earned.cookie, end_session(earned.cookie)]
    return cookies


def _load(world: World, cookies: list[str], requests: int) -> Mapping[str, int]:
    out.print(f"[dim]{requests:,} requests, every second of them aborted[/]")
    plan = {"url": world.urls[WORKER], "headers": HEADERS, "requests": requests, "connections": CONNECTIONS}
    return _run({"do": "load", **plan, "cookies": cookies, "holds": USHER_SCRIPT})


def _tell_problems(counts: Mapping[str, int], counted: Mapping[str, int], reads: int) -> int:
    """Say what went wrong; returns the exit status. Profiles that come after their deadline are meant to."""
    counted = {reason: count for reason, count in counted.items() if reason != "profile_deadline"}
    problems = []
    if counts["failed"]:
        problems.append(f"{counts['failed']:,} requests failed")
    if counts["unlike"]:
        problems.append(f"{counts['unlike']:,} pages were not personalised")
    if not reads:
        problems.append("no profile was asked for: the cookies that visitors were given are not believed any more")
    if counted:
        problems.append(f"Usher counted failures meanwhile: {describe_failures(counted)}")
    for problem in problems:
        out.print(f"[red]error: {problem}[/]")
    return 1 if problems else 0


def _measure(world: World) -> Memory:
    """Wait until no page is open, collect, and measure.

    Collecting lets go of Python objects that JavaScript held, in a later task, and only then of what these held: hence
    several times.
    """
    deadline = time.monotonic() + MOST_OPEN_S
    with httpx.Client(base_url=world.urls[WORKER], timeout=60) as client:
        while client.get("/_bench/memory").json()["open_pages"] and time.monotonic() < deadline:
            time.sleep(0.5)
        for _ in range(COLLECTIONS):
            heap = _run({"do": "heap", "inspector": f"http://127.0.0.1:{world.inspector}", "worker": WORKER})
            client.get("/_bench/memory")
        python = client.get("/_bench/memory").json()
    return Memory(heap=heap["used"], **python)


def _run(settings: Mapping[str, object]) -> Mapping[str, int]:
    node = Path(sys.executable).parent / "node"
    done = subprocess.run([str(node), str(SCRIPT), json.dumps(settings)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoadError(f"scripts/benchmarks/memory.mjs failed:\n{done.stderr}")
    result: Mapping[str, int] = json.loads(done.stdout)
    return result


def _table(before: Memory, after: Memory, title: str) -> Table:
    table = Table("memory", title=title, title_justify="left")
    for name in ("before", "after", "difference"):
        table.add_column(name, justify="right")
    rows = {
        "JavaScript heap, MB": (before.heap / 1e6, after.heap / 1e6, ",.2f"),
        "wasm memory, MB": (before.wasm / 1e6, after.wasm / 1e6, ",.2f"),
        "the isolate, MB": ((before.heap + before.wasm) / 1e6, (after.heap + after.wasm) / 1e6, ",.2f"),
        "Python's objects": (before.objects, after.objects, ",d"),
        "open pages": (before.open_pages, after.open_pages, ",d"),
    }
    for name, (first, second, form) in rows.items():
        table.add_row(name, format(first, form), format(second, form), format(second - first, f"+{form}"))
    return table
