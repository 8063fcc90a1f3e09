"""Targeting conditions in GrowthBook's syntax (Mongo-style operators over nested attributes).

A condition is compiled once, when a snapshot's touchpoint is read, into a tree of closures; a request only calls the
outermost. Comparison follows the JavaScript reference: a missing attribute is null, null counts as 0 where an order is
asked for, numbers and strings that look like numbers compare as numbers, and arrays match `$in` by any element.
Regular expressions are bound to ASCII case rules, so that two versions of Python agree on them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shared.errors import InvalidCondition

Attributes = Mapping[str, object]
Groups = Mapping[str, Sequence[object]]
Condition = Callable[[Attributes, Groups], bool]
_Test = Callable[[object, Groups], bool]

MAX_DEPTH: Final = 32
MAX_PATTERN_LENGTH: Final = 500
MAX_SUBJECT_LENGTH: Final = 2_000


def matches(condition: Mapping[str, object], attributes: Attributes, groups: Groups | None = None) -> bool:
    """Say whether `attributes` satisfy `condition`.

    Compiles anew at every call: keep the result of `compile_condition` where it is hot. `groups` maps the names that
    `$inGroup` uses to their members. Raises InvalidCondition as compile_condition does.
    """
    return compile_condition(condition)(attributes, groups or {})


def compile_condition(condition: object, path: str = "condition") -> Condition:
    """Compile a condition into a function of attributes and groups.

    An unknown operator, as in the reference, matches nothing. Raises InvalidCondition, with the place below `path`,
    for what is not an object, nests too deep, or holds a regular expression that cannot be used.
    """
    try:
        return _compile_object(condition, path, 0)
    except RecursionError as error:
        raise InvalidCondition(path, "nested too deep") from error


def _compile_object(condition: object, path: str, depth: int) -> Condition:
    if not isinstance(condition, Mapping):
        raise InvalidCondition(path, f"expected an object of attribute names and operators, got {_show(condition)}")
    if depth > MAX_DEPTH:
        raise InvalidCondition(path, f"nested deeper than {MAX_DEPTH} levels")
    parts: list[Condition] = []
    for key, value in condition.items():
        place = f"{path}.{key}"
        if key in ("$and", "$or", "$nor"):
            parts.append(_compile_list(key, value, place, depth))
        elif key == "$not":
            parts.append(_negate(_compile_object(value, place, depth + 1)))
        else:
            parts.append(_at(str(key).split("."), _compile_value(value, place, depth + 1, insensitive=False)))
    if len(parts) == 1:
        return parts[0]
    return lambda attributes, groups: all(part(attributes, groups) for part in parts)


def _compile_list(operator: str, value: object, path: str, depth: int) -> Condition:
    if not isinstance(value, list | tuple):
        raise InvalidCondition(path, f"expected a list of conditions, got {_show(value)}")
    parts = [_compile_object(each, f"{path}[{i}]", depth + 1) for i, each in enumerate(value)]
    if operator == "$and":
        return lambda attributes, groups: all(part(attributes, groups) for part in parts)
    if operator == "$nor":
        return lambda attributes, groups: not parts or not any(part(attributes, groups) for part in parts)
    return lambda attributes, groups: not parts or any(part(attributes, groups) for part in parts)


def _negate(part: Condition) -> Condition:
    return lambda attributes, groups: not part(attributes, groups)


def _at(keys: list[str], test: _Test) -> Condition:
    if len(keys) == 1:
        key = keys[0]
        return lambda attributes, groups: test(attributes.get(key) if isinstance(attributes, Mapping) else None, groups)

    def descend(attributes: Attributes, groups: Groups) -> bool:
        value: object = attributes
        for key in keys:
            if not isinstance(value, Mapping) or key not in value:
                return test(None, groups)
            value = value[key]
        return test(value, groups)

    return descend


def _compile_value(condition: object, path: str, depth: int, *, insensitive: bool) -> _Test:
    if depth > MAX_DEPTH:
        raise InvalidCondition(path, f"nested deeper than {MAX_DEPTH} levels")
    if _is_operator_object(condition):
        assert isinstance(condition, Mapping)
        tests = [_compile_operator(str(op), expected, f"{path}.{op}", depth) for op, expected in condition.items()]
        if len(tests) == 1:
            return tests[0]
        return lambda value, groups: all(test(value, groups) for test in tests)
    if isinstance(condition, bool):
        return lambda value, _groups: value is not None and _truthy(value) == condition
    if isinstance(condition, str):
        if insensitive:
            folded = condition.lower()
            return lambda value, _groups: _to_string(value).lower() == folded
        return lambda value, _groups: _to_string(value) == condition
    if isinstance(condition, int | float):
        return lambda value, _groups: _to_number(value) == condition
    if condition is None:
        return lambda value, _groups: value is None
    return lambda value, _groups: _same(value, condition)


def _is_operator_object(condition: object) -> bool:
    return isinstance(condition, Mapping) and len(condition) > 0 and all(str(key)[:1] == "$" for key in condition)


def _compile_operator(operator: str, expected: object, path: str, depth: int) -> _Test:
    compiled = _compile_nested(operator, expected, path, depth)
    if compiled is None:
        compiled = _compile_membership(operator, expected)
    if compiled is None and operator in ("$regex", "$regexi"):
        compiled = _compile_regex(expected, path, re.IGNORECASE if operator == "$regexi" else re.NOFLAG)
    if compiled is None:
        compiled = _compile_comparison(operator, expected)
    return compiled if compiled is not None else _never


def _never(_value: object, _groups: Groups) -> bool:
    return False


def _compile_nested(operator: str, expected: object, path: str, depth: int) -> _Test | None:
    """The operators that hold conditions themselves."""
    if operator == "$not":
        inner = _compile_value(expected, path, depth + 1, insensitive=False)
        return lambda value, groups: not inner(value, groups)
    if operator == "$size":
        size = _compile_value(expected, path, depth + 1, insensitive=False)
        return lambda value, groups: isinstance(value, list | tuple) and size(len(value), groups)
    if operator == "$elemMatch":
        if _is_operator_object(expected):
            each = _compile_value(expected, path, depth + 1, insensitive=False)
            return lambda value, groups: isinstance(value, list | tuple) and any(each(v, groups) for v in value)
        element = _compile_object(expected, path, depth + 1)
        return lambda value, groups: (
            isinstance(value, list | tuple) and any(isinstance(v, Mapping) and element(v, groups) for v in value)
        )
    if operator in ("$all", "$alli"):
        if not isinstance(expected, list | tuple):
            return _never
        wanted = [
            _compile_value(each, f"{path}[{i}]", depth + 1, insensitive=operator == "$alli")
            for i, each in enumerate(expected)
        ]
        return lambda value, groups: (
            isinstance(value, list | tuple) and all(any(test(v, groups) for v in value) for test in wanted)
        )
    return None


def _compile_membership(operator: str, expected: object) -> _Test | None:
    if operator in ("$inGroup", "$notInGroup"):
        name, wanted = str(expected), operator == "$inGroup"
        return lambda value, groups: _is_in(value, groups.get(name, ())) == wanted
    if operator not in ("$in", "$nin", "$ini", "$nini"):
        return None
    if not isinstance(expected, list | tuple):
        return _never
    wanted = operator in ("$in", "$ini")
    if operator in ("$ini", "$nini"):
        folded = [_fold(each) for each in expected]
        return lambda value, _groups: _is_in(_fold(value), folded) == wanted
    members = list(expected)
    return lambda value, _groups: _is_in(value, members) == wanted


def _compile_regex(expected: object, path: str, flag: re.RegexFlag) -> _Test:
    if not isinstance(expected, str):
        return _never
    if len(expected) > MAX_PATTERN_LENGTH:
        raise InvalidCondition(path, f"{len(expected)} characters; at most {MAX_PATTERN_LENGTH} are allowed")
    try:
        with warnings.catch_warnings(action="ignore"):
            pattern = re.compile(expected, flag | re.ASCII)
    except (re.error, ValueError, OverflowError, RecursionError):
        return _never  # as in the reference: a pattern that does not compile matches nothing
    return lambda value, _groups: pattern.search(_to_string(value)[:MAX_SUBJECT_LENGTH]) is not None


def _compile_comparison(operator: str, expected: object) -> _Test | None:
    if operator == "$eq":
        return lambda value, _groups: _strictly_equal(value, expected)
    if operator == "$ne":
        return lambda value, _groups: not _strictly_equal(value, expected)
    if operator == "$exists":
        wanted = _truthy(expected)
        return lambda value, _groups: (value is not None) == wanted
    if operator == "$type":
        return lambda value, _groups: _type_name(value) == expected
    order = _ORDERS.get(operator)
    if order is not None:
        return lambda value, _groups: _ordered(value, expected, order)
    version_order = _ORDERS.get("$" + operator[2:]) if operator[:2] == "$v" else None
    if version_order is not None:
        padded = _padded_version(expected)
        return lambda value, _groups: version_order(_compare(_padded_version(value), padded))
    if operator in ("$veq", "$vne"):
        padded, wanted = _padded_version(expected), operator == "$veq"
        return lambda value, _groups: (_padded_version(value) == padded) == wanted
    return None


_ORDERS: Final[Mapping[str, Callable[[int], bool]]] = {
    "$lt": lambda order: order < 0,
    "$lte": lambda order: order <= 0,
    "$gt": lambda order: order > 0,
    "$gte": lambda order: order >= 0,
}


def _ordered(value: object, expected: object, order: Callable[[int], bool]) -> bool:
    if isinstance(value, str) and isinstance(expected, str):
        return order(_compare(_utf16(value), _utf16(expected)))
    left, right = _to_number(value), _to_number(expected)
    if left is None or right is None:
        return False
    return order(_compare(left, right))


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _compare(left: str | bytes | float, right: str | bytes | float) -> int:
    if left == right:
        return 0
    return -1 if left < right else 1  # type: ignore[operator]  # both are of one kind at every call


def _to_number(value: object) -> float | None:
    """The number JavaScript would see, or None where it would see NaN."""
    if value is None:
        return 0.0
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, int | float):
        return value if value == value else None
    if isinstance(value, str):
        text = value.strip()
        if text == "":
            return 0.0
        if _DECIMAL.fullmatch(text):
            return float(text)
    return None


_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def _to_string(value: object) -> str:
    """The text JavaScript would see."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join("" if each is None else _to_string(each) for each in value)
    if isinstance(value, Mapping):
        return "[object Object]"
    return str(value)


