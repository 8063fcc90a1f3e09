"""Repeats whose draw the lake does not hold: not certified, but checked by the snapshot that they name."""

from __future__ import annotations

import pytest

from origin.lake import Lake
from origin.replay import replay
from shared.snapshot import Snapshot
from tests.asking import Record, cell, holdout_unit, place, profile_of
from tests.origin.logs import (
    HEADER,
    change,
    first_difference,
    is_kept,
    log_views,
    put_hero,
    put_site,
    see,
    shown,
    view_of,
    view_thrice,
    visitor_of,
)

NONE = "which is no probability of a draw"
AGAIN = "because it was drawn earlier, and stays the same for a while"


def test_a_repeat_without_its_draw_is_counted_and_not_certified(lake: Lake, targeted: Snapshot) -> None:
    log_views(lake, [view_thrice(targeted, f"v-{k}")[2] for k in range(5)])
    done = replay(lake)
    assert (done.same, done.repeats, done.unmatched, done.is_faithful) == (0, 0, 5, True)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"variant": "gone"}, "variant: logged 'gone', which hero of snapshot v1 does not have"),
        ({"variant": "craft"}, "variant: logged 'craft', which targeting had removed"),
        ({"propensity": 7.5}, f"propensity: logged 7.5, {NONE}"),
        ({"propensity": 0.0}, f"propensity: logged 0.0, {NONE}"),
        ({"propensity": -0.5}, f"propensity: logged -0.5, {NONE}"),
        ({"excluded": ["gone"]}, "excluded[0]: logged 'gone', which hero of snapshot v1 does not have"),
        ({"level": "best"}, "level: logged 'best', which is none of individual, cluster, segment, global"),
        ({"level": "individual"}, "level: logged 'individual', finer than hero may use"),
        ({"level": "segment", "cell": "a"}, "cell: logged 'a' of the segment level, which snapshot v1 does not have"),
        ({"cell": "vip"}, "cell: logged 'vip' of the global level, which snapshot v1 does not have"),
        ({"epoch": "session 5"}, "epoch: logged 'session 5', computed 'session 1700000000000'"),
        ({"epoch": "forever"}, "epoch: logged 'forever', computed 'session 1700000000000'"),
        ({"holdout": True}, "holdout: logged True, computed False"),
        ({"because": "x"}, f"because: logged 'x', computed '{AGAIN}'"),
        ({"eligible": ["house"]}, "eligible[0]: logged 'house', computed nothing"),
        ({"probabilities": [1.0]}, "probabilities[0]: logged 1.0, computed nothing"),
        ({"relaxations": ["caps"]}, "relaxations[0]: logged 'caps', computed nothing"),
        ({"fallbacks": ["caps"]}, "fallbacks[0]: logged 'caps', computed nothing"),
        ({"earlier": [""]}, "earlier[0]: logged '', computed nothing"),
        ({"profile": "p1"}, "profile: logged 'p1', computed ''"),
        (
            {"slate": ["house"], "slate_propensities": [0.5]},
            "slate: logged 1 variants with 1 propensities, where hero has 1 position",
        ),
    ],
)  # fmt: skip
def test_a_repeat_without_its_draw_is_checked_by_the_snapshot_that_it_names(
    lake: Lake, targeted: Snapshot, fields: Record, problem: str
) -> None:
    log_views(lake, [view_thrice(targeted, f"v-{k}")[2] for k in range(5)])
    change(lake, is_kept, **fields)
    done = replay(lake)
    assert (done.unmatched, done.different, done.missing, done.is_faithful) == (4, 1, 0, False)
    assert problem in first_difference(lake).problems


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"slate": []}, "slate: logged 0 variants with 3 propensities, where hero has 3 positions"),
        ({"slate_propensities": [0.5]}, "slate: logged 3 variants with 1 propensities, where hero has 3 positions"),
        ({"slate": ["a", "b", "c", "d"]}, "slate: logged 4 variants with 3 propensities, where hero has 3 positions"),
        ({"propensity": 0.5}, "slate[0]: logged '{}' at {}, and another as the variant"),
        ({"slate": ["a", "a", "a"]}, "slate: logged a, a, a, in which one stands twice"),
        ({"slate": ["a", "b", 3]}, "slate[2]: logged 3, which hero of snapshot v1 does not have"),
        ({"slate_propensities": [0.5, "b", 1.5]}, f"slate_propensities[1]: logged 'b', {NONE}"),
        ({"slate_propensities": [0.5, 0.5, 1.5]}, f"slate_propensities[2]: logged 1.5, {NONE}"),
    ],
)  # fmt: skip
def test_a_slate_without_its_draw_is_checked_by_the_snapshot_that_it_names(
    lake: Lake, ranked: Snapshot, fields: Record, problem: str
) -> None:
    log_views(lake, [see(ranked, see(ranked, visitor_of("v"), 0).visitor, 1)])
    assert (replay(lake).unmatched, replay(lake).is_faithful) == (1, True)
    before = change(lake, is_kept, **fields)
    assert (replay(lake).unmatched, replay(lake).different) == (0, 1)
    assert problem.format(before["slate"][0], before["slate_propensities"][0]) in first_difference(lake).problems


def test_an_individual_repeat_without_its_draw_is_checked_by_the_snapshot_that_it_names(lake: Lake) -> None:
    site = put_hero(lake, place("a", "b", "c", "d", finest="individual", models=["m"]), has_profiles=True)
    scores: Record = {"means": [0.0] * 4, "sds": [1.0] * 4}
    first = view_of(site, visitor_of("v", visits=2), profile=profile_of("v", scores={("hero", "m"): scores}))
    assert shown(first).level == "individual"
    log_views(lake, [see(site, first.visitor, 1)])
    assert (replay(lake).unmatched, replay(lake).is_faithful) == (1, True)
    change(lake, is_kept, cell="gold")
    assert first_difference(lake).problems == (
        "cell: logged 'gold' of the individual level, which snapshot v1 does not have",
    )


def test_a_repeat_of_a_unit_that_is_held_out_is_none(lake: Lake) -> None:
    site = put_hero(lake, place("a", "b", "c", "d"))
    unit = holdout_unit(put_hero(lake, place("a", "b", "c", "d"), version="v2", holdout_share=0.5))
    log_views(lake, [see(site, see(site, visitor_of(unit), 0).visitor, 1)])
    assert replay(lake).unmatched == 1
    change(lake, is_kept, snapshot="v2")
    assert first_difference(lake).problems == (f"unit: logged '{unit}', which snapshot v2 holds out",)


def test_a_repeat_without_its_draw_and_its_snapshot_is_missing_that(lake: Lake, ranked: Snapshot) -> None:
    log_views(lake, [see(ranked, see(ranked, visitor_of("v"), 0).visitor, 1)])
    change(lake, is_kept, snapshot="v9")
    done = replay(lake)
    assert (done.unmatched, done.missing) == (0, 1)
    assert done.first_missing == (
        f"pv-v-1-hero: {lake.snapshots / 'v9.txt'}: the lake does not hold this snapshot; bring it back"
    )
    put_site(
        lake,
        {**HEADER, "version": "v9", "pages": {}},
        {"touchpoint:other": place("a", "b"), "cell:other:global:": cell([0.0, 0.0])},
    )
    assert replay(lake).first_missing == "pv-v-1-hero: the snapshot v9 has no readable hero ('touchpoint:hero')"
