"""The demo: the whole loop on the real parts, told as it goes."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.demo_visitors import (
    RETURNING,
    VISITORS,
    DemoError,
    Event,
    Usher,
    await_events,
    await_version,
    read_exposures,
    return_visitors,
    send_visitors,
)
from scripts.runtime.edge import LOCAL_KEYS, Edge, run_edge
from shared.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT.parent / "shared" / "data" / "obd"
LOCAL_ENV = ROOT / ".usher" / "local.env"
PORT = 8787
out = Console(highlight=False, stderr=True, soft_wrap=True)


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="stop at the end and print one JSON line of what was seen")
    parser.add_argument("--port", type=int, default=None, help=f"port of the edge (default {PORT}, or a free one)")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        with _state(arguments.check) as state:
            signal.signal(signal.SIGINT, _interrupt)  # a shell's background job would ignore it
            signal.signal(signal.SIGTERM, _interrupt)
            signal.signal(signal.SIGHUP, _interrupt)
            port = arguments.port if arguments.port is not None else 0 if arguments.check else _free_port(PORT)
            out.print("[bold]1[/] starting the edge: workerd with a Python Worker, KV, queue and bucket")
            variables = {"SNAPSHOT_TTL_MS": "1000"}
            options = {"queue": {"maxBatchTimeout": 1}}
            with run_edge(port=port, state=state / "edge", variables=variables, options=options) as edge:
                facts = _run(edge, state, arguments.check)
                if arguments.check:
                    print(json.dumps({"ok": True, **facts, "seconds": round(time.monotonic() - started, 1)}))
                else:
                    _stay(edge)
    except DemoError as error:
        out.print(f"[red]error:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        out.print("\nstopped")
    return 0


def _interrupt(*_: object) -> None:
    """End as Ctrl-C does, so that nothing is left behind."""
    raise KeyboardInterrupt


def _run(edge: Edge, state: Path, check: bool) -> dict[str, object]:
    environment = {**edge.environment(), "USHER_LAKE": str(state / "lake")}
    if not check:
        LOCAL_ENV.touch(mode=0o600)  # keys stand in it
        LOCAL_ENV.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    usher = _commander(environment)
    out.print("[bold]2[/] real logs in: the Open Bandit Dataset's men's campaign, as decisions on the touchpoint pick")
    imported = _import_logs(usher)
    out.print("[bold]3[/] training, and publishing to KV")
    usher("retrain")
    first = _live_version(edge)
    out.print(f"[bold]4[/] {VISITORS} simulated visitors ask for the page; some click, most of all on the hero craft")
    visitors = send_visitors(edge, first)
    out.print("[bold]5[/] their exposures and clicks, back in the lake")
    exposures, goals = await_events(usher, state / "lake", visitors)
    _show(exposures)
    out.print("[bold]6[/] the nightly retrain (as of tomorrow, when every attribution window has closed)")
    usher("retrain", "--as-of", _tomorrow())
    second = _live_version(edge)
    if second == first:
        raise DemoError("the retrain published nothing new")
    await_version(edge, state / "lake", usher, second)
    out.print(f"   the edge now decides by [bold]{second}[/], without a restart:")
    _compare(edge, first, second)
    out.print(f"[bold]7[/] {RETURNING} visitors come back; then every decision is made again, from the lake alone")
    return_visitors(usher, state / "lake", visitors)
    replayed, repeats = _replay(usher, state / "lake")
    return {
        "imported_logs": imported,
        "visitors": len(visitors),
        "exposures": len(exposures),
        "goals": goals,
        "first_snapshot": first,
        "second_snapshot": second,
        "replayed": replayed,
        "repeats": repeats,
    }


@contextmanager
def _state(check: bool) -> Iterator[Path]:
    """The folder of the edge's state and the lake: `.usher/demo/`, made anew, or one that goes with the check.

    `.usher/local.env` tells the command line where a running demo is.
    """
    if check:
        with tempfile.TemporaryDirectory(prefix="usher-") as folder:
            yield Path(folder)
        return
    folder_path = ROOT / ".usher" / "demo"
    folder_path.parent.mkdir(exist_ok=True)
    with (folder_path.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(
                "a demo already runs in this folder; stop it first (scripts/demo --check may run beside it)"
            ) from error
        shutil.rmtree(folder_path, ignore_errors=True)
        folder_path.mkdir()
        try:
            yield folder_path
        finally:
            LOCAL_ENV.unlink(missing_ok=True)


def _commander(environment: dict[str, str]) -> Usher:
    """What runs a command of `usher`, shows and returns what it prints, and raises DemoError where it fails."""

    def run(*arguments: str) -> str:
        out.print(f"   [dim]$ usher {escape(' '.join(arguments))}[/]")
        done = subprocess.run(
            [str(Path(sys.executable).parent / "usher"), *arguments],
            cwd=ROOT,
            env={**os.environ, **environment, "COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in done.stdout.splitlines():
            out.print(f"   {escape(line)}")
        if done.returncode != 0:
            raise DemoError(f"usher {' '.join(arguments)} failed:\n{done.stderr}")
        return done.stdout

    return run


def _import_logs(usher: Usher) -> int:
    """Import both policies' logs; returns how many files there were."""
    files = [(policy, LOGS / policy / "men" / "men.csv.gz") for policy in ("random", "bts")]
    present = [(policy, file) for policy, file in files if file.is_file()]
    if not present:
        out.print(f"   no logs at {LOGS}: the model starts from its priors")
    for policy, file in present:
        usher("import-log", os.path.relpath(file, ROOT), "--mapping", f"scripts/obd/men-{policy}.toml")
    return len(present)


