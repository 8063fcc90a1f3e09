"""Persons, as training and publishing need them: which unit belongs to whom, and which units a person has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np

from origin.config import IdentityConfig
from origin.identity.graph import UNSEEN, read_graph
from origin.identity.guard import JOINED, OUTCOMES, judge
from origin.identity.state import opened, read_state
from origin.lake import Lake

_MEMBERS = ibis.schema({"member": "string", "person": "string"})
_SENDERS = ibis.schema({"sender": "string", "member": "string", "person": "string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """The persons of several units: the units of each by the person's own, which is one of them. And by what else a
    person is named in events: `user:<hash>` or a visitor, with the unit of its person where that is another. `crossed`
    is how many visitors have ever taken over a unit that was not theirs.

    A unit is the id of a visitor that the edge has seen; every unit that is not among them is a person of its own.
    """

    units: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    crossed: int = 0

    def name_persons(self, rows: ir.Table) -> ir.Table:
        """Rows that have a `unit`, with `person`: the unit of the person that it belongs to."""
        pairs = [{"member": unit, "person": person} for person, units in self.units.items() for unit in units]
        members = ibis.memtable(pairs, schema=_MEMBERS)
        joined = rows.left_join(members, rows.unit == members.member)
        return joined.mutate(person=ibis.coalesce(joined.person, joined.unit)).drop("member")

    def list_senders(self) -> ir.Table:
        """Whom the sender of an event is of: a row for each `sender` (`user:<hash>` or a visitor) and each unit of the
        same `person` (`member`). Senders that are not there are persons of their own."""
        pairs = [*self.names.items(), *((unit, unit) for unit in self.units)]
        rows = [
            {"sender": sender, "member": member, "person": person}
            for sender, person in pairs
            for member in self.units.get(person, (person,))
        ]
        return ibis.memtable(rows, schema=_SENDERS)


def read_persons(lake: Lake, guard: IdentityConfig, as_of_ms: int) -> Persons:
    """Read the persons as they were known at a moment, by the last stitching. Raises LakeError."""
    with opened(lake, read_state(lake)) as connection:
        graph = read_graph(connection, as_of_ms)
        crossed = connection.execute(
            "SELECT DISTINCT visitor FROM crossings WHERE crossed_ms <= ?", [as_of_ms]
        ).fetchall()
    outcomes = judge(graph.a, graph.b, graph.times_ms, graph.is_visitor, guard)
    named = graph.label(outcomes == OUTCOMES.index(JOINED))
    seen = np.flatnonzero(graph.is_visitor & (graph.seen_ms < UNSEEN))
    nodes: dict[int, list[int]] = {}
    for node in seen.tolist():
        nodes.setdefault(int(named[node]), []).append(node)
    units = {
        graph.name(person): tuple(graph.name(node) for node in sorted(each, key=graph.precedence))
        for person, each in nodes.items()
        if len(each) > 1
    }
    names = {graph.name(node): graph.name(person) for node, person in enumerate(named.tolist()) if person in nodes}
    return Persons(
        units=units,
        names={name: person for name, person in names.items() if name != person},
        crossed=len(crossed),
    )
