"""What `usher.toml` may say about events: goals, the site's own events (the tracking plan), and questions.

As in the rest of the file, types and ranges are the models' business, and what spans several fields is checked on the
parsed file itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from origin.problems import Place, Problem, show, suggest
from origin.touchpoint_config import Phrase, Section
from shared.events import EVENT_TYPES, MOST_PROPERTIES, MOST_QUESTIONS
from shared.events.fields import LONGEST_NAME
from shared.events.plan import Plan, read_plan
from shared.parse import Reader
from shared.sensitive import is_sensitive

if TYPE_CHECKING:
    from origin.config import Config

WORD: Final = r"^[A-Za-z0-9_-]+$"
PROPERTY: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
# What the client's script takes out of the properties: fields of the event itself.
LIFTED: Final = ("event_id", "touchpoint")

PropertyType = Literal["text", "number", "whole", "flag", "texts"]
GoalEvent = Literal[
    "search", "click", "add_to_cart", "purchase", "sign_up", "email_open", "email_click", "support_ticket",
    "feature_used",
]  # fmt: skip
PropertyName = Annotated[str, StringConstraints(pattern=PROPERTY, max_length=LONGEST_NAME)]
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=40)]


class GoalConfig(Section):
    """An event that rewards a variant."""

    window_h: float = Field(default=24.0, gt=0, examples=[24])
    """Attribution window in hours: how long after the exposure the event still counts."""
    event: GoalEvent | None = Field(default=None, examples=["purchase"])
    """The standard event that reaches the goal; without it, `goal` and `custom` events of the goal's own name do."""


class EventConfig(Section):
    """An event of the site's own: what is sent as `custom` under this name."""

    properties: dict[PropertyName, PropertyType] = Field(default={}, examples=[{"plan": "text", "seats": "whole"}])
    """The properties it may have, each with its type: text, number, whole, flag (true or false) or texts (a list)."""
    required: tuple[PropertyName, ...] = Field(default=(), strict=False, examples=[["plan"]])
    """Names of the properties that it must have."""
    meaning: Phrase | None = Field(default=None, examples=["a trial was begun"])
    """What it means, for those who read the plan."""


class QuestionConfig(Section):
    """A question that visitors may answer about themselves; conditions read it as `session.preferences.<name>`."""

    answers: tuple[Word, ...] = Field(min_length=1, strict=False, examples=[["coats", "shoes"]])
    """The answers there are. Others go to quarantine."""


def describe_plan(config: Config) -> dict[str, object]:
    """The tracking plan as a snapshot's header says it; a goal that a standard event reaches is none of its names."""
    return {
        "goals": [name for name, goal in config.goals.items() if goal.event is None],
        "events": {
            name: {"properties": dict(each.properties), "required": list(each.required)}
            for name, each in config.events.items()
        },
        "questions": {name: list(each.answers) for name, each in config.questions.items()},
    }


def make_plan(config: Config) -> Plan:
    """The tracking plan as the edge will read it."""
    return read_plan(Reader(describe_plan(config), "header"))


def find_event_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with `[events]` and `[questions]` of a parsed file beyond single fields."""
    events, questions = raw.get("events"), raw.get("questions")
    for name, event in events.items() if isinstance(events, Mapping) else ():
        place: Place = ("events", name)
        if is_sensitive(name):
            yield Problem(place, "is on the sensitive list; do without it, and remove it")
        if name in EVENT_TYPES:
            yield Problem(place, f"is a standard event; send it as that, or name yours {show(f'my_{name}')}")
        if isinstance(event, Mapping):
            yield from _find_property_problems(place, event)
    for name, question in questions.items() if isinstance(questions, Mapping) else ():
        if is_sensitive(name):
            yield Problem(("questions", name), "is on the sensitive list; do not ask it, and remove it")
        if isinstance(question, Mapping):
            yield from _find_answer_problems(("questions", name, "answers"), question.get("answers"))
    if isinstance(questions, Mapping) and len(questions) > MOST_QUESTIONS:
        text = f"asks {len(questions)} questions; keep the {MOST_QUESTIONS} that matter most"
        yield Problem(("questions",), text)


def _find_answer_problems(place: Place, answers: object) -> Iterator[Problem]:
    for i, answer in enumerate(answers if isinstance(answers, list) else ()):
        if isinstance(answer, str) and is_sensitive(answer):
            text = f"{show(answer)} is on the sensitive list; do not ask for it, and remove it"
            yield Problem((*place, i), text)
    yield from _find_repeated(place, answers)


def _find_property_problems(place: Place, event: Mapping[str, Any]) -> Iterator[Problem]:
    properties, required = event.get("properties"), event.get("required")
    known = list(properties) if isinstance(properties, Mapping) else []
    for key in known:
        if is_sensitive(key):
            yield Problem((*place, "properties", key), "is on the sensitive list; do without it, and remove it")
        if key in LIFTED:
            yield Problem((*place, "properties", key), "is a field of every event; send it all the same, and remove it")
    if len(known) > MOST_PROPERTIES:
        text = f"names {len(known)} properties; keep the {MOST_PROPERTIES} that matter most"
        yield Problem((*place, "properties"), text)
    for i, key in enumerate(required if isinstance(required, list) else ()):
        if isinstance(key, str) and key not in known:
            remedy = f"write {suggest(key, known)}, or add it there" if known else "add it there"
            yield Problem((*place, "required", i), f"{show(key)} is none of the properties; {remedy}")
    yield from _find_repeated((*place, "required"), required)


def _find_repeated(place: Place, listed: object) -> Iterator[Problem]:
    for i, each in enumerate(listed if isinstance(listed, list) else ()):
        if each in listed[:i]:  # type: ignore[index]  # it is a list
            yield Problem((*place, i), f"{show(each)} stands there twice; remove one of them")
