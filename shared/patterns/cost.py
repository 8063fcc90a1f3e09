"""How long Python's `re` may take over a pattern.

A backtracking matcher that fails has tried every way the pattern allows. So a pattern has two numbers, for texts of one
length: the steps within it, and the ways to come through it, each of which costs the steps of all that follows.
"""

from __future__ import annotations

from typing import Final

from shared.patterns.tree import Chars, Choice, Edge, Look, Node, Ranges, Repeat, Sequence

# The steps to begin a branch, a look around or a round of a repetition; a character is one step.
ROUND: Final = 8.0
# More rounds than this that can go several ways are not multiplied out.
MAX_ROUNDS: Final = 12
# So many branches are compared with each other.
MAX_BRANCHES: Final = 20
WITHOUT_BOUND: Final = (float("inf"), float("inf"))

Count = tuple[float, float]


def bound_steps(tree: Node, length: int, *, anchored: bool) -> float:
    """Bound the steps of a search through a text of that length; infinite where they may grow exponentially.

    A step takes some 20 ns in Pyodide. `anchored` says that the search is tried at the start only.
    """
    steps, _ = _count(tree, float(length))
    return steps if anchored else (length + 1.0) * (steps + 1.0)


def _count(node: Node, length: float) -> Count:
    """The steps within a node, and the ways through it."""
    if isinstance(node, Sequence):
        return _count_sequence(node.items, length)
    if isinstance(node, Choice):
        return _count_choice(node.branches, length)
    if isinstance(node, Look):
        return ROUND + _count(node.body, length)[0], 1.0
    if isinstance(node, Repeat):
        return _count_run(node, length) if isinstance(node.body, Chars) else _count_rounds(node, length)
    return 1.0, 1.0


def _count_choice(branches: tuple[Node, ...], length: float) -> Count:
    steps = ways = most = 0.0
    for branch in branches:
        more_steps, more_ways = _count(branch, length)
        steps += ROUND + more_steps
        ways += more_ways
        most = max(most, more_ways)
    return steps, most if _exclude_each_other(branches) else ways


def _count_sequence(items: tuple[Node, ...], length: float) -> Count:
    steps, ways = 1.0, 1.0
    following: Node | None = None
    for item in reversed(items):
        own, exits = _count(item, length)
        if _ends_at_one_place(item, following):
            steps += own + exits
        else:
            steps, ways = own + exits * steps, exits * ways
        following = item
    return steps, ways


def _count_run(node: Repeat, length: float) -> Count:
    """A repetition of one character."""
    most = length if node.high is None else min(float(node.high), length)
    return ROUND + most, max(most - node.low, 0.0) + 1.0


def _count_rounds(node: Repeat, length: float) -> Count:
    steps, ways = _count(node.body, length)
    steps += ROUND
    if ways == 1.0:
        most = length if node.high is None else min(float(node.high), length)
        return most * steps + ROUND, max(most - node.low, 0.0) + 1.0
    if node.high is None or node.high > MAX_ROUNDS:
        return WITHOUT_BOUND
    all_steps, all_ways = 1.0, 1.0
    for round_ in range(node.high, 0, -1):
        is_optional = round_ > node.low
        all_steps, all_ways = steps + ways * all_steps, ways * all_ways + is_optional
    return all_steps, all_ways


def _ends_at_one_place(node: Node, following: Node | None) -> bool:
    """Whether a node is a run of characters that what follows can take over from at one place only: at its end."""
    if not isinstance(node, Repeat) or not isinstance(node.body, Chars):
        return False
    if isinstance(following, Repeat) and following.low > 0:
        following = following.body
    if isinstance(following, Chars):
        return _are_disjoint(node.body.ranges, following.ranges)
    return following == Edge("$")


def _exclude_each_other(branches: tuple[Node, ...]) -> bool:
    """Whether no text begins with two of several branches, as far as a few characters show."""
    openings = [_list_opening(branch) for branch in branches[: MAX_BRANCHES + 1]]
    return len(branches) <= MAX_BRANCHES and all(
        any(_are_disjoint(a.ranges, b.ranges) for a, b in zip(left, right, strict=False))
        for i, left in enumerate(openings)
        for right in openings[:i]
    )


def _list_opening(node: Node) -> list[Chars]:
    """The characters that a node surely begins with, one by one, eight at most."""
    opening: list[Chars] = []
    for item in node.items[:8] if isinstance(node, Sequence) else (node,):
        if not isinstance(item, Chars):
            break
        opening.append(item)
    return opening


def _are_disjoint(left: Ranges, right: Ranges) -> bool:
    return all(high < start or end < low for low, high in left for start, end in right)
