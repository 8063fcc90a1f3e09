"""Targeting conditions in GrowthBook's syntax (Mongo-style operators over nested attributes).

A condition is compiled once, when a snapshot's touchpoint is read, into a tree of closures; a request only calls the
outermost. Comparison follows the JavaScript reference (see `shared.javascript`): a missing attribute is
null, null counts as 0 where an order is asked for, numbers and strings that look like numbers compare as numbers, and
arrays match `$in` by any element. Regular expressions are JavaScript's (see `shared.patterns`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from shared.conditions.comparisons import (
    ORDERS,
    Groups,
    Test,
    among,
    equal_to,
    existing,
    identical_to,
    in_group,
    in_version_order,
    is_among,
    list_members,
    matching,
    never,
    of_type,
    ordered,
)
from shared.errors import InvalidCondition
from shared.javascript import type_name
from shared.patterns import MAX_PATTERN_LENGTH, MAX_SUBJECT_LENGTH, compile_pattern
from shared.patterns.tree import NoPattern, UnsupportedPattern

Attributes = Mapping[str, object]
Condition = Callable[[Attributes, Groups], bool]

__all__ = [
    "MAX_DEPTH", "MAX_PATTERN_LENGTH", "MAX_SUBJECT_LENGTH",
    "Attributes", "Condition", "Groups", "compile_condition", "matches",
]  # fmt: skip

MAX_DEPTH: Final = 32
_T = TypeVar("_T")


def matches(condition: Mapping[str, object], attributes: Attributes, groups: Groups | None = None) -> bool:
    """Say whether `attributes` satisfy `condition`.

    Compiles anew at every call: keep the result of `compile_condition` where it is hot. `groups` maps the names that
    `$inGroup`, `$notInGroup` and `$savedGroup` use to a list of members, `{"type": "list", "attributeKey": …,
    "values": […]}` or `{"type": "condition", "condition": {…}}`. Raises InvalidCondition as compile_condition does.
    """
    return compile_condition(condition)(attributes, groups or {})


def compile_condition(condition: object, path: str = "condition") -> Condition:
    """Compile a condition into a function of attributes and groups.

    What the reference never matches (an unknown operator, a text that is no regular expression) matches nothing here
    either. A regular expression sees the first 2,000 characters of a text. Raises InvalidCondition, with the place
    below `path`, for what is not an object, nests too deep, or holds a regular expression that cannot be honoured.
    """
    return _compile_object(condition, path, 0)


def _compile_object(condition: object, path: str, depth: int) -> Condition:
    if not isinstance(condition, Mapping):
        raise InvalidCondition(path, f"expected an object of attribute names and operators, got {_show(condition)}")
    _refuse_depth(depth, path)
    parts: list[Condition] = []
    for key, value in condition.items():
        place = f"{path}.{key}"
        if key in ("$and", "$or", "$nor"):
            parts.append(_compile_list(key, value, place, depth))
        elif key == "$not":
            parts.append(_negate(_compile_object(value, place, depth + 1)))
        elif key == "$savedGroup":
            parts.append(_refer(value, place, depth))
        else:
            parts.append(_at(str(key).split("."), _compile_value(value, place, depth + 1, insensitive=False)))
    return _all_of(parts)


def _compile_list(operator: str, value: object, path: str, depth: int) -> Condition:
    if not isinstance(value, list | tuple):
        raise InvalidCondition(path, f"expected a list of conditions, got {_show(value)}")
    parts = [_compile_object(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(value)]
    if operator == "$and":
        return _all_of(parts)
    return _any_of(parts) if operator == "$or" else _negate(_any_of(parts))


def _refer(reference: object, path: str, depth: int) -> Condition:
    """`$savedGroup`: whether an attribute, the reference's or else the group's own, is listed in a group, or the
    condition of a group holds. What is neither, or asks for itself, holds for nobody."""
    if not isinstance(reference, Mapping):
        return never
    name = reference.get("id")
    if not isinstance(name, str) or not isinstance(reference.get("attributeKey", ""), str):
        return never

    def is_member(attributes: Attributes, groups: Groups) -> bool:
        group = groups.get(name)
        if not isinstance(group, Mapping):
            return False
        if group.get("type") == "list":
            key, members = reference.get("attributeKey", group.get("attributeKey")), list_members(group)
            return (
                isinstance(key, str) and members is not None and is_among(_look_up(attributes, key.split(".")), members)
            )
        if group.get("type") != "condition":
            return False
        try:
            holds = _compile_object(group.get("condition"), path, depth + 1)
        except InvalidCondition:
            return False
        return holds(attributes, {**groups, name: None})

    return is_member


def _negate(part: Condition) -> Condition:
    return lambda attributes, groups: not part(attributes, groups)


def _all_of(parts: list[Callable[[_T, Groups], bool]]) -> Callable[[_T, Groups], bool]:
    """All of several conditions, or all tests of one value."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda value, groups: first(value, groups) and second(value, groups)
    return lambda value, groups: all(part(value, groups) for part in parts)


def _any_of(parts: list[Condition]) -> Condition:
    """As in the reference an empty list holds: `$or` of none is true, and `$nor` of none is not."""
    if len(parts) == 2:
        first, second = parts
        return lambda attributes, groups: first(attributes, groups) or second(attributes, groups)
    return lambda attributes, groups: not parts or any(part(attributes, groups) for part in parts)


