"""Minimum impressions: how far each variant is in the evaluation period, and the floors that let it catch up.

Evaluation periods follow each other since 1970-01-01 UTC, each as long as the touchpoint says. What is still expected
of the present one is its remaining time at the touchpoint's recent rate: the decisions of the last such length of time,
or since the first of them where the touchpoint is younger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis

from origin.decisions import read_impressions
from origin.lake import Lake
from origin.touchpoint_config import TouchpointConfig
from shared.constraints import impressions_floor, merge_floors

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Impressions:
    """How far a touchpoint is in its evaluation period: decisions by variant, and how many are still expected."""

    counted: dict[str, int]
    expected: float


def count_impressions(
    connection: ibis.BaseBackend, lake: Lake, touchpoints: Mapping[str, TouchpointConfig], as_of_ms: int
) -> dict[str, Impressions]:
    """Count the decisions of those touchpoints that ask for minimum impressions. Raises LakeError."""
    asking = {
        name: each
        for name, each in touchpoints.items()
        if any(variant.min_impressions for variant in each.expanded_variants)
    }
    if not asking:
        return {}
    longest_ms = max(each.learning.evaluation_days for each in asking.values()) * DAY_MS
    decided = read_impressions(connection, lake, asking, as_of_ms - longest_ms, as_of_ms)
    found = {}
    for name, touchpoint in asking.items():
        length_ms = touchpoint.learning.evaluation_days * DAY_MS
        own = decided.filter(decided.touchpoint == name, decided.decided_ms > as_of_ms - length_ms)
        rows = connection.to_pyarrow(
            own.group_by("variant").aggregate(
                recent=own.count(),
                counted=(own.decided_ms >= as_of_ms // length_ms * length_ms).sum(),
                first_ms=own.decided_ms.min(),
            )
        ).to_pylist()
        found[name] = Impressions(
            counted={row["variant"]: int(row["counted"]) for row in sorted(rows, key=lambda row: row["variant"])},
            expected=expect_decisions(
                sum(row["recent"] for row in rows),
                min((row["first_ms"] for row in rows), default=as_of_ms),
                length_ms,
                as_of_ms,
            ),
        )
    return found


def expect_decisions(recent: int, first_ms: int, length_ms: int, as_of_ms: int) -> float:
    """Return the decisions still expected in the present period: its remaining time at the recent rate.

    `recent` decisions were made in the last `length_ms`, the first of them at `first_ms`. A touchpoint younger than a
    day counts as a day old, so that its first minutes promise nothing.
    """
    if not recent:
        return 0.0
    age_ms = min(max(as_of_ms - first_ms, DAY_MS), length_ms)
    remaining_ms = length_ms - as_of_ms % length_ms
    return recent / age_ms * remaining_ms


def find_floors(touchpoint: TouchpointConfig, impressions: Impressions) -> list[float]:
    """Return the floors to publish, one a variant: the configured ones, raised for impressions that are missing."""
    variants = touchpoint.expanded_variants
    configured = [variant.floor for variant in variants]
    if not any(variant.min_impressions for variant in variants):
        return configured
    needed = [
        impressions_floor(
            variant.min_impressions - impressions.counted.get(variant.name, 0), impressions.expected, len(variants)
        )
        for variant in variants
    ]
    return merge_floors(configured, needed, [variant.cap for variant in variants])
