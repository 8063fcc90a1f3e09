from __future__ import annotations

import gzip
import json
import random
from base64 import b64encode
from collections.abc import Sequence
from itertools import pairwise

import pytest

from worker.receipts import Receipts
from worker.storage import (
    MAX_MESSAGE_BYTES,
    MAX_QUARANTINED_CHARACTERS,
    StoredObject,
    event_line,
    fit_line,
    pack_batch,
    pack_messages,
    quarantine_line,
)

TEN_TO_MIDNIGHT_MS = 1_704_066_600_000  # 2023-12-31 23:50 UTC
# What the Queue takes: it refuses 128,000 bytes.
QUEUE_BYTES = 127_999


def pack(lines: Sequence[str], receipts: Receipts | None = None) -> list[str]:
    packed = pack_messages(lines, receipts or Receipts("a1"), TEN_TO_MIDNIGHT_MS)
    return [message.text for message in packed]


def lines_of(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]


def stored(messages: Sequence[str]) -> list[StoredObject]:
    return pack_batch([(f"m{k:03}", TEN_TO_MIDNIGHT_MS + k, body) for k, body in enumerate(messages)])


def events_of(objects: Sequence[StoredObject]) -> list[dict[str, object]]:
    """The events among the objects, without the receipts."""
    found = [line for each in objects if each.key.startswith("events/") for line in lines_of(each.content)]
    return [line for line in found if line.get("type") != "receipt"]


def decision_among(variants: int) -> dict[str, object]:
    """An exposure's long vectors as a catalogue makes them: no two probabilities and no two names alike."""
    draw = random.Random(7)
    return {
        "type": "exposure",
        "probabilities": [draw.random() / variants for _ in range(variants)],
        "eligible": [f"article-{draw.randrange(10**12):012}" for _ in range(variants)],
    }


def test_events_and_quarantine_share_a_message_and_say_where_they_belong() -> None:
    [message] = pack([event_line({"a": 1}), event_line({"a": 2}), quarantine_line({"reason": "x"})])
    *lines, receipt = message.split("\n")
    assert lines == ['e{"a":1}', 'e{"a":2}', 'q{"reason":"x"}']
    assert receipt[0] == "e"
    told = json.loads(receipt[1:])
    assert (told["type"], told["number"], told["events"], told["quarantined"]) == ("receipt", 1, 2, 1)


def test_nothing_makes_no_message_and_no_receipt() -> None:
    receipts = Receipts("a1")
    assert pack([], receipts) == []
    assert receipts.issue(1, 0).number == 1


