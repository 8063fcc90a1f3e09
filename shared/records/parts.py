"""What the records of a snapshot have in common: parts that are optional, compiled, or may not be sensitive."""

from __future__ import annotations

from typing import Final

from shared.conditions import Condition, compile_condition
from shared.errors import InvalidSnapshot, InvalidValue
from shared.features import Feature, compile_feature
from shared.parse import Reader
from shared.sensitive import REFUSED, find_sensitive

MOST_FEATURES: Final = 50
LATEST_MS: Final = 1 << 53


def compile_features(names: tuple[str, ...], place: str) -> tuple[Feature, ...]:
    """The features of these names, none of which may be sensitive."""
    for name in names:
        refuse_sensitive(name, place)
    return tuple(compile_feature(name) for name in names)


def refuse_sensitive(data: object, place: str) -> None:
    """Refuse a name, or what holds names and texts, of which one is on the sensitive list."""
    found = find_sensitive(data)
    if found is not None:
        raise InvalidSnapshot(place, f"{found!r} {REFUSED}")


def compile_checked(reader: Reader, key: str) -> Condition:
    """The condition of a field, compiled; it may hold nothing sensitive."""
    try:
        condition = compile_condition(reader.mapping(key), reader.place(key))
    except InvalidValue as error:
        raise InvalidSnapshot(error.path, error.problem) from error
    refuse_sensitive(reader.mapping(key), reader.place(key))
    return condition


def read_whole(reader: Reader, key: str, *, low: int, high: int, default: int) -> int:
    """A whole number, or the default where the field is missing."""
    return reader.whole(key, low=low, high=high) if key in reader.data else default


def read_texts(reader: Reader, key: str) -> tuple[str, ...]:
    """A list of texts; an empty one where the field is missing."""
    return reader.texts(key) if key in reader.data else ()


def read_one_of(reader: Reader, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """A text that is one of those allowed; the default, where there is one, if the field is missing."""
    if default is not None and key not in reader.data:
        return default
    value = reader.text(key, longest=20)
    if value not in allowed:
        raise reader.fail(key, f"one of {', '.join(allowed)}")
    return value
