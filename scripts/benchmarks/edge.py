"""`scripts/bench edge`: what a personalised page costs, against a no-op, a pass-through, the floor, and GrowthBook."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from scripts.benchmarks.arms import GROUPS, Arm, make_group
from scripts.benchmarks.load import Measurement, Target, run_load
from scripts.benchmarks.rows import NOTES, Row, make_table, summarise
from scripts.benchmarks.runtime import World, run_world
from scripts.benchmarks.sites import ROOT
from scripts.benchmarks.visitors import HEADERS, VISITS, earn_cookie, end_session, publish_profile, reads_profiles

PACKAGES: Final = ("workerd", "miniflare", "pyodide", "@growthbook/growthbook", "@growthbook/edge-cloudflare")
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
            for connections in arguments.connections:
                own = [row for row in found if row.connections == connections]
                Console(width=160).print(make_table(f"{group}, {_clients(connections)}", own))
    if arguments.json:
        lines = [{"group": group, **asdict(row)} for group, row in rows]
        print(json.dumps({"benchmark": "edge", **_circumstances(arguments), "rows": lines}))
    else:
        Console(highlight=False, width=160).print(f"[dim]{NOTES}[/]")
    return 1 if any(row.failed for _, row in rows) else 0


def run_arms(
    arms: Sequence[Arm], *, rounds: int, requests: int, most_s: float, warmup: int, connections: Sequence[int]
) -> list[Row]:
    """Measure arms side by side in one workerd.

    Raises BenchError where one does not do what it is measured for; says which are left out, because the Worker
    cannot do it yet.
    """
    workers = {arm.worker.name: arm.worker for arm in arms}
    with run_world(list(workers.values())) as world:
        targets = [target for arm in arms if (target := _prepare(arm, world)) is not None]
        measured = run_load(
            targets,
            rounds=rounds,
            requests=requests,
            most_s=most_s,
            connections=connections,
            warmup=warmup,
            on_measurement=tell,
        )
    return summarise(arms, measured)


def _prepare(arm: Arm, world: World) -> Target | None:
    """Ask once and look whether the arm does what it is measured for; a visitor that is known gets a cookie.

    Returns None, and says so, where the Worker cannot do it: it reads no profiles.
    """
    url = world.urls[arm.worker.name]
    headers = dict(HEADERS)
    if arm.cookie:
        headers["cookie"] = arm.cookie
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        response = client.get(arm.path)
        client.cookies.clear()
        if response.status_code != 200 or arm.expect not in response.text:
            raise BenchError(f"{arm.name}: HTTP {response.status_code} without {arm.expect!r}: {response.text[:200]}")
        if arm.cookie:
            _look_for_slots(arm, response.text)
        if arm.visitor != "new":
            cookie = _known_visitor(arm, world, client)
            if cookie is None:
                out.print(f"[yellow]{arm.name}: left out, the Worker does not decide by profiles[/]")
                return None
            headers["cookie"] = cookie
    return Target(name=arm.name, url=url + arm.path, headers=headers)


def _look_for_slots(arm: Arm, page: str) -> None:
    site = arm.worker.site
    missing = [name for name, variant in site.shown(arm.path, page).items() if variant is None] if site else []
    if missing:
        raise BenchError(f"{arm.name}: no variant was written into {', '.join(missing)}")


def _known_visitor(arm: Arm, world: World, client: httpx.Client) -> str | None:
    """The cookie of a visitor that the Worker knows, with a profile in KV where the site has profiles; None where the
    Worker does not read it."""
    site = arm.worker.site
    assert site is not None
    cookie = earn_cookie(client, site, arm.path)
    if cookie is None:
        raise BenchError(f"{arm.name}: none of {VISITS} visitors was shown a variant in every slot")
    if site.individual:
        with world.kv(site) as kv:
            publish_profile(kv, site, cookie)
        if not reads_profiles(client, site, arm.path, end_session(cookie)):
            return None
    return end_session(cookie) if arm.visitor == "next" else cookie


def _clients(connections: int) -> str:
    return f"{connections} {'connections' if connections > 1 else 'connection'}"


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
