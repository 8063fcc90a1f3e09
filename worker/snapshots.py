"""The isolate's copy of what was published: read from KV, kept while it is good."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Final

from shared.errors import InvalidSnapshot
from shared.snapshot import Snapshot

POINTER_KEY: Final = "current"
SNAPSHOT_KEY: Final = "snapshot:"
# While a refresh is under way, other requests do not start another one.
REFRESH_PATIENCE_MS: Final = 5_000

KvGet = Callable[[str], Awaitable[str | None]]


class SnapshotStore:
    """Holds the last good snapshot and knows when to look for a newer one.

    Lives as long as the isolate and holds plain data only: a task or lock of one request may not be awaited by
    another.
    """

    def __init__(self, ttl_ms: int) -> None:
        self.snapshot: Snapshot | None = None
        self.ttl_ms = ttl_ms
        self._checked_ms = 0
        self._refreshing_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether the pointer is older than its TTL and nobody is looking already."""
        return now_ms - self._checked_ms >= self.ttl_ms and now_ms - self._refreshing_ms >= REFRESH_PATIENCE_MS

    async def refresh(self, kv_get: KvGet, now_ms: int) -> str | None:
        """Read the pointer and, where it names another version, that snapshot; keep the last good one on any failure.

        Returns the reason of a failure, to be counted, or None. What `kv_get` raises is the caller's to name.
        """
        self._refreshing_ms = now_ms
        try:
            pointer = await kv_get(POINTER_KEY)
            if pointer is None:
                self._checked_ms = now_ms
                return "nothing_published"
            version = _read_pointer(pointer)
            if version is None:
                return "pointer_invalid"
            if self.snapshot is None or self.snapshot.version != version:
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
            self._checked_ms = now_ms
            return None
        finally:
            self._refreshing_ms = 0


def _read_pointer(text: str) -> str | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    version = data.get("snapshot") if isinstance(data, dict) else None
    return version if isinstance(version, str) and version else None
