"""Training: counts to cells, and the model that is kept."""

from __future__ import annotations

import dataclasses
import json

import pytest

from origin.config import Config
from origin.errors import LakeError
from origin.individuals import name_model
from origin.lake import Lake
from origin.people import read_people
from origin.profiles import pack_profiles
from origin.train import read_latest_model, train
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, USHER_TOML, VARIANTS, Event, exposure, goal, make_config, store

NEXT_DAY_MS = NOON_MS + DAY_MS


def visits(first: int, count: int, device: str, likes: str) -> list[Event]:
    """Visitors who see the variants in turn; nine of ten click the one they like, and nobody another one."""
    events: list[Event] = []
    for i in range(first, first + count):
        variant = VARIANTS[i % 3]
        events.append(exposure(i, variant, context={"device": device}))
        if variant == likes and i % 10:
            events.append(goal(i))
    return events


def best(cell: dict[str, list[float]]) -> str:
    return max(zip(cell["probabilities"], VARIANTS, strict=True))[1]


def test_an_empty_lake_gives_every_variant_the_same_chance(config: Config, lake: Lake) -> None:
    model = train(config, lake, NOON_MS, NOON_MS)
    hero = model.touchpoints["hero"]
    assert list(hero.cells) == ["global:"]
    assert hero.cells["global:"]["probabilities"] == pytest.approx([1 / 3] * 3)
    assert (hero.decisions, hero.rewards, hero.unknown_variants) == (0, 0, 0)
    assert (model.first_ms, model.last_ms, model.sources, model.as_of_ms) == (None, None, {}, NOON_MS)


def test_what_is_liked_becomes_likely(config: Config, lake: Lake) -> None:
    store(lake, visits(0, 300, "tablet", "craft"))
    model = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    hero = model.touchpoints["hero"]
    assert best(hero.cells["global:"]) == "craft"
    assert (hero.decisions, hero.rewards) == (300, 90)
    assert (model.first_ms, model.last_ms, model.sources) == (NOON_MS, NOON_MS, {"edge": 300})


def test_segments_learn_what_their_own_visitors_like(config: Config, lake: Lake) -> None:
    store(lake, [*visits(0, 300, "mobile", "craft"), *visits(300, 300, "desktop", "offer")])
    cells = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells
    assert list(cells) == ["global:", "segment:mobile", "segment:desktop"]
    assert best(cells["segment:mobile"]) == "craft"
    assert best(cells["segment:desktop"]) == "offer"


@pytest.mark.parametrize(("count", "cells"), [(19, ["global:"]), (20, ["global:", "segment:mobile"])])
def test_a_segment_learns_for_itself_from_enough_decisions_on(
    config: Config, lake: Lake, count: int, cells: list[str]
) -> None:
    store(lake, [*visits(0, count, "mobile", "craft"), *visits(100, 19, "desktop", "craft")])
    assert list(train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells) == cells


def test_decisions_without_the_attributes_count_for_everybody_only(config: Config, lake: Lake) -> None:
    events = visits(0, 60, "mobile", "craft")
    for event in events[:30]:
        event.pop("context", None)
    store(lake, events)
    hero = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"]
    assert hero.decisions == 60
    assert list(hero.cells) == ["global:", "segment:mobile"]


def test_conditions_over_several_attributes_sort_the_decisions(lake: Lake) -> None:
    text = USHER_TOML.replace(
        'condition = { device = "mobile" }',
        'condition = { "$and" = [{ device = "mobile" }, { language = { "$regex" = "^de" } }] }',
    )
    config = make_config(lake.root / "config", text)
    events = visits(0, 120, "mobile", "craft")
    for i, event in enumerate(event for event in events if event["type"] == "exposure"):
        event["context"] = {"device": "mobile", "language": "de-AT" if i < 60 else "en"}
    store(lake, events)
    model = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    assert "segment:mobile" in model.touchpoints["hero"].cells
    store(lake, [{**event, "context": {"device": "mobile", "language": "en"}} for event in events], "1")
    model = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    assert "segment:mobile" not in model.touchpoints["hero"].cells


def test_variants_that_are_not_configured_are_counted_and_left_out(config: Config, lake: Lake) -> None:
    store(lake, [exposure(1), exposure(2, "withdrawn"), exposure(3, "withdrawn"), goal(2)])
    hero = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"]
    assert (hero.decisions, hero.rewards, hero.unknown_variants) == (1, 0, 2)


