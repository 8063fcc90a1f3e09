"""The training table: one row a decision, with the reward that followed it.

Decisions come from two places: what the edge logged (exposures, rewarded by later goal events of the same visitor) and
logs that were imported (whose rows already carry their reward). Both end up with the same columns:

    source, unit, touchpoint, variant, decided_ms, propensity, reward (0 or 1), context (map of attributes),
    session (its attributes as JSON text), profile (the version that was decided by); imported logs have neither

Two more tables come from the edge's exposures alone: both arms of the experiment that the holdout is (`read_arms`), and
decisions as soon as they are made (`read_impressions`).
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from typing import Final

import duckdb
import ibis
import ibis.expr.types as ir

from origin.errors import LakeError
from origin.lake import Lake

HOUR_MS: Final = 3_600_000
# Reasons of decisions for which nothing was drawn.
UNDRAWN: Final = ("preview", "no_posterior", "nothing_eligible")

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
    "level": "VARCHAR",
    "holdout": "BOOLEAN",
    "randomised": "BOOLEAN",
    "excluded": "VARCHAR[]",
    "snapshot": "VARCHAR",
    "profile": "VARCHAR",
    "context": "MAP(VARCHAR, VARCHAR)",
    "session": "JSON",
    "name": "VARCHAR",
    "reason": "VARCHAR",
    "page_view": "VARCHAR",
}
COLUMNS: Final = (
    *("source", "unit", "touchpoint", "variant", "decided_ms", "propensity", "reward", "context"),
    *("session", "profile"),
)
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
        "session": "string",
        "profile": "string",
    }
)
_NO_ARMS: Final = ibis.schema(
    {
        "touchpoint": "string",
        "unit": "string",
        "holdout": "boolean",
        "level": "string",
        "decided_ms": "int64",
        "reward": "float64",
    }
)
_NO_IMPRESSIONS: Final = ibis.schema({"touchpoint": "string", "variant": "string", "decided_ms": "int64"})


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
        raise _unreadable(lake, error) from error
    return _union(parts, _EMPTY)


def read_arms(
    connection: ibis.BaseBackend, lake: Lake, goals: Mapping[str, tuple[str, float]], as_of_ms: int
) -> ir.Table:
    """Return the closed decisions of both arms, personalised and holdout: touchpoint, unit, holdout, level, decided_ms
    and reward.

    A unit belongs to the arm of its first decision, whatever became of it later (intention to treat); in the holdout,
    `level` is what would have been used. Raises LakeError where a file of the lake cannot be read.
    """
    try:
        events = _read_events(connection, lake, as_of_ms)
    except (duckdb.Error, OSError) as error:
        raise _unreadable(lake, error) from error
    parts = []
    for touchpoint, (goal, window_h) in goals.items() if events is not None else ():
        exposures = _first_exposures(events, touchpoint, with_holdout=True)
        arm = exposures.holdout.first().over(
            group_by=[exposures.unit], order_by=[exposures.received_ms, exposures.event_id]
        )
        exposures = exposures.mutate(arm=arm)
        rewarded = _reward(exposures, events, touchpoint, goal, int(window_h * HOUR_MS), as_of_ms)
        parts.append(rewarded.select("touchpoint", "unit", "level", "reward", holdout="arm", decided_ms="received_ms"))
    return _union(parts, _NO_ARMS)


def read_impressions(
    connection: ibis.BaseBackend, lake: Lake, touchpoints: Iterable[str], since_ms: int, as_of_ms: int
) -> ir.Table:
    """Return the randomised decisions of the edge within (since_ms, as_of_ms], rewarded or not: touchpoint, variant and
    decided_ms. Raises LakeError where a file of the lake cannot be read."""
    try:
        events = _read_events(connection, lake, as_of_ms)
    except (duckdb.Error, OSError) as error:
        raise _unreadable(lake, error) from error
    parts = []
    for touchpoint in touchpoints if events is not None else ():
        first = _first_exposures(events, touchpoint)
        recent = first.filter(first.received_ms > since_ms)
        parts.append(recent.select("touchpoint", "variant", decided_ms="received_ms"))
    return _union(parts, _NO_IMPRESSIONS)


def _unreadable(lake: Lake, error: Exception) -> LakeError:
    return LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}")


def _union(parts: list[ir.Table], schema: ibis.Schema) -> ir.Table:
    if not parts:
        return ibis.memtable([], schema=schema)
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _imported(connection: ibis.BaseBackend, lake: Lake, as_of_ms: int) -> list[ir.Table]:
    if not any(lake.imports.glob("*.parquet")):
        return []
    log = connection.read_parquet(f"{glob.escape(str(lake.imports))}/*.parquet")
    none = ibis.null("string")
    known = log.filter(log.decided_ms <= as_of_ms).mutate(source=log.log, session=none, profile=none)
    return [known.select(*COLUMNS)]


def _served(
    connection: ibis.BaseBackend, lake: Lake, goals: Mapping[str, tuple[str, float]], as_of_ms: int
) -> list[ir.Table]:
    events = _read_events(connection, lake, as_of_ms)
    if events is None:
        return []
    return [
        _rewarded(_first_exposures(events, touchpoint), events, touchpoint, goal, int(window_h * HOUR_MS), as_of_ms)
        for touchpoint, (goal, window_h) in goals.items()
    ]


def _read_events(connection: ibis.BaseBackend, lake: Lake, as_of_ms: int) -> ir.Table | None:
    """The events that had arrived by a moment, each once; None where the lake has none."""
    if not any(lake.events.rglob("*.ndjson.gz")):
        return None
    files = f"{glob.escape(str(lake.events))}/**/*.ndjson.gz"
    stored = connection.read_json(files, format="newline_delimited", columns=EVENT_COLUMNS)
    return _deduplicate(stored.filter(stored.received_ms <= as_of_ms))


def _deduplicate(events: ir.Table) -> ir.Table:
    """One row an event: the one that was received first. Ids are the clients' own, so they count within a visitor."""
    order = ibis.row_number().over(group_by=[events.visitor, events.event_id], order_by=[events.received_ms])
    ranked = events.mutate(copy=order)
    return ranked.filter(ranked["copy"] == 0).drop("copy")


