from __future__ import annotations

import pytest

from shared.events import Plan
from shared.session import Left
from worker.cookies import (
    COOKIE,
    LEFT_COOKIE,
    PREFERENCES_COOKIE,
    read_cookie,
    read_left,
    read_preferences,
    without_cookie,
    without_ours,
)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, None),
        ("", None),
        ("a=1", "1"),
        ("b=2; a=1; c=3", "1"),
        ("b=2;a=1", "1"),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("a", None),
        ("aa=1; ba=2", None),
        ("A=1", None),
        ("a=1; a=2", "1"),
        (";;; a=1 ;", "1"),
    ],
)
def test_a_cookie_is_found_by_its_exact_name(header: str | None, value: str | None) -> None:
    assert read_cookie(header, "a") == value


@pytest.mark.parametrize(
    ("header", "left"),
    [
        ("a=1", ""),
        ("a=1; b=2", "b=2"),
        ("b=2; a=1; c=3", "b=2; c=3"),
        ("b=2;c=3", "b=2; c=3"),
        ("aa=1; a=2; a=3", "aa=1"),
        ("", ""),
        (" ; a=1; ", ""),
        ("b=x=y; a=1", "b=x=y"),
    ],
)
def test_a_cookie_header_is_passed_on_without_ours(header: str, left: str) -> None:
    assert without_cookie(header, "a") == left


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (f"{COOKIE}=x", ""),
        (f"{LEFT_COOKIE}=x", ""),
        (f"{PREFERENCES_COOKIE}=x; a=1; {COOKIE}=y; {LEFT_COOKIE}=z; b=2", "a=1; b=2"),
        ("a=1; b=2", "a=1; b=2"),
        (f"a={LEFT_COOKIE}", f"a={LEFT_COOKIE}"),
    ],
)
def test_the_upstream_sees_none_of_our_cookies(header: str, left: str) -> None:
    assert without_ours(header) == left


LONG = ("q" * 40, "a" * 40)
PLAN = Plan(
    questions={
        "topic": ("coats", "hats", "a b", "<script>"),
        "size": ("XL_2",),
        "kind-of": ("a-b",),
        "fourth": ("d",),
        "tópic": ("a",),
        LONG[0]: (LONG[1], f"{LONG[1]}a"),
    }
)


@pytest.mark.parametrize(
    ("said", "preferences", "is_refused"),
    [
        ("topic:coats", {"topic": "coats"}, False),
        ("topic:coats.size:XL_2.kind-of:a-b", {"topic": "coats", "size": "XL_2", "kind-of": "a-b"}, False),
        ("topic:coats.size:XL_2.kind-of:a-b.fourth:d", {"topic": "coats", "size": "XL_2", "kind-of": "a-b"}, True),
        ("topic:coats.topic:hats", {"topic": "hats"}, False),
        ("religion:catholic.income:rich.hiv:yes", {}, True),
        ("religion:catholic.topic:coats", {"topic": "coats"}, True),
        ("topic:catholic", {}, True),
        ("size:coats", {}, True),
        ("topic", {}, True),
        ("topic:", {}, True),
        (":coats", {}, True),
        ("topic:coats:b", {}, True),
        ("topic:a b", {}, True),
        ("tópic:a.topic:coats", {"topic": "coats"}, True),
        ("topic:<script>.topic:coats", {"topic": "coats"}, True),
        (":".join(LONG), {LONG[0]: LONG[1]}, False),
        (f"{':'.join(LONG)}a", {}, True),
        ("..", {}, False),
        ("", {}, False),
    ],
)
def test_only_what_the_plan_asks_is_taken_from_what_the_visitor_declared(
    said: str, preferences: dict[str, str], is_refused: bool
) -> None:
    header = f"a=1; {PREFERENCES_COOKIE}={said}; b=2"
    assert read_preferences(header, PLAN) == (preferences, is_refused)
    assert read_preferences(header, Plan()) == ({}, bool(said.strip(".")))


@pytest.mark.parametrize("header", [None, "", "a=1", "usher-saidx=topic:coats"])
def test_a_client_that_has_left_nothing_says_nothing_about_preferences(header: str | None) -> None:
    assert read_preferences(header, PLAN) == (None, False)


VIEW = "19a8b3c4d5e-0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"{VIEW}.95.40", [Left(VIEW, 95, 40)]),
        (f"a.1.2~{VIEW}.100.0~c.0.3", [Left("a", 1, 2), Left(VIEW, 100, 0), Left("c", 0, 3)]),
        ("a.1.2~b.1.2~c.1.2~d.1.2", [Left("a", 1, 2), Left("b", 1, 2), Left("c", 1, 2)]),
        ("a.999.9999999", [Left("a", 999, 9_999_999)]),
        ("a.1000.1~b.1.99999999~c.1.2", [Left("c", 1, 2)]),
        ("a.-1.2~b.1.-2~c.1.2.3", []),
        ("a.1~.1.2~a..2", []),
        ("a.1.2 ~ b.1.2", []),
        ("a.١.2~b.1.²~c.1e1.2", []),
        (f"{'a' * 100}.1.2", [Left("a" * 100, 1, 2)]),
        (f"{'a' * 101}.1.2", []),
        ("a!b.1.2~<b>.1.2~\x00.1.2", []),
        ("~~", []),
        ("", []),
    ],
)
def test_what_was_left_of_pages_is_read_in_part_or_whole(text: str, left: list[Left]) -> None:
    assert read_left(f"x=1; {LEFT_COOKIE}={text}; y=2") == left


@pytest.mark.parametrize("header", [None, "", "a=1"])
def test_a_client_that_has_left_no_pages_left_none(header: str | None) -> None:
    assert read_left(header) == []
