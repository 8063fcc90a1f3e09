"""The explanation of a decision: what it derives is what happened, and all of it can be read at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf

import pytest
from typer.testing import CliRunner

from origin.cli import app
from origin.explain import Derivation, derive, find_draw
from origin.lake import Lake
from origin.logged import MissingVersion, find_logged
from shared.snapshot import Snapshot
from tests.asking import Record, holdout_unit, place, profile_of, variant
from tests.origin.logs import (
    change,
    is_kept,
    log_views,
    put_hero,
    see,
    shown,
    view_of,
    view_redrawn,
    view_thrice,
    visitor_of,
)
from worker.page_view import PageView

TAGS = {"autumn-coats": ["coats"], "winter-coats": ["coats"], "shoes": ["shoes"], "gift": []}
Explain = Callable[..., str]


@pytest.fixture
def explain(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Explain:
    """Run the command in a terminal of 80 columns, whose lines it keeps to."""
    monkeypatch.setenv("USHER_LAKE", str(lake.root))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["explain", *arguments])
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
        assert "…" not in done.stdout
        return done.stdout

    return run


def derived(lake: Lake, view: PageView) -> Derivation:
    """The derivation of a view's first decision."""
    [logged] = find_logged(lake, f"{view.request.id}-hero")
    return derive(logged, lake)


def put_tagged(lake: Lake, **fields: object) -> Snapshot:
    """A slate whose second position is kept for other interests than coats, of which visitors are fond."""
    variants = [variant(name, interests=tags) for name, tags in TAGS.items()]
    hero = place(*variants, slots=3, interest_slots=[1], interest_share=0.4, **fields)
    return put_hero(lake, hero, interest="session.preferences.topic")


def words(text: str) -> str:
    """A text without its layout."""
    return " ".join(text.split())


def row_of(text: str, heading: str, name: str) -> list[str]:
    """The cells of a row in the table below a heading."""
    table = text[text.index(heading) :].partition("\n\n")[0]
    [line] = [line for line in table.splitlines() if line.split()[:1] == [name]]
    return line.split()[1:]


# What is derived


@pytest.mark.parametrize("slots", [1, 3])
def test_the_race_that_is_derived_is_the_one_that_decided(lake: Lake, slots: int) -> None:
    site = put_hero(lake, place("a", "b", "c", "d", slots=slots))
    views = [see(site, visitor_of(f"v-{k}"), 0) for k in range(10)]
    log_views(lake, views)
    for view in views:
        found, decision = derived(lake, view), shown(view)
        assert tuple(each.name for each in found.race)[:slots] == (decision.slate or (decision.variant,))
        assert [each.finish for each in found.race] == sorted(each.finish for each in found.race)
        assert {each.name: each.probability for each in found.race} == dict(
            zip(decision.eligible, decision.probabilities, strict=True)
        )
        assert (found.interest_race, found.problems) == ((), ())


def test_the_race_of_other_interests_is_derived_beside_the_other(lake: Lake) -> None:
    site = put_tagged(lake)
    views = [see(site, visitor_of(f"v-{k}"), 0) for k in range(20)]
    log_views(lake, views)
    met = 0
    for view in views:
        found, slate = derived(lake, view), shown(view).slate
        [winner] = [each.name for each in found.interest_race if each.probability > 0.0]
        assert winner == "shoes"
        assert [each.finish for each in found.interest_race if each.name != winner] == [inf] * 3
        assert slate[0] == found.race[0].name
        if slate[0] != winner:
            met += 1
            assert slate[1] == winner
        assert [row.name for row in found.rows if row.is_outside] == ["shoes"]
    assert met > 5


