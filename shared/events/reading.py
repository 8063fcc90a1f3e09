"""Reading one event that a browser or a server has sent, into the form in which it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from shared.devices import device_of
from shared.errors import InvalidEvent
from shared.events.definition import EVENT_TYPES
from shared.events.fields import BROWSER, MAX_EVENT_BYTES, MAX_ID, SCHEMA, SERVER, STORED, EventType
from shared.events.plan import Plan, read_properties
from shared.events.values import ReadValue, describe, place_of, quote, reader_of, refuse_name
from shared.javascript import to_lower
from shared.sensitive import is_sensitive

MAX_AGE_MS: Final = 30 * 86_400_000
# By how much a clock may have been set back between the creation of an event and its sending.
CLOCK_STEP_MS: Final = 60_000
LONGEST_TERM: Final = 200
LONGEST_HOST: Final = 253
_TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "utm_source": "source", "utm_medium": "medium", "utm_campaign": "name", "utm_term": "term",
        "utm_content": "content",
    }
)  # fmt: skip
# A name of the schema, a number, and what stands around them; and two escaped units of six characters each.
_BYTES_PER_FIELD: Final = 60
_BYTES_PER_CHARACTER: Final = 12
# What the fields that every event has take at most: its ids, and the others.
_COMMON_BYTES: Final = 3 * MAX_ID * _BYTES_PER_CHARACTER + len(STORED) * _BYTES_PER_FIELD
# json.dumps would make an encoder for every call. What it writes is ASCII: as many bytes as characters.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the edge knows of a batch, whatever its sender says.

    `source` is "browser" or "server"; `visitor` and `session_ms` are those of the cookie ("" and 0 for servers, whose
    events name their visitors), `user_agent` is cut ("" for servers). `plan` is the snapshot's, None where nothing is
    published yet and no name can be checked. `hash_user` makes the stored form of a user's id, `is_signed` says whether
    a signature fits one; each is None where its key is not configured. `category_of` is the snapshot's, for a path.
    """

    source: str
    visitor: str
    session_ms: int
    sent_ms: int
    received_ms: int
    user_agent: str
    plan: Plan | None
    hash_user: Callable[[str], str] | None
    is_signed: Callable[[str, str], bool] | None
    category_of: Callable[[str], str] | None = None


class _Readers(NamedTuple):
    """How events of one type from one kind of sender are read: the reader of each field, and which must be there."""

    fields: Mapping[str, ReadValue]
    required: tuple[str, ...]


def read_event(data: object, path: str, given: Given) -> dict[str, object]:
    """Return an event in the form in which it is stored. `path` is its place in the batch.

    Raises InvalidEvent, with the place below `path` and a code, for anything that is not of the schema. No message
    repeats a user's id.
    """
    if not isinstance(data, Mapping):
        raise InvalidEvent(path, f"expected an object, got {describe(data)}", "not_an_object")
    name, readers = _find_readers(data, path, given.source)
    read: dict[str, Any] = {}
    for key, value in data.items():
        reader = readers.fields.get(key)
        if reader is None:
            raise _refuse_field(path, key, name, given.source)
        if value is not None:
            read[key] = reader(value, path, key)
    for key in readers.required:
        if key not in read:
            raise InvalidEvent(place_of(path, key), f"missing; every {name} event needs it", "missing")
    stored = _store_common(read, path, given)
    finish = _FINISHERS.get(name)
    if finish is not None:
        finish(read, path, given)
    stored.update(read)
    if _may_be_large(read) and (size := len(_encode(stored))) > MAX_EVENT_BYTES:
        raise InvalidEvent(path, f"takes {size} bytes as it is stored; at most {MAX_EVENT_BYTES} fit", "too_long")
    return stored


def _may_be_large(own: Mapping[str, object]) -> bool:
    """Whether an event of such fields of its own could take more than it may: a bound that costs less than writing."""
    most = _COMMON_BYTES + _BYTES_PER_FIELD * len(own)
    for value in own.values():
        if isinstance(value, str):
            most += _BYTES_PER_CHARACTER * len(value)
        elif isinstance(value, list | dict):
            most += _BYTES_PER_CHARACTER * len(repr(value))
    return most > MAX_EVENT_BYTES


