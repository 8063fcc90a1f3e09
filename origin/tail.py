"""The events as they come: the newest objects of the bucket, read and not kept.

Objects are named by the hour of their first message, so new ones appear in the latest hours; but what the Queue could
not deliver for a while is written much later, under the hour in which it was sent. So each look lists the latest two
hours that have objects, and one of the older hours, which take turns.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from origin.compacted import SUFFIX
from origin.errors import PullError
from origin.lines import DAMAGE, decompress
from origin.pull import connect
from origin.settings import Settings
from shared.events import STORED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER: Final = "events/"
# The Queue keeps a message for four days; in so many of the latest days with objects others may still appear.
LATE_DAYS: Final = 5
# So many objects are read at most to find the last few events.
MOST_OBJECTS: Final = 100
_DAY: Final = re.compile(r"events/\d{4}-\d\d-\d\d/", re.ASCII)
_HOUR: Final = re.compile(r"events/\d{4}-\d\d-\d\d/\d\d/", re.ASCII)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
Event = dict[str, Any]


class _Listed(NamedTuple):
    """An object of the bucket, and when it was written."""

    key: str
    written: datetime


@dataclass(slots=True)
class Tail:
    """The end of the bucket's events. `read_last` comes first, then `read_new` any number of times."""

    client: S3Client
    bucket: str
    # The hour before the latest one: what comes after it in the order of keys is listed at every look.
    _after: str = FOLDER
    _seen: set[str] = field(default_factory=set)
    # In older hours only what was written from then on is new.
    _since: datetime = _LONG_AGO
    _older: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self._older = self._take_turns()

    def read_last(self, count: int, wanted: Callable[[Event], bool]) -> list[Event]:
        """The last `count` events that are wanted, in the order in which they were received. Objects are read from the
        newest on until so many are found, and MOST_OBJECTS at most. Raises PullError."""
        with self._reported():
            self._after = self._find_start()
            newest = self._list(FOLDER, self._after)
            self._seen = {each.key for each in newest}
            self._since = max([self._since, *(each.written for each in newest)])
            keys, left = self._newest_first(newest), MOST_OBJECTS
            found: list[Event] = []
            while len(found) < count and left and (key := next(keys, None)):
                found = [*filter(wanted, self._read(key)), *found]
                left -= 1
        return _sort(found)[len(found) - min(count, len(found)) :]

    def read_new(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """The wanted events of the objects that have come since the last call, in the order in which they were
        received. Objects of older hours are found once it is their hour's turn. Raises PullError."""
        with self._reported():
            newest, hour = self._list(FOLDER, self._after), next(self._older)
            late = [each for each in self._list(hour) if each.written >= self._since] if hour else []
            fresh = [each.key for each in (*late, *newest) if each.key not in self._seen]
            events = [event for key in fresh for event in self._read(key) if wanted(event)]
        self._seen.update(fresh)
        hours = sorted({found[0] for each in newest if (found := _HOUR.match(each.key))})
        self._after = hours[-2] if len(hours) > 1 else self._after
        return _sort(events)

    def _find_start(self) -> str:
        """The hour before the latest one that has objects; the whole folder where keys name no hours."""
        days = self._list_days()
        hours = [hour for day in days[-2:] for hour in self._list_folders(day)]
        return hours[-2] if len(hours) > 1 else (hours or days or [FOLDER])[0]

    def _newest_first(self, newest: Sequence[_Listed]) -> Iterator[str]:
        """The keys of the latest hours by the time they were written, then those of each hour before."""
        yield from _by_time(newest)
        for day in reversed(self._list_days()):
            for hour in reversed(self._list_folders(day)):
                if hour < self._after:
                    yield from _by_time(self._list(hour))

    def _take_turns(self) -> Iterator[str]:
        """The older hours of the last days, over and over; empty where there are none."""
        while True:
            days = self._list_days()[-LATE_DAYS:]
            self._seen = {key for key in self._seen if key >= days[0]} if days else self._seen
            hours = [hour for day in days for hour in self._list_folders(day) if hour < self._after]
            yield from hours or [""]

    def _list_days(self) -> list[str]:
        return [folder for folder in self._list_folders(FOLDER) if _DAY.fullmatch(folder)]

    def _list_folders(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        return sorted(each["Prefix"] for page in pages for each in page.get("CommonPrefixes", []))

    def _list(self, prefix: str, after: str = "") -> list[_Listed]:
        """The objects whose keys begin with `prefix` and come after another text."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        listed = [each for page in pages for each in page.get("Contents", [])]
        return [_Listed(each["Key"], each["LastModified"]) for each in listed if each["Key"].endswith(SUFFIX)]

    def _read(self, key: str) -> list[Event]:
        try:
            content = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            events = [json.loads(line) for line in decompress(content).splitlines()]
        except DAMAGE:
            return []  # usher pull names it
        return [event for event in events if isinstance(event, dict)]

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise PullError(f"bucket {self.bucket}: {error}; check USHER_S3_ENDPOINT and the credentials") from error


def _by_time(listed: Sequence[_Listed]) -> list[str]:
    """Keys, the last that was written first."""
    return [each.key for each in sorted(listed, key=lambda each: (each.written, each.key), reverse=True)]


def _sort(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: _number(event.get("received_ms")))


def follow(
    settings: Settings,
    show: Callable[[Event], None],
    *,
    types: Sequence[str] = (),
    visitor: str | None = None,
    last: int = 10,
    every_s: float = 2.0,
    for_s: float | None = None,
) -> None:
    """Show the last few events, then others as they come, for so many seconds (None: until interrupted).

    Only those of the given types (none given: all but receipts) and of the given visitor. Raises SettingsError and
    PullError.
    """

    def is_wanted(event: Event) -> bool:
        kind = event.get("type")
        return (kind in types if types else kind != "receipt") and visitor in (None, event.get("visitor"))

    tail = Tail(connect(settings), settings.bucket)
    started = time.monotonic()
    for event in tail.read_last(last, is_wanted):
        show(event)
    while for_s is None or time.monotonic() - started < for_s:
        time.sleep(every_s if for_s is None else min(every_s, for_s))
        for event in tail.read_new(is_wanted):
            show(event)


def describe(event: Event) -> str:
    """What is worth knowing of an event, in a few words."""
    match event.get("type"):
        case "exposure":
            share = event.get("propensity")
            shown = f"{share:.0%}" if isinstance(share, int | float) else "?"
            ahead = "" if event.get("is_shown", True) else ", fetched ahead"
            return f"{event.get('touchpoint')} = {event.get('variant')} ({shown}, {event.get('reason')}{ahead})"
        case "engagement":
            return f"{event.get('depth', 0)} % deep, {_number(event.get('engaged_ms')) / 1000:.0f} s"
        case "purchase" | "add_to_cart":
            return " ".join(str(event[name]) for name in ("item", "value", "currency") if name in event)
    named = [f"{name} {event[name]}" for name in event if name not in _COMMON and event[name] not in ("", [], {}, None)]
    return ", ".join(named)


# What all events have, and what is too long for a line.
_COMMON: Final = frozenset({"type", *(field.name for field in STORED), "user_agent"})


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
