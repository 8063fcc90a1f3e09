"""Events as they come into a lake in earnest: in messages with receipts, packed into objects by the Worker's code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from origin.lake import Lake
from tests.origin.shop import NOON_MS, Event
from worker.receipts import Receipts
from worker.storage import event_line, pack_batch, pack_messages, quarantine_line, quarantine_record

Mail = tuple[str, int, str]


class Isolate:
    """One isolate of the edge, which sends messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._receipts = Receipts(name)
        self._bad = 0

    def send(
        self,
        events: Iterable[Event],
        *,
        refused: int = 0,
        records: Iterable[Event] = (),
        at_ms: int = NOON_MS,
        is_accepted: bool = True,
        is_kept: bool = True,
    ) -> list[Mail]:
        """The messages of some events, of so many quarantined ones that nobody sent before, and of quarantine records;
        none where the Queue does not accept them. `is_kept` says whether somebody keeps the events then."""
        lines = [event_line(event) for event in events]
        lines += [quarantine_line(record(f"{self.name}-{self._bad + i}", at_ms=at_ms)) for i in range(refused)]
        lines += map(quarantine_line, records)
        self._bad += refused
        messages = pack_messages(lines, self._receipts, at_ms, is_kept=is_kept)
        for message in messages:
            self._receipts.settle(message.number, is_accepted=is_accepted)
        return [(f"{self.name}-{each.number}", at_ms, each.text) for each in messages] if is_accepted else []


def record(name: str, text: str | None = None, *, at_ms: int = NOON_MS, **fields: str) -> Event:
    """The quarantine record of an event of that id; or of the given text."""
    kept = json.dumps({"type": "click", "event_id": name}) if text is None else text
    made = quarantine_record("missing", "no target", kept, at_ms, source="browser", sent_ms=at_ms, visitor="visitor-1")
    return {**made, **fields}


def deliver(lake: Lake, *batches: Sequence[Mail]) -> None:
    """Store each batch of messages, as the Worker's consumer and a pull do together."""
    for batch in batches:
        for stored in pack_batch(batch):
            lake.write(lake.root / stored.key, stored.content)


def sent(type_: str, number: int, visitor: str = "visitor-1", **fields: object) -> Event:
    """A stored event of the present schema, received at noon."""
    return {
        "schema": 3,
        "type": type_,
        "event_id": f"{type_}-{number}",
        "created_ms": NOON_MS,
        "sent_ms": NOON_MS,
        "received_ms": NOON_MS,
        "happened_ms": NOON_MS,
        "visitor": visitor,
        "session_ms": NOON_MS,
        "page_view": "",
        "source": "browser",
        "user": "",
        **fields,
    }
