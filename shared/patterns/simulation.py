"""A pattern run by following all its ways at once: time linear in the text, whatever the pattern.

Every character, edge and look around of a pattern is a position (Glushkov's automaton), and the positions that may come
next are the bits of one whole number: after G. Navarro and M. Raffinot, "New techniques for regular expression
searching" (Algorithmica 41, 2005). An edge or a look takes no character: where it holds, what follows it is reached at
once. Where looks hold is found for the whole text beforehand, each by an automaton of its own; one for a look ahead
reads backwards. What follows on a set of positions and a character is kept, so that most characters cost a look-up.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from shared.patterns.layout import Layout, Link, Test, count_positions
from shared.patterns.tree import Chars, Look, Node, UnsupportedPattern

MAX_POSITIONS: Final = 2_100
# The most that a character may cost, in operations on short whole numbers: some 0.1 µs each in Pyodide.
MAX_WORK: Final = 80.0
# So many steps are kept before all are forgotten: some 300 KB.
MAX_KEPT: Final = 1_000
# A link of more edges than this is never taken apart.
FEW: Final = 16
# The rows of no position at all, and of those that a text may begin with.
NOWHERE: Final = 0
START: Final = 1
# A character (none at the end of a text), with the tests that hold before it where the pattern has any.
Symbol = str | tuple[int, str]


class Simulation:
    """A pattern, ready to be searched for."""

    def __init__(self, tree: Node, *, anchored: bool) -> None:
        """Prepare a rewritten pattern; `anchored` says that it can match at the start only. Raises UnsupportedPattern,
        with a remedy, where it is too large or one character may take too many operations."""
        count = count_positions(tree)
        if count > MAX_POSITIONS:
            raise UnsupportedPattern(
                f"{count} characters with its counts written out, at most {MAX_POSITIONS} are allowed; lower the "
                "counts, or write `*` or `+` for them"
            )
        self._machine = _Machine(tree, anywhere=not anchored, backwards=False)
        if self._machine.work > MAX_WORK:
            raise UnsupportedPattern(
                "so many alternatives, counts and looks around can apply to the same character that it takes too "
                "long; use fewer"
            )

    def finds(self, units: str) -> bool:
        """Whether the pattern occurs in a text of UTF-16 units."""
        return self._machine.search(units)


class _Machine:
    """The automaton of a pattern or of a look's body. `work` bounds the operations that a character takes."""

    def __init__(self, tree: Node, *, anywhere: bool, backwards: bool) -> None:
        layout = Layout(tree, backwards=backwards)
        whole = layout.whole
        self._accept = 1 << layout.size
        self._shifts, self._jumps = _arrange([*layout.links, (whole.last, self._accept)])
        self._bounds, self._takers = _tabulate(layout.chars)
        self._tests = layout.tests
        self._looks = {
            test: _Machine(test.body, anywhere=True, backwards=not test.behind)
            for test in layout.tests
            if isinstance(test, Look)
        }
        self._start = whole.first | (self._accept if whole.is_empty else 0)
        self._again = self._start if anywhere else 0
        self._backwards = backwards
        self._rows: list[dict[Symbol, int]] = []
        self._forget()
        self.work = self._count_work(layout.size)

    def search(self, units: str) -> bool:
        """Whether a match ends anywhere."""
        rows, row = self._rows, START
        for symbol in self._read(units):
            onward = rows[row].get(symbol)
            if onward is None:
                onward = self._step(row, symbol)
            if onward <= NOWHERE:
                return onward < NOWHERE
            row = onward
        return False

    def mark(self, units: str) -> list[bool]:
        """Whether a match ends (backwards: begins) at each place of a text, the one behind it included."""
        rows, row = self._rows, START
        marks = []
        for symbol in self._read(units):
            onward = rows[row].get(symbol)
            if onward is None:
                onward = self._step(row, symbol)
            marks.append(onward < NOWHERE)
            row = onward if onward >= NOWHERE else ~onward
        return marks[::-1] if self._backwards else marks

    def _read(self, units: str) -> Sequence[Symbol]:
        chars = [*(units[::-1] if self._backwards else units), ""]
        if not self._tests:
            return chars
        holding = [self._accept] * len(chars)
        for test, mask in self._tests.items():
            for place in self._list_places(test, units):
                holding[place] |= mask
        if self._backwards:
            holding.reverse()
        return list(zip(holding, chars, strict=True))

    def _list_places(self, test: Test, units: str) -> Sequence[int]:
        """The places of a text where a test holds: 0 before its first character."""
        if isinstance(test, Look):
            return [place for place, found in enumerate(self._looks[test].mark(units)) if found is not test.negated]
        if test.kind in "^$":
            return (0 if test.kind == "^" else len(units),)
        edges = [found.start() for found in re.finditer(r"\b", units, re.ASCII)]
        if test.kind == "b":
            return edges
        is_edge = frozenset(edges)
        return [place for place in range(len(units) + 1) if place not in is_edge]

    def _step(self, row: int, symbol: Symbol) -> int:
        """What comes of a symbol: the row of the positions reached by it, inverted (below 0) where a match ends before
        it."""
        holding, char = (self._accept, symbol) if isinstance(symbol, str) else symbol
        reached, passed = self._reached[row], 0
        while fresh := reached & holding & ~passed:
            passed |= fresh
            reached |= self._advance(fresh)
        taken = self._takers[bisect_left(self._bounds, ord(char) + 1)] if char else 0
        after = self._advance(reached & taken) | self._again
        is_full = self._kept == MAX_KEPT
        if is_full:
            self._forget()
        target = self._numbers.setdefault(after, len(self._rows))
        if target == len(self._rows):
            self._rows.append({})
            self._reached.append(after)
        onward = ~target if passed & self._accept else target
        if not is_full:
            self._rows[row][symbol] = onward
            self._kept += 1
        return onward

    def _forget(self) -> None:
        """Keep no rows but those of nothing and of the start."""
        self._kept = 0
        self._reached = [0, self._start]
        self._numbers = {each: row for row, each in enumerate(self._reached)}
        self._rows[:] = [{}, {}]

    def _advance(self, positions: int) -> int:
        """All that may come after any of these positions."""
        reached = 0
        for distance, mask in self._shifts:
            moved = positions & mask
            reached |= moved << distance if distance >= 0 else moved >> -distance
        for last, first in self._jumps:
            if positions & last:
                reached |= first
        return reached

    def _count_work(self, size: int) -> float:
        tests = 0
        for mask in self._tests.values():
            tests |= mask
        in_a_row, reached = 0, tests
        while reached and in_a_row < tests.bit_count():
            in_a_row += 1
            reached = self._advance(reached) & tests
        moves = len(self._shifts) + len(self._jumps)
        work = (5 + moves * (1 + in_a_row)) * (1.0 + size / 400) + 3 * len(self._tests)
        for look in self._looks.values():
            work += look.work
        return work


