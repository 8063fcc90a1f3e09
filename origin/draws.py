"""The draws of persons with several devices that may still last: what each device is to show, because one has drawn it.

Devices that draw in the same epoch draw alike as long as snapshot and posterior are the same. Where these have moved
since the first draw, only that draw itself, published with the person's profile, keeps them together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb
import ibis

from origin.decisions import UNDRAWN
from origin.errors import LakeError
from origin.lake import Lake
from origin.stored import read_events
from origin.touchpoint_config import TouchpointConfig
from shared.posterior import LEVELS
from shared.situation import DAY_MS

# A draw as the profile has it; see shared.profile.Draw.
Record = Mapping[str, Any]

_UNITS: Final = ibis.schema({"drawn_unit": "string"})
_EPOCHS: Final = ibis.schema({"drawn_touchpoint": "string", "drawn_epoch": "string"})
# What of the exposures is read, and what tells one draw from another.
_READ: Final = (
    *("unit", "touchpoint", "epoch", "excluded", "variant", "propensity", "slate", "slate_propensities"),
    *("level", "cell", "snapshot", "randomised", "received_ms", "event_id"),
)
_ONE_DRAW: Final = ("unit", "touchpoint", "epoch", "excluded", "variant", "slate")


def read_draws(
    connection: ibis.BaseBackend,
    lake: Lake,
    touchpoints: Mapping[str, TouchpointConfig],
    units: Sequence[str],
    as_of_ms: int,
) -> dict[str, list[Record]]:
    """Return by unit what was drawn by it in the epochs that last at a moment: of each touchpoint the first draw of
    which all variants are still there, in the order of the touchpoints' names.

    Raises LakeError where a file of the lake cannot be read.
    """
    epochs = {name: epoch for name, each in touchpoints.items() if (epoch := _name_epoch(each.epoch, as_of_ms))}
    if not epochs or not units:
        return {}
    try:
        rows = _read_rows(connection, lake, epochs, units, as_of_ms)
    except (duckdb.Error, OSError) as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    variants = {name: {variant.name for variant in touchpoints[name].expanded_variants} for name in epochs}
    found: dict[tuple[str, str], Record] = {}
    for row in rows:
        draw = _describe(row)
        if variants[row["touchpoint"]].issuperset(draw["variants"]):
            found.setdefault((row["unit"], row["touchpoint"]), draw)
    draws: dict[str, list[Record]] = {}
    for (unit, _), draw in sorted(found.items(), key=lambda item: item[0]):
        draws.setdefault(unit, []).append(draw)
    return draws


def _name_epoch(kind: str, as_of_ms: int) -> str | None:
    """The epoch of a kind that lasts longer than a snapshot, for persons with several devices; None where none does."""
    if kind in ("session", "day"):
        return f"day {as_of_ms // DAY_MS}"
    if kind == "week":
        return f"week {as_of_ms // (7 * DAY_MS)}"
    return "forever" if kind == "forever" else None


def _read_rows(
    connection: ibis.BaseBackend, lake: Lake, epochs: Mapping[str, str], units: Sequence[str], as_of_ms: int
) -> list[dict[str, Any]]:
    """The first exposure to each draw of these units in these epochs, in the order of their times."""
    events = read_events(connection, lake)
    if events is None:
        return []
    people = ibis.memtable([{"drawn_unit": unit} for unit in units], schema=_UNITS)
    lasting = ibis.memtable(
        [{"drawn_touchpoint": name, "drawn_epoch": epoch} for name, epoch in epochs.items()], schema=_EPOCHS
    )
    drawn = events.filter(
        events.type == "exposure",
        events.received_ms <= as_of_ms,
        ~events.holdout,
        events.reason.fill_null("").notin(UNDRAWN),
        events.level.isin(LEVELS),  # an edge from before levels says too little for another one to repeat it
    ).select(*_READ)
    drawn = drawn.semi_join(people, drawn.unit == people.drawn_unit)
    drawn = drawn.semi_join(lasting, [drawn.touchpoint == lasting.drawn_touchpoint, drawn.epoch == lasting.drawn_epoch])
    number = ibis.row_number().over(group_by=list(_ONE_DRAW), order_by=[drawn.received_ms, drawn.event_id])
    first = drawn.mutate(number=number)
    ordered = first.filter(first.number == 0).order_by("received_ms", "event_id")
    rows: list[dict[str, Any]] = connection.to_pyarrow(ordered).to_pylist()
    return rows


def _describe(row: Mapping[str, Any]) -> Record:
    slate = json.loads(row["slate"]) if row["slate"] else []
    return {
        "touchpoint": row["touchpoint"],
        "epoch": row["epoch"],
        "excluded": json.loads(row["excluded"]) if row["excluded"] else [],
        "variants": slate or [row["variant"]],
        "propensities": json.loads(row["slate_propensities"]) if slate else [row["propensity"]],
        "level": row["level"],
        "cell": row["cell"],
        "snapshot": row["snapshot"],
        "randomised": row["randomised"],
        "is_slate": bool(slate),
    }
