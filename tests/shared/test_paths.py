from __future__ import annotations

import pytest

from shared.paths import path_matches


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/"),
        ("*", ""),
        ("*", "/anything/at all"),
        ("/men/*", "/men/"),
        ("/men/*", "/men/shoes/7"),
        ("*/cart", "/de/cart"),
        ("/a*b*c", "/abc"),
        ("/a*b*c", "/a-b-b-c-c"),
        ("/**", "/x"),
        ("/a[b]?.c", "/a[b]?.c"),
        ("*a*a*", "xaya"),
        ("", ""),
    ],
)
def test_a_star_stands_for_any_text_and_everything_else_for_itself(pattern: str, path: str) -> None:
    assert path_matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/x"),
        ("/men/*", "/men"),
        ("/men/*", "/women/men/"),
        ("*/cart", "/cart/2"),
        ("/a*b*c", "/a-c-b"),
        ("/a*a", "/a"),
        ("/ab*bc", "/abc"),
        ("*x*", "/abc"),
        ("/a?", "/ab"),
        ("/[ab]", "/a"),
        ("/A", "/a"),
        ("", "/"),
    ],
)
def test_what_the_pattern_does_not_cover_does_not_match(pattern: str, path: str) -> None:
    assert not path_matches(pattern, path)
