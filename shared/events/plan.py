"""The tracking plan: what a site has said beforehand about its goals, its own events, and its questions.

A plan comes with the published snapshot, from the header's fields `goals`, `events` and `questions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from shared.errors import InvalidEvent
from shared.events.fields import LONGEST_NAME
from shared.events.kinds import Flag, Kind, Number, Text, Texts, Whole
from shared.events.values import ReadValue, describe, place_of, reader_of, refuse_name
from shared.parse import Reader
from shared.sensitive import REFUSED, is_sensitive

MOST_QUESTIONS: Final = 3
SAFE: Final = 1 << 53
# The types that a tracking plan may give a property.
PROPERTY_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "text": Text(longest=1000),
        "number": Number(low=-SAFE, high=SAFE),
        "whole": Whole(low=-SAFE, high=SAFE),
        "flag": Flag(),
        "texts": Texts(most=50, longest=200),
    }
)
_read_name: Final = reader_of(Text(shortest=1, longest=LONGEST_NAME))
PROPERTY_READERS: Final[Mapping[str, ReadValue]] = MappingProxyType(
    {name: reader_of(kind) for name, kind in PROPERTY_KINDS.items()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """A custom event as planned: the type of each property by its name, and the names of those that must be there."""

    properties: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What events may name: `goals` that are reached by events of their name, `events` of the site's own, and the
    answers to each of its `questions`."""

    goals: tuple[str, ...] = ()
    events: Mapping[str, PlannedEvent] = field(default_factory=dict)
    questions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def knows_answer(self, question: str, answer: str) -> bool:
        """Whether it is one of the answers to one of the questions."""
        return answer in self.questions.get(question, ())


def read_plan(header: Reader) -> Plan:
    """Read the plan from a snapshot's header. Raises the reader's error."""
    events = Reader(header.data.get("events", {}), header.place("events"), header.error)
    questions = Reader(header.data.get("questions", {}), header.place("questions"), header.error)
    _refuse_sensitive(events)
    _refuse_sensitive(questions)
    return Plan(
        goals=header.texts("goals"),
        events={name: _read_planned_event(events, name) for name in events.data},
        questions={name: _read_answers(questions, name) for name in questions.data},
    )


def _read_answers(questions: Reader, name: str) -> tuple[str, ...]:
    answers = questions.texts(name)
    for i, answer in enumerate(answers):
        if is_sensitive(answer):
            raise questions.error(f"{questions.place(name)}[{i}]", f"{answer!r} {REFUSED}")
    return answers


def _read_planned_event(events: Reader, name: str) -> PlannedEvent:
    reader = Reader(events.data[name], events.place(name), events.error)
    types = Reader(reader.mapping("properties"), reader.place("properties"), reader.error)
    _refuse_sensitive(types)
    properties = {key: types.text(key, longest=20) for key in types.data}
    required = reader.texts("required") if "required" in reader.data else ()
    for key, kind in properties.items():
        if kind not in PROPERTY_KINDS:
            raise types.fail(key, f"one of {', '.join(PROPERTY_KINDS)}")
    for key in required:
        if key not in properties:
            raise reader.error(reader.place("required"), f"{key!r} is none of the properties")
    return PlannedEvent(properties=properties, required=required)


def _refuse_sensitive(names: Reader) -> None:
    for name in names.data:
        if is_sensitive(name):
            raise names.error(names.place(name), REFUSED)


def read_properties(properties: Mapping[str, object], name: str, plan: Plan | None, path: str) -> dict[str, object]:
    """Return the properties of the custom event `name` as they are stored; null counts as absent.

    Without a plan, each may be of any type that a plan could give it. Raises InvalidEvent.
    """
    if plan is None:
        return {key: _read_any(value, path, key) for key, value in properties.items() if _is_given(value, path, key)}
    planned = plan.events.get(name)
    if planned is None:
        for key in properties:
            raise refuse_name(path, key, f"is not planned; add [events.{name}] with its properties to usher.toml")
        return {}
    read: dict[str, object] = {}
    for key, value in properties.items():
        kind = planned.properties.get(key)
        if kind is None:
            known = f"the properties of {name} are {', '.join(planned.properties) or 'none'}"
            raise refuse_name(path, key, f"is not planned; {known}, as [events.{name}] of usher.toml says")
        if value is not None:
            read[key] = PROPERTY_READERS[kind](value, path, key)
    for key in planned.required:
        if key not in read:
            kind = planned.properties[key]
            raise InvalidEvent(place_of(path, key), f"missing; {name} needs it, of type {kind}", "missing")
    return read


def _is_given(value: object, path: str, key: str) -> bool:
    """Whether a property is there. Its name is checked in any case."""
    _read_name(key, path, key)
    if is_sensitive(key):
        raise refuse_name(path, key, "")
    return value is not None


def _read_any(value: object, path: str, key: str) -> object:
    if isinstance(value, str):
        kind = "text"
    elif isinstance(value, bool):
        kind = "flag"
    elif isinstance(value, int):
        kind = "whole"
    elif isinstance(value, float):
        kind = "number"
    elif isinstance(value, list):
        kind = "texts"
    else:
        problem = f"expected a text, a number, true or false, or a list of texts, got {describe(value)}"
        raise InvalidEvent(place_of(path, key), problem, "wrong_type")
    return PROPERTY_READERS[kind](value, path, key)
