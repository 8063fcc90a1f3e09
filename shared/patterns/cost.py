"""How long a backtracking matcher may take over a pattern, bounded from the pattern alone.

A matcher that fails has walked every path of the pattern's automaton that the text allows. So what counts is where one
character may go two ways:

- within a repetition, if two ways come together again, every round doubles the paths: the pattern is refused;
- between a repetition and what follows, the paths multiply by the number of places where the repetition may end, so
  they are a polynomial in the length of the text;
- where a repetition and what follows differ in their next character (`[^/]*/`), nothing multiplies.

After A. Weber and H. Seidl, "On the degree of ambiguity of finite automata" (1991).
"""

from __future__ import annotations

from typing import Final

from shared.patterns.automaton import ALL, Automaton, Position, Ways
from shared.patterns.polynomials import Polynomial, add, evaluate, highest, times
from shared.patterns.tree import Node, UnsupportedPattern

# What a matcher pays, in units of 0.1 µs in Pyodide: for a character, and for beginning a repetition or a round of one.
STEP: Final = 0.3
ROUND: Final = 1.0
MAX_PAIRS: Final = 4_000
MOST_WAYS: Final = 1 << 60
# The length of text at which the smaller of two bounds is chosen.
TYPICAL_LENGTH: Final = 200


def bound_steps(tree: Node, *, insensitive: bool, anchored: bool) -> Polynomial:
    """Bound the steps of a search that fails, for texts of n characters.

    `anchored` says that the search is tried at the start only. Raises UnsupportedPattern, with the part of the pattern
    that is to blame and a remedy, where the steps may grow exponentially or the pattern is too large to tell.
    """
    automaton = Automaton(insensitive)
    start = automaton.add(tree)
    return _Walk(automaton.positions).from_start(start.first, anywhere=not anchored)


