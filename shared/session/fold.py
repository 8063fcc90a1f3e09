"""The fold: from the state of a visit and one event to the state after it. Pure: the shell says what happened and when.

Each thing counts once. A page view is remembered for a while with what was folded of it, so what a browser reports of
it again, perhaps with more, adds only the difference; the reports of several tabs may come in any order. A page that
was fetched ahead of its time counts from its first report on, since only a page that is shown sends one; before, it
takes no place from what was seen.

    event       in its visit                                     once its visit is over
    --------    ---------------------------------------------    ------------------------------------------
    Viewed      the page counts, its category, its interest      (begins a visit: all counts become earlier)
    Left        what is new of depth and engaged time is added   the same, to the counts of earlier visits
    Declared    the answers replace those before                 the same

Interest in a category is the number of its pages, those read to the end counted twice, weighted by how early in the
visit they came: EARLY_WEIGHTS, and 1 for the others. Early steps say most for two reasons. Leaving is likeliest at
first and grows less likely with every moment spent (C. Liu, R. W. White, S. Dumais, Understanding web browsing
behaviors through Weibull analysis of dwell time, SIGIR 2010, call it negative ageing): a score that ripens late ripens
for few. And what is chosen first is chosen for itself, what comes later often because it stood beside (J. Murphy, C.
Hofacker, R. Mizerski, Primacy and recency effects on clicking behavior, J. Computer-Mediated Communication 11(2), 2006,
find that early links draw most clicks). The numbers are a choice, not a measurement; `[intent]` weighs the sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.session.state import Session
from shared.session.views import (
    NO_CATEGORY,
    View,
    append_view,
    end_visit,
    find_view,
    forget_letter,
    read_view,
    replace_view,
)

SESSION_IDLE_MS: Final = 30 * 60_000
DAY_MS: Final = 86_400_000
# A page is read to its end from this depth of scrolling on (%): what stands below is rarely text.
READ_DEPTH: Final = 90
# What the first pages of a visit count as interest; all others count 1.
EARLY_WEIGHTS: Final = (4, 3, 2)
# No report of a page counts for more.
MOST_ENGAGED_S: Final = 3_600
LETTERS: Final = "abcdefghijkl"
MOST_CATEGORIES: Final = len(LETTERS)
MOST_RECENT: Final = 8
MOST_COUNTED: Final = 1_000_000
MOST_OF_CATEGORY: Final = 999
MOST_DAYS: Final = 99_999


@dataclass(slots=True)
class Viewed:
    """A page was asked for: when (ms, the edge's clock), its view's id, its category (empty: none), where it came from
    (one of REFERRALS; matters where it begins a visit), and whether it is shown (false: fetched ahead of its time)."""

    at_ms: int
    page_view: str
    category: str = ""
    referral: str = "direct"
    is_shown: bool = True


@dataclass(slots=True)
class Left:
    """What a browser says of a page view so far: deepest scroll (%) and engaged seconds, both not negative."""

    page_view: str
    depth: int
    engaged_s: int


@dataclass(slots=True)
class Declared:
    """The visitor's answers by question: at most three, question and answer each of at most 40 letters, digits, `_` and
    `-`."""

    preferences: Mapping[str, str]


Event = Viewed | Left | Declared


def start(viewed: Viewed) -> Session:
    """The state of a new visitor after the first page view."""
    session = Session(viewed.at_ms, viewed.at_ms, 0, 0, viewed.referral)
    _view(session, viewed)
    return session


def fold(session: Session, event: Event) -> Session:
    """Return the state after one more event."""
    after = session.copy()
    if isinstance(event, Viewed):
        if is_over(session, event.at_ms):
            _begin_visit(after, event)
        _view(after, event)
    elif isinstance(event, Left):
        _leave(after, event)
    else:
        after.preferences = event.preferences
    return after


def is_over(session: Session, now_ms: int) -> bool:
    """Whether a page view now would begin another visit."""
    return now_ms - session.seen_ms > SESSION_IDLE_MS


def remembers(session: Session, page_view: str) -> bool:
    """Whether a report of that page view would be folded: this state knows it as one of the last."""
    return find_view(session.remembered, page_view) is not None


def _begin_visit(session: Session, viewed: Viewed) -> None:
    """What was this visit's becomes part of the earlier ones'."""
    away_days = (viewed.at_ms - session.seen_ms) // DAY_MS
    if session.views == 0:  # nothing of that visit was ever shown, so nobody was here
        away_days += session.away_days
    session.away_days = min(away_days, MOST_DAYS)
    views, engaged_s, pages_read = session.earlier
    session.earlier = (
        _most(views + session.views),
        _most(engaged_s + session.engaged_s),
        _most(pages_read + session.pages_read),
    )
    session.categories = {
        name: (letter, 0, 0, 0, _few(earlier + views), _few(earlier_read + read))
        for name, (letter, views, read, _, earlier, earlier_read) in session.categories.items()
    }
    session.remembered = end_visit(session.remembered)
    session.started_ms = session.seen_ms = viewed.at_ms
    session.views = session.engaged_s = session.depth = session.pages_read = 0
    session.referral = viewed.referral
    session.recent = ""


def _view(session: Session, viewed: Viewed) -> None:
    session.seen_ms = max(session.seen_ms, viewed.at_ms)
    category = viewed.category
    letter = _visit_category(session, category, is_shown=viewed.is_shown) if category else NO_CATEGORY
    weight = _count_view(session, category) if viewed.is_shown else 0
    session.remembered = append_view(session.remembered, viewed.page_view, View(letter, 0, 0, weight, False))


def _visit_category(session: Session, category: str, *, is_shown: bool) -> str:
    """Put a category behind the others, where its page is shown; returns its letter.

    Where there are too many, one goes of which no page was ever shown, or else the one that was not visited for longest
    (longer ago than the sequence goes back); a page that is only fetched ahead then stays without a category.
    """
    categories = dict(session.categories)
    known = categories.get(category)
    if known is not None and not is_shown:
        return known[0]
    if known is None:
        letter = LETTERS[len(categories) % MOST_CATEGORIES]
        if len(categories) == MOST_CATEGORIES:
            leaving = next((name for name, counts in categories.items() if not any(counts[1:])), None)
            if leaving is None and not is_shown:
                return NO_CATEGORY
            letter = categories.pop(leaving or next(iter(categories)))[0]
            session.remembered = forget_letter(session.remembered, letter)
        known = (letter, 0, 0, 0, 0, 0)
    categories.pop(category, None)
    categories[category] = known
    session.categories = categories
    return known[0]


def _count_view(session: Session, category: str) -> int:
    """Count a page that is shown; returns its weight."""
    number = session.views
    if number == 0:
        session.visits = _most(session.visits + 1)
    session.views = _most(number + 1)
    weight = EARLY_WEIGHTS[number] if number < len(EARLY_WEIGHTS) else 1
    if category:
        letter, views, read, interest, earlier_views, earlier_read = session.categories[category]
        counts = (letter, _few(views + 1), read, _few(interest + weight), earlier_views, earlier_read)
        session.categories = {**session.categories, category: counts}
        session.recent = session.recent[1 - MOST_RECENT :] + letter
    return weight


def _leave(session: Session, left: Left) -> None:
    at = find_view(session.remembered, left.page_view)
    if at is None:
        return
    letter, depth, engaged_s, weight, is_earlier = read_view(session.remembered, at)
    deepest = min(max(depth, left.depth), 100)
    longest_s = min(max(engaged_s, left.engaged_s), MOST_ENGAGED_S)
    is_new = weight == 0
    if deepest == depth and longest_s == engaged_s and not is_new:
        return
    more_s = longest_s - engaged_s
    is_read = depth < READ_DEPTH <= deepest
    category = "" if letter == NO_CATEGORY else _name(session, letter)
    if is_earlier:
        weight = 1
        views, total_s, pages_read = session.earlier
        session.earlier = (_most(views + is_new), _most(total_s + more_s), _most(pages_read + is_read))
        if category:
            _add_earlier(session, category, is_new, is_read)
    else:
        if is_new:
            if category:
                _visit_category(session, category, is_shown=True)
            weight = _count_view(session, category)
        session.engaged_s = _most(session.engaged_s + more_s)
        session.depth = max(session.depth, deepest)
        session.pages_read = _most(session.pages_read + is_read)
        if category and is_read:
            _add_read(session, category, weight)
    session.remembered = replace_view(session.remembered, at, View(letter, deepest, longest_s, weight, is_earlier))


def _add_read(session: Session, category: str, weight: int) -> None:
    """A page of the category was read to its end in this visit."""
    letter, views, read, interest, earlier_views, earlier_read = session.categories[category]
    counts = (letter, views, _few(read + 1), _few(interest + weight), earlier_views, earlier_read)
    session.categories = {**session.categories, category: counts}


def _add_earlier(session: Session, category: str, is_new: bool, is_read: bool) -> None:
    """A page of an earlier visit turns out to have been shown, or read to its end."""
    letter, views, read, interest, earlier_views, earlier_read = session.categories[category]
    counts = (letter, views, read, interest, _few(earlier_views + is_new), _few(earlier_read + is_read))
    session.categories = {**session.categories, category: counts}


def _name(session: Session, letter: str) -> str:
    return next(name for name, counts in session.categories.items() if counts[0] == letter)


def _most(count: int) -> int:
    return count if count < MOST_COUNTED else MOST_COUNTED


def _few(count: int) -> int:
    return count if count < MOST_OF_CATEGORY else MOST_OF_CATEGORY
