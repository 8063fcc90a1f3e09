"""Compaction: the lake's NDJSON becomes Parquet by day of receipt, each event once.

The objects of a day are read on every processor and become parts (`origin.staging`). What several rows claim the same
visitor and event id is found by their hashes, over all the parts of their day of receipt, and of such rows the one that
was received first is kept, among equals the first by its columns. What is kept therefore does not depend on the order
of arrival. A part stays as it was written, unless it holds a row that another, in another part, comes before, or is so
small that it is joined with others. What a process joins at once is bounded by its bytes in memory, not by rows: a row
of a decision among many variants takes as much as fifty others.

The index is replaced last, by one rename: killed at any point, the lake is what it was before, and the next run does
the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa

from origin.balances import Balance, add_balances
from origin.compacted import (
    INDEX,
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
from origin.copies import NO_CLAIMS, Claims, Hashes, Rows, find_copies
from origin.lake import Lake, reported
from origin.processes import Workers
from origin.staging import (
    Joined,
    Staged,
    StagedObjects,
    claim_rows,
    hash_part,
    join_parts,
    read_part,
    stage_objects,
    weigh_part,
)

# Compressed bytes of objects that are read at once by one process: some 150,000 events.
CHUNK_BYTES: Final = 8 << 20
# Parts that take fewer bytes in memory are joined, up to that many at once.
PART_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction did: objects taken in, days written, rows that were copies of others, objects removed."""

    objects: int = 0
    days: tuple[str, ...] = ()
    repeated: int = 0
    removed: int = 0


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
    generation = index.generation + 1
    name = f"{generation:06}-{sha256(chr(10).join(key for key, _ in objects).encode()).hexdigest()[:8]}"
    chunks = _split_chunks([path for _, path in objects], sizes)
    results: list[StagedObjects] = workers.map(
        stage_objects, [(chunk, lake.compacted, f"{name}-{number:05}") for number, chunk in enumerate(chunks)]
    )
    staged: dict[str, list[Staged]] = {}
    hours = dict(index.hours)
    for result in results:
        for part in result.parts:
            staged.setdefault(part.day, []).append(part)
        add_balances(hours, result.hours)
    days = dict(index.days)
    repeated = sum(result.repeated for result in results)
    for received, parts in sorted(staged.items()):
        name_joined = f"{received}/{name}-joined"
        days[received], copies = _merge(lake, workers, index.days.get(received, ()), parts, name_joined, hours)
        repeated += copies
    keys = f"objects/{day or 'undated'}-{generation}.gz"
    write_keys(lake, keys, [*KnownObjects(lake, index).of_day(day), *(key for key, _ in objects)])
    new = Index(generation=generation, days=days, objects={**index.objects, day: keys}, hours=hours)
    write_index(lake, new)
    _clean(lake, new)
    return new, list(staged), repeated


def _merge(
    lake: Lake, workers: Workers, parts: Sequence[Part], staged: Sequence[Staged], name: str, hours: dict[int, Balance]
) -> tuple[tuple[Part, ...], int]:
    """The parts of a day of receipt together with those that were staged for it, and how many rows were copies, which
    are counted in `hours`. The files of parts that are written anew begin with `name`."""
    paths = [lake.compacted / part.file for part in parts]
    hashes: list[Hashes] = [*workers.map(hash_part, [(path,) for path in paths]), *(each.hashes for each in staged)]
    sizes = [*_weigh(lake, workers, parts), *(each.bytes for each in staged)]
    paths += [each.path for each in staged]
    copies = _find_copies(workers, paths, hashes)
    groups = group_small(sizes)
    written = [group for group in groups if len(group) > 1 or any(len(copies[i]) for i in group)]
    targets = [lake.compacted / f"{name}-{number:05}.parquet" for number in range(len(written))]
    calls = [([(paths[i], copies[i]) for i in group], path) for group, path in zip(written, targets, strict=True)]
    joined: list[Joined] = workers.map(join_parts, calls)
    for each in joined:
        add_balances(hours, each.hours)
    kept = [(paths[i], len(hashes[i]), sizes[i]) for group in groups if group not in written for i in group]
    made = [(path, each.rows, each.bytes) for path, each in zip(targets, joined, strict=True)]
    names = [(path.relative_to(lake.compacted).as_posix(), rows, size) for path, rows, size in sorted([*kept, *made])]
    return tuple(Part(file=file, rows=rows, bytes=size) for file, rows, size in names if rows), sum(map(len, copies))


def _find_copies(workers: Workers, paths: Sequence[Path], hashes: Sequence[Hashes]) -> list[Rows]:
    """The numbers of the rows in each part that are copies."""

    def claim(numbers: Sequence[Rows]) -> list[Claims]:
        asked = [i for i, own in enumerate(numbers) if len(own)]
        found = dict(zip(asked, workers.map(claim_rows, [(paths[i], numbers[i]) for i in asked]), strict=True))
        return [found.get(i, NO_CLAIMS) for i in range(len(paths))]

    def take(place: int, numbers: Rows) -> pa.Table:
        return read_part(paths[place]).take(pa.array(numbers))

    return find_copies(hashes, claim, take)


def _weigh(lake: Lake, workers: Workers, parts: Sequence[Part]) -> list[int]:
    """The bytes that parts take in memory. Those that an older version wrote are read for it."""
    weighed = iter(workers.map(weigh_part, [(lake.compacted / each.file,) for each in parts if each.bytes is None]))
    return [next(weighed) if each.bytes is None else each.bytes for each in parts]


def group_small(sizes: Sequence[int]) -> list[list[int]]:
    """Group parts, by their numbers: of those that take less than PART_BYTES as many in a row as take no more
    together; each of the others alone."""
    groups: list[list[int]] = []
    latest: list[int] = []
    filled = 0
    for number, size in enumerate(sizes):
        if size >= PART_BYTES:
            groups.append([number])
            continue
        if not latest or filled + size > PART_BYTES:
            latest, filled = [], 0
            groups.append(latest)
        latest.append(number)
        filled += size
    return groups


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
