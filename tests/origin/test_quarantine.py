"""Quarantine records: each event once, however often its batch was sent."""

from __future__ import annotations

import gzip
import json

import pytest

from origin.errors import LakeError
from origin.lake import Lake
from origin.quarantine import Records, read_quarantine
from tests.origin.mail import Isolate, deliver, record
from tests.origin.shop import HOUR_MS, NOON_MS, Event


def read(lake: Lake, *records: Event) -> dict[int, Records]:
    deliver(lake, Isolate("i").send([], records=records))
    return read_quarantine(lake)


def test_an_empty_quarantine_holds_nothing(lake: Lake) -> None:
    assert read_quarantine(lake) == {}


def test_an_event_counts_once_in_the_hour_in_which_it_came_first(lake: Lake) -> None:
    later = NOON_MS + HOUR_MS
    records = [record("a", at_ms=later), record("a", code="unplanned"), record("a", at_ms=NOON_MS + 5), record("b")]
    assert read(lake, *records) == {
        NOON_MS: Records(lines=3, different=3, events=2, codes={"unplanned": 1, "missing": 1}),
        later: Records(lines=1, different=1),
    }


def test_lines_of_a_message_that_came_again_do_not_differ(lake: Lake) -> None:
    records = [record("a"), record("b"), record("b", index="1")]
    deliver(lake, Isolate("j").send([], records=records))
    assert read(lake, *records) == {NOON_MS: Records(lines=6, different=3, events=2, codes={"missing": 2})}


CUT = json.dumps({"type": "custom", "properties": {"text": "x" * 3_000}, "event_id": "a"})[:2_000]


@pytest.mark.parametrize(
    ("one", "other", "are_copies"),
    [
        (record("a"), record("a", sent_ms="1"), True),
        (record("a"), record("b"), False),
        (record("a"), record("a", visitor="visitor-2"), False),
        (record("", '{"event_id": "a", "n": 1}'), record("", '{"n": 2, "event_id": "a"}'), True),
        (record("", '{"event_id": "", "n": 1}'), record("", '{"event_id": "", "n": 2}'), False),
        (record("", '{"event_id": 7, "n": 1}'), record("", '{"event_id": 7, "n": 2}'), False),
        (record("", "5"), record("", "5"), True),
        (record("", "5"), record("", "6"), False),
        (record("", "5"), record("", "5", visitor="visitor-2"), False),
        (record("", CUT), record("", CUT), True),
        (record("", CUT), record("", CUT.replace("custom", "search")), False),
        (record("", '"\\ud800"'), record("", '"\\ud800"'), True),
    ],
)
def test_copies_are_told_by_visitor_and_id_or_else_by_the_text(
    lake: Lake, one: Event, other: Event, are_copies: bool
) -> None:
    assert read(lake, one, other)[NOON_MS].events == 2 - are_copies


def test_ids_of_a_servers_events_count_within_the_visitor_whom_they_name(lake: Lake) -> None:
    texts = [json.dumps({"event_id": "a", "visitor": visitor}) for visitor in ("ann", "bob", "ann")]
    assert read(lake, *(record("", text, visitor="", source="server") for text in texts))[NOON_MS].events == 2


def test_damaged_quarantine_is_named(lake: Lake) -> None:
    path = lake.quarantine / "bad.ndjson.gz"
    for content in (b"no gzip", gzip.compress(b"[]\n"), gzip.compress(b'{"code": "x"}\n')):
        lake.write(path, content)
        with pytest.raises(LakeError, match=rf"^{path}: cannot be read \(.*\); remove it and run usher pull$"):
            read_quarantine(lake)
