"""What in a condition compiles and yet can never match, where the edge is lenient, and what it may not ask: the author
must be told here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from origin.problems import Place, Problem, show, suggest
from shared.patterns import compile_pattern
from shared.patterns.tree import NoPattern
from shared.sensitive import is_sensitive

LOGICAL: Final = ("$and", "$or", "$nor")
MEMBERSHIP: Final = ("$in", "$nin", "$ini", "$nini")
ALL: Final = ("$all", "$alli")
PATTERNS: Final = ("$regex", "$regexi")
# What asks for groups, and what can stand there instead.
GROUPS: Final = {
    "$inGroup": 'list the values, as in "$in" = ["a", "b"]',
    "$notInGroup": 'list the values, as in "$nin" = ["a", "b"]',
    "$savedGroup": "write out the condition that the group stands for",
}
NESTED: Final = ("$not", "$size", "$elemMatch")
OPERATORS: Final = (
    *("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$exists", "$type"),
    *("$veq", "$vne", "$vgt", "$vgte", "$vlt", "$vlte"),
    *(*MEMBERSHIP, *ALL, *PATTERNS, *NESTED),
)
KNOWN: Final = (*LOGICAL, *OPERATORS)


# The edge compiles the conditions of a touchpoint at once, and those of all segments; each different one takes some
# 20 µs a test there, and nothing should keep it busy for more than 10 ms. A touchpoint's variants take their time as
# well. Members of a list and characters of a pattern count by what they take beside a plain comparison; for patterns
# that is a rough measure, and ADR 0021 says what the slowest takes.
MOST_VARIANT_TESTS: Final = 100
MOST_SEGMENT_TESTS: Final = 300
_MEMBERS_A_TEST: Final = 10
_CHARACTERS_A_TEST: Final = 4


def find_laborious(place: Place, what: str, conditions: Iterable[object], most: int) -> Iterator[Problem]:
    """Yield that these conditions, called `what`, take the edge too long to compile: they hold more than `most` tests,
    those that are the same counted once."""
    different = {repr(each): each for each in conditions}
    tests = round(sum(map(_count_tests, different.values())))
    if tests > most:
        text = (
            f"the conditions of {what} hold {tests:,} tests in {len(different):,} different conditions, and the edge "
            f"compiles all of them at once; keep at most {most}: conditions that are the same count once"
        )
        yield Problem(place, text)


def _count_tests(condition: object, operator: str = "") -> float:
    """What a condition takes to compile, in comparisons with a plain value."""
    if isinstance(condition, Mapping):
        return sum(max(_count_tests(each, key), 1.0) for key, each in condition.items())
    if isinstance(condition, list | tuple):
        plain = 1.0 if operator in ALL else 1.0 / _MEMBERS_A_TEST
        return sum(_count_tests(each) if isinstance(each, Mapping) else plain for each in condition)
    return len(condition) / _CHARACTERS_A_TEST if operator in PATTERNS and isinstance(condition, str) else 0.0


def find_unmatched(place: Place, path: str, condition: Mapping[str, object]) -> Iterator[Problem]:
    """Yield every operator of a condition that is unknown or whose value cannot match.

    `place` is the condition's own, to sort by; `path` is how it is shown, and grows on the way down.
    """
    for key, value in condition.items():
        at = f"{path}.{key}"
        if key in LOGICAL:
            for i, each in enumerate(value if isinstance(value, list | tuple) else ()):
                if isinstance(each, Mapping):
                    yield from find_unmatched(place, f"{at}[{i}]", each)
        elif key == "$not":
            if isinstance(value, Mapping):
                yield from find_unmatched(place, at, value)
        elif key in OPERATORS:
            remedy = f"write it below an attribute, as in device = {{ {show(key)} = … }}"
            yield Problem(place, f"stands beside attributes; {remedy}", at)
        elif key.startswith("$"):
            yield _refuse_operator(place, at, key)
        else:
            yield from _find_in_value(place, at, value)


def find_sensitive(place: Place, path: str, condition: Mapping[str, object]) -> Iterator[Problem]:
    """Yield every text that a condition compares with, and every name below an attribute, that is on the sensitive
    list. The paths of its attributes themselves are `find_path_problem`'s business."""
    for key, value in condition.items():
        at = f"{path}.{key}"
        if key == "$not" and isinstance(value, Mapping):
            yield from find_sensitive(place, at, value)
        elif key in LOGICAL and isinstance(value, list | tuple):
            for i, each in enumerate(value):
                if isinstance(each, Mapping):
                    yield from find_sensitive(place, f"{at}[{i}]", each)
        else:
            yield from _find_sensitive_value(place, at, value)


def _find_sensitive_value(place: Place, path: str, value: object) -> Iterator[Problem]:
    if isinstance(value, str) and is_sensitive(value):
        yield Problem(place, f"compares with {show(value)}, which is on the sensitive list; decide without it", path)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if is_sensitive(key):
                text = f"reads {show(key)}, which is on the sensitive list; decide without it"
                yield Problem(place, text, path)
            yield from _find_sensitive_value(place, f"{path}.{key}", each)
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from _find_sensitive_value(place, f"{path}[{i}]", each)


def _find_in_value(place: Place, path: str, value: object) -> Iterator[Problem]:
    """What is wrong with what an attribute is compared with: a value, or a table of operators."""
    operators = [key for key in value if key.startswith("$")] if isinstance(value, Mapping) else []
    if not isinstance(value, Mapping) or not operators:
        return
    if len(operators) < len(value):
        other = next(key for key in value if not key.startswith("$"))
        text = f"mixes the operator {show(operators[0])} with {show(other)}; write operators only here"
        yield Problem(place, text, path)
        return
    for operator, expected in value.items():
        yield from _find_in_operator(place, f"{path}.{operator}", operator, expected)


def _find_in_operator(place: Place, path: str, operator: str, expected: object) -> Iterator[Problem]:
    if operator not in OPERATORS:
        yield _refuse_operator(place, path, operator)
    elif operator in (*MEMBERSHIP, *ALL) and not isinstance(expected, list | tuple):
        yield Problem(place, f"{show(expected)} is not a list; write {show(operator)} = [{show(expected)}]", path)
    elif operator in ALL:
        assert isinstance(expected, list | tuple)
        for i, each in enumerate(expected):
            yield from _find_in_value(place, f"{path}[{i}]", each)
    elif operator in PATTERNS:
        yield from _find_in_pattern(place, path, expected)
    elif operator == "$elemMatch" and isinstance(expected, Mapping):
        if all(key.startswith("$") for key in expected):
            yield from _find_in_value(place, path, expected)
        else:
            yield from find_unmatched(place, path, expected)
    elif operator in NESTED:
        yield from _find_in_value(place, path, expected)


def _find_in_pattern(place: Place, path: str, pattern: object) -> Iterator[Problem]:
    example = 'as in "$regex" = "^de"'
    if not isinstance(pattern, str):
        yield Problem(place, f"{show(pattern)} is not a text; write a regular expression in quotes, {example}", path)
        return
    try:
        compile_pattern(pattern)
    except NoPattern as error:
        text = f"{show(pattern)} is no regular expression of JavaScript ({error}); correct it, {example}"
        yield Problem(place, text, path)


def _refuse_operator(place: Place, path: str, operator: str) -> Problem:
    if operator in GROUPS:
        return Problem(place, f"there are no groups in usher.toml yet; {GROUPS[operator]}", path)
    return Problem(place, f"is no operator; write {suggest(operator, KNOWN)}", path)
