"""The training table: one row a decision, with the reward that followed it.

Decisions come from two places: what the edge logged (exposures, rewarded by later goal events of the same visitor) and
logs that were imported (whose rows already carry their reward). Both end up with the same columns:

    source, unit, touchpoint, variant, decided_ms, propensity, reward (0 or 1), context (map of attributes)
"""

from __future__ import annotations

import glob
from collections.abc import Mapping
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir

from origin.errors import LakeError
from origin.lake import Lake

HOUR_MS: Final = 3_600_000

EVENT_COLUMNS: Final = {
    "type": "VARCHAR",
    "event_id": "VARCHAR",
    "received_ms": "BIGINT",
    "happened_ms": "BIGINT",
    "visitor": "VARCHAR",
    "unit": "VARCHAR",
    "touchpoint": "VARCHAR",
    "epoch": "VARCHAR",
    "variant": "VARCHAR",
    "propensity": "DOUBLE",
    "holdout": "BOOLEAN",
    "randomised": "BOOLEAN",
    "snapshot": "VARCHAR",
    "context": "MAP(VARCHAR, VARCHAR)",
    "name": "VARCHAR",
    "reason": "VARCHAR",
    "page_view": "VARCHAR",
}
COLUMNS: Final = ("source", "unit", "touchpoint", "variant", "decided_ms", "propensity", "reward", "context")
_EMPTY: Final = ibis.schema(
    {
        "source": "string",
        "unit": "string",
        "touchpoint": "string",
        "variant": "string",
        "decided_ms": "int64",
        "propensity": "float64",
        "reward": "float64",
        "context": "map<string, string>",
    }
)


def read_decisions(
    connection: ibis.BaseBackend, lake: Lake, goals: Mapping[str, tuple[str, float]], as_of_ms: int
) -> ir.Table:
    """Return the training table as of a moment: every randomised decision whose attribution window has closed by then.

    `goals` maps each touchpoint to its goal and the goal's window in hours. Raises LakeError where a file of the lake
    cannot be read.
    """
    try:
        parts = [*_imported(connection, lake, as_of_ms), *_served(connection, lake, goals, as_of_ms)]
    except (duckdb.Error, OSError) as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    if not parts:
        return ibis.memtable([], schema=_EMPTY)
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _imported(connection: ibis.BaseBackend, lake: Lake, as_of_ms: int) -> list[ir.Table]:
    if not any(lake.imports.glob("*.parquet")):
        return []
    log = connection.read_parquet(f"{glob.escape(str(lake.imports))}/*.parquet")
    return [log.filter(log.decided_ms <= as_of_ms).mutate(source=log.log).select(*COLUMNS)]


def _served(
    connection: ibis.BaseBackend, lake: Lake, goals: Mapping[str, tuple[str, float]], as_of_ms: int
) -> list[ir.Table]:
    if not any(lake.events.rglob("*.ndjson.gz")):
        return []
    files = f"{glob.escape(str(lake.events))}/**/*.ndjson.gz"
    stored = connection.read_json(files, format="newline_delimited", columns=EVENT_COLUMNS)
    events = _deduplicate(stored.filter(stored.received_ms <= as_of_ms))
    return [
        _rewarded(_first_exposures(events, touchpoint), events, touchpoint, goal, int(window_h * HOUR_MS), as_of_ms)
        for touchpoint, (goal, window_h) in goals.items()
    ]


def _deduplicate(events: ir.Table) -> ir.Table:
    """One row an event: the one that was received first. Ids are the clients' own, so they count within a visitor."""
    order = ibis.row_number().over(group_by=[events.visitor, events.event_id], order_by=[events.received_ms])
    ranked = events.mutate(copy=order)
    return ranked.filter(ranked["copy"] == 0).drop("copy")


def _first_exposures(events: ir.Table, touchpoint: str) -> ir.Table:
    """Decisions, not views: the first exposure of each unit and epoch."""
    exposures = events.filter(
        events.type == "exposure", events.touchpoint == touchpoint, events.randomised, ~events.holdout
    )
    order = ibis.row_number().over(
        group_by=[exposures.unit, exposures.epoch],
        order_by=[exposures.received_ms, exposures.event_id],
    )
    ranked = exposures.mutate(view=order)
    return ranked.filter(ranked["view"] == 0)


def _rewarded(
    exposures: ir.Table, events: ir.Table, touchpoint: str, goal: str, window_ms: int, as_of_ms: int
) -> ir.Table:
    """Decisions whose window has closed, with their reward: 1 where a goal was credited to them, else 0."""
    closed = exposures.filter(exposures.received_ms + window_ms <= as_of_ms)
    credited = _credit(exposures, _goals_reached(events, touchpoint, goal), window_ms)
    joined = closed.left_join(credited, closed.event_id == credited.credited_id)
    return joined.select(
        source=ibis.literal("edge"),
        unit=joined.unit,
        touchpoint=joined.touchpoint,
        variant=joined.variant,
        decided_ms=joined.received_ms,
        propensity=joined.propensity,
        reward=joined.credited_id.notnull().cast("float64"),
        context=joined.context,
    )


def _goals_reached(events: ir.Table, touchpoint: str, goal: str) -> ir.Table:
    """The goal events of a touchpoint, but for those on pages where its variant was only a preview."""
    reached = events.filter(
        events.type == "goal", events.name == goal, events.touchpoint.isnull() | (events.touchpoint == touchpoint)
    ).select(goal_id="event_id", goal_visitor="visitor", goal_ms="happened_ms", goal_view="page_view")
    previews = (
        events.filter(events.type == "exposure", events.touchpoint == touchpoint, events.reason == "preview")
        .select(previewed="page_view")
        .distinct()
    )
    return reached.anti_join(previews, reached.goal_view == previews.previewed)


def _credit(exposures: ir.Table, reached: ir.Table, window_ms: int) -> ir.Table:
    """The decisions that goals are credited to: of those within the window before it, the visitor's latest."""
    candidates = exposures.inner_join(
        reached,
        [
            exposures.visitor == reached.goal_visitor,
            reached.goal_ms >= exposures.received_ms,
            reached.goal_ms <= exposures.received_ms + window_ms,
        ],
    )
    order = ibis.row_number().over(
        group_by=[candidates.goal_visitor, candidates.goal_id],
        order_by=[candidates.received_ms.desc(), candidates.event_id],
    )
    ranked = candidates.select(credited_id="event_id", rank=order)
    return ranked.filter(ranked["rank"] == 0).select("credited_id").distinct()
