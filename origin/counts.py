"""Counting: decisions and rewards of each variant, by the rule segment each decision falls into.

A segment's condition is evaluated by the function that the edge calls. So that this happens once for all decisions that
look the same to the conditions, decisions are grouped by the attributes that conditions read: the request's own, those
of the session as the exposure logged them, and those of the profile it was decided by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir

from origin.attributes import NAMESPACES, referenced_paths
from origin.config import Config
from origin.graduation import STEPS, ArmTotals, Evidence
from origin.lake import Lake
from shared.conditions import compile_condition

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Decisions and rewards of one touchpoint and variant in one segment (None: in none of them), and of one person, by
    unit, where they were counted by person (else empty)."""

    touchpoint: str
    variant: str
    source: str
    person: str
    segment: str | None
    decisions: int
    rewards: float
    first_ms: int
    last_ms: int


def count_decisions(
    connection: ibis.BaseBackend, config: Config, lake: Lake, decisions: ir.Table, *, by_person: bool = False
) -> Iterator[Counts]:
    """Count the rows of the training table, with persons named where it is `by_person`. What groups of decisions have
    in common is counted once for each group of attributes, so the same touchpoint, variant and segment may come several
    times."""
    paths = sorted(
        path
        for path in set().union(*(referenced_paths(each.condition) for each in config.segments.values()))
        if not path.startswith("$")
    )
    segments = {name: compile_condition(segment.condition) for name, segment in config.segments.items()}
    if any(path.partition(".")[0] == "profile" for path in paths):
        decisions = _join_profiles(connection, lake, decisions)
    keyed = decisions.mutate(**{f"attribute_{i}": _read_path(decisions, path) for i, path in enumerate(paths)})
    keys = ["touchpoint", "variant", "source", *(["person"] if by_person else [])]
    keys += [f"attribute_{i}" for i in range(len(paths))]
    grouped = keyed.group_by(keys).aggregate(
        decisions=keyed.count(),
        rewards=keyed.reward.sum(),
        first_ms=keyed.decided_ms.min(),
        last_ms=keyed.decided_ms.max(),
    )
    for row in connection.to_pyarrow(grouped.order_by(keys)).to_pylist():
        attributes = _nest(paths, [row[f"attribute_{i}"] for i in range(len(paths))])
        yield Counts(
            touchpoint=row["touchpoint"],
            variant=row["variant"],
            source=row["source"],
            person=row.get("person", ""),
            segment=next((name for name, condition in segments.items() if condition(attributes, {})), None),
            decisions=row["decisions"],
            rewards=row["rewards"],
            first_ms=row["first_ms"],
            last_ms=row["last_ms"],
        )


def gather_evidence(connection: ibis.BaseBackend, arms: ir.Table, touchpoints: Iterable[str]) -> dict[str, Evidence]:
    """Sum up both arms (rows of `read_arms`, with persons named) of each touchpoint for each step of graduation.

    Arms are summed by unit, as they were drawn; the people who are counted are persons.
    """
    dated = arms.mutate(day=arms.decided_ms // DAY_MS)
    daily = dated.group_by("touchpoint", "unit", "person", "holdout", "level", "day").aggregate(
        n=dated.count().cast("float64"), r=dated.reward.sum()
    )
    kept = connection.create_table("usher_arms", daily, temp=True)  # read and joined once, asked often
    spans = connection.to_pyarrow(
        kept.filter(~kept.holdout)
        .group_by("touchpoint")
        .aggregate(people=lambda rows: rows.person.nunique(), days=lambda rows: rows.day.nunique())
    ).to_pylist()
    known = {row["touchpoint"]: row for row in spans}
    by_step = {step: _sum_arms(connection, kept.filter(kept.level.isin(levels))) for step, levels in STEPS.items()}
    return {
        name: Evidence(
            people=known[name]["people"] if name in known else 0,
            days=known[name]["days"] if name in known else 0,
            arms={
                step: (arms[name, False], arms[name, True])
                for step, arms in by_step.items()
                if (name, False) in arms and (name, True) in arms
            },
        )
        for name in touchpoints
    }


def _sum_arms(connection: ibis.BaseBackend, daily: ir.Table) -> dict[tuple[str, bool], ArmTotals]:
    """Both arms of each touchpoint, summed over their units."""
    units = daily.group_by("touchpoint", "unit", "holdout").aggregate(n=daily.n.sum(), r=daily.r.sum())
    rows = connection.to_pyarrow(
        units.group_by("touchpoint", "holdout").aggregate(
            units=units.count(),
            decisions=units.n.sum(),
            rewards=units.r.sum(),
            decisions_squared=(units.n * units.n).sum(),
            decisions_rewards=(units.n * units.r).sum(),
            rewards_squared=(units.r * units.r).sum(),
        )
    ).to_pylist()
    return {(row.pop("touchpoint"), row.pop("holdout")): ArmTotals(**row) for row in rows}


def _join_profiles(connection: ibis.BaseBackend, lake: Lake, decisions: ir.Table) -> ir.Table:
    """The decisions with `profile_attributes`: the JSON of the profile that each was decided by, or null."""
    if not any(lake.profiles.glob("*.parquet")):
        return decisions.mutate(profile_attributes=ibis.null("string"))
    stored = connection.read_parquet(lake.profile_pattern())
    known = stored.group_by(known_unit="unit", known_version="version").aggregate(
        profile_attributes=stored.attributes.arbitrary()
    )
    return decisions.left_join(
        known, [decisions.unit == known.known_unit, decisions.profile == known.known_version]
    ).drop("known_unit", "known_version")


def _read_path(decisions: ir.Table, path: str) -> ir.Value:
    """The attribute at a path as text; what stands below a namespace as JSON text."""
    top, *steps = path.split(".")
    if top not in NAMESPACES:
        return decisions.context.get(top)
    value = (decisions.session if top == "session" else decisions.profile_attributes).cast("json")
    for step in steps:
        value = value[step]
    return value.cast("string")


def _nest(paths: Sequence[str], values: Sequence[str | None]) -> Mapping[str, object]:
    """The attributes as conditions read them; `paths` are sorted, so a path comes after those that it lies below."""
    attributes: dict[str, Any] = {}
    for path, value in zip(paths, values, strict=True):
        top, *steps = path.split(".")
        if value is None:
            continue
        if top not in NAMESPACES:
            attributes[top] = value
            continue
        table = attributes
        for step in (top, *steps[:-1]):
            inner = table.get(step)
            table[step] = table = inner if isinstance(inner, dict) else {}
        table[steps[-1]] = json.loads(value)
    return attributes