@pytest.mark.parametrize(
    "variants",
    [
        [variant("a", cap=0.0), "b", "c", "d"],
        [variant("a"), variant("b", floor=0.5), variant("c", floor=0.25), variant("d", floor=0.25)],
    ],
)
def test_a_variant_that_is_served_to_nobody_never_finishes(
    lake: Lake, explain: Explain, variants: list[Record | str]
) -> None:
    view = see(put_hero(lake, place(*variants)), visitor_of("v"), 0)
    log_views(lake, [view])
    found = derived(lake, view)
    assert (found.race[-1].name, found.race[-1].probability, found.race[-1].finish) == ("a", 0.0, inf)
    assert found.race[0].name == shown(view).variant
    assert row_of(explain("v"), "The race", "a")[-1] == "never"


def test_probabilities_before_and_after_each_constraint_are_derived(lake: Lake, explain: Explain) -> None:
    variants = [variant("a", interests=["coats"], cap=0.3), variant("b", interests=["coats"], floor=0.25)]
    hero = place(*variants, variant("c", interests=["shoes"]), variant("d"), interest_share=0.35)
    site = put_hero(lake, hero, interest="session.preferences.topic")
    view = see(site, visitor_of("v"), 0)
    log_views(lake, [view])
    a, b, c, _ = derived(lake, view).rows
    assert (a.cap, a.floor, b.cap, b.floor) == (0.3, 0.0, 1.0, 0.25)
    assert a.thompson > a.cap == a.capped and a.floored > a.cap
    assert b.thompson < b.floor == b.floored
    assert (a.is_outside, b.is_outside, c.is_outside) == (False, False, True)
    assert c.capped < 0.35 == c.served
    text = explain("v")
    heading = "Constraints: floors, caps, at least 0.35 for other interests"
    assert row_of(text, heading, "a")[1:5] == ["0.0000", f"{a.floored:.4f}", "0.3000", "0.3000"]
    assert row_of(text, heading, "b") == [
        *(f"{each:.4f}" for each in (b.thompson, 0.25, 0.25, 1.0, b.capped)), "no", f"{b.served:.4f}"
    ]  # fmt: skip
    assert row_of(text, heading, "c")[-2:] == ["yes", "0.3500"]
    assert "interest coats; other ones get at least 0.35" in words(text)


def test_what_the_session_shifts_is_derived(lake: Lake, explain: Explain) -> None:
    shift = {"features": ["session.views"], "weights": [[2.0], [0.0], [0.0], [0.0]], "covariances": [[[3.0]]] * 4}
    view = see(put_hero(lake, place("a", "b", "c", "d", shift=shift)), visitor_of("v"), 0)
    log_views(lake, [view])
    row = derived(lake, view).rows[0]
    assert (row.mean, row.sd, row.shifted_mean, row.shifted_sd) == (0.4, 1.0, 2.4, 2.0)
    assert row_of(explain("v"), "shifted by session.views = 1", "a")[:4] == ["0.4000", "1.0000", "2.4000", "2.0000"]


def test_a_finer_level_that_was_passed_over_is_named(lake: Lake, explain: Explain) -> None:
    site = put_hero(lake, place("a", "b", "c", "d", finest="individual", models=["m"]), has_profiles=True)
    profile = profile_of("v", scores={("hero", "old"): {"means": [0.0] * 4, "sds": [1.0] * 4}})
    log_views(lake, [view_of(site, visitor_of("v", visits=2), profile=profile)])
    with pytest.raises(MissingVersion):
        derive(find_logged(lake, "v")[0], lake)
    change(lake, lambda _: True, profile="")
    text = words(explain("v"))
    assert "level global" in text
    assert "The log says otherwise; see usher replay fallbacks[0]: logged 'profile_model', computed nothing" in text


# What a repeat repeats


