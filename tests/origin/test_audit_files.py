"""The balance against the lake's files: what came, less the copies, must be what is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from origin.audit import audit
from origin.compact import compact
from origin.compacted import INDEX, read_index
from origin.errors import LakeError
from origin.lake import Lake
from origin.stats import read_stats
from tests.origin.books import LATER_MS, clicks, hour
from tests.origin.mail import Isolate, deliver, sent
from tests.origin.shop import DAY_MS, NOON_MS


def rewrite(lake: Lake, change: Callable[[pa.Table], pa.Table]) -> None:
    """Compact a lake, and change the rows of its only part."""
    compact(lake, remove=True)
    [part] = Path(lake.compacted).rglob("*.parquet")
    pq.write_table(change(pq.read_table(part)), part)


def test_rows_that_are_gone_from_a_part_are_lost(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, [*isolate.send(clicks(10)), *isolate.send(clicks(4))])
    gone = pa.array(["click-1", "click-4", "click-9"])
    rewrite(lake, lambda rows: rows.filter(pc.invert(pc.is_in(rows["event_id"], gone))))
    found = audit(lake, NOON_MS)
    assert found.hours == (hour(received=14, stored=7, duplicates=4, lost=3),)
    assert found.problems == (
        f"2026-09-21 12:00 UTC: 3 events that had come are gone from {lake.compacted}; remove it, then run usher pull "
        "and usher compact",
    )


def test_receipts_that_are_gone_from_a_part_are_named(lake: Lake) -> None:
    deliver(lake, Isolate("i").send(clicks(3)))
    rewrite(lake, lambda rows: rows.filter(pc.not_equal(rows["type"], "receipt")))
    found = audit(lake, NOON_MS)
    assert not found.hours[0].is_balanced
    assert found.problems[0].startswith(
        f"2026-09-21 12:00 UTC: receipts of 3 events that had come are gone from {lake.compacted}; remove it, "
    )


def test_rows_that_never_came_are_named(lake: Lake) -> None:
    deliver(lake, Isolate("i").send(clicks(3)))
    strange = pa.Table.from_pylist([sent("goal", 1), sent("goal", 2)])
    rewrite(
        lake,
        lambda rows: pa.concat_tables(
            [rows, strange.cast(rows.select(strange.column_names).schema)], promote_options="default"
        ),
    )
    found = audit(lake, NOON_MS)
    assert not found.hours[0].is_balanced
    assert found.problems[0].startswith(f"2026-09-21 12:00 UTC: 2 events more than came are in {lake.compacted}; ")


def test_copies_are_counted_wherever_they_are_left_out(lake: Lake) -> None:
    """Within objects, between parts, between days, and where nothing is compacted yet."""
    isolate = Isolate("i")
    tomorrow = NOON_MS + DAY_MS
    first, second = isolate.send(clicks(5)), isolate.send(clicks(3))
    deliver(lake, first, second)
    compact(lake)
    deliver(lake, [*first, *second], isolate.send(clicks(2, received_ms=tomorrow), at_ms=tomorrow))
    expected = [(8, 5, 3), (2, 0, 2)]
    for _ in range(2):
        found = audit(lake, tomorrow + DAY_MS)
        assert [(each.received, each.stored, each.duplicates) for each in found.hours] == expected
        assert not found.problems
        compact(lake, remove=True)
    hours = read_index(lake).hours
    assert (hours[NOON_MS].lines, hours[NOON_MS].copies) == (16, 11)
    assert (hours[tomorrow].lines, hours[tomorrow].copies) == (2, 0), "copies of other days stay in the files"


def test_an_index_of_before_copies_were_counted_is_read_on(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, [*isolate.send(clicks(3)), *isolate.send(clicks(2))])
    compact(lake, remove=True)
    before = audit(lake, LATER_MS)
    path = lake.compacted / INDEX
    index = json.loads(path.read_bytes())
    index["format"] = 1
    for balance in index["hours"].values():
        del balance["copies"], balance["promised_copies"], balance["promised_quarantined"]
    for part in index["days"]["2026-09-21"]:
        del part["bytes"]
    path.write_text(json.dumps(index))
    assert audit(lake, LATER_MS) == before
    deliver(lake, isolate.send(clicks(1, first=3)))
    compact(lake, remove=True)
    found = audit(lake, LATER_MS)
    assert found.hours == (hour(received=6, stored=4, duplicates=2),)
    assert read_index(lake).hours[NOON_MS].copies is None
    assert all(part.bytes for parts in read_index(lake).days.values() for part in parts)


def test_a_damaged_object_stops_the_audit(lake: Lake) -> None:
    lake.write(lake.events / "bad.ndjson.gz", b"no gzip")
    with pytest.raises(LakeError, match="cannot be read"):
        audit(lake, LATER_MS)


def test_a_damaged_part_stops_audit_and_stats(lake: Lake) -> None:
    deliver(lake, Isolate("i").send(clicks(1)))
    compact(lake, remove=True)
    [path] = Path(lake.compacted).rglob("*.parquet")
    path.write_bytes(b"PAR1nonsense")
    for read in (lambda: audit(lake, LATER_MS), lambda: read_stats(lake)):
        with pytest.raises(LakeError, match=rf"^{lake.root}: cannot be read: .*{path.name}"):
            read()
