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
from typing import Final, NamedTuple

import httpx
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.runtime import MICRO, run_workers
from scripts.benchmarks.sites import Site, accept_individual_scores, demo_site, made_site, write_snapshot

# Long enough that the request around the calls does not matter.
LEAST_S: Final = 0.1
MOST_CALLS: Final = 200_000
VARIANTS: Final = 4
INTENT: Final = {"intent": {"bias": -2.0, "weights": {"session.engaged_s": 0.01, "session.pages_read": 0.1}}}
out = Console(highlight=False, stderr=True)


class Case(NamedTuple):
    """What is measured, and how many microseconds it should take at most (None: nobody has said)."""

    title: str
    target_us: float | None = None


# By the path of the case in workers/micro.py. A further case is a further row.
CASES: Final[Mapping[str, Case]] = {
    "nothing": Case("an empty call (the loop's own cost)"),
    "hashes/20": Case("the 20 hashes of five draws among 4 variants alone"),
    "decide/five": Case("decide, 5 touchpoints of 4 variants, published cells, a first page", 60),
    "decide-visited/five": Case("decide, the same, a later page of a third visit", 60),
    "decide/five-targeted": Case("decide, a first page, one variant excluded by targeting"),
    "decide-individual/five-individual": Case(
        "the profile and decide, 5 touchpoints, all individual, third visit", 500
    ),
    "decide-visited/five-shifted": Case("decide, 5 touchpoints, all shifted by 3 session features, third visit", 500),
    "decide-visited/slate": Case("decide, 80 variants on 10 slots, 2 of them for other interests, published", 1_000),
    "decide-individual/slate-individual": Case("the profile and decide, the same, individual"),
    "plan/demo": Case("plan_page of the demo page"),
    "plan/five": Case("plan_page of a page of 5 touchpoints"),
    "log/demo": Case("exposures and queue message of the demo page"),
    "log/five": Case("exposures and queue message of a page of 5 touchpoints"),
    "context/demo": Case("read_context"),
    "fold/view": Case("fold, a page view", 50),
    "fold/left": Case("fold, what was left of a page", 50),
    "fold/visit": Case("fold, a page view that begins a visit, twelve categories", 50),
    "attributes": Case("Session.to_attributes, four categories"),
    "read-cookie/typical": Case("read_visitor, four categories and two decisions"),
    "read-cookie/full": Case("read_visitor, twelve categories and two decisions"),
    "write-cookie/typical": Case("write_visitor, four categories and two decisions"),
    "write-cookie/full": Case("write_visitor, twelve categories and two decisions"),
    "cookie": Case("verify and sign the typical cookie", 40),
    "sign": Case("sign, the same"),
    "verify": Case("verify, the same"),
    "uniform": Case("uniform (SHA-256)"),
    "race/4": Case("win_race with its uniforms, 4 variants"),
    "race/34": Case("win_race with its uniforms, 34 variants"),
    "rank/80": Case("rank with its uniforms alone, 80 variants on 10 slots, 2 of them for other interests"),
    "constrain/4": Case("constrain, 4 variants, floors, caps and interest share binding"),
    "constrain/80": Case("constrain, 80 variants, the same"),
    "thompson-live/4": Case("live_probabilities, 4 variants"),
    "thompson-live/4-apart": Case("live_probabilities, 4 variants, spreads a hundredfold apart"),
    "thompson-live/34": Case("live_probabilities, 34 variants"),
    "thompson-live/80": Case("live_probabilities, 80 variants"),
    "thompson/4": Case("thompson_probabilities, 4 variants"),
    "thompson/4-apart": Case("thompson_probabilities, 4 variants, spreads a hundredfold apart"),
    "thompson/34": Case("thompson_probabilities, 34 variants"),
    "thompson/80": Case("thompson_probabilities, 80 variants"),
    "parse-snapshot/10KB": Case("Snapshot.from_text, 10 KB"),
    "parse-snapshot/100KB": Case("Snapshot.from_text, 100 KB"),
    "parse-snapshot/1MB": Case("Snapshot.from_text, 1 MB"),
}


class DecideError(Exception):
    """A case failed; the message holds its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case: microseconds per call (median, smallest and largest over rounds), how many they should be at most, and
    calls a round."""

    case: str
    title: str
    target_us: float | None
    median_us: float
    least_us: float
    most_us: float
    calls: int


