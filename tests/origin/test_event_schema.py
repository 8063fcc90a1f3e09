"""The published schema of events: that of the definition, and of one mind with the reader at the edge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from origin.event_schema import event_adapter, event_json_schema, event_models
from shared.errors import InvalidEvent
from shared.events import BROWSER, EVENT_TYPES, SERVER, Plan, read_event
from shared.parse import has_surrogate
from shared.sensitive import is_sensitive
from tests.property.documents import Json
from tests.sending import PLAN, SENT_MS, WHOLE, event, given

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "docs" / "events.schema.json"
SENDABLE = [(each.name, sender) for each in EVENT_TYPES.values() for sender in each.senders]
PLANS = [None, PLAN, Plan(), Plan(goals=("order",))]
SCHEMAS = [event_json_schema(plan) for plan in PLANS]


def validator_of(schema: dict[str, Any], sender: str) -> Draft202012Validator:
    """A validator of single events."""
    items = schema["$defs"][f"{sender.title()}Batch"]["properties"]["events"]["items"]
    return Draft202012Validator({"$schema": schema["$schema"], "$defs": schema["$defs"], **items})


VALIDATORS = {
    (sender, number): validator_of(schema, sender)
    for sender in (BROWSER, SERVER)
    for number, schema in enumerate(SCHEMAS)
}
ADAPTERS: dict[tuple[str, int], TypeAdapter[Any]] = {
    (sender, number): event_adapter(sender, plan) for sender in (BROWSER, SERVER) for number, plan in enumerate(PLANS)
}


def test_the_published_schema_is_that_of_the_definition() -> None:
    written = json.dumps(event_json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert PUBLISHED.read_text(encoding="utf-8") == written, "run usher schema --events > docs/events.schema.json"


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_schema_is_one_and_describes_every_field(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    for name, each in schema["$defs"].items():
        assert each["additionalProperties"] is False
        if name.startswith(("Browser", "Server")) and not name.endswith("Properties"):
            assert each["description"]
            assert all("description" in field for field in each["properties"].values())
            assert not any("default" in field for field in each["properties"].values())


def test_the_schema_knows_every_type_and_every_field() -> None:
    for name, sender in SENDABLE:
        [model] = event_models(sender)[name]
        assert list(model.model_fields) == [field.name for field in EVENT_TYPES[name].fields_of(sender)]


def test_a_batch_of_all_good_events_fits_the_schema_as_a_whole() -> None:
    for number, plan in enumerate((None, PLAN)):
        validator = Draft202012Validator(SCHEMAS[number])
        for sender in (BROWSER, SERVER):
            events = [event(name, sender) for name, each in SENDABLE if each == sender]
            validator.validate({"sent_ms": SENT_MS, "events": events})
            assert all(read_event(each, "", given(sender, plan=plan)) for each in events)
    assert not Draft202012Validator(SCHEMAS[0]).is_valid({"sent_ms": SENT_MS, "events": [{"type": "goal"}]})
    assert not Draft202012Validator(SCHEMAS[0]).is_valid({"events": []})


def test_what_a_plan_does_not_know_is_not_in_its_schema() -> None:
    assert "goal" not in {key for key, models in event_models(BROWSER, Plan()).items() if models}
    assert [model.__name__ for model in event_models(BROWSER, PLAN)["custom"]] == [
        "BrowserCustomGoal",
        "BrowserCustomTrialBegun",
        "BrowserCustomTourEnded",
    ]
    validator = VALIDATORS[BROWSER, PLANS.index(PLAN)]
    assert validator.is_valid(event("custom"))
    assert not validator.is_valid(event("custom", properties={"seats": 3}))
    assert not validator.is_valid(event("custom", properties=...))
    assert not validator.is_valid(event("preference", answer="hats"))


def verdicts_of(data: dict[str, Any], sender: str, number: int) -> tuple[bool, bool, bool]:
    """Whether reader, schema and models accept an event."""
    try:
        read_event(data, "e", given(sender, plan=PLANS[number]))
        by_reader = True
    except InvalidEvent:
        by_reader = False
    try:
        ADAPTERS[sender, number].validate_python(data)
        by_models = True
    except ValidationError:
        by_models = False
    return by_reader, VALIDATORS[sender, number].is_valid(data), by_models


def is_beyond(value: object) -> bool:
    """Whether a value holds what no schema speaks of: half a surrogate pair, or a sensitive name. Or a line break at
    its end, before which Python lets a pattern end as well."""
    if isinstance(value, str):
        return has_surrogate(value) or value.endswith("\n")
    if isinstance(value, dict):
        return any(is_sensitive(key) or is_beyond(key) or is_beyond(each) for key, each in value.items())
    return isinstance(value, list) and any(map(is_beyond, value))


def without_nan(value: object) -> bool:
    """Whether it is JSON: no number that is none, or endless."""
    return "NaN" not in (text := json.dumps(value)) and "Infinity" not in text


FIELDS = sorted({field.name for name, sender in SENDABLE for field in EVENT_TYPES[name].fields_of(sender)})
Sample = st.sampled_from([value for fields in WHOLE.values() for value in fields.values()])
Value = (
    Json.filter(without_nan)
    | Sample
    | st.sampled_from(["", "EUR", "/", "x" * 100, "x" * 201, "ä" * 40, 0, -1, 1.0, 3.5, 1e13, 10**30, 1 << 53, None])
    | st.lists(st.text(max_size=3), max_size=3)
    | st.dictionaries(
        st.sampled_from(["plan", "seats", "price", "yearly", "addons", "source", "x"]),
        Json.filter(without_nan) | Sample,
        max_size=3,
    )
)


@settings(max_examples=1_000, deadline=None)
@drawn(
    st.sampled_from(SENDABLE),
    st.integers(0, len(PLANS) - 1),
    st.dictionaries(st.sampled_from([*FIELDS, "other"]), Value | st.just(...), max_size=3),
)
def test_reader_schema_and_models_accept_the_same_events(
    sent: tuple[str, str], number: int, changes: dict[str, Any]
) -> None:
    name, sender = sent
    changes.pop("type", None)
    if changes.get("created_ms") is not ...:
        changes.pop("created_ms", None)
    if changes.get("signature") is not ...:
        changes.pop("signature", None)
    data = event(name, sender, **changes)
    if not is_beyond(data):
        assert len(set(verdicts_of(data, sender, number))) == 1, verdicts_of(data, sender, number)


@settings(max_examples=300, deadline=None)
@drawn(st.dictionaries(st.sampled_from([*FIELDS, "other"]), Value, max_size=6), st.sampled_from([BROWSER, SERVER]))
def test_reader_schema_and_models_refuse_the_same_objects(data: dict[str, Any], sender: str) -> None:
    if not is_beyond(data):
        assert len(set(verdicts_of(data, sender, 0))) == 1


@pytest.mark.parametrize("sender", [BROWSER, SERVER])
def test_ids_of_the_edge_and_visitors_that_are_none_fit_no_schema(sender: str) -> None:
    view = "18bcfe56800-0123456789abcdef"
    for name, is_good in ((f"{view}-hero", False), (f"{view}-", False), (view, True), (f"x{view}-hero", True)):
        assert verdicts_of(event("goal", sender, event_id=name), sender, 0) == (is_good,) * 3
    if sender == SERVER:
        for name, is_good in (("alice@shop.test", False), ("a b", False), ("v_.~-7", True)):
            assert verdicts_of(event("goal", sender, visitor=name), sender, 0) == (is_good,) * 3


def test_what_only_the_reader_refuses_is_said_in_the_schema() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"created_ms": SENT_MS + 10**7}, "later than they were sent"),
        ({"created_ms": 1}, "more than 30 days before"),
        ({"touchpoint": "\ud800"}, "half of a surrogate pair"),
    ]
    for change, said in cases:
        by_reader, by_schema, _ = verdicts_of(event("goal", **change), BROWSER, 0)
        assert (by_reader, by_schema) == (False, True)
        assert said in SCHEMAS[0]["description"]
    big = event("custom", name="x", properties={f"p{i}": "ä" * 1000 for i in range(30)})
    assert verdicts_of(big, BROWSER, 0) == (False, True, True)
    secret = event("custom", name="x", properties={"income": 3})
    assert verdicts_of(secret, BROWSER, 0) == (False, True, True)
    assert "more than 32 KB" in SCHEMAS[0]["description"]
    assert "sensitive" in SCHEMAS[0]["description"]
