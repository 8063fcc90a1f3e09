"""What is kept of a refused event: enough to see what is wrong with it, and nothing that it might give away.

Names of fields stay. A value stays where an event of its type would have kept it, and as much of it as would have been
kept: what the definition knows, and of goals, events, properties, questions and answers what the plan knows. In the
place of any other value stands of what kind it is, and how long; beside a sensitive name, not even that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.errors import InvalidEvent
from shared.events.definition import EVENT_TYPES
from shared.events.fields import BROWSER, SERVER, EventType
from shared.events.kinds import Text
from shared.events.plan import PROPERTY_READERS, Plan
from shared.events.reading import Given, host_of, path_of
from shared.events.values import ReadValue, describe, is_name, reader_of, show_name
from shared.sensitive import is_sensitive

REMOVED: Final = "(removed)"
# So many items of a list are described.
MOST_ITEMS: Final = 10


def redact(data: object, given: Given) -> object:
    """Return what is kept of an event, as it was sent: JSON again."""
    if not isinstance(data, Mapping):
        return _outline(data)
    common, name = _COMMON[given.source], data.get("type")
    readers = _READERS.get((name, given.source), common) if isinstance(name, str) else common
    told = [each for each in map(data.get, _TELLING) if isinstance(each, str)]
    is_sensitive_whole = any(map(is_sensitive, told))
    kept: dict[str, object] = {}
    for key, value in data.items():
        is_removed = is_sensitive(key) or (is_sensitive_whole and key not in common)
        kept[show_name(key)] = REMOVED if is_removed else _keep(key, value, data, readers, given.plan)
    return kept


def _keep(
    key: str, value: object, event: Mapping[str, object], readers: Mapping[str, ReadValue], plan: Plan | None
) -> object:
    """What is kept of the value of one of the event's fields."""
    keep = _KEEPERS.get(key)
    return _keep_good(readers.get(key), value, key, lambda read: read if keep is None else keep(read, event, plan))


def _keep_good(
    reader: ReadValue | None, value: object, key: str, keep: Callable[[Any], object] = lambda read: read
) -> object:
    """What is kept of a value that is as its field demands; of another, its outline."""
    if reader is None or value is None:
        return _outline(value)
    try:
        read = reader(value, "", key)
    except InvalidEvent:
        return _outline(value)
    return keep(read)


def _keep_name(name: str, _event: Mapping[str, object], plan: Plan | None) -> object:
    """A name that the plan knows, or that looks like one which was meant to be."""
    is_planned = plan is not None and name in (*plan.goals, *plan.events, *plan.questions)
    return name if is_planned or (is_name(name) and not is_sensitive(name)) else _outline(name)


def _keep_answer(answer: str, event: Mapping[str, object], plan: Plan | None) -> object:
    question = event.get("question")
    is_planned = plan is not None and isinstance(question, str) and plan.knows_answer(question, answer)
    return answer if is_planned else _outline(answer)


def _keep_properties(properties: Mapping[str, object], event: Mapping[str, object], plan: Plan | None) -> object:
    name = event.get("name")
    planned = plan.events.get(name) if plan is not None and isinstance(name, str) else None
    kinds = planned.properties if planned is not None else {}
    readers = {key: PROPERTY_READERS[kind] for key, kind in kinds.items()}
    return {
        show_name(key): REMOVED if is_sensitive(key) else _keep_good(readers.get(key), value, key)
        for key, value in properties.items()
    }


def _outline(value: object) -> object:
    """A value with the names in it, and in the place of all that it says of what kind that is."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {show_name(key): REMOVED if is_sensitive(key) else _outline(each) for key, each in value.items()}
    if isinstance(value, list):
        more = [f"({len(value) - MOST_ITEMS} more)"] if len(value) > MOST_ITEMS else []
        return [*map(_outline, value[:MOST_ITEMS]), *more]
    return f"({describe(value)})"


def _compile(event_type: EventType, sender: str) -> Mapping[str, ReadValue]:
    """The readers of the fields that are no secret."""
    fields = event_type.fields_of(sender)
    return {
        each.name: reader_of(each.kind) for each in fields if not (isinstance(each.kind, Text) and each.kind.is_secret)
    }


_COMMON: Final[Mapping[str, Mapping[str, ReadValue]]] = MappingProxyType(
    {sender: _compile(EventType(name="", meaning=""), sender) for sender in (BROWSER, SERVER)}
)
_READERS: Final[Mapping[tuple[str, str], Mapping[str, ReadValue]]] = MappingProxyType(
    {(each.name, sender): _compile(each, sender) for each in EVENT_TYPES.values() for sender in (BROWSER, SERVER)}
)
# Fields that name what an event is about. Where that is sensitive, nothing of the event's own is kept.
_TELLING: Final = ("type", "name", "question", "answer")
# Fields of which less is kept than was read.
_KEEPERS: Final[Mapping[str, Callable[[Any, Mapping[str, object], Plan | None], object]]] = MappingProxyType(
    {
        "type": _keep_name,
        "name": _keep_name,
        "question": _keep_name,
        "answer": _keep_answer,
        "properties": _keep_properties,
        "url": lambda url, _event, _plan: path_of(url),
        "referrer": lambda url, _event, _plan: host_of(url),
    }
)
