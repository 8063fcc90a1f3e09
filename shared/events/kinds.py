"""The kinds of values that a field of an event may have, as data: readers, models and documentation derive from them.

Lengths are counted in characters (code points), bounds are inclusive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text of `shortest` to `longest` characters that fits `pattern` as a whole, which `wanted` puts into words, and
    does not begin as `reserved` does.

    A `secret` one, such as a user's id, is kept nowhere.
    """

    longest: int
    shortest: int = 0
    pattern: re.Pattern[str] | None = None
    wanted: str = "a string"
    reserved: re.Pattern[str] | None = None
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A URL or path. What follows "?" or "#" is not kept: it may hold anything."""

    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number; 3.0 is one."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A finite number."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A list of at most `most` texts of at most `longest` characters each."""

    most: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list that only the edge writes, of values of one kind."""

    of: Text | Whole | Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """An object that only the edge writes, of values of one kind (None: of any)."""

    of: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTexts:
    """An object that holds texts of at most `longest` characters under some of the given names."""

    names: tuple[str, ...]
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """An object of at most `most` properties, each of a type that a tracking plan may give; names are texts too."""

    most: int
    longest_name: int


Kind = Text | Link | Choice | Whole | Number | Flag | Texts | NamedTexts | Properties | Listed | Mapped
