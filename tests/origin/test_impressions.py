"""Minimum impressions: what is counted, what is still expected, and the floors that follow."""

from __future__ import annotations

import ibis
import pytest

from origin.config import Config
from origin.impressions import DAY_MS, Impressions, count_impressions, expect_decisions, find_floors
from origin.lake import Lake
from tests.origin.shop import USHER_TOML, exposure, make_config, store

LENGTH_MS = 10 * DAY_MS
# A moment six tenths into an evaluation period of ten days.
START_MS = 2_000 * LENGTH_MS
AS_OF_MS = START_MS + 6 * DAY_MS
TEXT = USHER_TOML.replace('"<b>craft</b>" }', '"<b>craft</b>", min_impressions = 30, cap = 0.3 }').replace(
    "min_segment_decisions = 20", "min_segment_decisions = 20, evaluation_days = 10"
)


@pytest.fixture
def config(lake: Lake) -> Config:
    return make_config(lake.root / "config", TEXT)


def count(config: Config, lake: Lake) -> dict[str, Impressions]:
    connection = ibis.duckdb.connect()
    try:
        return count_impressions(connection, lake, config.touchpoints, AS_OF_MS)
    finally:
        connection.disconnect()


@pytest.mark.parametrize(
    ("recent", "age_ms", "expected"),
    [
        (0, 0, 0.0),
        (100, LENGTH_MS, 40.0),
        (100, 4 * DAY_MS, 100.0),
        (100, 1, 400.0),
        (100, 3 * LENGTH_MS, 40.0),
    ],
)
def test_what_is_expected_is_the_recent_rate_for_the_rest_of_the_period(
    recent: int, age_ms: int, expected: float
) -> None:
    assert expect_decisions(recent, AS_OF_MS - age_ms, LENGTH_MS, AS_OF_MS) == pytest.approx(expected)


def test_the_period_counts_from_its_own_start_and_the_rate_looks_further_back(config: Config, lake: Lake) -> None:
    first_ms = AS_OF_MS - LENGTH_MS + 1
    moments = [first_ms - 1, first_ms, START_MS - 1, START_MS, AS_OF_MS - 1, AS_OF_MS, AS_OF_MS + 1]
    events = [exposure(i, "craft", received_ms=moment) for i, moment in enumerate(moments)]
    store(lake, [*events, exposure(90, "house", received_ms=START_MS)])
    found = count(config, lake)["hero"]
    assert found.counted == {"craft": 3, "house": 1}
    assert found.expected == pytest.approx(6 / (AS_OF_MS - first_ms) * 4 * DAY_MS)


def test_touchpoints_that_ask_for_nothing_are_not_counted(lake: Lake) -> None:
    assert count(make_config(lake.root / "config"), lake) == {}


def test_an_empty_lake_promises_nothing(config: Config, lake: Lake) -> None:
    assert count(config, lake) == {"hero": Impressions(counted={}, expected=0.0)}


@pytest.mark.parametrize(
    ("counted", "expected", "floor"),
    [
        (30, 100.0, 0.0),
        (45, 100.0, 0.0),
        (20, 100.0, 0.1),
        (0, 100.0, 0.3),
        (0, 0.0, 0.3),
    ],
)
def test_what_is_missing_becomes_a_floor_below_the_cap(
    config: Config, counted: int, expected: float, floor: float
) -> None:
    floors = find_floors(config.touchpoints["hero"], Impressions(counted={"craft": counted}, expected=expected))
    assert floors == pytest.approx([0.05, floor, 0.0])


def test_without_minimum_impressions_the_floors_are_the_configured_ones(lake: Lake) -> None:
    hero = make_config(lake.root / "config").touchpoints["hero"]
    assert find_floors(hero, Impressions(counted={}, expected=0.0)) == [0.05, 0.0, 0.0]


def test_configured_floors_come_first(lake: Lake) -> None:
    text = TEXT.replace("floor = 0.05", "floor = 0.95")
    hero = make_config(lake.root / "config", text).touchpoints["hero"]
    floors = find_floors(hero, Impressions(counted={}, expected=1.0))
    assert floors == pytest.approx([0.95, 0.05, 0.0])
    assert sum(floors) <= 1.0 + 1e-12
