"""Regular expressions of JavaScript, run by Python's `re`.

A pattern is read by JavaScript's grammar, written out anew with every class spelled in full, so that both runtimes and
all versions of Python take it alike, and refused where its time cannot be bounded. Letters differ in case by ASCII
rules only. The conditions ask whether a text matches, never where: so greedy and lazy are one, groups capture nothing,
and what may be empty at either end of a pattern is left out (`.*sale.*` is `sale`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from shared.javascript import to_utf16
from shared.patterns.cost import bound_steps
from shared.patterns.polynomials import evaluate
from shared.patterns.syntax import read_pattern
from shared.patterns.tree import (
    Chars,
    Choice,
    Edge,
    Look,
    Node,
    Ranges,
    Repeat,
    Sequence,
    UnsupportedPattern,
    Until,
    complement,
)

Search = Callable[[str], bool]

MAX_PATTERN_LENGTH: Final = 500
MAX_SUBJECT_LENGTH: Final = 2_000
# Texts are cut to the longest of these at which a search stays within MAX_STEPS; the shortest must do.
SUBJECT_LENGTHS: Final = (MAX_SUBJECT_LENGTH, 1_000, 500, 200)
MAX_STEPS: Final = 120_000.0
_EMPTY: Final = Sequence(())


@lru_cache(maxsize=512)
def compile_pattern(pattern: str, *, insensitive: bool = False) -> Search:
    """Compile a pattern into a function that says whether it occurs in a text.

    It sees the first 200 to 2,000 characters of a text, the fewer the more ways the pattern has to match. Raises
    NoPattern for what is no regular expression of JavaScript, and UnsupportedPattern, with a remedy, for what is one
    but refers back to groups, looks behind over a varying length, or may take too long.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise UnsupportedPattern(f"{len(pattern)} characters; at most {MAX_PATTERN_LENGTH} are allowed")
    tree = _commit(_trim(_trim(_simplify(read_pattern(to_utf16(pattern))), 0), -1), insensitive)
    anchored = _is_anchored(tree)
    steps = bound_steps(tree, insensitive=insensitive, anchored=anchored)
    lengths = [length for length in SUBJECT_LENGTHS if evaluate(steps, length) <= MAX_STEPS]
    if not lengths:
        raise UnsupportedPattern(
            "too many of its repetitions can share the same text, which takes too long; use fewer, or let each end at "
            "a character that it does not repeat, as in `[^/]*/` for `.*/`"
        )
    compiled = re.compile(_write(tree), re.ASCII | (re.IGNORECASE if insensitive else re.NOFLAG))
    find, longest = compiled.match if anchored else compiled.search, lengths[0]
    return lambda text: find(to_utf16(text[:longest])[:longest]) is not None


def _simplify(node: Node) -> Node:
    """Take counts apart that say nothing: of what may be empty anyway no least number is needed, and no text that is
    searched holds more than its length."""
    if isinstance(node, Look):
        return replace(node, body=_simplify(node.body))
    if isinstance(node, Sequence):
        items = [_simplify(item) for item in node.items]
        return Sequence(
            tuple([each for item in items for each in (item.items if isinstance(item, Sequence) else (item,))])
        )
    if isinstance(node, Choice):
        return Choice(tuple([_simplify(branch) for branch in node.branches]))
    if isinstance(node, Repeat):
        body = _simplify(node.body)
        if node.high == 0:
            return _EMPTY
        low = 0 if _may_be_empty(body) else min(node.low, MAX_SUBJECT_LENGTH + 1)
        high = None if node.high is None or node.high > MAX_SUBJECT_LENGTH else node.high
        return Repeat(body, low, high, node.text)
    return node


def _may_be_empty(node: Node) -> bool:
    """Whether a node matches the empty text wherever it stands."""
    if isinstance(node, Sequence):
        return all(_may_be_empty(item) for item in node.items)
    if isinstance(node, Choice):
        return any(_may_be_empty(branch) for branch in node.branches)
    return isinstance(node, Repeat) and (node.low == 0 or _may_be_empty(node.body))


def _trim(node: Node, end: int) -> Node:
    """Leave out what may be empty at the beginning (0) or the end (-1) of a pattern that is searched for."""
    if isinstance(node, Choice):
        return Choice(tuple([_trim(branch, end) for branch in node.branches]))
    if isinstance(node, Repeat):
        if node.low == 0:
            return _EMPTY
        return _trim(node.body, end) if node.low == 1 else replace(node, high=node.low)
    if isinstance(node, Sequence) and node.items:
        items = list(node.items)
        items[end] = _trim(items[end], end)
        if items[end] == _EMPTY:
            del items[end]
            return _trim(Sequence(tuple(items)), end)
        return Sequence(tuple(items))
    return node


