"""Reading one value of a given kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from shared.errors import InvalidEvent
from shared.events.kinds import Choice, Flag, Kind, Link, NamedTexts, Number, Properties, Text, Texts, Whole
from shared.parse import has_surrogate, kind_of
from shared.sensitive import is_sensitive

# A reader takes the value, the path of the object or list in which it stands, and its key there; it returns what is
# stored, or raises InvalidEvent.
ReadValue = Callable[[object, str, str | int], object]

_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.:-]{0,39}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether a text looks like the name of something, rather than like what somebody is called or has written."""
    return _NAME.fullmatch(text) is not None


def show_name(name: str) -> str:
    """A name for messages; in the place of what does not look like one, how long it is."""
    return name if is_name(name) else f"({_measure('a name', len(name))})"


def describe(value: object) -> str:
    """Of what kind a value is, and of texts how long, for messages: what it says may be nobody's business."""
    if isinstance(value, str):
        return _measure("a text", len(value))
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else kind_of(value)


def quote(value: object) -> str:
    """A value that should be one of a few names, for messages: as it is where it looks like one."""
    is_harmless = isinstance(value, str) and is_name(value) and not is_sensitive(value)
    return kind_of(value) if is_harmless else describe(value)


def place_of(path: str, key: str | int) -> str:
    """The place of a field or list item below `path`."""
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{show_name(key)}"


def _measure(what: str, length: int) -> str:
    return f"{what} of {length} character{'' if length == 1 else 's'}"


def refuse_name(path: str, name: str, problem: str) -> InvalidEvent:
    """The refusal of a name that has no place there: as sensitive where it is, else with the problem given."""
    if is_sensitive(name):
        return InvalidEvent(place_of(path, name), "is on the sensitive list; do not send it", "sensitive")
    return InvalidEvent(place_of(path, name), problem, "unplanned")


def reader_of(kind: Kind) -> ReadValue:
    """Return the reader of a kind of values."""
    match kind:
        case Text():
            return _text_reader(kind)
        case Link(longest=longest):
            read_text = _text_reader(Text(longest=longest))
            return lambda value, path, key: read_text(value, path, key).partition("#")[0].partition("?")[0]
        case Choice(options=options):
            return _choice_reader(options)
        case Whole(low=low, high=high):
            return _whole_reader(low, high)
        case Number(low=low, high=high):
            return _number_reader(low, high)
        case Flag():
            return _read_flag
        case Texts(most=most, longest=longest):
            return _texts_reader(most, longest)
        case NamedTexts(names=names, longest=longest):
            return _named_texts_reader(names, longest)
        case Properties(most=most):
            return _properties_reader(most)
    raise TypeError(f"{kind} is never sent")


def _text_reader(kind: Text) -> Callable[[object, str, str | int], str]:
    shortest, longest = kind.shortest, kind.longest
    matches = kind.pattern.fullmatch if kind.pattern is not None else None
    is_reserved = kind.reserved.match if kind.reserved is not None else None

    def read(value: object, path: str, key: str | int) -> str:
        if not isinstance(value, str):
            raise InvalidEvent(place_of(path, key), f"expected a string, got {describe(value)}", "wrong_type")
        size = len(value)
        if size > longest:
            raise InvalidEvent(place_of(path, key), f"{size} characters; at most {longest} are allowed", "too_long")
        if size < shortest:
            raise InvalidEvent(place_of(path, key), "is empty", "out_of_range")
        if has_surrogate(value):
            problem = "holds half of a surrogate pair, which is no character"
            raise InvalidEvent(place_of(path, key), problem, "wrong_type")
        if matches is not None and not matches(value):
            raise InvalidEvent(place_of(path, key), f"expected {kind.wanted}, got {describe(value)}", "out_of_range")
        if is_reserved is not None and is_reserved(value):
            problem = "begins like the ids that the edge gives to its own events; take another"
            raise InvalidEvent(place_of(path, key), problem, "out_of_range")
        return value

    return read


def _choice_reader(options: tuple[str, ...]) -> ReadValue:
    def read(value: object, path: str, key: str | int) -> str:
        if isinstance(value, str) and value in options:
            return value
        problem = f"expected {' or '.join(options)}, got {describe(value)}"
        raise InvalidEvent(place_of(path, key), problem, "out_of_range" if isinstance(value, str) else "wrong_type")

    return read


def _whole_reader(low: int, high: int) -> ReadValue:
    def read(value: object, path: str, key: str | int) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, float) and value.is_integer():
            value, is_whole = int(value), True
        if is_whole and low <= value <= high:  # type: ignore[operator]  # it is a number
            return value  # type: ignore[return-value]
        problem = f"expected a whole number from {low} to {high}, got {_show_number(value)}"
        raise InvalidEvent(place_of(path, key), problem, "out_of_range" if is_whole else "wrong_type")

    return read


def _number_reader(low: float, high: float) -> ReadValue:
    def read(value: object, path: str, key: str | int) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
        if is_number and low <= value <= high:  # type: ignore[operator]
            return float(value)  # type: ignore[arg-type]
        problem = f"expected a number from {low:g} to {high:g}, got {_show_number(value)}"
        raise InvalidEvent(place_of(path, key), problem, "out_of_range" if is_number else "wrong_type")

    return read


def _show_number(value: object) -> str:
    """A number for the message that it is out of bounds; what is none is described."""
    return kind_of(value) if isinstance(value, int | float) else describe(value)


def _read_flag(value: object, path: str, key: str | int) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidEvent(place_of(path, key), f"expected true or false, got {describe(value)}", "wrong_type")


def _texts_reader(most: int, longest: int) -> ReadValue:
    read_text = _text_reader(Text(longest=longest))

    def read(value: object, path: str, key: str | int) -> list[str]:
        if not isinstance(value, list):
            raise InvalidEvent(place_of(path, key), f"expected a list of strings, got {describe(value)}", "wrong_type")
        if len(value) > most:
            raise InvalidEvent(place_of(path, key), f"{len(value)} texts; at most {most} are allowed", "too_long")
        place = place_of(path, key)
        return [read_text(each, place, i) for i, each in enumerate(value)]

    return read


def _named_texts_reader(names: tuple[str, ...], longest: int) -> ReadValue:
    read_text = _text_reader(Text(longest=longest))

    def read(value: object, path: str, key: str | int) -> dict[str, str]:
        place = place_of(path, key)
        if not isinstance(value, Mapping):
            raise InvalidEvent(place, f"expected an object, got {describe(value)}", "wrong_type")
        for name in value:
            if name not in names:
                raise refuse_name(place, name, f"is not known here; write some of {', '.join(names)}")
        return {name: read_text(each, place, name) for name, each in value.items() if each is not None}

    return read


def _properties_reader(most: int) -> ReadValue:
    """The reader of the object alone: what may be in it depends on the event's name and the plan."""

    def read(value: object, path: str, key: str | int) -> Mapping[str, object]:
        if not isinstance(value, Mapping):
            raise InvalidEvent(place_of(path, key), f"expected an object, got {describe(value)}", "wrong_type")
        if len(value) > most:
            raise InvalidEvent(place_of(path, key), f"{len(value)} properties; at most {most} are allowed", "too_long")
        return value

    return read
