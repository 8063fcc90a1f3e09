from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from shared.conditions import MAX_DEPTH, MAX_PATTERN_LENGTH, MAX_SUBJECT_LENGTH, compile_condition, matches
from shared.errors import InvalidCondition

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "conditions.json"


def test_the_cases_of_the_reference_implementation_hold() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the reference's cases are not part of this project; they are looked for in {REFERENCE}")
    wrong = []
    cases = json.loads(REFERENCE.read_text(encoding="utf-8"))["evalCondition"]
    for name, condition, attributes, expected, *groups in cases:
        if matches(condition, attributes, groups[0] if groups else None) is not expected:
            wrong.append(name)
    assert wrong == []
    assert len(cases) > 100


JANE: dict[str, object] = {
    "name": "Jane",
    "age": 41,
    "height": 1.68,
    "vip": True,
    "guest": False,
    "empty": "",
    "zero": 0,
    "nothing": None,
    "numeral": "12.5",
    "tags": ["shoes", "Hats", 7],
    "orders": [{"total": 10, "paid": True}, {"total": 250, "paid": False}],
    "address": {"city": "Kiel", "geo": {"lat": 54}},
    "version": "2.10.0",
    "nan": math.nan,
    "holes": [None],
}

# Those from "no list" on are no list of members: they answer neither question.
GROUPS: Any = {
    "friends": ["Jane", 7],
    "foes": ["Joe"],
    "guests": {"type": "list", "attributeKey": "name", "values": ["Jane", "Jim"]},
    "ages": {"type": "list", "values": [41, 42]},
    "grown": {"type": "condition", "condition": {"age": {"$gte": 18}}},
    "grown guests": {"type": "condition", "condition": {"$savedGroup": {"id": "guests"}, "age": {"$gte": 18}}},
    "no list": {"type": "condition"},
    "no values": {"type": "list", "attributeKey": "name", "values": "Jane"},
    "no condition": {"type": "condition", "condition": {"$and": 5}},
    "no such type": {"type": "cohort", "values": ["Jane"]},
    "itself": {"type": "condition", "condition": {"$savedGroup": {"id": "itself"}}},
    "other": {"type": "condition", "condition": {"name": {"$notInGroup": "other"}}},
    "": None,
}

