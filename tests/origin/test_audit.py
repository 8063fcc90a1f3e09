"""The balance: received = stored + quarantined + duplicates + in flight + lost, hour by hour."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.audit import KEPT_MS, Audit, HourBalance, audit
from origin.compact import compact
from origin.compacted import INDEX, read_index
from origin.errors import LakeError
from origin.lake import Lake
from origin.stats import read_stats
from tests.origin.mail import Isolate, deliver, record, sent
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, Event, exposure, goal, store

# No queue keeps a message of noon any more.
LATER_MS = NOON_MS + HOUR_MS + KEPT_MS


def clicks(count: int, first: int = 0, **fields: Any) -> list[Event]:
    return [sent("click", number, target="nav", **fields) for number in range(first, first + count)]


def hour(**counts: int) -> HourBalance:
    every = {"received": 0, "stored": 0, "quarantined": 0, "duplicates": 0, "in_flight": 0, "lost": 0, **counts}
    return HourBalance(start_ms=NOON_MS, **every)


def test_an_empty_lake_is_balanced(lake: Lake) -> None:
    assert audit(lake, LATER_MS) == Audit()


def test_events_without_receipts_are_in_no_balance(lake: Lake) -> None:
    store(lake, [exposure(1), goal(1)])
    lake.write(lake.quarantine / "old.ndjson.gz", gzip.compress(b'{"received_ms": 1, "reason": "before codes"}\n'))
    assert audit(lake, LATER_MS) == Audit()


def test_what_was_received_is_stored_or_quarantined(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, [*isolate.send(clicks(3), refused=2), *isolate.send(clicks(2, first=3))])
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=7, stored=5, quarantined=2),), isolates=1)


def test_each_hour_has_a_balance_of_its_own(lake: Lake) -> None:
    isolate = Isolate("i")
    later = NOON_MS + HOUR_MS
    deliver(lake, [*isolate.send(clicks(1)), *isolate.send(clicks(2, first=1, received_ms=later), at_ms=later)])
    found = audit(lake, LATER_MS).hours
    assert [(each.start_ms, each.received, each.stored) for each in found] == [(NOON_MS, 1, 1), (later, 2, 2)]
    assert audit(lake, LATER_MS, since_ms=later).hours == found[1:]


def test_messages_that_came_again_were_received_once(lake: Lake) -> None:
    isolate = Isolate("i")
    first, second = isolate.send(clicks(3), refused=1), isolate.send(clicks(2, first=3))
    deliver(lake, first, second, [*first, *second])
    assert audit(lake, LATER_MS).hours == (hour(received=6, stored=5, quarantined=1),)


def test_events_that_were_sent_again_are_duplicates(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, [*isolate.send(clicks(3)), *isolate.send(clicks(3))])
    assert audit(lake, LATER_MS).hours == (hour(received=6, stored=3, duplicates=3),)


def test_an_event_twice_in_one_batch_is_a_duplicate(lake: Lake) -> None:
    messages = Isolate("i").send([*clicks(2), *clicks(1)])
    deliver(lake, messages, [*messages, *Isolate("j").send([])])
    assert audit(lake, LATER_MS).hours == (hour(received=3, stored=2, duplicates=1),)


def test_an_event_that_was_sent_again_is_a_duplicate_of_the_later_hour(lake: Lake) -> None:
    isolate = Isolate("i")
    later = NOON_MS + HOUR_MS
    deliver(lake, [*isolate.send(clicks(1)), *isolate.send(clicks(1, received_ms=later), at_ms=later)])
    assert [(each.stored, each.duplicates) for each in audit(lake, LATER_MS).hours] == [(1, 0), (0, 1)]


def test_a_gap_is_in_flight_while_the_queue_may_still_bring_it(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, isolate.send(clicks(2)))
    missing = isolate.send(clicks(4, first=2), refused=1)
    deliver(lake, isolate.send(clicks(1, first=6)))
    assert audit(lake, NOON_MS + HOUR_MS - 1) == Audit(hours=(hour(received=8, stored=3, in_flight=5),), isolates=1)
    what = "2026-09-21 12:00 UTC: message 2 of isolate i with 5 events did not come"
    found = audit(lake, NOON_MS + KEPT_MS - 1)
    assert found.hours == (hour(received=8, stored=3, in_flight=5),)
    assert found.problems[0].startswith(f"{what} yet; the dead-letter queue is tried by the hour")
    assert audit(lake, NOON_MS + HOUR_MS).problems == found.problems
    found = audit(lake, NOON_MS + KEPT_MS)
    assert found.hours == (hour(received=8, stored=3, lost=5),)
    assert found.problems[0].startswith(f"{what}, and no queue keeps it any more")
    deliver(lake, missing)
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=8, stored=7, quarantined=1),), isolates=1)


def test_the_first_messages_of_an_isolate_are_missed_too(lake: Lake) -> None:
    isolate = Isolate("i")
    isolate.send(clicks(1))
    isolate.send(clicks(2))
    deliver(lake, isolate.send(clicks(1)))
    found = audit(lake, LATER_MS)
    assert found.hours == (hour(received=4, stored=1, lost=3),)
    assert "2 messages from 1 to 2 of isolate i with 3 events did not come" in found.problems[0]


def test_messages_that_the_queue_refused_were_not_received(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, isolate.send(clicks(1)))
    isolate.send(clicks(3, first=1), is_accepted=False)
    deliver(lake, isolate.send(clicks(2, first=1)))
    isolate.send(clicks(2, first=4))
    deliver(lake, isolate.send(clicks(1, first=3)))
    found = audit(lake, LATER_MS)
    assert found.hours == (hour(received=6, stored=4, lost=2),)
    assert "message 4 of isolate i with 2 events" in found.problems[0]


def test_what_nobody_keeps_is_lost_when_it_is_refused(lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, isolate.send(clicks(1)))
    isolate.send(clicks(5, first=1), is_accepted=False, is_kept=False)
    isolate.send(clicks(3, first=6), is_accepted=False)
    deliver(lake, isolate.send(clicks(1, first=6)))
    isolate.send(clicks(2, first=9))
    deliver(lake, isolate.send(clicks(1, first=7)))
    found = audit(lake, NOON_MS)
    assert found.hours == (hour(received=10, stored=3, lost=5, in_flight=2),)
    assert found.problems == (
        "2026-09-21 12:00 UTC: message 2 of isolate i with 5 events: refused by Queue and bucket, and kept by nobody; "
        "the Worker's log says why (queue_failed)",
    )


def test_an_event_that_was_refused_again_is_in_quarantine_once(lake: Lake) -> None:
    isolate = Isolate("i")
    for attempt in range(3):
        at_ms = NOON_MS + attempt
        again = clicks(99, received_ms=at_ms, sent_ms=at_ms)
        deliver(lake, isolate.send(again, records=[record("bad", at_ms=at_ms)], at_ms=at_ms))
    expected = Audit(hours=(hour(received=300, stored=99, quarantined=1, duplicates=200),), isolates=1)
    assert audit(lake, LATER_MS) == expected
    compact(lake, remove=True)
    assert audit(lake, LATER_MS) == expected


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
        del balance["copies"], balance["promised_copies"]
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


def test_isolates_are_counted_whose_last_message_is_in_the_hours(lake: Lake) -> None:
    later = NOON_MS + HOUR_MS
    one, other = Isolate("one"), Isolate("other")
    deliver(lake, one.send(clicks(1)), other.send(clicks(1, first=1)))
    deliver(lake, other.send(clicks(1, first=2, received_ms=later), at_ms=later))
    assert audit(lake, LATER_MS).isolates == 2
    assert audit(lake, LATER_MS, since_ms=later).isolates == 1


def test_lines_that_are_missing_from_an_object_are_named(lake: Lake) -> None:
    [(name, moment_ms, text)] = Isolate("i").send(clicks(4))
    deliver(lake, [(name, moment_ms, text.partition("\n")[2])])
    assert audit(lake, NOON_MS) == Audit(hours=(hour(received=4, stored=3, in_flight=1),), isolates=1)
    assert audit(lake, LATER_MS).hours == (hour(received=4, stored=3, lost=1),)
    found = audit(lake, NOON_MS + 2 * HOUR_MS)
    assert found.hours == (hour(received=4, stored=3, in_flight=1),)
    assert found.problems == (
        "2026-09-21 12:00 UTC: 1 lines that receipts speak of are not in the lake; run usher pull and see which "
        "objects it names",
    )


def test_copies_that_are_missing_are_no_loss(lake: Lake) -> None:
    [(name, moment_ms, text)] = Isolate("i").send(clicks(4))
    deliver(lake, [(name, moment_ms, text)], [(f"{name}-again", moment_ms, text.partition("\n")[2])])
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=4, stored=4),), isolates=1)


def test_lines_of_which_no_receipt_speaks_are_named(lake: Lake) -> None:
    deliver(lake, Isolate("i").send(clicks(1)))
    store(lake, clicks(2, first=1))
    found = audit(lake, LATER_MS)
    assert found.problems == (
        "2026-09-21 12:00 UTC: 2 lines are in the lake of which no receipt speaks; something else than the edge wrote "
        "to the bucket",
    )
    assert not found.hours[0].is_balanced


@settings(max_examples=6)
@given(seed=st.integers(0, 1 << 32))
def test_whatever_happens_the_balance_holds(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Messages that come several times or never, refusals, resent events, compaction at any moment."""
    randomness = random.Random(seed)
    lake = Lake(tmp_path_factory.mktemp("lake"))
    isolates = [Isolate(name) for name in "abc"]
    accepted = came = 0
    numbers: set[int] = set()
    for isolate in isolates:
        for _ in range(randomness.randint(1, 6)):
            first, count, refused = randomness.randint(0, 8), randomness.randint(0, 4), randomness.randint(0, 2)
            fate = randomness.choice(["good", "again", "lost" if isolate.name == "c" else "refused"])
            messages = isolate.send(clicks(count, first=first), refused=refused, is_accepted=fate != "refused")
            if fate in ("good", "again"):
                deliver(lake, messages, *([messages] if fate == "again" else []))
                numbers |= set(range(first, first + count))
                came += count + refused
            if fate == "again":
                deliver(lake, [*messages, *isolate.send([])])
            accepted += (count + refused) * (fate != "refused")
            if randomness.random() < 0.2:
                compact(lake, remove=randomness.random() < 0.5)
        accepted += 1
        came += 1
        deliver(lake, isolate.send([sent("goal", 0, isolate.name, name="last")]))
    found = audit(lake, LATER_MS)
    [only] = found.hours
    assert only.is_balanced
    assert (only.received, only.lost, only.in_flight) == (accepted, accepted - came, 0)
    assert only.stored == len(numbers) + len(isolates)
    assert len(found.problems) == 0 or only.lost
    compact(lake, remove=True)
    assert audit(lake, LATER_MS) == found


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
