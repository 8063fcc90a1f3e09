"""The one relation of the lake's events: compacted or not, each event once; and the training table made of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.columns import COLUMNS
from origin.compact import compact
from origin.decisions import Goal, read_arms, read_decisions, read_impressions
from origin.lake import Lake
from origin.stored import read_copies, read_events, read_labelled_events
from shared.events import Given, read_event
from tests.origin.mail import Isolate, Mail, deliver, sent
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, VARIANTS, Event, exposure, goal, store

CONTEXT = {"device": "mobile", "language": "en"}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
GOALS = {"hero": Goal("click", 1.0)}
Row = dict[str, Any]


@pytest.fixture
def connection() -> Iterator[ibis.BaseBackend]:
    connection = ibis.duckdb.connect()
    yield connection
    connection.disconnect()


def events_of(connection: ibis.BaseBackend, lake: Lake) -> list[Row]:
    events = read_events(connection, lake)
    assert events is not None
    assert list(events.columns) == list(COLUMNS)
    rows: list[Row] = connection.to_pyarrow(events.order_by("visitor", "event_id")).to_pylist()
    return rows


def training_table(lake: Lake, *, goals: dict[str, Goal] = GOALS, as_of_ms: int = NOON_MS + 3 * DAY_MS) -> list[Row]:
    """All that is learned from, row for row: the training table, both arms, and the impressions."""
    connection = ibis.duckdb.connect()
    tables = (
        read_decisions(connection, lake, goals, as_of_ms),
        read_arms(connection, lake, goals, as_of_ms),
        read_impressions(connection, lake, goals, 0, as_of_ms),
    )
    rows = [row for table in tables for row in connection.to_pyarrow(table).to_pylist()]
    connection.disconnect()
    return sorted(rows, key=repr)


def test_an_empty_lake_has_no_events(connection: ibis.BaseBackend, lake: Lake) -> None:
    assert read_events(connection, lake) is None
    assert read_labelled_events(connection, lake) is None


def test_compacted_and_new_events_are_one_relation(connection: ibis.BaseBackend, lake: Lake) -> None:
    store(lake, [exposure(1), goal(1)], "a")
    before = events_of(connection, lake)
    compact(lake)
    assert events_of(connection, lake) == before
    store(lake, [exposure(2), exposure(1)], "b")
    assert [row["event_id"] for row in events_of(connection, lake)] == ["exposure-1", "goal-1", "exposure-2"]
    compact(lake, remove=True)
    assert [row["event_id"] for row in events_of(connection, lake)] == ["exposure-1", "goal-1", "exposure-2"]


def test_copies_of_several_days_are_one_event(connection: ibis.BaseBackend, lake: Lake) -> None:
    for after_ms in (2 * DAY_MS, 0, DAY_MS):
        store(lake, [sent("goal", 1, received_ms=NOON_MS + after_ms)], str(after_ms))
        compact(lake, remove=True)
    store(lake, [sent("goal", 1, received_ms=NOON_MS + 1)])
    [row] = events_of(connection, lake)
    assert row["received_ms"] == NOON_MS


def test_copies_are_the_rows_that_are_left_out(connection: ibis.BaseBackend, lake: Lake) -> None:
    assert read_copies(connection, lake) is None
    store(lake, [sent("goal", number) for number in range(3)], "a")
    copies = read_copies(connection, lake)
    assert copies is not None
    assert connection.to_pyarrow(copies.count()).as_py() == 0
    compact(lake)
    store(lake, [sent("goal", 1), sent("goal", 2, received_ms=NOON_MS - 1), sent("goal", 3)], "b")
    copies = read_copies(connection, lake)
    assert copies is not None
    rows = connection.to_pyarrow(copies.order_by("event_id")).to_pylist()
    assert [(row["event_id"], row["received_ms"]) for row in rows] == [("goal-1", NOON_MS), ("goal-2", NOON_MS)]


def test_the_relation_follows_the_lake(connection: ibis.BaseBackend, lake: Lake) -> None:
    for number in range(3):
        store(lake, [exposure(number)], str(number))
        assert len(events_of(connection, lake)) == number + 1


def test_events_that_came_later_are_not_there_yet(connection: ibis.BaseBackend, lake: Lake) -> None:
    store(lake, [sent("goal", 1), sent("goal", 2, received_ms=NOON_MS + 1)])
    events = read_labelled_events(connection, lake, NOON_MS)
    assert events is not None
    assert connection.to_pyarrow(events.event_id).to_pylist() == ["goal-1"]


def day_of_visitors(randomness: random.Random) -> list[list[Event]]:
    """A day's batches as they leave the edge: decisions, prefetched ones, goals, and resent goals."""
    batches = []
    for number in range(12):
        visitor: Any = {"visitor": f"v{number}", "unit": f"v{number}", "context": CONTEXT, "user_agent": AGENT}
        shown = number % 4 != 0
        decision = exposure(number, randomness.choice(VARIANTS), is_shown=shown, page_view=f"pv{number}", **visitor)
        batch: list[Event] = [{**decision, "schema": 3, "received_ms": NOON_MS + number}]
        if number % 8 == 0:
            batch.append(sent("shown", number, f"v{number}", page_view=f"pv{number}"))
        if number % 3 == 0:
            reached = sent(
                "custom" if number % 2 else "goal", number, f"v{number}", name="click", happened_ms=NOON_MS + 60_000
            )
            batch.append(reached)
            batches.append([{**reached, "received_ms": NOON_MS + DAY_MS, "sent_ms": NOON_MS + DAY_MS}])
        batches.append(batch)
    return batches


