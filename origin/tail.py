"""The events as they come: the newest objects of the bucket, read and not kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

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
Event = dict[str, Any]


@dataclass(slots=True)
class Tail:
    """The end of the bucket's events.

    Objects are named by the hour of their first message, so that new ones appear in the latest hours only: below the
    hour before the newest that is known, nobody looks again.
    """

    client: S3Client
    bucket: str
    _seen: set[str] = field(default_factory=set)
    _after: str = FOLDER

    def read_new(self) -> list[Event]:
        """The events of the objects that have come since the last call (at first: in the last hours), in the order in
        which they were received. Raises PullError."""
        try:
            if self._after == FOLDER:
                self._after = self._find_start()
            listed = [key for key in self._list(self._after) if key.endswith(SUFFIX)]
            events = [event for key in listed if key not in self._seen for event in self._read(key)]
        except (BotoCoreError, ClientError) as error:
            raise PullError(f"bucket {self.bucket}: {error}; check USHER_S3_ENDPOINT and the credentials") from error
        self._seen = set(listed)
        hours = sorted({f"{key.rpartition('/')[0]}/" for key in listed})
        self._after = hours[-2] if len(hours) > 1 else self._after
        return sorted(events, key=lambda event: _number(event.get("received_ms")))

    def _find_start(self) -> str:
        """The hour before the newest one that has objects; the whole folder where keys name no hours."""
        days = self._folders(FOLDER)
        hours = [hour for day in days[-2:] for hour in self._folders(day)]
        return hours[-2] if len(hours) > 1 else (hours or days or [FOLDER])[0]

    def _folders(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        return sorted(each["Prefix"] for page in pages for each in page.get("CommonPrefixes", []))

    def _list(self, after: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=FOLDER, StartAfter=after
        )
        for page in pages:
            for each in page.get("Contents", []):
                yield each["Key"]

    def _read(self, key: str) -> list[Event]:
        try:
            content = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            events = [json.loads(line) for line in decompress(content).splitlines()]
        except DAMAGE:
            return []  # usher pull names it
        return [event for event in events if isinstance(event, dict)]


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

    def wanted(events: list[Event]) -> list[Event]:
        return [
            event
            for event in events
            if (event.get("type") in types if types else event.get("type") != "receipt")
            and visitor in (None, event.get("visitor"))
        ]

    tail = Tail(connect(settings), settings.bucket)
    started = time.monotonic()
    fresh = wanted(tail.read_new())
    for event in fresh[len(fresh) - min(last, len(fresh)) :]:
        show(event)
    while for_s is None or time.monotonic() - started < for_s:
        time.sleep(every_s if for_s is None else min(every_s, for_s))
        for event in wanted(tail.read_new()):
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
