"""The text form of a visit's state, as the visitor's cookie keeps it: at most 1,024 characters, each of one byte.

Five parts joined by `~`: numbers and referral, joined by dots; the categories, each its letter, name and counts; the
categories of the last pages; the last page views; the preferences.
"""

from __future__ import annotations

from typing import Final

from shared.session.state import Counts, Session

MAX_TEXT: Final = 1_024


def write_session(session: Session) -> str:
    """Return the text form of a state; `read_session` gives the same state again."""
    views, engaged_s, pages_read = session.earlier
    categories = [f"{a}{name}.{b}.{c}.{d}.{e}.{f}" for name, (a, b, c, d, e, f) in session.categories.items()]
    preferences = [f"{question}:{answer}" for question, answer in session.preferences.items()]
    return (
        f"{session.started_ms}.{session.seen_ms}.{session.views}.{session.visits}.{session.away_days}."
        f"{session.engaged_s}.{session.depth}.{session.pages_read}.{views}.{engaged_s}.{pages_read}.{session.referral}"
        f"~{'/'.join(categories)}~{session.recent}~{session.remembered}~{'.'.join(preferences)}"
    )


def read_session(text: str) -> Session:
    """Read a state from its text form. It was signed, so its parts are taken for what they are; raises ValueError for
    what another version wrote."""
    head, categories, recent, remembered, preferences = text.split("~")
    *numbers, referral = head.split(".")
    started_ms, seen_ms, views, visits, away_days, engaged_s, depth, pages_read, a, b, c = map(int, numbers)
    return Session(
        started_ms,
        seen_ms,
        views,
        visits,
        referral,
        _read_preferences(preferences) if preferences else {},
        away_days,
        engaged_s,
        depth,
        pages_read,
        _read_categories(categories) if categories else {},
        recent,
        remembered,
        (a, b, c),
    )


def _read_categories(text: str) -> dict[str, Counts]:
    categories = {}
    for each in text.split("/"):
        name, a, b, c, d, e = each.split(".")
        categories[name[1:]] = name[:1], int(a), int(b), int(c), int(d), int(e)
    return categories


def _read_preferences(text: str) -> dict[str, str]:
    pairs = [pair.partition(":") for pair in text.split(".")]
    return {question: answer for question, _, answer in pairs}