@settings(max_examples=6)
@given(seed=st.integers(0, 1 << 32))
def test_the_training_table_is_the_same_however_often_and_in_whatever_order_batches_came(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every message three times, reordered, in other objects each time, compacted at any moment between."""
    randomness = random.Random(seed)
    isolate = Isolate("i")
    batches = day_of_visitors(randomness)
    mail = [message for batch in batches for message in isolate.send(batch)]
    folder = tmp_path_factory.mktemp("lakes")
    once, thrice = Lake(folder / "once"), Lake(folder / "thrice")
    deliver(once, mail)
    expected = training_table(once)
    assert {row["reward"] for row in expected if "reward" in row} == {0.0, 1.0}
    deliveries = [*mail, *mail, *mail]
    randomness.shuffle(deliveries)
    while deliveries:
        size = randomness.randint(1, 8)
        taken: list[Mail] = deliveries[:size]
        deliveries = deliveries[size:]
        deliver(thrice, taken)
        if randomness.random() < 0.2:
            compact(thrice, remove=randomness.random() < 0.5)
    assert training_table(thrice) == expected
    compact(thrice)
    assert training_table(thrice) == expected
    compact(once, remove=True)
    assert training_table(once) == expected


def rewards(lake: Lake, goals: dict[str, Goal] = GOALS) -> dict[str, float]:
    """Rewards of the training table by unit."""
    return {row["unit"]: row["reward"] for row in training_table(lake, goals=goals) if "source" in row}


@pytest.mark.parametrize(
    ("event", "reward"),
    [
        (sent("goal", 1, name="click"), 1.0),
        (sent("custom", 1, name="click"), 1.0),
        (sent("custom", 1, name="other"), 0.0),
        (sent("purchase", 1, value=3.0, currency="EUR"), 0.0),
        (sent("goal", 1, name="click", touchpoint="hero"), 1.0),
        (sent("custom", 1, name="click", touchpoint="pick"), 0.0),
    ],
)
def test_goals_are_reached_by_goal_and_custom_events_of_their_name(lake: Lake, event: Event, reward: float) -> None:
    store(lake, [exposure(1), event])
    assert rewards(lake) == {"visitor-1": reward}


@pytest.mark.parametrize(
    ("event", "reward"),
    [
        (sent("purchase", 1, value=3.0, currency="EUR"), 1.0),
        (sent("purchase", 1, value=3.0, currency="EUR", touchpoint="pick"), 0.0),
        (sent("goal", 1, name="order"), 0.0),
        (sent("custom", 1, name="order"), 0.0),
        (sent("add_to_cart", 1), 0.0),
    ],
)
def test_goals_with_a_standard_event_are_reached_by_that_alone(lake: Lake, event: Event, reward: float) -> None:
    store(lake, [exposure(1), event])
    assert rewards(lake, {"hero": Goal("order", 1.0, "purchase")}) == {"visitor-1": reward}


AFTER_MS = {"before": -1, "at once": 0, "last": HOUR_MS, "late": HOUR_MS + 1}


@pytest.mark.parametrize("wrong_by_h", [-25, 0, 25])
def test_windows_are_right_though_the_browsers_clock_is_a_day_off(lake: Lake, wrong_by_h: int) -> None:
    """Each goal happened so long after the exposure, and was sent five minutes later, by the browser's own clock."""
    delay_ms = 5 * 60_000
    events = []
    for visitor, after_ms in AFTER_MS.items():
        created_ms = NOON_MS + after_ms + wrong_by_h * HOUR_MS
        given = Given(
            source="browser",
            visitor=visitor,
            session_ms=NOON_MS,
            sent_ms=created_ms + delay_ms,
            received_ms=NOON_MS + after_ms + delay_ms,
            user_agent="",
            plan=None,
            hash_user=None,
            is_signed=None,
        )
        data = {"type": "goal", "event_id": "g", "created_ms": created_ms, "name": "click"}
        reached = read_event(data, "events[0]", given)
        assert reached["happened_ms"] == NOON_MS + after_ms
        seen = exposure(1, visitor=visitor, unit=visitor, schema=3, context=CONTEXT, user_agent=AGENT)
        events += [seen, reached]
    deliver(lake, Isolate("i").send(events))
    expected = {"before": 0.0, "at once": 1.0, "last": 1.0, "late": 0.0}
    assert rewards(lake) == expected
    compact(lake, remove=True)
    assert rewards(lake) == expected


def ahead(number: int, **fields: Any) -> Event:
    """A decision for a page that was fetched ahead of its time."""
    return exposure(number, is_shown=False, page_view=f"pv-{number}", **fields)


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        ([], False),
        ([sent("shown", 1, page_view="pv-1")], True),
        ([sent("shown", 1, page_view="pv-1"), sent("shown", 2, page_view="pv-1")], True),
        ([sent("shown", 1, page_view="pv-2")], False),
        ([sent("shown", 1, "visitor-2", page_view="pv-1")], False),
        ([sent("page_view", 1, page_view="pv-1")], False),
    ],
)
def test_a_page_fetched_ahead_counts_once_it_was_shown(lake: Lake, shown: list[Event], counts: bool) -> None:
    store(lake, [ahead(1), *shown])
    assert rewards(lake) == ({"visitor-1": 0.0} if counts else {})


