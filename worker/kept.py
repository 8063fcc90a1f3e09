"""Decisions as the visitor's cookie keeps them.

A decision in full can be repeated. Where not all fit in full, three quarters of the room go to those that do, the
latest first; of the others as many as fit leave a marker: that their touchpoint has drawn in its epoch, and among which
variants. A marker cannot be repeated, but a draw that finds one knows that its `u` is used up, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.decision import Frozen, mark_drawn
from shared.posterior import LEVELS
from shared.situation import DAY_MS

_LEVELS: Final = {level[0]: level for level in LEVELS}
_MARKER_FIELDS: Final = 3


def pack_decisions(frozen: tuple[Frozen, ...], session_ms: int, room: int) -> tuple[str, int]:
    """Return the snapshots and decisions as text of at most `room` characters, and how many left no trace in it."""
    parts, snapshots, left = _fill(frozen, session_ms, room)
    lost = 0
    if left:
        parts, snapshots, left = _fill(frozen, session_ms, room * 3 // 4)
        room -= len(snapshots) + sum(map(len, parts))
        for each in left:
            part = _write_marker(each, session_ms)
            if len(part) <= room:
                parts.append(part)
                room -= len(part)
            else:
                lost += 1
    return snapshots + "".join(parts), lost


def read_decisions(parts: list[str], session_ms: int) -> tuple[Frozen, ...]:
    """Return the decisions of a text that was split at `!`; what another version wrote of one is passed over."""
    snapshots = parts[0].split("*")
    read = [_read(part, session_ms, snapshots) for part in parts[1:]]
    return tuple([each for each in read if each is not None])


def drop_ended(frozen: Iterable[Frozen], now_ms: int) -> tuple[Frozen, ...]:
    """The decisions whose epoch may still last when a session begins."""
    lasting = {"day": f"day {now_ms // DAY_MS}", "week": f"week {now_ms // (7 * DAY_MS)}", "session": ""}
    return tuple([each for each in frozen if lasting.get(each.epoch.partition(" ")[0], each.epoch) == each.epoch])


def _fill(frozen: tuple[Frozen, ...], session_ms: int, room: int) -> tuple[list[str], str, list[Frozen]]:
    """The decisions that fit in full and the snapshots they came from, as text; and those that do not fit."""
    parts: list[str] = []
    left: list[Frozen] = []
    snapshots: list[str] = []
    listed = ""
    used = 0
    for each in frozen:
        known = snapshots if not each.variants or each.snapshot in snapshots else [*snapshots, each.snapshot]
        part = _write(each, session_ms, known)
        text = listed if known is snapshots else "*".join(known)
        if used + len(part) + len(text) > room:
            left.append(each)
        else:
            parts.append(part)
            used += len(part)
            snapshots, listed = known, text
    return parts, listed, left


def _write(frozen: Frozen, session_ms: int, snapshots: list[str]) -> str:
    if not frozen.variants:
        return _write_marker(frozen, session_ms)
    fields = (
        _write_marker(frozen, session_ms),
        "+".join(("", *frozen.variants) if frozen.is_slate else frozen.variants),
        "+".join([repr(propensity) for propensity in frozen.propensities]),
        frozen.level[0] if frozen.randomised else frozen.level[0].upper(),
        frozen.cell,
        str(snapshots.index(frozen.snapshot)),
    )
    return "*".join(fields)


def _write_marker(frozen: Frozen, session_ms: int) -> str:
    epoch = "s" if frozen.epoch == f"session {session_ms}" else frozen.epoch.replace(" ", "_")
    return f"!{frozen.touchpoint}*{epoch}*{'+'.join((frozen.excluded, *frozen.earlier))}"


def _read(part: str, session_ms: int, snapshots: list[str]) -> Frozen | None:
    fields = part.split("*")
    try:
        touchpoint, epoch, excluded = fields[:_MARKER_FIELDS]
        digest, *earlier = excluded.split("+")
        epoch = f"session {session_ms}" if epoch == "s" else epoch.replace("_", " ", 1)
        if len(fields) == _MARKER_FIELDS:
            return mark_drawn(touchpoint, epoch, digest, tuple(earlier))
        variants, propensities, level, cell, snapshot = fields[_MARKER_FIELDS:]
        is_slate = variants[:1] == "+"
        return Frozen(
            touchpoint,
            epoch,
            digest,
            tuple(variants.removeprefix("+").split("+")),
            tuple([float(each) for each in propensities.split("+")]),
            _LEVELS[level.lower()],
            cell,
            snapshots[int(snapshot)],
            level.islower(),
            is_slate,
            tuple(earlier),
        )
    except (ValueError, KeyError, IndexError):
        return None
