"""The fold: what each event does to the state of a visit, and that each thing counts once."""

from __future__ import annotations

from functools import reduce

import pytest

from shared.session import Declared, Event, Left, Session, Viewed, fold, is_over, read_session, remembers, start
from shared.session.fold import (
    DAY_MS,
    EARLY_WEIGHTS,
    MOST_CATEGORIES,
    MOST_COUNTED,
    MOST_DAYS,
    MOST_ENGAGED_S,
    MOST_OF_CATEGORY,
    MOST_RECENT,
    SESSION_IDLE_MS,
)
from shared.session.views import MOST_REMEMBERED

T_MS = 1_700_000_000_000


def view(number: int, category: str = "", after_ms: int | None = None, **fields: object) -> Viewed:
    """The page view of that number, a minute after the one before where nothing else is said."""
    at_ms = T_MS + (number * 60_000 if after_ms is None else after_ms)
    return Viewed(at_ms, f"view-{number:06}", category, **fields)  # type: ignore[arg-type]


def left(number: int, depth: int = 0, engaged_s: int = 0) -> Left:
    return Left(f"view-{number:06}", depth, engaged_s)


def folded(first: Viewed, *events: Event) -> Session:
    return reduce(fold, events, start(first))


def read(session: Session, *path: str) -> object:
    value: object = session.to_attributes()
    for step in path:
        assert isinstance(value, dict)
        value = value.get(step, 0)
    return value


def test_a_first_view_starts_a_visit() -> None:
    session = start(view(0, "pricing", referral="search"))
    assert (session.started_ms, session.seen_ms, session.views, session.visits) == (T_MS, T_MS, 1, 1)
    assert (session.referral, read(session, "categories")) == ("search", {"pricing": 1})


def test_a_page_without_a_category_counts_and_leaves_the_sequence_as_it_is() -> None:
    session = folded(view(0, "pricing"), view(1), view(2, "case-study"))
    assert session.views == 3
    assert read(session, "recent_categories") == ["pricing", "case-study"]
    assert read(session, "bigrams") == ["pricing>case-study"]


def test_pages_of_a_category_and_their_bigrams_are_counted() -> None:
    pages = [view(i, name) for i, name in enumerate(["pricing", "case-study", "pricing", "pricing"])]
    session = folded(pages[0], *pages[1:])
    assert read(session, "categories") == {"case-study": 1, "pricing": 3}
    assert read(session, "bigrams") == ["pricing>case-study", "case-study>pricing", "pricing>pricing"]


def test_the_sequence_holds_the_last_eight() -> None:
    session = folded(view(0, "first"), *[view(i, f"c{i % 3}") for i in range(1, 12)])
    assert read(session, "recent_categories") == [f"c{i % 3}" for i in range(12 - MOST_RECENT, 12)]


@pytest.mark.parametrize("idle_ms", [0, 1, SESSION_IDLE_MS])
def test_a_view_within_thirty_minutes_continues_the_visit(idle_ms: int) -> None:
    session = folded(view(0, referral="email"), view(1, after_ms=idle_ms, referral="search"))
    assert (session.started_ms, session.seen_ms) == (T_MS, T_MS + idle_ms)
    assert (session.views, session.visits, session.referral) == (2, 1, "email")
    assert not is_over(session, session.seen_ms + SESSION_IDLE_MS)


def test_a_view_after_thirty_idle_minutes_begins_a_visit() -> None:
    later_ms = SESSION_IDLE_MS + 1
    session = folded(
        view(0, "pricing", referral="email"), left(0, 95, 30), view(1, "blog", later_ms, referral="search")
    )
    assert is_over(start(view(0)), T_MS + later_ms)
    assert (session.started_ms, session.seen_ms) == (T_MS + later_ms, T_MS + later_ms)
    assert (session.views, session.visits, session.referral) == (1, 2, "search")
    assert (session.engaged_s, session.depth, session.pages_read) == (0, 0, 0)
    assert read(session, "recent_categories") == ["blog"]
    assert read(session, "categories") == {"blog": 1}
    assert read(session, "interests") == {"blog": EARLY_WEIGHTS[0]}
    assert read(session, "earlier") == {
        "views": 1,
        "engaged_s": 30,
        "pages_read": 1,
        "categories": {"pricing": 1},
        "read": {"pricing": 1},
    }


