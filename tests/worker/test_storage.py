from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest

from worker.storage import MAX_MESSAGE_BYTES, pack_batch, to_messages

TEN_TO_MIDNIGHT_MS = 1_704_066_600_000  # 2023-12-31 23:50 UTC


def lines_of(content: bytes) -> list[object]:
    return [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]


def test_events_and_quarantine_share_a_message_and_say_where_they_belong() -> None:
    messages = to_messages([{"a": 1}, {"a": 2}], [{"reason": "x"}])
    assert messages == ['e{"a":1}\ne{"a":2}\nq{"reason":"x"}']


def test_nothing_makes_no_message() -> None:
    assert to_messages([], []) == []


@pytest.mark.parametrize("size", [10, 3_000, 40_000, 59_000])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_messages_stay_below_the_limit_and_lose_nothing(size: int, count: int) -> None:
    events = [{"n": n, "text": "ü🙂"[n % 2] * (size // 12)} for n in range(count)]
    messages = to_messages(events, [])
    assert all(len(message.encode()) <= MAX_MESSAGE_BYTES for message in messages)
    assert [json.loads(line[1:]) for message in messages for line in message.split("\n")] == events
    # Two neighbours that fit into one message would have been one.
    for one, other in pairwise(messages):
        assert len(one.encode()) + len(other.split("\n")[0].encode()) + 1 >= MAX_MESSAGE_BYTES


def test_a_line_over_the_limit_travels_alone() -> None:
    small, large = {"n": 1}, {"text": "x" * MAX_MESSAGE_BYTES}
    messages = to_messages([small, large, small], [])
    assert [len(message) > MAX_MESSAGE_BYTES for message in messages] == [False, True, False]


def test_text_with_line_breaks_stays_on_one_line() -> None:
    message = to_messages([{"text": "a\nb\u2028c\x85d"}], [])[0]
    assert message.splitlines() == [message]


def test_not_a_number_is_never_queued() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_messages([{"x": float("nan")}], [])


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
    assert [stored.key.split("/")[0] for stored in objects] == [folder]


@pytest.mark.parametrize("messages", [[], [("m1", 0, "")], [("m1", 0, "x{}\n")]])
def test_a_batch_of_nothing_known_writes_no_object(messages: Sequence[tuple[str, int, str]]) -> None:
    assert pack_batch(messages) == []


def test_a_batch_delivered_again_in_another_order_overwrites_itself() -> None:
    messages = [(f"m{k}", TEN_TO_MIDNIGHT_MS + k, f'e{{"n":{k}}}') for k in range(20)]
    assert pack_batch(messages) == pack_batch(messages[::-1]) == pack_batch(messages[7:] + messages[:7])


def test_other_messages_are_stored_under_another_key() -> None:
    def key(*names: str) -> str:
        return pack_batch([(name, TEN_TO_MIDNIGHT_MS, "e{}") for name in names])[0].key

    assert len({key("m1"), key("m2"), key("m1", "m2"), key("m1m2")}) == 4


def test_what_was_queued_comes_out_of_the_lake() -> None:
    events = [{"event_id": f"e-{k}", "text": "ü" * k} for k in range(50)]
    bodies = to_messages(events, [])
    objects = pack_batch([(f"m{k:02}", TEN_TO_MIDNIGHT_MS, body) for k, body in enumerate(bodies)])
    assert lines_of(objects[0].content) == events
