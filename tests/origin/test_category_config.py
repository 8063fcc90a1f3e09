"""`[categories]`: what it gives when it is right, and every message when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.category_config import CATEGORY_NAME, LONGEST_CATEGORY, describe_categories
from origin.config import load_config
from origin.errors import ConfigError
from shared.session import CATEGORY
from tests.origin.shop import USHER_TOML, make_config, write_config

CATEGORIES = """
[categories.pricing]
pages = ["/pricing", "/pricing/*"]
[categories.case-study]
pages = ["/stories/*"]
"""


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(folder, USHER_TOML + text))
    return caught.value.problems


def test_categories_are_published_in_the_order_of_the_file(tmp_path: Path) -> None:
    config = make_config(tmp_path, USHER_TOML + CATEGORIES)
    assert describe_categories(config) == [["pricing", ["/pricing", "/pricing/*"]], ["case-study", ["/stories/*"]]]
    assert describe_categories(make_config(tmp_path)) == []


def test_conditions_may_read_what_is_counted_by_category(tmp_path: Path) -> None:
    condition = '{ "session.read.case-study" = { "$gte" = 1 }, "session.bigrams" = { "$in" = ["pricing>pricing"] } }'
    text = USHER_TOML.replace('{ device = "mobile" }', condition)
    assert condition in text
    assert load_config(write_config(tmp_path, text + CATEGORIES)).segments["mobile"].condition is not None
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(tmp_path, text + CATEGORIES.replace("case-study", "story")))
    assert caught.value.problems == (
        'usher.toml: segments.mobile.condition: reads "session.read.case-study", and there is no such category; write '
        '"session.read.story", or add [categories.case-study]',
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "[categories.pricing]",
            ['categories.pricing.pages: is missing; add it, such as pages = ["/pricing", "/pricing/*"]'],
        ),
        (
            "[categories.pricing]\npages = []",
            ['categories.pricing.pages: is empty; write at least one, such as pages = ["/pricing", "/pricing/*"]'],
        ),
        (
            '[categories."a.b"]\npages = ["/"]',
            [
                'categories."a.b": "a.b" is not allowed; write letters, digits, "_" and "-", the first of them a '
                "letter or a digit"
            ],
        ),
        (
            f'[categories.{"a" * 25}]\npages = ["/"]',
            [f"categories.{'a' * 25}: is longer than 24 characters; shorten it"],
        ),
        (
            '[categories.health]\npages = ["/"]',
            ["categories.health: is on the sensitive list; do without it, and remove it"],
        ),
        (
            '[categories.a]\npages = ["x", "/ü"]',
            [
                'categories.a.pages[0]: "x" is not allowed; write a path that begins with "/", without query and '
                'fragment, such as pages = ["/pricing", "/pricing/*"]',
                'categories.a.pages[1]: "/ü" never matches: browsers encode it; write "/%C3%BC"',
            ],
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path: Path, text: str, problems: list[str]) -> None:
    assert problems_of(tmp_path, text) == tuple(f"usher.toml: {problem}" for problem in problems)


def test_the_names_are_those_that_the_edge_reads() -> None:
    assert f"^{CATEGORY.pattern.removesuffix('{0,23}')}*$" == CATEGORY_NAME
    assert LONGEST_CATEGORY == 24
