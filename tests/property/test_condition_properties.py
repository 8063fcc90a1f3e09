"""Whatever a condition holds, it compiles or is refused; what it answers follows the rules of logic."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from shared.conditions import compile_condition, matches
from shared.errors import InvalidCondition
from shared.javascript import to_number, to_string, to_utf16
from shared.patterns import compile_pattern
from shared.patterns.tree import NoPattern, UnsupportedPattern
from tests.shared.test_patterns import MAX_LINES, count_lines, simulate

Scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["a", "1.2.3-beta", "v2", "42", "0x10", " 5 ", "Infinity", "1_000", "(a+)+$", "^a|b"])
)
Values = st.recursive(
    Scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "0", "length", "$x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = "and or nor not eq ne lt lte gt gte in nin ini nini all alli exists type size elemMatch regex regexi inGroup"
OPERATORS = [f"${name}" for name in f"{NAMES} notInGroup veq vne vgt vgte vlt vlte other".split()]
Keys = st.sampled_from([*OPERATORS, "a", "b", "a.b", "a.0", "a.length", ""])
AnyConditions = st.recursive(
    Values,
    lambda inner: st.dictionaries(Keys, inner | st.lists(inner, max_size=3), max_size=3),
    max_leaves=10,
)
Attributes = st.dictionaries(st.sampled_from(["a", "b", ""]), Values, max_size=3)
Groups = st.dictionaries(st.sampled_from(["a", "42"]), Values, max_size=2)
# Conditions that compile: one attribute each, joined by logic.
Leaves = st.builds(
    lambda key, operator, value: {key: {operator: value}},
    st.sampled_from(["a", "b", "a.b"]),
    st.sampled_from(["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$exists", "$type", "$veq", "$vlt"]),
    Values,
)
Conditions = st.recursive(
    Leaves,
    lambda inner: (
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, max_size=3))
        | st.builds(lambda parts: {"$or": parts}, st.lists(inner, max_size=3))
        | st.builds(lambda part: {"$not": part}, inner)
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(AnyConditions, Attributes, Groups)
def test_any_condition_answers_true_or_false_or_is_refused(condition: object, attributes: Any, groups: Any) -> None:
    try:
        compiled = compile_condition(condition)
    except InvalidCondition as error:
        assert error.path.startswith("condition")
        return
    assert compiled(attributes, groups) in (True, False)
    assert compiled(attributes, groups) is compiled(attributes, groups)


@given(Conditions, Attributes)
def test_not_turns_an_answer_over(condition: Any, attributes: Any) -> None:
    assert matches({"$not": condition}, attributes) is not matches(condition, attributes)


@given(st.lists(Conditions, min_size=1, max_size=4), Attributes)
def test_de_morgan_holds_between_and_or_nor_and_not(conditions: Any, attributes: Any) -> None:
    denied = [{"$not": condition} for condition in conditions]
    answers = [matches(condition, attributes) for condition in conditions]
    assert matches({"$and": conditions}, attributes) is all(answers)
    assert matches({"$or": conditions}, attributes) is any(answers)
    assert matches({"$nor": conditions}, attributes) is matches({"$and": denied}, attributes)
    assert matches({"$not": {"$and": conditions}}, attributes) is matches({"$or": denied}, attributes)


@given(Values, Values)
def test_each_operator_and_its_opposite_disagree(value: object, expected: object) -> None:
    pairs = [("$eq", "$ne"), ("$veq", "$vne"), ("$inGroup", "$notInGroup")]
    if isinstance(expected, list):
        pairs += [("$in", "$nin"), ("$ini", "$nini")]
    for operator, opposite in pairs:
        one = matches({"a": {operator: expected}}, {"a": value}, {"42": ["a"]})
        assert one is not matches({"a": {opposite: expected}}, {"a": value}, {"42": ["a"]})


@given(Values, Values)
def test_no_value_stands_both_before_and_after_another(value: object, other: object) -> None:
    before, same_or_before, after, same_or_after = (
        matches({"a": {operator: other}}, {"a": value}) for operator in ("$lt", "$lte", "$gt", "$gte")
    )
    assert not (before and after)
    assert (same_or_before, same_or_after) != (False, False) or not (before or after)
    assert before is (same_or_before and not same_or_after)
    assert after is (same_or_after and not same_or_before)


@given(Values, st.lists(Values, max_size=5))
def test_in_holds_where_some_member_is_equal(value: object, members: list[object]) -> None:
    values = value if isinstance(value, list) else [value]
    expected = any(matches({"a": {"$eq": member}}, {"a": each}) for member in members for each in values)
    assert matches({"a": {"$in": members}}, {"a": value}) is expected


@given(st.floats() | st.integers())
@example(1e21)
@example(1e-7)
@example(-0.0)
def test_a_number_survives_being_written_as_text(number: float) -> None:
    assume(number == number)
    try:
        double = float(number)
    except OverflowError:
        double = math.copysign(math.inf, number)
    assert to_number(to_string(number)) == double
    assert matches({"a": to_string(number)}, {"a": number})


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_texts_are_ordered_as_their_utf_16_units_are(left: str, right: str) -> None:
    def units(text: str) -> bytes:
        return text.encode("utf-16-be", "surrogatepass")

    assert (to_utf16(left) < to_utf16(right)) is (units(left) < units(right))


Atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", r"\s", r"\b", r"\B", "^", "$", "ab", "(?<=a)"])
Quantifiers = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,20}", "{2,}", "*?"])
Patterns = st.recursive(
    Atoms,
    lambda inner: (
        st.builds("".join, st.lists(inner, max_size=4))
        | st.builds(lambda parts: f"({'|'.join(parts)})", st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda body, quantifier: f"(?:{body}){quantifier}", inner, Quantifiers)
        | st.builds(lambda body, look: f"(?{look}{body})", inner, st.sampled_from(["=", "!"]))
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(Patterns, st.lists(st.text("ab1 \n", min_size=1, max_size=7), max_size=6))
def test_a_pattern_finds_what_pythons_own_reading_finds(pattern: str, texts: list[str]) -> None:
    search, simulated = compile_pattern(pattern), simulate(pattern)
    # Where the two languages differ on these atoms, Python is told what JavaScript means.
    compiled = re.compile(pattern.replace("$", r"\Z").replace(".", "[^\n]"), re.ASCII)
    for text in texts:
        assert search(text) is simulated(text) is (compiled.search(text) is not None), text


@settings(max_examples=100)
@given(Patterns, st.text("ab1 \n", min_size=1, max_size=7), st.integers(0, 2_100), st.sampled_from(["", "!", "a", "1"]))
def test_the_length_of_a_text_changes_how_a_pattern_is_run_but_not_what_it_finds(
    pattern: str, piece: str, length: int, last: str
) -> None:
    text = (piece * length)[:length] + last
    assert compile_pattern(pattern)(text) is simulate(pattern)(text[:2_000])


# Patterns that are large, deep or wide: nested counts, alternatives, looks around, rows of one class.
Pieces = st.sampled_from(
    ["a", "é", ".", r"\w", r"\W", r"\S", "[^a]", "[ÿ-翿]", "[ĀĂĄ]", "", r"\b", "^", "$", "a?", ".*", "(?=a)", "(?<!a+)"]
)
Counts = st.sampled_from(["*", "+", "?", "{3}", "{0,12}", "{12}", "{2,}", "{0,40}", "{999}", "{0,2000}"])
Large = st.recursive(
    st.builds(lambda piece, times: piece * times, Pieces, st.sampled_from([1, 1, 3, 40])),
    lambda inner: (
        st.builds(lambda body, deep, count: "(?:" * deep + body + f"){count}" * deep, inner, st.integers(1, 6), Counts)
        | st.builds(lambda body, deep: "(?:" * deep + body + ")+" * deep, inner, st.integers(1, 20))
        | st.builds(lambda body, count: f"(?:{body}){count}", st.lists(inner, max_size=8).map("|".join), Counts)
        | st.builds(lambda body, look: f"(?{look}{body})", inner, st.sampled_from(["=", "!", "<=", "<!"]))
        | st.lists(inner, max_size=8).map("".join)
    ),
    max_leaves=30,
)


@settings(max_examples=150)
@given(Large, st.booleans(), st.booleans())
@example("((a?){0,12}){0,12}b", False, True)
@example("(?:(?:.{0,300}|.){0,12}.{0,300}){0,12}b", False, True)
def test_the_time_to_compile_a_pattern_is_bounded(body: str, insensitive: bool, anchored: bool) -> None:
    pattern = f"^{body}"[not anchored :][:500]

    def compile_or_refuse() -> None:
        try:
            compile_pattern.__wrapped__(pattern, insensitive=insensitive)
        except (NoPattern, UnsupportedPattern):
            return

    re.purge()
    assert count_lines(compile_or_refuse) <= MAX_LINES


@settings(max_examples=300)
@given(st.text(st.sampled_from("abz019()[]{}<>?*+|^$.,-\\:=!PkcdbuxAZ_ \n😀é"), max_size=24))
def test_any_text_is_a_pattern_or_none_or_refused(pattern: str) -> None:
    try:
        assert compile_pattern(pattern)("ab") in (True, False)
    except (NoPattern, UnsupportedPattern) as error:
        assert str(error)


@given(Attributes, Conditions)
def test_a_condition_means_the_same_after_a_journey_as_json(attributes: Any, condition: Any) -> None:
    travelled = json.loads(json.dumps([attributes, condition]))
    assert matches(travelled[1], travelled[0]) is matches(condition, attributes)