def test_a_repeat_is_explained_by_the_draw_among_the_same_variants(
    lake: Lake, targeted: Snapshot, explain: Explain
) -> None:
    views = [view_thrice(targeted, f"v-{k}") for k in range(20)]
    log_views(lake, [view for each in views for view in each])
    same = [each for each in views if shown(each[0]).variant == shown(each[1]).variant]
    assert len(same) > 2
    for first, second, third in same:
        logged = find_logged(lake, third.visitor.id)
        draw = find_draw(logged[2], logged)
        assert draw is not None
        assert draw.event_id == f"{second.request.id}-hero"
        assert find_draw(logged[0], logged) is logged[0]
        assert find_draw(logged[2], [logged[0], logged[2]]) is None
        assert logged[0].event_id == f"{first.request.id}-hero"
    text = explain(f"{same[0][2].request.id}-hero")
    assert f"repeats {same[0][1].request.id}-hero" in words(text)
    assert "not eligible craft" in words(text)
    assert text.count("The race") == 1


def test_a_repeat_of_another_propensity_is_no_repeat_of_a_draw(lake: Lake, ranked: Snapshot) -> None:
    first = see(ranked, visitor_of("v"), 0)
    log_views(lake, [first, see(ranked, first.visitor, 1)])
    change(lake, is_kept, slate_propensities=[0.5, 0.5, 0.5])
    draw, repeat = find_logged(lake, "v")
    assert find_draw(repeat, [draw, repeat]) is None


def test_a_repeat_whose_draw_is_lost_says_so(lake: Lake, targeted: Snapshot, explain: Explain) -> None:
    log_views(lake, view_thrice(targeted, "v")[2:])
    text = words(explain("v"))
    assert "repeats a draw of v1 that the lake does not hold" in text
    assert "The race" not in text


def test_a_preview_was_drawn_from_nothing(lake: Lake, targeted: Snapshot, explain: Explain) -> None:
    log_views(lake, [view_of(targeted, visitor_of("v"), forced={"hero": "offer"})])
    [logged] = find_logged(lake, "v")
    assert find_draw(logged, [logged]) is None
    assert "drawn nothing (preview)" in words(explain("v"))


# What is printed


def test_a_slate_is_printed_with_both_races_and_who_is_outside(lake: Lake, explain: Explain) -> None:
    site = put_tagged(lake)
    views = [see(site, visitor_of(f"v-{k}"), 0) for k in range(20)]
    log_views(lake, views)
    view = next(each for each in views if shown(each).slate[0] != "shoes")
    found, decision, text = derived(lake, view), shown(view), explain(view.visitor.id)
    for heading, race in (
        ("The race: the smallest", found.race),
        ("The race of other interests, for position 2 of the slate", found.interest_race),
    ):
        for each in race:
            finish = "never" if each.finish == inf else f"{each.finish:.4f}"
            assert row_of(text, heading, each.name) == [f"{each.probability:.4f}", f"{each.u:.4f}", finish]
    assert {name: row_of(text, "Constraints", name)[-2] for name in TAGS} == {
        "autumn-coats": "no", "winter-coats": "no", "shoes": "yes", "gift": "no"
    }  # fmt: skip
    first, second, third = decision.slate_propensities
    assert row_of(text, "The slate", "1") == [decision.slate[0], repr(first), "the", "race"]
    assert row_of(text, "The slate", "2") == ["shoes", repr(second), "other", "interests"]
    assert row_of(text, "The slate", "3") == [decision.slate[2], repr(third), "the", "race"]
    assert "not randomised" not in text


@pytest.mark.parametrize("slots", [1, 3])
def test_in_the_holdout_nothing_is_printed_as_drawn(lake: Lake, explain: Explain, slots: int) -> None:
    site = put_hero(lake, place("a", "b", "c", "d", slots=slots), holdout_share=0.5)
    unit = holdout_unit(site)
    log_views(lake, [see(site, visitor_of(unit), 0)])
    text = explain(unit)
    assert f"unit {unit}, held out (a share of 0.5 is)" in words(text)
    assert "nothing was drawn (holdout): a is the default" in text
    assert "what is served above is what would have been drawn from" in text
    assert re.search("race|propensity|position|not randomised", text) is None