def _commit(node: Node, insensitive: bool) -> Node:
    """Settle on the first place where a repetition may end, if a repetition follows that takes whatever lies between
    this place and any later one: in `.*a.*b` the first `a` is as good as any."""
    if isinstance(node, Choice):
        return Choice(tuple([_commit(branch, insensitive) for branch in node.branches]))
    if not isinstance(node, Sequence):
        return node
    items: list[Node] = []
    rest = list(node.items)
    while rest:
        fixed = 1
        while fixed < len(rest) and isinstance(rest[fixed], Chars | Edge):
            fixed += 1
        run, ending = rest[0], rest[1:fixed]
        if isinstance(run, Repeat) and ending and _absorbs(rest[fixed:], run, ending, insensitive):
            items.append(Until(run, tuple(ending)))
            rest = rest[fixed:]
        else:
            items.append(rest.pop(0))
    return Sequence(tuple(items))


def _absorbs(rest: list[Node], run: Repeat, ending: list[Node], insensitive: bool) -> bool:
    """Whether the rest begins with a repetition without end that takes every character of a run and its ending."""
    later = rest[0] if rest else None
    if run.high is not None or not isinstance(later, Repeat) or later.high is not None:
        return False
    if not isinstance(later.body, Chars) or not isinstance(run.body, Chars):
        return False
    taken = _list_taken(later.body, insensitive)
    before = [each for each in (run.body, *ending) if isinstance(each, Chars)]
    return all(
        any(start <= low and high <= end for start, end in taken)
        for each in before
        for low, high in _list_taken(each, insensitive)
    )


def _list_taken(node: Chars, insensitive: bool) -> Ranges:
    """The characters that a node takes, the other case of its letters included where case does not count."""
    ranges = node.ranges
    if insensitive:
        capitals = [(max(low, 65) + 32, min(high, 90) + 32) for low, high in ranges if low <= 90 and high >= 65]
        small = [(max(low, 97) - 32, min(high, 122) - 32) for low, high in ranges if low <= 122 and high >= 97]
        ranges = (*ranges, *capitals, *small)
    return complement(ranges) if node.negated else ranges


def _is_anchored(node: Node) -> bool:
    """Whether a pattern can match at the beginning of a text only."""
    if isinstance(node, Sequence):
        for item in node.items:
            if not isinstance(item, Look):
                return _is_anchored(item)
        return False
    if isinstance(node, Choice):
        return all(_is_anchored(branch) for branch in node.branches)
    return node == Edge("^")


# Python's own `\B` differs by version at an empty text, and its `$` looks before a last line end.
_EDGES: Final = {"^": r"\A", "$": r"\Z", "b": r"\b", "B": r"(?!\b)"}


def _write(node: Node) -> str:
    """The pattern for Python's `re`."""
    if isinstance(node, Chars):
        return _write_chars(node)
    if isinstance(node, Edge):
        return _EDGES[node.kind]
    if isinstance(node, Look):
        return _write_look(node)
    if isinstance(node, Sequence):
        return "".join([_write(item) for item in node.items])
    if isinstance(node, Choice):
        return f"(?:{'|'.join([_write(branch) for branch in node.branches])})"
    if isinstance(node, Until):
        ending = "".join([_write(item) for item in node.ending])
        return f"(?>{_write(node.run)}?{ending})"
    body = _write(node.body) if isinstance(node.body, Chars) else f"(?:{_write(node.body)})"
    return f"{body}{{{node.low},{'' if node.high is None else node.high}}}"


def _write_chars(node: Chars) -> str:
    if not node.ranges:
        return r"[\x00-\uffff]" if node.negated else "(?!)"
    if len(node.ranges) == 1 and node.ranges[0][0] == node.ranges[0][1] and not node.negated:
        return re.escape(chr(node.ranges[0][0]))
    ranges = "".join([f"\\u{low:04x}-\\u{high:04x}" for low, high in node.ranges])
    return f"[{'^' if node.negated else ''}{ranges}]"


def _write_look(node: Look) -> str:
    opening = ("(?<" if node.behind else "(?") + ("!" if node.negated else "=")
    text = f"{opening}{_write(node.body)})"
    if node.behind:
        try:
            re.compile(text, re.ASCII)
        except re.error:
            raise UnsupportedPattern(
                f"`{node.text}` looks behind over a varying length; give each of its branches one length"
            ) from None
    return text
