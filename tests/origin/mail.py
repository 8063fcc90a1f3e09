"""Events as they come into a lake in earnest: in messages with receipts, packed into objects by the Worker's code."""

from __future__ import annotations

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

    def send(
        self, events: Iterable[Event], *, refused: int = 0, at_ms: int = NOON_MS, is_accepted: bool = True
    ) -> list[Mail]:
        """The messages of some events and of so many quarantined ones; none where the Queue does not accept them."""
        lines = [event_line(event) for event in events]
        lines += [
            quarantine_line(quarantine_record("missing", f"no {i}", "{}", at_ms, source="browser", index=i))
            for i in range(refused)
        ]
        messages = pack_messages(lines, self._receipts, at_ms)
        for message in messages:
            self._receipts.settle(message.number, is_accepted=is_accepted)
        return [(f"{self.name}-{each.number}", at_ms, each.text) for each in messages] if is_accepted else []


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
