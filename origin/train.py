"""Train: count decisions and rewards, fit posteriors, and keep the model in the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np

from origin.config import Config, TouchpointConfig, referenced_attributes
from origin.decisions import read_decisions
from origin.errors import LakeError
from origin.lake import Lake, name_moment
from origin.posteriors import global_posterior, make_cell, segment_posteriors
from shared.conditions import Condition, compile_condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Decisions and rewards of one touchpoint and variant, for one combination of the attributes segments read."""

    touchpoint: str
    variant: str
    source: str
    attributes: Mapping[str, str]
    decisions: int
    rewards: float
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchpointModel:
    """The cells of one touchpoint (`global:` and `segment:<name>`), and what they were trained from."""

    variants: list[str]
    cells: dict[str, dict[str, list[float]]]
    decisions: int
    rewards: int
    unknown_variants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One training run: its version, its moment, and the touchpoints. `sources` counts decisions by where they are
    from."""

    version: str
    as_of_ms: int
    first_ms: int | None
    last_ms: int | None
    sources: dict[str, int]
    touchpoints: dict[str, TouchpointModel]


def train(config: Config, lake: Lake, as_of_ms: int, now_ms: int) -> Model:
    """Train every touchpoint of the configuration on the lake as of a moment, and write the model into the lake.

    The model's version is named by `now_ms`, so that the newest run sorts last whatever moment it was trained for.

    Raises LakeError where the lake cannot be read.
    """
    counts = _count(config, lake, as_of_ms)
    segments = {name: compile_condition(segment.condition) for name, segment in config.segments.items()}
    touchpoints = {
        name: _train_touchpoint(touchpoint, [each for each in counts if each.touchpoint == name], segments)
        for name, touchpoint in config.touchpoints.items()
    }
    configured = {
        name: {variant.name for variant in each.expanded_variants} for name, each in config.touchpoints.items()
    }
    sources: dict[str, int] = {}
    used = [each for each in counts if each.variant in configured.get(each.touchpoint, ())]
    for each in used:
        sources[each.source] = sources.get(each.source, 0) + each.decisions
    digest = sha256(json.dumps([asdict(model) for model in touchpoints.values()]).encode()).hexdigest()[:8]
    model = Model(
        version=f"{name_moment(now_ms)}-{digest}",
        as_of_ms=as_of_ms,
        first_ms=min((each.first_ms for each in used), default=None),
        last_ms=max((each.last_ms for each in used), default=None),
        sources=dict(sorted(sources.items())),
        touchpoints=touchpoints,
    )
    lake.write(lake.models / f"{model.version}.json", json.dumps(asdict(model)).encode())
    return model


def read_latest_model(lake: Lake) -> Model:
    """Read the newest model of the lake. Raises LakeError where there is none or it is damaged."""
    path = lake.latest_model()
    try:
        data = json.loads(path.read_text())
        touchpoints = {name: TouchpointModel(**each) for name, each in data.pop("touchpoints").items()}
        return Model(**data, touchpoints=touchpoints)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{path}: damaged ({error}); remove it and run usher train") from error


def _count(config: Config, lake: Lake, as_of_ms: int) -> list[Counts]:
    """Aggregate the training table by what the model distinguishes."""
    read = sorted({name for segment in config.segments.values() for name in referenced_attributes(segment.condition)})
    goals = {
        name: (touchpoint.goal, config.goals[touchpoint.goal].window_h)
        for name, touchpoint in config.touchpoints.items()
    }
    connection = ibis.duckdb.connect()
    try:
        decisions = read_decisions(connection, lake, goals, as_of_ms)
        keyed = decisions.mutate(**{f"attribute_{i}": decisions.context.get(name) for i, name in enumerate(read)})
        keys = ["touchpoint", "variant", "source", *(f"attribute_{i}" for i in range(len(read)))]
        rows = _aggregate(connection, keyed, keys)
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()
    return [
        Counts(
            touchpoint=row["touchpoint"],
            variant=row["variant"],
            source=row["source"],
            attributes={
                name: row[f"attribute_{i}"] for i, name in enumerate(read) if row[f"attribute_{i}"] is not None
            },
            decisions=row["decisions"],
            rewards=row["rewards"],
            first_ms=row["first_ms"],
            last_ms=row["last_ms"],
        )
        for row in rows
    ]


def _aggregate(connection: ibis.BaseBackend, keyed: ir.Table, keys: list[str]) -> list[dict[str, Any]]:
    grouped = keyed.group_by(keys).aggregate(
        decisions=keyed.count(),
        rewards=keyed.reward.sum(),
        first_ms=keyed.decided_ms.min(),
        last_ms=keyed.decided_ms.max(),
    )
    rows: list[dict[str, Any]] = connection.to_pyarrow(grouped.order_by(keys)).to_pylist()
    return rows


def _train_touchpoint(
    touchpoint: TouchpointConfig, counts: list[Counts], segments: Mapping[str, Condition]
) -> TouchpointModel:
    variants = [variant.name for variant in touchpoint.expanded_variants]
    index = {name: i for i, name in enumerate(variants)}
    known = [each for each in counts if each.variant in index]
    names = list(segments)
    decisions, rewards = np.zeros((len(names) + 1, len(variants))), np.zeros((len(names) + 1, len(variants)))
    for each in known:
        own = next((i for i, name in enumerate(names) if segments[name](each.attributes, {})), None)
        for row in (len(names),) if own is None else (own, len(names)):
            decisions[row, index[each.variant]] += each.decisions
            rewards[row, index[each.variant]] += each.rewards
    alpha, beta = global_posterior(decisions[-1], rewards[-1])
    cells = {"global:": make_cell(alpha, beta)}
    enough = [i for i in range(len(names)) if decisions[i].sum() >= touchpoint.learning.min_segment_decisions]
    if enough:
        alphas, betas = segment_posteriors(decisions[enough], rewards[enough], (alpha, beta))
        for row, i in enumerate(enough):
            cells[f"segment:{names[i]}"] = make_cell(alphas[row], betas[row])
    return TouchpointModel(
        variants=variants,
        cells=cells,
        decisions=int(decisions[-1].sum()),
        rewards=int(rewards[-1].sum()),
        unknown_variants=sum(each.decisions for each in counts) - int(decisions[-1].sum()),
    )
