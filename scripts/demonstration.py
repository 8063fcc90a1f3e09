"""The demo: the whole loop on the real parts, told as it goes."""

from __future__ import annotations

import argparse
import fcntl
import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from origin.config import load_config
from scripts.runtime.edge import LOCAL_KEYS, Edge, run_edge
from shared.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT.parent / "shared" / "data" / "obd"
LOCAL_ENV = ROOT / ".usher" / "local.env"
PORT = 8787
VISITORS = 150
# What the simulated visitors like: they click on this hero more often than on the others.
LIKED = "look-craft"
# A program that says what it is would be taken for the bot it is, and nothing be learned from it.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PATIENCE_S = 60.0
out = Console(highlight=False, stderr=True, soft_wrap=True)


class DemoError(Exception):
    """Something the demo expected did not happen."""


@dataclass(slots=True)
class Visitor:
    """A simulated visitor: a browser with a cookie, who asks for the page and perhaps clicks."""

    url: str
    query: str
    cookie: str = ""
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def visit(self, client: httpx.Client) -> httpx.Response:
        """Ask for the shop's front page, keep the cookie."""
        headers = {"accept": "text/html", "accept-language": "en", "user-agent": USER_AGENT, **self.headers}
        if self.cookie:
            headers["cookie"] = self.cookie
        response = client.get(f"{self.url}/{self.query}", headers=headers)
        response.raise_for_status()
        if "set-cookie" in response.headers:
            self.cookie = response.headers["set-cookie"].partition(";")[0]
        self.page = response.text
        return response

    def click(self, client: httpx.Client, goal: str, touchpoint: str) -> None:
        """Report a click as the browser's script does."""
        now_ms = time.time_ns() // 1_000_000
        event = {
            "type": "goal",
            "event_id": f"demo-{random.randrange(1 << 62):x}",
            "name": goal,
            "touchpoint": touchpoint,
            "created_ms": now_ms,
        }
        response = client.post(
            f"{self.url}/_usher/events", json={"sent_ms": now_ms, "events": [event]}, headers={"cookie": self.cookie}
        )
        response.raise_for_status()


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="stop at the end and print one JSON line of what was seen")
    parser.add_argument("--port", type=int, default=None, help=f"port of the edge (default {PORT}, or a free one)")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        with _state(arguments.check) as state:
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
        LOCAL_ENV.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    usher = _commander(environment)
    out.print("[bold]2[/] real logs in: the Open Bandit Dataset's men's campaign, as decisions on the touchpoint pick")
    imported = _import_logs(usher)
    out.print("[bold]3[/] training, and publishing to KV")
    usher("retrain")
    first = _live_version(edge)
    out.print(f"[bold]4[/] {VISITORS} simulated visitors ask for the page; some click, most of all on the hero craft")
    visitors = _send_visitors(edge, first)
    out.print("[bold]5[/] their exposures and clicks, back in the lake")
    exposures, goals = _await_events(usher, state / "lake", visitors)
    _show(exposures)
    out.print("[bold]6[/] the nightly retrain (as of tomorrow, when every attribution window has closed)")
    usher("retrain", "--as-of", _tomorrow())
    second = _live_version(edge)
    if second == first:
        raise DemoError("the retrain published nothing new")
    _await_version(edge, state / "lake", usher, second)
    out.print(f"   the edge now decides by [bold]{second}[/], without a restart:")
    _compare(edge, first, second)
    return {
        "imported_logs": imported,
        "visitors": len(visitors),
        "exposures": len(exposures),
        "goals": goals,
        "first_snapshot": first,
        "second_snapshot": second,
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


def _commander(environment: dict[str, str]) -> Callable[..., None]:
    def run(*arguments: str) -> None:
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

    return run


def _import_logs(usher: Callable[..., None]) -> int:
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


def _send_visitors(edge: Edge, version: str) -> list[Visitor]:
    features = [source.condition for source in load_config(ROOT / "usher.toml").segments.values()]
    values = [str(each["user_feature_1"]) for each in features if isinstance(each.get("user_feature_1"), str)]
    chance = random.Random()
    visitors = [
        Visitor(edge.url, f"?uf1={values[i % len(values)]}" if values and i % 2 else "") for i in range(VISITORS)
    ]
    with httpx.Client() as client:
        _await_snapshot(edge, client)
        for visitor in visitors:
            visitor.visit(client)
            if chance.random() < (0.7 if LIKED in visitor.page else 0.05):
                visitor.click(client, "hero_click", "hero")
            if chance.random() < 0.15:
                visitor.click(client, "pick_click", "pick")
    personalised = sum("/_usher/usher.js" in visitor.page for visitor in visitors)
    if personalised != len(visitors):
        raise DemoError(f"only {personalised} of {len(visitors)} pages were personalised by {version}")
    return visitors


def _await_snapshot(edge: Edge, client: httpx.Client) -> None:
    """Wait until the edge has seen that something is published."""
    deadline = time.monotonic() + PATIENCE_S
    while "/_usher/usher.js" not in client.get(edge.url, headers={"accept": "text/html", "sec-gpc": "0"}).text:
        if time.monotonic() > deadline:
            raise DemoError("the edge does not personalise:\n" + "\n".join(edge.log[-5:]))
        time.sleep(0.2)


def _read_events(lake: Path) -> list[dict[str, object]]:
    events: list[dict[str, object]] = []
    for file in sorted((lake / "events").rglob("*.ndjson.gz")):
        events.extend(json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines())
    return events


def _await_events(
    usher: Callable[..., None], lake: Path, visitors: list[Visitor]
) -> tuple[list[dict[str, object]], int]:
    """Pull until every visitor's exposures have arrived."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(2.0)
        usher("pull")
        events = _read_events(lake)
        exposures = [event for event in events if event["type"] == "exposure"]
        if len({event["visitor"] for event in exposures}) >= len(visitors):
            return exposures, sum(event["type"] == "goal" for event in events)
        if time.monotonic() > deadline:
            raise DemoError(f"exposures of {len(visitors)} visitors expected, {len(exposures)} exposures arrived")


def _show(exposures: list[dict[str, object]]) -> None:
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
    for name in ("hero, all visitors", *names):
        table.add_column(name, no_wrap=True)
    for version, shares in rows:
        table.add_row(version, *shares)
    out.print(table)


def _await_version(edge: Edge, lake: Path, usher: Callable[..., None], version: str) -> None:
    """Visit until an exposure says that the new snapshot decided it."""
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client() as client:
        while True:
            Visitor(edge.url, "").visit(client)
            time.sleep(2.0)
            usher("pull")
            if any(event.get("snapshot") == version for event in _read_events(lake)):
                return
            if time.monotonic() > deadline:
                raise DemoError(f"no decision came from {version}")


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