def _first_exposures(events: ir.Table, touchpoint: str, *, with_holdout: bool = False) -> ir.Table:
    """Decisions, not views: the first exposure of each draw, which there is one of for a unit, epoch, and set of
    variants that targeting had removed. Draws with a `u` that was used up are among them: a goal may be theirs."""
    drawn = ~events.holdout & events.reason.fill_null("").notin(UNDRAWN)
    drawn = (events.holdout | drawn) if with_holdout else drawn
    exposures = events.filter(events.type == "exposure", events.touchpoint == touchpoint, drawn)
    exposures = exposures.mutate(removed=exposures.excluded.join("|").fill_null(""))
    order = ibis.row_number().over(
        group_by=[exposures.unit, exposures.epoch, exposures.removed, exposures.randomised],
        order_by=[exposures.received_ms, exposures.event_id],
    )
    ranked = exposures.mutate(view=order)
    return ranked.filter(ranked["view"] == 0)


def _rewarded(
    exposures: ir.Table, events: ir.Table, touchpoint: str, goal: str, window_ms: int, as_of_ms: int
) -> ir.Table:
    """Rewarded decisions with the columns of the training table."""
    rewarded = _reward(exposures, events, touchpoint, goal, window_ms, as_of_ms)
    return rewarded.mutate(
        source=ibis.literal("edge"), decided_ms=rewarded.received_ms, session=rewarded.session.cast("string")
    ).select(*COLUMNS)


def _reward(
    exposures: ir.Table, events: ir.Table, touchpoint: str, goal: str, window_ms: int, as_of_ms: int
) -> ir.Table:
    """Decisions whose window has closed, with their reward: 1 where a goal was credited to them, else 0."""
    closed = exposures.filter(exposures.received_ms + window_ms <= as_of_ms, exposures.randomised | exposures.holdout)
    credited = _credit(exposures, _goals_reached(events, touchpoint, goal), window_ms)
    joined = closed.left_join(credited, closed.event_id == credited.credited_id)
    return joined.mutate(reward=joined.credited_id.notnull().cast("float64"))


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