def test_a_training_as_of_a_moment_sees_what_was_closed_then(config: Config, lake: Lake) -> None:
    store(lake, [exposure(1), goal(1), exposure(2, received_ms=NOON_MS + HOUR_MS)])
    seen = [
        train(config, lake, NOON_MS + hours * HOUR_MS, NEXT_DAY_MS).touchpoints["hero"].decisions for hours in (0, 1, 2)
    ]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("content", [b"no gzip", b""])
def test_a_damaged_file_of_events_is_named(config: Config, lake: Lake, content: bytes) -> None:
    [good] = store(lake, [exposure(1)])
    bad = good.with_name("damaged.ndjson.gz")
    packed = good.read_bytes()
    lake.write(bad, content or packed[: len(packed) // 2])
    with pytest.raises(LakeError) as caught:
        train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    assert str(caught.value).startswith(f"{bad}: cannot be read (")
    assert "\n" not in str(caught.value)
    assert not lake.models.exists()


def test_a_model_is_read_back_as_it_was(config: Config, lake: Lake) -> None:
    store(lake, visits(0, 90, "mobile", "offer"))
    model = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    assert read_latest_model(lake) == model


def test_the_newest_run_is_the_latest_whatever_moment_it_was_trained_for(config: Config, lake: Lake) -> None:
    store(lake, [exposure(1)])
    train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    second = train(config, lake, NOON_MS, NEXT_DAY_MS + 1)
    assert read_latest_model(lake) == second
    assert len(list(lake.models.iterdir())) == 2


def test_two_runs_in_one_second_are_in_their_order(config: Config, lake: Lake) -> None:
    versions = [train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS + after).version for after in (0, 9, 90, 999, 1000)]
    assert versions == sorted(versions)
    assert [version.split("-")[0][-4:] for version in versions] == ["000Z", "009Z", "090Z", "999Z", "000Z"]


def test_the_same_data_gives_the_same_model(config: Config, lake: Lake) -> None:
    store(lake, visits(0, 300, "mobile", "craft"))
    first = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    assert train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS) == first


def test_without_a_model_the_remedy_is_named(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"models: no model yet; run usher train$"):
        read_latest_model(lake)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"touchpoints": {"hero": {"x": 1}}}', b'{"touchpoints": []}']
)
def test_a_damaged_model_is_named(config: Config, lake: Lake, content: bytes) -> None:
    lake.write(lake.models / "20990101T000000Z-x.json", content)
    with pytest.raises(LakeError, match=r"20990101T000000Z-x\.json: damaged \(.*\); remove it and run usher train$"):
        read_latest_model(lake)


def test_a_model_is_plain_json(config: Config, lake: Lake) -> None:
    model = train(config, lake, NOON_MS, NOON_MS)
    data = json.loads((lake.models / f"{model.version}.json").read_text())
    assert data == json.loads(json.dumps(dataclasses.asdict(model)))


SESSIONS = USHER_TOML.replace(
    'condition = { device = "mobile" }',
    'condition = { "session.referral" = "search", "session.views" = { "$gte" = 2 } }',
).replace('condition = { device = "desktop" }', 'condition = { "session.preferences.topic" = "coats" }')
SESSIONS += '[questions.topic]\nanswers = ["coats", "shoes", "hats"]\n'


def test_segments_over_the_session_learn_from_what_the_exposures_logged(lake: Lake) -> None:
    config = make_config(lake.root / "config", SESSIONS)
    events: list[Event] = []
    for first, referral, views, topic, likes in (
        (0, "search", 3, "shoes", "craft"),
        (300, "search", 1, "coats", "offer"),
        (600, "direct", 2, "hats", "house"),
    ):
        session = {"views": views, "referral": referral, "preferences": {"topic": topic}}
        for event in visits(first, 300, "desktop", likes):
            events.append({**event, "session": session} if event["type"] == "exposure" else event)
    store(lake, events)
    cells = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells
    assert list(cells) == ["global:", "segment:mobile", "segment:desktop"]
    assert best(cells["segment:mobile"]) == "craft"
    assert best(cells["segment:desktop"]) == "offer"


