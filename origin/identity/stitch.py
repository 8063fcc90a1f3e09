"""Stitch: bring the state of identity up to what the lake holds."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from origin.config import IdentityConfig
from origin.identity.gather import digest_files, gather, list_imported, list_sources
from origin.identity.graph import Graph, read_graph
from origin.identity.guard import JOINED, OUTCOMES, Ints, judge
from origin.identity.state import LINKS, State, opened, read_state, write_state
from origin.identity.trail import name_persons, record_changes, record_forgotten
from origin.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitched:
    """What a run found, all runs together and by itself: visitors and users that are linked, the persons they make,
    links by outcome, and the changes of this run by kind."""

    visitors: int
    users: int
    persons: int
    outcomes: dict[str, int]
    changes: dict[str, int]


def stitch(lake: Lake, guard: IdentityConfig, now_ms: int) -> Stitched:
    """Read what is new in the lake, judge all links, and write the state and the trail of what changed.

    The outcome is that of one run over everything; where an import was forgotten, it is one, but for links that are
    known from events which the lake no longer has. Raises LakeError where a file is damaged or cannot be written; the
    state of before stays.
    """
    before = read_state(lake)
    sources = list_sources(lake)
    digests = {name: digest_files(files) for name, files in sources.items()}
    imported = list_imported(lake)
    state = State(
        stitched_ms=max(now_ms, before.stitched_ms + 1),
        sources=digests,
        imported=tuple(path.stem for path in imported),
        guard=guard.model_dump(),
    )
    is_import_forgotten = not set(before.imported) <= set(state.imported)
    known = {} if is_import_forgotten else before.sources
    new = [files for name, files in sources.items() if known.get(name) != digests[name]]
    with opened(lake, before) as connection:
        persons = _read_persons(connection) if is_import_forgotten else {}
        gather(connection, new, imported, is_import_forgotten=is_import_forgotten)
        graph = read_graph(connection)
        links = connection.table("links").order("first_ms, a, b").to_arrow_table()
        outcomes = judge(graph.a, graph.b, graph.times_ms, graph.is_visitor, guard)
        trail = record_changes(graph, links, _number(links), outcomes, guard, state.stitched_ms)
        if is_import_forgotten:
            gone = connection.sql("FROM judged ANTI JOIN links USING (a, b) ORDER BY first_ms, a, b").to_arrow_table()
            gone = gone.filter(pc.equal(gone["outcome"], JOINED))
            now = name_persons(graph, outcomes == OUTCOMES.index(JOINED))
            trail = pa.concat_tables([record_forgotten(gone, persons, now, state.stitched_ms), trail])
        if (state.sources, state.imported, state.guard) != (before.sources, before.imported, before.guard):
            named = links.set_column(5, "outcome", pa.array(OUTCOMES).take(pa.array(outcomes)))
            others = {name: connection.table(name).to_arrow_table() for name in ("visitors", "crossings")}
            write_state(lake, state, {"links": named.cast(LINKS), **others}, trail)
    return _summarise(graph, outcomes, trail)


def _read_persons(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The name of each node's person, as it was before."""
    outcomes = connection.sql("SELECT outcome FROM links ORDER BY first_ms, a, b").fetchnumpy()["outcome"]
    return name_persons(read_graph(connection), np.asarray(outcomes == JOINED, dtype=np.bool_))


def _number(links: pa.Table) -> Ints:
    """The outcomes that links had before, as indexes in OUTCOMES; -1 where they had none."""
    found = pc.fill_null(pc.index_in(links["outcome"], value_set=pa.array(OUTCOMES)), -1)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _summarise(graph: Graph, outcomes: Ints, trail: pa.Table) -> Stitched:
    joined = outcomes == 0
    linked = np.union1d(graph.a[joined], graph.b[joined])
    visitors = int(graph.is_visitor[linked].sum())
    counts = trail.group_by("kind").aggregate([([], "count_all")]).to_pylist()
    return Stitched(
        visitors=visitors,
        users=len(linked) - visitors,
        persons=len(np.unique(graph.label(joined)[linked])),
        outcomes={name: int((outcomes == number).sum()) for number, name in enumerate(OUTCOMES)},
        changes={row["kind"]: row["count_all"] for row in sorted(counts, key=lambda row: row["kind"])},
    )
