from __future__ import annotations

import json
import math

import pytest

from shared.decision import Decision
from shared.errors import InvalidEvent
from shared.events import LATEST_MS, LOGGED, MAX_AGE_MS, SCHEMA, Exposure, Goal, read_goal
from shared.session import Session
from shared.snapshot import Snapshot
from tests.asking import ask, cell, place, profile_of, publish_hero

SENT_MS = 1_700_000_000_000
CLICK: dict[str, object] = {
    "type": "goal",
    "event_id": "e-1",
    "name": "order",
    "touchpoint": "hero",
    "page_view": "pv-1",
    "created_ms": SENT_MS - 500,
}


def read(data: object, *, goals: tuple[str, ...] | None = ("order", "signup"), sent_ms: int = SENT_MS) -> Goal:
    return read_goal(data, path="events[3]", visitor="v-1", sent_ms=sent_ms, received_ms=SENT_MS + 9_000, goals=goals)


def test_a_goal_is_read_with_its_visitor_and_times() -> None:
    assert read(CLICK) == Goal(
        event_id="e-1",
        created_ms=SENT_MS - 500,
        sent_ms=SENT_MS,
        received_ms=SENT_MS + 9_000,
        visitor="v-1",
        page_view="pv-1",
        name="order",
        touchpoint="hero",
    )


@pytest.mark.parametrize("clock_error_ms", [-7_200_000, 0, 86_400_000])
def test_a_wrong_client_clock_cancels_out_of_when_it_happened(clock_error_ms: int) -> None:
    goal = read({**CLICK, "created_ms": SENT_MS - 500 + clock_error_ms}, sent_ms=SENT_MS + clock_error_ms)
    assert goal.happened_ms == SENT_MS + 8_500


@pytest.mark.parametrize("absent", [{}, {"touchpoint": None, "page_view": None}])
def test_a_goal_outside_a_slot_has_no_touchpoint(absent: dict[str, object]) -> None:
    bare = {key: CLICK[key] for key in ("type", "event_id", "name", "created_ms")}
    goal = read({**bare, **absent})
    assert (goal.touchpoint, goal.page_view) == (None, "")


def test_a_goal_of_any_name_is_accepted_where_the_configured_names_are_not_known() -> None:
    assert read({**CLICK, "name": "anything"}, goals=None).name == "anything"


@pytest.mark.parametrize("age_ms", [0, 1, MAX_AGE_MS])
def test_a_goal_may_wait_for_thirty_days(age_ms: int) -> None:
    assert read({**CLICK, "created_ms": SENT_MS - age_ms}).created_ms == SENT_MS - age_ms


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "exposure"}, "events[3].type: expected goal, got the text 'exposure'"),
        ({"type": 1}, "events[3].type: expected a string, got 1"),
        ({"type": "g" * 41}, "events[3].type: 41 characters; at most 40 are allowed"),
        ({"name": "other"}, "events[3].name: expected a configured goal (order, signup), got the text 'other'"),
        ({"name": None}, "events[3].name: expected a string, got nothing"),
        ({"created_ms": -1}, f"events[3].created_ms: expected a whole number from 0 to {LATEST_MS}, got -1"),
        ({"created_ms": 1.5}, f"events[3].created_ms: expected a whole number from 0 to {LATEST_MS}, got 1.5"),
        ({"created_ms": math.nan}, f"events[3].created_ms: expected a whole number from 0 to {LATEST_MS}, got nan"),
        (
            {"created_ms": 10**30},
            f"events[3].created_ms: expected a whole number from 0 to {LATEST_MS}, got 1{'0' * 30}",
        ),
        ({"created_ms": SENT_MS + 1}, f"events[3].created_ms: is not within 30 days before sent_ms ({SENT_MS})"),
        (
            {"created_ms": SENT_MS - MAX_AGE_MS - 1},
            f"events[3].created_ms: is not within 30 days before sent_ms ({SENT_MS})",
        ),
        ({"event_id": ""}, "events[3].event_id: expected a unique, non-empty string, got the text ''"),
        ({"event_id": "x" * 101}, "events[3].event_id: 101 characters; at most 100 are allowed"),
        ({"event_id": []}, "events[3].event_id: expected a string, got a list"),
        ({"page_view": "x" * 101}, "events[3].page_view: 101 characters; at most 100 are allowed"),
        ({"touchpoint": {}}, "events[3].touchpoint: expected a string, got an object"),
    ],
)
def test_a_goal_not_of_the_schema_is_refused_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        read({**CLICK, **change})
    assert str(raised.value) == message


