"""The trail: what each run changed, merge by merge.

A row a change: when it was recorded, its kind, the link with its time, source and evidence, the persons it found
before, the person after, and the reason where a link was not joined. Kinds are `merged` (a link joined two persons),
`refused` (a new link was not joined) and `undone` (a link that had been joined is so no longer, by the guard or because
nothing says it any more but an import that was forgotten).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from origin.config import IdentityConfig
from origin.identity.graph import Graph
from origin.identity.guard import JOINED, OUTCOMES, SHARED, UNDONE, USER_SHARED, USER_UNDONE, Ints
from origin.identity.state import VISITOR

MERGED: Final = "merged"
REFUSED: Final = "refused"
TRAIL: Final = pa.schema(
    [
        ("recorded_ms", pa.int64()),
        ("kind", pa.string()),
        ("a", pa.string()),
        ("b", pa.string()),
        ("first_ms", pa.int64()),
        ("source", pa.string()),
        ("evidence", pa.string()),
        ("before", pa.list_(pa.string())),
        ("person", pa.string()),
        ("reason", pa.string()),
    ]
)


def explain_outcome(outcome: str, guard: IdentityConfig) -> str:
    """Why a link with that outcome is not joined."""
    if outcome in (SHARED, UNDONE):
        return (
            f"the visitor is shared: more than {guard.users_per_visitor} users within {guard.window_days} days, "
            "so it is linked to nobody"
        )
    if outcome in (USER_SHARED, USER_UNDONE):
        return (
            f"the user is shared: more than {guard.visitors_per_user} visitors within {guard.user_window_days} days, "
            "so it is linked to nobody"
        )
    return (
        f"the person would have more than {guard.visitors_per_person} visitors, of which the link of a single one "
        f"counts those of the last {guard.person_window_days} days"
    )


# A change by numbers: its kind, the link, the persons before and the person after, each as the node that names it.
_Change = tuple[str, int, tuple[int, ...], int]


def record_changes(
    graph: Graph, links: pa.Table, before: Ints, now: Ints, guard: IdentityConfig, recorded_ms: int
) -> pa.Table:
    """Return the rows of the trail for a run: links undone, then merges and refusals in the order of the links.

    `links` are the links' rows; `before` and `now` are their outcomes by number, -1 in `before` where a link is new.
    """
    was, is_now = before == OUTCOMES.index(JOINED), now == OUTCOMES.index(JOINED)
    kinds: list[str] = []
    changed: list[int] = []
    persons: list[int] = []
    found: list[int] = []
    ends = [0]
    for kind, link, found_before, person in chain(
        _find_undone(graph, was, is_now), _find_new(graph, was, is_now, before < 0)
    ):
        kinds.append(kind)
        changed.append(link)
        persons.append(person)
        found += found_before
        ends.append(len(found))
    names = pc.replace_substring_regex(pa.array(graph.nodes, pa.string()), f"^{VISITOR}", "")
    reasons = ["" if name == JOINED else explain_outcome(name, guard) for name in OUTCOMES]
    told = links.select(["a", "b", "first_ms", "source", "evidence"]).take(pa.array(changed, pa.int64()))
    columns = {
        "recorded_ms": pa.repeat(recorded_ms, len(changed)),
        "kind": pa.array(kinds, pa.string()),
        **dict(zip(told.column_names, told.columns, strict=True)),
        "before": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), names.take(pa.array(found, pa.int64()))),
        "person": names.take(pa.array(persons, pa.int64())),
        "reason": pa.array(reasons).take(pa.array(now[changed], pa.int64())),
    }
    return pa.table(columns, schema=TRAIL)


def name_persons(graph: Graph, joined: NDArray[np.bool_]) -> dict[str, str]:
    """The name of each node's person."""
    return {node: graph.name(person) for node, person in zip(graph.nodes, graph.label(joined).tolist(), strict=True)}


def record_forgotten(links: pa.Table, before: Mapping[str, str], now: Mapping[str, str], recorded_ms: int) -> pa.Table:
    """Return the rows of the trail for links that had been joined and that nothing says any more, in their order.

    `before` and `now` are the names of persons by node; who is linked to nobody is not there now.
    """
    rows = [
        {
            **{name: link[name] for name in ("a", "b", "first_ms", "source", "evidence")},
            "recorded_ms": recorded_ms,
            "kind": UNDONE,
            "before": [before[link["b"]]],
            "person": now.get(link["b"], link["b"].removeprefix(VISITOR)),
            "reason": "the import that said so was forgotten",
        }
        for link in links.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=TRAIL)


def _find_undone(graph: Graph, was: NDArray[np.bool_], is_now: NDArray[np.bool_]) -> Iterator[_Change]:
    """Links that were joined and are not any more; the second node of a link is its visitor, if it has one."""
    undone = np.flatnonzero(was & ~is_now).tolist()
    if undone:
        before, after = graph.label(was), graph.label(is_now)
        for link in undone:
            node = graph.b[link]
            yield UNDONE, link, (int(before[node]),), int(after[node])


def _find_new(
    graph: Graph, was: NDArray[np.bool_], is_now: NDArray[np.bool_], is_new: NDArray[np.bool_]
) -> Iterator[_Change]:
    """New links, joined one by one to the persons that stayed joined."""
    fresh = np.flatnonzero((is_new | is_now) & ~(was & is_now)).tolist()
    if not fresh:
        return
    labels = graph.label(was & is_now)
    named: dict[int, int] = {}

    def find(node: int) -> int:
        person = int(labels[node])
        while person in named:
            above = named[person]
            named[person] = person = named.get(above, above)
        return person

    for link in fresh:
        ends = find(int(graph.a[link])), find(int(graph.b[link]))
        first, second = sorted(ends, key=graph.precedence)
        if not is_now[link]:
            yield REFUSED, link, ends, ends[1]
        elif first != second:
            named[second] = first
            yield MERGED, link, ends, first
