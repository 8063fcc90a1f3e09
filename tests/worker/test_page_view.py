from __future__ import annotations

from dataclasses import replace

import pytest

from shared.profile import Profile, write_profile
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, Record, ask, cell, frozen_of, place, profile_of, publish
from worker.page_view import PageRequest, PageView, read_profile
from worker.visitor import Visitor, continue_visit

HERO = place("a", "b", finest="individual", models=["m"])
SCORES: dict[tuple[str, str], Record] = {("hero", "m"): {"means": [0.0, 0.1], "sds": [1.0, 1.0]}}
SITE = publish(
    {
        "touchpoint:hero": HERO,
        "cell:hero:global:": cell([0.0, 0.0]),
        "touchpoint:pick": place("x", "y", epoch="forever"),
        "cell:pick:global:": cell([0.0, 0.0]),
    },
    has_profiles=True,
    pages={"hero": ["/"], "pick": ["/"]},
)
VISITOR = Visitor(id="v-1", unit="u-1", session_ms=5, seen_ms=NOW_MS, visits=2, views=3, referral="search")
REQUEST = PageRequest(
    id="pv-1",
    names=["hero", "pick"],
    snapshot=SITE,
    visitor=VISITOR,
    context={"path": "/", "device": "mobile"},
    preferences={"topic": "coats"},
    forced={},
    now_ms=NOW_MS,
    is_shown=True,
)


def without_profiles() -> Snapshot:
    return publish({"touchpoint:hero": HERO})


@pytest.mark.parametrize(
    ("visits", "views", "key"), [(1, 1, None), (1, 2, "profile:u-1"), (2, 1, "profile:u-1"), (9, 9, "profile:u-1")]
)
def test_a_first_view_has_no_profile_to_read(visits: int, views: int, key: str | None) -> None:
    visitor = replace(VISITOR, visits=visits, views=views)
    assert replace(REQUEST, visitor=visitor).profile_key == key
    assert replace(REQUEST, visitor=visitor, snapshot=without_profiles()).profile_key is None


def test_the_profile_read_is_that_of_the_unit_and_not_of_the_browser() -> None:
    assert replace(REQUEST, visitor=replace(VISITOR, unit="person-7")).profile_key == "profile:person-7"


def test_decisions_rest_on_context_session_and_profile() -> None:
    view = PageView(REQUEST, profile_of(scores=SCORES, attributes={"orders": 3}))
    attributes = view.plan.situation.attributes
    assert attributes["profile"] == {"orders": 3}
    assert attributes["session"] == {
        "started_ms": 5,
        "views": 3,
        "visits": 2,
        "referral": "search",
        "preferences": {"topic": "coats"},
        "intent": 0.0,
    }
    assert [slot.decision.level for slot in view.plan.slots] == ["individual", "global"]
    assert [slot.decision.unit for slot in view.plan.slots] == ["u-1", "u-1"]


def test_the_profile_of_another_unit_is_ignored() -> None:
    view = PageView(REQUEST, profile_of("u-2", scores=SCORES, attributes={"orders": 3}))
    assert view.plan.situation.attributes["profile"] == {}
    assert [slot.decision.level for slot in view.plan.slots] == ["global", "global"]
    assert [slot.decision.profile for slot in view.plan.slots] == ["", ""]
    assert view.plan.failures == ()


def test_what_was_drawn_is_frozen_for_the_next_view() -> None:
    first = PageView(REQUEST, None)
    assert [each.touchpoint for each in first.visitor.frozen] == ["hero", "pick"]
    visitor = continue_visit(first.visitor, NOW_MS + 1_000, lambda: "direct", bytes)
    second = PageView(replace(REQUEST, visitor=visitor, now_ms=NOW_MS + 1_000), profile_of(scores=SCORES))
    assert [slot.decision.reason for slot in second.plan.slots] == ["kept", "kept"]
    assert [slot.decision.variant for slot in second.plan.slots] == [slot.decision.variant for slot in first.plan.slots]
    assert second.visitor.frozen == first.visitor.frozen


def test_a_page_with_some_of_the_touchpoints_keeps_what_is_frozen_of_the_others() -> None:
    before = replace(VISITOR, frozen=(frozen_of(ask(SITE, touchpoint="pick")),))
    view = PageView(replace(REQUEST, names=["hero"], visitor=before), None)
    assert {each.touchpoint for each in view.visitor.frozen} == {"hero", "pick"}


@pytest.mark.parametrize(("written", "names"), [([], []), ([0], ["hero"]), ([1], ["pick"]), ([1, 0], ["pick", "hero"])])
def test_only_slots_that_were_written_are_exposed(written: list[int], names: list[str]) -> None:
    exposures = PageView(REQUEST, None).exposures(written)
    assert [each.decision.touchpoint for each in exposures] == names
    assert [each.event_id for each in exposures] == [f"pv-1-{name}" for name in names]
    assert all((each.visitor, each.page_view, each.url_path) == ("v-1", "pv-1", "/") for each in exposures)


def test_a_page_that_is_not_shown_yet_decides_and_exposes_nothing() -> None:
    view = PageView(replace(REQUEST, is_shown=False), None)
    assert view.exposures([0, 1]) == []
    assert len(view.visitor.frozen) == 2


def test_a_forced_variant_is_shown_and_not_frozen() -> None:
    view = PageView(replace(REQUEST, forced={"hero": "b"}), None)
    assert [slot.decision.reason for slot in view.plan.slots] == ["preview", "global"]
    assert [each.touchpoint for each in view.visitor.frozen] == ["pick"]


def test_a_profile_is_read_from_its_text() -> None:
    header: Record = {"unit": "u-1", "version": "p", "computed_ms": 0, "cluster": "", "attributes": {}}
    profile, problem = read_profile(write_profile(header, SCORES))
    assert isinstance(profile, Profile)
    assert (profile.header.version, problem) == ("p", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, None),
        ("", "profile_invalid"),
        ("{", "profile_invalid"),
        ('{"format":1}', "profile_invalid"),
        ('{"format":2}', "profile_unknown_format"),
        ("{}", "profile_unknown_format"),
    ],
)
def test_what_is_no_profile_is_none_and_counted(text: str | None, problem: str | None) -> None:
    assert read_profile(text) == (None, problem)