def bench_decide(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    cases = {case: what for case, what in CASES.items() if arguments.case in case}
    if not cases:
        raise DecideError(f"--case {arguments.case}: no case has this in its name; there are {', '.join(CASES)}")
    with run_workers([MICRO]) as urls, httpx.Client(base_url=urls[MICRO.name], timeout=120) as client:
        _send_snapshots(client)
        calls = {case: choose_calls(client, case) for case in cases}
        times: dict[str, list[float]] = {case: [] for case in cases}
        for i in range(arguments.rounds):
            out.print(f"[dim]round {i + 1}[/]")
            for case, count in calls.items():
                times[case].append((time_calls(client, case, count) - time_calls(client, case, 0)) / count * 1e6)
    rows = [_summarise(case, what, times[case], calls[case]) for case, what in cases.items()]
    if arguments.json:
        print(json.dumps({"benchmark": "decide", "rounds": arguments.rounds, "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=140).print(_table(rows))
    return 0


def _sites() -> dict[str, Site]:
    """The sites whose snapshots the cases read. A touchpoint of four variants takes about 2.4 KB of a snapshot."""
    return {
        "demo": demo_site(),
        "five": made_site(touchpoints=5),
        "five-individual": made_site(touchpoints=5),
        "five-targeted": made_site(touchpoints=5, kind="targeted", variant=_target),
        "five-shifted": made_site(touchpoints=5, kind="shifted", variant=_shift, whole=INTENT),
        "slate": _slate_site(),
        "slate-individual": _slate_site(),
        "10KB": made_site(touchpoints=4),
        "100KB": made_site(touchpoints=43),
        "1MB": made_site(touchpoints=434),
    }


def _target(number: int) -> Mapping[str, object]:
    """The last variant is for phones only, so that targeting removes it."""
    return {"condition": {"device": "mobile"}} if number == VARIANTS - 1 else {}


def _shift(number: int) -> Mapping[str, object]:
    """Three features move a variant; the score of a visit is hardly ever the same, so nothing that was kept fits."""
    names = ("session.intent", "session.views", "session.pages_read")
    return {"shifts": {name: {"mean": 0.1 * (i - number), "sd": 0.1} for i, name in enumerate(names)}}


def _slate_site() -> Site:
    """A touchpoint of 80 variants of four interests, ten of them shown, two positions kept for other interests."""
    return made_site(
        touchpoints=1,
        variants=80,
        kind="slate",
        variant=lambda number: {"interests": [f"category-{number % 4}"]},
        touchpoint={"slots": 10, "interest_slots": [3, 7]},
        whole={"site": {"id": "made", "interest": "session.top_category"}},
    )


def _send_snapshots(client: httpx.Client) -> None:
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as folder:
        for name, site in _sites().items():
            text = write_snapshot(site, Path(folder) / name)
            if name.endswith("individual"):
                text = accept_individual_scores(text)
            out.print(f"[dim]snapshot {name}: {len(text.encode()):,} bytes[/]")
            client.put(f"/snapshots/{name}", content=text.encode()).raise_for_status()


def choose_calls(client: httpx.Client, case: str) -> int:
    """How many calls take long enough to be timed; warms the case up on the way."""
    count = 1
    while count < MOST_CALLS:
        took_s = time_calls(client, case, count) - time_calls(client, case, 0)
        if took_s >= LEAST_S:
            break
        count = min(MOST_CALLS, count * 10 if took_s < LEAST_S / 20 else int(count * 1.2 * LEAST_S / took_s) + 1)
    return count


def time_calls(client: httpx.Client, case: str, count: int) -> float:
    """Seconds of the request that calls a case so often."""
    started = time.perf_counter()
    response = client.get(f"/{case}", params={"n": count})
    took_s = time.perf_counter() - started
    if response.status_code != 200:
        raise DecideError(f"{case}: HTTP {response.status_code}: {response.text[:300]}")
    return took_s


def _summarise(case: str, what: Case, times: list[float], calls: int) -> Row:
    return Row(
        case=case,
        title=what.title,
        target_us=what.target_us,
        median_us=statistics.median(times),
        least_us=min(times),
        most_us=max(times),
        calls=calls,
    )


def _table(rows: list[Row]) -> Table:
    table = Table("case", title="microseconds per call", title_justify="left")
    for name in ("median", "least", "most", "target", "calls"):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = (f"{value:,.1f}" for value in (row.median_us, row.least_us, row.most_us))
        target = "" if row.target_us is None else f"≤ {row.target_us:,.0f}"
        table.add_row(row.title, *numbers, target, f"{row.calls:,}")
    return table
