"""The guard: which links are joined, and which would be a runaway merge.

Links are judged in the order of their times, each by what came before it alone, so that what comes later never changes
what was refused:

- A visitor who gets more than `users_per_visitor` users within `window_days` is shared (a kiosk, a family's tablet):
  the link that shows it and all later ones of that visitor are refused, and those joined before are undone, since
  nobody knows whose they are. A shared visitor is shared for good.
- A link that would make a person of more than `visitors_per_person` visitors is refused. The visitor stays free to be
  linked to others: it is not the one who is linked too often (think of a site that identifies everybody as "guest").

Only the set of links counts, not how it was split into runs. A link that arrives late takes its place in the order, and
what followed is judged again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from origin.config import IdentityConfig

Ints = NDArray[np.int64]

# The outcomes of a link. An undone one was joined until its visitor was found to be shared.
JOINED: Final = "joined"
UNDONE: Final = "undone"
SHARED: Final = "shared"
TOO_LARGE: Final = "too_large"
OUTCOMES: Final = (JOINED, UNDONE, SHARED, TOO_LARGE)

DAY_MS: Final = 86_400_000


def judge(a: Ints, b: Ints, times_ms: Ints, is_visitor: NDArray[np.bool_], guard: IdentityConfig) -> Ints:
    """Return the outcome of each link, as its index in OUTCOMES.

    `a` and `b` are the nodes of n links in the order of `times_ms`, each pair of nodes once; `is_visitor` says of each
    node whether it is a visitor, else it is a user.
    """
    count = len(a)
    shared_at = _find_shared(a, b, times_ms, is_visitor, guard)
    at = np.minimum(shared_at[a], shared_at[b])
    order = np.arange(count)
    outcomes = np.where(order >= at, OUTCOMES.index(SHARED), np.where(at < count, OUTCOMES.index(UNDONE), 0))
    labels = label_components(a, b, len(is_visitor))
    is_large = np.bincount(labels, weights=is_visitor) > guard.visitors_per_person
    for group in _split(order[is_large[labels[a]]], labels[a]):
        for link in _refuse_growth(group, a, b, shared_at, is_visitor, guard.visitors_per_person):
            outcomes[link] = OUTCOMES.index(TOO_LARGE)
    return outcomes


def label_components(a: Ints, b: Ints, nodes: int) -> Ints:
    """The number of the connected component that each of the nodes 0, 1, … lies in."""
    if not nodes:
        return np.zeros(0, dtype=np.int64)
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    return labels.astype(np.int64)


def _find_shared(a: Ints, b: Ints, times_ms: Ints, is_visitor: NDArray[np.bool_], guard: IdentityConfig) -> Ints:
    """For each node the index of the link by which it is found to be shared; the number of links where it is not."""
    most = guard.users_per_visitor
    links = np.flatnonzero(is_visitor[a] != is_visitor[b])
    visitors = np.where(is_visitor[a], a, b)[links]
    by_visitor = np.argsort(visitors, kind="stable")
    links, visitors = links[by_visitor], visitors[by_visitor]
    span_ms = times_ms[links[most:]] - times_ms[links[:-most]]
    is_last = (visitors[most:] == visitors[:-most]) & (span_ms <= guard.window_days * DAY_MS)
    shared_at = np.full(len(is_visitor), len(a), dtype=np.int64)
    np.minimum.at(shared_at, visitors[most:][is_last], links[most:][is_last])
    return shared_at


def _split(links: Ints, labels: Ints) -> Iterable[Ints]:
    """The links by the component they lie in, each part in its order."""
    by_label = links[np.argsort(labels[links], kind="stable")]
    return np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1) if len(by_label) else ()


def _refuse_growth(
    group: Ints, a: Ints, b: Ints, shared_at: Ints, is_visitor: NDArray[np.bool_], most: int
) -> list[int]:
    """Go through the links of one component one by one; return those that would make a person too large."""
    growing = _Growing(is_visitor)
    refused = []
    for link in group.tolist():
        ends = int(a[link]), int(b[link])
        for node in ends:
            if shared_at[node] == link:
                growing.cut(node)
        if link >= min(shared_at[ends[0]], shared_at[ends[1]]):
            continue
        if growing.size_joined(*ends) > most:
            refused.append(link)
        else:
            growing.join(*ends)
    return refused


class _Growing:
    """Persons while links are joined one by one, so that a node's links can also be undone."""

    def __init__(self, is_visitor: NDArray[np.bool_]) -> None:
        self._is_visitor = is_visitor
        self._beside: dict[int, set[int]] = {}
        self._person: dict[int, _Person] = {}

    def size_joined(self, a: int, b: int) -> int:
        """How many visitors the person of both nodes has, or would have."""
        first, second = self._find(a), self._find(b)
        return first.visitors if first is second else first.visitors + second.visitors

    def join(self, a: int, b: int) -> None:
        self._beside.setdefault(a, set()).add(b)
        self._beside.setdefault(b, set()).add(a)
        first, second = sorted((self._find(a), self._find(b)), key=lambda person: len(person.nodes))
        if first is not second:
            second.nodes += first.nodes
            second.visitors += first.visitors
            self._person.update(dict.fromkeys(first.nodes, second))

    def cut(self, node: int) -> None:
        """Undo all links of a node; what held together through it alone falls apart."""
        left = self._find(node).nodes
        for other in self._beside.pop(node, ()):
            self._beside[other].discard(node)
        for each in left:
            self._person.pop(each, None)
        for each in left:
            if each not in self._person:
                self._gather(each)

    def _find(self, node: int) -> _Person:
        found = self._person.get(node)
        if found is None:
            found = self._person[node] = _Person([node], int(self._is_visitor[node]))
        return found

    def _gather(self, start: int) -> None:
        nodes, seen = [start], {start}
        for node in nodes:
            more = [other for other in self._beside.get(node, ()) if other not in seen]
            seen.update(more)
            nodes += more
        person = _Person(nodes, sum(int(self._is_visitor[node]) for node in nodes))
        self._person.update(dict.fromkeys(nodes, person))


class _Person:
    __slots__ = ("nodes", "visitors")

    def __init__(self, nodes: list[int], visitors: int) -> None:
        self.nodes = nodes
        self.visitors = visitors