def test_a_decision_without_posteriors_says_so(lake: Lake, explain: Explain) -> None:
    nobody = [variant(name, condition={"device": "watch"}) for name in "abcd"]
    log_views(lake, [see(put_hero(lake, place(*nobody)), visitor_of("v"), 0)])
    text = explain("v")
    assert "nothing was drawn (nothing_eligible): a is the default" in text
    assert "not eligible a, b, c, d" in words(text)
    assert "Posteriors" not in text


def test_a_redraw_says_that_it_is_not_randomised(lake: Lake, targeted: Snapshot, explain: Explain) -> None:
    views = view_redrawn(targeted, "v")
    log_views(lake, views)
    assert "not randomised: its epoch had drawn among these before" in explain(f"{views[2].request.id}-hero")
    assert "not randomised" not in explain(f"{views[1].request.id}-hero")
    assert derived(lake, views[2]).problems == ()


def test_relaxed_constraints_are_printed(lake: Lake, explain: Explain) -> None:
    coats = [variant(name, interests=["coats"]) for name in "abcd"]
    site = put_hero(lake, place(*coats, interest_share=0.3), interest="session.preferences.topic")
    log_views(lake, [see(site, visitor_of("v"), 0)])
    assert "relaxed interest_share, which the eligible variants cannot meet" in words(explain("v"))


def test_inputs_are_printed_as_conditions_name_them(lake: Lake, targeted: Snapshot, explain: Explain) -> None:
    log_views(lake, [see(targeted, visitor_of("v"), 0, plan="[bold]gold")])
    text = words(explain("v"))
    assert 'device = "mobile", path = "/", plan = "[bold]gold", session.away_days = 0' in text
    assert 'session.preferences.topic = "coats"' in text
    assert "segments none level global" in text
    assert "profile none" in text


def test_what_the_log_says_otherwise_is_printed(lake: Lake, ranked: Snapshot, explain: Explain) -> None:
    log_views(lake, [see(ranked, visitor_of("v"), 0)])
    before = change(lake, lambda _: True, slate_propensities=[0.5, 0.5, 0.5], relaxations=["caps"])
    text = words(explain("v"))
    assert "The log says otherwise; see usher replay relaxations[0]: logged 'caps', computed nothing" in text
    assert f"slate_propensities[0]: logged 0.5, computed {before['propensity']}" in text


def test_long_names_keep_to_the_columns(lake: Lake, explain: Explain) -> None:
    variants = [variant(f"autumn-{'-and-'.join(['coats'] * n)}", interests=["x"], floor=0.001) for n in range(5, 9)]
    hero = place(*variants, slots=3, interest_slots=[0], interest_share=0.2)
    site = put_hero(lake, hero, interest="session.preferences.topic", version=f"20261122T154000000Z-{'0' * 40}")
    log_views(lake, [see(site, visitor_of("v" * 22), 0)])
    text = "".join(explain("v" * 22).split())
    assert all(str(each["name"]) in text for each in variants)


def test_the_newest_decisions_are_explained(lake: Lake, targeted: Snapshot, explain: Explain) -> None:
    log_views(lake, view_thrice(targeted, "v"))
    text = explain("v", "--last", "1")
    assert text.startswith("the newest 1 of 3 decisions; --last 3 shows all\n")
    assert (text.count("decision  "), text.count("The race")) == (2, 1)
    whole = explain("v")
    assert "the newest" not in whole
    # A repeat points at its draw, which is not told again.
    assert (whole.count("The race"), whole.count("repeats  ")) == (2, 1)


def test_an_id_that_the_lake_does_not_hold_is_one_message(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_LAKE", str(lake.root))
    done = CliRunner().invoke(app, ["explain", "nobody"])
    assert done.exit_code == 1
    assert (
        done.stderr == "error: nobody: the lake holds no decision, visitor or unit of that id; usher pull brings new\n"
    )
