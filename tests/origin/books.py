"""What the tests of the audit share: hours of a balance, and events to fill them."""

from __future__ import annotations

from typing import Any

from origin.audit import KEPT_MS, HourBalance
from origin.lake import Lake
from tests.origin.mail import Mail, sent
from tests.origin.shop import HOUR_MS, NOON_MS, Event
from worker.storage import pack_batch

# No queue keeps a message of noon any more.
LATER_MS = NOON_MS + HOUR_MS + KEPT_MS


def clicks(count: int, first: int = 0, **fields: Any) -> list[Event]:
    return [sent("click", number, target="nav", **fields) for number in range(first, first + count)]


def hour(**counts: int) -> HourBalance:
    every = {"received": 0, "stored": 0, "quarantined": 0, "duplicates": 0, "in_flight": 0, "lost": 0, **counts}
    return HourBalance(start_ms=NOON_MS, **every)


def deliver_events_only(lake: Lake, messages: list[Mail]) -> None:
    """What a consumer leaves that fails before it writes a batch's quarantine."""
    for stored in pack_batch(messages):
        if stored.key.startswith("events/"):
            lake.write(lake.root / stored.key, stored.content)