TRUE_OF_JANE: list[dict[str, object]] = [
    # Literals: a bare value compares as JavaScript's == would between the types that count.
    {},
    {"name": "Jane"},
    {"age": 41},
    {"age": "41"},
    {"numeral": 12.5},
    {"vip": True},
    {"guest": False},
    {"zero": False},
    {"name": True},
    {"nothing": None},
    {"absent": None},
    {"absent.below": None},
    {"absent": 0},
    {"empty": 0},
    {"vip": 1},
    {"vip": "true"},
    {"guest": "false"},
    {"nothing": "null"},
    {"tags": "shoes,Hats,7"},
    {"address": "[object Object]"},
    {"height": "1.68"},
    {"tags": ["shoes", "Hats", 7]},
    {"address": {"city": "Kiel", "geo": {"lat": 54}}},
    {"address.city": "Kiel"},
    {"address.geo.lat": 54},
    {"name": "Jane", "age": 41},
    # Logic
    {"$and": [{"name": "Jane"}, {"age": 41}]},
    {"$and": []},
    {"$or": [{"name": "Joe"}, {"age": 41}]},
    {"$or": []},
    {"$nor": [{"name": "Joe"}, {"age": 40}]},
    {"$not": {"name": "Joe"}},
    {"name": {"$not": {"$eq": "Joe"}}},
    {"name": {"$not": "Joe"}},
    # Equality and membership
    {"name": {"$eq": "Jane"}},
    {"age": {"$eq": 41.0}},
    {"name": {"$ne": "Joe"}},
    {"vip": {"$ne": 1}},
    {"vip": {"$eq": True}},
    {"tags": {"$ne": ["shoes", "Hats", 7]}},
    {"address": {"$ne": {"city": "Kiel", "geo": {"lat": 54}}}},
    {"name": {"$in": ["Joe", "Jane"]}},
    {"tags": {"$in": ["hats", "Hats"]}},
    {"age": {"$in": [41]}},
    {"name": {"$nin": ["Joe"]}},
    {"tags": {"$nin": ["hats"]}},
    {"absent": {"$nin": ["x"]}},
    {"absent": {"$in": [None]}},
    {"name": {"$ini": ["JANE"]}},
    {"tags": {"$ini": ["HATS"]}},
    {"age": {"$ini": [41]}},
    {"name": {"$nini": ["JOE"]}},
    {"name": {"$inGroup": "friends"}},
    {"name": {"$notInGroup": "foes"}},
    {"name": {"$notInGroup": "unheard of"}},
    {"tags": {"$inGroup": "friends"}},
    {"name": {"$inGroup": "guests"}},
    {"age": {"$inGroup": "ages"}},
    {"age": {"$notInGroup": "guests"}},
    {"$savedGroup": {"id": "guests"}},
    {"$savedGroup": {"id": "ages", "attributeKey": "age"}},
    {"$savedGroup": {"id": "grown"}},
    {"$savedGroup": {"id": "grown", "attributeKey": "name"}},
    {"$savedGroup": {"id": "grown guests"}},
    {"$not": {"$savedGroup": {"id": "guests", "attributeKey": "address.city"}}},
    {"orders": {"$elemMatch": {"$not": {"$savedGroup": {"id": "grown"}}}}},
    # Order
    {"age": {"$gt": 40}},
    {"age": {"$gte": 41}},
    {"age": {"$lt": 41.5}},
    {"age": {"$lte": 41}},
    {"age": {"$gt": 18, "$lt": 65}},
    {"numeral": {"$gt": 9}},
    {"name": {"$gt": "Ja"}},
    {"name": {"$lt": "a"}},
    {"absent": {"$lt": 1}},
    {"absent": {"$gte": 0}},
    {"vip": {"$gt": 0}},
    {"empty": {"$lte": 0}},
    {"age": {"$lt": "1e3"}},
    {"age": {"$gt": " .5 "}},
    {"age": {"$gt": "-7."}},
    # Arrays
    {"tags": {"$size": 3}},
    {"tags": {"$size": {"$gt": 2}}},
    {"tags": {"$all": ["Hats", 7]}},
    {"tags": {"$alli": ["hats", "SHOES"]}},
    {"tags": {"$elemMatch": {"$eq": "shoes"}}},
    {"orders": {"$elemMatch": {"total": {"$gt": 100}, "paid": False}}},
    {"tags": {"$not": {"$elemMatch": {"$eq": "coats"}}}},
    # Text
    {"name": {"$regex": "^J.n"}},
    {"name": {"$regexi": "JANE"}},
    {"age": {"$regex": "^4"}},
    {"name": {"$not": {"$regex": "jane"}}},
    # Types and presence
    {"name": {"$exists": True}},
    {"absent": {"$exists": False}},
    {"nothing": {"$exists": 0}},
    {"address.geo": {"$exists": 1}},
    {"name": {"$type": "string"}},
    {"age": {"$type": "number"}},
    {"height": {"$type": "number"}},
    {"vip": {"$type": "boolean"}},
    {"tags": {"$type": "array"}},
    {"address": {"$type": "object"}},
    {"absent": {"$type": "null"}},
    # Arrays have indices and a length, and turn into text before they are ordered or counted
    {"tags.0": "shoes"},
    {"tags.length": 3},
    {"tags.9": None},
    {"tags.x": None},
    {"tags.01": None},
    {"orders.1.total": 250},
    {"tags": {"$gt": "shirts"}},
    {"name": {"$lt": ["Joe"]}},
    {"address": {"$gt": "[a"}},
    {"tags": {"$elemMatch": {"total": None}}},
    {"orders": {"$elemMatch": {}}},
    {"name": "Jane", "age": 41, "vip": True},
    {"age": {"$gt": 18, "$lt": 65, "$ne": 40}},
    {"$and": [{"name": "Jane"}, {"age": 41}, {"vip": True}]},
    {"$or": [{"name": "Joe"}, {"age": 40}, {"vip": True}]},
    {"$or": [{"name": "Jane"}]},
    {"$nor": [{"name": "Joe"}]},
    {"nothing": {"$eq": None}},
    {"nothing": {"$in": [None, 1]}},
    {"vip": {"$in": [True]}},
    {"guest": {"$nin": [True, 0, "false"]}},
    {"tags": {"$ini": ["x", "SHOES"]}},
    {"age": {"$nini": ["x", None]}},
    # Versions
    {"version": {"$veq": "v2.10.0+build.7"}},
    {"version": {"$vne": "2.10"}},
    {"version": {"$vgt": "2.9.9"}},
    {"version": {"$vgte": "2.10.0"}},
    {"version": {"$vlt": "2.10.1"}},
    {"version": {"$vlte": "2.10.0"}},
    {"version": {"$vgt": "2.10.0-beta.1"}},
    {"age": {"$vgt": 40}},
    {"absent": {"$veq": "0"}},
    {"vip": {"$veq": "0"}},
    {"empty": {"$veq": "0"}},
]

