"""Reading untrusted, parsed JSON into types: every error names the path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from shared.errors import InvalidValue

# Python's JSON parser recurses in C. Inside WebAssembly several thousand levels overflow the stack and end the process
# before Python can raise, so what may be deep is measured first.
MAX_NESTING: Final = 100
# A whole number from here on is not written out in messages.
HUGE: Final = 1e100

_NO_BRACKET: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


def load_json(text: str, *, lenient: bool = False) -> object:
    """Parse JSON from outside.

    Raises ValueError for what is not JSON, is nested too deep, or, unless `lenient`, holds NaN or infinity.
    """
    if text.count("[") + text.count("{") > MAX_NESTING and not _is_shallow(text):
        raise ValueError(f"brackets do not match, or are nested deeper than {MAX_NESTING} levels")
    decoder = _LENIENT if lenient else _STRICT
    try:
        value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]  # what its own `raw_decode` calls
    except StopIteration:
        end = -1
    # The decoder's own way round takes twice as long, and is needed for space around the value and for what is wrong.
    return value if end == len(text) else decoder.decode(text)


def _is_shallow(text: str) -> bool:
    """Whether the brackets outside strings cancel out within MAX_NESTING rounds; one round removes the innermost.

    Without escapes every other quote opens a string. Where the text is no JSON that may be wrong behind the first
    mistake, which is where the parser stops.
    """
    outside = "".join(_without_escapes(text).split('"')[::2])
    brackets = outside.encode("utf-8", "surrogatepass").translate(None, _NO_BRACKET)
    for _ in range(MAX_NESTING):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets


def _without_escapes(text: str) -> str:
    """The text without backslashes and what each of them escapes. Splitting at one character takes a fraction of the
    time that looking for two takes."""
    first, *others = text.split("\\")
    if "" in others:  # a backslash escapes the next one
        return text.replace("\\\\", "").replace('\\"', "")
    return "".join([first, *[other[1:] for other in others]])


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


# json.loads would make a decoder for every call.
_STRICT: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_LENIENT: Final = json.JSONDecoder(parse_constant=float)


class Reader:
    """Reads the fields of one JSON object; `path` is where the object stands, `error` what to raise."""

    __slots__ = ("data", "error", "path")

    def __init__(self, data: object, path: str, error: type[InvalidValue] = InvalidValue) -> None:
        self.path = path
        self.error = error
        if not isinstance(data, Mapping):
            raise error(path, f"expected an object, got {kind_of(data)}")
        self.data: Mapping[str, object] = data

    def place(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, expected: str) -> InvalidValue:
        """The error for a field that is missing or not as expected."""
        if key not in self.data:
            return self.error(self.place(key), f"missing; expected {expected}")
        return self.error(self.place(key), f"expected {expected}, got {kind_of(self.data[key])}")

    def text(self, key: str, *, longest: int = 10_000_000) -> str:
        """A string of at most `longest` characters."""
        value = self.data.get(key)
        if not isinstance(value, str):
            raise self.fail(key, "a string")
        if len(value) > longest:
            raise self.error(self.place(key), f"{len(value)} characters; at most {longest} are allowed")
        if has_surrogate(value):
            raise self.error(self.place(key), "holds half of a surrogate pair, which is no character")
        return value

    def optional_text(self, key: str, *, longest: int = 10_000_000) -> str | None:
        """A string, or None where the field is missing or null."""
        return None if self.data.get(key) is None else self.text(key, longest=longest)

    def number(self, key: str, *, low: float, high: float) -> float:
        """A finite number within [low, high]."""
        return self._bounded(self.data.get(key), key, low, high)

    def whole(self, key: str, *, low: int, high: int) -> int:
        """A whole number within [low, high]."""
        value = self.data.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"a whole number from {low} to {high}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false, or the default where the field is missing."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def items(self, key: str) -> list[object]:
        """A list."""
        value = self.data.get(key)
        if not isinstance(value, list):
            raise self.fail(key, "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self.items(key)
        for i, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"{self.place(key)}[{i}]", f"expected a string, got {kind_of(value)}")
        return tuple(values)  # type: ignore[arg-type]  # all are strings

    def numbers(self, key: str, *, length: int, low: float, high: float) -> tuple[float, ...]:
        """A list of `length` finite numbers within [low, high]."""
        values = self.items(key)
        if len(values) != length:
            raise self.error(self.place(key), f"expected {length} numbers, got {len(values)}")
        for value in values:
            if type(value) is not float or not low <= value <= high:
                return tuple([self._bounded(value, f"{key}[{i}]", low, high) for i, value in enumerate(values)])
        return tuple(values)  # type: ignore[arg-type]  # all are floats

    def mapping(self, key: str) -> Mapping[str, object]:
        """An object."""
        value = self.data.get(key)
        if not isinstance(value, Mapping):
            raise self.fail(key, "an object")
        return value

    def _bounded(self, value: object, place: str, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self.error(self.place(place), f"expected a number, got {kind_of(value)}")
        if not low <= value <= high:
            raise self.error(self.place(place), f"expected a number from {low:g} to {high:g}, got {kind_of(value)}")
        return float(value)


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair. The pattern alone takes milliseconds for a page of HTML."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def kind_of(value: object) -> str:
    """What a value is, in a few words for messages."""
    if value is None:
        return "nothing"
    if isinstance(value, int) and not -HUGE < value < HUGE:
        return "a number of more than 100 digits"
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "a list" if isinstance(value, list) else "an object"