def _at(keys: list[str], test: Test) -> Condition:
    if len(keys) > 1:
        return lambda attributes, groups: test(_look_up(attributes, keys), groups)
    key = keys[0]

    def test_one(attributes: Attributes, groups: Groups) -> bool:
        if attributes.__class__ is dict:
            return test(attributes.get(key), groups)
        return test(_look_up(attributes, keys), groups)

    return test_one


def _look_up(value: object, keys: list[str]) -> object:
    """The value at a path; an array has its indices and its length, as in JavaScript."""
    for key in keys:
        if value.__class__ is dict or isinstance(value, Mapping):  # asking for a Mapping costs more than all the rest
            value = value.get(key)
        elif not isinstance(value, list | tuple):
            return None
        elif key == "length":
            value = len(value)
        elif key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and len(key) < 10:
            index = int(key)
            value = value[index] if index < len(value) else None
        else:
            return None
    return value


def _compile_value(condition: object, path: str, depth: int, *, insensitive: bool) -> Test:
    _refuse_depth(depth, path)
    if isinstance(condition, Mapping) and _is_operators(condition):
        return _all_of([_compile_operator(str(op), each, f"{path}.{op}", depth) for op, each in condition.items()])
    _refuse_deep(condition, path, depth)
    return equal_to(condition, insensitive=insensitive)


def _is_operators(condition: Mapping[str, object]) -> bool:
    return len(condition) > 0 and all(str(key)[:1] == "$" for key in condition)


def _compile_operator(operator: str, expected: object, path: str, depth: int) -> Test:
    nested = _NESTED.get(operator)
    if nested is not None:
        return nested(operator, expected, path, depth)
    if operator in ("$regex", "$regexi"):
        return _compile_regex(expected, path, insensitive=operator == "$regexi")
    if operator in ("$in", "$nin", "$ini", "$nini"):
        if not isinstance(expected, list | tuple):
            return never
        return among(expected, wanted=operator[:2] == "$i", insensitive=operator[-2:] == "ni" or operator == "$ini")
    if operator in ("$inGroup", "$notInGroup"):
        return in_group(expected, wanted=operator == "$inGroup")
    return _compile_comparison(operator, expected)


def _compile_comparison(operator: str, expected: object) -> Test:
    if operator in ("$eq", "$ne"):
        return identical_to(expected, wanted=operator == "$eq")
    if operator == "$exists":
        return existing(expected)
    if operator == "$type":
        return of_type(expected)
    orders = ORDERS.get(operator[1:])
    if orders is not None:
        return ordered(expected, orders)
    return in_version_order(operator, expected) or never


def _compile_not(_operator: str, expected: object, path: str, depth: int) -> Test:
    inner = _compile_value(expected, path, depth + 1, insensitive=False)
    return lambda value, groups: not inner(value, groups)


def _compile_size(_operator: str, expected: object, path: str, depth: int) -> Test:
    size = _compile_value(expected, path, depth + 1, insensitive=False)
    return lambda value, groups: isinstance(value, list | tuple) and size(len(value), groups)


def _compile_element(_operator: str, expected: object, path: str, depth: int) -> Test:
    """`$elemMatch`: operators ask each element, all else the attributes of each; null is no element."""
    element: Callable[..., bool]
    if isinstance(expected, Mapping) and _is_operators(expected):
        element = _compile_value(expected, path, depth + 1, insensitive=False)
    else:
        element = _compile_object(expected, path, depth + 1)
    return lambda value, groups: (
        isinstance(value, list | tuple) and any(each is not None and element(each, groups) for each in value)
    )


def _compile_all(operator: str, expected: object, path: str, depth: int) -> Test:
    if not isinstance(expected, list | tuple):
        return never
    wanted = [
        _compile_value(each, f"{path}[{i}]", depth + 1, insensitive=operator == "$alli")
        for i, each in enumerate(expected)
    ]
    return lambda value, groups: (
        isinstance(value, list | tuple) and all(any(test(each, groups) for each in value) for test in wanted)
    )


_NESTED: Final[Mapping[str, Callable[[str, object, str, int], Test]]] = {
    "$not": _compile_not,
    "$size": _compile_size,
    "$elemMatch": _compile_element,
    "$all": _compile_all,
    "$alli": _compile_all,
}


def _compile_regex(expected: object, path: str, *, insensitive: bool) -> Test:
    if not isinstance(expected, str):
        return never
    try:
        return matching(compile_pattern(expected, insensitive=insensitive))
    except NoPattern:
        return never
    except UnsupportedPattern as error:
        raise InvalidCondition(path, f"`{expected[:80]}` cannot be used: {error}") from error


def _refuse_depth(depth: int, path: str) -> None:
    if depth > MAX_DEPTH:
        raise InvalidCondition(path, f"nested deeper than {MAX_DEPTH} levels")


def _refuse_deep(value: object, path: str, depth: int) -> None:
    """Refuse a list or an object to compare with that nests too deep: a request must not run out of stack over it."""
    _refuse_depth(depth, path)
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for each in inner:
        if isinstance(each, list | tuple | Mapping):
            _refuse_deep(each, path, depth + 1)


def _show(value: object) -> str:
    return f"{type_name(value)} {_start(value)!r}"


def _start(value: object) -> str:
    """The first 40 characters of a value; of one that nests without end or has thousands of digits, nothing."""
    try:
        return str(value)[:40]
    except (RecursionError, ValueError):
        return "…"
