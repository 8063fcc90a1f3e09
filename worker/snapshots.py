"""The isolate's copy of what was published: read from KV, kept while it is good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from shared.errors import InvalidSnapshot
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, Pointer, Snapshot

# While a refresh is under way, other requests go on with the snapshot they have.
PATIENCE_MS: Final = 5_000
# After a failure KV is asked again this much later.
RETRY_MS: Final = 1_000

KvGet = Callable[[str], Awaitable[str | None]]


class SnapshotStore:
    """Holds the last good snapshot and knows when to look for a newer one.

    `off` is what the pointer, when it was last read, had switched off.

    Lives as long as the isolate and holds plain data only: a task or lock of one request may not be awaited by
    another.
    """

    def __init__(self, ttl_ms: int) -> None:
        self.snapshot: Snapshot | None = None
        self.ttl_ms = ttl_ms
        self.confirmed_ms = 0
        self.is_published: bool | None = None
        self.off: tuple[str, ...] = ()
        self._next_look_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether it is time to look for a newer snapshot."""
        return now_ms >= self._next_look_ms

    async def refresh(self, kv_get: KvGet, now_ms: int) -> str | None:
        """Read the pointer and, where it names another version, that snapshot; keep the last good one on any failure.

        Returns the reason of a failure, to be counted, or None. What `kv_get` raises goes on to the caller.
        """
        if self.snapshot is not None:
            self._next_look_ms = now_ms + PATIENCE_MS
        problem: str | None = "kv_failed"
        try:
            problem = await self._read(kv_get)
        finally:
            failed = problem not in (None, "nothing_published")
            self._next_look_ms = now_ms + (min(self.ttl_ms, RETRY_MS) if failed else self.ttl_ms)
        return problem

    async def _read(self, kv_get: KvGet) -> str | None:
        pointer = await kv_get(POINTER_KEY)
        self.is_published = pointer is not None
        if pointer is None:
            return "nothing_published"
        try:
            live = Pointer.from_text(pointer)
        except InvalidSnapshot:
            return "pointer_invalid"
        self.confirmed_ms, self.off, version = live.confirmed_ms, live.off, live.version
        if self.snapshot is not None and self.snapshot.version == version:
            return None
        text = await kv_get(SNAPSHOT_KEY + version)
        if text is None:
            return "snapshot_missing"
        try:
            snapshot = Snapshot.from_text(text)
        except InvalidSnapshot as error:
            return "snapshot_unknown_format" if error.path == "header.format" else "snapshot_invalid"
        if snapshot.version != version:
            return "snapshot_invalid"
        self.snapshot = snapshot
        return None
