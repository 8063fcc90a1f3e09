"""The steps of compaction that run on every processor: objects become parts, and parts are written anew.

With each part come the hashes of its rows' identities, their visitors and event ids. Whoever compares the hashes of all
the parts of a day knows which few rows to look at, without holding the day in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from origin.balances import COUNTED, Balance, add_balances, count_copies, count_lines
from origin.columns import IDENTITY, ORDER, SCHEMA
from origin.errors import LakeError
from origin.lake import reported, sync
from origin.lines import read_tables

DAY_MS: Final = 86_400_000
ROW_GROUP: Final = 131_072
# Hashes that are sorted at once, and those of repeated rows whose rows are compared at once.
SORTED_HASHES: Final = 8_000_000
COMPARED_HASHES: Final = 50_000
# Values of these columns hardly repeat: a dictionary of them would be made and thrown away.
_NO_DICTIONARY: Final = (
    *("event_id", "page_view", "created_ms", "sent_ms", "received_ms", "happened_ms", "propensity", "probabilities"),
    *("session", "rest"),
)

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A part of one day of receipt, the hashes of its rows, and its bytes in memory."""

    day: str
    path: Path
    hashes: Hashes
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The rows that others of the same identity come before: their numbers in each place, and what they hold by
    hour."""

    rows: list[Rows]
    hours: dict[int, Balance]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedObjects:
    """What some objects held: their rows as a part for each day of receipt, the balance of each hour, and how many rows
    were left out as copies of others."""

    parts: tuple[Staged, ...]
    hours: dict[int, Balance]
    repeated: int


def stage_objects(paths: Sequence[Path], folder: Path, name: str) -> StagedObjects:
    """Write the rows of some objects as parts of that name into the folders of their days. Raises LakeError."""
    hours: dict[int, Balance] = {}
    days: dict[str, list[pa.Table]] = {}
    for table in read_tables(paths):
        add_balances(hours, count_lines(table))
        for day, rows in _split_days(table):
            days.setdefault(day, []).append(rows)
    parts = []
    repeated = 0
    for day, tables in days.items():
        table = pa.concat_tables(tables)
        hashes = _hash_rows(table)
        copies = find_copies([hashes], partial(_take, [table]))
        [losers] = copies.rows
        path = folder / day / f"{name}.parquet"
        size = _write(_without(table, losers), path)
        parts.append(Staged(day=day, path=path, hashes=np.delete(hashes, losers), bytes=size))
        add_balances(hours, copies.hours)
        repeated += len(losers)
    return StagedObjects(parts=tuple(parts), hours=hours, repeated=repeated)


def hash_part(path: Path) -> Hashes:
    """The hashes of a part's rows. Raises LakeError."""
    with _part_reported(path):
        return _hash_rows(pq.read_table(path, columns=list(IDENTITY)))


def read_part(path: Path) -> pa.Table:
    """The rows of a part in the columns of this version. Raises LakeError."""
    with _part_reported(path):
        found = pq.read_table(path)
    columns = set(found.column_names)
    return pa.Table.from_arrays(
        [found[each.name] if each.name in columns else pa.nulls(len(found), each.type) for each in SCHEMA],
        schema=SCHEMA,
    )


def weigh_part(path: Path) -> int:
    """The bytes that a part takes in memory. Raises LakeError."""
    return int(read_part(path).nbytes)


def join_parts(sources: Sequence[tuple[Path, Rows]], path: Path) -> tuple[int, int]:
    """Write parts anew as one, each without the rows of the given numbers; returns how many rows are left, and their
    bytes in memory. Raises LakeError."""
    table = pa.concat_tables([_without(read_part(source), losers) for source, losers in sources])
    return len(table), _write(table, path)