def _find_readers(data: Mapping[str, object], path: str, source: str) -> tuple[str, _Readers]:
    name = data.get("type")
    if not isinstance(name, str) or name not in EVENT_TYPES:
        expected = f"expected a type of event ({', '.join(_SENDABLE)})"
        problem = f"missing; {expected}" if name is None else f"{expected}, got {quote(name)}"
        raise InvalidEvent(place_of(path, "type"), problem, "unknown_type")
    readers = _READERS.get((name, source))
    if readers is None:
        senders = EVENT_TYPES[name].senders
        who = f"only {senders[0]}s send" if senders else "only the edge itself logs"
        raise InvalidEvent(place_of(path, "type"), f"{who} {name} events", "not_from_here")
    return name, readers


def _refuse_field(path: str, key: str, name: str, source: str) -> InvalidEvent:
    """The refusal of a field that events of this type from this sender do not have."""
    fields = EVENT_TYPES[name].fields_of(SERVER if source == BROWSER else BROWSER)
    if any(each.name == key for each in fields):
        return InvalidEvent(place_of(path, key), f"a {source} does not send it; remove it", "not_from_here")
    known = ", ".join(_READERS[name, source].fields)
    return refuse_name(path, key, f"is no field of {name} events; their fields are {known}")


def _store_common(read: dict[str, Any], path: str, given: Given) -> dict[str, object]:
    """Move what every event has out of what was read, into its stored form."""
    created_ms = read.pop("created_ms")
    age_ms = given.sent_ms - created_ms
    if age_ms < -CLOCK_STEP_MS:
        problem = f"is later than sent_ms ({given.sent_ms}); take both from the same clock"
        raise InvalidEvent(place_of(path, "created_ms"), problem, "out_of_range")
    if age_ms > MAX_AGE_MS:
        problem = f"is more than 30 days before sent_ms ({given.sent_ms})"
        raise InvalidEvent(place_of(path, "created_ms"), problem, "too_old")
    visitor, user = given.visitor, read.pop("user", None)
    if given.source == SERVER:
        visitor = read.pop("visitor", "")
        if not visitor and user is None:
            raise InvalidEvent(place_of(path, "visitor"), "missing; name the visitor, or the user", "missing")
    if user is not None and "signature" in read:
        _verify(user, read.pop("signature"), path, given)
    happened_ms = given.received_ms - max(age_ms, 0)
    return {
        "schema": SCHEMA,
        "type": read.pop("type"),
        "event_id": read.pop("event_id"),
        "created_ms": created_ms,
        "sent_ms": given.sent_ms,
        "received_ms": given.received_ms,
        "happened_ms": happened_ms,
        "visitor": visitor,
        "session_ms": given.session_ms if happened_ms >= given.session_ms else 0,
        "page_view": read.pop("page_view", ""),
        "source": given.source,
        "user": "" if user is None else _hash(user, path, given),
    }


def _hash(user: str, path: str, given: Given) -> str:
    if given.hash_user is None:
        problem = "cannot be kept: this edge has no key to hash it with; set the Worker's secret USHER_USER_KEY"
        raise InvalidEvent(place_of(path, "user"), problem, "not_configured")
    return given.hash_user(user)


def _verify(user: str, signature: str, path: str, given: Given) -> None:
    if given.is_signed is None:
        problem = "cannot be verified: this edge has no key for it; set the Worker's secret USHER_IDENTIFY_KEYS"
        raise InvalidEvent(place_of(path, "signature"), problem, "not_configured")
    if not given.is_signed(user, signature):
        problem = "does not fit the user's id; sign the id on the site's server by a key of USHER_IDENTIFY_KEYS"
        raise InvalidEvent(place_of(path, "signature"), problem, "signature")


