from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from shared.errors import InvalidEvent, InvalidValue
from shared.parse import MAX_NESTING, Reader, load_json

DATA = {
    "name": "hero",
    "none": None,
    "share": 0.25,
    "count": 7,
    "yes": True,
    "no": False,
    "list": [1, 2.5],
    "texts": ["a", "b"],
    "object": {"x": 1},
    "nan": math.nan,
    "infinite": math.inf,
}


def read(data: object = DATA, path: str = "at") -> Reader:
    return Reader(data, path)


@pytest.mark.parametrize(
    ("use", "value"),
    [
        (lambda reader: reader.text("name"), "hero"),
        (lambda reader: reader.text("name", longest=4), "hero"),
        (lambda reader: reader.optional_text("name"), "hero"),
        (lambda reader: reader.optional_text("none"), None),
        (lambda reader: reader.optional_text("absent"), None),
        (lambda reader: reader.number("share", low=0.0, high=0.25), 0.25),
        (lambda reader: reader.number("count", low=7, high=7), 7.0),
        (lambda reader: reader.whole("count", low=7, high=7), 7),
        (lambda reader: reader.flag("yes", default=False), True),
        (lambda reader: reader.flag("no", default=True), False),
        (lambda reader: reader.flag("absent", default=True), True),
        (lambda reader: reader.items("list"), [1, 2.5]),
        (lambda reader: reader.texts("texts"), ("a", "b")),
        (lambda reader: reader.numbers("list", length=2, low=0, high=3), (1.0, 2.5)),
        (lambda reader: reader.mapping("object"), {"x": 1}),
    ],
)
def test_a_field_of_the_required_form_is_returned(use: Callable[[Reader], object], value: object) -> None:
    assert use(read()) == value


