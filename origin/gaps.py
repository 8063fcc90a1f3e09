"""Gaps in the receipts: messages of an isolate that have not come, by the numbers of those that have.

The receipt after a gap says how many events had been sent before it, and so how many the gap holds; it counts to the
hour of that receipt. Numbers that a receipt calls void are messages that the Queue refused. Their senders were told to
keep the events, and such a number is no gap; where nobody keeps them, they are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Messages of an isolate that have not come: the first and last number, how many they are, how many events they
    hold, when the next message that came was received, and whether they were refused and nobody keeps them."""

    isolate: str
    first: int
    last: int
    messages: int
    events: int
    before_ms: int
    is_refused: bool = False


def find_gaps(receipts: Iterable[Mapping[str, Any]]) -> list[Gap]:
    """Return the gaps between the receipts of each isolate, but for messages that were refused and are kept.

    `receipts` have isolate, number, events, quarantined, counted, received_ms, and as lists void, void_counted and
    void_lost.
    """
    ordered = sorted(receipts, key=lambda each: (each["isolate"], each["number"]))
    return [gap for _, group in groupby(ordered, key=lambda each: each["isolate"]) for gap in _find_gaps(list(group))]


def _find_gaps(receipts: list[Mapping[str, Any]]) -> Iterator[Gap]:
    """Those of one isolate, whose receipts are in order."""
    void: dict[int, int] = {}
    lost: set[int] = set()
    for each in receipts:
        void |= dict(zip(each["void"], each["void_counted"], strict=True))
        lost.update(each["void_lost"])
    start = {"number": 0, "counted": 0, "events": 0, "quarantined": 0}
    for before, after in pairwise([start, *receipts]):
        between = range(before["number"] + 1, after["number"])
        counted = after["counted"] - before["counted"] - before["events"] - before["quarantined"]
        absent = [number for number in between if number not in void]
        refused = [number for number in between if number in lost]
        if absent:
            yield _gap(after, absent, counted - sum(void.get(number, 0) for number in between))
        if refused:
            yield _gap(after, refused, sum(void[number] for number in refused), is_refused=True)


def _gap(after: Mapping[str, Any], numbers: list[int], events: int, *, is_refused: bool = False) -> Gap:
    return Gap(
        isolate=after["isolate"],
        first=numbers[0],
        last=numbers[-1],
        messages=len(numbers),
        events=events,
        before_ms=after["received_ms"],
        is_refused=is_refused,
    )


def describe_gap(gap: Gap, *, is_lost: bool) -> str:
    """A gap in words, and what can be done."""
    numbers = (
        f"message {gap.first}" if gap.messages == 1 else f"{gap.messages:,} messages from {gap.first} to {gap.last}"
    )
    what = f"{numbers} of isolate {gap.isolate} with {gap.events:,} events"
    if gap.is_refused:
        return f"{what}: refused by Queue and bucket, and kept by nobody; the Worker's log says why (queue_failed)"
    if is_lost:
        return f"{what} did not come, and no queue keeps it any more; see in the Worker's log what its consumer met"
    return f"{what} did not come yet; the dead-letter queue is tried by the hour: see that the bucket takes objects"
