"""The two steps of compaction that run on every processor: objects become staged rows, staged rows become parts.

Staged rows are an Arrow file a day of receipt, and beside it a hash of each row's identity, its visitor and event id.
Whoever compares the hashes of all of a day knows which few rows to look at, without holding the day in memory.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from origin.columns import IDENTITY, SCHEMA
from origin.compacted import Balance
from origin.errors import LakeError
from origin.lake import reported, sync
from origin.lines import read_tables

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
# Receipts speak of events of this schema and later ones.
FIRST_WITH_RECEIPTS: Final = 3
ROW_GROUP: Final = 131_072
# Values of these columns hardly repeat: a dictionary of them would be made and thrown away.
_NO_DICTIONARY: Final = (
    *("event_id", "page_view", "created_ms", "sent_ms", "received_ms", "happened_ms", "propensity", "probabilities"),
    *("session", "rest"),
)

_SUMS: Final = ("hour", "lines_sum", "promised_sum")

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Rows of one day of receipt: their file, how many, and the file of their hashes."""

    day: str
    file: Path
    rows: int
    hashes: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedObjects:
    """What some objects held: their rows by day of receipt, and the balance of each hour."""

    staged: tuple[Staged, ...]
    hours: dict[int, Balance]


def stage_objects(paths: Sequence[Path], target: Path) -> StagedObjects:
    """Stage the rows of some objects in files that begin with `target`. Raises LakeError."""
    hours: dict[int, Balance] = {}
    writers: dict[str, _Writer] = {}
    for table in read_tables(paths):
        add_balances(hours, table)
        for day, rows in _split_days(table):
            if day not in writers:
                writers[day] = _Writer(day, target)
            writers[day].add(rows)
    return StagedObjects(staged=tuple(writer.close() for writer in writers.values()), hours=hours)


def stage_part(day: str, path: Path, target: Path) -> Staged:
    """Stage the rows of a part, to be written anew together with others. Raises LakeError."""
    writer = _Writer(day, target)
    writer.add(read_rows(path))
    return writer.close()


def hash_part(path: Path) -> Hashes:
    """The hashes of a part's rows. Raises LakeError."""
    with _part_reported(path):
        return _hash_rows(pq.read_table(path, columns=list(IDENTITY)))


def read_rows(path: Path) -> pa.Table:
    """The rows of a part, or staged ones, in the columns of this version. Raises LakeError."""
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()
    with _part_reported(path):
        found = pq.read_table(path)
    columns = set(found.column_names)
    return pa.Table.from_arrays(
        [found[each.name] if each.name in columns else pa.nulls(len(found), each.type) for each in SCHEMA],
        schema=SCHEMA,
    )


def write_part(source: Path, losers: Rows, path: Path) -> int:
    """Write rows as a part, but for those of the given numbers; returns how many are left. Raises LakeError."""
    table = read_rows(source)
    if len(losers):
        kept = np.ones(len(table), dtype=bool)
        kept[losers] = False
        table = table.filter(pa.array(kept))
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
    return len(table)


class Workers:
    """Runs functions of this module: on every processor, or where there is little to do, here and now."""

    def __init__(self, *, is_small: bool) -> None:
        self._pool: Executor | None = None
        if not is_small:
            self._pool = ProcessPoolExecutor(
                os.cpu_count(), mp_context=get_context("spawn"), initializer=_prepare_worker
            )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The results of all calls, in order. Raises what the first that failed raised."""
        if self._pool is None:
            return [function(*call) for call in calls]
        futures: list[Future[Any]] = [self._pool.submit(function, *call) for call in calls]
        return [future.result() for future in futures]


def _prepare_worker() -> None:
    gc.disable()  # what is decoded holds no cycles, and looking for some takes a third of the time
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Writer:
    """Writes one file of staged rows."""

    def __init__(self, day: str, target: Path) -> None:
        self._day = day
        self._file = target.with_name(f"{target.name}-{day}.arrow")
        with reported(self._file):
            self._sink = pa.OSFile(str(self._file), "wb")
        self._writer = pa.ipc.new_file(self._sink, SCHEMA)

    def add(self, rows: pa.Table) -> None:
        with reported(self._file):
            self._writer.write_table(rows)

    def close(self) -> Staged:
        name = self._file.with_suffix(".npy")
        with reported(self._file):
            self._writer.close()
            self._sink.close()
            hashes = _hash_rows(read_rows(self._file))
            np.save(name, hashes)
        return Staged(day=self._day, file=self._file, rows=len(hashes), hashes=name)


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


def _split_days(table: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    days = pc.divide(table["received_ms"].fill_null(0), DAY_MS)
    for day in pc.unique(days).to_pylist():
        rows = table if len(table) == 0 or pc.all(pc.equal(days, day)).as_py() else table.filter(pc.equal(days, day))
        yield name_day(day * DAY_MS), rows


def name_day(moment_ms: int) -> str:
    """The day of a moment, as the lake's folders name it."""
    return f"{datetime.fromtimestamp(moment_ms // 1000, UTC):%Y-%m-%d}"


def add_balances(hours: dict[int, Balance], table: pa.Table) -> None:
    """Add what a table's rows say of each hour: the lines that are there, and those that receipts speak of."""
    hour = pc.multiply(pc.divide(table["received_ms"].fill_null(0), HOUR_MS), HOUR_MS)
    is_receipt = pc.equal(table["type"], "receipt").fill_null(False)
    is_booked = pc.greater_equal(table["schema"].fill_null(0), FIRST_WITH_RECEIPTS)
    counted = pa.table(
        {
            "hour": hour,
            "lines": pc.and_(pc.invert(is_receipt), is_booked).cast(pa.int64()),
            "promised": pc.if_else(
                is_receipt, pc.add(table["events"].fill_null(0), table["quarantined"].fill_null(0)), 0
            ),
        }
    )
    sums = counted.group_by("hour").aggregate([("lines", "sum"), ("promised", "sum")])
    for start, lines, promised in zip(*(sums[name].to_pylist() for name in _SUMS), strict=True):
        if lines or promised:
            hours[start] = hours.get(start, Balance()) + Balance(lines=lines, promised=promised)
