"""The training table: which events become decisions, and which goals reward them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import pytest

from origin.decisions import COLUMNS, Goal, read_arms, read_decisions, read_impressions
from origin.errors import LakeError
from origin.import_log import Mapping, import_log
from origin.lake import Lake
from tests.origin.shop import HOUR_MS, NOON_MS, Event, exposure, goal, store

GOALS = {"hero": Goal("click", 1.0)}
CLOSED_MS = NOON_MS + HOUR_MS
Row = dict[str, object]


@pytest.fixture
def decisions(lake: Lake) -> Callable[..., list[Row]]:
    """Store events and read the table back, by unit; all windows are closed unless a test says another moment."""

    def read(*events: Event, as_of_ms: int = CLOSED_MS, goals: dict[str, Goal] = GOALS) -> list[Row]:
        if events:
            store(lake, events)
        connection = ibis.duckdb.connect()
        try:
            table = read_decisions(connection, lake, goals, as_of_ms)
            assert table.columns == COLUMNS
            rows: list[Row] = connection.to_pyarrow(table.order_by("unit", "decided_ms")).to_pylist()
        finally:
            connection.disconnect()
        return rows

    return read


Decisions = Callable[..., list[Row]]


def test_an_exposure_and_the_click_that_followed_are_one_rewarded_decision(decisions: Decisions) -> None:
    assert decisions(exposure(1, "craft", context={"device": "mobile", "path": "/"}), goal(1)) == [
        {
            "source": "edge",
            "unit": "visitor-1",
            "touchpoint": "hero",
            "variant": "craft",
            "decided_ms": NOON_MS,
            "propensity": 0.25,
            "reward": 1.0,
            "context": [("device", "mobile"), ("path", "/")],
            "session": None,
            "profile": None,
        }
    ]


def test_the_sessions_attributes_and_the_profiles_version_are_kept(decisions: Decisions) -> None:
    session = {"views": 3, "visits": 1, "referral": "search", "intent": 0.4, "preferences": {"topic": "coats"}}
    [first, second] = decisions(exposure(1, session=session, profile="p1"), exposure(2, session={}, profile=""))
    assert json.loads(str(first["session"])) == session
    assert (first["profile"], second["session"], second["profile"]) == ("p1", "{}", "")


def test_an_empty_lake_has_no_decisions(decisions: Decisions) -> None:
    assert decisions() == []


def test_goals_alone_are_no_decisions(decisions: Decisions) -> None:
    assert decisions(goal(1)) == []


@pytest.mark.parametrize(("clicked_ms", "reward"), [(10_000, 0.0), (60_000, 1.0)])
def test_a_page_that_was_fetched_ahead_is_rewarded_from_when_it_was_shown(
    decisions: Decisions, clicked_ms: int, reward: float
) -> None:
    ahead = exposure(1, page_view="p", is_shown=False)
    shown: Event = {**goal(1, after_ms=30_000), "type": "shown", "event_id": "shown", "page_view": "p", "name": None}
    never = exposure(2, page_view="q", is_shown=False)
    [row] = decisions(ahead, shown, goal(1, after_ms=clicked_ms), never, goal(2))
    assert (row["unit"], row["decided_ms"], row["reward"]) == ("visitor-1", NOON_MS, reward)


def test_an_event_that_was_delivered_twice_counts_once(decisions: Decisions, lake: Lake) -> None:
    store(lake, [exposure(1), goal(1), exposure(2)], "first")
    store(lake, [goal(1), exposure(2)], "again")
    assert [row["reward"] for row in decisions(exposure(1), exposure(3))] == [1.0, 0.0, 0.0]


def test_of_two_events_with_one_id_the_earlier_counts(decisions: Decisions) -> None:
    later = exposure(1, "offer", received_ms=NOON_MS + 1)
    assert [row["variant"] for row in decisions(later, exposure(1, "craft"))] == ["craft"]


def test_later_views_of_a_unit_in_the_same_epoch_are_no_decisions(decisions: Decisions) -> None:
    second = exposure(1, "offer", event_id="second", received_ms=NOON_MS + 1)
    other_epoch = exposure(1, "offer", event_id="third", received_ms=NOON_MS + 2, epoch="session 2")
    other_touchpoint = exposure(1, "x", event_id="fourth", touchpoint="pick")
    rows = decisions(second, exposure(1, "craft"), other_epoch, other_touchpoint, as_of_ms=CLOSED_MS + 2)
    assert [(row["variant"], row["decided_ms"]) for row in rows] == [("craft", NOON_MS), ("offer", NOON_MS + 2)]


@pytest.mark.parametrize(("clicked", "reward"), [(1, 1.0), (2, 0.0)])
def test_what_another_device_was_shown_instead_takes_its_own_rewards(
    decisions: Decisions, clicked: int, reward: float
) -> None:
    shared = {"unit": "visitor-1", "epoch": "week 2900"}
    here = exposure(1, "craft", **shared)
    there = exposure(2, "offer", received_ms=NOON_MS + 5, **shared)
    [row] = decisions(here, there, goal(clicked), as_of_ms=CLOSED_MS + 5)
    assert (row["variant"], row["reward"]) == ("craft", reward)


def test_another_ranking_of_a_slate_takes_its_own_rewards(decisions: Decisions) -> None:
    shared = {"epoch": "week 2900"}
    first = exposure(1, "craft", slate=["craft", "offer"], **shared)
    again = exposure(1, "craft", event_id="again", received_ms=NOON_MS + 5, slate=["craft", "house"], **shared)
    [row] = decisions(first, again, goal(1), as_of_ms=CLOSED_MS + 5)
    assert row["reward"] == 0.0


@pytest.mark.parametrize(
    ("click", "reward"),
    [
        (goal(2), 1.0),
        (goal(2, after_ms=4), 0.0),  # before that device had seen it
        (goal(2, after_ms=HOUR_MS + 1), 0.0),  # the window is the decision's, not the view's
        (goal(3), 0.0),
    ],
)
def test_a_draw_that_two_devices_share_is_rewarded_on_either(decisions: Decisions, click: Event, reward: float) -> None:
    shared = {"unit": "visitor-1", "epoch": "week 2900"}
    here = exposure(1, "craft", **shared)
    there = exposure(2, "craft", received_ms=NOON_MS + 5, **shared)
    rows = decisions(here, there, click, as_of_ms=CLOSED_MS + 5)
    assert [(row["unit"], row["variant"], row["reward"]) for row in rows] == [("visitor-1", "craft", reward)]


def test_each_touchpoint_has_decisions_and_goals_of_its_own(decisions: Decisions) -> None:
    events = [
        exposure(1),
        exposure(1, "x", event_id="pick", touchpoint="pick"),
        exposure(2),
        exposure(2, "x", event_id="pick-2", touchpoint="pick"),
        goal(1),
        goal(2, name="order", touchpoint=None),
    ]
    rows = decisions(*events, goals={"hero": Goal("click", 1.0), "pick": Goal("order", 1.0)})
    found = {(row["unit"], row["touchpoint"]): row["reward"] for row in rows}
    assert found == {
        ("visitor-1", "hero"): 1.0,
        ("visitor-1", "pick"): 0.0,
        ("visitor-2", "hero"): 0.0,
        ("visitor-2", "pick"): 1.0,
    }


@pytest.mark.parametrize(("after_ms", "reward"), [(-1, 0.0), (0, 1.0), (1, 1.0), (HOUR_MS, 1.0), (HOUR_MS + 1, 0.0)])
def test_a_goal_counts_within_the_window_only(decisions: Decisions, after_ms: int, reward: float) -> None:
    assert [row["reward"] for row in decisions(exposure(1), goal(1, after_ms))] == [reward]


def test_when_a_goal_happened_counts_and_not_when_it_arrived(decisions: Decisions) -> None:
    late = goal(1, 60_000, received_ms=NOON_MS + HOUR_MS - 1)
    early_report = goal(2, HOUR_MS + 1, received_ms=NOON_MS + 1)
    assert [row["reward"] for row in decisions(exposure(1), exposure(2), late, early_report)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("fields", "reward"),
    [
        ({"touchpoint": None}, 1.0),
        ({"touchpoint": "pick"}, 0.0),
        ({"name": "order"}, 0.0),
        ({"visitor": "visitor-2"}, 0.0),
        ({"type": "exposure"}, 0.0),
    ],
)
def test_a_goal_counts_for_its_visitor_and_touchpoint_only(decisions: Decisions, fields: Event, reward: float) -> None:
    rows = decisions(exposure(1), {**goal(1), **fields})
    assert {row["unit"]: row["reward"] for row in rows}["visitor-1"] == reward


def test_several_clicks_are_one_reward(decisions: Decisions) -> None:
    clicks = [goal(1, 1_000 * i, event_id=f"click-{i}") for i in range(5)]
    assert [row["reward"] for row in decisions(exposure(1), *clicks)] == [1.0]


def test_decisions_whose_window_is_open_are_left_out(decisions: Decisions) -> None:
    events = [exposure(1), exposure(2, received_ms=NOON_MS + 1), goal(1), goal(2)]
    assert [row["unit"] for row in decisions(*events, as_of_ms=CLOSED_MS)] == ["visitor-1"]
    assert decisions(as_of_ms=CLOSED_MS - 1) == []
    assert len(decisions(as_of_ms=CLOSED_MS + 1)) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"holdout": True, "randomised": False},
        {"holdout": True},
        {"randomised": False},
        {"randomised": None},
        {"touchpoint": "elsewhere"},
    ],
)
def test_only_what_was_randomised_outside_the_holdout_is_a_decision(decisions: Decisions, fields: Event) -> None:
    assert [row["unit"] for row in decisions({**exposure(1), **fields}, exposure(2), goal(1))] == ["visitor-2"]


def test_fields_that_are_missing_or_new_do_not_matter(decisions: Decisions) -> None:
    bare = exposure(1, another={"deep": [1]})
    for name in ("context", "snapshot", "schema"):
        del bare[name]
    [row] = decisions(bare)
    assert row["context"] is None


def damage(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "content",
    [
        damage(gzip.compress(bytes(range(256)) * 10)),
        b'{"type": "exposure"}\n',
        gzip.compress(b'{"type": "exposure"}\n{"type"\n'),
        gzip.compress(b"[]\n"),
    ],
    ids=["cut", "not packed", "no json", "no object"],
)
def test_a_damaged_file_of_events_is_named(decisions: Decisions, lake: Lake, content: bytes) -> None:
    file = lake.events / "2026-09-21" / "12" / "damaged.ndjson.gz"
    lake.write(file, content)
    with pytest.raises(LakeError, match=str(file)):
        decisions(exposure(1))


def test_a_context_of_another_form_is_no_context(decisions: Decisions) -> None:
    [row] = decisions(exposure(1, context=[1]))
    assert row["context"] is None


def test_a_damaged_import_is_a_lake_error(decisions: Decisions, lake: Lake) -> None:
    lake.write(lake.imports / "old.parquet", b"PAR1nonsense")
    with pytest.raises(LakeError, match=r"cannot be read: .*old\.parquet"):
        decisions(exposure(1))


def import_rows(folder: Path, lake: Lake, log: str, *, with_context: bool) -> None:
    file = folder / f"{log}.csv"
    file.write_text(f"t,v,p,r,d\n{NOON_MS},craft,0.5,1,mobile\n{NOON_MS + 2},house,0.5,0,desktop\n")
    mapping = Mapping(
        log=log,
        touchpoint="hero",
        time="t",
        time_unit="ms",
        variant="v",
        propensity="p",
        reward="r",
        context={"device": "d"} if with_context else {},
    )
    import_log(file, mapping, lake)


def test_imported_logs_stand_beside_what_the_edge_logged(decisions: Decisions, lake: Lake, tmp_path: Path) -> None:
    import_rows(tmp_path, lake, "a-plain-log", with_context=False)
    import_rows(tmp_path, lake, "log", with_context=True)
    rows = decisions(exposure(1), goal(1))
    assert [(row["source"], row["variant"], row["reward"], row["context"]) for row in rows] == [
        ("a-plain-log", "craft", 1.0, []),
        ("a-plain-log", "house", 0.0, []),
        ("log", "craft", 1.0, [("device", "mobile")]),
        ("log", "house", 0.0, [("device", "desktop")]),
        ("edge", "house", 1.0, [("device", "desktop")]),
    ]


def test_imported_decisions_count_from_their_own_moment_on(decisions: Decisions, lake: Lake, tmp_path: Path) -> None:
    import_rows(tmp_path, lake, "log", with_context=True)
    assert [len(decisions(as_of_ms=NOON_MS + after)) for after in (-1, 0, 1, 2)] == [0, 1, 1, 2]


def test_a_lake_whose_name_looks_like_a_pattern_is_read(tmp_path: Path) -> None:
    lakes = [Lake(tmp_path / name) for name in ("lake1", "lake[1]*")]
    for count, lake in enumerate(lakes, 1):
        store(lake, [exposure(i) for i in range(count)])
        import_rows(tmp_path, lake, "log", with_context=True)
    connection = ibis.duckdb.connect()
    table = read_decisions(connection, lakes[1], GOALS, CLOSED_MS)
    assert connection.to_pyarrow(table).num_rows == 4
    connection.disconnect()


@pytest.fixture
def arms(lake: Lake) -> Callable[..., list[Row]]:
    """Store events and read both arms, by unit and moment."""

    def read(*events: Event, as_of_ms: int = CLOSED_MS) -> list[Row]:
        if events:
            store(lake, events)
        connection = ibis.duckdb.connect()
        try:
            table = read_arms(connection, lake, GOALS, as_of_ms)
            rows: list[Row] = connection.to_pyarrow(table.order_by("unit", "decided_ms")).to_pylist()
        finally:
            connection.disconnect()
        return rows

    return read


def held_out(number: int, **fields: Any) -> Event:
    return exposure(number, holdout=True, randomised=False, propensity=1.0, reason="holdout", **fields)


def test_the_arms_hold_the_holdouts_decisions_with_their_rewards(arms: Decisions) -> None:
    rows = arms(exposure(1, level="segment"), goal(1), held_out(2, level="global"), goal(2), held_out(3, level="none"))
    assert rows == [
        {
            "touchpoint": "hero",
            "unit": f"visitor-{number}",
            "holdout": holdout,
            "level": level,
            "decided_ms": NOON_MS,
            "reward": reward,
        }
        for number, holdout, level, reward in (
            (1, False, "segment", 1.0),
            (2, True, "global", 1.0),
            (3, True, "none", 0.0),
        )
    ]


def test_a_unit_stays_in_the_arm_of_its_first_decision(arms: Decisions) -> None:
    """A unit crosses over where the holdout's share was changed; dropping or moving it would fabricate lift."""
    later: dict[str, Any] = {"event_id": "later", "epoch": "session 2", "received_ms": NOON_MS + 1}
    rows = arms(held_out(1), exposure(1, **later), exposure(2), held_out(2, **later), as_of_ms=CLOSED_MS + 1)
    assert [(row["unit"], row["holdout"]) for row in rows] == [
        ("visitor-1", True),
        ("visitor-1", True),
        ("visitor-2", False),
        ("visitor-2", False),
    ]


