"""Crossing: a visitor turns out to be a person who is known by another unit already, and is decided for by that one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.events import SCHEMA
from shared.profile import Profile
from shared.session import Session
from worker.visitor import Visitor

# What a cookie can hold of a unit; visitor ids are of this form.
_UNIT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A visitor's cookie has taken over another unit, on a page view at a moment (ms) of a session."""

    visitor: str
    session_ms: int
    page_view: str
    at_ms: int
    unit_before: str
    unit: str

    def to_dict(self) -> dict[str, object]:
        """The event as it is stored."""
        return {
            "schema": SCHEMA,
            "type": "crossing",
            "event_id": f"{self.page_view}-crossing",
            "created_ms": self.at_ms,
            "sent_ms": self.at_ms,
            "received_ms": self.at_ms,
            "happened_ms": self.at_ms,
            "visitor": self.visitor,
            "session_ms": self.session_ms,
            "page_view": self.page_view,
            "source": "edge",
            "user": "",
            "unit_before": self.unit_before,
            "unit": self.unit,
        }


def find_unit(visitor: Visitor, session: Session, profile: Profile | None) -> str:
    """The unit to decide for: on the first view of a session the one that the profile names, later the visitor's own,
    so that nobody changes arms and variants while they look."""
    if profile is None or session.views != 1 or _UNIT.fullmatch(profile.header.unit) is None:
        return visitor.unit
    return profile.header.unit
