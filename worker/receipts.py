"""Receipts: every queue message says which one of its isolate it is, and how many events were sent before it.

With them the origin can balance its books. A gap in the numbers of an isolate's messages is what has not come, and the
difference in `counted` says how many events that is. Where a later receipt calls the number void, the Queue refused
that message: who sent its events was told to keep them. Exposures have no such sender: their message is void only where
the bucket has refused it as well, and is then called lost. Nothing follows the last message of an isolate, so its loss
would not be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from shared.events import SCHEMA

# A receipt must leave its message below the Queue's limit, however long the Queue was out of order.
MOST_VOID: Final = 100
MOST_OPEN: Final = 10_000


@dataclass(slots=True)
class Receipt:
    """The receipt of one message: its number, the events and quarantined events in it, those in all the messages before
    it, whether somebody keeps them until they are accepted, and the numbers of earlier messages that were refused: with
    their events each, and those of them that nobody keeps. Nobody changes it; frozen it would be slow to make."""

    isolate: str
    number: int
    events: int
    quarantined: int
    counted: int
    is_kept: bool
    void: tuple[int, ...] = ()
    void_counted: tuple[int, ...] = ()
    void_lost: tuple[int, ...] = ()

    def to_dict(self, now_ms: int) -> dict[str, object]:
        """The receipt as it is stored, among the events."""
        return {
            "schema": SCHEMA,
            "type": "receipt",
            "event_id": f"{self.isolate}-{self.number}",
            "created_ms": now_ms,
            "sent_ms": now_ms,
            "received_ms": now_ms,
            "happened_ms": now_ms,
            "visitor": "",
            "session_ms": 0,
            "page_view": "",
            "source": "edge",
            "user": "",
            "isolate": self.isolate,
            "number": self.number,
            "events": self.events,
            "quarantined": self.quarantined,
            "counted": self.counted,
            "void": self.void,
            "void_counted": self.void_counted,
            "void_lost": self.void_lost,
        }


@dataclass(slots=True)
class Receipts:
    """The messages of one isolate so far. Plain data: requests that interleave may all use it."""

    isolate: str
    _last: int = 0
    _counted: int = 0
    # Messages of which it is not known yet whether the Queue has them; a request that was cut off never says.
    _open: dict[int, Receipt] = field(default_factory=dict)
    # The receipts of refused messages of which no accepted message has told yet.
    _void: dict[int, Receipt] = field(default_factory=dict)

    def issue(self, events: int, quarantined: int, *, is_kept: bool = True) -> Receipt:
        """Number the next message. What becomes of it is to be told by `settle`; where it is refused and nobody keeps
        its events (not `is_kept`), they are lost."""
        self._last += 1
        receipt = Receipt(self.isolate, self._last, events, quarantined, self._counted, is_kept)
        if self._void:
            void = list(islice(self._void.values(), MOST_VOID))
            receipt.void = tuple([each.number for each in void])
            receipt.void_counted = tuple([each.events + each.quarantined for each in void])
            receipt.void_lost = tuple([each.number for each in void if not each.is_kept])
        self._counted += events + quarantined
        self._open[receipt.number] = receipt
        self._open.pop(receipt.number - MOST_OPEN, None)
        return receipt

    def settle(self, number: int, *, is_accepted: bool) -> None:
        """Note what became of a message. What it tells of others counts as told only once it was accepted."""
        receipt = self._open.pop(number, None)
        if receipt is None:
            return
        if is_accepted:
            for told in receipt.void:
                self._void.pop(told, None)
        else:
            self._void[number] = receipt
