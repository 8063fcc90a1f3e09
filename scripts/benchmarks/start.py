"""`scripts/bench start`: the first request of a fresh isolate, and how long parsing what is published blocks it."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from origin.condition_checks import MOST_VARIANT_TESTS
from scripts.benchmarks.arms import SCRIPT, SNAPSHOTS
from scripts.benchmarks.decide import choose_calls, time_calls
from scripts.benchmarks.runtime import MICRO, Worker, run_workers
from scripts.benchmarks.sites import PageSize, Site, accept_individual_scores, made_site, write_snapshot
from scripts.benchmarks.visitors import HEADERS

# How often each parse is measured.
PARSES: Final = 7
# The longest that one parse should block the isolate, in milliseconds.
MOST_MS: Final = 10
NOTES: Final = (
    "Every start is a workerd of its own. workerd loads Python and the Worker's modules before it listens, so that is "
    "not in the first request; reading and parsing the snapshot is. Personalised: how often the first page was. "
    "Parsing is timed inside workerd, over the same text, less the request around it: a snapshot's header and outline "
    "at once, a record when it is first asked for (with the HTML of one of its variants)."
)
out = Console(highlight=False, stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One kind of Worker: milliseconds of the first request after the start and of the second (medians), how often
    the first page was personalised, of how many."""

    title: str
    first_ms: float
    second_ms: float
    personalised: int | None
    starts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parse:
    """What is parsed at once, and the milliseconds that it blocks the isolate (median, least and most)."""

    title: str
    median_ms: float
    least_ms: float
    most_ms: float


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
    rows = [_summarise(title, starts, title.startswith("Usher")) for title, starts in seen.items()]
    parses = _time_parses()
    if arguments.json:
        found = {"rows": [asdict(row) for row in rows], "parses": [asdict(each) for each in parses]}
        print(json.dumps({"benchmark": "start", **found}))
    else:
        for table in (_table(rows), _parse_table(parses)):
            Console(width=110).print(table)
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


def _time_parses() -> list[Parse]:
    """How long it takes inside workerd to parse whole snapshots, the largest records of one, and a profile."""
    snapshots = {f"{size} snapshot": _site(*shape) for size, shape in SNAPSHOTS.items()}
    heavy = made_site(touchpoints=1, variants=80, html_bytes=12_000)
    bare = made_site(touchpoints=1, variants=400, html_bytes=2_000)
    wide = made_site(touchpoints=1, variants=400, html_bytes=2_000, kind="targeted", variant=_target)
    apart = made_site(touchpoints=1, variants=400, html_bytes=2_000, kind="apart", variant=_target_apart)
    many = made_site(touchpoints=1, variants=3_000, html_bytes=300)
    cases = [
        *((f"the outline of a {size}", "parse-snapshot", site) for size, site in snapshots.items()),
        ("a touchpoint: 80 variants of 12 KB", "parse-touchpoint", heavy),
        ("a touchpoint: 400 variants of 2 KB", "parse-touchpoint", bare),
        ("the same, all with one of seven conditions", "parse-touchpoint", wide),
        ("the same, with as many different conditions as are allowed", "parse-touchpoint", apart),
        ("a touchpoint: 3,000 variants of 300 bytes", "parse-touchpoint", many),
        ("posteriors of 400 variants", "parse-cell", wide),
        ("a profile of 50 touchpoints", "parse-profile", made_site(touchpoints=50)),
    ]
    with (
        run_workers([MICRO]) as urls,
        httpx.Client(base_url=urls[MICRO.name], timeout=120) as client,
        TemporaryDirectory(prefix="usher-bench-") as folder,
    ):
        return [_time_parse(client, *case, Path(folder)) for case in cases]


def _target(number: int) -> Mapping[str, object]:
    condition = {"device": "mobile", "session.views": {"$gte": number % 7}, "language": {"$in": ["en", "de", "fr"]}}
    return {"condition": condition}


def _target_apart(number: int) -> Mapping[str, object]:
    return {"condition": {"device": "mobile", "session.views": {"$gte": number % (MOST_VARIANT_TESTS // 2)}}}


def _time_parse(client: httpx.Client, title: str, case: str, site: Site, folder: Path) -> Parse:
    """Send a site's snapshot and have its part parsed over and over."""
    text = write_snapshot(site, folder / site.name)
    if case == "parse-profile":
        text = accept_individual_scores(text)
    client.put(f"/snapshots/{site.name}", content=text.encode()).raise_for_status()
    path = f"{case}/{site.name}"
    calls = choose_calls(client, path)
    times = [(time_calls(client, path, calls) - time_calls(client, path, 0)) / calls * 1000 for _ in range(PARSES)]
    return Parse(title=title, median_ms=statistics.median(times), least_ms=min(times), most_ms=max(times))


def _summarise(title: str, starts: Sequence[tuple[float, float, bool]], is_usher: bool) -> Start:
    return Start(
        title=title,
        first_ms=statistics.median(first for first, _, _ in starts),
        second_ms=statistics.median(second for _, second, _ in starts),
        personalised=sum(personalised for _, _, personalised in starts) if is_usher else None,
        starts=len(starts),
    )


def _table(rows: Sequence[Start]) -> Table:
    table = Table("Worker", title="a fresh isolate", title_justify="left")
    for name in ("first request ms", "second", "personalised"):
        table.add_column(name, justify="right")
    for row in rows:
        personalised = f"{row.personalised} of {row.starts}" if row.personalised is not None else ""
        table.add_row(row.title, f"{row.first_ms:.1f}", f"{row.second_ms:.1f}", personalised)
    return table


def _parse_table(parses: Sequence[Parse]) -> Table:
    table = Table("what", title=f"milliseconds of one parse; target: at most {MOST_MS}", title_justify="left")
    for name in ("median", "least", "most"):
        table.add_column(name, justify="right")
    for each in parses:
        table.add_row(each.title, *(f"{value:.2f}" for value in (each.median_ms, each.least_ms, each.most_ms)))
    return table
