from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from worker.receipts import MOST_OPEN, MOST_VOID, Receipt, Receipts

NOW_MS = 1_700_000_000_000


def audit(sent: list[Receipt], stored: list[Receipt]) -> int:
    """The events that are in flight or lost, as the origin reckons them from the receipts that came."""
    void = {number: count for each in stored for number, count in zip(each.void, each.void_counted, strict=True)}
    missing, number, counted = 0, 0, 0
    for each in sorted(stored, key=lambda receipt: receipt.number):
        gap = range(number + 1, each.number)
        missing += each.counted - counted - sum(void.get(one, 0) for one in gap)
        number, counted = each.number, each.counted + each.events + each.quarantined
    return missing


def test_messages_are_numbered_and_each_says_what_went_before() -> None:
    receipts = Receipts("a1")
    issued = [receipts.issue(3, 1), receipts.issue(2, 0), receipts.issue(0, 5)]
    assert [(each.number, each.events, each.quarantined, each.counted) for each in issued] == [
        (1, 3, 1, 0),
        (2, 2, 0, 4),
        (3, 0, 5, 6),
    ]


def test_a_receipt_is_stored_as_an_event_of_the_edge() -> None:
    stored = json.loads(json.dumps(Receipts("a1").issue(3, 1).to_dict(NOW_MS)))
    assert (stored["type"], stored["event_id"], stored["source"], stored["visitor"]) == ("receipt", "a1-1", "edge", "")
    assert stored["received_ms"] == stored["happened_ms"] == NOW_MS
    assert (stored["isolate"], stored["number"], stored["counted"], stored["void"]) == ("a1", 1, 0, [])


def test_a_refused_message_is_told_until_a_message_that_tells_it_was_accepted() -> None:
    receipts = Receipts("a1")
    first = receipts.issue(7, 1)
    receipts.settle(first.number, is_accepted=False)
    second = receipts.issue(1, 0)
    assert (second.void, second.void_counted) == ((1,), (8,))
    receipts.settle(second.number, is_accepted=False)
    third = receipts.issue(1, 0)
    assert (third.void, third.void_counted) == ((1, 2), (8, 1))
    receipts.settle(third.number, is_accepted=True)
    assert receipts.issue(1, 0).void == ()


def test_what_nobody_keeps_is_told_as_lost_when_it_is_refused() -> None:
    receipts = Receipts("a1")
    exposures, batch, stored = (
        receipts.issue(5, 0, is_kept=False),
        receipts.issue(2, 0),
        receipts.issue(1, 0, is_kept=False),
    )
    for each in (exposures, batch):
        receipts.settle(each.number, is_accepted=False)
    receipts.settle(stored.number, is_accepted=True)
    told = receipts.issue(1, 0)
    assert (told.void, told.void_counted, told.void_lost) == ((1, 2), (5, 2), (1,))
    assert json.loads(json.dumps(told.to_dict(NOW_MS)))["void_lost"] == [1]


def test_requests_that_interleave_both_tell_what_was_refused_before_them() -> None:
    receipts = Receipts("a1")
    receipts.settle(receipts.issue(1, 0).number, is_accepted=False)
    one, other = receipts.issue(1, 0), receipts.issue(1, 0)
    assert one.void == other.void == (1,)
    receipts.settle(other.number, is_accepted=True)
    receipts.settle(one.number, is_accepted=False)
    assert receipts.issue(1, 0).void == (2,)


def test_a_receipt_stays_small_however_many_messages_were_refused() -> None:
    receipts = Receipts("a" * 16)
    for _ in range(5_000):
        receipts.settle(receipts.issue(100, 0).number, is_accepted=False)
    told: set[int] = set()
    while void := (receipt := receipts.issue(1, 0)).void:
        assert len(void) <= MOST_VOID
        assert len(json.dumps(receipt.to_dict(NOW_MS))) < 3_000
        told.update(void)
        receipts.settle(receipt.number, is_accepted=True)
    assert told == set(range(1, 5_001))


def test_what_was_never_settled_is_forgotten_in_time() -> None:
    receipts = Receipts("a1")
    for _ in range(2 * MOST_OPEN):
        receipts.issue(1, 0)
    assert len(receipts._open) == MOST_OPEN
    receipts.settle(1, is_accepted=False)
    assert receipts.issue(1, 0).void == ()


FATES = st.sampled_from(["ok", "refused", "refused for good", "lost"])


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), FATES), min_size=1))
def test_the_books_balance_to_the_event(messages: list[tuple[int, int, str]]) -> None:
    receipts = Receipts("a1")
    sent, stored, lost = [], [], 0
    refused: dict[int, str] = {}
    for events, quarantined, fate in [*messages, (1, 0, "ok"), (1, 0, "ok")]:
        receipt = receipts.issue(events, quarantined, is_kept=fate != "refused for good")
        sent.append(receipt)
        is_refused = fate.startswith("refused")
        receipts.settle(receipt.number, is_accepted=not is_refused)
        if is_refused:
            refused[receipt.number] = fate
        if fate == "ok":
            stored.append(receipt)
        if fate == "lost":
            lost += events + quarantined
    told = {number for each in stored for number in each.void}
    gone = {number for each in stored for number in each.void_lost}
    assert gone == {number for number in told if refused[number] == "refused for good"}
    if told >= set(refused):  # a lost message takes along what it had to tell
        assert audit(sent, stored) == lost
