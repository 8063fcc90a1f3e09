"""Bots: which visitors are labelled, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ibis
import pyarrow as pa
import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from origin.bots import MINUTE_MS, MOST_EVENTS, MOST_PAGE_VIEWS, find_bots, judge_agents
from origin.lake import Lake
from origin.stored import read_events
from tests.origin.mail import sent
from tests.origin.shop import NOON_MS, Event, exposure, store

BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 "
    "Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 "
    "Mobile Safari/537.36",
    "",
]
Bots = Callable[..., dict[str, str]]


@pytest.fixture
def bots(lake: Lake) -> Iterator[Bots]:
    connection = ibis.duckdb.connect()

    def find(*events: Event) -> dict[str, str]:
        store(lake, events)
        stored = read_events(connection, lake)
        assert stored is not None
        found = find_bots(connection, stored).to_pylist()
        return {row["bot_visitor"]: row["bot"] for row in found}

    yield find
    connection.disconnect()


def page_view(number: int, visitor: str, **fields: object) -> Event:
    return sent("page_view", number, visitor, page_view=f"pv-{number}", url_path="/", **fields)


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "declared:Googlebot"),
        ("python-requests/2.32", "declared:python-requests"),
        ("curl/8.1", "declared:curl"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0)", "declared:claudebot"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/156.0.0.0", "headless:HeadlessChrome"),
        ("Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 PhantomJS/2.1.1 Safari/538.1", "headless:PhantomJS"),
        ("Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/26.0", "headless:jsdom"),
    ],
)
def test_a_bots_user_agent_says_what_it_is(bots: Bots, agent: str, reason: str) -> None:
    assert bots(page_view(1, "v", user_agent=agent), sent("goal", 2, "v", name="x")) == {"v": reason}


def test_a_browser_that_a_program_drives_says_so(bots: Bots) -> None:
    views = [page_view(1, "driven", user_agent=BROWSERS[0], driven=True), page_view(2, "person", driven=False)]
    assert bots(*views, page_view(3, "driven"), page_view(4, "silent")) == {"driven": "headless:webdriver"}


def test_browsers_are_no_bots() -> None:
    assert judge_agents(pa.array(BROWSERS)) == {}
    assert judge_agents(pa.array([], pa.string())) == {}


def test_every_example_of_the_list_is_recognised() -> None:
    examples = [example for each in CRAWLER_USER_AGENTS_DATA for example in each["instances"]]
    assert len(examples) > 1_000
    assert set(judge_agents(pa.array(examples))) == set(examples)


def burst(count: int, visitor: str, *, minutes: int = 1, kind: str = "page_view") -> list[Event]:
    """So many events, spread over so many minutes, each on a page view of its own."""
    step_ms = minutes * MINUTE_MS // count
    start_ms = NOON_MS // MINUTE_MS * MINUTE_MS
    return [
        sent(
            kind,
            i,
            visitor,
            page_view=f"pv-{i}",
            happened_ms=start_ms + i * step_ms,
            received_ms=start_ms + i * step_ms,
        )
        for i in range(count)
    ]


def test_more_pages_than_anybody_opens_in_a_minute_are_a_bots(bots: Bots) -> None:
    most = MOST_PAGE_VIEWS
    assert bots(*burst(most, "busy"), *burst(most + 1, "inhuman"), *burst(4 * most, "steady", minutes=4)) == {
        "inhuman": "page_view_rate"
    }


def test_the_minute_is_any_not_the_clocks(bots: Bots) -> None:
    across = [
        {**event, "happened_ms": int(str(event["happened_ms"])) + MINUTE_MS // 2}
        for event in burst(MOST_PAGE_VIEWS + 1, "inhuman")
    ]
    assert bots(*across) == {"inhuman": "page_view_rate"}


def test_who_names_no_browser_is_a_bot(bots: Bots) -> None:
    english = {"language": "en"}
    silent = [exposure(1, schema=3, event_id=f"e{i}", context=english) for i in range(2)]
    known = exposure(2, schema=3, context=english, user_agent=BROWSERS[0])
    once = exposure(2, schema=3, event_id="again", context=english, user_agent="")
    assert bots(*silent, known, once) == {"visitor-1": "no_agent"}


def test_more_events_than_anybody_causes_in_a_minute_are_a_bots(bots: Bots) -> None:
    most = MOST_EVENTS
    assert bots(*burst(most, "busy", kind="click"), *burst(most + 1, "inhuman", kind="click")) == {
        "inhuman": "event_rate"
    }


def test_several_touchpoints_of_one_page_are_one_page(bots: Bots) -> None:
    views = [exposure(1, event_id=f"e{i}", touchpoint=f"t{i}", page_view="pv") for i in range(MOST_PAGE_VIEWS + 1)]
    assert bots(*views) == {}


def test_events_that_came_in_copies_count_once(bots: Bots, lake: Lake) -> None:
    events = burst(MOST_PAGE_VIEWS, "busy")
    for number in range(3):
        store(lake, events, f"again-{number}")
    assert bots(*events) == {}


def test_events_that_were_kept_for_later_count_when_they_happened(bots: Bots) -> None:
    """A phone that was offline sends all it has kept at once."""
    later = NOON_MS + 60 * MINUTE_MS
    kept = [{**event, "received_ms": later} for event in burst(4 * MOST_PAGE_VIEWS, "offline", minutes=4)]
    assert bots(*kept) == {}


@pytest.mark.parametrize(
    ("contexts", "is_bot"),
    [
        ([{"device": "mobile"}], True),
        ([{"device": "mobile", "language": ""}], True),
        ([{"language": "en"}], False),
        ([{"device": "mobile"}, {"language": "de"}], False),
    ],
)
def test_a_visitor_who_never_asks_for_a_language_is_a_bot(
    bots: Bots, contexts: list[dict[str, str]], is_bot: bool
) -> None:
    views = [
        exposure(1, schema=3, event_id=f"e{i}", context=context, user_agent=BROWSERS[0])
        for i, context in enumerate(contexts)
    ]
    assert bots(*views) == ({"visitor-1": "no_language"} if is_bot else {})


def test_older_exposures_say_nothing_of_languages(bots: Bots) -> None:
    assert bots(exposure(1)) == {}


def test_the_surest_reason_is_given(bots: Bots) -> None:
    views = [{**event, "user_agent": "curl/8.1"} for event in burst(MOST_PAGE_VIEWS + 1, "v")]
    assert bots(*views, exposure(1, schema=3, visitor="v")) == {"v": "declared:curl"}


def test_servers_and_receipts_are_no_bots(bots: Bots) -> None:
    """A server reports for many, and may do so at once; a receipt is nobody's."""
    server = [
        {**event, "source": "server", "user_agent": "curl/8.1"}
        for event in burst(MOST_EVENTS + 1, "v", kind="purchase")
    ]
    receipts = [{**event, "source": "edge"} for event in burst(MOST_EVENTS + 1, "", kind="receipt")]
    assert bots(*server, *receipts) == {}
