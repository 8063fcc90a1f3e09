"""What is kept of a refused event: its names and what may be known of it, and nothing else that it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import InvalidEvent
from shared.events import BROWSER, EVENT_TYPES, SERVER, Plan, read_event, redact
from shared.events.redaction import MOST_ITEMS
from tests.sending import PLAN, event, given

ADDRESS = "v@x.test"
TEXT = "(a text of 8 characters)"
SENDABLE = [(each.name, sender) for each in EVENT_TYPES.values() for sender in each.senders]


def kept_of(data: object, source: str = BROWSER, **known: Any) -> Any:
    """What is kept of an event that is refused; neither it nor the reason repeats the address."""
    with pytest.raises(InvalidEvent) as raised:
        read_event(data, "events[0]", given(source, **known))
    kept = redact(data, given(source, **known))
    assert ADDRESS not in json.dumps(kept) + str(raised.value)
    return kept


@pytest.mark.parametrize("source", [BROWSER, SERVER])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"type": "identify", "id": ADDRESS}, {"type": "identify", "id": TEXT}),
        ({"type": "identify", "user": ADDRESS}, {"type": "identify", "user": TEXT}),
        ({"type": "goal", "customerId": ADDRESS}, {"type": "goal", "customerId": TEXT}),
        ({"type": "goal", "distinct_id": 4711}, {"type": "goal", "distinct_id": "(a number)"}),
        ({"type": "goal", "mail": [ADDRESS, None]}, {"type": "goal", "mail": [TEXT, None]}),
        ({"type": "goal", "account": {"id": ADDRESS}}, {"type": "goal", "account": {"id": TEXT}}),
        ({"type": "goal", "is_known": True}, {"type": "goal", "is_known": "(true or false)"}),
        ({"type": "goal", "by": {ADDRESS: 1}}, {"type": "goal", "by": {"(a name of 8 characters)": "(a number)"}}),
        ({"type": "goal", ADDRESS: 1}, {"type": "goal", "(a name of 8 characters)": "(a number)"}),
        ({"type": "goal", "touchpoint": {"id": ADDRESS}}, {"type": "goal", "touchpoint": {"id": TEXT}}),
        ({"type": "goal", "name": ADDRESS}, {"type": "goal", "name": TEXT}),
        ({"type": "goal", "created_ms": ADDRESS}, {"type": "goal", "created_ms": TEXT}),
        ({"type": ADDRESS, "touchpoint": "hero"}, {"type": TEXT, "touchpoint": "(a text of 4 characters)"}),
        ({"type": ["goal"]}, {"type": ["(a text of 4 characters)"]}),
        ({"event_id": "e-1", "question": "topic"}, {"event_id": "e-1", "question": "(a text of 5 characters)"}),
        (json.dumps({"type": "identify", "user": ADDRESS}), "(a text of 40 characters)"),
        ([{"user": ADDRESS}, 7], [{"user": TEXT}, "(a number)"]),
        (None, None),
        (
            {"type": "custom", "name": "trial_begun", "properties": {"plan": "team", "customer_email": ADDRESS}},
            {"type": "custom", "name": "trial_begun", "properties": {"plan": "team", "customer_email": TEXT}},
        ),
        (
            {"type": "custom", "name": "trial_begun", "properties": {"seats": ADDRESS, "plan": None}},
            {"type": "custom", "name": "trial_begun", "properties": {"seats": TEXT, "plan": None}},
        ),
        (
            {"type": "custom", "name": "other", "properties": {"plan": ADDRESS}},
            {"type": "custom", "name": "other", "properties": {"plan": TEXT}},
        ),
        (
            {"type": "custom", "name": "trial_begun", "properties": [ADDRESS]},
            {"type": "custom", "name": "trial_begun", "properties": [TEXT]},
        ),
        (
            {"type": "page_view", "url": f"/men?mail={ADDRESS}#{ADDRESS}", "referrer": f"https://a.test/{ADDRESS}"},
            {"type": "page_view", "url": "/men", "referrer": "a.test"},
        ),
        (
            {"type": "click", "href": f"mailto:?to={ADDRESS}", "target": 3},
            {"type": "click", "href": "mailto:", "target": "(a number)"},
        ),
        (
            {"type": "page_view", "campaign": {"source": "letter", "user": ADDRESS}},
            {"type": "page_view", "campaign": {"source": "(a text of 6 characters)", "user": TEXT}},
        ),
    ],
)
def test_of_what_the_definition_does_not_know_only_kind_and_length_are_kept(
    source: str, sent: object, kept: object
) -> None:
    assert kept_of(sent, source) == kept
    if not isinstance(sent, dict) or sent.get("type") != "custom":
        assert kept_of(sent, source, plan=None) == kept


def test_a_long_list_is_described_in_part() -> None:
    kept = kept_of({"type": "goal", "all": [ADDRESS] * (MOST_ITEMS + 3)})
    assert kept["all"] == [TEXT] * MOST_ITEMS + ["(3 more)"]


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "preference", "question": "religion", "answer": "catholic"},
        {"type": "preference", "question": "topic", "answer": "Pregnancy"},
        {"type": "goal", "name": "hivTest", "touchpoint": "catholic"},
        {"type": "custom", "name": "health_check", "properties": {"plan": "catholic"}},
        {"type": "hiv_test_done", "value": "catholic"},
        {"type": "goal", "name": "order", "religion": "catholic"},
        {"type": "goal", "name": "order", "more": [{"healthIndex": {"religion": "catholic"}}]},
        {"type": "custom", "name": "trial_begun", "properties": {"religion": "catholic"}},
    ],
)
@pytest.mark.parametrize("plan", [PLAN, Plan(), None])
def test_what_a_sensitive_name_speaks_of_is_not_even_described(sent: dict[str, Any], plan: Plan | None) -> None:
    kept = json.dumps(kept_of({**sent, "event_id": "e-1"}, plan=plan))
    assert "catholic" not in kept and "of 8 characters" not in kept
    assert '"(removed)"' in kept and '"event_id": "e-1"' in kept
    assert not any(name in kept for name in ("hiv", "Pregnancy", "health_check"))


@pytest.mark.parametrize(
    ("question", "answer", "kept"),
    [
        ("topic", "coats", ("topic", "coats")),
        ("topic", "hats", ("topic", "(a text of 4 characters)")),
        ("colour", "coats", ("colour", "(a text of 5 characters)")),
        ("What colour?", "red", ("(a text of 12 characters)", "(a text of 3 characters)")),
        (["topic"], "coats", (["(a text of 5 characters)"], "(a text of 5 characters)")),
        (None, None, (None, None)),
    ],
)
def test_an_answer_is_kept_where_the_plan_knows_it(question: object, answer: object, kept: object) -> None:
    sent = {"type": "preference", "question": question, "answer": answer}
    redacted = kept_of(sent)
    assert (redacted["question"], redacted["answer"]) == kept


def test_a_name_of_the_plan_is_kept_whatever_it_looks_like() -> None:
    plan = Plan(goals=("Order placed",), questions={"Which colour?": ("dark red",)})
    assert kept_of({"type": "goal", "name": "Order placed"}, plan=plan)["name"] == "Order placed"
    asked = {"type": "preference", "question": "Which colour?", "answer": "dark red"}
    assert kept_of(asked, plan=plan) == asked


@pytest.mark.parametrize(("name", "source"), SENDABLE)
def test_of_an_event_with_one_mistake_all_else_is_kept_as_it_would_have_been_stored(name: str, source: str) -> None:
    sent = event(name, source)
    stored = read_event(sent, "e", given(source))
    kept = kept_of({**sent, "mistake": 3}, source)
    assert kept.keys() == {*sent, "mistake"}
    assert kept.pop("mistake") == "(a number)"
    for key in {"user", "signature"} & kept.keys():
        assert kept.pop(key) == f"(a text of {len(sent[key])} characters)"
    assert kept == {key: stored["url_path" if key == "url" else key] for key in kept}


def test_an_event_of_another_sender_is_kept_as_far_as_this_one_could_have_sent_it() -> None:
    kept = kept_of({**event("email_open", SERVER), "user": ADDRESS})
    assert kept == {**event("email_open", SERVER), "visitor": "(a text of 3 characters)", "user": TEXT}
    logged = kept_of({"type": "exposure", "event_id": "e-1", "unit": ADDRESS, "session": {"started_ms": 5}})
    assert logged == {"type": "exposure", "event_id": "e-1", "unit": TEXT, "session": {"started_ms": "(a number)"}}
