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

# The letter of a decision's level: a capital one where the decision is not randomised.
_LEVELS: Final = {level[0]: (level, True) for level in LEVELS} | {level[0].upper(): (level, False) for level in LEVELS}
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
        if len(fields) == _MARKER_FIELDS:
            touchpoint, epoch, excluded = fields
            digest, *earlier = excluded.split("+")
            return mark_drawn(touchpoint, _read_epoch(epoch, session_ms), digest, tuple(earlier))
        touchpoint, epoch, digest, variant, propensity, letter, cell, number = fields
        epoch, (level, randomised), snapshot = _read_epoch(epoch, session_ms), _LEVELS[letter], snapshots[int(number)]
        if "+" not in part:  # one variant, drawn once, as nearly all are
            return Frozen(
                touchpoint, epoch, digest, (variant,), (float(propensity),), level, cell, snapshot, randomised
            )
        digest, *earlier = digest.split("+")
        variants = tuple(variant.removeprefix("+").split("+"))
        propensities = tuple([float(each) for each in propensity.split("+")])
        is_slate = variant[:1] == "+"
        return Frozen(
            touchpoint, epoch, digest, variants, propensities, level, cell, snapshot, randomised, is_slate,
            tuple(earlier),
        )  # fmt: skip
    except (ValueError, KeyError, IndexError):
        return None


def _read_epoch(text: str, session_ms: int) -> str:
    return f"session {session_ms}" if text == "s" else text.replace("_", " ", 1)
