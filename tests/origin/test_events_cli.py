"""`usher compact` and `usher events`: what they print, and when they exit with 1."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from origin.cli import app
from origin.errors import PullError
from origin.lake import Lake
from origin.settings import Settings
from origin.tail import MOST_OBJECTS, Tail, describe, follow
from scripts.runtime.edge import Edge
from tests.origin.mail import Isolate, Mail, deliver, sent
from tests.origin.proxy import Answer, Call, Forward, Proxy
from tests.origin.shop import HOUR_MS, Event, MakeSettings, exposure, store, write_config
from worker.storage import pack_batch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Usher = Callable[..., Result]
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def usher(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Usher:
    write_config(tmp_path)
    monkeypatch.setenv("USHER_LAKE", str(lake.root))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def live(usher: Usher, edge: Edge, s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> Usher:
    """The same with the bucket of the local edge, which is empty."""
    for name, value in edge.environment().items():
        monkeypatch.setenv(name, value)
    return usher


def rows_of(result: Result) -> list[list[str]]:
    """The cells of the tables that were printed."""
    lines = [line for line in result.stdout.splitlines() if "│" in line]
    return [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in lines]


def now_event(type_: str, number: int, visitor: str = "visitor-1", **fields: Any) -> Event:
    moment: Any = dict.fromkeys(("received_ms", "happened_ms", "created_ms", "sent_ms"), NOW_MS)
    return sent(type_, number, visitor, **{**moment, **fields})


def put(s3: S3Client, settings: Settings, mail: list[Mail]) -> None:
    for stored in pack_batch(mail):
        s3.put_object(Bucket=settings.bucket, Key=stored.key, Body=stored.content)


def test_compact_says_what_it_did(usher: Usher, lake: Lake) -> None:
    assert usher("compact").stdout == "compacted 0 objects; 0 copies left out\n"
    store(lake, [exposure(1)], "a")
    store(lake, [exposure(1)], "b")
    assert usher("compact").stdout == "compacted 2 objects into 1 day; 1 copies left out\n"
    assert usher("compact", "--remove").stdout == "compacted 0 objects; 0 copies left out; 2 objects removed\n"


def test_compact_reports_a_damaged_object(usher: Usher, lake: Lake) -> None:
    path = lake.events / "bad.ndjson.gz"
    lake.write(path, b"no gzip")
    result = usher("compact")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {path}: cannot be read (")


def test_the_audit_of_an_empty_lake_points_to_pull(usher: Usher) -> None:
    result = usher("events", "audit")
    assert (result.exit_code, result.stdout) == (
        0,
        "no events with receipts in that time; usher pull brings new ones\n",
    )


def test_a_balance_that_holds_is_printed_by_hour(usher: Usher, lake: Lake) -> None:
    isolate = Isolate("i")
    deliver(lake, isolate.send([now_event("click", 1), now_event("click", 2)], refused=1, at_ms=NOW_MS))
    deliver(lake, isolate.send([now_event("click", 2)], at_ms=NOW_MS))
    result = usher("events", "audit")
    assert result.exit_code == 0
    [hour, total] = rows_of(result)
    assert hour[1:] == total[1:] == ["4", "2", "1", "1", "0", "0"]
    assert result.stdout.splitlines()[-2:] == [
        "1 isolate was last heard of in these hours: what was sent later and never came cannot be known",
        "balanced received = stored + quarantined + duplicates + in flight",
    ]


def test_what_is_overdue_or_lost_is_named_and_the_exit_code_is_1(usher: Usher, lake: Lake) -> None:
    for name, hours in (("overdue", 5), ("lost", 120)):
        isolate, early = Isolate(name), NOW_MS - hours * HOUR_MS
        isolate.send([now_event("click", 1)], at_ms=early)
        deliver(lake, isolate.send([now_event("click", 2, name, received_ms=early)], at_ms=early))
    result = usher("events", "audit")
    assert result.exit_code == 1
    assert "message 1 of isolate overdue with 1 events did not come yet; the dead-letter queue is" in result.stderr
    assert "message 1 of isolate lost with 1 events did not come, and no queue keeps it any more" in result.stderr
    assert [row[1:] for row in rows_of(result)] == [
        ["2", "1", "0", "0", "0", "1"],
        ["2", "1", "0", "0", "1", "0"],
        ["4", "2", "0", "0", "1", "1"],
    ]
    week = 8 * 24 * HOUR_MS
    deliver(lake, Isolate("old").send([now_event("click", 3, received_ms=NOW_MS - week)], at_ms=NOW_MS - week))
    assert len(rows_of(usher("events", "audit"))) == 3
    assert len(rows_of(usher("events", "audit", "--days", "9"))) == 4


def test_stats_are_printed(usher: Usher, lake: Lake) -> None:
    assert usher("events", "stats").stdout == "no events in that time; usher pull brings new ones\n"
    bot = now_event("page_view", 3, visitor="crawler", user_agent="Googlebot/2.1")
    clicks = [now_event("click", 1), now_event("click", 2, happened_ms=NOW_MS - 90_000)]
    deliver(lake, Isolate("i").send([*clicks, bot], refused=2, at_ms=NOW_MS))
    rows = rows_of(usher("events", "stats"))
    assert ["click", "browser", "2"] in rows
    assert ["receipt", "edge", "1"] in rows
    assert ["browser", "45.0 s", "81.0 s", "89.1 s", "90.0 s"] in rows
    assert ["declared:Googlebot", "1", "1"] in rows
    assert ["missing", "2"] in rows
    assert ["page_view", "browser", "1"] not in rows
    assert ["page_view", "browser", "1"] in rows_of(usher("events", "stats", "--bots"))


def test_stats_of_bots_alone_are_printed(usher: Usher, lake: Lake) -> None:
    store(lake, [now_event("page_view", 3, visitor="crawler", user_agent="Googlebot/2.1")])
    assert rows_of(usher("events", "stats"))[-1:] == [["declared:Googlebot", "1", "1"]]


def tail_of(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()[1:]) for line in result.stdout.splitlines()]


def test_tail_shows_the_latest_events(live: Usher, s3: S3Client, settings: Settings) -> None:
    assert tail_of(live("events", "tail", "--once")) == []
    isolate = Isolate("i")
    early = NOW_MS - 4 * HOUR_MS
    put(s3, settings, isolate.send([now_event("click", 0, target="long-ago")], at_ms=early))
    shown = now_event("exposure", 1, touchpoint="hero", variant="[b]", propensity=0.25, reason="global")
    clicks = [now_event("click", i, visitor="ann", received_ms=NOW_MS + i, target=f"nav-{i}") for i in (3, 2)]
    put(s3, settings, isolate.send([*clicks, shown], at_ms=NOW_MS))
    s3.put_object(Bucket=settings.bucket, Key="events/damaged.ndjson.gz", Body=b"no gzip")
    lines = ["exposure visitor-1 hero = [b] (25%, global)", "click ann target nav-2", "click ann target nav-3"]
    assert tail_of(live("events", "tail", "--once"))[-3:] == lines
    assert tail_of(live("events", "tail", "--once", "--last", "1")) == lines[2:]
    assert tail_of(live("events", "tail", "--once", "--visitor", "ann", "--type", "click")) == lines[1:]
    assert tail_of(live("events", "tail", "--once", "--type", "receipt"))[-1].startswith(
        "receipt - isolate i, number 2"
    )


def test_tail_follows_what_comes(live: Usher, s3: S3Client, settings: Settings) -> None:
    isolate = Isolate("i")
    put(s3, settings, isolate.send([now_event("goal", 1, name="first")], at_ms=NOW_MS))
    seen: list[str] = []
    arrived = threading.Event()

    def show(event: dict[str, Any]) -> None:
        seen.append(str(event["name"]))
        if len(seen) == 1:
            put(s3, settings, isolate.send([now_event("goal", 2, name="second")], at_ms=NOW_MS))
        elif len(seen) == 2:
            put(s3, settings, isolate.send([now_event("goal", 3, name="third")], at_ms=NOW_MS + HOUR_MS))
        else:
            arrived.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(settings, show, every_s=0.01, for_s=30)
    assert arrived.is_set()
    assert seen == ["first", "second", "third"]


@pytest.fixture
def reading(settings: Settings, make_settings: MakeSettings, proxy: Proxy) -> tuple[Settings, list[str]]:
    """Settings with which every object that is read is noted, and the notes."""
    path = settings.s3_credentials()[0].split("/", 3)[3]
    read: list[str] = []

    def note(call: Call, forward: Forward) -> Answer:
        if call.path.split("?")[0].endswith(".ndjson.gz"):
            read.append(call.path)
        return forward(call)

    proxy.rule = note
    return make_settings(s3_endpoint=f"{proxy.url}/{path}"), read


def test_tail_reads_the_newest_objects_until_it_has_enough(
    s3: S3Client, settings: Settings, reading: tuple[Settings, list[str]]
) -> None:
    isolate = Isolate("i")
    for hours in (50, 3, 3, 3, 0, 0):
        at_ms = NOW_MS - hours * HOUR_MS
        events = [now_event("goal", n, name=f"{hours}", received_ms=at_ms + n) for n in range(4)]
        put(s3, settings, isolate.send(events, at_ms=at_ms))
    counted, read = reading
    for last, objects in ((0, 0), (3, 1), (4, 1), (8, 2), (9, 3), (100, 6)):
        read.clear()
        seen: list[Event] = []
        follow(counted, seen.append, last=last, for_s=0)
        assert (len(seen), len(read)) == (min(last, 24), objects)
        assert [event["name"] for event in seen] == [*["50"] * 4, *["3"] * 12, *["0"] * 8][24 - len(seen) :]


def test_tail_stops_looking_for_what_is_rare(
    s3: S3Client, settings: Settings, reading: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_OBJECTS >= 10
    monkeypatch.setattr("origin.tail.MOST_OBJECTS", 3)
    isolate = Isolate("i")
    for number in range(5):
        put(s3, settings, isolate.send([now_event("goal", number, name="x")], at_ms=NOW_MS - number * HOUR_MS))
    counted, read = reading
    follow(counted, lambda _: None, types=["purchase"], for_s=0)
    assert len(read) == 3


def test_tail_shows_what_comes_late_under_an_older_hour(
    s3: S3Client, settings: Settings, reading: tuple[Settings, list[str]]
) -> None:
    isolate = Isolate("i")
    for hours in (70, 30, 5, 1, 0):
        put(s3, settings, isolate.send([now_event("goal", hours, name=f"{hours}")], at_ms=NOW_MS - hours * HOUR_MS))
    late = [70, 50, 5, 0]
    seen: list[str] = []

    def show(event: Event) -> None:
        seen.append(str(event["name"]))
        if late:
            hours = late.pop(0)
            put(
                s3, settings,
                isolate.send([now_event("goal", 100 + hours, name=f"late {hours}")], at_ms=NOW_MS - hours * HOUR_MS),
            )  # fmt: skip
        elif len(seen) > 4:
            raise KeyboardInterrupt

    counted, read = reading
    with pytest.raises(KeyboardInterrupt):
        follow(counted, show, last=1, every_s=0.01, for_s=60)
    assert seen == ["0", "late 70", "late 50", "late 5", "late 0"]
    assert len(read) == 5, "nothing is read twice, and what was there before is not read"


def test_a_bucket_that_is_not_there_is_one_error(edge: Edge, make_settings: MakeSettings) -> None:
    with pytest.raises(PullError, match="^bucket no-such-bucket: "):
        follow(make_settings(bucket="no-such-bucket"), lambda _: None, for_s=0)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"type": "engagement", "depth": 80, "engaged_ms": 12_400}, "80 % deep, 12 s"),
        ({"type": "purchase", "value": 39.5, "currency": "EUR"}, "39.5 EUR"),
        ({"type": "add_to_cart", "item": "item-7", "value": 1}, "item-7 1"),
        ({"type": "exposure", "touchpoint": "hero", "variant": "a", "reason": "x", "is_shown": False},
         "hero = a (?, x, fetched ahead)"),
        ({"type": "page_view", "visitor": "v", "url_path": "/", "language": "", "user_agent": "x"}, "url_path /"),
        ({"type": "custom", "name": "trial", "properties": {"seats": 3}}, "name trial, properties {'seats': 3}"),
        ({"type": "shown"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_an_event_is_described_in_a_few_words(event: Event, text: str) -> None:
    assert describe(event) == text


def test_what_is_no_event_is_passed_over(s3: S3Client, settings: Settings) -> None:
    lines = b'[1]\n{"type": "goal", "received_ms": "soon"}\n'
    s3.put_object(Bucket=settings.bucket, Key="events/2026-11-22/04/x.ndjson.gz", Body=gzip.compress(lines))
    tail = Tail(s3, settings.bucket)
    assert tail.read_last(10, bool) == [json.loads(b'{"type": "goal", "received_ms": "soon"}')]
    assert tail.read_new(bool) == []