def test_where_no_goal_is_configured_the_message_says_so() -> None:
    with pytest.raises(InvalidEvent) as raised:
        read(CLICK, goals=())
    expected = "events[3].name: expected a configured goal (none is configured), got the text 'order'"
    assert str(raised.value) == expected


@pytest.mark.parametrize("key", ["type", "name", "created_ms", "event_id"])
def test_a_goal_without_a_required_field_is_refused(key: str) -> None:
    with pytest.raises(InvalidEvent, match=rf"^events\[3\]\.{key}: missing; expected "):
        read({name: value for name, value in CLICK.items() if name != key})


def test_a_stored_goal_says_its_schema_type_and_when_it_happened() -> None:
    stored = read(CLICK).to_dict()
    assert (stored["schema"], stored["type"], stored["happened_ms"]) == (SCHEMA, "goal", SENT_MS + 8_500)
    assert stored["type"] in ("exposure", "goal")
    assert json.loads(json.dumps(stored)) == stored


def exposure_of(decision: Decision) -> Exposure:
    return Exposure(
        event_id="pv-1-hero",
        created_ms=SENT_MS,
        received_ms=SENT_MS + 1,
        visitor="v-1",
        page_view="pv-1",
        url_path="/",
        decision=decision,
        segments=("vip",),
        context={"device": "mobile"},
        session={"views": 2, "preferences": {"topic": "coats"}},
    )


def test_a_stored_exposure_holds_the_decision_beside_the_common_fields(site: Snapshot) -> None:
    decision = ask(site)
    stored = json.loads(json.dumps(exposure_of(decision).to_dict()))
    assert (stored["type"], stored["schema"], SCHEMA) == ("exposure", 2, 2)
    assert (stored["event_id"], stored["visitor"], stored["page_view"]) == ("pv-1-hero", "v-1", "pv-1")
    assert (stored["created_ms"], stored["received_ms"], stored["url_path"]) == (SENT_MS, SENT_MS + 1, "/")
    assert stored["context"] == {"device": "mobile"}
    assert stored["session"] == {"views": 2, "preferences": {"topic": "coats"}}
    assert stored["segments"] == ["vip"]
    for name in LOGGED:
        value = getattr(decision, name)
        assert stored[name] == (list(value) if isinstance(value, tuple) else value)
    for name in ("decision", "variant_index", "distribution", "slate", "slate_propensities"):
        assert name not in stored


def test_all_that_a_replay_compares_is_logged() -> None:
    replayed = {"touchpoint", "unit", "epoch", "variant", "propensity", "probabilities", "eligible", "excluded"}
    rests_on = {"level", "cell", "snapshot", "profile", "fallbacks", "relaxations"}
    assert replayed | rests_on | {"holdout", "randomised", "reason", "because"} == set(LOGGED)
    assert len(set(LOGGED)) == len(LOGGED)


def test_a_stored_exposure_says_what_profile_it_rests_on_and_what_fell_back() -> None:
    site = publish_hero(place("a", "b", finest="individual", models=["m"]))
    stored = exposure_of(
        ask(site, profile=profile_of(scores={("hero", "old"): {"means": [0.0, 0.0], "sds": [1.0, 1.0]}}))
    ).to_dict()
    assert (stored["profile"], stored["fallbacks"]) == ("p1", ("profile_model",))
    assert stored["because"] == "because it was drawn by how well each alternative has done with all visitors"


def test_a_stored_slate_has_all_its_positions() -> None:
    site = publish_hero(place("a", "b", "c", slots=2), cells={"global:": cell([0.0, 0.1, 0.2])})
    decision = ask(site, session=Session(started_ms=1))
    stored = json.loads(json.dumps(exposure_of(decision).to_dict()))
    assert stored["slate"] == list(decision.slate)
    assert stored["slate_propensities"] == list(decision.slate_propensities)
    assert stored["variant"] == stored["slate"][0]
