from __future__ import annotations

from dataclasses import replace

import pytest

from shared.events import EVENT_TYPES, STORED
from shared.profile import Profile, write_profile
from shared.session import Session, Viewed
from shared.snapshot import Snapshot
from tests.asking import NOW_MS, Record, ask, cell, events_of, frozen_of, place, profile_of, publish
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
SESSION = Session(started_ms=5, seen_ms=NOW_MS, visits=2, views=3, referral="search", preferences={"topic": "coats"})
VISITOR = Visitor("v-1", "u-1", SESSION)
REQUEST = PageRequest(
    id="pv-1",
    names=["hero", "pick"],
    snapshot=SITE,
    visitor=VISITOR,
    session=SESSION,
    context={"path": "/", "device": "mobile"},
    forced={},
    now_ms=NOW_MS,
    is_shown=True,
    user_agent="Mobi",
)


def without_profiles() -> Snapshot:
    return publish({"touchpoint:hero": HERO})


@pytest.mark.parametrize(
    ("visits", "views", "key"), [(1, 1, None), (1, 2, "profile:v-1"), (2, 1, "profile:v-1"), (9, 9, "profile:v-1")]
)
def test_a_first_view_has_no_profile_to_read(visits: int, views: int, key: str | None) -> None:
    session = replace(SESSION, visits=visits, views=views)
    assert replace(REQUEST, session=session).profile_key == key
    assert replace(REQUEST, session=session, snapshot=without_profiles()).profile_key is None


@pytest.mark.parametrize(("visits", "views", "key"), [(1, 1, None), (1, 2, None), (2, 1, "profile:v-1"), (2, 2, None)])
def test_a_page_without_touchpoints_reads_a_profile_only_where_a_session_begins(
    visits: int, views: int, key: str | None
) -> None:
    session = replace(SESSION, visits=visits, views=views)
    assert replace(REQUEST, session=session, names=[]).profile_key == key


def test_the_profile_read_is_that_of_the_browser_and_not_of_the_unit_it_decides_by() -> None:
    assert replace(REQUEST, visitor=replace(VISITOR, unit="person-7")).profile_key == "profile:v-1"


def test_decisions_rest_on_context_session_and_profile() -> None:
    view = PageView(REQUEST, profile_of(scores=SCORES, attributes={"orders": 3}))
    attributes = view.plan.situation.attributes
    assert attributes["profile"] == {"orders": 3}
    assert attributes["session"] == {**SESSION.to_attributes(), "intent": 0.0}
    assert [slot.decision.level for slot in view.plan.slots] == ["individual", "global"]
    assert [slot.decision.unit for slot in view.plan.slots] == ["u-1", "u-1"]


FIRST = replace(REQUEST, session=replace(SESSION, views=1))


def test_on_the_first_view_of_a_session_the_visitor_takes_over_the_persons_unit() -> None:
    before = replace(VISITOR, frozen=(frozen_of(ask(SITE, touchpoint="pick")),))
    view = PageView(replace(FIRST, visitor=before), profile_of("u-2", scores=SCORES, attributes={"orders": 3}))
    assert (view.visitor.id, view.visitor.unit, view.visitor.session) == ("v-1", "u-2", SESSION)
    assert view.plan.situation.attributes["profile"] == {"orders": 3}
    assert [slot.decision.unit for slot in view.plan.slots] == ["u-2", "u-2"]
    # What was drawn for the other unit is not repeated.
    assert [slot.decision.reason for slot in view.plan.slots] == ["individual", "global"]
    assert len(view.visitor.frozen) == 2


def test_a_visitor_that_is_no_longer_the_persons_goes_back_to_its_own_unit_with_the_next_session() -> None:
    drawn = frozen_of(ask(SITE, "kiosk", touchpoint="pick"))
    request = replace(FIRST, visitor=Visitor("v-1", "kiosk", FIRST.session, (drawn,)))
    view = PageView(request, profile_of("v-1"))
    assert view.visitor.unit == "v-1"
    assert [slot.decision.unit for slot in view.plan.slots] == ["v-1", "v-1"]
    assert view.plan.slots[1].decision == ask(
        SITE,
        "v-1",
        touchpoint="pick",
        session=FIRST.session,
        profile=profile_of("v-1"),
        attributes=dict(REQUEST.context),
    )
    [crossing, *_] = events_of(view, [])
    assert (crossing["unit_before"], crossing["unit"]) == ("kiosk", "v-1")
    later = PageView(replace(REQUEST, visitor=request.visitor), profile_of("v-1"))
    assert (later.visitor.unit, events_of(later, [])) == ("kiosk", [])


