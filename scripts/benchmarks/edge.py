"""`scripts/bench edge`: what a personalised page costs, against a no-op, a pass-through, the floor, and GrowthBook."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from scripts.benchmarks.arms import GROUPS, Arm, make_group
from scripts.benchmarks.failures import FailureLog
from scripts.benchmarks.load import Measurement, Target, run_load
from scripts.benchmarks.rows import (
    NOTES,
    Row,
    describe_problems,
    describe_tail,
    describe_targets,
    make_table,
    summarise,
)
from scripts.benchmarks.runtime import World, run_world
from scripts.benchmarks.sites import ROOT, Site
from scripts.benchmarks.visitors import (
    HEADERS,
    VISITS,
    Earned,
    earn_cookie,
    end_session,
    publish_profile,
    reads_profiles,
)

PACKAGES: Final = ("workerd", "miniflare", "pyodide", "@growthbook/growthbook", "@growthbook/edge-cloudflare")
WIDTH: Final = 190
out = Console(highlight=False, stderr=True)


class BenchError(Exception):
    """An arm does not do what it is measured for."""


def bench_edge(arguments: argparse.Namespace) -> int:
    """Run the benchmark; returns the exit status."""
    if arguments.candidate is not None and not (arguments.candidate / "entry.py").is_file():
        raise BenchError(f"--candidate {arguments.candidate}: holds no entry.py; start from a copy of build/edge")
    groups = list(GROUPS) if "all" in arguments.group else list(dict.fromkeys(arguments.group))
    rows = []
    for group in groups:
        out.print(f"{group}: {' '.join((GROUPS[group].__doc__ or '').split())}")
        found = run_arms(
            make_group(group, arguments.candidate),
            rounds=arguments.rounds,
            requests=arguments.requests,
            most_s=arguments.seconds,
            warmup=arguments.warmup,
            connections=arguments.connections,
        )
        rows += [(group, row) for row in found]
        if not arguments.json:
            _print_group(group, found)
    left_out = [group for group in GROUPS if group not in groups]
    if arguments.json:
        lines = [{"group": group, **asdict(row)} for group, row in rows]
        print(json.dumps({"benchmark": "edge", **_circumstances(arguments), "left_out": left_out, "rows": lines}))
    else:
        notes = [NOTES, describe_tail(arguments.requests)]
        if left_out:
            notes.append(f"Not measured here: {', '.join(left_out)}; --group all measures the whole.")
        Console(highlight=False, width=WIDTH).print(f"[dim]{' '.join(notes)}[/]")
    return tell_problems([row for _, row in rows])


def tell_problems(rows: Sequence[Row]) -> int:
    """Say what went wrong while arms were measured; returns the exit status."""
    problems = describe_problems(rows)
    for problem in problems:
        out.print(f"[red]error: {problem}[/]")
    return 1 if problems else 0


def run_arms(
    arms: Sequence[Arm], *, rounds: int, requests: int, most_s: float, warmup: int, connections: Sequence[int]
) -> list[Row]:
    """Measure arms side by side in one workerd.

    Raises BenchError where one does not do what it is measured for.
    """
    workers = {arm.worker.name: arm.worker for arm in arms}
    counted: dict[tuple[str, int], Counter[str]] = {}
    with run_world(list(workers.values())) as world:
        failures = FailureLog(world.log)

        def note(each: Measurement) -> None:
            tell(each)
            counted.setdefault((each.arm, each.connections), Counter()).update(failures.take())

        measured = run_load(
            [_prepare(arm, world) for arm in arms],
            rounds=rounds,
            requests=requests,
            most_s=most_s,
            connections=connections,
            warmup=warmup,
            on_measurement=note,
            on_warm=failures.skip,
        )
    # What the last arm counted may come only now, when all has ended.
    counted[measured[-1].arm, measured[-1].connections].update(failures.take())
    return summarise(arms, measured, counted)


def _prepare(arm: Arm, world: World) -> Target:
    """Ask once and look whether the arm does what it is measured for; a visitor that is known gets a cookie.

    Raises BenchError where it does not.
    """
    url, site, slots = world.urls[arm.worker.name], arm.worker.site, arm.slots
    headers = dict(HEADERS)
    if arm.cookie:
        headers["cookie"] = arm.cookie
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        response = client.get(arm.path)
        client.cookies.clear()
        if response.status_code != 200 or arm.expect not in response.text:
            raise BenchError(f"{arm.name}: HTTP {response.status_code} without {arm.expect!r}: {response.text[:200]}")
        if site is not None and arm.visitor != "new":
            earned = _know_visitor(arm, world, site, client)
            headers["cookie"] = end_session(earned.cookie) if arm.visitor == "next" else earned.cookie
            if arm.visitor == "returning":
                slots = {name: [site.variants(name)[variant]] for name, variant in earned.shown.items()}
        elif site is not None:
            shown = site.shown(arm.path, response.text)
            if missing := [name for name in slots if shown[name] is None]:
                raise BenchError(f"{arm.name}: no variant was written into {', '.join(missing)}")
    return Target(name=arm.name, url=url + arm.path, headers=headers, expect=arm.expect, slots=slots)


def _know_visitor(arm: Arm, world: World, site: Site, client: httpx.Client) -> Earned:
    """Make a visitor known to the Worker, with a profile in KV where the site has profiles.

    Raises BenchError where no visitor is shown a variant in every slot, or the Worker does not decide by the profile.
    """
    earned = earn_cookie(client, site, arm.path)
    if earned is None:
        raise BenchError(f"{arm.name}: none of {VISITS} visitors was shown a variant in every slot")
    if site.individual:
        with world.kv(site) as kv:
            publish_profile(kv, site, earned.cookie)
        if not reads_profiles(client, site, arm.path, end_session(earned.cookie)):
            raise BenchError(
                f"{arm.name}: the Worker does not decide by the visitor's profile, so it cannot be compared with a "
                f"floor that reads one; see what it logs (profile_…, kv_failed)"
            )
    return earned


def _print_group(group: str, rows: Sequence[Row]) -> None:
    """The tables of a group, one for each number of connections, and how its rows stand to their targets: at the
    smallest number, since more of them wait for each other."""
    counts = sorted({row.connections for row in rows})
    for count in counts:
        own = [row for row in rows if row.connections == count]
        clients = f"{count} {'connections' if count > 1 else 'connection'}"
        Console(width=WIDTH).print(make_table(f"{group}, {clients}", own))
        if count == counts[0]:
            for line in describe_targets(own):
                Console(highlight=False, width=WIDTH).print(f"{clients}: {line}")


def tell(each: Measurement) -> None:
    """Say what was measured, while the next is."""
    out.print(
        f"[dim]round {each.round + 1}  {each.arm:<40} ×{each.connections}  p50 {each.p50_ms:.2f} ms  "
        f"{each.per_second:.0f}/s[/]"
    )


def _circumstances(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "rounds": arguments.rounds,
        "requests": arguments.requests,
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        **{name: _read_version(ROOT / "node_modules" / name / "package.json") for name in PACKAGES},
    }


def _read_version(path: Path) -> str:
    return str(json.loads(path.read_text())["version"])
