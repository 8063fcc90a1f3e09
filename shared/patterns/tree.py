"""What a regular expression is made of, once it has been read.

A character is a UTF-16 unit. Groups capture nothing in the tree: without back references, which are refused, only what
a group holds decides whether a text matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Ranges = tuple[tuple[int, int], ...]

LAST_UNIT: Final = 0xFFFF


class NoPattern(Exception):
    """JavaScript knows no such regular expression: it would throw a SyntaxError."""


class UnsupportedPattern(Exception):
    """JavaScript takes the regular expression; it cannot be honoured here."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of `ranges`, or out of all others where `negated`."""

    ranges: Ranges
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A place between characters: `^`, `$`, `b` (a word's edge) or `B` (none)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Look:
    """A text that must (or, negated, must not) stand ahead of or behind a place."""

    body: Node
    behind: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any of several."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`body` from `low` to `high` times (None: without end)."""

    body: Node
    low: int
    high: int | None


Node = Chars | Edge | Look | Sequence | Choice | Repeat


def complement(ranges: Ranges) -> Ranges:
    """All characters that are in none of the ranges, in order."""
    gaps = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    if start <= LAST_UNIT:
        gaps.append((start, LAST_UNIT))
    return tuple(gaps)
