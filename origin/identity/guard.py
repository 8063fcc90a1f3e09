"""The guard: which links are joined, and which would be a runaway merge.

Links are judged in the order of their times, each by what came before it alone, so that what comes later never changes
what was refused:

- A visitor who gets more than `users_per_visitor` users within `window_days` is shared (a kiosk, a family's tablet):
  the link that shows it and all later ones of that visitor are refused, and those joined before are undone, since
  nobody knows whose they are. A shared visitor is shared for good.
- A user who appears on more than `visitors_per_user` visitors within `user_window_days` is shared in the same way
  (think of a site that identifies everybody as "guest").
- A link that would make a person of more than `visitors_per_person` visitors is refused. Both ends stay free to be
  linked to others. Where the link adds a single visitor or user, only visitors count whose first link is not older than
  `person_window_days`: the cookies of most others have been cleared since. Where it joins two persons, all count.

Only the set of links counts, not how it was split into runs. A link that arrives late takes its place in the order, and
what followed is judged again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from origin.config import IdentityConfig

Ints = NDArray[np.int64]

# The outcomes of a link. An undone one was joined until its visitor, or its user, was found to be shared.
JOINED: Final = "joined"
UNDONE: Final = "undone"
SHARED: Final = "shared"
TOO_LARGE: Final = "too_large"
USER_UNDONE: Final = "user_undone"
USER_SHARED: Final = "user_shared"
OUTCOMES: Final = (JOINED, UNDONE, SHARED, TOO_LARGE, USER_UNDONE, USER_SHARED)

DAY_MS: Final = 86_400_000


def judge(a: Ints, b: Ints, times_ms: Ints, is_visitor: NDArray[np.bool_], guard: IdentityConfig) -> Ints:
    """Return the outcome of each link, as its index in OUTCOMES.

    `a` and `b` are the nodes of n links in the order of `times_ms`, each pair of nodes once; `is_visitor` says of each
    node whether it is a visitor, else it is a user.
    """
    count, order = len(a), np.arange(len(a))
    shared_at = _find_shared(a, b, times_ms, is_visitor, guard)
    by_visitor, by_user = (
        np.minimum(found[a], found[b])
        for found in (np.where(is_visitor, shared_at, count), np.where(is_visitor, count, shared_at))
    )
    outcomes = np.full(count, OUTCOMES.index(JOINED))
    for at, first, refused, undone in (
        (by_visitor, by_visitor <= by_user, SHARED, UNDONE),
        (by_user, by_user < by_visitor, USER_SHARED, USER_UNDONE),
    ):
        outcomes[first & (order >= at)] = OUTCOMES.index(refused)
        outcomes[first & (order < at) & (at < count)] = OUTCOMES.index(undone)
    labels = label_components(a, b, len(is_visitor))
    is_large = np.bincount(labels, weights=is_visitor) > guard.visitors_per_person
    growing = _Growing(is_visitor, _find_first(a, b, times_ms, len(is_visitor)), guard)
    for link in order[is_large[labels[a]]].tolist():
        ends = int(a[link]), int(b[link])
        for node in ends:
            if shared_at[node] == link:
                growing.cut(node)
        if link >= min(by_visitor[link], by_user[link]):
            continue
        if growing.may_join(*ends, int(times_ms[link])):
            growing.join(*ends)
        else:
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
    shared_at = np.full(len(is_visitor), len(a), dtype=np.int64)
    links = np.flatnonzero(is_visitor[a] != is_visitor[b])
    visitors, users = np.where(is_visitor[a], a, b)[links], np.where(is_visitor[a], b, a)[links]
    for nodes, most, days in (
        (visitors, guard.users_per_visitor, guard.window_days),
        (users, guard.visitors_per_user, guard.user_window_days),
    ):
        by_node = np.argsort(nodes, kind="stable")
        own, sorted_nodes = links[by_node], nodes[by_node]
        span_ms = times_ms[own[most:]] - times_ms[own[:-most]]
        is_last = (sorted_nodes[most:] == sorted_nodes[:-most]) & (span_ms <= days * DAY_MS)
        np.minimum.at(shared_at, sorted_nodes[most:][is_last], own[most:][is_last])
    return shared_at


def _find_first(a: Ints, b: Ints, times_ms: Ints, nodes: int) -> Ints:
    """When each node was first linked to any other."""
    first_ms = np.full(nodes, np.iinfo(np.int64).max)
    np.minimum.at(first_ms, a, times_ms)
    np.minimum.at(first_ms, b, times_ms)
    return first_ms


class _Growing:
    """Persons while links are joined one by one, so that a node's links can also be undone."""

    def __init__(self, is_visitor: NDArray[np.bool_], first_ms: Ints, guard: IdentityConfig) -> None:
        self._is_visitor = is_visitor
        self._first_ms = first_ms
        self._most = guard.visitors_per_person
        self._window_ms = guard.person_window_days * DAY_MS
        self._beside: dict[int, set[int]] = {}
        self._person: dict[int, _Person] = {}

    def may_join(self, a: int, b: int, now_ms: int) -> bool:
        """Whether the person of both nodes is, or would be, no larger than allowed."""
        first, second = self._find(a), self._find(b)
        if first is second:
            return True
        if min(len(first.nodes), len(second.nodes)) > 1:
            return len(first.visitors_ms) + len(second.visitors_ms) <= self._most
        since_ms = now_ms - self._window_ms
        return sum([each_ms >= since_ms for each_ms in (*first.visitors_ms, *second.visitors_ms)]) <= self._most

    def join(self, a: int, b: int) -> None:
        self._beside.setdefault(a, set()).add(b)
        self._beside.setdefault(b, set()).add(a)
        first, second = sorted((self._find(a), self._find(b)), key=lambda person: len(person.nodes))
        if first is not second:
            second.nodes += first.nodes
            second.visitors_ms += first.visitors_ms
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
            found = self._person[node] = self._make([node])
        return found

    def _gather(self, start: int) -> None:
        nodes, seen = [start], {start}
        for node in nodes:
            more = [other for other in self._beside.get(node, ()) if other not in seen]
            seen.update(more)
            nodes += more
        self._person.update(dict.fromkeys(nodes, self._make(nodes)))

    def _make(self, nodes: list[int]) -> _Person:
        return _Person(nodes, [int(self._first_ms[node]) for node in nodes if self._is_visitor[node]])


class _Person:
    """The nodes of a person, and when each of its visitors was first linked."""

    __slots__ = ("nodes", "visitors_ms")

    def __init__(self, nodes: list[int], visitors_ms: list[int]) -> None:
        self.nodes = nodes
        self.visitors_ms = visitors_ms
