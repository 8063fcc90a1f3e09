"""What `usher.toml` may say about categories of pages: what the state of a visit counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from origin.config_checks import find_page_problems, tables
from origin.problems import Problem
from origin.touchpoint_config import Page, Section
from shared.sensitive import is_sensitive

if TYPE_CHECKING:
    from origin.config import Config

CATEGORY_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
LONGEST_CATEGORY: Final = 24

CategoryName = Annotated[str, StringConstraints(pattern=CATEGORY_NAME, max_length=LONGEST_CATEGORY)]


class CategoryConfig(Section):
    """A category of pages. A page belongs to the first one, in the order of the file, that names it."""

    pages: tuple[Page, ...] = Field(min_length=1, strict=False, examples=[["/pricing", "/pricing/*"]])
    """URL path patterns of its pages; `*` stands for any text. They need no touchpoint to be observed."""


def describe_categories(config: Config) -> list[object]:
    """The categories as a snapshot's header says them, in the order of the file."""
    return [[name, list(category.pages)] for name, category in config.categories.items()]


def find_category_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with `[categories]` of a parsed file beyond single fields."""
    for name, category in tables(raw, "categories"):
        if is_sensitive(name):
            yield Problem(("categories", name), "is on the sensitive list; do without it, and remove it")
        yield from find_page_problems(("categories", name), category)
