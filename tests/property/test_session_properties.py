"""The fold under any events: in one batch or many, with reports in any order, again and again, and hostile ones."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.session import (
    CATEGORY,
    REFERRALS,
    Declared,
    Event,
    Left,
    Session,
    Viewed,
    fold,
    read_session,
    remembers,
    start,
    write_session,
)
from shared.session.fold import (
    MOST_CATEGORIES,
    MOST_COUNTED,
    MOST_DAYS,
    MOST_ENGAGED_S,
    MOST_OF_CATEGORY,
    MOST_RECENT,
    SESSION_IDLE_MS,
)
from shared.session.text import MAX_TEXT
from shared.session.views import MOST_REMEMBERED, WIDTH

T_MS = 1_700_000_000_000
LATEST_MS = 9_999_999_999_999  # in the year 2286
WAITS = st.sampled_from([0, 1, 60_000, SESSION_IDLE_MS, SESSION_IDLE_MS + 1, 86_400_000, 10**9])
NAMES = st.sampled_from(["", *(f"c{i}" for i in range(MOST_CATEGORIES + 4))])
WORDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
PREFERENCES = st.dictionaries(WORDS, WORDS, max_size=3)
# Small numbers of views, so that reports find theirs, and numbers that nobody believes.
REPORTS = st.builds(
    Left,
    st.integers(0, 12).map("view-{:06}".format) | st.text(max_size=8),
    st.integers(0, 120) | st.integers(0, 10**30),
    st.integers(0, 5_000) | st.integers(0, 10**30),
)


@st.composite
def visits(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES, *, is_shown: bool = False) -> list[Event]:
    """Page views, each with a number of its own, some fetched ahead of their time; reports and answers in between."""
    at_ms = T_MS
    events: list[Event] = []
    for number in range(draw(st.integers(1, 12))):
        at_ms = min(at_ms + draw(WAITS), LATEST_MS)
        shown = is_shown or draw(st.integers(0, 4)) > 0
        referral = draw(st.sampled_from(REFERRALS))
        events.append(Viewed(at_ms, f"view-{number:06}", draw(names), referral, shown))
        events += draw(st.lists(REPORTS, max_size=2))
        events += draw(st.lists(st.builds(Declared, PREFERENCES), max_size=1))
    return events


def fold_all(events: list[Event]) -> Session:
    first, *others = events
    assert isinstance(first, Viewed)
    return reduce(fold, others, start(first))


def kept(session: Session) -> Session:
    """The state as it comes back from the cookie."""
    return read_session(write_session(session))


@given(visits())
def test_the_state_is_the_same_in_one_batch_or_with_a_cookie_between_all_events(events: list[Event]) -> None:
    first, *others = events
    assert isinstance(first, Viewed)
    session = kept(start(first))
    for event in others:
        session = kept(fold(session, event))
    at_once = fold_all(events)
    assert session == at_once
    assert write_session(session) == write_session(at_once)  # dictionaries are equal in any order, texts are not
    assert session.to_attributes() == at_once.to_attributes()


@given(visits(is_shown=True), st.lists(REPORTS, max_size=6), st.randoms())
def test_reports_of_several_tabs_may_come_in_any_order(
    events: list[Event], reports: list[Left], random: object
) -> None:
    session = fold_all(events)
    mixed = list(reports)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert write_session(reduce(fold, mixed, session)) == write_session(reduce(fold, reports, session))


@given(visits(is_shown=True), st.lists(REPORTS, max_size=4), WAITS, NAMES)
def test_a_report_counts_the_same_before_and_after_the_next_page(
    events: list[Event], reports: list[Left], wait_ms: int, name: str
) -> None:
    session = fold_all(events)
    following = Viewed(session.seen_ms + wait_ms, "view-next-1", name)
    after = fold(session, following)
    late = [each for each in reports if remembers(session, each.page_view) == remembers(after, each.page_view)]
    first = fold(reduce(fold, late, session), following)
    assert write_session(first) == write_session(reduce(fold, late, after))


@given(visits(), st.lists(REPORTS, max_size=4), st.data())
def test_a_report_that_comes_again_changes_nothing(
    events: list[Event], reports: list[Left], data: st.DataObject
) -> None:
    session = reduce(fold, reports, fold_all(events))
    again = data.draw(st.lists(st.sampled_from(reports), max_size=6)) if reports else []
    for report in again:
        weaker = Left(
            report.page_view, data.draw(st.integers(0, report.depth)), data.draw(st.integers(0, report.engaged_s))
        )
        assert fold(fold(session, report), weaker) == session


@given(visits())
def test_the_parts_of_a_view_add_up_to_its_largest_report(events: list[Event]) -> None:
    """What a report says in several steps, each larger than the one before, counts as much as the last alone."""
    session = fold_all(events)
    name = next(each.page_view for each in reversed(events) if isinstance(each, Viewed))
    steps = [Left(name, depth, depth * 3) for depth in (20, 60, 89, 90, 99)]
    assert reduce(fold, steps, session) == fold(session, steps[-1])


LONG_NAMES = st.integers(0, 30).map(lambda i: f"{i:02}{'-' * 22}")


@given(visits(LONG_NAMES | st.from_regex(CATEGORY, fullmatch=True)), st.lists(REPORTS, max_size=8))
def test_whatever_is_reported_the_state_is_valid_and_within_its_bounds(
    events: list[Event], reports: list[Left]
) -> None:
    session = fold_all(events)
    for report in reports:
        session = fold(session, report)
        check(session)
    text = write_session(session)
    assert len(text.encode()) <= MAX_TEXT
    assert kept(session) == session


def check(session: Session) -> None:
    assert 0 <= session.depth <= 100
    assert 0 <= session.away_days <= MOST_DAYS
    counts = (session.views, session.visits, session.engaged_s, session.pages_read, *session.earlier)
    assert all(0 <= count <= MOST_COUNTED for count in counts)
    assert session.engaged_s <= MOST_ENGAGED_S * session.views
    assert session.pages_read <= session.views
    assert len(session.categories) <= MOST_CATEGORIES
    letters = [each[0] for each in session.categories.values()]
    assert len(set(letters)) == len(letters)
    assert len(session.recent) <= MOST_RECENT
    assert set(session.recent) <= set(letters)
    assert len(session.remembered) <= MOST_REMEMBERED * WIDTH
    assert set(session.remembered[6::WIDTH]) <= {*letters, "-"}
    for _, views, read, interest, earlier_views, earlier_read in session.categories.values():
        assert 0 <= read <= views <= interest or interest == MOST_OF_CATEGORY
        assert 0 <= earlier_read <= earlier_views <= MOST_OF_CATEGORY
    attributes = session.to_attributes()
    recent = attributes["recent_categories"]
    assert isinstance(recent, list)
    assert attributes["bigrams"] == list(dict.fromkeys(f"{a}>{b}" for a, b in pairwise(recent)))


def test_a_state_in_which_everything_is_at_its_largest_fits_into_a_kilobyte() -> None:
    session = start(Viewed(LATEST_MS, "view-x", "", "campaign"))
    names = [f"{i:02}{'-' * 22}" for i in range(MOST_CATEGORIES)]
    largest = (MOST_OF_CATEGORY,) * 5
    session.categories = {name: (letter, *largest) for letter, name in zip("abcdefghijkl", names, strict=True)}
    session.away_days = MOST_DAYS
    session.views = session.visits = session.engaged_s = session.pages_read = MOST_COUNTED
    session.earlier = (MOST_COUNTED, MOST_COUNTED, MOST_COUNTED)
    session.preferences = {letter * 40: "-" * 40 for letter in "abc"}
    for i in range(MOST_REMEMBERED):
        session = fold(session, Viewed(LATEST_MS, f"view-{i:06}", names[i]))
        session = fold(session, Left(f"view-{i:06}", 100, MOST_ENGAGED_S))
    check(session)
    assert len(session.recent) == MOST_RECENT
    assert kept(session) == session
    assert 1_000 < len(write_session(session).encode()) <= MAX_TEXT