FALSE_OF_JANE: list[dict[str, object]] = [
    {"$nor": []},
    {"name": "jane"},
    {"age": 40},
    {"name": 0},
    {"nan": 0},
    {"nan": True},
    {"nothing": False},
    {"absent": False},
    {"absent": "x"},
    {"zero": None},
    {"tags": ["shoes", "Hats"]},
    {"tags": ["shoes", "Hats", 8]},
    {"orders": [{"total": 10, "paid": 1}, {"total": 250, "paid": False}]},
    {"address": {"city": "Kiel"}},
    {"address": {}},
    {"name.first": "Jane"},
    {"name": "Jane", "age": 40},
    {"$and": [{"name": "Jane"}, {"age": 40}]},
    {"$or": [{"name": "Joe"}, {"age": 40}]},
    {"$nor": [{"name": "Joe"}, {"age": 41}]},
    {"$not": {}},
    {"$not": {"name": "Jane"}},
    {"name": {"$eq": "jane"}},
    {"vip": {"$eq": 1}},
    {"zero": {"$eq": False}},
    {"tags": {"$eq": ["shoes", "Hats", 7]}},
    {"name": {"$in": []}},
    {"name": {"$in": "Jane"}},
    {"name": {"$nin": "Joe"}},
    {"name": {"$ini": "JANE"}},
    {"name": {"$nini": ["JANE"]}},
    {"vip": {"$in": [1]}},
    {"name": {"$inGroup": "foes"}},
    {"name": {"$inGroup": "unheard of"}},
    {"name": {"$notInGroup": "friends"}},
    {"name": {"$notInGroup": "guests"}},
    {"name": {"$inGroup": "no values"}},
    {"name": {"$notInGroup": "no values"}},
    {"name": {"$inGroup": "no such type"}},
    {"name": {"$notInGroup": "no such type"}},
    {"name": {"$inGroup": ""}},
    {"name": {"$notInGroup": ""}},
    {"$savedGroup": "guests"},
    {"$savedGroup": ["guests"]},
    {"$savedGroup": {}},
    {"$savedGroup": {"id": 7}},
    {"$savedGroup": {"id": "guests", "attributeKey": None}},
    {"$savedGroup": {"id": "grown", "attributeKey": 7}},
    {"$savedGroup": {"id": "guests", "attributeKey": "age"}},
    {"$savedGroup": {"id": "unheard of"}},
    {"$savedGroup": {"id": "friends", "attributeKey": "name"}},
    {"$savedGroup": {"id": "ages"}},
    {"$savedGroup": {"id": "no list"}},
    {"$savedGroup": {"id": "no values"}},
    {"$savedGroup": {"id": "no condition"}},
    {"$savedGroup": {"id": "no such type"}},
    {"$savedGroup": {"id": "itself"}},
    {"$savedGroup": {"id": "other"}},
    {"$savedGroup": {"id": ""}},
    {"name": {"$savedGroup": {"id": "guests"}}},
    {"age": {"$gt": 41}},
    {"age": {"$gt": 18, "$lt": 40}},
    {"age": {"$gt": "many"}},
    {"age": {"$lt": "many"}},
    {"nan": {"$lte": 1}},
    {"nan": {"$gte": 1}},
    {"age": {"$lt": "1_000"}},
    {"tags": {"$gt": 0}},
    {"name": {"$size": 4}},
    {"tags": {"$size": {"$lt": 3}}},
    {"tags": {"$all": ["Hats", "hats"]}},
    {"tags": {"$all": "Hats"}},
    {"name": {"$all": ["Jane"]}},
    {"tags": {"$alli": ["coats"]}},
    {"tags": {"$elemMatch": {"$eq": "coats"}}},
    {"name": {"$elemMatch": {"$eq": "J"}}},
    {"name": {"$elemMatch": {"total": 10}}},
    {"tags": {"$elemMatch": {"total": 10}}},
    {"orders": {"$elemMatch": {"total": {"$gt": 100}, "paid": True}}},
    {"name": {"$regex": "^j"}},
    {"name": {"$regex": "("}},
    {"name": {"$regex": 5}},
    {"name": {"$regexi": "K"}},
    {"name": {"$exists": False}},
    {"nothing": {"$exists": True}},
    {"age": {"$type": "string"}},
    {"vip": {"$type": "number"}},
    {"version": {"$veq": "2.10"}},
    {"version": {"$vne": "2.10.0"}},
    {"version": {"$vgt": "2.10.0"}},
    {"version": {"$vlt": "2.9.9"}},
    {"tags.9": "shoes"},
    {"name.0": "J"},
    {"nan": {"$in": [0, None]}},
    {"nothing": {"$elemMatch": {"$eq": None}}},
    {"holes": {"$elemMatch": {"$eq": None}}},
    {"holes": {"$elemMatch": {"x": None}}},
    {"name": {"$inGroup": "no list"}},
    {"name": {"$notInGroup": "no list"}},
    {"address": {"$in": [{"city": "Kiel", "geo": {"lat": 54}}]}},
    {"tags": {"$in": [["shoes", "Hats", 7]]}},
    {"vip": {"$in": [1, "true"]}},
    {"age": {"$in": [True, "41"]}},
    {"address": {"city": "Kiel", "geo": {"lat": True}}},
    {"name": {"$vzz": "1"}},
    {"name": {"$unheardOf": 1}},
    {"name": {"$eq": "Jane", "$unheardOf": 1}},
]


