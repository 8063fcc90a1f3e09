"""What the events say of identity: links between visitors and users, when visitors were first seen, and crossings.

Each is a smallest time over all events, so events may be read again and in any order. That is how a run reads only
what is new since the run before: compacted parts that are, and days of objects to which some have come, whole.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from origin.columns import SCHEMA
from origin.compacted import day_of, list_new_objects, read_index
from origin.identity.state import IMPORT, IMPORTED, USER, VISITOR, identities
from origin.lake import Lake
from origin.lines import read_tables

# What of the events is read.
_EVENTS: Final = pa.schema(
    [
        SCHEMA.field(name)
        for name in ("type", "event_id", "received_ms", "visitor", "user", "source", "unit_before", "unit")
    ]
)


def list_sources(lake: Lake) -> Mapping[str, Sequence[Path]]:
    """The files that hold the lake's events: each compacted part, and by day the objects that are not compacted yet.
    Raises LakeError."""
    index = read_index(lake)
    sources: dict[str, list[Path]] = {name: [lake.compacted / name] for name in index.files}
    for key, path in list_new_objects(lake, index):
        sources.setdefault(f"events/{day_of(key)}", []).append(path)
    return sources


def digest_files(files: Sequence[Path]) -> str:
    """What changes where files come or go. A file's content never changes."""
    return sha256("\n".join(map(str, files)).encode()).hexdigest()[:16]


def list_imported(lake: Lake) -> Sequence[Path]:
    """The files of imported links, in order."""
    return sorted((identities(lake) / IMPORTED).glob("*.parquet"))


def gather(
    connection: duckdb.DuckDBPyConnection,
    sources: Iterable[Sequence[Path]],
    imported: Sequence[Path],
    *,
    is_import_forgotten: bool = False,
) -> None:
    """Take what events (the files of each source) and imported links say into the tables `links`, `visitors` and
    `crossings`; `judged` are the links as they were before.

    Where an import was forgotten, nothing is believed of what any import said but for those that are there, so events
    that said the same later have to be among the sources.
    """
    connection.execute("CREATE TABLE judged AS FROM links")
    for copy, name in (("said", "links"), ("seen", "visitors"), ("crossed", "crossings")):
        connection.execute(f"CREATE TABLE {copy} AS FROM {name} LIMIT 0")
    for files in sources:
        _take_events(connection, files)
    for path in imported:
        connection.execute("INSERT INTO said SELECT *, NULL FROM read_parquet(?)", [str(path)])
    connection.execute(
        "INSERT INTO said FROM links WHERE NOT ($forgotten AND starts_with(source, $import))",
        {"forgotten": is_import_forgotten, "import": IMPORT},
    )
    # Each pair once, with its first occurrence and what that was; new ones have no outcome yet.
    connection.execute(
        "DROP VIEW links; CREATE TABLE links AS SELECT a, b, earliest.first_ms AS first_ms, earliest.source AS source, "
        "earliest.evidence AS evidence, judged.outcome AS outcome FROM ("
        "SELECT a, b, min({first_ms: first_ms, source: source, evidence: evidence}) AS earliest "
        "FROM said GROUP BY a, b) LEFT JOIN judged USING (a, b) ORDER BY first_ms, a, b"
    )
    connection.execute(
        "INSERT INTO seen FROM visitors; DROP VIEW visitors; "
        "CREATE TABLE visitors AS SELECT visitor, min(first_ms) AS first_ms FROM seen GROUP BY visitor ORDER BY visitor"
    )
    connection.execute(
        "INSERT INTO crossed FROM crossings; DROP VIEW crossings; "
        "CREATE TABLE crossings AS SELECT visitor, unit_before, unit, min(crossed_ms) AS crossed_ms FROM crossed "
        "GROUP BY visitor, unit_before, unit ORDER BY visitor, crossed_ms, unit"
    )


def _take_events(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    connection.from_arrow(_EVENTS.empty_table()).create("events")
    for rows in _read_rows(connection, files):
        rows.project(*(f'"{name}"' for name in _EVENTS.names)).filter(
            "visitor <> '' AND received_ms IS NOT NULL"
        ).insert_into("events")
    connection.execute(
        'INSERT INTO said SELECT $user || "user", $visitor || visitor, received_ms, type, event_id, NULL FROM events '
        "WHERE \"user\" <> ''",
        {"user": USER, "visitor": VISITOR},
    )
    # A visitor whom only servers name may be no browser at all.
    connection.execute(
        "INSERT INTO seen SELECT visitor, min(received_ms) FROM events "
        "WHERE source IS DISTINCT FROM 'server' GROUP BY visitor"
    )
    connection.execute(
        "INSERT INTO crossed SELECT visitor, unit_before, unit, received_ms FROM events WHERE type = 'crossing'"
    )
    connection.execute("DROP TABLE events")


def _read_rows(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Iterator[duckdb.DuckDBPyRelation]:
    """The rows of a source."""
    if files[0].suffix == ".parquet":
        yield connection.read_parquet([glob.escape(str(path)) for path in files])
    else:
        yield from map(connection.from_arrow, read_tables(files))
