"""The steps of compaction that run on every processor: objects become parts, and parts are written anew.

With each part come the hashes of its rows' identities. Whoever compares the hashes of all the parts of a day knows
which few rows to look at (`origin.copies`), without holding the day in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from origin.balances import COUNTED, Balance, add_balances, count_copies, count_lines
from origin.columns import IDENTITY, SCHEMA
from origin.copies import Claims, Hashes, Rows, find_copies, hash_rows, make_claims
from origin.errors import LakeError
from origin.lake import reported, sync
from origin.lines import read_tables

DAY_MS: Final = 86_400_000
ROW_GROUP: Final = 131_072
# Values of these columns hardly repeat: a dictionary of them would be made and thrown away.
_NO_DICTIONARY: Final = (
    *("event_id", "page_view", "created_ms", "sent_ms", "received_ms", "happened_ms", "propensity", "probabilities"),
    *("session", "rest"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A part of one day of receipt, the hashes of its rows, and its bytes in memory."""

    day: str
    path: Path
    hashes: Hashes
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What was written of some parts: rows, their bytes in memory, and the balance of the rows that were left out."""

    rows: int
    bytes: int
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
    with _uncollected():
        for table in read_tables(paths):
            add_balances(hours, count_lines(table))
            for day, rows in _split_days(table):
                days.setdefault(day, []).append(rows)
    parts = []
    repeated = 0
    for day, tables in days.items():
        table = pa.concat_tables(tables)
        hashes = hash_rows(table)
        copies = _find_own_copies(table, hashes)
        path = folder / day / f"{name}.parquet"
        size = _write(_leave_out(table, copies, hours), path)
        parts.append(Staged(day=day, path=path, hashes=np.delete(hashes, copies), bytes=size))
        repeated += len(copies)
    return StagedObjects(parts=tuple(parts), hours=hours, repeated=repeated)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's collector, which would look through all the rows again and again, a tenth of the time: they hold
    no circles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def hash_part(path: Path) -> Hashes:
    """The hashes of a part's rows. Raises LakeError."""
    with _part_reported(path):
        return hash_rows(pq.read_table(path, columns=list(IDENTITY)))


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


def claim_rows(path: Path, numbers: Rows) -> Claims:
    """What rows of a part claim. Raises LakeError."""
    return make_claims(read_part(path).take(pa.array(numbers)))


def join_parts(sources: Sequence[tuple[Path, Rows]], path: Path) -> Joined:
    """Write parts anew as one, each without the rows of the given numbers, which are copies. Raises LakeError."""
    hours: dict[int, Balance] = {}
    table = pa.concat_tables([_leave_out(read_part(source), copies, hours) for source, copies in sources])
    return Joined(rows=len(table), bytes=_write(table, path), hours=hours)


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


def _find_own_copies(table: pa.Table, hashes: Hashes) -> Rows:
    """The copies among the rows of a table."""

    def take(_: int, numbers: Rows) -> pa.Table:
        return table.take(pa.array(numbers))

    [copies] = find_copies([hashes], lambda numbers: [make_claims(take(0, each)) for each in numbers], take)
    return copies


def _leave_out(table: pa.Table, copies: Rows, hours: dict[int, Balance]) -> pa.Table:
    """A table without copies, which are counted by hour."""
    if not len(copies):
        return table
    add_balances(hours, count_copies(table.select(COUNTED).take(pa.array(copies))))
    is_kept = np.ones(len(table), dtype=bool)
    is_kept[copies] = False
    return table.filter(pa.array(is_kept))


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
