from __future__ import annotations

import json
import math

import pytest

from shared.decision import Unit, decide
from shared.errors import InvalidEvent
from shared.events import LATEST_MS, MAX_AGE_MS, SCHEMA, Exposure, Goal, read_goal
from shared.snapshot import Snapshot

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


def test_a_stored_exposure_holds_the_decision_beside_the_common_fields(site: Snapshot) -> None:
    decision = decide("hero", Unit(id="u-1", session_ms=5), site, {"device": "mobile"}, SENT_MS)
    exposure = Exposure(
        event_id="pv-1-hero",
        created_ms=SENT_MS,
        received_ms=SENT_MS,
        visitor="v-1",
        page_view="pv-1",
        url_path="/",
        decision=decision,
        segments=("vip",),
        context={"device": "mobile"},
    )
    stored = json.loads(json.dumps(exposure.to_dict()))
    assert (stored["type"], stored["schema"]) in [(name, SCHEMA) for name in ("exposure", "goal")]
    assert stored["unit"] == "u-1"
    assert stored["variant"] == decision.variant
    assert stored["propensity"] == decision.propensity
    assert stored["probabilities"] == list(decision.probabilities)
    assert stored["context"] == {"device": "mobile"}
    assert stored["segments"] == ["vip"]
    assert "variant_index" not in stored
    assert "decision" not in stored
