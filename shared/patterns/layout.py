"""A pattern laid out as positions: one bit of a whole number for each of its characters, edges and looks around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.patterns.tree import Chars, Choice, Edge, Look, Node, Repeat, Sequence

Test = Edge | Look
# From any of the positions in the first number to any of those in the second.
Link = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a pattern: the positions it may begin and end with, and whether it may be empty."""

    first: int
    last: int
    is_empty: bool


_NOTHING: Final = Part(0, 0, True)


class Layout:
    """The positions of a rewritten pattern (`shared.patterns.rewriting`), counts written out.

    `whole` is the pattern, `size` the number of its positions; `chars` and `tests` hold which of them take which
    characters and test which place, `links` what leads where. Backwards, the sequences run from their end.
    """

    def __init__(self, tree: Node, *, backwards: bool) -> None:
        self._backwards = backwards
        self.size = 0
        self.chars: dict[Chars, int] = {}
        self.tests: dict[Test, int] = {}
        self.links: dict[Link, None] = {}
        self.whole = self._add(tree)

    def _add(self, node: Node) -> Part:
        if isinstance(node, Chars):
            self.chars[node] = self.chars.get(node, 0) | 1 << self.size
            return self._add_position()
        if isinstance(node, Edge | Look):
            self.tests[node] = self.tests.get(node, 0) | 1 << self.size
            return self._add_position()
        if isinstance(node, Sequence):
            return self._add_sequence(node.items[::-1] if self._backwards else node.items)
        if isinstance(node, Choice):
            return self._add_choice(node)
        return self._add_repeat(node)

    def _add_position(self) -> Part:
        position = 1 << self.size
        self.size += 1
        return Part(position, position, False)

    def _link(self, last: int, first: int) -> None:
        if last and first:
            self.links[last, first] = None

    def _add_sequence(self, items: tuple[Node, ...]) -> Part:
        whole = _NOTHING
        for item in items:
            part = self._add(item)
            self._link(whole.last, part.first)
            first = whole.first | part.first if whole.is_empty else whole.first
            last = whole.last | part.last if part.is_empty else part.last
            whole = Part(first, last, whole.is_empty and part.is_empty)
        return whole

    def _add_choice(self, node: Choice) -> Part:
        first = last = 0
        is_empty = False
        for part in [self._add(branch) for branch in node.branches]:
            first |= part.first
            last |= part.last
            is_empty = is_empty or part.is_empty
        return Part(first, last, is_empty)

    def _add_repeat(self, node: Repeat) -> Part:
        """Copies of a part in a row, the first of which may be enough; without end, the last leads back to itself."""
        start, known = self.size, len(self.links)
        part = self._add(node.body)
        size, copies = self.size - start, count_copies(node)
        inner = list(self.links)[known:]
        for distance in range(size, size * copies, size):
            for last, first in inner:
                self._link(last << distance, first << distance)
            self._link(part.last << distance - size, part.first << distance)
        # Times a number of so many bits: copies of it.
        every = ((1 << size * copies) - 1) // ((1 << size) - 1)
        window = (1 << size) - 1 << start
        for chars, mask in self.chars.items():
            self.chars[chars] = mask | (mask & window) * every
        for test, mask in self.tests.items():
            self.tests[test] = mask | (mask & window) * every
        self.size = start + size * copies
        end = size * (copies - 1)
        if node.high is None:
            self._link(part.last << end, part.first << end)
        least = size * (max(node.low, 1) - 1)
        return Part(part.first, part.last * (every >> least) << least, part.is_empty or node.low == 0)


def count_positions(node: Node) -> int:
    """The positions of a pattern and of its looks around, counts written out."""
    if isinstance(node, Look):
        return 1 + count_positions(node.body)
    if isinstance(node, Repeat):
        return count_positions(node.body) * count_copies(node)
    if isinstance(node, Sequence | Choice):
        total = 0
        for each in node.items if isinstance(node, Sequence) else node.branches:
            total += count_positions(each)
        return total
    return 1


def count_copies(node: Repeat) -> int:
    """How often the body of a repetition has to be written out."""
    return max(node.low, 1) if node.high is None else node.high