def test_a_whole_number_becomes_a_float_where_a_number_is_read() -> None:
    assert type(read().number("count", low=0, high=10)) is float


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda reader: reader.text("absent"), "at.absent: missing; expected a string"),
        (lambda reader: reader.text("none"), "at.none: expected a string, got nothing"),
        (lambda reader: reader.text("count"), "at.count: expected a string, got 7"),
        (lambda reader: reader.text("list"), "at.list: expected a string, got a list"),
        (lambda reader: reader.text("object"), "at.object: expected a string, got an object"),
        (lambda reader: reader.text("name", longest=3), "at.name: 4 characters; at most 3 are allowed"),
        (lambda reader: reader.optional_text("yes"), "at.yes: expected a string, got True"),
        (lambda reader: reader.optional_text("name", longest=1), "at.name: 4 characters; at most 1 are allowed"),
        (lambda reader: reader.number("absent", low=0, high=1), "at.absent: expected a number, got nothing"),
        (lambda reader: reader.number("yes", low=0, high=1), "at.yes: expected a number, got True"),
        (lambda reader: reader.number("name", low=0, high=1), "at.name: expected a number, got the text 'hero'"),
        (lambda reader: reader.number("nan", low=0, high=1), "at.nan: expected a number, got nan"),
        (
            lambda reader: reader.number("infinite", low=0, high=1),
            "at.infinite: expected a number from 0 to 1, got inf",
        ),
        (lambda reader: reader.number("count", low=0, high=1), "at.count: expected a number from 0 to 1, got 7"),
        (lambda reader: reader.number("share", low=0.5, high=1), "at.share: expected a number from 0.5 to 1, got 0.25"),
        (
            lambda reader: reader.whole("share", low=0, high=9),
            "at.share: expected a whole number from 0 to 9, got 0.25",
        ),
        (lambda reader: reader.whole("yes", low=0, high=9), "at.yes: expected a whole number from 0 to 9, got True"),
        (lambda reader: reader.whole("count", low=8, high=9), "at.count: expected a whole number from 8 to 9, got 7"),
        (lambda reader: reader.whole("count", low=0, high=6), "at.count: expected a whole number from 0 to 6, got 7"),
        (
            lambda reader: reader.whole("no_such", low=0, high=6),
            "at.no_such: missing; expected a whole number from 0 to 6",
        ),
        (lambda reader: reader.flag("count", default=True), "at.count: expected true or false, got 7"),
        (lambda reader: reader.flag("none", default=True), "at.none: expected true or false, got nothing"),
        (lambda reader: reader.items("object"), "at.object: expected a list, got an object"),
        (lambda reader: reader.items("name"), "at.name: expected a list, got the text 'hero'"),
        (lambda reader: reader.texts("list"), "at.list[0]: expected a string, got 1"),
        (lambda reader: reader.numbers("list", length=3, low=0, high=1), "at.list: expected 3 numbers, got 2"),
        (
            lambda reader: reader.numbers("list", length=2, low=0, high=2),
            "at.list[1]: expected a number from 0 to 2, got 2.5",
        ),
        (
            lambda reader: reader.numbers("texts", length=2, low=0, high=2),
            "at.texts[0]: expected a number, got the text 'a'",
        ),
        (lambda reader: reader.mapping("list"), "at.list: expected an object, got a list"),
        (lambda reader: reader.mapping("absent"), "at.absent: missing; expected an object"),
    ],
)
def test_an_error_says_where_what_was_expected_and_what_came(use: Callable[[Reader], object], message: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        use(read())
    assert str(raised.value) == message


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidValue) as raised:
        read({"x": "a" * 1_000}).items("x")
    assert str(raised.value) == f"at.x: expected a list, got the text {'a' * 40!r}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected an object, got a list"),
        ("text", "expected an object, got the text 'text'"),
        (None, "expected an object, got nothing"),
        (1.5, "expected an object, got 1.5"),
    ],
)
def test_only_an_object_can_be_read(data: object, message: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        Reader(data, "", InvalidEvent)
    assert str(raised.value) == message


def test_the_error_is_of_the_kind_the_reader_was_made_for() -> None:
    with pytest.raises(InvalidEvent):
        Reader({}, "event", InvalidEvent).text("name")


@pytest.mark.parametrize(("path", "place"), [("", "name"), ("events[3]", "events[3].name")])
def test_a_place_is_named_from_the_document_down(path: str, place: str) -> None:
    assert Reader({}, path).place("name") == place


@pytest.mark.parametrize("text", ["[" * MAX_NESTING + "]" * MAX_NESTING, "[]" + " " * 9, '"' + "[" * 500 + '"'])
def test_json_may_be_nested_a_hundred_deep(text: str) -> None:
    load_json(text)


@pytest.mark.parametrize(
    "text", ["[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1), "[" * 100_000, '{"a":' * 5_000, "]" * 300 + "[" * 300]
)
def test_json_nested_deeper_is_refused_before_it_is_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        load_json(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_read_only_by_the_lenient(constant: str) -> None:
    with pytest.raises(ValueError, match=f"^{constant} is not a number$"):
        load_json(f"[{constant}]")
    assert str(load_json(f"[{constant}]", lenient=True)) in ("[nan]", "[inf]", "[-inf]")


def test_many_brackets_that_are_shallow_are_no_nesting() -> None:
    assert load_json("[" + "[]," * 500 + "[]]") == [[]] * 501
    assert load_json('{"a":"' + "[" * 200 + '\\""}') == {"a": "[" * 200 + '"'}


def test_a_number_of_too_many_digits_is_no_json() -> None:
    with pytest.raises(ValueError, match="digits"):
        load_json("1" * 5_000)


def test_half_of_a_surrogate_pair_is_no_character() -> None:
    with pytest.raises(InvalidValue, match="holds half of a surrogate pair"):
        read({"x": "a\ud800b"}).text("x")
    assert read({"x": "\U0001f600"}).text("x") == "\U0001f600"


@pytest.mark.parametrize("text", ["\\", '\\"', '"]', "]\\", '\\\\"[{', "a\nb\t]", "\u2028[", ""])
def test_brackets_within_strings_are_not_measured_whatever_is_escaped_beside_them(text: str) -> None:
    wide = [{"a": text, "b": ["]"]}] * 60
    assert load_json(json.dumps(wide)) == wide
    deep = json.dumps([text, 1]).replace("1", "[" * 150 + "]" * 150)
    with pytest.raises(ValueError, match="nested deeper than 100 levels"):
        load_json(deep)
