"""The schema of stored events: what the intake, page views and receipts really write is of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from origin.columns import COLUMNS, FIELDS, REST
from origin.stored_schema import stored_adapter, stored_json_schema, stored_models
from shared.errors import InvalidEvent
from shared.events import BROWSER, EVENT_TYPES, SERVER, STORED, read_event
from shared.profile import Profile
from shared.session import Left, Session, Viewed, fold, start
from tests.asking import NOW_MS, cell, events_of, place, profile_of, publish, publish_hero, variant
from tests.origin.logs import view_of
from tests.property.documents import Json
from tests.sending import PLAN, WHOLE, event, given
from worker.page_view import PageRequest, PageView
from worker.receipts import Receipts
from worker.storage import event_line
from worker.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = stored_json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
ADAPTER = stored_adapter()
SENDABLE = [(each.name, sender) for each in EVENT_TYPES.values() for sender in each.senders]


def problems_of(stored: dict[str, Any]) -> list[str]:
    """What schema and models find in an event, in the form in which it goes into the bucket."""
    line = json.loads(event_line(stored)[1:])
    found = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(line)]
    try:
        ADAPTER.validate_python(line)
    except ValidationError as error:
        found.append(str(error))
    return found


def test_the_published_schema_is_that_of_the_definition() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    written = json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"
    assert (ROOT / "docs" / "events.stored.schema.json").read_text(encoding="utf-8") == written


def test_the_schema_knows_every_type_with_the_common_fields_and_its_own() -> None:
    common = {field.name for field in STORED}
    assert stored_models().keys() == EVENT_TYPES.keys()
    for name, each in EVENT_TYPES.items():
        model = SCHEMA["$defs"][stored_models()[name].__name__]
        own = {field.name for field in each.fields if field.is_stored}
        assert set(model["properties"]) == common | own
        assert common <= set(model["required"])
        assert all(field["description"] for field in model["properties"].values())
        assert model["additionalProperties"] is False


def test_the_lake_has_a_column_for_every_stored_field_and_none_besides() -> None:
    for name, each in EVENT_TYPES.items():
        assert ["type", *FIELDS[name]] == sorted(
            [field.name for field in each.stored_fields], key=lambda field: field != "type"
        )
    every = {field.name for each in EVENT_TYPES.values() for field in each.stored_fields}
    assert set(COLUMNS) == every | {REST}


@pytest.mark.parametrize("plan", [PLAN, None])
@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_every_event_of_the_intake_is_stored_as_the_schema_says(name: str, source: str, plan: Any) -> None:
    whole = event(name, source)
    required = {field.name for field in EVENT_TYPES[name].fields_of(source) if source in field.required}
    bare = {key: value for key, value in whole.items() if key in required | {"visitor", "properties"}}
    for sent in (whole, bare):
        assert problems_of(read_event(sent, "e", given(source, plan=plan))) == []
        assert problems_of(read_event(sent, "e", given(source, plan=plan, user_agent="", session_ms=0))) == []


@settings(max_examples=400, deadline=None)
@drawn(
    st.sampled_from(SENDABLE),
    st.dictionaries(st.sampled_from(sorted({key for each in WHOLE.values() for key in each})), Json, max_size=3),
)
def test_whatever_the_intake_accepts_is_stored_as_the_schema_says(
    sent: tuple[str, str], changes: dict[str, Any]
) -> None:
    name, source = sent
    try:
        stored = read_event({**event(name, source), **changes}, "e", given(source, plan=None))
    except InvalidEvent:
        return
    assert problems_of(stored) == []


PHONE = variant("phone", condition={"device": "mobile"}, because="you are on the way")
PAGES = {"hero": ["/"]}
EARLY = {"name": "early", "condition": {"session.views": 1}, "because": "it is your first page"}
THREE = {"global:": cell([0.0, 0.1, 0.2])}
SITES = {
    "default": publish_hero(place("a", "b"), pages=PAGES),
    "holdout": publish_hero(place("a", "b"), pages=PAGES, holdout_share=1.0),
    "unscored": publish({"touchpoint:hero": place("a", PHONE)}, pages=PAGES),
    "individual": publish_hero(
        place("a", "b", PHONE, finest="individual", models=["m"], epoch="snapshot"), cells=THREE, pages=PAGES
    ),
    "slate": publish_hero(place("a", "b", "c", slots=2), cells=THREE, pages=PAGES),
    "segments": publish_hero(place("a", "b", PHONE, epoch="week"), cells=THREE, pages=PAGES, segments=[EARLY]),
}
VISITED = fold(
    fold(
        start(Viewed(NOW_MS - 5_000, "18bcfe56800-0123456789abcdef", "pricing", "search")), Viewed(NOW_MS, "b", "men")
    ),
    Left("18bcfe56800-0123456789abcdef", 95, 40),
)


KNOWN = profile_of("u-1", scores={("hero", "m"): cell([0.0, 0.1, 0.2])})


def exposures_of(name: str, known: Profile | None, session: Session) -> list[dict[str, Any]]:
    """What is logged of a first view, of a second one on another device, and of a preview."""
    site, visitor = SITES[name], Visitor("v-1", "u-1", session)
    first = view_of(site, visitor, profile=known)
    again = view_of(site, first.visitor, number=1, profile=known, context={"device": "desktop"})
    forced = view_of(site, visitor, profile=known, forced={"hero": "a"})
    return [exposure for view in (first, again, forced) for exposure in events_of(view, [0])]


@pytest.mark.parametrize("session", [Session(started_ms=NOW_MS), VISITED], ids=["bare", "visited"])
@pytest.mark.parametrize("known", [None, KNOWN], ids=["unknown", "known"])
@pytest.mark.parametrize("name", list(SITES))
def test_every_exposure_of_a_page_view_is_stored_as_the_schema_says(
    name: str, known: Profile | None, session: Session
) -> None:
    exposures = exposures_of(name, known, session)
    assert [each["type"] for each in exposures] == ["exposure"] * 3
    assert [problems_of(each) for each in exposures] == [[]] * 3


def test_the_exposures_that_are_held_against_the_schema_are_of_many_kinds() -> None:
    exposures = [each for name in SITES for each in exposures_of(name, KNOWN, VISITED)]
    reasons = {"holdout", "no_posterior", "global", "individual", "targeted", "kept", "preview"}
    assert {each["reason"] for each in exposures} == reasons
    assert (
        {bool(each.get("slate")) for each in exposures}
        == {bool(each["earlier"]) for each in exposures}
        == {True, False}
    )


def test_crossings_and_receipts_are_stored_as_the_schema_says() -> None:
    session = start(Viewed(NOW_MS, "a"))
    request = PageRequest(
        id="18bcfe56800-0123456789abcdef", names=[], snapshot=SITES["default"], visitor=Visitor("v-1", "u-1", session),
        session=session, context={"path": "/"}, forced={}, now_ms=NOW_MS, is_shown=True, user_agent="",
    )  # fmt: skip
    [crossing] = events_of(PageView(request, profile_of("u-2")), [])
    receipts = Receipts("0123456789abcdef")
    receipts.settle(receipts.issue(3, 1).number, is_accepted=False)
    receipt = receipts.issue(2, 0).to_dict(NOW_MS)
    assert [crossing["type"], receipt["type"], receipt["void"]] == ["crossing", "receipt", (1,)]
    assert (problems_of(crossing), problems_of(receipt)) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        {"received_ms": ...},
        {"session_ms": -1},
        {"schema": 2},
        {"source": "nobody"},
        {"type": "exposed"},
        {"propensity": 1.5},
        {"probabilities": ["a"]},
        {"probabilities": None},
        {"because": ...},
        {"slate": [1]},
        {"context": {"device": 3}},
        {"url": "/"},
    ],
)
def test_what_is_not_as_the_edge_writes_it_does_not_fit_the_schema(change: dict[str, Any]) -> None:
    [good] = events_of(view_of(SITES["default"], Visitor("v-1", "u-1", VISITED)), [0])
    changed = {key: value for key, value in {**good, **change}.items() if value is not ...}
    assert problems_of(good) == []
    line = json.loads(json.dumps(changed))
    assert not VALIDATOR.is_valid(line)
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(line)


@pytest.mark.parametrize("sender", [BROWSER, SERVER])
def test_what_is_sent_is_not_what_is_stored(sender: str) -> None:
    assert not VALIDATOR.is_valid(event("goal", sender))
