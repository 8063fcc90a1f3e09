"""Usher with faults: every few batches of the queue its consumer crashes or its bucket fails, and now and then the
Queue refuses a message. Which it is depends on a count only, so that every run meets all of them."""

from __future__ import annotations

import json
from typing import Any, Final

import js

from worker.entry import Default as Usher

# Of so many batches of the queue one fails in each of these ways.
CYCLE: Final = 12
BEFORE_WRITING: Final = 2
AFTER_FIRST_OBJECT: Final = 5
BEFORE_ACKNOWLEDGING: Final = 8
# Of so many messages one is refused.
REFUSED_EVERY: Final = 97

_batches = 0
_messages = 0


def _fault(text: str) -> RuntimeError:
    """The error of a fault, which the log tells too."""
    js.console.warn(json.dumps({"usher": "fault", "detail": text}))
    return RuntimeError(text)


class _Queue:
    """The queue, which is full now and then."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def send(self, text: str, options: Any) -> Any:
        global _messages  # noqa: PLW0603 - counts over the life of the isolate
        _messages += 1
        if _messages % REFUSED_EVERY == 0:
            return js.Promise.reject(js.Error.new("the queue is full"))
        return self._queue.send(text, options)


class _Bucket:
    """The bucket, which fails after one object."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self._written = 0

    async def put(self, key: str, content: Any) -> None:
        if self._written:
            raise _fault("the bucket does not answer")
        await self._bucket.put(key, content)
        self._written += 1


class _Bindings:
    """The environment with another queue, and where one is given another bucket."""

    def __init__(self, bindings: Any, bucket: _Bucket | None) -> None:
        self._bindings = bindings
        self._bucket = bucket
        self.EVENTS = _Queue(bindings.EVENTS)

    def __getattr__(self, name: str) -> Any:
        if name == "LAKE" and self._bucket is not None:
            return self._bucket
        return getattr(self._bindings, name)


class Default(Usher):
    """The Worker with its faults."""

    _bucket: _Bucket | None = None

    @property
    def bindings(self) -> Any:
        """The environment, faulty."""
        return _Bindings(super().bindings, self._bucket)

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:
        """Write a batch, or fail on the way."""
        global _batches  # noqa: PLW0603 - counts over the life of the isolate
        _batches += 1
        fault = _batches % CYCLE
        if fault == BEFORE_WRITING:
            raise _fault("crashed before anything was written")
        if fault == AFTER_FIRST_OBJECT:
            self._bucket = _Bucket(super().bindings.LAKE)
        await super().queue(batch, env, ctx)
        if fault == BEFORE_ACKNOWLEDGING:
            raise _fault("crashed before it acknowledged")
