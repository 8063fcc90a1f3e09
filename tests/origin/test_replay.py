"""Replay: what was logged comes out again to the last bit, and what does not is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from origin.errors import LakeError
from origin.lake import Lake
from origin.replay import replay
from shared.snapshot import Snapshot
from tests.asking import Record, profile_of
from tests.origin.logs import Line, edit_lines, log_views, put_site, view_of, visitor_of
from worker.page_view import PageView

VISITORS = 40
# The digest of the one variant that targeting removes from a desktop's hero.
CRAFT = "355543f7"


@pytest.fixture
def site_in_lake(lake: Lake, site_header: Record, site_records: dict[str, Record]) -> Snapshot:
    return put_site(lake, site_header, site_records)


def first_views(site: Snapshot, *, number: int = 0) -> list[PageView]:
    return [
        view_of(site, visitor_of(f"v-{k}"), number=number, context={"plan": "gold"} if k % 3 else {"device": "desktop"})
        for k in range(VISITORS)
    ]


def edit(lake: Lake, change: Callable[[Line], object]) -> None:
    """Change the first drawn exposure of `hero` in the lake."""
    edit_lines(lake, lambda line: bool(line["touchpoint"] == "hero" and line["randomised"]), change)


def test_an_empty_lake_replays_nothing(lake: Lake) -> None:
    done = replay(lake)
    assert (done.same, done.is_faithful) == (0, True)


def test_every_logged_decision_comes_out_the_same(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, first_views(site_in_lake))
    done = replay(lake)
    assert (done.same, done.repeats, done.unmatched, done.forced) == (2 * VISITORS, 0, 0, 0)
    assert done.is_faithful


def test_decisions_by_several_snapshots_are_replayed_by_their_own(
    lake: Lake, site_in_lake: Snapshot, site_header: Record, site_records: dict[str, Record]
) -> None:
    other = {**site_records, "cell:hero:global:": site_records["cell:hero:segment:vip"]}
    later = put_site(lake, {**site_header, "version": "v2"}, other)
    log_views(lake, [*first_views(site_in_lake), *first_views(later, number=1)])
    assert replay(lake).same == 4 * VISITORS


def test_repeats_are_compared_with_the_draw_they_repeat(lake: Lake, site_in_lake: Snapshot) -> None:
    first = first_views(site_in_lake)
    # The second view comes in another context, which would have drawn from another distribution.
    second = [view_of(site_in_lake, view.visitor, number=1, context={"plan": "none"}) for view in first]
    log_views(lake, first)
    log_views(lake, second, "n")
    done = replay(lake)
    assert done.is_faithful
    drawn = sum(not slot.decision.holdout for view in first for slot in view.plan.slots[:1])
    assert 0 < done.repeats <= drawn
    assert done.same == 4 * VISITORS


def test_a_repeat_whose_draw_is_not_in_the_lake_is_counted_and_not_certified(
    lake: Lake, site_in_lake: Snapshot
) -> None:
    first = first_views(site_in_lake)
    log_views(lake, [view_of(site_in_lake, view.visitor, number=1) for view in first])
    done = replay(lake)
    assert done.unmatched > 0
    assert done.is_faithful


def test_previews_are_counted_apart(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, [view_of(site_in_lake, visitor_of("v"), forced={"hero": "craft", "banner": "sale"})])
    assert (replay(lake).forced, replay(lake).same) == (2, 0)
    edit_lines(lake, lambda line: bool(line["touchpoint"] == "hero"), lambda line: line.update(variant="gone"))
    done = replay(lake)
    assert (done.forced, done.different) == (1, 1)
    assert done.first_difference is not None
    assert done.first_difference.problems == ("variant: logged 'gone', computed 'house'",)


@pytest.mark.parametrize(
    "change",
    [
        {"propensity": 0.5},
        {"variant": "gone"},
        {"level": "cluster"},
        {"cell": "gone"},
        {"eligible": ["house"]},
        {"excluded": ["house"]},
        {"probabilities": [0.5, 0.5]},
        {"relaxations": ["caps"]},
        {"reason": "explored"},
        {"because": "because we say so"},
        {"holdout": True},
        {"randomised": False},
        {"earlier": ["", CRAFT]},
        {"epoch": "session 5"},
        {"reason": "kept"},
        {"reason": "preview"},
        {"slate": ["house"], "slate_propensities": [1.0]},
    ],
)
def test_a_decision_that_comes_out_otherwise_is_named(
    lake: Lake, site_in_lake: Snapshot, change: dict[str, object]
) -> None:
    log_views(lake, first_views(site_in_lake))
    edit(lake, lambda line: line.update(change))
    done = replay(lake)
    assert (done.different, done.same) == (1, 2 * VISITORS - 1)
    assert done.first_difference is not None
    assert done.first_difference.touchpoint == "hero"
    assert done.first_difference.place.startswith("visitor v-")


def test_the_last_bit_of_a_propensity_counts(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, first_views(site_in_lake))

    edit(lake, lambda line: line.update(propensity=line["propensity"] * (1.0 + 2.0**-52)))
    assert replay(lake).different == 1


def test_a_snapshot_that_the_lake_does_not_hold_is_named(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, first_views(site_in_lake))
    (lake.snapshots / "v1.txt").unlink()
    done = replay(lake)
    assert (done.missing, done.is_faithful) == (2 * VISITORS, False)
    assert done.first_missing is not None
    assert done.first_missing.endswith("v1.txt: the lake does not hold this snapshot; bring it back")


def test_individual_decisions_are_replayed_with_the_profile_of_that_time(
    lake: Lake, site_header: Record, site_records: dict[str, Record]
) -> None:
    hero = {**site_records["touchpoint:hero"], "finest": "individual", "models": ["m1"]}
    site = put_site(lake, {**site_header, "has_profiles": True}, {**site_records, "touchpoint:hero": hero})
    scores: Record = {"means": [-3.0, -2.0, -2.5], "sds": [0.2, 0.3, 0.2]}
    views, texts = [], []
    for k in range(VISITORS):
        profile = profile_of(f"v-{k}", scores={("hero", "m1"): scores}, age_ms=k)
        views.append(view_of(site, visitor_of(f"v-{k}", visits=2), profile=profile))
        head = {**json.loads('{"format":1,"version":"p1","cluster":"","attributes":{}}')}
        head |= {"unit": f"v-{k}", "computed_ms": profile.header.computed_ms}
        texts.append(json.dumps(head) + "\nhero\tm1\t" + json.dumps(scores) + "\n")
    log_views(lake, views)
    assert {slot.decision.level for view in views for slot in view.plan.slots} >= {"individual"}
    assert replay(lake).missing == 2 * VISITORS
    lake.profiles.mkdir(parents=True)
    units = [f"v-{k}" for k in range(VISITORS)]
    pq.write_table(
        pa.table({"unit": units, "version": ["p1"] * VISITORS, "text": texts}), lake.profiles / "one.parquet"
    )
    done = replay(lake)
    assert (done.same, done.is_faithful) == (2 * VISITORS, True)


def test_a_damaged_file_is_an_error_that_names_it(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, first_views(site_in_lake))
    [path] = lake.events.rglob("*.ndjson.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LakeError) as raised:
        replay(lake)
    assert str(path) in str(raised.value)
    path.write_bytes(gzip.compress(b'{"type":"exposure","schema":9}\n'))
    with pytest.raises(LakeError) as raised:
        replay(lake)
    assert "is no exposure (KeyError('created_ms'))" in str(raised.value)


def test_a_list_that_is_none_is_an_error_that_names_its_place(lake: Lake, site_in_lake: Snapshot) -> None:
    log_views(lake, first_views(site_in_lake))
    edit(lake, lambda line: line.update(excluded=[["house"]]))
    with pytest.raises(LakeError, match=r"visitor v-\d+, .*is no exposure .*excluded is no list of texts or numbers"):
        replay(lake)


def test_a_snapshot_without_the_touchpoint_is_named(
    lake: Lake, site_in_lake: Snapshot, site_header: Record, site_records: dict[str, Record]
) -> None:
    log_views(lake, first_views(site_in_lake))
    others = {key: each for key, each in site_records.items() if "banner" in key}
    put_site(lake, {**site_header, "pages": {"banner": ["/"]}}, others)
    done = replay(lake)
    assert (done.missing, done.same) == (VISITORS, VISITORS)
    assert done.first_missing == "pv-v-0-0-hero: the snapshot v1 has no readable hero ('touchpoint:hero')"
