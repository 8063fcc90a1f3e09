"""Categories of pages: what the state of a visit counts."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import InvalidSnapshot
from shared.parse import Reader
from shared.paths import path_matches
from shared.sensitive import REFUSED, is_sensitive
from shared.session import CATEGORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A category by its name, and the patterns of its pages' paths."""

    name: str
    pages: tuple[str, ...]


def read_categories(header: Reader) -> tuple[Category, ...]:
    """Read the header's field `categories`, `[[name, [pattern, …]], …]`, or none. Raises InvalidSnapshot."""
    listed = header.items("categories") if "categories" in header.data else []
    return tuple([_read(each, f"{header.place('categories')}[{i}]") for i, each in enumerate(listed)])


def _read(data: object, place: str) -> Category:
    name, pages = data if isinstance(data, list) and len(data) == 2 else (None, None)
    reader = Reader({"name": name, "pages": pages}, place, InvalidSnapshot)
    if CATEGORY.fullmatch(reader.text("name", longest=200)) is None:
        raise reader.fail("name", "at most 24 letters, digits, _ and -, the first of them a letter or digit")
    if is_sensitive(reader.text("name")):
        raise InvalidSnapshot(reader.place("name"), f"{name!r} {REFUSED}")
    return Category(name=reader.text("name"), pages=reader.texts("pages"))


def find_category(categories: tuple[Category, ...], path: str) -> str:
    """The name of the first category that a URL path belongs to, or an empty text."""
    for category in categories:
        if any(path_matches(pattern, path) for pattern in category.pages):
            return category.name
    return ""
