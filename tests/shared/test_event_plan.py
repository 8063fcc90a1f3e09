"""The tracking plan: read from a snapshot's header, and held against custom events."""

from __future__ import annotations

import math
from typing import Any

import pytest

from shared.errors import InvalidEvent, InvalidSnapshot
from shared.events import Plan, PlannedEvent, read_event
from shared.events.plan import read_plan
from shared.parse import Reader
from shared.sensitive import REFUSED
from tests.asking import publish
from tests.sending import PLAN, event, given

HEADER: dict[str, Any] = {
    "goals": ["order", "signup"],
    "events": {
        "trial_begun": {
            "properties": {"plan": "text", "seats": "whole", "price": "number", "yearly": "flag", "addons": "texts"},
            "required": ["plan"],
        },
        "tour_ended": {"properties": {}},
    },
    "questions": {"topic": ["coats", "shoes"]},
}


def properties_of(plan: Plan | None = PLAN, name: str = "trial_begun", /, **properties: Any) -> object:
    return read_event(event("custom", name=name, properties=properties), "e", given(plan=plan))["properties"]


def refusal_of(plan: Plan | None = PLAN, name: str = "trial_begun", /, **properties: Any) -> tuple[str, str]:
    with pytest.raises(InvalidEvent) as raised:
        properties_of(plan, name, **properties)
    return raised.value.code, str(raised.value).removeprefix("e.properties.")


def test_the_plan_is_read_from_the_header_of_a_snapshot() -> None:
    assert publish({}, **HEADER).header.plan == PLAN
    assert publish({}).header.plan == Plan(goals=("order",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": []}, "header.events: expected an object, got a list"),
        ({"events": {"a": 3}}, "header.events.a: expected an object, got 3"),
        ({"events": {"a": {}}}, "header.events.a.properties: missing; expected an object"),
        (
            {"events": {"a": {"properties": {"b": "date"}}}},
            "header.events.a.properties.b: expected one of text, number, whole, flag, texts, got the text 'date'",
        ),
        ({"events": {"a": {"properties": {"b": 3}}}}, "header.events.a.properties.b: expected a string, got 3"),
        (
            {"events": {"a": {"properties": {"income": "number"}}}},
            f"header.events.a.properties.income: {REFUSED}",
        ),
        (
            {"events": {"a": {"properties": {"b": "text"}, "required": ["c"]}}},
            "header.events.a.required: 'c' is none of the properties",
        ),
        ({"questions": 3}, "header.questions: expected an object, got 3"),
        ({"questions": {"a": ["b", 3]}}, "header.questions.a[1]: expected a string, got 3"),
        ({"events": {"pregnancy_test": {"properties": {}}}}, f"header.events.pregnancy_test: {REFUSED}"),
        ({"questions": {"religion": ["b"]}}, f"header.questions.religion: {REFUSED}"),
        ({"questions": {"topic": ["hats", "Pregnancy"]}}, f"header.questions.topic[1]: 'Pregnancy' {REFUSED}"),
    ],
)
def test_a_plan_not_of_the_form_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSnapshot) as raised:
        read_plan(Reader({**HEADER, **change}, "header", InvalidSnapshot))
    assert str(raised.value) == message


def test_the_plan_knows_its_questions_and_their_answers() -> None:
    answers = [("topic", "coats"), ("topic", "hats"), ("colour", "coats"), ("coats", "topic")]
    assert [PLAN.knows_answer(*each) for each in answers] == [True, False, False, False]


def test_planned_properties_are_stored_each_of_its_type() -> None:
    stored = properties_of(plan="team", seats=3.0, price=9, yearly=False, addons=[])
    assert stored == {"plan": "team", "seats": 3, "price": 9.0, "yearly": False, "addons": []}
    assert isinstance(stored, dict)
    assert (type(stored["seats"]), type(stored["price"])) == (int, float)
    assert properties_of(plan="team", seats=None) == {"plan": "team"}


