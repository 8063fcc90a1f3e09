"""The state of a visit: what the edge knows of it, what it keeps of earlier visits, and how decisions read both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

# Where a session may have come from.
REFERRALS: Final = ("direct", "search", "social", "email", "campaign", "other")
# What a category may be called: its name stands in a cookie, and in the paths of attributes.
CATEGORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}", re.ASCII)


# One category: the letter that stands for it within the state; its pages in this visit, those of them read to the end,
# and the interest shown; its pages in all earlier visits together, and those of them read to the end. A plain tuple, as
# a dozen of them are made with every page.
Counts = tuple[str, int, int, int, int, int]
# All earlier visits together: pages, engaged seconds, pages read to the end.
Earlier = tuple[int, int, int]


@dataclass(slots=True)
class Session:
    """The state of a visit. Nobody changes it but the fold, on a copy of its own; frozen it would be slow to make.

    When it started and when its last page was asked for (ms); its pages, its number among the visitor's visits, and
    where it came from; what the visitor has declared, answer by question; whole days since the visit before; engaged
    seconds, the deepest scroll of any page (%) and the pages read to the end; counts by category, the one visited last
    at the end; the categories of its last pages, a letter each; the last page views with what was folded of them, in
    the text form that `shared.session.views` reads; and what remains of earlier visits.
    """

    started_ms: int
    seen_ms: int = 0
    views: int = 1
    visits: int = 1
    referral: str = "direct"
    preferences: Mapping[str, str] = field(default_factory=dict)
    away_days: int = 0
    engaged_s: int = 0
    depth: int = 0
    pages_read: int = 0
    categories: Mapping[str, Counts] = field(default_factory=dict)
    recent: str = ""
    remembered: str = ""
    earlier: Earlier = (0, 0, 0)

    def copy(self) -> Session:
        """Another session with the same values. By position: by name it takes seven times as long."""
        return Session(
            self.started_ms, self.seen_ms, self.views, self.visits, self.referral, self.preferences, self.away_days,
            self.engaged_s, self.depth, self.pages_read, self.categories, self.recent, self.remembered, self.earlier,
        )  # fmt: skip

    def to_attributes(self) -> dict[str, object]:
        """What conditions may ask about the session, but for its intent, which needs the published weights."""
        views: dict[str, int] = {}
        read: dict[str, int] = {}
        interests: dict[str, int] = {}
        earlier_views: dict[str, int] = {}
        earlier_read: dict[str, int] = {}
        names: dict[str, str] = {}
        for name, (letter, seen, finished, interest, seen_earlier, finished_earlier) in self.categories.items():
            names[letter] = name
            if seen:
                views[name] = seen
                interests[name] = interest
                if finished:
                    read[name] = finished
            if seen_earlier:
                earlier_views[name] = seen_earlier
                if finished_earlier:
                    earlier_read[name] = finished_earlier
        recent = [names[letter] for letter in self.recent]
        return {
            "started_ms": self.started_ms,
            "views": self.views,
            "visits": self.visits,
            "away_days": self.away_days,
            "referral": self.referral,
            "preferences": self.preferences,
            "engaged_s": self.engaged_s,
            "depth": self.depth,
            "pages_read": self.pages_read,
            "recent_categories": recent,
            "bigrams": _pair(recent),
            "top_category": max(reversed(interests), key=interests.__getitem__) if interests else "",
            "categories": views,
            "read": read,
            "interests": interests,
            "earlier": {
                "views": self.earlier[0],
                "engaged_s": self.earlier[1],
                "pages_read": self.earlier[2],
                "categories": earlier_views,
                "read": earlier_read,
            },
        }


def _pair(categories: Iterable[str]) -> list[str]:
    """The bigrams of a sequence, each once, in their order."""
    return list(dict.fromkeys([f"{before}>{after}" for before, after in pairwise(categories)]))
