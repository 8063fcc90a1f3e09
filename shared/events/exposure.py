"""The exposure: what the edge logs of a decision whose slot was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.events.fields import EDGE, SCHEMA

if TYPE_CHECKING:
    from shared.decision import Decision  # a snapshot's header holds a plan of events, and a decision reads a snapshot

# What is logged of a decision, by its own names.
LOGGED: Final = (
    "touchpoint", "unit", "epoch", "variant", "propensity", "eligible", "excluded", "earlier", "probabilities", "level",
    "cell", "holdout", "randomised", "relaxations", "fallbacks", "reason", "because", "snapshot", "profile",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A variant shown: the decision, and what it was made from: the request's context and the session's attributes.

    `is_shown` is false where the page was fetched ahead of its time: it counts once a `shown` event of the same visitor
    and page view has come. `user_agent` is cut to 200 characters.
    """

    event_id: str
    created_ms: int
    received_ms: int
    visitor: str
    page_view: str
    url_path: str
    user_agent: str
    is_shown: bool
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
            "sent_ms": self.created_ms,
            "received_ms": self.received_ms,
            "happened_ms": self.received_ms,
            "visitor": self.visitor,
            "session_ms": self.session.get("started_ms", 0),
            "page_view": self.page_view,
            "source": EDGE,
            "user": "",
            "url_path": self.url_path,
            "user_agent": self.user_agent,
            "is_shown": self.is_shown,
            **{name: getattr(decision, name) for name in LOGGED},
            **({"slate": decision.slate, "slate_propensities": decision.slate_propensities} if decision.slate else {}),
            "segments": self.segments,
            "context": self.context,
            "session": self.session,
        }
