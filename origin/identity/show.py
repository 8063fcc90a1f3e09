"""Show whom an id belongs to, and why."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from origin.config import IdentityConfig
from origin.errors import IdentityError
from origin.identity.graph import UNSEEN, Graph, read_graph
from origin.identity.guard import JOINED
from origin.identity.state import USER, VISITOR, identities, opened, read_state
from origin.lake import Lake
from shared.identity import hash_user


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link: its two ids (`user:<hash>` or `visitor:<id>`), when it was first seen, in what, and what became of it."""

    a: str
    b: str
    first_ms: int
    source: str
    evidence: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A visitor's cookie that took over another unit."""

    visitor: str
    unit_before: str
    unit: str
    crossed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a run changed about a link: its kind, the persons before and after, and the reason."""

    recorded_ms: int
    kind: str
    a: str
    b: str
    before: tuple[str, ...]
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """A person as the last stitching left it: visitors with the moment each was first seen (None: never by the edge),
    users by hash, every link of one of these ids, crossings, and the trail. `guard` is what links were judged by."""

    name: str
    visitors: Mapping[str, int | None]
    users: tuple[str, ...]
    links: tuple[Link, ...]
    crossings: tuple[Crossing, ...]
    changes: tuple[Change, ...]
    guard: IdentityConfig


def find_person(lake: Lake, wanted: str, key: bytes | None) -> ShownPerson:
    """Return the person that an id belongs to: a visitor's, which persons are called by too, or a user's, hashed or,
    where the key of the hashes is given, raw.

    Raises IdentityError where nothing is known of the id, and LakeError.
    """
    state = read_state(lake)
    if state.folder is None:
        raise IdentityError(f"{lake.root}: nothing is stitched yet; run usher stitch")
    candidates = [VISITOR + wanted, USER + wanted.removeprefix(USER)]
    candidates += [] if key is None else [USER + hash_user(key, wanted)]
    with opened(lake, state) as connection:
        members = _find_members(connection, candidates)
        if not members:
            remedy = "" if key is not None else " (set USHER_USER_KEY to find a user by the site's own id)"
            raise IdentityError(f"{wanted}: no visitor, user or person of that id is known{remedy}")
        visitors = {node.removeprefix(VISITOR): seen for node, seen in members.items() if node.startswith(VISITOR)}
        nodes = list(members)
        links = _rows(connection, "FROM links WHERE a IN $ids OR b IN $ids ORDER BY first_ms, a, b", nodes)
        crossings = _rows(connection, "FROM crossings WHERE visitor IN $ids ORDER BY crossed_ms", list(visitors))
        connection.read_parquet(f"{glob.escape(str(identities(lake)))}/*/trail.parquet").create_view("trail")
        changes = _rows(
            connection,
            "SELECT recorded_ms, kind, a, b, before, person, reason FROM trail WHERE a IN $ids OR b IN $ids "
            "ORDER BY recorded_ms, first_ms, a, b",
            nodes,
        )
    return ShownPerson(
        name=next(iter(members)).removeprefix(VISITOR),
        visitors=visitors,
        users=tuple(node.removeprefix(USER) for node in members if node.startswith(USER)),
        links=tuple(Link(**link) for link in links),
        crossings=tuple(Crossing(**crossing) for crossing in crossings),
        changes=tuple(Change(**{**change, "before": tuple(change["before"])}) for change in changes),
        guard=IdentityConfig(**state.guard),
    )


def _find_members(connection: duckdb.DuckDBPyConnection, candidates: list[str]) -> dict[str, int | None]:
    """The nodes of the first candidate's person that is known, the one it is named by first, and when each was seen."""
    graph = read_graph(connection)
    outcomes = connection.sql("SELECT outcome FROM links ORDER BY first_ms, a, b").fetchnumpy()["outcome"]
    for wanted in candidates:
        if wanted in graph.nodes:
            return dict(_members_of(graph, np.asarray(outcomes == JOINED), graph.nodes.index(wanted)))
    alone = _rows(connection, "FROM visitors WHERE $visitor || visitor IN $ids", candidates, visitor=VISITOR)
    return {VISITOR + row["visitor"]: row["first_ms"] for row in alone}


def _members_of(graph: Graph, joined: Any, node: int) -> Iterator[tuple[str, int | None]]:
    named = graph.label(joined)
    for each in sorted(np.flatnonzero(named == named[node]).tolist(), key=graph.precedence):
        seen_ms = int(graph.seen_ms[each])
        yield graph.nodes[each], None if seen_ms == UNSEEN else seen_ms


def _rows(connection: duckdb.DuckDBPyConnection, query: str, ids: list[str], **more: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(query, params={"ids": ids, **more}).to_arrow_table().to_pylist()
    return rows