def find_copies(hashes: Sequence[Hashes], take: Callable[[int, Rows], pa.Table]) -> Copies:
    """Find the rows that another row of the same identity comes before, in `ORDER`.

    The rows stand in several places, whose `hashes` are given; `take` returns rows of a place by their numbers.
    """
    hours: dict[int, Balance] = {}
    losers: list[list[Rows]] = [[] for _ in hashes]
    for repeated in _find_repeated(hashes):
        tables, origins, numbers = [], [], []
        for i, own in enumerate(hashes):
            rows = np.flatnonzero(np.isin(own, repeated))
            if len(rows):
                tables.append(take(i, rows))
                origins.append(np.full(len(rows), i))
                numbers.append(rows)
        table = pa.concat_tables(tables).combine_chunks()
        lost = _find_lost_rows(table)
        add_balances(hours, count_copies(table.select(COUNTED).take(pa.array(lost))))
        origin, number = np.concatenate(origins)[lost], np.concatenate(numbers)[lost]
        for i in np.unique(origin):
            losers[i].append(number[origin == i])
    return Copies(rows=[np.concatenate(each) if each else np.empty(0, np.int64) for each in losers], hours=hours)


def _find_repeated(hashes: Sequence[Hashes]) -> Iterator[Hashes]:
    """The hashes that several rows have, some at a time. They are looked for in one slice of their range after the
    other, so that only one slice of all is sorted at once."""
    slices = np.uint64(sum(map(len, hashes)) // SORTED_HASHES + 1)
    for number in range(int(slices)):
        ordered = np.sort(np.concatenate([each[each % slices == number] for each in hashes]))
        repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        for start in range(0, len(repeated), COMPARED_HASHES):
            yield repeated[start : start + COMPARED_HASHES]


def _find_lost_rows(table: pa.Table) -> Rows:
    """The numbers of the rows that do not come first among those of their identity."""
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in (*IDENTITY, *ORDER)])
    is_same = np.ones(max(len(table) - 1, 0), dtype=bool)
    for name in IDENTITY:
        values = table[name].take(order).combine_chunks()
        is_same &= np.asarray(pc.equal(values[1:], values[:-1]))
    lost: Rows = np.asarray(order)[1:][is_same].astype(np.int64)
    return lost


@contextmanager
def _part_reported(path: Path) -> Iterator[None]:
    """Raise what goes wrong while a part is read as a LakeError that names it."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise LakeError(
            f"{path}: damaged ({str(error).splitlines()[0]}); remove the folder {path.parents[1]}, then run usher pull "
            "and usher compact"
        ) from error


def _hash_rows(table: pa.Table) -> Hashes:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("identities", table.select(IDENTITY))
        found = connection.execute("SELECT hash(visitor, event_id) AS hash FROM identities").fetchnumpy()
    hashes: Hashes = found["hash"]
    return hashes


def _take(tables: Sequence[pa.Table], place: int, numbers: Rows) -> pa.Table:
    return tables[place].take(pa.array(numbers))


def _without(table: pa.Table, losers: Rows) -> pa.Table:
    if not len(losers):
        return table
    kept = np.ones(len(table), dtype=bool)
    kept[losers] = False
    return table.filter(pa.array(kept))


def _write(table: pa.Table, path: Path) -> int:
    """Write a part; returns the bytes it takes in memory."""
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            table,
            path,
            compression="zstd",
            compression_level=1,
            row_group_size=ROW_GROUP,
            use_dictionary=[name for name in SCHEMA.names if name not in _NO_DICTIONARY],
        )
        sync(path)
    return int(table.nbytes)


def _split_days(table: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    days = pc.divide(table["received_ms"].fill_null(0), DAY_MS)
    for day in pc.unique(days).to_pylist():
        rows = table if len(table) == 0 or pc.all(pc.equal(days, day)).as_py() else table.filter(pc.equal(days, day))
        yield name_day(day * DAY_MS), rows


def name_day(moment_ms: int) -> str:
    """The day of a moment, as the lake's folders name it."""
    return f"{datetime.fromtimestamp(moment_ms // 1000, UTC):%Y-%m-%d}"
