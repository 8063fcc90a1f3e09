"""Gaps in the receipts of isolates: what has not come, what was refused, and what of that nobody keeps."""

from __future__ import annotations

from typing import Any

from origin.gaps import Gap, describe_gap, find_gaps
from tests.origin.shop import NOON_MS


def receipt(
    number: int, isolate: str = "a", *, counted: int, void: dict[int, int] | None = None, lost: tuple[int, ...] = ()
) -> dict[str, Any]:
    """The receipt of a message of one event."""
    told = void or {}
    return {
        "isolate": isolate, "number": number, "events": 1, "quarantined": 0, "counted": counted,
        "received_ms": NOON_MS + number, "void": list(told), "void_counted": list(told.values()),
        "void_lost": list(lost),
    }  # fmt: skip


def gap(first: int, last: int, messages: int, events: int, **fields: Any) -> Gap:
    every: dict[str, Any] = {"isolate": "a", "before_ms": NOON_MS + last + 1, **fields}
    return Gap(first=first, last=last, messages=messages, events=events, **every)


def test_books_without_a_gap_have_none() -> None:
    assert find_gaps([]) == []
    assert find_gaps([receipt(2, counted=1), receipt(1, counted=0)]) == []


def test_the_gaps_of_several_isolates_do_not_mix() -> None:
    rows = [receipt(number, "a", counted=number - 1) for number in (4, 2, 1)]
    rows += [receipt(number, "b", counted=number - 1) for number in (3, 2, 1)]
    assert find_gaps(rows) == [gap(3, 3, 1, 1)]


def test_the_first_messages_are_missed_too() -> None:
    assert find_gaps([receipt(3, counted=7)]) == [gap(1, 2, 2, 7)]


def test_refused_messages_that_are_kept_are_no_gap() -> None:
    rows = [receipt(1, counted=0), receipt(4, counted=9, void={2: 5, 3: 3})]
    assert find_gaps(rows) == []


def test_refused_messages_that_nobody_keeps_are_told_apart_from_those_that_did_not_come() -> None:
    void = {2: 5, 3: 3, 5: 10}
    rows = [receipt(1, counted=0), receipt(6, counted=1 + 5 + 3 + 2 + 10, void=void, lost=(2, 5))]
    assert find_gaps(rows) == [gap(4, 4, 1, 2, before_ms=NOON_MS + 6), gap(2, 5, 2, 15, is_refused=True)]


def test_a_refused_message_that_came_all_the_same_is_no_gap() -> None:
    rows = [receipt(1, counted=0), receipt(2, counted=1), receipt(3, counted=2, void={2: 1}, lost=(2,))]
    assert find_gaps(rows) == []


def test_gaps_are_described_with_what_can_be_done() -> None:
    what = "message 3 of isolate a with 1,000 events did not come"
    assert describe_gap(gap(3, 3, 1, 1_000), is_lost=False) == (
        f"{what} yet; the dead-letter queue is tried by the hour: see that the bucket takes objects"
    )
    assert describe_gap(gap(3, 3, 1, 1_000), is_lost=True) == (
        f"{what}, and no queue keeps it any more; see in the Worker's log what its consumer met"
    )
    assert describe_gap(gap(2, 5, 2, 15, is_refused=True), is_lost=True) == (
        "2 messages from 2 to 5 of isolate a with 15 events: refused by Queue and bucket, and kept by nobody; the "
        "Worker's log says why (queue_failed)"
    )
