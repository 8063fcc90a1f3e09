"""What is live, since when, and from which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from origin.errors import PublishError
from origin.kv import KvClient
from origin.publish import read_pointer
from shared.snapshot import POINTER_KEY, SNAPSHOT_KEY, Snapshot

BEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStatus:
    """The likeliest variants of one cell, with their Thompson probabilities."""

    touchpoint: str
    level: str
    cell: str
    best: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The live snapshot, when it was published and last confirmed, what it was trained on, the level that each
    touchpoint has reached with the reason why not a finer one, its cells, and what is switched off."""

    version: str
    published_ms: int
    confirmed_ms: int
    as_of_ms: int
    first_ms: int | None
    last_ms: int | None
    sources: dict[str, int]
    levels: dict[str, tuple[str, str]]
    cells: tuple[CellStatus, ...]
    off: tuple[str, ...] = ()


def read_status(client: KvClient) -> Status | None:
    """Read what is live from KV; None where nothing is published. Raises KvError, PublishError, InvalidSnapshot."""
    pointer = read_pointer(client)
    if pointer is None:
        return None
    version = pointer.version
    text = client.get(SNAPSHOT_KEY + version)
    if text is None:
        raise PublishError(f"{POINTER_KEY} names {version}, which KV does not hold; run usher publish")
    snapshot = Snapshot.from_text(text)
    trained: Mapping[str, Any] = snapshot.trained
    cells = []
    for line in text.splitlines()[1:]:
        kind, _, rest = line.partition("\t")[0].partition(":")
        if kind == "cell":
            cells.append(_describe(snapshot, *rest.split(":", 2)))
    return Status(
        version=version,
        published_ms=pointer.published_ms,
        confirmed_ms=pointer.confirmed_ms,
        as_of_ms=trained.get("as_of_ms", snapshot.header.created_ms),
        first_ms=trained.get("first_ms"),
        last_ms=trained.get("last_ms"),
        sources=trained.get("sources", {}),
        levels={name: (level, reason) for name, (level, reason) in trained.get("levels", {}).items()},
        cells=tuple(cells),
        off=pointer.off,
    )


def _describe(snapshot: Snapshot, touchpoint: str, level: str, name: str) -> CellStatus:
    cell = snapshot.cell(touchpoint, level, name)
    assert cell is not None
    names = [variant.name for variant in snapshot.touchpoint(touchpoint).variants]
    ranked = sorted(zip(names, cell.probabilities, strict=True), key=lambda pair: -pair[1])
    return CellStatus(touchpoint=touchpoint, level=level, cell=name, best=tuple(ranked[:BEST]))
