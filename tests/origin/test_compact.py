"""Compaction: every event once, whole or not at all, whatever the order of arrival."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.columns import IDENTITY, ORDER, SCHEMA
from origin.compact import PART_BYTES, Compacted, compact, group_small
from origin.compacted import INDEX, Index, read_index
from origin.errors import LakeError
from origin.lake import Lake
from origin.lines import read_tables
from origin.processes import Workers
from origin.pull import Pulled, pull
from origin.settings import Settings
from origin.staging import Joined, join_parts, weigh_part
from tests.origin.mail import Isolate, deliver, sent
from tests.origin.shop import DAY_MS, NOON_MS, Event, exposure, goal, pack, store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = "2026-09-21"


def rows_of(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """The rows of each day of receipt in the files that the index names, in the order of their identity."""
    found = {}
    for day, parts in read_index(lake).days.items():
        tables = [pq.read_table(lake.compacted / part.file) for part in parts]
        assert [len(table) for table in tables] == [part.rows for part in parts]
        rows = pa.concat_tables(tables)
        order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in (*IDENTITY, *ORDER)])
        found[day] = rows.take(order).to_pylist()
    return found


def ids_of(lake: Lake) -> dict[str, list[str]]:
    return {day: [row["event_id"] for row in rows] for day, rows in rows_of(lake).items()}


def runs_of(lake: Lake) -> list[int]:
    """Which run wrote each of the parts."""
    return [int(Path(file).name.partition("-")[0]) for file in read_index(lake).files]


def files_of(lake: Lake) -> list[str]:
    return sorted(str(path.relative_to(lake.compacted)) for path in lake.compacted.rglob("*") if path.is_file())


def test_an_empty_lake_has_nothing_to_compact(lake: Lake) -> None:
    assert compact(lake) == Compacted()
    assert read_index(lake) == Index()
    assert not lake.root.exists()


def test_events_become_parquet_by_day_of_receipt(lake: Lake) -> None:
    late = sent("goal", 9, received_ms=NOON_MS + DAY_MS, name="click")
    store(lake, [exposure(1), goal(1), late])
    assert compact(lake) == Compacted(objects=1, days=(DAY, "2026-09-22"))
    assert ids_of(lake) == {DAY: ["exposure-1", "goal-1"], "2026-09-22": ["goal-9"]}
    assert [re.sub(r"-\w{8}-", "-", name) for name in files_of(lake)] == [
        "2026-09-21/000001-00000.parquet",
        "2026-09-22/000001-00000.parquet",
        INDEX,
        f"objects/{DAY}-1.gz",
    ]
    [table] = read_tables(store(lake, [exposure(1)]))
    [row] = table.to_pylist()
    assert rows_of(lake)[DAY][0] == row


def test_a_second_run_changes_nothing(lake: Lake) -> None:
    store(lake, [exposure(1), goal(1)])
    compact(lake)
    before = {name: (lake.compacted / name).read_bytes() for name in files_of(lake)}
    assert compact(lake) == Compacted()
    assert {name: (lake.compacted / name).read_bytes() for name in files_of(lake)} == before


def test_late_objects_are_merged(lake: Lake) -> None:
    store(lake, [exposure(1), goal(1)], "a")
    compact(lake)
    store(lake, [exposure(2), exposure(1)], "b")
    assert compact(lake) == Compacted(objects=1, days=(DAY,), repeated=1)
    assert ids_of(lake) == {DAY: ["exposure-1", "goal-1", "exposure-2"]}
    assert read_index(lake).rows == 3
    assert files_of(lake) == sorted([*read_index(lake).files, INDEX, f"objects/{DAY}-2.gz"])


def test_small_parts_are_joined(lake: Lake) -> None:
    for number in range(3):
        store(lake, [exposure(number)], str(number))
        compact(lake)
        assert [part.rows for part in read_index(lake).days[DAY]] == [number + 1]


def test_large_parts_stay_as_they_are(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.compact.PART_BYTES", 1)
    store(lake, [exposure(1), goal(1)], "a")
    compact(lake)
    store(lake, [exposure(2), exposure(1)], "b")
    assert compact(lake).repeated == 1
    assert runs_of(lake) == [1, 2]
    assert ids_of(lake) == {DAY: ["exposure-1", "goal-1", "exposure-2"]}


SMALL = st.integers(0, PART_BYTES - 1)


@given(st.lists(SMALL | st.integers(PART_BYTES, 4 * PART_BYTES)))
def test_what_is_joined_at_once_is_bounded_and_hardly_anything_stays_small(sizes: list[int]) -> None:
    groups = group_small(sizes)
    assert sorted(number for group in groups for number in group) == list(range(len(sizes)))
    totals = [sum(sizes[number] for number in group) for group in groups if len(group) > 1]
    assert all(total <= PART_BYTES for total in totals)
    small = [sum(sizes[i] for i in group) for group in groups if sizes[group[0]] < PART_BYTES]
    assert all(one + other > PART_BYTES for one, other in pairwise(small)), "neighbours would not fit together"


def test_what_one_process_joins_does_not_grow_with_the_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions among many variants: few rows, many bytes."""
    vectors: Any = {"probabilities": [0.123456789] * 300, "eligible": [f"variant-{n}" for n in range(300)]}
    monkeypatch.setattr("origin.compact.CHUNK_BYTES", 1)
    monkeypatch.setattr("origin.compact.PART_BYTES", 100_000)
    joined: list[int] = []

    def note(sources: list[tuple[Path, Any]], path: Path) -> Joined:
        joined.append(sum(weigh_part(source) for source, _ in sources))
        return join_parts(sources, path)

    monkeypatch.setattr("origin.compact.join_parts", note)
    monkeypatch.setattr("origin.compact.Workers", lambda **_: Workers(is_small=True))
    most = []
    for count in (15, 150):
        joined.clear()
        other = Lake(lake.root / str(count))
        for number in range(count):
            store(other, [exposure(number, **vectors)], f"{number}")
        assert compact(other).objects == count
        assert len(ids_of(other)[DAY]) == count
        for part in read_index(other).days[DAY]:
            assert part.bytes == pytest.approx(weigh_part(other.compacted / part.file), rel=0.02)
        most.append(max(joined))
        assert len(joined) >= count // 15
    assert max(most) <= 100_000
    assert most[1] == pytest.approx(most[0], rel=0.02)


