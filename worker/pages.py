"""Pages by their numbers: what the isolate keeps of each until it is over, or is not to be expected any more."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Pages(Generic[T]):
    """What is kept of pages by their numbers: at most `most`, and none for longer than `most_ms`.

    A client may leave, or an upstream die, without anybody saying so; without bounds such pages would stay for ever.
    """

    __slots__ = ("_kept", "_most", "_most_ms")

    def __init__(self, *, most: int, most_ms: int) -> None:
        self._most = most
        self._most_ms = most_ms
        self._kept: dict[int, tuple[int, T]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, number: int, page: T, at_ms: int) -> None:
        """Keep a page of that moment; the oldest ones go where they are too many, or too old."""
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) < self._most and at_ms - self._kept[oldest][0] <= self._most_ms:
                break
            del self._kept[oldest]
        self._kept[number] = (at_ms, page)

    def get(self, number: int) -> T | None:
        """The page of that number, or None where it is not kept (any more)."""
        found = self._kept.get(number)
        return found[1] if found is not None else None

    def remove(self, number: int) -> None:
        """Forget a page, if it is kept."""
        self._kept.pop(number, None)
