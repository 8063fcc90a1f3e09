"""The links as a graph: its nodes are numbered in the order of their names, its links in the order of their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from origin.identity.guard import Ints, label_components
from origin.identity.state import USER, VISITOR

# When a visitor was first seen that only imported graphs and servers name.
UNSEEN: Final = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes by number: name, whether it is a visitor, and when it was first seen. Links by number: both nodes and the
    time."""

    nodes: Sequence[str]
    is_visitor: NDArray[np.bool_]
    seen_ms: Ints
    a: Ints
    b: Ints
    times_ms: Ints

    def label(self, joined: NDArray[np.bool_]) -> Ints:
        """The persons that the chosen links make: for each node the number of the node that its person is named by,
        the earliest visitor (ties by name; those never seen last), or the first user where there is no visitor."""
        labels = label_components(self.a[joined], self.b[joined], len(self.nodes))
        order = np.lexsort((self.seen_ms, ~self.is_visitor, labels))
        _, first = np.unique(labels[order], return_index=True)
        named: Ints = order[first][labels]
        return named

    def precedence(self, node: int) -> tuple[bool, int, int]:
        """What decides which of two nodes a person is named by: the smaller one does."""
        return not self.is_visitor[node], int(self.seen_ms[node]), node

    def name(self, node: int) -> str:
        """How a person is called that is named by this node: the visitor's id, or `user:<hash>`."""
        return self.nodes[node].removeprefix(VISITOR)


def read_graph(connection: duckdb.DuckDBPyConnection, as_of_ms: int = UNSEEN) -> Graph:
    """Read the graph of the tables `links` and `visitors` as of a moment."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE nodes AS "
        "SELECT node, row_number() OVER (ORDER BY node) - 1 AS number, coalesce(visitors.first_ms, $unseen) AS seen_ms "
        "FROM (SELECT a AS node FROM links WHERE first_ms <= $as_of UNION SELECT b FROM links WHERE first_ms <= $as_of)"
        " LEFT JOIN (SELECT * FROM visitors WHERE first_ms <= $as_of) AS visitors ON node = $visitor || visitor",
        {"unseen": UNSEEN, "as_of": as_of_ms, "visitor": VISITOR},
    )
    nodes = connection.sql("SELECT node, seen_ms FROM nodes ORDER BY number").fetchnumpy()
    links = connection.execute(
        "SELECT first.number AS a, second.number AS b, first_ms FROM links "
        "JOIN nodes AS first ON first.node = a JOIN nodes AS second ON second.node = b "
        "WHERE first_ms <= ? ORDER BY first_ms, links.a, links.b",
        [as_of_ms],
    ).fetchnumpy()
    names = [str(node) for node in nodes["node"]]
    return Graph(
        nodes=names,
        is_visitor=np.array([not node.startswith(USER) for node in names], dtype=np.bool_),
        seen_ms=nodes["seen_ms"],
        a=links["a"],
        b=links["b"],
        times_ms=links["first_ms"],
    )
