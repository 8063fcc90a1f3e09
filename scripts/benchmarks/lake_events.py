"""A day of a shop's events as the edge stores them, made up, for `scripts/bench lake`.

A visit has four pages; each page a page view and two engagements, half of them a click, a tenth a goal, a tenth an item
for the cart; every other page shows two touchpoints. Twenty events make a message, with its receipt, a hundred messages
an object, as where there is much traffic.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from shared.events import SCHEMA
from worker.receipts import Receipts
from worker.storage import event_line, pack_batch, pack_messages

DAY_START_MS: Final = 1_795_305_600_000
DAY_MS: Final = 86_400_000
EVENTS_A_MESSAGE: Final = 20
MESSAGES_AN_OBJECT: Final = 100
PAGES: Final = ("/", "/men/", "/women/coats", "/pricing", "/case-studies/big-shop")
VARIANTS: Final = ["house", "craft", "offer", "season"]
AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
BECAUSE: Final = "because it was drawn by how well each alternative has done with all visitors"
Event = dict[str, Any]


def write_day(folder: Path, objects: int, *, with_exposures: bool) -> tuple[int, int]:
    """Write a day's objects below a folder; returns how many lines they hold, and their bytes of JSON."""
    with ProcessPoolExecutor() as pool:
        make = partial(_write_object, folder, objects, with_exposures)
        counts = list(pool.map(make, range(objects), chunksize=8))
    return sum(lines for lines, _ in counts), sum(size for _, size in counts)


def _write_object(folder: Path, objects: int, with_exposures: bool, number: int) -> tuple[int, int]:
    randomness = random.Random(number)
    start_ms = DAY_START_MS + DAY_MS * number // objects
    receipts = Receipts(f"{number:016x}")
    events = _make_events(randomness, start_ms, with_exposures)
    messages = []
    for _ in range(MESSAGES_AN_OBJECT):
        lines = [event_line(event) for event in islice(events, EVENTS_A_MESSAGE)]
        messages += pack_messages(lines, receipts, start_ms)
    texts = [each.text for each in messages]
    for stored in pack_batch([(f"{number}-{i}", start_ms, text) for i, text in enumerate(texts)]):
        path = folder / stored.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.content)
    return sum(text.count("\n") + 1 for text in texts), sum(map(len, texts))


def _make_events(randomness: random.Random, start_ms: int, with_exposures: bool) -> Iterator[Event]:
    while True:
        for event in _make_visit(randomness, start_ms):
            if with_exposures or event["type"] != "exposure":
                yield event


def _make_visit(randomness: random.Random, start_ms: int) -> Iterator[Event]:
    visitor, agent = _name(randomness, 22), AGENT.format(randomness.randrange(120, 156))
    moment_ms = start_ms
    for number in range(4):
        page, path = f"{moment_ms:x}-{_name(randomness, 16)}", randomness.choice(PAGES)

        def make(kind: str, at_ms: int, page: str = page, **fields: object) -> Event:
            return _make_event(randomness, kind, visitor, start_ms, at_ms, page, fields)

        yield make(
            "page_view", moment_ms, category="coats", referrer="www.google.com", viewport_width=1440,
            viewport_height=900, language="en-GB", url_path=path, device="desktop", user_agent=agent,
        )  # fmt: skip
        if number % 2 == 0:
            for touchpoint in ("hero", "pick"):
                yield _make_exposure(randomness, visitor, start_ms, moment_ms, page, path, agent, touchpoint)
        for _ in range(2):
            moment_ms += randomness.randrange(5_000, 20_000)
            depth, engaged_ms = randomness.randrange(101), randomness.randrange(20_000)
            yield make("engagement", moment_ms, depth=depth, engaged_ms=engaged_ms, sections=["intro", "offer"])
        if randomness.random() < 0.5:
            yield make("click", moment_ms, target="nav-men")
        if randomness.random() < 0.1:
            yield make("goal", moment_ms, name="click", touchpoint="hero")
        if randomness.random() < 0.1:
            yield make("add_to_cart", moment_ms, item="item-7", quantity=1, value=39.5, currency="GBP")


def _make_event(
    randomness: random.Random, kind: str, visitor: str, session_ms: int, at_ms: int, page: str, fields: Event
) -> Event:
    delay_ms = randomness.randrange(3_000)
    return {
        "schema": SCHEMA, "type": kind, "event_id": _name(randomness, 22), "created_ms": at_ms,
        "sent_ms": at_ms + delay_ms, "received_ms": at_ms + delay_ms + 40, "happened_ms": at_ms + 40,
        "visitor": visitor, "session_ms": session_ms, "page_view": page, "source": "browser", "user": "", **fields,
    }  # fmt: skip


def _make_exposure(
    randomness: random.Random, visitor: str, session_ms: int, at_ms: int, page: str, path: str, agent: str,
    touchpoint: str,
) -> Event:  # fmt: skip
    weights = [randomness.random() for _ in VARIANTS]
    shares = [weight / sum(weights) for weight in weights]
    common = _make_event(randomness, "exposure", visitor, session_ms, at_ms, page, {})
    return {
        **common, "event_id": f"{page}-{touchpoint}", "sent_ms": at_ms, "received_ms": at_ms, "happened_ms": at_ms,
        "source": "edge", "url_path": path, "user_agent": agent, "is_shown": True, "touchpoint": touchpoint,
        "unit": visitor, "epoch": f"session {session_ms}", "variant": "offer", "propensity": shares[2],
        "eligible": VARIANTS, "excluded": [], "probabilities": shares, "level": "global", "cell": "",
        "holdout": False, "randomised": True, "relaxations": [], "fallbacks": [], "reason": "global",
        "because": BECAUSE, "snapshot": "20261122T212655735Z-67f47d34b13e", "profile": "", "segments": [],
        "context": {"path": path, "device": "desktop", "language": "en"},
        "session": {"started_ms": session_ms, "views": 1, "visits": 1, "referral": "search",
                    "preferences": {}, "intent": randomness.random()},
    }  # fmt: skip


def _name(randomness: random.Random, length: int) -> str:
    return f"{randomness.getrandbits(length * 4):0{length}x}"
