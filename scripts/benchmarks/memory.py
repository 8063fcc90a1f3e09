"""`scripts/bench memory`: heap and wasm memory before and after many requests, half of them aborted by the client."""

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

from scripts.benchmarks.load import LoadError
from scripts.benchmarks.runtime import Worker, World, run_world
from scripts.benchmarks.sites import PageSize, made_site
from scripts.benchmarks.visitors import HEADERS

SCRIPT: Final = Path(__file__).with_name("memory.mjs")
WORKER: Final = "usher-memory"
CONNECTIONS: Final = 16
ABORT_EVERY: Final = 2
PAUSE_MS: Final = 5
COLLECTIONS: Final = 3
# A page whose client left without the Worker noticing is closed by Usher's timer, after 20 s.
MOST_OPEN_S: Final = 40
NOTES: Final = (
    "After forced collections. The isolate's total is V8's used heap and the wasm memory, which only grows; Python's "
    "objects are what its collector knows of. Every second client leaves after the first bytes of a page that comes in "
    "pieces."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory of the isolate: V8's used heap and the wasm memory in bytes, the objects that Python's collector
    knows, and pages that are still open."""

    heap: int
    wasm: int
    objects: int
    open_pages: int


def bench_memory(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    made = made_site(touchpoints=5, pages={"/": PageSize(5, 100_000)})
    site = replace(made, name=f"{made.name}-memory", origin="slow.js", pause_ms=PAUSE_MS)
    worker = Worker(name=WORKER, entry="memory.py", site=site, extends=True)
    with run_world([worker], inspect=True) as world:
        _load(world, arguments.warmup)
        before = _measure(world)
        counts = _load(world, arguments.requests)
        after = _measure(world)
    if arguments.json:
        print(json.dumps({"benchmark": "memory", **counts, "before": asdict(before), "after": asdict(after)}))
    else:
        Console(width=110).print(
            _table(before, after, f"{arguments.requests:,} requests, {counts['aborted']:,} aborted")
        )
        Console(highlight=False, width=110).print(f"[dim]{NOTES}[/]")
    return 1 if counts["failed"] else 0


def _load(world: World, requests: int) -> Mapping[str, int]:
    out.print(f"[dim]{requests:,} requests, every second of them aborted[/]")
    plan = {"url": world.urls[WORKER], "headers": HEADERS, "requests": requests, "connections": CONNECTIONS}
    return _run({"do": "load", **plan, "abort_every": ABORT_EVERY})


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
    return Memory(heap=heap["used"], wasm=python["wasm"], objects=python["objects"], open_pages=python["open_pages"])


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
