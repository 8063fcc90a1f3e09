"""The training table: one row a decision, with the reward that followed it.

Decisions come from two places: what the edge logged (exposures, rewarded by later events of the same visitor that reach
the goal) and logs that were imported (whose rows already carry their reward). Both end up with the same columns:

    source, unit, touchpoint, variant, decided_ms, propensity, reward (0 or 1), context (map of attributes),
    session (its attributes as JSON text), profile (the version that was decided by); imported logs have neither

Two more tables come from the edge's exposures alone: both arms of the experiment that the holdout is (`read_arms`), and
decisions as soon as they are made (`read_impressions`).

A goal rewards what its own visitor saw last before it; where that is nothing, or a server names a user only, what the
person saw last on any device.

Bots' events are left out. A page that was fetched ahead of its time counts once it was shown, by the time of its
decision. Decisions are timed by the edge's clock, goals by when they happened by that clock, whatever the browser's own
says and however late they arrive.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import duckdb
import ibis
import ibis.expr.types as ir

from origin.errors import LakeError
from origin.identity.state import USER
from origin.lake import Lake
from origin.stored import read_labelled_events

HOUR_MS: Final = 3_600_000
# Reasons of decisions for which nothing was drawn.
UNDRAWN: Final = ("preview", "no_posterior", "nothing_eligible")

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
# The columns that are read here.
_READ: Final = (
    *("type", "event_id", "received_ms", "happened_ms", "visitor", "user", "page_view", "name", "touchpoint", "unit"),
    *("epoch", "variant", "propensity", "level", "holdout", "randomised", "excluded", "reason", "profile", "context"),
    *("session", "slate", "is_shown"),
)
# Names by which the events that reach a goal go, where the goal is no standard event.
_NAMED: Final = ("goal", "custom")
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


class Goal(NamedTuple):
    """What rewards a touchpoint: the goal's name, its window in hours, and the standard event that reaches it (None:
    `goal` and `custom` events of its name)."""

    name: str
    window_h: float
    event: str | None = None

    @property
    def window_ms(self) -> int:
        """The window in milliseconds."""
        return int(self.window_h * HOUR_MS)


def read_decisions(
    connection: ibis.BaseBackend,
    lake: Lake,
    goals: Mapping[str, Goal],
    as_of_ms: int,
    senders: ir.Table | None = None,
) -> ir.Table:
    """Return the training table as of a moment: every randomised decision whose attribution window has closed by then.

    `goals` maps each touchpoint to its goal; `senders` says which visitors and users are one person, as
    `origin.identity.persons` lists them. Raises LakeError where a file of the lake cannot be read.
    """
    try:
        parts = [*_imported(connection, lake, as_of_ms), *_served(connection, lake, goals, as_of_ms, senders)]
    except (duckdb.Error, OSError) as error:
        raise _unreadable(lake, error) from error
    return _union(parts, _EMPTY)


def read_arms(
    connection: ibis.BaseBackend,
    lake: Lake,
    goals: Mapping[str, Goal],
    as_of_ms: int,
    senders: ir.Table | None = None,
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
    for touchpoint, goal in goals.items() if events is not None else ():
        views = _views(events, touchpoint, with_holdout=True)
        arm = views.holdout.first().over(group_by=[views.unit], order_by=[views.received_ms, views.event_id])
        rewarded = _reward(views.mutate(arm=arm), events, touchpoint, goal, as_of_ms, senders)
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
        first = _first(_views(events, touchpoint))
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
    connection: ibis.BaseBackend, lake: Lake, goals: Mapping[str, Goal], as_of_ms: int, senders: ir.Table | None
) -> list[ir.Table]:
    events = _read_events(connection, lake, as_of_ms)
    if events is None:
        return []
    return [
        _rewarded(_views(events, touchpoint), events, touchpoint, goal, as_of_ms, senders)
        for touchpoint, goal in goals.items()
    ]


def _read_events(connection: ibis.BaseBackend, lake: Lake, as_of_ms: int) -> ir.Table | None:
    """The events that people had caused by a moment; None where the lake has none."""
    events = read_labelled_events(connection, lake, as_of_ms)
    return None if events is None else events.filter(events.bot == "").select(*_READ)


def _shown_exposures(events: ir.Table, touchpoint: str) -> ir.Table:
    """The exposures of a touchpoint on pages that were shown, with the moment of that (`seen_ms`): at once, or when a
    `shown` event said so."""
    exposures = events.filter(events.type == "exposure", events.touchpoint == touchpoint)
    ahead = ~exposures.is_shown.fill_null(True)
    at_once = exposures.filter(~ahead).mutate(seen_ms=exposures.received_ms)
    shown = events.filter(events.type == "shown").group_by(shown_visitor="visitor", shown_view="page_view")
    first = shown.aggregate(shown_ms=events.happened_ms.min())
    later = exposures.filter(ahead)
    later = later.inner_join(first, [later.visitor == first.shown_visitor, later.page_view == first.shown_view])
    later = later.mutate(seen_ms=ibis.greatest(later.received_ms, later.shown_ms))
    return ibis.union(at_once, later.select(at_once.columns))


def _views(events: ir.Table, touchpoint: str, *, with_holdout: bool = False) -> ir.Table:
    """The exposures of each decision, which there is one of for a unit, epoch, and set of variants that targeting had
    removed: numbered (`view`, from 0). Draws with a `u` that was used up are among them: a goal may be theirs.

    What a decision showed is its draw: id, visitor and time of the first exposure to it (`draw`, `draw_visitor`,
    `drawn_ms`). Devices that share a unit but not its attributes, or that come without the cookie after a new snapshot,
    may be shown something else by the same `u`: that is no decision more, but what it is rewarded for is its own.
    """
    exposures = _shown_exposures(events, touchpoint)
    drawn = ~exposures.holdout & exposures.reason.fill_null("").notin(UNDRAWN)
    exposures = exposures.filter((exposures.holdout | drawn) if with_holdout else drawn)
    exposures = exposures.mutate(removed=exposures.excluded.fill_null("[]"), shown=exposures.slate.fill_null("[]"))
    decision = [exposures.unit, exposures.epoch, exposures.removed, exposures.randomised]
    order = [exposures.received_ms, exposures.event_id]
    views = ibis.window(group_by=decision, order_by=order)
    draw = ibis.window(group_by=[*decision, exposures.variant, exposures.shown], order_by=order)
    return exposures.mutate(
        view=ibis.row_number().over(views),
        draw=exposures.event_id.first().over(draw),
        draw_visitor=exposures.visitor.first().over(draw),
        drawn_ms=exposures.received_ms.first().over(draw),
    )


def _first(views: ir.Table) -> ir.Table:
    """Decisions, not views: the first exposure to each."""
    return views.filter(views["view"] == 0)


def _rewarded(
    views: ir.Table, events: ir.Table, touchpoint: str, goal: Goal, as_of_ms: int, senders: ir.Table | None
) -> ir.Table:
    """Rewarded decisions with the columns of the training table."""
    rewarded = _reward(views, events, touchpoint, goal, as_of_ms, senders)
    return rewarded.mutate(
        source=ibis.literal("edge"),
        decided_ms=rewarded.received_ms,
        context=rewarded.context.cast("json").try_cast("map<string, string>"),
    ).select(*COLUMNS)


def _reward(
    views: ir.Table, events: ir.Table, touchpoint: str, goal: Goal, as_of_ms: int, senders: ir.Table | None
) -> ir.Table:
    """Decisions whose window has closed, with their reward: 1 where a goal was credited to them, else 0."""
    first = _first(views)
    closed = first.filter(first.received_ms + goal.window_ms <= as_of_ms, first.randomised | first.holdout)
    credited = _credit(views, _goals_reached(events, touchpoint, goal, senders), goal.window_ms)
    same = [closed.visitor == credited.credited_visitor, closed.event_id == credited.credited_id]
    joined = closed.left_join(credited, same)
    return joined.mutate(reward=joined.credited_id.notnull().cast("float64"))


def _goals_reached(events: ir.Table, touchpoint: str, goal: Goal, senders: ir.Table | None) -> ir.Table:
    """The events that reach a touchpoint's goal, but for those on pages where its variant was only a preview: one for
    each visitor of the person (`goal_visitor`); `goal_person` and `goal_id` say which are the same."""
    is_goal = events.type.isin(_NAMED) & (events.name == goal.name) if goal.event is None else events.type == goal.event
    reached = events.filter(is_goal, events.touchpoint.isnull() | (events.touchpoint == touchpoint))
    reached = reached.select(
        goal_id="event_id",
        goal_ms="happened_ms",
        goal_view="page_view",
        goal_sender=ibis.ifelse(
            reached.visitor == "", ibis.literal(USER) + reached.user.fill_null(""), reached.visitor
        ),
    )
    if senders is None:
        reached = reached.mutate(goal_visitor=reached.goal_sender, goal_person=reached.goal_sender)
    else:
        joined = reached.left_join(senders, reached.goal_sender == senders.sender)
        reached = joined.select(
            *("goal_id", "goal_ms", "goal_view", "goal_sender"),
            goal_visitor=ibis.coalesce(joined.member, joined.goal_sender),
            goal_person=ibis.coalesce(joined.person, joined.goal_sender),
        )
    previews = (
        events.filter(events.type == "exposure", events.touchpoint == touchpoint, events.reason == "preview")
        .select(previewed="page_view")
        .distinct()
    )
    return reached.anti_join(previews, reached.goal_view == previews.previewed)


def _credit(views: ir.Table, reached: ir.Table, window_ms: int) -> ir.Table:
    """The decisions that goals are credited to: of those that the goal's own visitor had seen by then, and that were
    made within the window before, the one seen latest; else of those that another visitor of the person had seen.

    The devices of a person share a unit and its draws, so a decision that was first shown on one of them may be
    rewarded on another. What two reports of one goal are credited to is one decision.
    """
    seen = views.group_by("draw", "draw_visitor", "drawn_ms", "visitor").agg(seen_ms=views.seen_ms.min())
    candidates = seen.inner_join(
        reached,
        [
            seen.visitor == reached.goal_visitor,
            reached.goal_ms >= seen.seen_ms,
            reached.goal_ms <= seen.drawn_ms + window_ms,
        ],
    )
    order = ibis.row_number().over(
        group_by=[candidates.goal_person, candidates.goal_id],
        order_by=[candidates.visitor != candidates.goal_sender, candidates.seen_ms.desc(), candidates.draw],
    )
    ranked = candidates.select(credited_visitor="draw_visitor", credited_id="draw", rank=order)
    return ranked.filter(ranked["rank"] == 0).drop("rank").distinct()
