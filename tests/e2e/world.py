"""An edge and the origin that feeds it, as the end-to-end tests use them; and browsers, as far as HTTP goes."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx

from origin.config import Config
from origin.identity.stitch import stitch
from origin.kv import KvClient
from origin.lake import Lake
from origin.publish import Published, publish
from origin.pull import pull
from origin.settings import Settings
from origin.train import train
from scripts.runtime.edge import Edge

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT.parent / "shared" / "data" / "obd"
DAY_MS = 86_400_000
PATIENCE_S = 30.0
# What the browser says of itself: who says nothing of the kind is taken for a bot.
PERSON = {
    "accept-language": "en-GB,en;q=0.9",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
}

JsonEvent = dict[str, object]
T = TypeVar("T")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def eventually(look: Callable[[], T | None], what: str) -> T:
    """Look until there is something to see; queues and caches take their time."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(0.1)


@dataclass(slots=True)
class Browser:
    """A visitor's browser as far as HTTP goes: it keeps the cookie, also a Secure one on loopback."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str = ""

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        response = httpx.get(self.url + path, headers=self._headers(accept="text/html", **headers))
        if "set-cookie" in response.headers:
            self.cookie = response.headers["set-cookie"].partition(";")[0]
        return response

    def report(self, goal: str, touchpoint: str | None = None, **fields: object) -> httpx.Response:
        sent = now_ms()
        event = {"type": "goal", "event_id": f"{sent:x}-{goal}", "name": goal, "created_ms": sent}
        if touchpoint is not None:
            event["touchpoint"] = touchpoint
        return self.post({"sent_ms": sent, "events": [{**event, **fields}]})

    def post(self, body: object) -> httpx.Response:
        return httpx.post(f"{self.url}/_usher/events", json=body, headers=self._headers())

    def _headers(self, **more: str) -> dict[str, str]:
        headers = {**PERSON, **self.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
        if self.cookie:
            headers["cookie"] = self.cookie
        return headers

    @property
    def visitor(self) -> str:
        """The visitor id in the cookie."""
        return self.cookie.partition("=")[2].split("!")[1]


@dataclass(slots=True)
class World:
    """An edge, and the origin that feeds it."""

    edge: Edge
    config: Config
    lake: Lake
    settings: Settings
    kv: KvClient

    def browser(self, **headers: str) -> Browser:
        return Browser(self.edge.url, {name.replace("_", "-"): value for name, value in headers.items()})

    def retrain(self, as_of_ms: int | None = None) -> Published:
        pull(self.lake, self.settings)
        stitch(self.lake, self.config.identity, now_ms())
        model = train(self.config, self.lake, now_ms() if as_of_ms is None else as_of_ms, now_ms())
        published = publish(self.config, model, self.lake, self.kv, now_ms())
        self.await_version(published.version)
        return published

    def publish_untrained(self) -> Published:
        """Publish the configuration with the priors of a model that has seen nothing."""
        model = train(self.config, self.lake, 0, now_ms())
        published = publish(self.config, model, self.lake, self.kv, now_ms())
        time.sleep(0.3)
        return published

    def fail(self, **faults: dict[str, object]) -> None:
        """Have bindings of the Worker under test fail from now on, as in `EVENTS_send={"error": "full"}`; nothing heals
        them."""
        named = {".".join(name.rsplit("_", 1)): fault for name, fault in faults.items()}
        httpx.post(f"{self.edge.url}/_test/faults", content=json.dumps(named)).raise_for_status()

    def await_version(self, version: str) -> None:
        """Wait until the edge decides by a snapshot, seen from the cache headers' time to live only."""

        def decided_by_it() -> bool:
            browser = self.browser()
            return self.served_version(browser) == version

        eventually(decided_by_it, f"decisions by {version}")

    def served_version(self, browser: Browser) -> str | None:
        browser.get("/")
        if not browser.cookie:
            return None
        visitor = browser.visitor
        found = self.events(lambda event: event["type"] == "exposure" and event["visitor"] == visitor)
        return str(found[0]["snapshot"])

    def events(self, wanted: Callable[[JsonEvent], bool], least: int = 1) -> list[JsonEvent]:
        """Pull until that many events of the wanted kind are in the lake."""

        def look() -> list[JsonEvent] | None:
            pull(self.lake, self.settings)
            found = [event for event in read_lines(self.lake.events) if wanted(event)]
            return found if len(found) >= least else None

        return eventually(look, f"{least} events")

    def exposures(self, browser: Browser) -> dict[str, JsonEvent]:
        """The exposures of a browser's visitor, by touchpoint."""
        visitor = browser.visitor
        found = self.events(lambda event: event["type"] == "exposure" and event["visitor"] == visitor)
        return {str(event["touchpoint"]): event for event in found}


def read_lines(folder: Path) -> list[JsonEvent]:
    return [
        json.loads(line)
        for file in sorted(folder.rglob("*.ndjson.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]


def make_world(edge: Edge, folder: Path, config: Config) -> World:
    environment = {name.removeprefix("USHER_").lower(): value for name, value in edge.environment().items()}
    settings = Settings(_env_file=None, lake=folder / "lake", **environment)  # type: ignore[call-arg, arg-type]
    return World(edge, config, Lake(settings.lake), settings, KvClient(settings.kv_namespace_url()))
