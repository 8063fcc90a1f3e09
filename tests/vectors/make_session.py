"""The golden cases of the fold: events, and the state after them.

The reference keeps every page view with its largest report and counts them all at the end; it shares no code with the
core, which keeps only sums.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from shared.session import write_session
from tests.vectors.check import fold_events
from tests.vectors.make import Case, same

T_MS = 1_700_000_000_000
DAY_MS = 86_400_000
NAMES = ["pricing", "case-study", "blog", "docs", ""]
MANY = [f"category-{i}" for i in range(15)]
REFERRALS = ["direct", "search", "social", "email", "campaign", "other"]
WAITS_MS = [0, 20_000, 90_000, 600_000, 1_800_000, 1_800_001, 3_600_000, 2 * DAY_MS, 9 * DAY_MS + 5]


def folds() -> list[Case]:
    generator = random.Random(11)
    cases: list[Case] = []
    for number in range(40):
        names = MANY if number % 6 == 5 else NAMES
        events = made_up(generator, names, 2 + number % 25)
        session = fold_events(events)
        attributes = session.to_attributes()
        same(attributes, counted(events))
        cases.append({"events": events, "expected": write_session(session), "attributes": attributes})
    return cases


def made_up(generator: random.Random, names: list[str], pages: int) -> list[list[object]]:
    """Page views some time apart, reports of any of them, and answers."""
    events: list[list[object]] = []
    at_ms = T_MS
    for number in range(pages):
        at_ms += generator.choice(WAITS_MS[:5] if generator.random() < 0.8 else WAITS_MS)
        is_shown = number == 0 or generator.random() < 0.85
        events.append(
            ["viewed", at_ms, name_of(number), generator.choice(names), generator.choice(REFERRALS), is_shown]
        )
        for _ in range(generator.choice([0, 1, 1, 2])):
            about = max(number - generator.choice([0, 0, 0, 1, 2, 5, 9]), 0)
            depth, engaged_s = generator.choice([0, 35, 89, 90, 100, 250]), generator.choice([0, 3, 42, 600, 90_000])
            events.append(["left", name_of(about), depth, engaged_s])
        if generator.random() < 0.1:
            events.append(["declared", {"topic": generator.choice(["coats", "hats"])}])
    return events


def name_of(number: int) -> str:
    return f"18bcfe5{number:03x}-0123456789{number:06x}"


@dataclass
class Page:
    """A page view: in which visit, the how manieth shown there (0: not shown), and its largest report."""

    name: str
    category: str
    visit: int
    place: int
    depth: int = 0
    engaged_s: int = 0


@dataclass
class Visits:
    """All page views of a visitor, and what cannot be told from them."""

    pages: list[Page] = field(default_factory=list)
    visit: int = 0
    started_ms: int = 0
    seen_ms: int = 0
    away_days: int = 0
    referral: str = ""
    preferences: dict[str, str] = field(default_factory=dict)
    sequence: list[str] = field(default_factory=list)
    # The categories that are known, the one visited last at the end, and the pages that are remembered.
    known: list[str] = field(default_factory=list)
    last: list[Page] = field(default_factory=list)

    def shown(self, visit: int) -> list[Page]:
        return [page for page in self.pages if page.visit == visit and page.place]

    def show(self, page: Page) -> None:
        page.place = len(self.shown(page.visit)) + 1
        if page.visit == self.visit and page.category:
            self.sequence.append(page.category)

    def visit_category(self, category: str, is_shown: bool) -> str:
        """Know a category, twelve at most; returns it, or nothing where there is no place for it."""
        if category in self.known:
            if is_shown:
                self.known.sort(key=lambda name: name == category)
            return category
        if len(self.known) == 12:
            seen = {page.category for page in self.pages if page.place}
            leaving = [*(name for name in self.known if name not in seen), *(self.known[:1] if is_shown else [])]
            if not leaving:
                return ""
            self.forget(leaving[0])
        self.known.append(category)
        return category

    def forget(self, category: str) -> None:
        self.known.remove(category)
        for page in self.pages:
            if page.category == category:
                page.category = ""
        if category in self.sequence:
            del self.sequence[: len(self.sequence) - self.sequence[::-1].index(category)]

    def remember(self, page: Page) -> None:
        """Eight pages: what nobody saw goes first."""
        if len(self.last) == 8:
            self.last.remove(next((each for each in self.last if not each.place), self.last[0]))
        self.last.append(page)


def counted(events: list[list[object]]) -> dict[str, object]:
    visits = Visits()
    for kind, *fields in events:
        TAKE[str(kind)](visits, *fields)
    return attributes_of(visits)


def view(visits: Visits, at_ms: int, name: str, category: str, referral: str, is_shown: bool) -> None:
    if not visits.pages:
        visits.started_ms, visits.referral = at_ms, referral
    elif at_ms > visits.seen_ms + 30 * 60_000:
        days = (at_ms - visits.seen_ms) // DAY_MS
        visits.away_days = days + (0 if visits.shown(visits.visit) else visits.away_days)
        visits.visit += 1
        visits.started_ms, visits.referral, visits.sequence = at_ms, referral, []
    visits.seen_ms = max(visits.seen_ms, at_ms)
    page = Page(name, category and visits.visit_category(category, is_shown), visits.visit, 0)
    visits.pages.append(page)
    visits.remember(page)
    if is_shown:
        visits.show(page)


def leave(visits: Visits, name: str, depth: int, engaged_s: int) -> None:
    for page in visits.last:
        if page.name == name:
            if not page.place:
                if page.visit == visits.visit and page.category:
                    visits.visit_category(page.category, True)
                visits.show(page)
            page.depth = max(page.depth, min(depth, 100))
            page.engaged_s = max(page.engaged_s, min(engaged_s, 3_600))


def declare(visits: Visits, preferences: dict[str, str]) -> None:
    visits.preferences = preferences


TAKE: dict[str, Callable[..., None]] = {"viewed": view, "left": leave, "declared": declare}


def attributes_of(visits: Visits) -> dict[str, object]:
    now = visits.shown(visits.visit)
    earlier = [page for page in visits.pages if page.visit < visits.visit and page.place]
    names = visits.known
    interests = {
        name: sum(weigh(page) * (2 if page.depth >= 90 else 1) for page in now if page.category == name)
        for name in names
    }
    recent = visits.sequence[-8:]
    return {
        "started_ms": visits.started_ms,
        "views": len(now),
        "visits": sum(bool(visits.shown(visit)) for visit in range(visits.visit + 1)),
        "away_days": visits.away_days,
        "referral": visits.referral,
        "preferences": visits.preferences,
        "engaged_s": sum(page.engaged_s for page in now),
        "depth": max((page.depth for page in now), default=0),
        "pages_read": sum(page.depth >= 90 for page in now),
        "recent_categories": recent,
        "bigrams": list(dict.fromkeys(f"{a}>{b}" for a, b in pairwise(recent))),
        "top_category": max(reversed(names), key=interests.__getitem__) if any(interests.values()) else "",
        "categories": by_category(names, now),
        "read": by_category(names, [page for page in now if page.depth >= 90]),
        "interests": {name: interest for name, interest in interests.items() if interest},
        "earlier": {
            "views": len(earlier),
            "engaged_s": sum(page.engaged_s for page in earlier),
            "pages_read": sum(page.depth >= 90 for page in earlier),
            "categories": by_category(names, earlier),
            "read": by_category(names, [page for page in earlier if page.depth >= 90]),
        },
    }


def weigh(page: Page) -> int:
    return {1: 4, 2: 3, 3: 2}.get(page.place, 1)


def by_category(names: list[str], pages: list[Page]) -> dict[str, int]:
    counts = {name: sum(page.category == name for page in pages) for name in names}
    return {name: count for name, count in counts.items() if count}
