"""Crossing: a visitor turns out to be a person who is known by another unit already, and is decided for by that one.

With the unit comes what was drawn by it in epochs that still last: the device repeats what the others show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from shared.decision import Frozen, digest_excluded
from shared.events import SCHEMA
from shared.profile import Draw, Profile
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


def adopt_draws(frozen: tuple[Frozen, ...], session: Session, draws: Iterable[Draw]) -> tuple[Frozen, ...]:
    """Return what is frozen of a visitor's decisions, together with the draws of the person's devices.

    On the first view of a session these replace the visitor's own, later they only fill gaps, so that nobody sees
    variants change while they look. A decision among other eligible variants of the same epoch stays: it is another
    draw.
    """
    kept = {each.touchpoint: each for each in frozen}
    for draw in draws:
        own, adopted = kept.get(draw.touchpoint), _freeze(draw)
        if own is None:
            kept[draw.touchpoint] = adopted
        elif session.views == 1 and (own.epoch, own.excluded) == (adopted.epoch, adopted.excluded):
            kept[draw.touchpoint] = replace(adopted, earlier=own.earlier)
        elif session.views == 1 and own.epoch != adopted.epoch:
            kept[draw.touchpoint] = adopted
    return tuple(kept.values())


def _freeze(draw: Draw) -> Frozen:
    return Frozen(
        touchpoint=draw.touchpoint,
        epoch=draw.epoch,
        excluded=digest_excluded(draw.excluded),
        variants=draw.variants,
        propensities=draw.propensities,
        level=draw.level,
        cell=draw.cell,
        snapshot=draw.snapshot,
        randomised=draw.randomised,
        is_slate=draw.is_slate,
    )
