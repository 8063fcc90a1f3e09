"""Events: what the edge logs and the browser reports, one JSON object each.

Two types so far. An `exposure` is a decision whose slot was really written; a `goal` is something the visitor did that
a touchpoint's configuration counts as reward. Common fields: `event_id` (unique within its visitor; the lake
deduplicates by both), `created_ms` (the client's clock), `sent_ms` (the client's clock when the batch left),
`received_ms` (the edge's clock), `visitor`. An event happened at `received − (sent − created)`, which cancels a
wrong client clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from shared.decision import Decision
from shared.errors import InvalidEvent
from shared.parse import Reader

SCHEMA: Final = 2
LATEST_MS: Final = 1 << 53
MAX_ID: Final = 100
# What is logged of a decision, by its own names.
LOGGED: Final = (
    "touchpoint", "unit", "epoch", "variant", "propensity", "eligible", "excluded", "probabilities", "level", "cell",
    "holdout", "randomised", "relaxations", "fallbacks", "reason", "because", "snapshot", "profile",
)  # fmt: skip
MAX_AGE_MS: Final = 30 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A variant shown: the decision, and what it was made from: the request's context and the session's attributes."""

    event_id: str
    created_ms: int
    received_ms: int
    visitor: str
    page_view: str
    url_path: str
    decision: Decision
    segments: tuple[str, ...]
    context: Mapping[str, object]
    session: Mapping[str, object]

    def to_dict(self) -> dict[str, object]:
        """The event as it is stored: the decision's fields stand beside the common ones."""
        decision = self.decision
        return {
            "schema": SCHEMA,
            "type": "exposure",
            "event_id": self.event_id,
            "created_ms": self.created_ms,
            "received_ms": self.received_ms,
            "visitor": self.visitor,
            "page_view": self.page_view,
            "url_path": self.url_path,
            **{name: getattr(decision, name) for name in LOGGED},
            **({"slate": decision.slate, "slate_propensities": decision.slate_propensities} if decision.slate else {}),
            "segments": self.segments,
            "context": self.context,
            "session": self.session,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Something a visitor did: the goal's name and, where it happened in a slot, the touchpoint."""

    event_id: str
    created_ms: int
    sent_ms: int
    received_ms: int
    visitor: str
    page_view: str
    name: str
    touchpoint: str | None

    @property
    def happened_ms(self) -> int:
        """When it happened by the edge's clock: received − (sent − created)."""
        return self.received_ms - (self.sent_ms - self.created_ms)

    def to_dict(self) -> dict[str, object]:
        """The event as it is stored."""
        return {"schema": SCHEMA, "type": "goal", **asdict(self), "happened_ms": self.happened_ms}


def read_goal(
    data: object, *, path: str, visitor: str, sent_ms: int, received_ms: int, goals: tuple[str, ...] | None
) -> Goal:
    """Read one goal event that a browser sent.

    `goals` are the configured names, or None where they are not known. Raises InvalidEvent, with the place below
    `path`, for anything that is not of the schema.
    """
    reader = Reader(data, path, InvalidEvent)
    if reader.text("type", longest=40) != "goal":
        raise reader.fail("type", "goal")
    name = reader.text("name", longest=200)
    if goals is not None and name not in goals:
        raise reader.fail("name", f"a configured goal ({', '.join(goals) or 'none is configured'})")
    created_ms = reader.whole("created_ms", low=0, high=LATEST_MS)
    if not 0 <= sent_ms - created_ms <= MAX_AGE_MS:
        raise InvalidEvent(reader.place("created_ms"), f"is not within 30 days before sent_ms ({sent_ms})")
    event_id = reader.text("event_id", longest=MAX_ID)
    if not event_id:
        raise reader.fail("event_id", "a unique, non-empty string")
    return Goal(
        event_id=event_id,
        created_ms=created_ms,
        sent_ms=sent_ms,
        received_ms=received_ms,
        visitor=visitor,
        page_view=reader.optional_text("page_view", longest=MAX_ID) or "",
        name=name,
        touchpoint=reader.optional_text("touchpoint", longest=200),
    )
