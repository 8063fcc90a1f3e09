"""Regular expressions of JavaScript, in a time that the length of the text bounds.

A pattern is read by JavaScript's grammar and run by Python's `re` where that is sure to be quick, written out anew with
every class spelled in full, so that both runtimes and all versions of Python take it alike. Where backtracking could
take long, which depends on the text's length too, it is simulated instead; the answers are the same. Letters differ in
case by ASCII rules only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from shared.javascript import to_utf16
from shared.patterns.cost import bound_steps
from shared.patterns.rewriting import MAX_SUBJECT_LENGTH, is_anchored, rewrite
from shared.patterns.simulation import Simulation
from shared.patterns.syntax import read_pattern
from shared.patterns.tree import (
    Chars,
    Choice,
    Edge,
    Look,
    Node,
    Ranges,
    Sequence,
    UnsupportedPattern,
    complement,
)

Search = Callable[[str], bool]

MAX_PATTERN_LENGTH: Final = 500
# A text is searched by `re` if it is no longer than the longest of these at which that takes at most MAX_STEPS.
LENGTHS: Final = (MAX_SUBJECT_LENGTH, 1_000, 500, 250)
MAX_STEPS: Final = 600_000.0
# The most characters that `re` may have to tick off one by one to compile a pattern's classes.
MAX_TICKS: Final = 100_000
# What a class costs beyond its characters where one of them is beyond Latin-1.
WIDE: Final = 4_000


@lru_cache(maxsize=512)
def compile_pattern(pattern: str, *, insensitive: bool = False) -> Search:
    """Compile a pattern into a function that says whether it occurs in a text.

    It sees the first 2,000 UTF-16 units of a text, as if the text ended there. Raises NoPattern for what is no regular
    expression of JavaScript, and UnsupportedPattern, with a remedy, for what is one but refers back to groups or is
    too large.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise UnsupportedPattern(f"{len(pattern)} characters; at most {MAX_PATTERN_LENGTH} are allowed")
    tree = rewrite(read_pattern(to_utf16(pattern)), insensitive=insensitive)
    anchored = is_anchored(tree)
    safe = next((each for each in LENGTHS if bound_steps(tree, each, anchored=anchored) <= MAX_STEPS), 0)
    find = _compile(tree, anchored) if safe else None
    if find is None:
        finds = Simulation(tree, anchored=anchored).finds
        return lambda text: finds(_cut(text))
    if safe == MAX_SUBJECT_LENGTH:
        return lambda text: find(_cut(text)) is not None
    return _choose(find, Simulation(tree, anchored=anchored).finds, safe)


def _choose(find: Callable[[str], object], finds: Search, safe: int) -> Search:
    """Search by `re` in a text of at most `safe` units, by simulation in a longer one."""

    def search(text: str) -> bool:
        units = _cut(text)
        return find(units) is not None if len(units) <= safe else finds(units)

    return search


def _cut(text: str) -> str:
    return to_utf16(text[:MAX_SUBJECT_LENGTH])[:MAX_SUBJECT_LENGTH]


def _compile(tree: Node, anchored: bool) -> Callable[[str], object] | None:
    """How `re` finds a pattern; None where it cannot, or would take long to compile it."""
    writer = _Writer()
    text = writer.write(tree)
    if writer.ticks > MAX_TICKS:
        return None
    try:
        compiled = re.compile(text, re.ASCII)
    except re.error:  # it looks behind over varying lengths
        return None
    return compiled.match if anchored else compiled.search


# Python's own `\B` differs by version at an empty text, and its `$` looks before a last line end.
_EDGES: Final = {"^": r"\A", "$": r"\Z", "b": r"\b", "B": r"(?!\b)"}


class _Writer:
    """Writes a pattern for Python's `re`, and counts what its classes cost to compile."""

    def __init__(self) -> None:
        self.ticks = 0

    def write(self, node: Node) -> str:
        if isinstance(node, Chars):
            return self._write_chars(node.ranges)
        if isinstance(node, Edge):
            return _EDGES[node.kind]
        if isinstance(node, Look):
            opening = ("(?<" if node.behind else "(?") + ("!" if node.negated else "=")
            return f"{opening}{self.write(node.body)})"
        if isinstance(node, Sequence):
            return "".join([self.write(item) for item in node.items])
        if isinstance(node, Choice):
            return f"(?:{'|'.join([self.write(branch) for branch in node.branches])})"
        body = self.write(node.body) if isinstance(node.body, Chars) else f"(?:{self.write(node.body)})"
        return f"{body}{{{node.low},{'' if node.high is None else node.high}}}"

    def _write_chars(self, ranges: Ranges) -> str:
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
            return re.escape(chr(ranges[0][0]))
        others = complement(ranges)
        if not ranges or not others:
            return r"[\s\S]" if ranges else "(?!)"
        negation, listed = ("^", others) if _count_units(others) < _count_units(ranges) else ("", ranges)
        self.ticks += _count_units(listed) + (WIDE if listed[-1][1] > 0xFF else 0)
        shown = "".join([rf"\u{low:04x}-\u{high:04x}" for low, high in listed])
        return f"[{negation}{shown}]"


def _count_units(ranges: Ranges) -> int:
    count = 0
    for low, high in ranges:
        count += high - low + 1
    return count
