"""The demo's simulated visitors: they ask for the page, click, come back, and what of it has reached the lake."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from origin.config import load_config
from scripts.runtime.edge import Edge

ROOT = Path(__file__).resolve().parents[1]
VISITORS = 150
# So many of them come back.
RETURNING = 20
# What the simulated visitors like: they click on this hero more often than on the others.
LIKED = "look-craft"
# A program that says what it is would be taken for the bot it is, and nothing be learned from it.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PATIENCE_S = 60.0

Event = dict[str, object]
Usher = Callable[..., str]


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


def send_visitors(edge: Edge, version: str) -> list[Visitor]:
    """Send new visitors to the shop's front page, some of whom click. Raises DemoError where a page is as the site
    made it."""
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


def read_exposures(lake: Path) -> list[Event]:
    """The exposures in the lake."""
    return [event for event in _read_events(lake) if event["type"] == "exposure"]


def _read_events(lake: Path) -> list[Event]:
    events: list[Event] = []
    for file in sorted((lake / "events").rglob("*.ndjson.gz")):
        events.extend(json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines())
    return events


def await_events(usher: Usher, lake: Path, visitors: list[Visitor]) -> tuple[list[Event], int]:
    """Pull until every visitor's exposures have arrived; returns them, and how many goals came along."""
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


def await_version(edge: Edge, lake: Path, usher: Usher, version: str) -> None:
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


def return_visitors(usher: Usher, lake: Path, visitors: list[Visitor]) -> None:
    """Have some visitors come back, to whom their decisions are repeated, and pull until those have arrived."""
    before = len(_page_views(lake))
    with httpx.Client() as client:
        for visitor in visitors[:RETURNING]:
            visitor.visit(client)
    deadline = time.monotonic() + PATIENCE_S
    while len(_page_views(lake)) < before + RETURNING:
        if time.monotonic() > deadline:
            raise DemoError(f"{RETURNING} visitors came back, of whom the lake knows {len(_page_views(lake)) - before}")
        time.sleep(2.0)
        usher("pull")


def _page_views(lake: Path) -> set[object]:
    return {event["page_view"] for event in read_exposures(lake)}
