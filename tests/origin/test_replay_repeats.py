"""Replay of what was not drawn at its view, or not for the first time: repeats, redraws, slates; what comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from origin.lake import Lake
from origin.replay import replay
from shared.snapshot import Snapshot
from tests.asking import holdout_unit, place
from tests.origin.logs import (
    change,
    edit_lines,
    first_difference,
    is_kept,
    log_views,
    put_hero,
    see,
    shown,
    view_redrawn,
    view_thrice,
    visitor_of,
)

# Repeats


def test_a_repeat_is_held_against_the_draw_among_the_same_variants(lake: Lake, targeted: Snapshot) -> None:
    log_views(lake, [view for k in range(20) for view in view_thrice(targeted, f"v-{k}")])
    done = replay(lake)
    assert (done.same, done.repeats, done.unmatched, done.different) == (60, 20, 0, 0)


def test_a_repeat_of_a_draw_that_was_never_logged_is_no_difference(lake: Lake, targeted: Snapshot) -> None:
    # The second page was aborted: its cookie was set, but nothing of it was logged.
    thrice = [view_thrice(targeted, f"v-{k}") for k in range(20)]
    log_views(lake, [view for first, _, third in thrice for view in (first, third)])
    done = replay(lake)
    assert (done.same, done.repeats, done.unmatched, done.different) == (20, 0, 20, 0)
    assert done.is_faithful


def test_a_repeat_of_a_draw_by_a_later_snapshot_is_held_against_no_earlier_one(lake: Lake) -> None:
    before = put_hero(lake, place("a", "b", "c", "d"))
    after = put_hero(lake, place("a", "b", "c", "e"), version="v2")
    firsts = [see(before, visitor_of(f"v-{k}"), 0) for k in range(40)]
    views = []
    for first in firsts:
        if shown(first).variant == "d":  # which the later snapshot does not have
            aborted = see(after, first.visitor, 1)
            views += [first, see(after, aborted.visitor, 2)]
    log_views(lake, views)
    assert len(views) > 8
    done = replay(lake)
    assert (done.same, done.unmatched, done.different) == (len(views) / 2, len(views) / 2, 0)


def test_a_repeat_on_another_device_is_held_against_the_draw_on_the_first(lake: Lake, ranked: Snapshot) -> None:
    phone = see(ranked, visitor_of("v"), 0)
    laptop = see(ranked, replace(phone.visitor, id="laptop"), 1)
    assert shown(laptop).reason == "kept"
    log_views(lake, [phone, laptop])
    assert (replay(lake).same, replay(lake).repeats) == (2, 1)


def test_a_devices_own_draw_that_was_never_logged_is_not_that_of_another_device(lake: Lake) -> None:
    # Both share unit and epoch, but the page on which the laptop drew was aborted.
    site = put_hero(lake, place("a", "b", "c", "d", epoch="day"))
    views = []
    for k in range(20):
        phone = see(site, visitor_of(f"v-{k}"), 0)
        laptop = see(site, replace(visitor_of(f"v-{k}"), id=f"laptop-{k}"), 1, plan="gold")
        views += [phone, see(site, laptop.visitor, 2)]
    log_views(lake, views)
    done = replay(lake)
    assert (done.same, done.unmatched, done.different) == (20, 20, 0)


def test_a_repeat_that_was_received_before_its_draw_is_held_against_it(lake: Lake, ranked: Snapshot) -> None:
    # The clocks of two data centres differ.
    draw = see(ranked, visitor_of("v"), 5)
    repeat = see(ranked, draw.visitor, 0)
    log_views(lake, [draw, repeat])
    assert (replay(lake).same, replay(lake).repeats) == (2, 1)
    change(lake, is_kept, propensity=0.5)
    assert first_difference(lake).problems[0].startswith("propensity: logged 0.5, computed 0.")


def test_repeats_of_a_draw_that_was_tampered_with_are_what_was_drawn(lake: Lake, ranked: Snapshot) -> None:
    first = see(ranked, visitor_of("v"), 0)
    log_views(lake, [first, see(ranked, first.visitor, 1)])
    change(lake, lambda line: not is_kept(line), variant="d", propensity=0.125)
    done = replay(lake)
    assert (done.same, done.repeats, done.different) == (1, 1, 1)


def test_repeats_of_what_cannot_be_decided_again_are_held_against_what_was_logged(lake: Lake, ranked: Snapshot) -> None:
    first = see(ranked, visitor_of("v"), 0)
    log_views(lake, [first, see(ranked, first.visitor, 1), see(ranked, first.visitor, 2)])
    (lake.snapshots / "v1.txt").unlink()
    done = replay(lake)
    assert (done.same, done.repeats, done.missing) == (2, 2, 1)
    change(lake, is_kept, level="segment")
    assert first_difference(lake).problems == ("level: logged 'segment', computed 'global'",)


# Draws that are not the first of their epoch


def test_a_redraw_comes_out_as_one(lake: Lake, targeted: Snapshot) -> None:
    log_views(lake, [view for k in range(20) for view in view_redrawn(targeted, f"v-{k}")])
    assert (replay(lake).same, replay(lake).different) == (60, 0)


@pytest.mark.parametrize("randomised", [True, False])
def test_whether_a_draw_was_randomised_is_compared(lake: Lake, targeted: Snapshot, randomised: bool) -> None:
    log_views(lake, [view for k in range(20) for view in view_redrawn(targeted, f"v-{k}")])
    change(lake, lambda line: line["randomised"] is not randomised, randomised=randomised)
    assert replay(lake).different == 1
    assert first_difference(lake).problems == (f"randomised: logged {randomised}, computed {not randomised}",)


def test_a_draw_that_knows_nothing_of_an_earlier_one_is_no_difference(lake: Lake, ranked: Snapshot) -> None:
    # Two tabs at once: both draw, as neither has the other's cookie.
    log_views(lake, [see(ranked, visitor_of("v"), 0), see(ranked, visitor_of("v"), 1)])
    assert (replay(lake).same, replay(lake).different) == (2, 0)


def test_an_older_edge_is_taken_at_its_word_that_a_draw_was_not_the_first(lake: Lake, targeted: Snapshot) -> None:
    views = [view_redrawn(targeted, f"v-{k}") for k in range(20)]
    repeats = [see(targeted, third.visitor, 3, plan="gold", device="mobile") for _, _, third in views]
    log_views(lake, [*(view for each in views for view in each), *repeats])
    edit_lines(lake, lambda _: True, lambda line: line.pop("earlier"), most=80)
    done = replay(lake)
    assert (done.same, done.repeats, done.different) == (80, 20, 0)
    # But what was not drawn at all is never randomised, and all else is compared.
    change(lake, lambda line: not line["randomised"], because="for fun")
    assert [each.partition(":")[0] for each in first_difference(lake).problems] == ["because"]


def test_what_was_held_out_is_never_randomised_and_never_drawn_before(lake: Lake) -> None:
    site = put_hero(lake, place("a", "b", "c", "d"), holdout_share=0.5)
    log_views(lake, [see(site, visitor_of(holdout_unit(site)), 0)])
    assert replay(lake).same == 1
    change(lake, lambda _: True, randomised=True, earlier=[""])
    assert first_difference(lake).problems == (
        "earlier[0]: logged '', computed nothing",
        "randomised: logged True, computed False",
    )


# Slates


@pytest.mark.parametrize("of_repeat", [False, True])
@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("variant", "gone", "variant: logged 'gone', computed "),
        ("propensity", 0.5, "propensity: logged 0.5, computed 0."),
        ("randomised", False, "randomised: logged False, computed True"),
        ("slate", ["gone"], "slate[0]: logged 'gone', computed "),
        ("slate_propensities", [], "slate_propensities[0]: logged nothing, computed 0."),
        ("level", "cluster", "level: logged 'cluster', computed 'global'"),
        ("cell", "gold", "cell: logged 'gold', computed ''"),
    ],
)
def test_all_that_is_logged_of_a_slate_is_compared(
    lake: Lake, ranked: Snapshot, field: str, value: object, problem: str, of_repeat: bool
) -> None:
    first = see(ranked, visitor_of("v"), 0)
    log_views(lake, [first, see(ranked, first.visitor, 1)])
    assert (replay(lake).same, replay(lake).repeats) == (2, 1)
    change(lake, lambda line: is_kept(line) is of_repeat, **{field: value})
    assert replay(lake).different == 1
    [found] = first_difference(lake).problems
    assert found.startswith(problem)


# What is named first


@pytest.mark.parametrize("orphans", [False, True])
def test_the_first_difference_is_the_first_that_was_received(lake: Lake, ranked: Snapshot, orphans: bool) -> None:
    first = see(ranked, visitor_of("v"), 0)
    repeat, later = see(ranked, first.visitor, 1), see(ranked, visitor_of("w"), 2)
    log_views(lake, [repeat, later] if orphans else [first, repeat, later])
    change(lake, is_kept, propensity=7.5)
    change(lake, lambda line: line["visitor"] == "w", propensity=7.5)
    done = replay(lake)
    assert done.different == 2
    assert done.first_difference is not None
    assert (done.first_difference.event_id, done.first_difference.place) == (
        "pv-v-1-hero",
        "visitor v, received at 1700000000001 ms",
    )


def test_the_first_that_is_missing_is_the_first_that_was_received(lake: Lake, ranked: Snapshot) -> None:
    repeat = see(ranked, see(ranked, visitor_of("v"), 0).visitor, 1)
    log_views(lake, [repeat, see(ranked, visitor_of("w"), 2)])
    (lake.snapshots / "v1.txt").unlink()
    done = replay(lake)
    assert done.missing == 2
    assert str(done.first_missing).startswith("pv-v-1-hero: ")