def _live_version(edge: Edge) -> str:
    response = httpx.get(f"{edge.environment()['USHER_KV_URL']}/values/current")
    response.raise_for_status()
    return str(response.json()["snapshot"])


def _show(exposures: list[Event]) -> None:
    table = Table()
    for column in ("visitor", "touchpoint", "saw", "with probability", "by", "because"):
        table.add_column(column, no_wrap=True)
    for event in exposures[:8]:
        by = f"{event['level']} {event['cell']}".strip()
        propensity = event["propensity"]
        assert isinstance(propensity, float | int)
        table.add_row(
            str(event["visitor"])[:8], str(event["touchpoint"]), str(event["variant"]), f"{propensity:.1%}", by,
            str(event["reason"]),
        )  # fmt: skip
    out.print(table)


def _compare(edge: Edge, first: str, second: str) -> None:
    """Show how the probabilities of the hero's variants have moved from one snapshot to the next."""
    table = Table()
    names: list[str] = []
    rows = []
    for version in (first, second):
        text = httpx.get(f"{edge.environment()['USHER_KV_URL']}/values/snapshot:{version}").raise_for_status().text
        snapshot = Snapshot.from_text(text)
        cell = snapshot.cell("hero", "global", "")
        if cell is None:
            raise DemoError(f"the snapshot {version} has no posteriors for hero")
        names = [variant.name for variant in snapshot.touchpoint("hero").variants]
        rows.append((version, [f"{probability:.1%}" for probability in cell.probabilities]))
    for name in ("hero, before floors", *names):
        table.add_column(name, no_wrap=True)
    for version, shares in rows:
        table.add_row(version, *shares)
    out.print(table)


def _replay(usher: Usher, lake: Path) -> tuple[int, int]:
    """Decide again all that the edge has logged; returns how many decisions came out the same, to the last bit, and how
    many of these repeat an earlier one. Raises DemoError where any decision is not among them."""
    said = re.match(r"same ([\d,]+) decisions?, to the last bit; ([\d,]+) of them ", usher("replay"))
    same, repeats = (int(each.replace(",", "")) for each in said.groups()) if said is not None else (0, 0)
    logged = len({(event["visitor"], event["event_id"]) for event in read_exposures(lake)})
    if same != logged or repeats == 0:
        raise DemoError(f"{logged} decisions are in the lake; {same} came out the same, {repeats} of them repeats")
    return same, repeats


def _stay(edge: Edge) -> None:
    usher = Path(sys.executable).parent / "usher"
    link = subprocess.run(
        [str(usher), "preview", "hero", "season", "--url", f"{edge.url}/"],
        cwd=ROOT, env={**os.environ, "USHER_KEYS": LOCAL_KEYS}, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    out.print(f"\nThe shop is open at [bold]{edge.url}/[/]  (Ctrl-C stops it)")
    out.print("  another visitor:   open it in a private window")
    out.print(f"  another variant:   {escape(link)}", soft_wrap=True)
    out.print("  what is live:      .venv/bin/usher status")
    out.print(f"  learn from clicks: .venv/bin/usher retrain --as-of {_tomorrow()}")
    while True:
        time.sleep(3600)


def _tomorrow() -> str:
    """A moment at which the attribution windows of all that has happened by now are closed."""
    return f"{datetime.now(UTC) + timedelta(days=1, hours=1):%Y-%m-%dT%H:%M:%SZ}"


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            out.print(f"   port {wanted} is taken, so the shop gets another one")
            return 0
    return wanted


if __name__ == "__main__":
    sys.exit(main())