def test_a_visit_counts_its_views_and_its_visits() -> None:
    at_ms, seen, session = 0, [], start(view(0))
    for number, wait_ms in enumerate((5_000, SESSION_IDLE_MS, SESSION_IDLE_MS + 1, 60_000, DAY_MS), 1):
        at_ms += wait_ms
        session = fold(session, view(number, after_ms=at_ms))
        seen.append((session.visits, session.views))
    assert seen == [(1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]


@pytest.mark.parametrize(
    ("away_ms", "days"),
    [(SESSION_IDLE_MS + 1, 0), (DAY_MS - 1, 0), (DAY_MS, 1), (2 * DAY_MS + 5, 2), (DAY_MS * 10**6, MOST_DAYS)],
)
def test_recency_is_whole_days_since_the_visit_before(away_ms: int, days: int) -> None:
    session = folded(view(0), view(1, after_ms=away_ms))
    assert session.away_days == days
    assert fold(session, view(2, after_ms=away_ms + 1)).away_days == days


def test_a_visit_of_which_no_view_is_remembered_ends_like_any_other() -> None:
    # What a cookie of the version before says of a visit.
    session = fold(Session(started_ms=T_MS, seen_ms=T_MS, views=4, visits=2), view(1, "a", DAY_MS))
    assert (session.visits, session.views, session.earlier) == (3, 1, (4, 0, 0))


def test_a_clock_that_goes_back_ends_no_visit_and_moves_nothing_back() -> None:
    session = folded(view(0), view(1, after_ms=-5_000))
    assert (session.started_ms, session.seen_ms, session.views) == (T_MS, T_MS, 2)


def test_early_pages_weigh_more() -> None:
    session = start(view(0, "a"))
    gained = [read(session, "interests", "a")]
    for number in range(1, 6):
        session = fold(session, view(number, "a"))
        gained.append(read(session, "interests", "a"))
    assert gained == [4, 7, 9, 10, 11, 12]


def test_a_page_read_to_its_end_counts_its_interest_again() -> None:
    session = folded(view(0, "a"), view(1, "b"), view(2, "c"), view(3, "d"))
    assert read(session, "interests") == {"a": 4, "b": 3, "c": 2, "d": 1}
    for number in range(4):
        session = fold(session, left(number, 90))
    assert read(session, "interests") == {"a": 8, "b": 6, "c": 4, "d": 2}


def test_the_deepest_page_and_the_time_on_all_of_them_are_kept() -> None:
    session = folded(view(0, "a"), left(0, 40, 20), view(1, "a"), left(1, 89, 70), view(2), left(2, 60, 5))
    assert (session.depth, session.engaged_s, session.pages_read) == (89, 95, 0)
    assert read(session, "read") == {}


def test_a_longer_report_of_a_view_adds_what_is_new() -> None:
    session = folded(view(0, "a"), left(0, 30, 10), left(0, 95, 25), left(0, 95, 40))
    assert (session.depth, session.engaged_s, session.pages_read) == (95, 40, 1)
    assert read(session, "read") == {"a": 1}


@pytest.mark.parametrize("again", [left(0, 95, 40), left(0, 95, 39), left(0, 10, 40), left(0, 0, 0)])
def test_a_report_that_says_nothing_new_changes_nothing(again: Left) -> None:
    session = folded(view(0, "a"), left(0, 95, 40))
    assert fold(session, again) == session


@pytest.mark.parametrize("unknown", ["view-000009", "", "0", "0view-", "view-000000x", "000000a00000"])
def test_a_report_of_an_unknown_view_changes_nothing(unknown: str) -> None:
    session = folded(view(0, "a"), view(1, "b"))
    assert not remembers(session, unknown)
    assert fold(session, Left(unknown, 95, 40)) == session


def test_reports_do_not_count_for_more_than_a_reader_can() -> None:
    session = folded(view(0, "a"), left(0, 100_000, 10**9))
    assert (session.depth, session.engaged_s) == (100, MOST_ENGAGED_S)


def test_the_last_eight_views_are_remembered() -> None:
    session = folded(view(0), *[view(i, "a") for i in range(1, 12)])
    assert [i for i in range(12) if remembers(session, f"view-{i:06}")] == list(range(12 - MOST_REMEMBERED, 12))
    assert len(session.remembered) == 13 * MOST_REMEMBERED


def test_a_view_is_found_by_its_own_end_and_not_across_two() -> None:
    session = folded(Viewed(T_MS, "x-abcdef", "a"), Viewed(T_MS, "x-123456", "a"))
    text = session.remembered
    for at in range(len(text)):
        assert remembers(session, text[at : at + 6]) == (at % 13 == 0)


def test_a_report_of_a_visit_that_is_over_counts_for_the_earlier_ones() -> None:
    late = [left(0, 95, 40), left(0, 100, 50)]
    before = folded(view(0, "a"), *late, view(1, "b", DAY_MS))
    after = folded(view(0, "a"), view(1, "b", DAY_MS), *late)
    assert before == after
    assert read(after, "earlier") == {
        "views": 1,
        "engaged_s": 50,
        "pages_read": 1,
        "categories": {"a": 1},
        "read": {"a": 1},
    }
    assert (after.depth, after.engaged_s, after.pages_read) == (0, 0, 0)


def test_a_report_of_an_earlier_page_without_a_category_counts_its_time() -> None:
    session = folded(view(0), view(1, "b", DAY_MS), left(0, 95, 40))
    assert session.earlier == (1, 40, 1)
    assert read(session, "earlier", "read") == {}


def test_a_page_fetched_ahead_counts_once_it_reports() -> None:
    ahead = view(1, "b", is_shown=False)
    before = folded(view(0, "a"), ahead)
    assert (before.views, read(before, "categories")) == (1, {"a": 1})
    shown = fold(before, left(1))
    assert (shown.views, read(shown, "categories"), read(shown, "interests")) == (2, {"a": 1, "b": 1}, {"a": 4, "b": 3})
    assert read(shown, "bigrams") == ["a>b"]
    assert fold(shown, left(1)) == shown
    assert fold(shown, left(1, 95, 9)) == fold(before, left(1, 95, 9))


def test_a_page_fetched_ahead_that_is_never_shown_counts_for_nothing() -> None:
    session = folded(view(0, is_shown=False), view(1, "a", 1_000, is_shown=False))
    assert (session.views, session.visits) == (0, 0)
    again = fold(session, view(2, "a", 3 * DAY_MS))
    assert (again.views, again.visits, again.earlier) == (1, 1, (0, 0, 0))
    assert read(again, "earlier", "categories") == {}


def test_a_visit_of_which_nothing_was_shown_does_not_hide_how_long_the_visitor_was_away() -> None:
    session = folded(view(0), view(1, after_ms=3 * DAY_MS, is_shown=False), view(2, after_ms=5 * DAY_MS))
    assert (session.visits, session.away_days) == (2, 5)


def test_a_page_fetched_ahead_and_shown_before_the_visit_was_over_counts_for_the_earlier_ones() -> None:
    for name, earlier in (("a", {"a": 1}), ("", {})):
        session = folded(view(0), view(1, name, is_shown=False), view(2, "b", DAY_MS), left(1, 0, 7))
        assert session.earlier == (2, 7, 0)
        assert read(session, "earlier", "categories") == earlier
        assert (session.views, session.visits) == (1, 2)
        assert fold(session, left(1, 0, 7)) == session


def test_a_page_without_a_category_that_was_fetched_ahead_counts_once_it_is_shown() -> None:
    session = folded(view(0), view(1, is_shown=False), left(1, 90, 3))
    assert (session.views, session.engaged_s, session.pages_read) == (2, 3, 1)


def test_declared_preferences_replace_those_before_and_outlast_the_visit() -> None:
    session = folded(view(0), Declared({"topic": "coats"}), view(1, after_ms=DAY_MS))
    assert session.preferences == {"topic": "coats"}
    assert fold(session, Declared({"size": "xl"})).preferences == {"size": "xl"}
    assert fold(session, Declared({})).preferences == {}


def test_a_thirteenth_category_takes_the_place_of_the_one_not_visited_for_longest() -> None:
    names = [f"c{i}" for i in range(MOST_CATEGORIES)]
    session = folded(view(0, names[0]), *[view(i, name) for i, name in enumerate(names[1:], 1)])
    session = fold(session, view(20, "c0"))
    session = fold(session, view(21, "new"))
    assert list(session.categories) == [*names[2:], "c0", "new"]
    assert sorted(counts[0] for counts in session.categories.values()) == list("abcdefghijkl")
    assert read(session, "categories", "c0") == 2


def ahead(number: int, category: str = "") -> Viewed:
    """A page fetched ahead of its time, all in the same minute."""
    return view(number, category, 300_000, is_shown=False)


def test_pages_fetched_ahead_take_no_place_from_categories_that_were_visited() -> None:
    visited = [f"c{i}" for i in range(MOST_CATEGORIES)]
    session = folded(*[view(i, name) for i, name in enumerate(visited)])
    for i in range(20):
        session = fold(session, ahead(30 + i, f"ahead-{i}"))
    assert list(session.categories) == visited
    shown = fold(session, left(49, 0, 7))
    assert (shown.views, shown.engaged_s, list(shown.categories)) == (MOST_CATEGORIES + 1, 7, visited)
    later = folded(view(0, "kept"), left(0, 95, 40), *[ahead(1 + i, f"ahead-{i}") for i in range(40)])
    later = fold(later, view(60, "new", 3 * DAY_MS))
    assert read(later, "earlier", "read") == {"kept": 1}
    assert read(later, "categories") == {"new": 1}


def test_a_category_that_was_only_fetched_ahead_goes_first_and_its_page_is_then_without_one() -> None:
    session = folded(view(0, "first"), *[ahead(i, f"ahead-{i}") for i in range(5, 4 + MOST_CATEGORIES)])
    session = fold(fold(session, ahead(16, "ahead-5")), view(20, "second"))
    assert list(session.categories) == ["first", *[f"ahead-{i}" for i in range(6, 4 + MOST_CATEGORIES)], "second"]
    assert session.categories["second"][0] == "b"
    shown = fold(session, left(16, 95, 3))
    assert (read(shown, "categories"), read(shown, "read")) == ({"first": 1, "second": 1}, {})
    assert (shown.views, shown.pages_read) == (3, 1)


def test_a_category_that_was_fetched_ahead_is_the_last_one_visited_once_it_is_shown() -> None:
    session = folded(view(0, "a"), ahead(1, "b"), view(2, "c"), ahead(3, "a"))
    assert list(session.categories) == ["a", "b", "c"]
    assert list(fold(session, left(1, 0, 1)).categories) == ["a", "c", "b"]
    assert list(fold(session, left(3, 0, 1)).categories) == ["b", "c", "a"]


def test_pages_fetched_ahead_do_not_push_out_the_page_that_is_being_read() -> None:
    session = folded(view(0, "a"), view(1, "b"), *[ahead(2 + i) for i in range(3 * MOST_REMEMBERED)])
    session = fold(session, left(1, 95, 120))
    assert (session.engaged_s, session.pages_read, read(session, "read")) == (120, 1, {"b": 1})
    assert remembers(session, "view-000000")
    newest = 1 + 3 * MOST_REMEMBERED
    assert [remembers(session, f"view-{number:06}") for number in (2, newest)] == [False, True]
    over = fold(session, view(60, "c", DAY_MS))
    for i in range(2 * MOST_REMEMBERED):
        over = fold(over, view(70 + i, "c", DAY_MS, is_shown=False))
    assert remembers(over, "view-000001")


def test_counts_end_before_they_outgrow_the_cookie() -> None:
    session = start(view(0, "a"))
    full = {"a": ("a", MOST_OF_CATEGORY, MOST_OF_CATEGORY, MOST_OF_CATEGORY, MOST_OF_CATEGORY, MOST_OF_CATEGORY)}
    session.categories = full
    session.views = session.visits = session.engaged_s = session.pages_read = MOST_COUNTED
    session.earlier = (MOST_COUNTED, MOST_COUNTED, MOST_COUNTED)
    session = fold(fold(session, view(1, "a")), left(1, 95, 40))
    assert (session.views, session.engaged_s, session.pages_read) == (MOST_COUNTED,) * 3
    assert session.categories == full
    session = fold(fold(session, view(2, "a", DAY_MS)), left(1, 100, 50))
    assert (session.visits, session.earlier) == (MOST_COUNTED, (MOST_COUNTED,) * 3)
    assert session.categories["a"][4:] == (MOST_OF_CATEGORY, MOST_OF_CATEGORY)


def test_the_fold_leaves_the_state_before_as_it_was() -> None:
    before = folded(view(0, "a"), left(0, 50, 5))
    kept = before.copy()
    for event in (view(1, "b"), view(1, "b", DAY_MS), left(0, 95, 40), Declared({"a": "b"})):
        fold(before, event)
        assert before == kept


def test_up_to_three_tabs_between_two_pages_lose_nothing() -> None:
    """What a client can leave, three records, is all folded whichever tab wrote last."""
    tabs = [view(i, "a", i) for i in range(4)]
    session = folded(tabs[0], *tabs[1:], left(1, 95, 10), left(2, 20, 20), left(3, 30, 30), view(9, "a"))
    assert (session.engaged_s, session.pages_read) == (60, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~~~~",
        "1.2.3~~~~",
        "1.2.3.4.5.6.7.8.9.10.11.direct~~~",
        "1.2.3.4.5.6.7.8.9.10.11.direct~~~~~",
        "1.2.3.4.5.6.7.8.9.10.11.12.direct~~~~",
        "1.2.3.4.5.6.7.8.9.10.x.direct~~~~",
        "1.2.3.4.5.6.7.8.9.10.11.direct~apricing.1.2.3~~~",
        "1.2.3.4.5.6.7.8.9.10.11.direct~apricing.1.2.3.4.x~~~",
    ],
)
def test_the_text_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_session(text)