def test_the_time_of_a_page_fetched_ahead_is_that_of_its_decision(lake: Lake) -> None:
    shown = sent("shown", 1, page_view="pv-1", received_ms=NOON_MS + 30 * 60_000)
    in_time = goal(1, HOUR_MS)
    store(lake, [ahead(1), shown, in_time])
    [row] = [row for row in training_table(lake) if "source" in row]
    assert (row["decided_ms"], row["reward"]) == (NOON_MS, 1.0)


def test_a_page_that_was_never_shown_takes_no_decision_from_one_that_was(lake: Lake) -> None:
    store(lake, [ahead(1), exposure(1, "craft", event_id="later", received_ms=NOON_MS + 1, page_view="pv-9")])
    [row] = [row for row in training_table(lake) if "source" in row]
    assert (row["variant"], row["decided_ms"]) == ("craft", NOON_MS + 1)


def test_what_a_server_reports_of_a_bot_is_not_the_bots(connection: ibis.BaseBackend, lake: Lake) -> None:
    order = sent("purchase", 1, "crawler", source="server", value=1.0, currency="EUR")
    store(lake, [sent("page_view", 1, "crawler", user_agent="Googlebot/2.1"), sent("click", 1, "crawler"), order])
    events = read_labelled_events(connection, lake)
    assert events is not None
    labels = connection.to_pyarrow(events.select("type", "bot").order_by("type")).to_pylist()
    assert {row["type"]: row["bot"] for row in labels} == {
        "click": "declared:Googlebot",
        "page_view": "declared:Googlebot",
        "purchase": "",
    }


def test_bots_are_left_out_with_all_their_events(connection: ibis.BaseBackend, lake: Lake) -> None:
    crawler = sent("page_view", 1, "visitor-1", user_agent="Mozilla/5.0 (compatible; Googlebot/2.1)")
    store(lake, [exposure(1), goal(1), crawler, exposure(2), goal(2)])
    assert rewards(lake) == {"visitor-2": 1.0}
    events = read_labelled_events(connection, lake)
    assert events is not None
    labels = connection.to_pyarrow(events.select("visitor", "bot").distinct().order_by("visitor")).to_pylist()
    assert labels == [{"visitor": "visitor-1", "bot": "declared:Googlebot"}, {"visitor": "visitor-2", "bot": ""}]
    assert all(row["unit"] == "visitor-2" for row in training_table(lake) if "unit" in row)
    assert sum("unit" not in row for row in training_table(lake)) == 1, "one impression"
