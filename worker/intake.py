"""Events from browsers: read, judged one by one, and packed for the queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidEvent
from shared.events import LATEST_MS, Goal, read_goal
from shared.parse import Reader, load_json

PATH: Final = "/_usher/events"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_EVENTS: Final = 100
MAX_QUARANTINED_CHARACTERS: Final = 2_000
CONTENT_TYPES: Final = ("application/json", "text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that is refused as a whole: HTTP status, a code for programs, and what to do instead."""

    status: int
    code: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The verdict on a batch: the events that are good, and the others as quarantine records with their reasons."""

    accepted: tuple[Goal, ...]
    quarantined: tuple[dict[str, object], ...]

    def verdicts(self) -> dict[str, object]:
        """The answer to the client."""
        rejected = [{"index": each["index"], "reason": each["reason"]} for each in self.quarantined]
        return {"accepted": len(self.accepted), "quarantined": rejected}


def check_headers(content_type: str | None, content_encoding: str | None, content_length: str | None) -> Refusal | None:
    """Refuse what need not be read at all."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        return Refusal(status=415, code="content_type", remedy=f"send {' or '.join(CONTENT_TYPES)}")
    if (content_encoding or "identity").strip().lower() != "identity":
        return Refusal(status=415, code="content_encoding", remedy="send the body without Content-Encoding")
    if content_length is not None and content_length.isdecimal() and int(content_length[:20]) > MAX_BODY_BYTES:
        return too_large()
    return None


def too_large() -> Refusal:
    """The refusal of a body over the limit."""
    return Refusal(status=413, code="too_large", remedy=f"send at most {MAX_BODY_BYTES} bytes a request")


def read_batch(body: bytes, *, visitor: str, received_ms: int, goals: tuple[str, ...] | None) -> Batch | Refusal:
    """Read a request body: `{"sent_ms": …, "events": […]}`.

    `visitor` is the id from the signed cookie. `goals` as in `read_goal`.
    """
    try:
        reader = Reader(load_json(body.decode("utf-8"), lenient=True), "", InvalidEvent)
        sent_ms = reader.whole("sent_ms", low=0, high=LATEST_MS)
        events = reader.items("events")
    except ValueError:
        return Refusal(status=400, code="not_json", remedy="send one JSON object in UTF-8")
    except InvalidEvent as error:
        return Refusal(status=400, code="not_a_batch", remedy=str(error))
    if len(events) > MAX_EVENTS:
        return Refusal(status=413, code="too_many_events", remedy=f"send at most {MAX_EVENTS} events a request")
    return _judge(events, visitor, sent_ms, received_ms, goals)


def _judge(
    events: Sequence[object], visitor: str, sent_ms: int, received_ms: int, goals: tuple[str, ...] | None
) -> Batch:
    accepted = []
    quarantined = []
    for index, event in enumerate(events):
        try:
            accepted.append(
                read_goal(
                    event,
                    path=f"events[{index}]",
                    visitor=visitor,
                    sent_ms=sent_ms,
                    received_ms=received_ms,
                    goals=goals,
                )
            )
        except InvalidEvent as error:
            text = json.dumps(event)[:MAX_QUARANTINED_CHARACTERS]
            quarantined.append({"index": index, "reason": str(error), "received_ms": received_ms, "event": text})
    return Batch(accepted=tuple(accepted), quarantined=tuple(quarantined))
