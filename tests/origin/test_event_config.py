"""Goals, events and questions in `usher.toml`: what they give, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from origin.config import load_config
from origin.event_config import GoalEvent, PropertyType, describe_plan, make_plan
from origin.lake import Lake
from origin.publish import make_snapshot
from origin.train import train
from shared.events import GOAL_TYPES, PROPERTY_KINDS, Plan, PlannedEvent
from shared.snapshot import Snapshot
from tests.origin.shop import NOON_MS, USHER_TOML, make_config
from tests.origin.test_config import HERO, SITE, problems_of, write

EVENTS = """
[events.trial_begun]
properties = { plan = "text", seats = "whole", yearly = "flag" }
required = ["plan"]
meaning = "somebody began a trial"
[events.tour_ended]
[questions.topic]
answers = ["coats", "shoes"]
[goals.order]
event = "purchase"
"""


def test_the_types_of_properties_and_of_goals_are_those_of_the_core() -> None:
    assert get_args(PropertyType) == tuple(PROPERTY_KINDS)
    assert get_args(GoalEvent) == GOAL_TYPES


def test_the_plan_of_the_file_is_the_plan_of_the_edge(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SITE + HERO + EVENTS))
    assert make_plan(config) == Plan(
        goals=("signup",),
        events={
            "trial_begun": PlannedEvent(
                properties={"plan": "text", "seats": "whole", "yearly": "flag"}, required=("plan",)
            ),
            "tour_ended": PlannedEvent(),
        },
        questions={"topic": ("coats", "shoes")},
    )
    assert config.goals["order"].event == "purchase"
    assert config.goals["signup"].event is None
    assert config.events["trial_begun"].meaning == "somebody began a trial"


def test_the_plan_is_published_with_the_snapshot(tmp_path: Path, lake: Lake) -> None:
    config = make_config(tmp_path, USHER_TOML + EVENTS)
    _, text = make_snapshot(config, train(config, lake, NOON_MS, NOON_MS), NOON_MS)
    header = Snapshot.from_text(text).header
    assert header.plan == make_plan(config)
    assert header.goals == header.plan.goals == ("click",)


def test_a_file_without_events_plans_its_goals_only(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SITE + HERO))
    assert describe_plan(config) == {"goals": ["signup"], "events": {}, "questions": {}}


def test_all_that_is_wrong_with_events_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
    [goals.order]
    event = "purchased"
    [events.purchase]
    [events.pregnancy_test]
    properties = { weeks = "whole" }
    [events.quiz]
    properties = { income = "number", "a b" = "text", plan = "date", seats = "whole" }
    required = ["seat", "seats", "seats"]
    [events.short]
    required = ["x"]
    reqired = []
    [questions.religion]
    answers = []
    [questions.topic]
    answers = ["coats", "coats", "a b", "Pregnancy"]
    [questions.third]
    answers = "coats"
    [questions.fourth]
    answers = ["a"]
    """
    choices = ", ".join(f'"{name}"' for name in GOAL_TYPES[:-1]) + f' or "{GOAL_TYPES[-1]}"'
    assert problems_of(tmp_path, SITE + HERO + text) == [
        f'goals.order.event: "purchased" is not known; write {choices}, such as event = "purchase"',
        'events.purchase: is a standard event; send it as that, or name yours "my_purchase"',
        "events.pregnancy_test: is on the sensitive list; do without it, and remove it",
        "events.quiz.properties.income: is on the sensitive list; do without it, and remove it",
        'events.quiz.properties."a b": "a b" is not allowed; write letters, digits and "_", not beginning with a digit',
        'events.quiz.properties.plan: "date" is not known; write "text", "number", "whole", "flag" or "texts"',
        'events.quiz.required[0]: "seat" is none of the properties; write "seats", or add it there',
        'events.quiz.required[2]: "seats" stands there twice; remove one of them',
        'events.short.required[0]: "x" is none of the properties; add it there',
        "events.short.reqired: is not a known key; write required",
        "questions: asks 4 questions; keep the 3 that matter most",
        "questions.religion: is on the sensitive list; do not ask it, and remove it",
        'questions.religion.answers: is empty; write at least one, such as answers = ["coats", "shoes"]',
        'questions.topic.answers[1]: "coats" stands there twice; remove one of them',
        'questions.topic.answers[2]: "a b" is not allowed; write letters, digits, "_" and "-", such as '
        'answers = ["coats", "shoes"]',
        'questions.topic.answers[3]: "Pregnancy" is on the sensitive list; do not ask for it, and remove it',
        'questions.third.answers: "coats" is not a list; write a list in square brackets, such as '
        'answers = ["coats", "shoes"]',
    ]


@pytest.mark.parametrize("name", ["event_id", "touchpoint"])
def test_what_the_script_takes_out_of_the_properties_is_not_planned(tmp_path: Path, name: str) -> None:
    assert problems_of(tmp_path, f'{SITE}{HERO}[events.quiz]\nproperties = {{ {name} = "text", a = "text" }}') == [
        f"events.quiz.properties.{name}: is a field of every event; send it all the same, and remove it"
    ]


def test_an_event_has_thirty_properties_at_most(tmp_path: Path) -> None:
    listed = ", ".join(f'p{i} = "text"' for i in range(31))
    assert problems_of(tmp_path, f"{SITE}{HERO}[events.quiz]\nproperties = {{ {listed} }}") == [
        "events.quiz.properties: names 31 properties; keep the 30 that matter most"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("events = 3", "events: 3 is not a table; write a table, such as "
         'events = { trial_begun = { properties = { plan = "text" } } }'),
        ("events = { quiz = 3 }", "events.quiz: 3 is not a table; write a table"),
        ("questions = 3", "questions: 3 is not a table; write a table, such as "
         'questions = { topic = { answers = ["coats", "shoes"] } }'),
        ("questions = { topic = 3 }", "questions.topic: 3 is not a table; write a table"),
        ("events = { quiz = { properties = 3 } }", "events.quiz.properties: 3 is not a table; write a table, such as "
         'properties = { plan = "text", seats = "whole" }'),
        ('questions = { "a b" = { answers = ["a"] } }',
         'questions."a b": "a b" is not allowed; write letters, digits, "_" and "-"'),
    ],
)  # fmt: skip
def test_what_is_no_table_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert problems_of(tmp_path, f"{text}\n{SITE}{HERO}") == [problem]