@pytest.mark.parametrize("condition", TRUE_OF_JANE, ids=json.dumps)
def test_a_condition_holds_as_in_the_reference(condition: dict[str, object]) -> None:
    assert matches(condition, JANE, GROUPS) is True


@pytest.mark.parametrize("condition", FALSE_OF_JANE, ids=json.dumps)
def test_a_condition_fails_as_in_the_reference(condition: dict[str, object]) -> None:
    assert matches(condition, JANE, GROUPS) is False


def test_texts_are_ordered_by_utf_16_as_javascript_orders_them() -> None:
    # U+1F600 is written with a surrogate (D83D), which sorts before U+FF5E, although its code point is larger.
    assert matches({"x": {"$lt": "\uff5e"}}, {"x": "\U0001f600"})
    assert not matches({"x": {"$lt": "\U0001f600"}}, {"x": "\uff5e"})


def test_regular_expressions_know_no_case_or_digits_beyond_ascii() -> None:
    assert not matches({"x": {"$regexi": "^k$"}}, {"x": "\u212a"})  # the Kelvin sign, a K to Unicode rules
    assert not matches({"x": {"$regex": r"^\d$"}}, {"x": "٣"})
    assert matches({"x": {"$regex": r"^\w$"}}, {"x": "_"})


def test_a_regular_expression_sees_the_beginning_of_a_long_text_only() -> None:
    text = "a" * MAX_SUBJECT_LENGTH + "b"
    assert matches({"x": {"$regex": "^a+$"}}, {"x": text})
    assert not matches({"x": {"$regex": "b"}}, {"x": text})


