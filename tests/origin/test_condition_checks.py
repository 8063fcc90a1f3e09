"""Conditions that compile and can never match: each is refused with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.condition_checks import (
    KNOWN,
    MOST_SEGMENT_TESTS,
    MOST_VARIANT_TESTS,
    find_laborious,
    find_sensitive,
    find_unmatched,
)
from origin.config import load_config
from origin.errors import ConfigError
from shared.conditions import compile_condition
from tests.origin.shop import USHER_TOML, write_config

Condition = dict[str, object]


def of_device(operator: str) -> Condition:
    return {"device": {operator: "mobile"}}


PATTERN = 'as in "$regex" = "^de"'
MISTAKES: list[tuple[Condition, str]] = [
    ({"device": {"$equ": "mobile"}}, 'c.device.$equ: is no operator; write "$eq"'),
    ({"device": {"$regx": "^m"}}, 'c.device.$regx: is no operator; write "$regex"'),
    ({"$ro": [{"device": "mobile"}]}, 'c.$ro: is no operator; write "$or"'),
    (
        {"device": {"$eq": 1, "x": 2}},
        'c.device: mixes the operator "$eq" with "x"; write operators only here',
    ),
    ({"$gt": 3}, 'c.$gt: stands beside attributes; write it below an attribute, as in device = { "$gt" = … }'),
    *(
        (
            of_device(operator),
            f'c.device.{operator}: "mobile" is not a list; write "{operator}" = ["mobile"]',
        )
        for operator in ("$in", "$nin", "$ini", "$nini", "$all", "$alli")
    ),
    (
        {"device": {"$inGroup": "vip"}},
        'c.device.$inGroup: there are no groups in usher.toml yet; list the values, as in "$in" = ["a", "b"]',
    ),
    (
        {"device": {"$notInGroup": "vip"}},
        'c.device.$notInGroup: there are no groups in usher.toml yet; list the values, as in "$nin" = ["a", "b"]',
    ),
    (
        {"$savedGroup": {"id": "vip"}},
        "c.$savedGroup: there are no groups in usher.toml yet; write out the condition that the group stands for",
    ),
    ({"path": {"$regex": 3}}, f"c.path.$regex: 3 is not a text; write a regular expression in quotes, {PATTERN}"),
    (
        {"path": {"$regexi": "("}},
        'c.path.$regexi: "(" is no regular expression of JavaScript (unterminated group); correct it, ' + PATTERN,
    ),
    (
        {"path": {"$regex": "(?i)blog"}},
        'c.path.$regex: "(?i)blog" is no regular expression of JavaScript (there is no group (?i; '
        "for any case write $regexi); correct it, " + PATTERN,
    ),
    (
        {"path": {"$regex": "(?P<year>x)"}},
        'c.path.$regex: "(?P<year>x)" is no regular expression of JavaScript (there is no group (?P); correct it, '
        + PATTERN,
    ),
    ({"$and": [{}, {"$or": [{"a": {"$int": []}}]}]}, 'c.$and[1].$or[0].a.$int: is no operator; write "$in"'),
    ({"$not": {"a": {"$not": {"$gtt": 1}}}}, 'c.$not.a.$not.$gtt: is no operator; write "$gt"'),
    ({"a": {"$size": {"$ltt": 1}}}, 'c.a.$size.$ltt: is no operator; write "$lt"'),
    ({"a": {"$elemMatch": {"$exist": True}}}, 'c.a.$elemMatch.$exist: is no operator; write "$exists"'),
    ({"a": {"$elemMatch": {"b": {"$typ": "x"}}}}, 'c.a.$elemMatch.b.$typ: is no operator; write "$type"'),
    ({"a": {"$all": [1, {"$veqq": "1"}]}}, 'c.a.$all[1].$veqq: is no operator; write "$veq"'),
]


@pytest.mark.parametrize(("condition", "problem"), MISTAKES)
def test_what_can_never_match_is_named_with_its_remedy(condition: Condition, problem: str) -> None:
    compile_condition(condition)  # the edge takes it
    assert [str(each) for each in find_unmatched((), "c", condition)] == [problem]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"device": "mobile", "a.b": 1, "c": {"d": {"e": 1}}, "f": {}, "g": ["x"]},
        {"$and": [{"a": 1}], "$or": [], "$nor": [{"b": {"$in": []}}], "$not": {"c": {"$not": {"$regexi": "^x"}}}},
        {"a": {"$gte": 1, "$lt": 2, "$ne": 1.5}, "b": {"$vgt": "1.0", "$vlte": "2"}, "c": {"$exists": False}},
        {"a": {"$size": 2}, "b": {"$size": {"$gt": 1}}, "c": {"$elemMatch": {"$eq": 1}}, "d": {"$alli": ["x"]}},
        {"a": {"$elemMatch": {"b": 1, "$or": [{"c": {"$type": "string"}}]}}, "b": {"$regex": "[[a-z]"}},
    ],
)
def test_what_can_match_is_left_alone(condition: Condition) -> None:
    assert list(find_unmatched((), "c", condition)) == []


WITHOUT = "which is on the sensitive list; decide without it"
SENSITIVE: list[tuple[Condition, list[str]]] = [
    (
        {"session.preferences.topic": "pregnancy"},
        [f'c.session.preferences.topic: compares with "pregnancy", {WITHOUT}'],
    ),
    ({"tier": {"$in": ["gold", "Disabled"]}}, [f'c.tier.$in[1]: compares with "Disabled", {WITHOUT}']),
    ({"tier": {"$not": {"$eq": "net worth"}}}, [f'c.tier.$not.$eq: compares with "net worth", {WITHOUT}']),
    ({"path": {"$regex": "^/(health|sex)/"}}, [f'c.path.$regex: compares with "^/(health|sex)/", {WITHOUT}']),
    (
        {"$or": [{"a": 1}, {"$not": {"a": "gay", "b": ["x", "hiv"]}}]},
        [
            f'c.$or[1].$not.a: compares with "gay", {WITHOUT}',
            f'c.$or[1].$not.b[1]: compares with "hiv", {WITHOUT}',
        ],
    ),
    (
        {"profile.orders": {"$elemMatch": {"income": {"$gt": 3}}}},
        [f'c.profile.orders.$elemMatch: reads "income", {WITHOUT}'],
    ),
    ({"a": "coats", "b": {"$exists": True}, "c": [1, None, {"d": "shoes"}], "$and": [{}], "$not": {}}, []),
]


@pytest.mark.parametrize(("condition", "problems"), SENSITIVE)
def test_what_is_sensitive_is_compared_with_nowhere(condition: Condition, problems: list[str]) -> None:
    compile_condition(condition)
    assert [str(each) for each in find_sensitive((), "c", condition)] == problems


def test_the_operators_are_those_of_the_core_without_groups() -> None:
    names = "and or nor not eq ne lt lte gt gte in nin ini nini all alli exists type size elemMatch regex regexi"
    assert set(KNOWN) == {f"${name}" for name in f"{names} veq vne vgt vgte vlt vlte".split()}


def test_sensitive_values_in_conditions_of_segments_and_of_variants_are_refused(tmp_path: Path) -> None:
    text = USHER_TOML.replace('{ device = "mobile" }', '{ language = "race" }').replace(
        '"<b>craft</b>"', '"<b>craft</b>", condition = { "session.preferences.topic" = { "$in" = ["pregnancy"] } }'
    )
    text += '[questions.topic]\nanswers = ["coats"]\n'
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, text))
    assert caught.value.problems == (
        f'usher.toml: segments.mobile.condition.language: compares with "race", {WITHOUT}',
        "usher.toml: touchpoints.hero.variants[1].condition.session.preferences.topic.$in[0]: compares with "
        f'"pregnancy", {WITHOUT}',
    )


def test_conditions_of_segments_and_of_variants_are_checked(tmp_path: Path) -> None:
    text = USHER_TOML.replace('{ device = "mobile" }', '{ device = { "$equ" = "mobile" } }').replace(
        '"<b>craft</b>"', '"<b>craft</b>", condition = { path = { "$in" = "/" } }'
    )
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, text))
    assert caught.value.problems == (
        'usher.toml: segments.mobile.condition.device.$equ: is no operator; write "$eq"',
        'usher.toml: touchpoints.hero.variants[1].condition.path.$in: "/" is not a list; write "$in" = ["/"]',
    )


def test_conditions_that_the_edge_would_compile_for_too_long_are_refused_with_the_arithmetic() -> None:
    each = [{"device": "mobile", "session.views": {"$gte": i, "$lt": 90}, "$or": [{"path": "/"}]} for i in range(51)]
    assert not list(find_laborious(("t",), "its variants", each[:50] * 9, 200))
    [problem] = find_laborious(("t",), "its variants", each, 200)
    assert problem.text == (
        "the conditions of its variants hold 204 tests in 51 different conditions, and the edge compiles all of them "
        "at once; keep at most 200: conditions that are the same count once"
    )


@pytest.mark.parametrize(
    ("condition", "tests"),
    [
        ({"a": 1, "b.c": {"$gt": 1, "$lt": 2}}, 3),
        ({"$or": [{"a": 1}, {"b": 2}], "$not": {"c": {"$exists": True}}}, 3),
        ({"a": {"$in": ["x"] * 50}}, 5),
        ({"a": {"$in": ["x"]}}, 1),
        ({"a": {"$all": ["x"] * 50}}, 50),
        ({"a": {"$all": [{"$gt": 1, "$lt": 3}]}}, 2),
        ({"a": {"$elemMatch": {"b": {"$gt": 1}, "c": 2}}}, 2),
        ({"a": {"$regex": "^/blog/"}}, 2),
        ({"a": {"$regexi": "a" * 400}}, 100),
    ],
)
def test_a_condition_counts_by_what_it_takes_to_compile(condition: Condition, tests: int) -> None:
    assert not list(find_laborious(("t",), "its variants", [condition], tests))
    [problem] = find_laborious(("t",), "its variants", [condition], tests - 1)
    assert f"hold {tests} tests in 1 different" in problem.text


@pytest.mark.parametrize(("table", "most"), [("segments", MOST_SEGMENT_TESTS), ("touchpoints", MOST_VARIANT_TESTS)])
def test_a_site_is_told_where_its_conditions_are_too_many(tmp_path: Path, table: str, most: int) -> None:
    text = USHER_TOML
    if table == "segments":
        more = "\n".join(f'[segments.s{i}]\ncondition = {{ device = "{i}" }}\n' for i in range(most + 1))
        place, what = "segments", "the segments"
    else:
        variant = '[[touchpoints.wide.variants]]\nname = "v{0}"\nhtml = "x"\ncondition = {{ device = "{0}" }}\n'
        more = '[touchpoints.wide]\npages = ["/"]\ngoal = "hero_click"\ndefault = "d"\n'
        more += '[[touchpoints.wide.variants]]\nname = "d"\n' + "\n".join(variant.format(i) for i in range(most + 1))
        place, what = "touchpoints.wide.variants", "its variants"
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, f"{text}\n{more}"))
    assert any(f"{place}: the conditions of {what} hold " in problem for problem in caught.value.problems)