def test_an_earlier_copy_that_comes_later_wins(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.compact.PART_BYTES", 1)
    store(lake, [exposure(1, "offer", received_ms=NOON_MS + 5), exposure(2)], "a")
    compact(lake)
    store(lake, [exposure(1, "craft", received_ms=NOON_MS)], "b")
    assert compact(lake).repeated == 1
    assert [(row["event_id"], row["variant"]) for row in rows_of(lake)[DAY]] == [
        ("exposure-1", "craft"),
        ("exposure-2", "house"),
    ]
    assert runs_of(lake) == [2, 2]


def test_ids_count_within_a_visitor(lake: Lake) -> None:
    store(lake, [sent("goal", 1, "ann"), sent("goal", 1, "bob"), sent("goal", 1, "bob")])
    assert compact(lake).repeated == 1
    assert [row["visitor"] for row in rows_of(lake)[DAY]] == ["ann", "bob"]


EVENTS = st.lists(
    st.builds(
        lambda number, visitor, after_ms, depth: sent(
            "engagement", number, visitor, received_ms=NOON_MS + after_ms, depth=depth, sections=["a"] * int(depth)
        ),
        st.integers(0, 3),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([0, 1, DAY_MS]),
        st.sampled_from([0.0, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12)
@given(events=EVENTS, seed=st.integers(0, 1 << 32), runs=st.integers(1, 3))
def test_the_order_of_arrival_does_not_matter(
    events: list[Event], seed: int, runs: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Copies, other contents under the same id, any objects, any number of runs between: the same rows."""
    randomness = random.Random(seed)
    folder = tmp_path_factory.mktemp("lakes")
    plain, mixed = Lake(folder / "plain"), Lake(folder / "mixed")
    store(plain, events)
    compact(plain)
    deliveries = [*events, *events, *randomness.choices(events, k=3)]
    randomness.shuffle(deliveries)
    for run in range(runs):
        for number, event in enumerate(deliveries[run::runs]):
            store(mixed, [event, randomness.choice(events)], f"{run}-{number}")
        compact(mixed)
    assert rows_of(mixed) == rows_of(plain)


def test_many_objects_are_compacted_on_all_processors(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.compact.CHUNK_BYTES", 500)
    monkeypatch.setattr("origin.compact.PART_BYTES", 1)
    isolate = Isolate("i")
    for i in range(6):
        deliver(lake, isolate.send([exposure(i), goal(i), sent("purchase", i, value=1.5, currency="EUR")]))
    store(lake, [exposure(1)], "again")
    done = compact(lake)
    assert (done.objects, done.repeated) == (7, 1)
    assert len(ids_of(lake)[DAY]) == 6 * 4
    assert len(read_index(lake).files) > 1
    one = Lake(lake.root / "one")
    monkeypatch.setattr("origin.compact.CHUNK_BYTES", 1 << 30)
    (one.root).mkdir()
    (lake.events).rename(one.events)
    compact(one)
    assert rows_of(one) == rows_of(lake)


def test_an_error_in_a_worker_names_the_object(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.compact.CHUNK_BYTES", 100)
    store(lake, [exposure(1)], "a")
    [path] = store(lake, [exposure(2)], "b")
    path.write_bytes(b"not packed")
    with pytest.raises(LakeError, match=rf"^{path}: cannot be read "):
        compact(lake)
    assert read_index(lake) == Index()


def test_small_work_starts_no_processes() -> None:
    with Workers(is_small=True) as workers:
        assert workers.map(lambda value: value + 1, [(1,), (2,)]) == [2, 3]


def test_hashes_are_compared_in_slices(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("origin.copies.SORTED_HASHES", 7)
    monkeypatch.setattr("origin.copies.COMPARED_IDENTITIES", 2)
    events = [sent("goal", i) for i in range(40)]
    store(lake, events + events[::2] + events[::4])
    assert compact(lake).repeated == 20 + 10
    assert len(ids_of(lake)[DAY]) == 40


def test_objects_outside_of_days_are_compacted_too(lake: Lake) -> None:
    [content] = pack([exposure(1)]).values()
    lake.write(lake.events / "mended.ndjson.gz", content)
    assert compact(lake) == Compacted(objects=1, days=(DAY,))
    assert compact(lake, remove=True) == Compacted(removed=1)
    assert not any(lake.events.iterdir())


def put(s3: S3Client, settings: Settings, objects: dict[str, bytes]) -> None:
    for key, content in objects.items():
        s3.put_object(Bucket=settings.bucket, Key=key, Body=content)


def test_removed_objects_do_not_come_again(s3: S3Client, lake: Lake, settings: Settings) -> None:
    put(s3, settings, {**pack([exposure(1)], "a"), **pack([goal(1)], "b")})
    pull(lake, settings)
    assert compact(lake, remove=True) == Compacted(objects=2, days=(DAY,), removed=2)
    assert not any(lake.events.iterdir())
    assert pull(lake, settings) == Pulled(objects=0, lines=0, known=2)
    put(s3, settings, dict(pack([exposure(2)], "c")))
    assert pull(lake, settings) == Pulled(objects=1, lines=1, known=2)
    assert compact(lake, remove=True).removed == 1
    assert ids_of(lake) == {DAY: ["exposure-1", "goal-1", "exposure-2"]}


def test_a_lake_that_lost_its_compacted_files_gets_them_from_the_bucket(
    s3: S3Client, lake: Lake, settings: Settings
) -> None:
    put(s3, settings, dict(pack([exposure(1), goal(1)])))
    pull(lake, settings)
    compact(lake, remove=True)
    before = rows_of(lake)
    for path in sorted(lake.compacted.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert pull(lake, settings).objects == 1
    compact(lake)
    assert rows_of(lake) == before


@pytest.mark.parametrize(
    "content",
    [b"no json", b"[]", b'{"format": 1}', b'{"format":1,"generation":1,"days":{"x":[1]},"objects":{},"hours":{}}'],
)
def test_a_damaged_index_is_named_with_its_remedy(lake: Lake, content: bytes) -> None:
    lake.write(lake.compacted / INDEX, content)
    with pytest.raises(LakeError) as caught:
        compact(lake)
    assert str(caught.value).startswith(f"{lake.compacted / INDEX}: damaged (")
    assert str(caught.value).endswith(f"; remove the folder {lake.compacted}, then run usher pull and usher compact")


def test_the_index_of_a_later_version_is_not_touched(lake: Lake) -> None:
    lake.write(lake.compacted / INDEX, b'{"format": 3}')
    with pytest.raises(LakeError, match="format 3 is not known to this version; update usher$"):
        compact(lake)


def test_a_damaged_part_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store(lake, [exposure(1)], "a")
    compact(lake)
    path = lake.compacted / read_index(lake).files[0]
    path.write_bytes(b"PAR1nonsense")
    store(lake, [exposure(2)], "b")
    for least in (64 << 20, 1):
        monkeypatch.setattr("origin.compact.PART_BYTES", least)
        with pytest.raises(LakeError, match=rf"^{path}: damaged \(.*\); remove the folder {lake.compacted}, "):
            compact(lake)


def test_a_damaged_list_of_objects_is_named(lake: Lake) -> None:
    store(lake, [exposure(1)])
    compact(lake)
    path = lake.compacted / read_index(lake).objects[DAY]
    path.write_bytes(b"no gzip")
    with pytest.raises(LakeError, match=rf"^{path}: damaged \("):
        compact(lake)


def test_parts_of_an_older_version_get_the_new_columns(lake: Lake) -> None:
    store(lake, [exposure(1)], "a")
    compact(lake)
    path = lake.compacted / read_index(lake).files[0]
    pq.write_table(pq.read_table(path).drop_columns(["rest", "is_shown"]), path)
    store(lake, [exposure(2)], "b")
    compact(lake)
    assert ids_of(lake) == {DAY: ["exposure-1", "exposure-2"]}
    assert pq.read_schema(lake.compacted / read_index(lake).files[0]).names == SCHEMA.names


KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from origin.compact import compact
from origin.lake import Lake

def run(root, point):
    '''Compact in a process of its own that is killed where it touches files for the n-th time; whether it was.'''
    pid = os.fork()
    if pid == 0:
        left = [point]
        def strike(event, args):
            if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and str(args[0]).startswith(root):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(strike)
        compact(Lake(Path(root)), remove=True)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0

source, folder = sys.argv[1:]
point = 0
killed = True
while killed:
    point += 1
    root = f"{folder}/{point}"
    shutil.copytree(source, root)
    killed = run(root, point)
print(point)
"""


def test_killed_at_any_point_a_lake_is_whole_and_the_next_run_ends_the_work(lake: Lake, tmp_path: Path) -> None:
    """A real process is killed at every one of the points where it opens, renames or removes a file of the lake."""
    tomorrow: Any = {"received_ms": NOON_MS + DAY_MS}
    isolate = Isolate("i")
    first = isolate.send([exposure(1), goal(1), exposure(2, **tomorrow)])
    deliver(lake, first)
    compact(lake)
    deliver(lake, [*first, *isolate.send([exposure(3), exposure(4, **tomorrow)])])
    deliver(lake, isolate.send([exposure(1, "craft", received_ms=NOON_MS - 1)], at_ms=NOON_MS - DAY_MS))
    old = rows_of(lake)
    arguments = [sys.executable, "-c", KILLED, str(lake.root), str(tmp_path / "killed")]
    points = int(subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=240).stdout)
    assert points > 20, points
    compact(lake, remove=True)
    new = rows_of(lake)
    states: list[dict[str, list[dict[str, Any]]]] = []
    for point in range(1, points + 1):
        killed = Lake(tmp_path / "killed" / str(point))
        if not states or states[-1] != rows_of(killed):
            states.append(rows_of(killed))
        compact(killed, remove=True)
        assert rows_of(killed) == new, f"after the kill at point {point}"
        assert read_index(killed).hours == read_index(lake).hours
        assert not any(killed.events.iterdir())
    assert len(states) == 3, "before, with the objects of one day, and with those of both"
    assert (states[0], states[-1]) == (old, new)