@pytest.mark.parametrize("pattern", ["(", "(?<name>", "a**", "(?i)a", "(?P<n>a)", "a++", "(?u)a"])
def test_a_pattern_that_does_not_compile_matches_nothing(pattern: str) -> None:
    assert not matches({"x": {"$regex": pattern}}, {"x": "aaaa"})


def test_versions_sort_by_number_and_releases_after_their_previews() -> None:
    ordered = ["0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0", "1.0.10", "1.2.0", "v10.0.0"]
    for older, newer in pairwise(ordered):
        assert matches({"x": {"$vlt": newer}}, {"x": older}), (older, newer)
        assert matches({"x": {"$vgt": older}}, {"x": newer}), (older, newer)


def test_a_compiled_condition_can_be_asked_many_times() -> None:
    is_adult = compile_condition({"age": {"$gte": 18}})
    assert [is_adult({"age": age}, {}) for age in (17, 18, 19)] == [False, True, True]


def test_attributes_that_are_no_object_count_as_none_at_all() -> None:
    assert compile_condition({"x": None})(5, {})  # type: ignore[arg-type]
    assert compile_condition({"x.y": None})(5, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ([], "condition: expected an object of attribute names and operators, got array '[]'"),
        (None, "condition: expected an object of attribute names and operators, got null 'None'"),
        ("x", "condition: expected an object of attribute names and operators, got string 'x'"),
        (1, "condition: expected an object of attribute names and operators, got number '1'"),
        (True, "condition: expected an object of attribute names and operators, got boolean 'True'"),
        ({"$not": 3}, "condition.$not: expected an object of attribute names and operators, got number '3'"),
        ({"$and": {"a": 1}}, "condition.$and: expected a list of conditions, got object \"{'a': 1}\""),
        ({"$or": "x"}, "condition.$or: expected a list of conditions, got string 'x'"),
        ({"$nor": None}, "condition.$nor: expected a list of conditions, got null 'None'"),
        (
            {"$or": [{}, [1]]},
            "condition.$or[1]: expected an object of attribute names and operators, got array '[1]'",
        ),
        (
            {"a": {"$elemMatch": 5}},
            "condition.a.$elemMatch: expected an object of attribute names and operators, got number '5'",
        ),
        (
            {"a": {"$regex": "x" * (MAX_PATTERN_LENGTH + 1)}},
            f"condition.a.$regex: `{'x' * 80}` cannot be used: 501 characters; at most 500 are allowed",
        ),
    ],
)
def test_what_is_not_of_the_syntax_is_refused_with_its_place(condition: object, message: str) -> None:
    with pytest.raises(InvalidCondition) as raised:
        compile_condition(condition)
    assert str(raised.value) == message


def test_the_place_starts_below_the_given_path() -> None:
    with pytest.raises(InvalidCondition) as raised:
        compile_condition({"$and": 1}, "header.segments[2].condition")
    assert raised.value.path == "header.segments[2].condition.$and"


def nest(operator: str, depth: int) -> dict[str, object]:
    condition: dict[str, object] = {"a": 1}
    for _ in range(depth):
        condition = {"$not": condition} if operator == "$not" else {operator: [condition]}
    return condition


@pytest.mark.parametrize("operator", ["$and", "$or", "$nor", "$not"])
def test_conditions_may_nest_to_the_limit_and_no_deeper(operator: str) -> None:
    even = MAX_DEPTH - 2
    assert matches(nest(operator, even), {"a": 1})
    with pytest.raises(InvalidCondition, match=f"nested deeper than {MAX_DEPTH} levels"):
        compile_condition(nest(operator, 500))


@pytest.mark.parametrize("operator", ["$not", "$size", "$all", "$elemMatch"])
def test_operators_may_not_nest_without_end(operator: str) -> None:
    value: object = {"$eq": 1}
    for _ in range(MAX_DEPTH + 1):
        value = {operator: [value] if operator == "$all" else value}
    with pytest.raises(InvalidCondition, match=f"nested deeper than {MAX_DEPTH} levels"):
        compile_condition({"a": value})


def nest_lists(depth: int) -> list[object]:
    members: list[object] = []
    for _ in range(depth):
        members = [members]
    return members


