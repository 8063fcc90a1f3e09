from __future__ import annotations

import pytest

from shared.errors import InvalidSnapshot
from tests.asking import place, publish

LISTED: list[object] = [["pricing", ["/pricing", "/pricing/*"]], ["case-study", ["/stories/*"]], ["any", ["/p*"]]]


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("/pricing", "pricing"),
        ("/pricing/teams", "pricing"),
        ("/prices", "any"),
        ("/stories/harbour", "case-study"),
        ("/stories", ""),
        ("/", ""),
    ],
)
def test_a_path_belongs_to_the_first_category_that_fits(path: str, category: str) -> None:
    site = publish({}, categories=LISTED)
    assert [site.category_of(path) for _ in range(2)] == [category, category]


def test_pages_with_touchpoints_or_a_category_are_observed() -> None:
    site = publish({"touchpoint:hero": place("a")}, pages={"hero": ["/", "/pricing"]}, categories=LISTED)
    pages = ["/", "/pricing", "/stories/harbour", "/about"]
    assert [site.is_observed(path) for path in pages] == [True, True, True, False]
    assert [site.touchpoints_on(path) for path in pages] == [["hero"], ["hero"], [], []]


def test_a_snapshot_of_an_older_origin_has_no_categories() -> None:
    assert publish({}).header.categories == ()
    assert publish({}).category_of("/pricing") == ""


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ("pricing", "header.categories: expected a list, got the text 'pricing'"),
        (["pricing"], "header.categories[0].name: expected a string, got nothing"),
        ([["pricing"]], "header.categories[0].name: expected a string, got nothing"),
        ([["pricing", "/"]], "header.categories[0].pages: expected a list, got the text '/'"),
        ([["a", []], ["b", [1]]], "header.categories[1].pages[0]: expected a string, got 1"),
        (
            [["case study", []]],
            "header.categories[0].name: expected at most 24 letters, digits, _ and -, the first of them a letter or "
            "digit, got the text 'case study'",
        ),
        (
            [["health", []]],
            "header.categories[0].name: 'health' is on the sensitive list, and decisions may not rest on it; publish "
            "again without it",
        ),
    ],
)
def test_what_is_no_list_of_categories_is_refused(listed: object, problem: str) -> None:
    with pytest.raises(InvalidSnapshot) as caught:
        publish({}, categories=listed)
    assert str(caught.value) == problem


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a.b", "a>b", "a=b", "a!b", "ä", "a" * 25, "a\n"])
def test_a_category_has_a_name_that_cookie_and_paths_can_hold(name: str) -> None:
    with pytest.raises(InvalidSnapshot, match=r"categories\[0\]\.name"):
        publish({}, categories=[[name, ["/"]]])
    assert publish({}, categories=[["A1_b-" + "x" * 19, ["/"]]]).category_of("/") == "A1_b-" + "x" * 19