class _Walk:
    """The paths through an automaton, counted from its end."""

    def __init__(self, positions: list[Position]) -> None:
        self._positions = positions

    def from_start(self, first: Ways, *, anywhere: bool = False) -> Polynomial:
        """The steps of all paths from `first` on, begun at one place or at every place of the text."""
        steps: list[Polynomial] = [()] * len(self._positions)
        end = len(self._positions)
        while end > 0:
            start = self._positions[end - 1].block
            walked = self._walk_block(range(start, end), steps)
            steps[start:end] = [walked] * (end - start)
            end = start
        if anywhere:
            each, once = self._branch(first, steps)
            return add((0.0, *add((STEP,), each)), once)
        return add((ROUND,), self._branch_once(first, steps))

    def _walk_block(self, block: range, steps: list[Polynomial]) -> Polynomial:
        """The steps from any position of a block on, those of all positions behind it being known."""
        position = self._positions[block.start]
        exits = []
        ambiguous = False
        for index in block:
            follow = self._positions[index].follow
            exits.append({successor: ways for successor, ways in follow.items() if successor not in block})
            inward = [self._positions[successor].chars for successor in follow if successor in block]
            ambiguous = ambiguous or any(self._positions[out].chars & chars for out in exits[-1] for chars in inward)
        if block.start in position.follow or len(block) > 1:
            width = float(len(block)) if self._is_branching(block) else 1.0
            step = STEP if position.is_quick else ROUND
            if ambiguous or width > 1:
                each, once = self._highest_branch(exits, steps)
                return times(add((ROUND, *add((step,), each)), once), width)
            return add((ROUND, step), highest([self._branch_once(out, steps) for out in exits]))
        own = self._walk_one(position)
        if position.span == 1 or not any(self._positions[out].chars & position.chars for out in exits[0]):
            return add(own, self._branch_once(exits[0], steps))
        each, once = self._branch(exits[0], steps)
        return add(add(own, times(each, float(position.span or 1))), once)

    def _walk_one(self, position: Position) -> Polynomial:
        """The steps within a position that does not follow itself."""
        if position.look is not None:
            positions, first = position.look
            return _Walk(positions).from_start(first)
        if position.ending:
            return (ROUND, ROUND + STEP * position.ending)
        if position.longest == 1:
            return (STEP,)
        return (ROUND + position.longest * (STEP if position.is_quick else ROUND),)

    def _highest_branch(self, exits: list[Ways], steps: list[Polynomial]) -> tuple[Polynomial, Polynomial]:
        branches = [self._branch(out, steps) for out in exits]
        return highest([each for each, _ in branches]), highest([once for _, once in branches])

    def _branch_once(self, ways: Ways, steps: list[Polynomial]) -> Polynomial:
        """The steps of the paths that one character may take among successors, from one place of the text."""
        return self._choose(ways, [steps[index] for index in ways])

    def _branch(self, ways: Ways, steps: list[Polynomial]) -> tuple[Polynomial, Polynomial]:
        """The same from every place of the text: the steps for each place, and those to be added once."""
        spread = [self._spread(index, steps) for index in ways]
        return self._choose(ways, [each for each, _ in spread]), self._choose(ways, [once for _, once in spread])

    def _choose(self, ways: Ways, walked: list[Polynomial]) -> Polynomial:
        """The smaller of two bounds: all successors together, or the longest as often as one character has ways."""
        masks = [(self._positions[index].chars, n) for index, n in ways.items()]
        longest = times(highest(walked), float(_count_overlapping(masks)))
        together: Polynomial = ()
        for each, n in zip(walked, ways.values(), strict=True):
            together = add(together, times(each, float(min(n, MOST_WAYS))))
        return min(longest, together, key=lambda steps: evaluate(steps, TYPICAL_LENGTH))

    def _spread(self, index: int, steps: list[Polynomial]) -> tuple[Polynomial, Polynomial]:
        """A fixed text of period p stands at n/p + 1 places at most; only from these do steps go on behind it."""
        run: list[int] = []
        end = index
        while self._is_plain(end):
            run.append(self._positions[end].chars)
            end += 1
            if self._positions[end - 1].follow != {end: 1}:
                break
        if not run:
            return steps[index], ()
        period = next(p for p in range(1, len(run) + 1) if all(a & b for a, b in zip(run, run[p:], strict=False)))
        behind = self._branch_once(self._positions[end - 1].follow, steps)
        return add((STEP * len(run),), times(behind, 1 / period)), behind

    def _is_plain(self, index: int) -> bool:
        """Whether a position stands for one character, once."""
        position = self._positions[index]
        runs = position.is_looped or position.longest > 1 or index in position.follow
        return not runs and position.look is None and not position.ending

    def _is_branching(self, block: range) -> bool:
        """Whether one character may go two ways within a block. Raises where two such ways can meet again."""
        starts: set[tuple[int, int]] = set()
        for index in block:
            inward = [(each, n) for each, n in self._positions[index].follow.items() if each in block]
            for i, (left, ways) in enumerate(inward):
                if ways > 1:
                    raise self._refuse(block)
                for right, _ in inward[i + 1 :]:
                    if self._positions[left].chars & self._positions[right].chars:
                        starts.add((left, right))
        if starts and self._can_meet(starts, block):
            raise self._refuse(block)
        return bool(starts)

    def _can_meet(self, starts: set[tuple[int, int]], block: range) -> bool:
        seen, waiting = set(starts), sorted(starts)
        while waiting:
            left, right = waiting.pop()
            for a in self._positions[left].follow:
                for b in self._positions[right].follow:
                    if a not in block or b not in block or not self._positions[a].chars & self._positions[b].chars:
                        continue
                    if a == b or len(seen) > MAX_PAIRS:
                        return True
                    if (a, b) not in seen:
                        seen.add((a, b))
                        waiting.append((a, b))
        return False

    def _refuse(self, block: range) -> UnsupportedPattern:
        return UnsupportedPattern(
            f"`{self._positions[block.start].text}` can take exponentially long, since what it repeats can match the "
            "same text in more than one way; write it so that there is one way, as in `a+` for `(a+)+`"
        )


def _count_overlapping(masks: list[tuple[int, int]]) -> int:
    """The largest number of ways that one character has, by the characters and the ways of each successor."""
    levels: dict[int, int] = {0: ALL}
    for mask, ways in masks:
        for count, chars in sorted(levels.items(), reverse=True):
            if chars & mask:
                levels[count + ways] = levels.get(count + ways, 0) | chars & mask
    return min(max(levels), MOST_WAYS)