def test_a_crossing_is_logged_with_the_exposures_and_without_any() -> None:
    view = PageView(FIRST, profile_of("u-2", scores=SCORES))
    assert [event["type"] for event in events_of(view, [0, 1])] == ["crossing", "exposure", "exposure"]
    [event] = events_of(view, [])
    assert set(event) == {field.name for field in (*STORED, *EVENT_TYPES["crossing"].fields)}
    assert event == {
        **event,
        "event_id": "pv-1-crossing",
        "happened_ms": NOW_MS,
        "visitor": "v-1",
        "session_ms": 5,
        "page_view": "pv-1",
        "source": "edge",
        "unit_before": "u-1",
        "unit": "u-2",
    }
    later = Visitor("v-1", "u-2", SESSION)
    assert events_of(PageView(replace(FIRST, visitor=later), profile_of("u-2")), []) == []


def test_a_page_that_is_only_observed_may_be_a_crossing() -> None:
    view = PageView(replace(FIRST, names=[]), profile_of("u-2"))
    assert (view.visitor.unit, [event["type"] for event in events_of(view, [])]) == ("u-2", ["crossing"])


@pytest.mark.parametrize("unit", ["", "u!2", "u 2", "ü-2", "u" * 65, "u-2\n"])
def test_a_unit_that_no_cookie_can_hold_is_not_taken_over(unit: str) -> None:
    view = PageView(FIRST, profile_of(unit, attributes={"orders": 3}))
    assert (view.visitor.unit, events_of(view, [])) == ("u-1", [])
    assert view.plan.situation.attributes["profile"] == {}


@pytest.mark.parametrize("views", [0, 2, 3])
def test_later_in_a_session_the_profile_of_another_unit_is_ignored(views: int) -> None:
    request = replace(REQUEST, session=replace(SESSION, views=views))
    view = PageView(request, profile_of("u-2", scores=SCORES, attributes={"orders": 3}))
    assert (view.visitor.unit, events_of(view, [])) == ("u-1", [])
    assert view.plan.situation.attributes["profile"] == {}
    assert [slot.decision.level for slot in view.plan.slots] == ["global", "global"]
    assert [slot.decision.profile for slot in view.plan.slots] == ["", ""]
    assert view.plan.failures == ()


def test_what_was_drawn_is_frozen_for_the_next_view() -> None:
    first = PageView(REQUEST, None)
    assert [each.touchpoint for each in first.visitor.frozen] == ["hero", "pick"]
    visitor = continue_visit(first.visitor, [], Viewed(NOW_MS + 1_000, "pv-000002"), bytes)
    request = replace(REQUEST, visitor=visitor, session=visitor.session, now_ms=NOW_MS + 1_000)
    second = PageView(request, profile_of(scores=SCORES))
    assert [slot.decision.reason for slot in second.plan.slots] == ["kept", "kept"]
    assert [slot.decision.variant for slot in second.plan.slots] == [slot.decision.variant for slot in first.plan.slots]
    assert second.visitor.frozen == first.visitor.frozen


def test_a_page_with_some_of_the_touchpoints_keeps_what_is_frozen_of_the_others() -> None:
    before = replace(VISITOR, frozen=(frozen_of(ask(SITE, touchpoint="pick")),))
    view = PageView(replace(REQUEST, names=["hero"], visitor=before), None)
    assert {each.touchpoint for each in view.visitor.frozen} == {"hero", "pick"}


@pytest.mark.parametrize(("written", "names"), [([], []), ([0], ["hero"]), ([1], ["pick"]), ([1, 0], ["pick", "hero"])])
def test_only_slots_that_were_written_are_exposed(written: list[int], names: list[str]) -> None:
    exposures = events_of(PageView(REQUEST, None), written)
    assert [each["touchpoint"] for each in exposures] == names
    assert [each["event_id"] for each in exposures] == [f"pv-1-{name}" for name in names]
    assert all((each["visitor"], each["page_view"], each["url_path"]) == ("v-1", "pv-1", "/") for each in exposures)


@pytest.mark.parametrize("is_shown", [True, False])
def test_an_exposure_says_whether_its_page_was_shown_or_fetched_ahead(is_shown: bool) -> None:
    view = PageView(replace(REQUEST, is_shown=is_shown), None)
    assert [(each["is_shown"], each["user_agent"]) for each in events_of(view, [0, 1])] == [(is_shown, "Mobi")] * 2
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