def _truthy(value: object) -> bool:
    return value if isinstance(value, bool) else not (value is None or value == 0 or value == "" or value != value)


def _strictly_equal(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list | tuple | Mapping):
        return False  # the reference compares objects by identity, and parsed data never is identical
    return left == right


def _same(left: object, right: object) -> bool:
    """Deep equality that keeps booleans and numbers apart."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _is_in(value: object, members: Sequence[object]) -> bool:
    if isinstance(value, list | tuple):
        return any(_strictly_equal(each, member) for each in value for member in members)
    return any(_strictly_equal(value, member) for member in members)


def _fold(value: object) -> object:
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, list | tuple):
        return [_fold(each) for each in value]
    return value


def _type_name(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list | tuple):
        return "array"
    return "object"


_VERSION_NOISE: Final = re.compile(r"^v|\+.*$", re.ASCII)
_VERSION_SPLIT: Final = re.compile(r"[-.]", re.ASCII)


def _padded_version(value: object) -> str:
    """A version as text that sorts as versions do: numbers padded, a release (three parts) after its pre-releases."""
    text = _to_string(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text:
        text = "0"
    parts = _VERSION_SPLIT.split(_VERSION_NOISE.sub("", text))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)


def _show(value: object) -> str:
    return f"{_type_name(value)} {str(value)[:40]!r}"
