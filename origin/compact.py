"""Compaction: the lake's NDJSON becomes Parquet by day of receipt, each event once.

The objects of a day are read on every processor and staged (`origin.staging`); what several rows claim the same
visitor and event id is found by their hashes, over all the parts of their day of receipt, and of such rows the one that
was received first is kept, among equals the first by its columns. What is kept therefore does not depend on the order
of arrival. Rows become parts; a part is written once and stays, but for small ones, which are written anew together
with what comes later, and for those that hold a row which another, that came later, has beaten.

The index is replaced last, by one rename: killed at any point, the lake is what it was before, and the next run does
the same again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from origin.columns import IDENTITY, ORDER
from origin.compacted import (
    INDEX,
    Balance,
    Index,
    KnownObjects,
    Part,
    day_of,
    list_new_objects,
    list_objects,
    read_index,
    write_index,
    write_keys,
)
from origin.lake import Lake, reported
from origin.staging import (
    Hashes,
    Rows,
    Staged,
    StagedObjects,
    Workers,
    hash_part,
    read_rows,
    stage_objects,
    stage_part,
    write_part,
)

# Compressed bytes of objects that are staged at once by one process: some 150,000 events.
CHUNK_BYTES: Final = 8 << 20
# Smaller parts are written anew with what comes later.
SMALL_PART: Final = 50_000
# Hashes that are sorted at once, and those of repeated rows whose rows are compared at once.
SORTED_HASHES: Final = 8_000_000
COMPARED_HASHES: Final = 50_000
_STAGING: Final = "staging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction did: objects taken in, days written, rows that were copies of others, objects removed."""

    objects: int = 0
    days: tuple[str, ...] = ()
    repeated: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where rows of a day stand: a part that stays, or staged rows (no part yet)."""

    file: Path
    hashes: Hashes
    part: Part | None = None


def compact(lake: Lake, *, remove: bool = False) -> Compacted:
    """Take every object of events that is not compacted yet into the day files, day by day.

    With `remove`, the lake's own copies of compacted objects are removed afterwards: pull knows them, and does not
    bring them again. Raises LakeError; what was done until then stays.
    """
    index = read_index(lake)
    _clean(lake, index)
    by_day: dict[str, list[tuple[str, Path]]] = {}
    for key, path in list_new_objects(lake, index):
        by_day.setdefault(day_of(key), []).append((key, path))
    done = Compacted()
    sizes = {day: [path.stat().st_size for _, path in objects] for day, objects in by_day.items()}
    with Workers(is_small=all(sum(each) <= CHUNK_BYTES for each in sizes.values())) as workers:
        for day, objects in by_day.items():
            index, days, repeated = _compact_day(lake, index, workers, day, objects, sizes[day])
            done = replace(
                done,
                objects=done.objects + len(objects),
                days=tuple(sorted({*done.days, *days})),
                repeated=done.repeated + repeated,
            )
    return replace(done, removed=_remove_objects(lake, index)) if remove else done


def _compact_day(
    lake: Lake, index: Index, workers: Workers, day: str, objects: Sequence[tuple[str, Path]], sizes: Sequence[int]
) -> tuple[Index, list[str], int]:
    """Take the objects of one day in; returns the new index, the days of receipt, and how many rows were copies."""
    folder = lake.compacted / _STAGING
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    generation = index.generation + 1
    name = f"{generation:06}-{sha256(chr(10).join(key for key, _ in objects).encode()).hexdigest()[:8]}"
    chunks = _split_chunks([path for _, path in objects], sizes)
    results: list[StagedObjects] = workers.map(
        stage_objects, [(chunk, folder / f"{number:05}") for number, chunk in enumerate(chunks)]
    )
    staged: dict[str, list[Staged]] = {}
    hours = dict(index.hours)
    for result in results:
        for each in result.staged:
            staged.setdefault(each.day, []).append(each)
        for hour, balance in result.hours.items():
            hours[hour] = hours.get(hour, Balance()) + balance
    days = dict(index.days)
    repeated = 0
    for received, rows in sorted(staged.items()):
        days[received], lost = _merge(lake, workers, index.days.get(received, ()), rows, received, name)
        repeated += lost
    keys = f"objects/{day or 'undated'}-{generation}.gz"
    write_keys(lake, keys, [*KnownObjects(lake, index).of_day(day), *(key for key, _ in objects)])
    new = Index(generation=generation, days=days, objects={**index.objects, day: keys}, hours=hours)
    write_index(lake, new)
    _clean(lake, new)
    return new, list(staged), repeated


def _merge(
    lake: Lake, workers: Workers, parts: Sequence[Part], staged: Sequence[Staged], day: str, name: str
) -> tuple[tuple[Part, ...], int]:
    """The parts of a day of receipt with what was staged for it, and how many rows were copies. The files of new parts
    begin with `name`."""
    folder = lake.compacted / _STAGING
    small = [part for part in parts if part.rows < SMALL_PART]
    kept = [part for part in parts if part.rows >= SMALL_PART]
    again: list[Staged] = workers.map(
        stage_part,
        [(day, lake.compacted / part.file, folder / f"again-{number:05}") for number, part in enumerate(small)],
    )
    hashes: list[Hashes] = workers.map(hash_part, [(lake.compacted / part.file,) for part in kept])
    sources = [
        _Source(file=lake.compacted / part.file, hashes=own, part=part) for part, own in zip(kept, hashes, strict=True)
    ]
    sources += [_Source(file=each.file, hashes=np.load(each.hashes)) for each in [*again, *staged]]
    losers = _find_losers(sources)
    files = [f"{day}/{name}-{number:05}.parquet" for number in range(len(sources))]
    changed = [i for i, source in enumerate(sources) if source.part is None or len(losers[i])]
    rows: list[int] = workers.map(
        write_part, [(sources[i].file, losers[i], lake.compacted / files[i]) for i in changed]
    )
    written = {i: Part(file=files[i], rows=count) for i, count in zip(changed, rows, strict=True)}
    found = [written.get(i, source.part) for i, source in enumerate(sources)]
    return tuple(part for part in found if part is not None and part.rows), sum(map(len, losers))


def _find_losers(sources: Sequence[_Source]) -> list[Rows]:
    """The numbers of the rows of each source that another row of the same identity comes before."""
    losers: list[list[Rows]] = [[] for _ in sources]
    for repeated in _find_repeated([source.hashes for source in sources]):
        tables, origins, numbers = [], [], []
        for i, source in enumerate(sources):
            rows = np.flatnonzero(np.isin(source.hashes, repeated))
            if len(rows):
                tables.append(read_rows(source.file).take(pa.array(rows)))
                origins.append(np.full(len(rows), i))
                numbers.append(rows)
        lost = _find_lost_rows(pa.concat_tables(tables).combine_chunks())
        origin, number = np.concatenate(origins)[lost], np.concatenate(numbers)[lost]
        for i in np.unique(origin):
            losers[i].append(number[origin == i])
    return [np.concatenate(each) if each else np.empty(0, np.int64) for each in losers]


def _find_lost_rows(table: pa.Table) -> Rows:
    """The numbers of the rows that do not come first among those of their identity."""
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in (*IDENTITY, *ORDER)])
    is_same = np.ones(max(len(table) - 1, 0), dtype=bool)
    for name in IDENTITY:
        values = table[name].take(order).combine_chunks()
        is_same &= np.asarray(pc.equal(values[1:], values[:-1]))
    lost: Rows = np.asarray(order)[1:][is_same].astype(np.int64)
    return lost


def _find_repeated(hashes: Sequence[Hashes]) -> Iterator[Hashes]:
    """The hashes that several rows have, some at a time. They are looked for in one slice of their range after the
    other, so that only one slice of all is sorted at once."""
    slices = np.uint64(sum(map(len, hashes)) // SORTED_HASHES + 1)
    for number in range(int(slices)):
        ordered = np.sort(np.concatenate([each[each % slices == number] for each in hashes]))
        repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        for start in range(0, len(repeated), COMPARED_HASHES):
            yield repeated[start : start + COMPARED_HASHES]


def _split_chunks(paths: Sequence[Path], sizes: Sequence[int]) -> list[list[Path]]:
    """The objects in chunks of about CHUNK_BYTES, in their order."""
    chunks: list[list[Path]] = [[]]
    filled = 0
    for path, size in zip(paths, sizes, strict=True):
        if chunks[-1] and filled + size > CHUNK_BYTES:
            chunks.append([])
            filled = 0
        chunks[-1].append(path)
        filled += size
    return chunks


def _clean(lake: Lake, index: Index) -> None:
    """Remove what the index does not name: left over from an interrupted run, or replaced."""
    shutil.rmtree(lake.compacted / _STAGING, ignore_errors=True)
    named = {INDEX, *index.files, *index.objects.values()}
    for path in list(lake.compacted.rglob("*")):
        if path.is_file() and path.relative_to(lake.compacted).as_posix() not in named:
            with reported(path):
                path.unlink()


def _remove_objects(lake: Lake, index: Index) -> int:
    """Remove the lake's copies of compacted objects, and the folders that are empty then; returns how many."""
    known = KnownObjects(lake, index)
    removed = 0
    for key, path in list_objects(lake):
        if key in known:
            with reported(path):
                path.unlink()
            removed += 1
    for folder in sorted((path for path in lake.events.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return removed
