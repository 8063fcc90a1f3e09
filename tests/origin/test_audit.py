"""The balance: received = stored + quarantined + duplicates + in flight + lost, hour by hour."""

from __future__ import annotations

import gzip
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from origin.audit import KEPT_MS, Audit, audit
from origin.compact import compact
from origin.lake import Lake
from tests.origin.books import LATER_MS, clicks, deliver_events_only, hour
from tests.origin.mail import Isolate, Mail, deliver, record, sent
from tests.origin.shop import HOUR_MS, NOON_MS, exposure, goal, store


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
    deliver(lake, messages, [*messages, *Isolate("j").send(clicks(1, first=2))])
    assert audit(lake, LATER_MS).hours == (hour(received=4, stored=3, duplicates=1),)


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


def test_a_batch_that_was_written_without_its_quarantine_and_came_again_is_whole(lake: Lake) -> None:
    """The consumer writes two objects; where the second fails, the messages come again, in another batch."""
    isolate = Isolate("i")
    first, second = isolate.send(clicks(3), refused=2), isolate.send(clicks(3), refused=1)
    deliver_events_only(lake, first)
    assert audit(lake, NOON_MS).hours == (hour(received=5, stored=3, in_flight=2),)
    deliver(lake, [*first, *second])
    for _ in range(2):
        assert audit(lake, LATER_MS) == Audit(
            hours=(hour(received=9, stored=3, quarantined=3, duplicates=3),), isolates=1
        )
        compact(lake, remove=True)


def test_a_line_that_the_consumer_could_not_read_is_in_quarantine(lake: Lake) -> None:
    [(name, moment_ms, text)] = Isolate("i").send(clicks(3))
    garbled = (name, moment_ms, text.replace('e{"schema"', '?{"schema"', 1))
    deliver(lake, [garbled], [garbled, *Isolate("j").send(clicks(1, first=3))])
    assert audit(lake, LATER_MS) == Audit(hours=(hour(received=4, stored=3, quarantined=1),), isolates=2)


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


@settings(max_examples=12)
@given(seed=st.integers(0, 1 << 32))
def test_whatever_happens_the_balance_holds(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Messages that come several times, in halves or never, refusals, resent events, compaction at any moment."""
    randomness = random.Random(seed)
    lake = Lake(tmp_path_factory.mktemp("lake"))
    isolates = [Isolate(name) for name in "abc"]
    accepted = came = rejected = 0
    numbers: set[int] = set()
    delivered: list[Mail] = []
    for isolate in isolates:
        for _ in range(randomness.randint(1, 6)):
            first, count, refused = randomness.randint(0, 8), randomness.randint(0, 4), randomness.randint(0, 2)
            fate = randomness.choice(["good", "again", "in halves", "lost" if isolate.name == "c" else "refused"])
            messages = isolate.send(clicks(count, first=first), refused=refused, is_accepted=fate != "refused")
            accepted += (count + refused) * (fate != "refused")
            if fate == "in halves":
                deliver_events_only(lake, messages)
            if fate not in ("lost", "refused"):
                delivered += messages
                again = randomness.choices(delivered, k=2) if delivered and fate != "good" else []
                deliver(lake, [*messages, *again])
                numbers |= set(range(first, first + count))
                came += count + refused
                rejected += refused
            if fate == "again":
                deliver(lake, messages)
            if randomness.random() < 0.2:
                compact(lake, remove=randomness.random() < 0.5)
        deliver(lake, isolate.send([sent("goal", 0, isolate.name, name="last")]))
    accepted, came, stored = accepted + len(isolates), came + len(isolates), len(numbers) + len(isolates)
    found = audit(lake, LATER_MS)
    duplicates, lost = came - stored - rejected, accepted - came
    assert found.hours == (
        hour(received=accepted, stored=stored, quarantined=rejected, duplicates=duplicates, lost=lost),
    )
    assert bool(found.problems) == bool(lost)
    compact(lake, remove=True)
    assert audit(lake, LATER_MS) == found
