"""`scripts/bench edge`: what a personalised page costs, against a no-op, a pass-through and the bare floor."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.arms import FLOOR, HELLO, PASS, Arm, make_arms, make_workers
from scripts.benchmarks.load import Measurement, Target, run_load
from scripts.benchmarks.runtime import MAX_BATCH_TIMEOUT_S, Worker, run_workers
from scripts.benchmarks.sites import ROOT

VISITS = 100
NOTES = (
    "Medians over rounds; each Worker on a port of its own, the pages from memory. One thread serves all Workers, the "
    "queue's consumer and its R2 writes, which run for every hundred messages (at least every "
    f"{MAX_BATCH_TIMEOUT_S} s), so what is done after a response delays the next. Ratios and differences are of p50, "
    "taken within a round. Usher reads KV only when its snapshot has aged; the floor reads it for every page."
)
out = Console(highlight=False, stderr=True)


class BenchError(Exception):
    """An arm does not do what it is measured for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One arm at one number of connections: medians over rounds, and how it compares with the reference arms."""

    arm: str
    title: str
    connections: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_byte_ms: float
    per_second: float
    bytes: int
    failed: int
    times_hello: float
    times_floor: float
    over_floor_ms: float
    over_pass_ms: float


def bench_edge(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    if arguments.candidate is not None and not (arguments.candidate / "entry.py").is_file():
        raise BenchError(f"--candidate {arguments.candidate}: holds no entry.py; start from a copy of build/edge")
    arms = make_arms(candidate=arguments.candidate is not None)
    workers = make_workers(arguments.candidate)
    with run_workers(workers) as urls:
        by_name = {worker.name: worker for worker in workers}
        targets = [_prepare(arm, by_name[arm.worker], urls[arm.worker]) for arm in arms]
        measured = run_load(
            targets,
            rounds=arguments.rounds,
            requests=arguments.requests,
            connections=arguments.connections,
            warmup=arguments.warmup,
            on_measurement=_tell,
        )
    rows = summarise(arms, measured)
    if arguments.json:
        print(json.dumps({"benchmark": "edge", **_circumstances(arguments), "rows": [asdict(row) for row in rows]}))
    else:
        for connections in arguments.connections:
            Console(width=150).print(_table(connections, [row for row in rows if row.connections == connections]))
        Console(highlight=False, width=150).print(f"[dim]{NOTES}[/]")
    return 1 if any(row.failed for row in rows) else 0


def summarise(arms: Sequence[Arm], measured: Iterable[Measurement]) -> list[Row]:
    """One row for every arm and number of connections."""
    cells: dict[tuple[str, int], list[Measurement]] = {}
    for each in measured:
        cells.setdefault((each.arm, each.connections), []).append(each)
    rows = []
    for arm in arms:
        for (name, connections), rounds in cells.items():
            if name == arm.name:
                references = {each: cells[each, connections] for each in (HELLO, FLOOR, PASS)}
                rows.append(_summarise_arm(arm, connections, rounds, references))
    return sorted(rows, key=lambda row: row.connections)


def _summarise_arm(
    arm: Arm, connections: int, rounds: list[Measurement], references: Mapping[str, list[Measurement]]
) -> Row:
    def median(read: Callable[[Measurement], float]) -> float:
        return statistics.median(map(read, rounds))

    def against(reference: str, compare: Callable[[float, float], float]) -> float:
        pairs = zip(rounds, references[reference], strict=True)
        return statistics.median(compare(mine.p50_ms, its.p50_ms) for mine, its in pairs)

    return Row(
        arm=arm.name,
        title=arm.title,
        connections=connections,
        p50_ms=median(lambda each: each.p50_ms),
        p95_ms=median(lambda each: each.p95_ms),
        p99_ms=median(lambda each: each.p99_ms),
        first_byte_ms=median(lambda each: each.first_byte_ms),
        per_second=median(lambda each: each.per_second),
        bytes=int(median(lambda each: each.bytes)),
        failed=sum(each.failed for each in rounds),
        times_hello=against(HELLO, lambda mine, its: mine / its),
        times_floor=against(FLOOR, lambda mine, its: mine / its),
        over_floor_ms=against(FLOOR, lambda mine, its: mine - its),
        over_pass_ms=against(PASS, lambda mine, its: mine - its),
    )


def _prepare(arm: Arm, worker: Worker, url: str) -> Target:
    """Ask once and look whether the arm does what it is measured for; a returning visitor gets a cookie."""
    headers = {"accept": "text/html", "accept-language": "en-GB,en;q=0.9", "user-agent": "bench"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        response = client.get(arm.path)
        if response.status_code != 200 or arm.expect not in response.text:
            raise BenchError(f"{arm.name}: HTTP {response.status_code} without {arm.expect!r}: {response.text[:200]}")
        if arm.visitor == "returning":
            headers["cookie"] = _earn_cookie(client, arm, worker)
    return Target(name=arm.name, url=url + arm.path, headers=headers)


def _earn_cookie(client: httpx.Client, arm: Arm, worker: Worker) -> str:
    """Visit as new visitors until one of them is shown a variant in every slot; returns that one's cookie."""
    assert worker.site is not None
    site = worker.site
    names = [name for name, _ in site.slots(arm.path)]
    for _ in range(VISITS):
        response = client.get(arm.path)
        client.cookies.clear()
        if all(any(html in response.text for html in site.replacements(name)) for name in names):
            return response.headers["set-cookie"].partition(";")[0]
    raise BenchError(f"{arm.name}: none of {VISITS} visitors was shown a variant in every slot")


def _tell(each: Measurement) -> None:
    out.print(
        f"[dim]round {each.round + 1}  {each.arm:<20} ×{each.connections}  p50 {each.p50_ms:.2f} ms  "
        f"{each.per_second:.0f}/s[/]"
    )


def _circumstances(arguments: argparse.Namespace) -> dict[str, object]:
    packages = {name: ROOT / "node_modules" / name / "package.json" for name in ("workerd", "miniflare", "pyodide")}
    return {
        "rounds": arguments.rounds,
        "requests": arguments.requests,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        **{name: _read_version(path) for name, path in packages.items()},
    }


def _read_version(path: Path) -> str:
    return str(json.loads(path.read_text())["version"])


def _table(connections: int, rows: Sequence[Row]) -> Table:
    many = "connections" if connections > 1 else "connection"
    table = Table(title=f"{connections} {many}", title_justify="left")
    table.add_column("arm")
    for name in ("p50 ms", "p95 ms", "p99 ms", "first byte", "per s", "× hello", "× floor", "+ floor", "+ pass"):
        table.add_column(name, justify="right")
    table.add_column("bytes", justify="right")
    table.add_column("failed", justify="right")
    for row in rows:
        table.add_row(
            row.title,
            *(f"{value:.2f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms, row.first_byte_ms)),
            f"{row.per_second:.0f}",
            *(f"{value:.2f}" for value in (row.times_hello, row.times_floor)),
            *(f"{value:+.2f}" for value in (row.over_floor_ms, row.over_pass_ms)),
            str(row.bytes),
            str(row.failed),
        )
    return table