@pytest.mark.parametrize("size", [10, 3_000, 40_000, 59_000])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_messages_stay_below_the_limit_and_lose_nothing(size: int, count: int) -> None:
    events = [{"n": n, "text": "ü🙂"[n % 2] * (size // 12)} for n in range(count)]
    receipts = Receipts("a" * 16)
    for _ in range(500):
        receipts.settle(receipts.issue(100, 100).number, is_accepted=False)
    messages = pack([event_line(event) for event in events], receipts)
    assert all(len(message.encode()) <= QUEUE_BYTES for message in messages)
    parts = [[json.loads(line[1:]) for line in message.split("\n")] for message in messages]
    assert [event for *part, _ in parts for event in part] == events
    assert [receipt["events"] for *_, receipt in parts] == [len(part) - 1 for part in parts]
    assert [receipt["number"] for *_, receipt in parts] == list(range(501, 501 + len(parts)))
    # Two neighbours that fit into one message would have been one.
    for one, other in pairwise(messages):
        assert len(one) + len(other.split("\n")[0]) + 1 >= MAX_MESSAGE_BYTES


def test_a_decision_among_thousands_of_variants_is_kept_whole() -> None:
    event = decision_among(3_000)
    line = fit_line(event_line(event), TEN_TO_MIDNIGHT_MS)
    assert line[0] == "z"
    small = event_line({"n": 1})
    messages = pack([small, line, small])
    assert all(len(message) <= QUEUE_BYTES for message in messages)
    assert json.loads(messages[0].split("\n")[-1][1:])["events"] == 3
    assert events_of(stored(messages)) == [{"n": 1}, event, {"n": 1}]


def test_a_line_that_fits_is_left_as_it_is() -> None:
    line = event_line({"text": "x" * (MAX_MESSAGE_BYTES - 100)})
    assert fit_line(line, TEN_TO_MIDNIGHT_MS) is line


def test_what_does_not_fit_even_compressed_goes_to_quarantine_and_the_others_beside_it_are_kept() -> None:
    line = fit_line(event_line(decision_among(20_000)), TEN_TO_MIDNIGHT_MS)
    events, quarantine = stored(pack([event_line({"n": 1}), line, event_line({"n": 2})]))
    assert events_of([events]) == [{"n": 1}, {"n": 2}]
    [record] = lines_of(quarantine.content)
    assert (record["code"], record["source"], record["received_ms"]) == ("too_large", "edge", TEN_TO_MIDNIGHT_MS)
    assert str(record["event"]).startswith('{"type":"exposure","probabilities":[')
    assert len(str(record["event"])) == MAX_QUARANTINED_CHARACTERS
    assert lines_of(events.content)[-1]["quarantined"] == 1


def test_text_with_line_breaks_stays_on_one_line() -> None:
    line = event_line({"text": "a\nb\u2028c\x85d"})
    assert line.splitlines() == [line]


def test_not_a_number_is_never_queued() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        event_line({"x": float("nan")})


def test_a_batch_becomes_one_object_for_events_and_one_for_quarantine() -> None:
    messages = [
        ("m2", TEN_TO_MIDNIGHT_MS + 1_200_000, 'e{"n":3}'),
        ("m1", TEN_TO_MIDNIGHT_MS, 'e{"n":1}\nq{"n":2}'),
    ]
    events, quarantine = pack_batch(messages)
    assert events.key.startswith("events/2023-12-31/23/")
    assert quarantine.key.startswith("quarantine/2023-12-31/23/")
    assert events.key.endswith(".ndjson.gz")
    assert events.key.rpartition("/")[2] == quarantine.key.rpartition("/")[2]
    assert lines_of(events.content) == [{"n": 1}, {"n": 3}]
    assert lines_of(quarantine.content) == [{"n": 2}]


@pytest.mark.parametrize(("mark", "folder"), [("e", "events"), ("q", "quarantine")])
def test_an_object_is_written_only_where_there_is_something_in_it(mark: str, folder: str) -> None:
    objects = pack_batch([("m1", TEN_TO_MIDNIGHT_MS, mark + "{}")])
    assert [each.key.split("/")[0] for each in objects] == [folder]


@pytest.mark.parametrize("messages", [[], [("m1", 0, "")], [("m1", 0, "\n")]])
def test_a_batch_of_nothing_writes_no_object(messages: Sequence[tuple[str, int, str]]) -> None:
    assert pack_batch(messages) == []


def packed(content: bytes) -> str:
    return "z" + b64encode(gzip.compress(content, mtime=0)).decode()


BOMB = b'e{"n":' + b"0" * 3_000_000 + b"}"


@pytest.mark.parametrize(
    "line",
    [
        'x{"n":1}',
        "z",
        "z%%%",
        "zAAAA",
        "z\ud800",
        packed(BOMB),
        packed(b'e{"n":1}')[:-8],
        packed(b"\xff"),
        packed(b""),
        packed(b'z{"n":1}'),
    ],
)
def test_a_line_that_cannot_be_read_goes_to_quarantine_and_poisons_nothing(line: str) -> None:
    events, quarantine = pack_batch([("m1", 5, 'e{"n":1}'), ("m2", 9, line)])
    assert lines_of(events.content) == [{"n": 1}]
    [record] = lines_of(quarantine.content)
    assert (record["code"], record["received_ms"]) == ("unknown_line", 9)
    assert record["event"] == line[:MAX_QUARANTINED_CHARACTERS]


def test_a_batch_delivered_again_in_another_order_overwrites_itself() -> None:
    messages = [(f"m{k}", TEN_TO_MIDNIGHT_MS + k, f'e{{"n":{k}}}') for k in range(20)]
    assert pack_batch(messages) == pack_batch(messages[::-1]) == pack_batch(messages[7:] + messages[:7])


def test_other_messages_are_stored_under_another_key() -> None:
    def key(*names: str) -> str:
        return pack_batch([(name, TEN_TO_MIDNIGHT_MS, "e{}") for name in names])[0].key

    assert len({key("m1"), key("m2"), key("m1", "m2"), key("m1m2")}) == 4


def test_what_was_queued_comes_out_of_the_lake() -> None:
    events = [{"event_id": f"e-{k}", "text": "ü" * k} for k in range(50)]
    assert events_of(stored(pack([event_line(event) for event in events]))) == events