def _finish_page_view(read: dict[str, Any], path: str, given: Given) -> None:  # noqa: ARG001 - all finishers are alike
    """Keep of URLs what may be kept, and add what the edge knows of the page and the browser."""
    url, _, query = read.pop("url").partition("#")[0].partition("?")
    read["url_path"] = url
    if "category" not in read and given.category_of is not None and (category := given.category_of(url)):
        read["category"] = category
    if "referrer" in read:
        read["referrer"] = host_of(read["referrer"])
    if "campaign" not in read and "utm_" in query and query.count("&") < 100:
        found = {_TAGS[tag]: value[:LONGEST_TERM] for tag, value in parse_qsl(query) if tag in _TAGS}
        if found:
            read["campaign"] = found
    if given.user_agent:
        read["device"] = device_of(given.user_agent)
        read["user_agent"] = given.user_agent


def path_of(url: str) -> str:
    """A URL without its query and fragment."""
    return url.partition("#")[0].partition("?")[0]


def host_of(url: str) -> str:
    """The host that a URL names, in lower case and without its port; empty where it names none."""
    rest = url.partition("://")[2]
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    host = authority.rpartition("@")[2]
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return to_lower((host[:end] if end > 0 else host)[:LONGEST_HOST])


def _finish_goal(read: dict[str, Any], path: str, given: Given) -> None:
    name, plan = read["name"], given.plan
    if plan is not None and name in plan.goals:
        return
    _refuse_sensitive(name, path, "name")
    if plan is not None:
        goals = ", ".join(plan.goals) or "none is configured"
        problem = f"expected a configured goal ({goals}), got {quote(name)}"
        raise InvalidEvent(place_of(path, "name"), problem, "unplanned")


def _finish_custom(read: dict[str, Any], path: str, given: Given) -> None:
    name, plan = read["name"], given.plan
    is_planned = plan is not None and (name in plan.events or name in plan.goals)
    if not is_planned:
        _refuse_sensitive(name, path, "name")
    if plan is not None and not is_planned:
        known = ", ".join((*plan.events, *plan.goals)) or "none is configured"
        problem = f"expected a planned event or a goal ({known}), got {quote(name)}"
        raise InvalidEvent(place_of(path, "name"), problem, "unplanned")
    read["properties"] = read_properties(read.get("properties", {}), name, plan, place_of(path, "properties"))


def _finish_preference(read: dict[str, Any], path: str, given: Given) -> None:
    question, answer, plan = read["question"], read["answer"], given.plan
    _refuse_sensitive(question, path, "question")
    _refuse_sensitive(answer, path, "answer")
    if plan is None:
        return
    if question not in plan.questions:
        questions = ", ".join(plan.questions) or "none is configured"
        problem = f"expected a configured question ({questions}), got {quote(question)}"
        raise InvalidEvent(place_of(path, "question"), problem, "unplanned")
    if not plan.knows_answer(question, answer):
        answers = ", ".join(plan.questions[question])
        problem = f"expected an answer to {question} ({answers}), got {describe(answer)}"
        raise InvalidEvent(place_of(path, "answer"), problem, "unplanned")


def _refuse_sensitive(name: str, path: str, key: str) -> None:
    if is_sensitive(name):
        raise InvalidEvent(place_of(path, key), "is on the sensitive list; do not send it", "sensitive")


def _compile(event_type: EventType, sender: str) -> _Readers:
    fields = event_type.fields_of(sender)
    return _Readers(
        fields={each.name: reader_of(each.kind) for each in fields},
        required=tuple(each.name for each in fields if sender in each.required),
    )


_READERS: Final[Mapping[tuple[str, str], _Readers]] = MappingProxyType(
    {(each.name, sender): _compile(each, sender) for each in EVENT_TYPES.values() for sender in each.senders}
)
_SENDABLE: Final = tuple(each.name for each in EVENT_TYPES.values() if each.senders)
_FINISHERS: Final[Mapping[str, Callable[[dict[str, Any], str, Given], None]]] = MappingProxyType(
    {
        "page_view": _finish_page_view,
        "goal": _finish_goal,
        "custom": _finish_custom,
        "preference": _finish_preference,
    }
)