@pytest.mark.parametrize(
    ("properties", "code", "message"),
    [
        ({}, "missing", "plan: missing; trial_begun needs it, of type text"),
        ({"plan": None}, "missing", "plan: missing; trial_begun needs it, of type text"),
        ({"plan": 3}, "wrong_type", "plan: expected a string, got a number"),
        ({"plan": "x" * 1001}, "too_long", "plan: 1001 characters; at most 1000 are allowed"),
        ({"plan": {"a": 1}}, "wrong_type", "plan: expected a string, got an object"),
        ({"plan": "a", "yearly": 1}, "wrong_type", "yearly: expected true or false, got a number"),
        ({"plan": "a", "addons": ["x"] * 51}, "too_long", "addons: 51 texts; at most 50 are allowed"),
        (
            {"plan": "a", "seats": 1 << 60},
            "out_of_range",
            f"seats: expected a whole number from {-(1 << 53)} to {1 << 53}, got {1 << 60}",
        ),
        (
            {"plan": "a", "colour": "red"},
            "unplanned",
            "colour: is not planned; the properties of trial_begun are plan, seats, price, yearly, addons, as "
            "[events.trial_begun] of usher.toml says",
        ),
        ({"plan": "a", "income": 3}, "sensitive", "income: is on the sensitive list; do not send it"),
    ],
)
def test_properties_that_are_not_as_planned_are_refused(properties: dict[str, Any], code: str, message: str) -> None:
    assert refusal_of(**properties) == (code, message)


def test_an_event_planned_without_properties_and_a_goal_take_none() -> None:
    assert properties_of(PLAN, "tour_ended") == {}
    assert refusal_of(PLAN, "tour_ended", step=3) == (
        "unplanned",
        "step: is not planned; the properties of tour_ended are none, as [events.tour_ended] of usher.toml says",
    )
    assert properties_of(PLAN, "order") == {}
    assert refusal_of(PLAN, "order", total=3) == (
        "unplanned",
        "total: is not planned; add [events.order] with its properties to usher.toml",
    )
    assert refusal_of(PLAN, "order", salary=3)[0] == "sensitive"


def test_an_event_may_be_planned_under_the_name_of_a_goal() -> None:
    plan = Plan(goals=("order",), events={"order": PlannedEvent(properties={"total": "number"})})
    assert properties_of(plan, "order", total=3) == {"total": 3.0}


def test_a_custom_event_without_properties_has_none() -> None:
    stored = read_event(event("custom", name="tour_ended", properties=...), "e", given())
    assert stored["properties"] == {}


def test_without_a_plan_every_type_that_could_be_planned_is_taken() -> None:
    mixed = {"a": "x", "b": 3, "c": 2.5, "d": True, "e": ["x"]}
    assert properties_of(None, "anything", **mixed, f=None) == mixed


@pytest.mark.parametrize(
    ("properties", "code", "message"),
    [
        (
            {"a": {"b": 1}},
            "wrong_type",
            "a: expected a text, a number, true or false, or a list of texts, got an object",
        ),
        ({"a": [[]]}, "wrong_type", "a[0]: expected a string, got a list"),
        ({"a": math.nan}, "wrong_type", f"a: expected a number from {-(1 << 53):g} to {1 << 53:g}, got nan"),
        ({"a": math.inf}, "out_of_range", f"a: expected a number from {-(1 << 53):g} to {1 << 53:g}, got inf"),
        ({"": 1}, "out_of_range", "(a name of 0 characters): is empty"),
        ({"wages": None}, "sensitive", "wages: is on the sensitive list; do not send it"),
    ],
)
def test_without_a_plan_properties_are_refused_that_no_plan_could_hold(
    properties: dict[str, Any], code: str, message: str
) -> None:
    assert refusal_of(None, "anything", **properties) == (code, message)


@pytest.mark.parametrize("plan", [PLAN, None])
def test_more_than_thirty_properties_are_refused(plan: Plan | None) -> None:
    with pytest.raises(InvalidEvent) as raised:
        properties_of(plan, "trial_begun", **{f"p{i}": 1 for i in range(31)})
    assert (raised.value.code, str(raised.value)) == (
        "too_long",
        "e.properties: 31 properties; at most 30 are allowed",
    )


@pytest.mark.parametrize("properties", [[], "x", 3, True])
def test_properties_that_are_no_object_are_refused(properties: object) -> None:
    with pytest.raises(InvalidEvent, match=r"^e\.properties: expected an object, got "):
        read_event(event("custom", properties=properties), "e", given())