def test_segments_over_the_profile_learn_from_the_profile_of_the_time(lake: Lake) -> None:
    text = USHER_TOML.replace('{ device = "mobile" }', '{ "profile.days" = { "$gte" = 2 } }')
    config = make_config(lake.root / "config", text)
    events = [{**event, "profile": "v2"} for event in visits(0, 60, "tablet", "craft")]
    store(lake, events)
    assert list(train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells) == ["global:"]
    rows: list[dict[str, object]] = [
        {
            "unit": f"visitor-{i}",
            "version": f"v{days}",
            "digest": "",
            "computed_ms": 0,
            "attributes": json.dumps({"days": days}),
            "text": "",
        }
        for i in range(60)
        for days in (1, 2)
    ]
    lake.write(lake.profiles / "a.parquet", pack_profiles(rows))
    assert "segment:mobile" in train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells
    store(lake, [{**event, "profile": "v1"} for event in events], "1")
    assert list(train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"].cells) == ["global:"]


def test_the_model_says_why_segments_are_the_finest(config: Config, lake: Lake) -> None:
    store(lake, visits(0, 30, "mobile", "craft"))
    hero = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"]
    assert (hero.level, hero.people) == ("segment", 0)
    assert hero.reason == "cluster level: 30 of 10,000 people and 1 of 90 days so far"
    assert not list(lake.models.glob("*.parquet"))


SMALL = """
[touchpoints.hero.levels]
cluster_min_people = 100
cluster_min_days = 1
individual_min_people = 100
individual_min_days = 1
"""


def regulars(units: int, times: int, *, holdout: bool, likes: str, first: int = 0) -> list[Event]:
    """Visitors who come several times, see the variants in turn, and click the one they like."""
    events: list[Event] = []
    for i in range(first, first + units):
        for k in range(times):
            variant = "house" if holdout else VARIANTS[k % 3]
            moment = {"received_ms": NOON_MS + k * 2 * HOUR_MS, "epoch": f"session {k}"}
            shown = {"event_id": f"e{i}-{k}", "holdout": holdout, "randomised": not holdout, "level": "global"}
            events.append(exposure(i, variant, **moment, **shown))
            if variant == likes:
                after = NOON_MS + k * 2 * HOUR_MS + 1
                events.append(goal(i, event_id=f"g{i}-{k}", received_ms=after, happened_ms=after))
    return events


def test_a_proven_gain_gives_people_posteriors_of_their_own(lake: Lake) -> None:
    config = make_config(lake.root / "config", USHER_TOML + SMALL)
    everybody = [
        *regulars(150, 6, holdout=False, likes="craft"),
        *regulars(150, 6, holdout=False, likes="offer", first=150),
        *regulars(120, 2, holdout=True, likes="nothing", first=300),
        *regulars(20, 3, holdout=False, likes="craft", first=500),
    ]
    store(lake, everybody)
    model = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS)
    hero = model.touchpoints["hero"]
    assert (hero.level, hero.reason, hero.people) == ("individual", "", 300)
    people = {person.unit: person for person in read_people(lake, model.version, model.people)}
    assert len(people) == 300
    assert people["visitor-7"].attributes == {"decisions": 6, "rewards": 2, "days": 1}
    [(key, scores)] = people["visitor-200"].scores.items()
    assert key == ("hero", name_model(VARIANTS))
    assert max(zip(scores["means"], VARIANTS, strict=True))[1] == "offer"
    assert read_latest_model(lake) == model


def test_without_a_gain_over_the_holdout_nobody_has(lake: Lake) -> None:
    config = make_config(lake.root / "config", USHER_TOML + SMALL)
    store(
        lake,
        [*regulars(150, 6, holdout=False, likes="house"), *regulars(120, 2, holdout=True, likes="house", first=300)],
    )
    hero = train(config, lake, NEXT_DAY_MS, NEXT_DAY_MS).touchpoints["hero"]
    assert hero.level == "segment"
    assert hero.reason.startswith("cluster level: no gain over the holdout is proven: -")


def test_a_model_of_an_earlier_version_can_still_be_published(config: Config, lake: Lake) -> None:
    model = train(config, lake, NOON_MS, NOON_MS)
    path = lake.models / f"{model.version}.json"
    data = json.loads(path.read_text())
    for name in ("trained_ms", "people", "linked"):
        del data[name]
    for name in ("level", "reason", "people", "counted", "expected"):
        del data["touchpoints"]["hero"][name]
    lake.write(path, json.dumps(data).encode())
    assert read_latest_model(lake).touchpoints["hero"].level == "segment"


def test_a_damaged_file_of_people_is_named(lake: Lake) -> None:
    lake.write(lake.models / "v1.people.parquet", b"PAR1nonsense")
    with pytest.raises(LakeError, match=r"v1\.people\.parquet: damaged \(.*\); remove it and run usher train$"):
        list(read_people(lake, "v1", 1))


def test_a_missing_file_of_people_is_named(lake: Lake) -> None:
    assert list(read_people(lake, "v1", 0)) == []
    with pytest.raises(LakeError) as caught:
        list(read_people(lake, "v1", 1_200))
    path = lake.models / "v1.people.parquet"
    assert str(caught.value) == f"{path}: missing, though the model has 1,200 people; run usher train"
