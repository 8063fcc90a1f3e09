"""A pattern in the plainest form that is found in the same texts.

The conditions ask whether a text matches, never where: so what may be empty at either end of a pattern is left out
(`.*sale.*` is `sale`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.patterns.tree import Chars, Choice, Edge, Look, Node, Repeat, Sequence, complement

MAX_SUBJECT_LENGTH: Final = 2_000
_EMPTY: Final = Sequence(())


def rewrite(tree: Node, *, insensitive: bool) -> Node:
    """Return a pattern that is found in the same texts of at most MAX_SUBJECT_LENGTH characters.

    In it no class is negated, and letters stand in both cases where case does not count. A repetition always takes
    characters; it has no least number if what it repeats may be empty, and none that is beyond the length of a text.
    """
    return _trim(_trim(_simplify(tree, insensitive), 0), -1)


def is_anchored(node: Node) -> bool:
    """Whether a pattern can match at the beginning of a text only."""
    if isinstance(node, Sequence):
        for item in node.items:
            if not isinstance(item, Look):
                return is_anchored(item)
        return False
    if isinstance(node, Choice):
        return all(is_anchored(branch) for branch in node.branches)
    return node == Edge("^")


def _simplify(node: Node, insensitive: bool) -> Node:
    if isinstance(node, Chars):
        return _spell_out(node, insensitive)
    if isinstance(node, Look):
        return replace(node, body=_simplify(node.body, insensitive))
    if isinstance(node, Sequence):
        items = [_simplify(item, insensitive) for item in node.items]
        return Sequence(
            tuple([each for item in items for each in (item.items if isinstance(item, Sequence) else (item,))])
        )
    if isinstance(node, Choice):
        return Choice(tuple([_simplify(branch, insensitive) for branch in node.branches]))
    if isinstance(node, Repeat):
        return _simplify_repeat(_simplify(node.body, insensitive), node.low, node.high)
    return node


def _spell_out(node: Chars, insensitive: bool) -> Chars:
    """The characters that a node takes, in order."""
    ranges = node.ranges
    if insensitive:
        capitals = [(max(low, 65) + 32, min(high, 90) + 32) for low, high in ranges if low <= 90 and high >= 65]
        small = [(max(low, 97) - 32, min(high, 122) - 32) for low, high in ranges if low <= 122 and high >= 97]
        ranges = (*ranges, *capitals, *small)
    others = complement(ranges)
    return Chars(others if node.negated else complement(others))


def _simplify_repeat(body: Node, low: int, high: int | None) -> Node:
    if high == 0:
        return _EMPTY
    if _takes_nothing(body):  # more than once it says no more
        return body if low else _EMPTY
    if high is not None and high > MAX_SUBJECT_LENGTH:
        high = None
    return Repeat(body, 0 if _may_be_empty(body) else min(low, MAX_SUBJECT_LENGTH + 1), high)


def _takes_nothing(node: Node) -> bool:
    """Whether a node matches no text but the empty one."""
    if isinstance(node, Sequence):
        return all(_takes_nothing(item) for item in node.items)
    if isinstance(node, Choice):
        return all(_takes_nothing(branch) for branch in node.branches)
    return isinstance(node, Edge | Look)


def _may_be_empty(node: Node) -> bool:
    """Whether a node matches the empty text wherever it stands."""
    if isinstance(node, Sequence):
        return all(_may_be_empty(item) for item in node.items)
    if isinstance(node, Choice):
        return any(_may_be_empty(branch) for branch in node.branches)
    return isinstance(node, Repeat) and node.low == 0


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
