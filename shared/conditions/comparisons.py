"""What a condition may ask of one value: each function takes what is expected and returns the test, ready to be called.

A test takes a value and the saved groups. The semantics are those of the JavaScript reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shared.javascript import (
    LINE_ENDS,
    compare,
    is_identical,
    is_same,
    is_truthy,
    to_double,
    to_lower,
    to_number,
    to_string,
    type_name,
)

# Saved groups by their names: lists of members, or objects as the reference's newer releases publish them.
Groups = Mapping[str, object]
Test = Callable[[object, Groups], bool]


def never(_value: object, _groups: Groups) -> bool:
    """Match nothing, as the reference does for what it does not know."""
    return False


def equal_to(expected: object, *, insensitive: bool = False) -> Test:
    """Compare with a bare value: by the type of what is expected, so that `"5"` equals 5 and a list its joined text."""
    if isinstance(expected, bool):
        return lambda value, _groups: value is not None and is_truthy(value) == expected
    if isinstance(expected, str):
        if insensitive:
            lowered = to_lower(expected)
            return lambda value, _groups: to_lower(to_string(value)) == lowered
        return lambda value, _groups: (value if isinstance(value, str) else to_string(value)) == expected
    if isinstance(expected, int | float):
        number = to_double(expected)
        return lambda value, _groups: to_number(value) == number
    if expected is None:
        return lambda value, _groups: value is None
    return lambda value, _groups: is_same(expected, value)


def identical_to(expected: object, *, wanted: bool) -> Test:
    """`$eq` and `$ne`: no conversion, and a list or an object is identical to nothing."""
    if isinstance(expected, str):
        return lambda value, _groups: (value == expected) is wanted
    return lambda value, _groups: is_identical(value, expected) is wanted


def existing(expected: object) -> Test:
    """`$exists`: null counts as missing."""
    wanted = is_truthy(expected)
    return lambda value, _groups: (value is not None) is wanted


def of_type(expected: object) -> Test:
    """`$type`: string, number, boolean, array, object or null."""
    return lambda value, _groups: type_name(value) == expected


ORDERS: Final[Mapping[str, tuple[int, ...]]] = {"lt": (-1,), "lte": (-1, 0), "gt": (1,), "gte": (0, 1)}


def ordered(expected: object, orders: tuple[int, ...]) -> Test:
    """`$lt` to `$gte`: texts with texts by UTF-16, all else as numbers; what is no number stands nowhere."""
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        number = to_double(expected)

        def is_ordered(value: object, _groups: Groups) -> bool:
            if value.__class__ is float and value == value:
                return (value > number) - (value < number) in orders
            return compare(value, number) in orders

        return is_ordered
    return lambda value, _groups: compare(value, expected) in orders


def in_version_order(operator: str, expected: object) -> Test | None:
    """`$veq` to `$vlte`, or None for any other operator."""
    version = _pad_version(expected)
    if operator in ("$veq", "$vne"):
        wanted = operator == "$veq"
        return lambda value, _groups: (_pad_version(value) == version) is wanted
    orders = ORDERS.get(operator[2:]) if operator.startswith("$v") else None
    if orders is None:
        return None
    return lambda value, _groups: compare(_pad_version(value), version) in orders


_SEPARATORS: Final = re.compile("[-.]", re.ASCII)


def _pad_version(value: object) -> str:
    """A version as text that sorts as versions do: numbers padded, a release (three parts) after its pre-releases."""
    text = to_string(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text:
        text = "0"
    build = text.find("+", 1 + max([text.rfind(end) for end in LINE_ENDS]))
    if build >= 0:
        text = text[:build]
    parts = _SEPARATORS.split(text.removeprefix("v"))
    if len(parts) == 3:
        parts.append("~")
    return "-".join([part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts])


def among(expected: Sequence[object], *, wanted: bool, insensitive: bool) -> Test:
    """`$in` and its kin: any element of a list counts, and nothing is converted."""
    if insensitive:
        lowered = _members([_lower(each) for each in expected])
        return lambda value, _groups: _any_in(value, lambda each: lowered(_lower(each))) is wanted
    contains = _members(expected)
    return lambda value, _groups: (contains(value) if value.__class__ is str else _any_in(value, contains)) is wanted


def in_group(name: object, *, wanted: bool) -> Test:
    """`$inGroup` and `$notInGroup`: an unknown group has no members; what is no list of members answers neither."""
    key = to_string(name)

    def is_in_group(value: object, groups: Groups) -> bool:
        members = list_members(groups.get(key, ()))
        return members is not None and is_among(value, members) is wanted

    return is_in_group


def list_members(group: object) -> Sequence[object] | None:
    """The members of a saved group, a list or `{"type": "list", "values": […]}`; None where it is neither."""
    if isinstance(group, Mapping) and group.get("type") == "list":
        group = group.get("values")
    return group if isinstance(group, list | tuple) else None


def is_among(value: object, members: Sequence[object]) -> bool:
    """Whether a value, or any element of a list, is identical to one of these."""
    return _any_in(value, lambda each: any(is_identical(each, member) for member in members))


def _any_in(value: object, contains: Callable[[object], bool]) -> bool:
    return any(contains(each) for each in value) if isinstance(value, list | tuple) else contains(value)


def _members(expected: Sequence[object]) -> Callable[[object], bool]:
    """A function that says whether a value is identical to one of these."""
    constants = [each for each in expected if each is None or isinstance(each, bool)]
    texts = frozenset([each for each in expected if isinstance(each, str)])
    numbers = [to_double(each) for each in expected if isinstance(each, int | float) and not isinstance(each, bool)]
    known = frozenset([number for number in numbers if number == number])

    def contains(value: object) -> bool:
        if isinstance(value, str):
            return value in texts
        if value is None or isinstance(value, bool):
            return any(value is each for each in constants)
        return isinstance(value, int | float) and to_double(value) in known

    return contains


def _lower(value: object) -> object:
    return to_lower(value) if isinstance(value, str) else value


def matching(search: Callable[[str], bool]) -> Test:
    """`$regex` and `$regexi`: the value as text."""
    return lambda value, _groups: search(value if isinstance(value, str) else to_string(value))
