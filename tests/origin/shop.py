"""A small shop to test the origin with: its configuration, its events, and how they come into a lake."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from origin.config import Config, load_config
from origin.lake import Lake
from origin.settings import Settings
from worker.storage import event_line, pack_batch

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Noon of a day in the shop's past; its goals have a window of one hour.
NOON_MS = 1_790_000_000_000 // DAY_MS * DAY_MS + 12 * HOUR_MS
VARIANTS = ("house", "craft", "offer")

USHER_TOML = """
[site]
id = "shop"
[goals.click]
window_h = 1
[segments.mobile]
condition = { device = "mobile" }
[segments.desktop]
condition = { device = "desktop" }
[touchpoints.hero]
goal = "click"
default = "house"
pages = ["/"]
variants = [
  { name = "house", floor = 0.05 },
  { name = "craft", html = "<b>craft</b>" },
  { name = "offer", html = "<b>offer</b>" },
]
learning = { min_segment_decisions = 20 }
"""
WRANGLER_TOML = '[assets]\ndirectory = "site"\nrun_worker_first = ["/", "/_usher/*"]\n'

Event = dict[str, object]
MakeSettings = Callable[..., Settings]


def write_config(folder: Path, text: str = USHER_TOML, wrangler: str = WRANGLER_TOML) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wrangler.toml").write_text(wrangler)
    path = folder / "usher.toml"
    path.write_text(text)
    return path


def make_config(folder: Path, text: str = USHER_TOML) -> Config:
    return load_config(write_config(folder, text))


def exposure(number: int, variant: str = "house", **fields: object) -> Event:
    """The exposure of one visitor, as the edge logs it: as many events as numbers, all at noon."""
    return {
        "schema": 1,
        "type": "exposure",
        "event_id": f"exposure-{number}",
        "received_ms": NOON_MS,
        "visitor": f"visitor-{number}",
        "unit": f"visitor-{number}",
        "touchpoint": "hero",
        "epoch": f"session {NOON_MS}",
        "variant": variant,
        "propensity": 0.25,
        "holdout": False,
        "randomised": True,
        "snapshot": "v1",
        "context": {"device": "desktop"},
        "probabilities": [0.25, 0.75],
        **fields,
    }


def goal(number: int, after_ms: int = 60_000, **fields: object) -> Event:
    """The click of the same visitor, a minute later, on the same touchpoint."""
    return {
        "schema": 1,
        "type": "goal",
        "event_id": f"goal-{number}",
        "received_ms": NOON_MS + after_ms,
        "happened_ms": NOON_MS + after_ms,
        "visitor": f"visitor-{number}",
        "name": "click",
        "touchpoint": "hero",
        **fields,
    }


def pack(events: Sequence[Event], batch: str = "1") -> Mapping[str, bytes]:
    """Events as the edge stores them: keys and contents of objects."""
    message = "\n".join(map(event_line, events))
    return {each.key: each.content for each in pack_batch([(batch, NOON_MS, message)])}


def store(lake: Lake, events: Sequence[Event], batch: str = "1") -> list[Path]:
    """Put events into a lake as a pull does; returns the files."""
    objects = pack(events, batch)
    for key, content in objects.items():
        lake.write(lake.root / key, content)
    return [lake.root / key for key in objects]


def dump_pointer(version: str, moment_ms: int = NOON_MS) -> str:
    return json.dumps({"snapshot": version, "published_ms": moment_ms, "confirmed_ms": moment_ms})
