"""The lake's events as one relation: compacted or not, each event once, with its visitor's label where that is a bot
and the event is not a server's.

All that reads events reads them here. Objects that are not compacted yet are read by the same code that compacts them,
so that a row is the same wherever it stands. Of rows that claim the same visitor and event id, in whatever days and
objects, the one received first counts; ids are the senders' own, so they count within a visitor.

What it takes to tell copies and bots is worked out once for a connection and a state of the lake, and kept in temporary
tables of the connection.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from origin.bots import find_bots
from origin.columns import IDENTITY, ORDER, SCHEMA
from origin.compacted import Index, list_new_objects, read_index
from origin.lake import Lake
from origin.lines import read_tables
from shared.events import EDGE, SERVER

_SCHEMA: Final = ibis.Schema.from_pyarrow(SCHEMA)


def read_events(connection: ibis.BaseBackend, lake: Lake) -> ir.Table | None:
    """Return the lake's events, each once, in the columns of `origin.columns`. None where the lake has none.

    Raises LakeError for an object that is damaged, and what the engine raises for a part that is.
    """
    found = _prepare(connection, lake)
    return None if found is None else found[0]


def read_copies(connection: ibis.BaseBackend, lake: Lake) -> ir.Table | None:
    """Return the rows that `read_events` leaves out as copies of others; those that compaction left out are not there
    any more. None, and what is raised, as there."""
    found = _prepare(connection, lake)
    if found is None:
        return None
    events, state = found
    try:
        rivals = connection.table(f"usher_rivals_{state}")
    except TableNotFound:  # no identity is claimed twice
        return events.limit(0)
    return rivals.filter(rivals.place > 0).drop("place")


def read_labelled_events(connection: ibis.BaseBackend, lake: Lake, as_of_ms: int | None = None) -> ir.Table | None:
    """Return the events that had been received by a moment (None: all) as `read_events` does, with a column `bot`: why
    their visitor was taken for a bot by then, or empty. What a server reports of a bot is not the bot's doing."""
    found = _prepare(connection, lake)
    if found is None:
        return None
    events, state = found
    if as_of_ms is not None:
        events = events.filter(events.received_ms <= as_of_ms)
    name = f"usher_labelled_{state}_{'all' if as_of_ms is None else as_of_ms}"

    def label() -> ir.Table:
        bots = connection.create_table(f"{name}_bots", ibis.memtable(find_bots(connection, events)), temp=True)
        is_own = [events.visitor == bots.bot_visitor, events.source.fill_null(EDGE) != SERVER]
        labelled = events.left_join(bots, is_own).drop("bot_visitor")
        return labelled.mutate(bot=labelled.bot.fill_null(""))

    return _keep(connection, name, label, as_view=True)


def _prepare(connection: ibis.BaseBackend, lake: Lake) -> tuple[ir.Table, str] | None:
    """The events, each once, and a name for the state of the lake that they are of."""
    index = read_index(lake)
    objects = [path for _, path in list_new_objects(lake, index)]
    if not objects and not index.files:
        return None
    state = _name_state(index, objects)

    def make() -> ir.Table:
        return _deduplicate(connection, _read_rows(connection, lake, index, objects, state), state)

    return _keep(connection, f"usher_events_{state}", make, as_view=True), state


def _name_state(index: Index, objects: Sequence[Path]) -> str:
    """A name for what the lake holds right now."""
    said = [f"{index.generation}", *index.files]
    said += [f"{path} {(found := path.stat()).st_size} {found.st_mtime_ns}" for path in objects]
    return sha256("\n".join(said).encode()).hexdigest()[:16]


def _read_rows(connection: ibis.BaseBackend, lake: Lake, index: Index, objects: Sequence[Path], state: str) -> ir.Table:
    """All rows of the lake, copies included."""
    tables = []
    if index.files:
        paths = [glob.escape(str(lake.compacted / file)) for file in index.files]
        tables.append(_complete(connection.read_parquet(paths, union_by_name=True)))
    if objects:
        tables.append(_take_objects(connection, f"usher_objects_{state}", objects))
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _complete(table: ir.Table) -> ir.Table:
    """The columns of this version, of parts that older ones may have written."""
    return table.select(
        **{name: table[name] if name in table.columns else ibis.null(type_) for name, type_ in _SCHEMA.items()}
    )


def _take_objects(connection: ibis.BaseBackend, name: str, paths: Sequence[Path]) -> ir.Table:
    """The rows of some objects."""
    try:
        return connection.table(name)
    except TableNotFound:
        tables = read_tables(paths)
        first = next(tables, SCHEMA.empty_table())
    connection.create_table(name, ibis.memtable(first), temp=True)
    for table in tables:
        connection.insert(name, ibis.memtable(table))
    return connection.table(name)


def _deduplicate(connection: ibis.BaseBackend, events: ir.Table, state: str) -> ir.Table:
    """One row an event. Identities that several rows claim are few, so they alone are sorted out."""
    counted = events.group_by(*IDENTITY).aggregate(copies=events.count())
    repeated = _keep(
        connection,
        f"usher_repeated_{state}",
        lambda: counted.filter(counted.copies > 1).select(**{f"repeated_{name}": name for name in IDENTITY}),
    )
    if connection.to_pyarrow(repeated.count()).as_py() == 0:
        return events
    same = [events[name] == repeated[f"repeated_{name}"] for name in IDENTITY]
    rivals = events.semi_join(repeated, same)
    place = ibis.row_number().over(group_by=list(IDENTITY), order_by=[rivals[name].asc() for name in ORDER])
    rivals = _keep(connection, f"usher_rivals_{state}", lambda: rivals.mutate(place=place))
    return ibis.union(events.anti_join(repeated, same), rivals.filter(rivals.place == 0).drop("place"))


def _keep(connection: ibis.BaseBackend, name: str, make: Callable[[], ir.Table], *, as_view: bool = False) -> ir.Table:
    """A temporary table of that name, or a view, made where it is not there yet."""
    try:
        return connection.table(name)
    except TableNotFound:
        made = make()
        return connection.create_view(name, made) if as_view else connection.create_table(name, made, temp=True)
