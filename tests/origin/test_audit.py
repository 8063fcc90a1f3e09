"""The balance: received = stored + quarantined + duplicates + in flight + lost, hour by hour."""

from __future__ import annotations

import gzip
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.audit import Audit, HourBalance, audit, find_gaps, read_quarantine
from origin.compact import compact
from origin.errors import LakeError
from origin.lake import Lake
from origin.stats import Stats, read_stats
from tests.origin.mail import Isolate, deliver, sent
from tests.origin.shop import DAY_MS, HOUR_MS, NOON_MS, Event, exposure, goal, store

LATER_MS = NOON_MS + DAY_MS


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
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=7, stored=5, quarantined=2),))


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
    assert audit(lake, NOON_MS + HOUR_MS - 1) == Audit(hours=(hour(received=8, stored=3, in_flight=5),))
    found = audit(lake, NOON_MS + HOUR_MS)
    assert found.hours == (hour(received=8, stored=3, lost=5),)
    assert found.problems == (
        "2026-09-21 12:00 UTC: message 2 of isolate i with 5 events did not come; look into the dead-letter queue",
    )
    deliver(lake, missing)
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=8, stored=7, quarantined=1),))


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


def test_lines_that_are_missing_from_an_object_are_named(lake: Lake) -> None:
    [(name, moment_ms, text)] = Isolate("i").send(clicks(4))
    deliver(lake, [(name, moment_ms, text.partition("\n")[2])])
    assert audit(lake, NOON_MS).hours == (hour(received=4, stored=3, in_flight=1),)
    found = audit(lake, LATER_MS)
    assert found.hours == (hour(received=4, stored=3, lost=1),)
    assert found.problems == (
        "2026-09-21 12:00 UTC: 1 lines that receipts speak of are not in the lake; run usher pull and see which "
        "objects it names",
    )


def test_copies_that_are_missing_are_no_loss(lake: Lake) -> None:
    [(name, moment_ms, text)] = Isolate("i").send(clicks(4))
    deliver(lake, [(name, moment_ms, text)], [(f"{name}-again", moment_ms, text.partition("\n")[2])])
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=4, stored=4),))


def test_lines_of_which_no_receipt_speaks_are_named(lake: Lake) -> None:
    deliver(lake, Isolate("i").send(clicks(1)))
    store(lake, clicks(2, first=1))
    found = audit(lake, LATER_MS)
    assert found.problems == (
        "2026-09-21 12:00 UTC: 2 lines are in the lake of which no receipt speaks; something else than the edge wrote "
        "to the bucket",
    )
    assert not found.hours[0].is_balanced


def test_the_gaps_of_several_isolates_do_not_mix() -> None:
    rows: list[dict[str, Any]] = [
        {
            "isolate": isolate,
            "number": number,
            "events": 1,
            "quarantined": 0,
            "counted": number - 1,
            "received_ms": NOON_MS,
            "void": [],
            "void_counted": [],
        }
        for isolate in "ab"
        for number in ((1, 2, 4) if isolate == "a" else (1, 2, 3))
    ]
    assert [(gap.isolate, gap.first, gap.events) for gap in find_gaps(reversed(rows))] == [("a", 3, 1)]


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


def test_damaged_quarantine_is_named(lake: Lake) -> None:
    path = lake.quarantine / "bad.ndjson.gz"
    for content in (b"no gzip", gzip.compress(b"[]\n"), gzip.compress(b'{"code": "x"}\n')):
        lake.write(path, content)
        with pytest.raises(LakeError, match=rf"^{path}: cannot be read \(.*\); remove it and run usher pull$"):
            read_quarantine(lake)


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


def test_stats_of_an_empty_lake_are_empty(lake: Lake) -> None:
    assert read_stats(lake) == Stats()


def test_stats_count_each_event_once(lake: Lake) -> None:
    late = clicks(1, first=3, happened_ms=NOON_MS - 10_000)
    server = sent("purchase", 1, source="server", value=1.0, currency="EUR", happened_ms=NOON_MS - DAY_MS)
    bot = sent("page_view", 1, "crawler", user_agent="Googlebot/2.1", source="browser")
    messages = Isolate("i").send([*clicks(3), *late, server, bot], refused=2)
    deliver(lake, messages, [*messages, *Isolate("j").send([exposure(1, source="edge")])])
    assert asdict(read_stats(lake)) == {
        "types": {
            ("click", "browser"): 4,
            ("receipt", "edge"): 2,
            ("exposure", "edge"): 1,
            ("page_view", "browser"): 1,
            ("purchase", "server"): 1,
        },
        "lateness_ms": {"browser": (0, 6_000, 9_600, 10_000), "server": (DAY_MS,) * 4},
        "bots": {"declared:Googlebot": (1, 1)},
        "codes": {"missing": 2},
    }
    assert read_stats(lake, since_ms=NOON_MS + HOUR_MS) == Stats()
