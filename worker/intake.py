"""A batch of events: read, judged one by one, and made into lines for the Queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import InvalidEvent
from shared.events import LATEST_MS, SCHEMA, Given, read_event, redact
from shared.parse import Reader, load_json
from shared.snapshot import Snapshot
from worker.admission import Allowance, Sender, limited, too_large
from worker.answers import DONE, Answer, Refusal
from worker.settings import Settings
from worker.storage import event_line, quarantine_line, quarantine_record

PATH: Final = "/_usher/events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The verdict on a batch: the events that are good, and the others as quarantine records with their reasons."""

    accepted: tuple[dict[str, object], ...]
    quarantined: tuple[dict[str, object], ...]

    def lines(self) -> list[str]:
        """The batch as it goes to the Queue."""
        return [*map(event_line, self.accepted), *map(quarantine_line, self.quarantined)]

    def to_answer(self) -> Answer:
        """What the sender is told once the Queue has the batch: it is done with, and what was wrong with some of it."""
        refused = [{key: each[key] for key in ("index", "code", "reason")} for each in self.quarantined]
        return Answer(status=202, body={"accepted": len(self.accepted), "quarantined": refused}, headers=(DONE,))


def read_batch(body: str, given: Given, allowance: Allowance) -> Batch | Refusal:
    """Read a request body: `{"sent_ms": …, "events": […]}`. Its `sent_ms` takes the place of the one in `given`.

    Where its `schema` is newer than this edge's, as may be while a version is rolled out, it is put off unread: fields
    that nobody knows yet would end in quarantine.
    """
    try:
        reader = Reader(load_json(body, lenient=True), "", InvalidEvent)
        if reader.data.get("schema") is not None and reader.whole("schema", low=1, high=LATEST_MS) > SCHEMA:
            return NEWER_SCHEMA
        sent_ms = reader.whole("sent_ms", low=0, high=LATEST_MS)
        events = reader.items("events")
    except ValueError:
        return NOT_JSON
    except InvalidEvent as error:
        remedy = f'send {{"sent_ms": …, "events": […]}}; {error}'
        return Refusal(status=400, code="not_a_batch", remedy=remedy, is_final=True)
    if len(events) > allowance.events:
        remedy = f"send at most {allowance.events} events a request"
        return Refusal(status=413, code="too_many_events", remedy=remedy, is_final=True)
    return _judge(events, replace(given, sent_ms=sent_ms))


NOT_JSON: Final = Refusal(status=400, code="not_json", remedy="send one JSON object in UTF-8", is_final=True)
NEWER_SCHEMA: Final = Refusal(
    status=503,
    code="newer_schema",
    remedy=f"keep the events and send them again under the same ids; this edge reads schema {SCHEMA}",
    retry_after_s=60,
)
CUT_SHORT: Final = Refusal(status=400, code="cut_short", remedy="send the whole body, as long as Content-Length says")
# The sender keeps the whole batch, even where a part of it has reached the Queue: what comes twice is counted once.
NOT_QUEUED: Final = Refusal(
    status=503, code="queue", remedy="keep the events and send them again under the same ids", retry_after_s=5
)
FAILED: Final = Refusal(
    status=503, code="failed", remedy="keep the events and send them again under the same ids", retry_after_s=60
)


def know(sender: Sender, settings: Settings, snapshot: Snapshot | None, now_ms: int) -> Given:
    """What the edge knows of a batch before it has read it; when it was sent, the batch itself says."""
    return Given(
        source=sender.source,
        visitor=sender.visitor,
        session_ms=sender.session_ms,
        sent_ms=0,
        received_ms=now_ms,
        user_agent=sender.user_agent,
        plan=None if snapshot is None else snapshot.header.plan,
        hash_user=settings.hash_user,
        is_signed=settings.is_signed,
        category_of=None if snapshot is None else snapshot.category_of,
    )


def refuse_body(word: str, binding: str, allowance: Allowance) -> Refusal:
    """The refusal of a body that was not read, by the word that `receive` has for it."""
    if word == "limited":
        return limited(binding)
    return {"large": too_large(allowance), "lost": CUT_SHORT}.get(word, NOT_JSON)


def _judge(events: list[object], given: Given) -> Batch:
    accepted = []
    quarantined = []
    for index, event in enumerate(events):
        try:
            accepted.append(read_event(event, f"events[{index}]", given))
        except InvalidEvent as error:
            quarantined.append(_quarantine(event, index, error, given))
    return Batch(accepted=tuple(accepted), quarantined=tuple(quarantined))


def _quarantine(event: object, index: int, error: InvalidEvent, given: Given) -> dict[str, object]:
    return quarantine_record(
        error.code,
        str(error),
        json.dumps(redact(event, given)),
        given.received_ms,
        source=given.source,
        index=index,
        sent_ms=given.sent_ms,
        visitor=given.visitor,
    )
