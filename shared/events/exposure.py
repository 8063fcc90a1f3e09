"""The exposure: what the edge logs of a decision whose slot was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from shared.events.fields import EDGE, SCHEMA

if TYPE_CHECKING:
    from shared.decision import Decision  # a snapshot's header holds a plan of events, and a decision reads a snapshot

# What is logged of a decision, by its own names.
LOGGED: Final = (
    "touchpoint", "unit", "epoch", "variant", "propensity", "eligible", "excluded", "earlier", "probabilities", "level",
    "cell", "holdout", "randomised", "relaxations", "fallbacks", "reason", "because", "snapshot", "profile",
)  # fmt: skip
_read_logged: Final = attrgetter(*LOGGED)


@dataclass(slots=True, kw_only=True)
class Exposures:
    """The variants that a page view showed. What was decided is each one's own; all else they have in common, so that
    it need be written only once. Nobody changes it; frozen it would be slow to make.

    `at_ms` is when the edge decided. `is_shown` is false where the page was fetched ahead of its time: it counts once a
    `shown` event of the same visitor and page view has come. `user_agent` is cut to 200 characters. `segments`,
    `context` and `session` are what the decisions were made from: the rule segments that fit, the request's context,
    and the session's attributes.
    """

    page_view: str
    visitor: str
    at_ms: int
    url_path: str
    user_agent: str
    is_shown: bool
    segments: tuple[str, ...]
    context: Mapping[str, object]
    session: Mapping[str, object]

    def common(self) -> dict[str, object]:
        """The fields of a stored exposure that are the same for all of the page view."""
        return {
            "schema": SCHEMA,
            "type": "exposure",
            "created_ms": self.at_ms,
            "sent_ms": self.at_ms,
            "received_ms": self.at_ms,
            "happened_ms": self.at_ms,
            "visitor": self.visitor,
            "session_ms": self.session.get("started_ms", 0),
            "page_view": self.page_view,
            "source": EDGE,
            "user": "",
            "url_path": self.url_path,
            "user_agent": self.user_agent,
            "is_shown": self.is_shown,
            "segments": self.segments,
            "context": self.context,
            "session": self.session,
        }

    def own(self, decision: Decision) -> dict[str, object]:
        """The other fields, which one decision gives: they stand beside the common ones."""
        own: dict[str, object] = dict(zip(LOGGED, _read_logged(decision), strict=True))
        own["event_id"] = f"{self.page_view}-{decision.touchpoint}"
        if decision.slate:
            own["slate"] = decision.slate
            own["slate_propensities"] = decision.slate_propensities
        return own