def test_previews_and_open_windows_are_in_no_arm(arms: Decisions) -> None:
    preview = exposure(1, randomised=False, reason="preview")
    assert arms(preview, exposure(2, received_ms=NOON_MS + 1), held_out(3, received_ms=NOON_MS + 1)) == []
    assert len(arms(as_of_ms=CLOSED_MS + 1)) == 2


def test_an_empty_lake_has_no_arms(arms: Decisions) -> None:
    assert arms() == []


def test_impressions_count_at_once_and_once_an_epoch(lake: Lake) -> None:
    again = exposure(1, "craft", event_id="again", received_ms=NOON_MS + 5)
    store(lake, [exposure(1, "craft"), again, exposure(2), held_out(3), exposure(4, received_ms=NOON_MS + 2)])
    connection = ibis.duckdb.connect()
    seen = [
        sorted(connection.to_pyarrow(read_impressions(connection, lake, ["hero"], since, until))["variant"].to_pylist())
        for since, until in ((NOON_MS - 1, NOON_MS), (NOON_MS - 1, NOON_MS + 9), (NOON_MS, NOON_MS + 9))
    ]
    assert seen == [["craft", "house"], ["craft", "house", "house"], ["house"]]
    assert connection.to_pyarrow(read_impressions(connection, Lake(lake.root / "no"), ["hero"], 0, 1)).num_rows == 0
    connection.disconnect()