def _tabulate(chars: dict[Chars, int]) -> tuple[list[int], list[int]]:
    """Where in Unicode other positions begin to take a character, and before each of these places and behind the last
    which do."""
    toggles: dict[int, int] = {}
    for each, mask in chars.items():
        for low, high in each.ranges:
            toggles[low] = toggles.get(low, 0) ^ mask
            toggles[high + 1] = toggles.get(high + 1, 0) ^ mask
    bounds = sorted(toggles)
    takers = [0]
    for bound in bounds:
        takers.append(takers[-1] ^ toggles[bound])
    return bounds, takers


def _arrange(links: list[Link]) -> tuple[list[Link], list[Link]]:
    """Links as shifts by a distance, each of the positions it starts from, and as jumps to a set of positions.

    Links of few edges that lead equally far become shifts, if there are at least as many as distances: so do all
    copies of a repeated piece at once.
    """
    alike: dict[tuple[int, ...], list[Link]] = {}
    for last, first in links:
        is_small = last.bit_count() * first.bit_count() <= FEW
        distances = {to - start for start in _list_bits(last) for to in _list_bits(first)} if is_small else set()
        alike.setdefault(tuple(sorted(distances)), []).append((last, first))
    shifts: dict[int, int] = {}
    jumps: dict[int, int] = {}
    for far, group in sorted(alike.items(), key=lambda each: len(each[0])):
        as_shifts = far and (len(group) >= len(far) or all(each in shifts for each in far))
        for last, first in group:
            if not as_shifts:
                jumps[first] = jumps.get(first, 0) | last
                continue
            for start in _list_bits(last):
                for to in _list_bits(first):
                    shifts[to - start] = shifts.get(to - start, 0) | 1 << start
    return list(shifts.items()), [(last, first) for first, last in jumps.items()]


def _list_bits(number: int) -> list[int]:
    bits = []
    while number:
        lowest = number & -number
        bits.append(lowest.bit_length() - 1)
        number ^= lowest
    return bits
