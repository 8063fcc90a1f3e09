"""A pattern as an automaton of positions (Glushkov): one state for each of its characters.

An edge leads to every position that may come next, counted as often as there are ways to get there. Characters are
told apart as far as ASCII goes; all others count as one, which only adds ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from shared.patterns.tree import Chars, Choice, Edge, Look, Node, Repeat, Sequence, UnsupportedPattern, Until

Ways = dict[int, int]

ALL: Final = (1 << 129) - 1
MAX_POSITIONS: Final = 500
MAX_COPIES: Final = 12
# A repetition of one character that may end at more places than this counts as one without end.
MAX_SPAN: Final = 200
_OTHERS: Final = 1 << 128
_CAPITALS: Final = ((1 << 26) - 1) << ord("A")
_SMALL: Final = _CAPITALS << 32


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the automaton: where it begins and ends, with the number of ways to each, and its ways to be empty."""

    first: Ways
    last: Ways
    empty: int


_END: Final = Edge("")
NOTHING: Final = Part({}, {}, 1)


@dataclass(slots=True)
class Position:
    """A state of the automaton and the number of ways to each that may follow.

    It takes `chars` and lies in the repetition that begins with position `block` (its own if in none), which stands as
    `text` in the pattern. A repetition of one character reaches `longest` far and may end at `span` places (None: as
    many as the text has); it is quick if a fixed character follows. A look around has an automaton of its own, a
    repetition up to its first ending has the ending's length.
    """

    chars: int
    block: int
    is_looped: bool
    text: str
    is_quick: bool = False
    span: int | None = 1
    longest: int = 1
    look: tuple[list[Position], Ways] | None = None
    ending: int = 0
    follow: Ways = field(default_factory=dict)


class Automaton:
    """The positions of a pattern in order, blocks of unbounded repetition being contiguous."""

    def __init__(self, insensitive: bool) -> None:
        self._insensitive = insensitive
        self.positions: list[Position] = []
        self._block: int | None = None
        self._text = ""

    def add(self, node: Node) -> Part:
        """Append a piece of the pattern. Texts of blame go to the outermost repetition around it."""
        if isinstance(node, Chars):
            return self._add_position(_mask(node, self._insensitive), "")
        if isinstance(node, Edge):
            return NOTHING
        if isinstance(node, Look):
            return self._add_look(node)
        if isinstance(node, Until):
            part = self._add_position(ALL, node.run.text)
            self.positions[-1].ending = len(node.ending)
            return part
        if isinstance(node, Sequence):
            return self._join(node.items)
        if isinstance(node, Choice):
            parts = [self.add(branch) for branch in node.branches]
            first, last = _merge(part.first for part in parts), _merge(part.last for part in parts)
            empty = 0
            for part in parts:
                empty += part.empty
            return Part(first, last, empty)
        return self._add_repeat(node)

    def _add_position(self, chars: int, text: str) -> Part:
        index = len(self.positions)
        if index >= MAX_POSITIONS:
            raise UnsupportedPattern(f"more than {MAX_POSITIONS} characters with its counts written out; shorten it")
        block = index if self._block is None else self._block
        self.positions.append(Position(chars, block, self._block is not None, self._text or text))
        return Part({index: 1}, {index: 1}, 0)

    def _add_look(self, node: Look) -> Part:
        """A look stands where a character would, since it is tried wherever the one before it may end."""
        if self._block is not None:
            raise UnsupportedPattern(f"`{node.text}` looks around within a repetition; move it out of the repetition")
        inner = Automaton(self._insensitive)
        start = inner.add(node.body)
        part = self._add_position(ALL, node.text)
        self.positions[-1].look = (inner.positions, start.first)
        return part

    def _join(self, nodes: tuple[Node, ...]) -> Part:
        whole = NOTHING
        for node, following in zip(nodes, (*nodes[1:], _END), strict=False):
            start = len(self.positions)
            whole = self._chain(whole, self.add(node))
            if len(self.positions) == start + 1 and isinstance(following, Chars):
                self.positions[start].is_quick = _mask(following, self._insensitive).bit_count() == 1
        return whole

    def _chain(self, left: Part, right: Part) -> Part:
        self._link(left.last, right.first)
        first = _merge((left.first, _scale(right.first, left.empty)))
        last = _merge((right.last, _scale(left.last, right.empty)))
        return Part(first, last, left.empty * right.empty)

    def _link(self, last: Ways, first: Ways) -> None:
        for index, ways in last.items():
            follow = self.positions[index].follow
            for successor, more in first.items():
                follow[successor] = follow.get(successor, 0) + ways * more

    def _add_repeat(self, node: Repeat) -> Part:
        if isinstance(node.body, Chars) and not (self._block is not None and 1 < (node.high or 0) <= MAX_COPIES):
            return self._add_run(node, node.body)
        if node.high is None or node.high > MAX_COPIES:
            return self._add_loop(node)
        copies = [self.add(node.body) for _ in range(node.high)]
        tail = NOTHING
        for copy in reversed(copies[node.low :]):  # A(A(A)?)?: each option lies in the one before it
            inner = self._chain(copy, tail)
            tail = Part(inner.first, inner.last, inner.empty + 1)
        whole = NOTHING
        for copy in copies[: node.low]:
            whole = self._chain(whole, copy)
        return self._chain(whole, tail)

    def _add_run(self, node: Repeat, chars: Chars) -> Part:
        """A repetition of one character: one position that may follow itself."""
        part = self._add_position(_mask(chars, self._insensitive), node.text)
        position = self.positions[-1]
        optional = 1 if node.low == 0 else 0
        if node.high == 1:
            return Part(part.first, part.last, optional)
        span = None if node.high is None else node.high - max(node.low, 1) + 1
        if self._block is not None or span is None or span > MAX_SPAN:
            span = None
            self._link(part.last, part.first)
        position.span, position.longest = span, node.high or 1
        return Part(part.first, part.last, optional)

    def _add_loop(self, node: Repeat) -> Part:
        """A repetition without end, or of too many copies to write out: all positions in it form one block."""
        outermost = self._block is None
        if outermost:
            self._block, self._text = len(self.positions), node.text
        part = self.add(node.body)
        if part.empty and node.low > 1:
            raise UnsupportedPattern(f"`{node.text}` repeats what may be empty; write `*` or `+` for the count")
        self._link(part.last, part.first)
        if outermost:
            self._block, self._text = None, ""
        return Part(part.first, _scale(part.last, 1 + part.empty), part.empty + (node.low == 0))


def _mask(node: Chars, insensitive: bool) -> int:
    mask = 0
    for low, high in node.ranges:
        if low < 128:
            mask |= (1 << min(high, 127) + 1) - (1 << low)
        if high >= 128:
            mask |= _OTHERS
    if insensitive:
        mask |= (mask & _CAPITALS) << 32 | (mask & _SMALL) >> 32
    return (ALL & ~mask) | _OTHERS if node.negated else mask


def _merge(parts: Iterable[Ways]) -> Ways:
    merged: Ways = {}
    for part in parts:
        for index, ways in part.items():
            merged[index] = merged.get(index, 0) + ways
    return merged


def _scale(part: Ways, factor: int) -> Ways:
    return {index: ways * factor for index, ways in part.items()} if factor else {}
