from __future__ import annotations

import math

import pytest

from shared.javascript import (
    compare,
    is_identical,
    is_same,
    is_truthy,
    to_lower,
    to_number,
    to_string,
    to_utf16,
)

NUMBERS_AS_TEXT: list[tuple[float, str]] = [
    (0, "0"),
    (-0.0, "0"),
    (3.0, "3"),
    (-12.5, "-12.5"),
    (0.5, "0.5"),
    (123456.789, "123456.789"),
    (1e-6, "0.000001"),
    (1.5e-6, "0.0000015"),
    (1e-7, "1e-7"),
    (-1.25e-7, "-1.25e-7"),
    (5e-324, "5e-324"),
    (1e16, "10000000000000000"),
    (1e20, "100000000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (1.5e300, "1.5e+300"),
    (9007199254740993, "9007199254740992"),
    (10**22, "1e+22"),
    (-(10**400), "-Infinity"),
    (10**400, "Infinity"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (math.nan, "NaN"),
    (True, "true"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS_AS_TEXT)
def test_a_number_turns_into_the_text_that_javascript_prints(value: float, text: str) -> None:
    assert to_string(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (None, "null"),
        (False, "false"),
        ([1, None, "x", [2.0, []], {"a": 1}], "1,,x,2,,[object Object]"),
        ((1, 2), "1,2"),
        ({}, "[object Object]"),
    ],
)
def test_any_other_value_turns_into_the_text_that_javascript_prints(value: object, text: str) -> None:
    assert to_string(value) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" \t\n\ufeff\u00a0", 0),
        ("12", 12),
        ("\ufeff 12.50\u2028", 12.5),
        ("+.5", 0.5),
        ("-1.", -1),
        ("1e3", 1000),
        ("1E-2", 0.01),
        ("1e999", math.inf),
        ("0x1F", 31),
        ("0o17", 15),
        ("0B101", 5),
        ("0x20000000000001", 2**53),
        ("Infinity", math.inf),
        ("+Infinity", math.inf),
        ("-Infinity", -math.inf),
    ],
)
def test_a_text_is_read_as_a_number_as_javascript_reads_it(text: str, number: float) -> None:
    assert to_number(text) == number


@pytest.mark.parametrize(
    "text", ["1_000", "inf", "infinity", "nan", "NaN", "-0x10", "0x", "1e", "٣", "1,5", "\x1c5", "\x855", ".", "5\n5"]
)
def test_what_javascript_would_not_read_as_a_number_is_none(text: str) -> None:
    assert to_number(text) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((None, 0), (True, 1), (False, 0), (10**400, math.inf), (math.nan, None)),
        *(([], 0), (["7"], 7), ([1, 2], None), ({}, None)),
    ],
)
def test_any_other_value_counts_as_the_number_that_javascript_sees(value: object, number: float | None) -> None:
    assert to_number(value) == number


def test_digits_in_any_number_are_read_in_little_time() -> None:
    assert to_number("1" * 100_000 + "x") is None
    assert to_number("0x" + "f" * 100_000) == math.inf


@pytest.mark.parametrize("value", [None, False, 0, -0.0, math.nan, ""])
def test_nothing_empty_is_truthy(value: object) -> None:
    assert not is_truthy(value)


@pytest.mark.parametrize("value", [True, 1, -1.5, math.inf, "0", " ", [], {}])
def test_lists_and_objects_are_truthy_even_when_empty(value: object) -> None:
    assert is_truthy(value)


def test_identity_converts_nothing() -> None:
    assert is_identical("1", "1")
    assert is_identical(1, 1.0)
    assert is_identical(None, None)
    assert is_identical(True, True)
    pairs: list[tuple[object, object]] = [("1", 1), (1, "1"), (1, True), (True, 1), (0, None), (None, 0)]
    pairs += [([], []), ({}, {}), (math.nan, math.nan)]
    assert not any(is_identical(left, right) for left, right in pairs)


def test_equality_looks_into_lists_and_objects() -> None:
    assert is_same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    different: list[tuple[object, object]] = [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({}, []),
        ([], {}),
        ([1], [1, 2]),
        ([1], [2]),
        ([1], [True]),
        ("1", [1]),
    ]
    assert not any(is_same(left, right) for left, right in different)


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("10", "9", -1),
        ("10", 9, 1),
        (None, 0, 0),
        (None, None, 0),
        ([9], 10, -1),
        (["b"], "a", 1),
        ({}, "[object Object]", 0),
        ("x", 1, None),
        (1, math.nan, None),
        ("\U0001f600", "\uff5e", -1),
    ],
)
def test_order_is_that_of_texts_or_of_numbers(left: object, right: object, order: int | None) -> None:
    assert compare(left, right) == order


def test_a_character_beyond_the_first_plane_is_two() -> None:
    assert to_utf16("a\U0001f600b") == "a\ud83d\ude00b"
    assert to_utf16("\U00010000\U0010ffff\ud800") == "\ud800\udc00\udbff\udfff\ud800"


def test_lower_case_is_that_of_unicode_14_in_every_version_of_python() -> None:
    assert to_lower("ÄB") == "äb"
    assert to_lower("A\u1c89Ä\ua7dc") == "a\u1c89ä\ua7dc"