def test_a_value_too_deep_for_the_interpreter_is_refused_not_raised() -> None:
    with pytest.raises(InvalidCondition, match=f"nested deeper than {MAX_DEPTH} levels"):
        compile_condition({"a": nest_lists(5_000)})
    with pytest.raises(InvalidCondition, match=r"^condition: expected an object .*, got array '…'$"):
        compile_condition(nest_lists(50_000))


@pytest.mark.parametrize("operator", ["$in", "$ini", "$eq", "$lt", "$regex", "$inGroup", "$veq"])
def test_an_operator_that_only_takes_values_is_not_afraid_of_depth(operator: str) -> None:
    assert not matches({"a": {operator: nest_lists(5_000)}}, {"a": "x"})


def test_a_value_too_deep_to_be_text_is_compared_without_it() -> None:
    assert matches({"a": ""}, {"a": nest_lists(900)})
    assert not matches({"a": [[]]}, {"a": nest_lists(900)})
    assert matches({"a": {"$lt": "x"}}, {"a": nest_lists(900)})


def test_a_read_only_view_of_attributes_will_do() -> None:
    condition = compile_condition({"a": 1, "b.c": 2})
    assert condition(MappingProxyType({"a": 1, "b": MappingProxyType({"c": 2})}), {})


def test_the_order_of_keys_does_not_count_unlike_in_the_reference() -> None:
    assert matches({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}})


def test_whole_numbers_too_large_for_javascript_compare_as_it_reads_them() -> None:
    assert matches({"a": 9007199254740993}, {"a": 9007199254740992})
    assert matches({"a": {"$eq": 9007199254740993}}, {"a": 9007199254740992})
    assert matches({"a": {"$in": [9007199254740993]}}, {"a": 9007199254740992})
    assert not matches({"a": {"$gt": 9007199254740992}}, {"a": 9007199254740993})
    assert matches({"a": {"$lt": 10**400}}, {"a": 5.5})
    assert matches({"a": "9007199254740992"}, {"a": 9007199254740993})


def test_versions_lose_their_build_up_to_the_end_of_the_last_line() -> None:
    assert matches({"v": {"$veq": "1.0.0"}}, {"v": "v1.0.0+build.7"})
    assert matches({"v": {"$veq": "1+a\nb"}}, {"v": "1+a\nb+c"})
    assert matches({"v": {"$vgt": "1.0.0-a"}}, {"v": 2})


def test_a_regular_expression_that_cannot_be_honoured_is_refused_with_its_place_and_a_remedy() -> None:
    with pytest.raises(InvalidCondition) as raised:
        compile_condition({"$or": [{}, {"url": {"$regex": r"^(a+)\1$"}}]})
    assert str(raised.value) == (
        r"condition.$or[1].url.$regex: `^(a+)\1$` cannot be used: `\1` refers back to what a group matched, which can "
        "take exponentially long; write the text out"
    )


def test_groups_that_refer_to_each_other_without_end_hold_for_nobody() -> None:
    def refer(name: str) -> dict[str, object]:
        return {"$savedGroup": {"id": name}}

    chain = {f"g{i}": {"type": "condition", "condition": refer(f"g{i + 1}")} for i in range(2_000)}
    assert not matches(refer("g0"), {}, chain)
    ring = {"a": {"type": "condition", "condition": refer("b")}, "b": {"type": "condition", "condition": refer("a")}}
    assert not matches(refer("a"), {}, ring)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_of_thousands_of_digits_is_as_good_as_infinite(sign: int) -> None:
    number = sign * 10**5_000
    for condition in (number, [number], {"$and": number}, {"a": {"$elemMatch": number}}):
        with pytest.raises(InvalidCondition, match="^condition.*: expected .*, got (number|array) '…'$"):
            compile_condition(condition)
    for operator in ("$eq", "$gt", "$in", "$regex", "$type", "$inGroup", "$veq"):
        assert not matches({"a": {operator: number}}, {"a": float("nan")})
    assert matches({"a": number}, {"a": number})
    assert matches({"a": {"$gt" if sign > 0 else "$lt": 0}}, {"a": number})
    assert matches({"a": "Infinity" if sign > 0 else "-Infinity"}, {"a": number})
