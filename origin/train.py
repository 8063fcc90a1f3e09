"""Train: count decisions and rewards, fit posteriors level by level, and keep the model in the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np

from origin.config import Config
from origin.counts import DAY_MS, Counts, count_decisions, gather_evidence
from origin.decisions import Goal, read_arms, read_decisions
from origin.draws import read_draws
from origin.errors import LakeError
from origin.graduation import Graduation, graduate
from origin.identity.persons import read_persons
from origin.impressions import Impressions, count_impressions
from origin.individuals import GLOBAL, People, name_model, train_people
from origin.lake import Lake, name_moment
from origin.people import gather_people, reads_profiles, write_people
from origin.posteriors import Array, global_posterior, make_cell, segment_posteriors
from origin.touchpoint_config import TouchpointConfig

# α and β of each cell's variants.
Posteriors = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchpointModel:
    """The cells of one touchpoint (`global:` and `segment:<name>`), and what they were trained from.

    `level` is what graduation has reached, `reason` why not more; `people` have posteriors of their own. `counted` and
    `expected` say how far the touchpoint is in its evaluation period, where variants have minimum impressions.
    """

    variants: list[str]
    cells: dict[str, dict[str, list[float]]]
    decisions: int
    rewards: int
    unknown_variants: int
    level: str = "segment"
    reason: str = ""
    people: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    expected: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One training run: its version, the moment of its data and its own, and the touchpoints. `sources` counts
    decisions by where they are from; `people` are kept beside the model, `linked` of them with several devices;
    `crossed` is how many visitors have ever taken over another unit."""

    version: str
    as_of_ms: int
    first_ms: int | None
    last_ms: int | None
    sources: dict[str, int]
    touchpoints: dict[str, TouchpointModel]
    trained_ms: int = 0
    people: int = 0
    linked: int = 0
    crossed: int = 0


def train(config: Config, lake: Lake, as_of_ms: int, now_ms: int) -> Model:
    """Train every touchpoint of the configuration on the lake as of a moment, and write the model into the lake.

    The model's version is named by `now_ms`, so that the newest run sorts last whatever moment it was trained for.

    Raises LakeError where the lake cannot be read.
    """
    connection = ibis.duckdb.connect()
    try:
        return _train(connection, config, lake, as_of_ms, now_ms)
    except duckdb.Error as error:
        raise LakeError(f"{lake.root}: cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.disconnect()


def read_latest_model(lake: Lake) -> Model:
    """Read the newest model of the lake. Raises LakeError where there is none or it is damaged."""
    path = lake.latest_model()
    try:
        data = json.loads(path.read_text())
        touchpoints = {name: TouchpointModel(**each) for name, each in data.pop("touchpoints").items()}
        return Model(**data, touchpoints=touchpoints)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{path}: damaged ({error}); remove it and run usher train") from error


def _train(connection: ibis.BaseBackend, config: Config, lake: Lake, as_of_ms: int, now_ms: int) -> Model:
    goals = {name: _find_goal(config, each) for name, each in config.touchpoints.items()}
    persons = read_persons(lake, config.identity, as_of_ms)
    senders = persons.list_senders()
    decisions = read_decisions(connection, lake, goals, as_of_ms, senders)
    arms = persons.name_persons(read_arms(connection, lake, goals, as_of_ms, senders))
    evidence = gather_evidence(connection, arms, config.touchpoints)
    counts = list(count_decisions(connection, config, lake, decisions))
    impressions = count_impressions(connection, lake, config.touchpoints, as_of_ms)
    touchpoints: dict[str, TouchpointModel] = {}
    scores: dict[tuple[str, str], People] = {}
    for name, touchpoint in config.touchpoints.items():
        own = [each for each in counts if each.touchpoint == name]
        posteriors = _fit_cells(touchpoint, own, list(config.segments))
        reached = graduate(touchpoint.levels, evidence[name])
        variants = [variant.name for variant in touchpoint.expanded_variants]
        found = 0
        if reached.level == "individual":
            rows = persons.name_persons(decisions.filter(decisions.touchpoint == name))
            by_person = count_decisions(connection, config, lake, rows, by_person=True)
            trained = train_people(by_person, variants, posteriors, touchpoint.learning.min_person_decisions)
            scores[name, name_model(variants)] = trained
            found = len(trained.units)
        touchpoints[name] = _describe(variants, own, posteriors, reached, found, impressions.get(name))
    used = [each for each in counts if each.variant in touchpoints[each.touchpoint].variants]
    sources: dict[str, int] = {}
    for each in used:
        sources[each.source] = sources.get(each.source, 0) + each.decisions
    least = min(each.learning.min_person_decisions for each in config.touchpoints.values())
    described = _describe_people(connection, persons.name_persons(decisions))
    draws = read_draws(connection, lake, config.touchpoints, list(persons.units), as_of_ms)
    people = gather_people(scores, described, persons.units, draws, least if reads_profiles(config) else None)
    digest = sha256(json.dumps([asdict(model) for model in touchpoints.values()]).encode()).hexdigest()[:8]
    model = Model(
        version=f"{name_moment(now_ms)}-{digest}",
        as_of_ms=as_of_ms,
        first_ms=min((each.first_ms for each in used), default=None),
        last_ms=max((each.last_ms for each in used), default=None),
        sources=dict(sorted(sources.items())),
        touchpoints=touchpoints,
        trained_ms=now_ms,
        people=len(people),
        linked=len(persons.units),
        crossed=persons.crossed,
    )
    if people:
        write_people(lake, model.version, people)
    lake.write(lake.models / f"{model.version}.json", json.dumps(asdict(model)).encode())
    return model


def _find_goal(config: Config, touchpoint: TouchpointConfig) -> Goal:
    goal = config.goals[touchpoint.goal]
    return Goal(touchpoint.goal, goal.window_h, goal.event)


def _fit_cells(touchpoint: TouchpointConfig, counts: Sequence[Counts], segments: Sequence[str]) -> Posteriors:
    """The posteriors of all visitors, and of the segments that have enough decisions."""
    index = {variant.name: i for i, variant in enumerate(touchpoint.expanded_variants)}
    rows = {name: i for i, name in enumerate(segments)}
    decisions, rewards = np.zeros((len(rows) + 1, len(index))), np.zeros((len(rows) + 1, len(index)))
    for each in counts:
        if each.variant in index:
            for row in (-1,) if each.segment is None else (rows[each.segment], -1):
                decisions[row, index[each.variant]] += each.decisions
                rewards[row, index[each.variant]] += each.rewards
    everybody = global_posterior(decisions[-1], rewards[-1])
    posteriors = {GLOBAL: everybody}
    enough = [i for i in rows.values() if decisions[i].sum() >= touchpoint.learning.min_segment_decisions]
    if enough:
        alphas, betas = segment_posteriors(decisions[enough], rewards[enough], everybody)
        for row, i in enumerate(enough):
            posteriors[f"segment:{segments[i]}"] = alphas[row], betas[row]
    return posteriors


def _describe(
    variants: list[str],
    counts: Sequence[Counts],
    posteriors: Posteriors,
    reached: Graduation,
    people: int,
    impressions: Impressions | None,
) -> TouchpointModel:
    known = [each for each in counts if each.variant in variants]
    decisions = sum(each.decisions for each in known)
    return TouchpointModel(
        variants=variants,
        cells={name: make_cell(alpha, beta) for name, (alpha, beta) in posteriors.items()},
        decisions=decisions,
        rewards=int(sum(each.rewards for each in known)),
        unknown_variants=sum(each.decisions for each in counts) - decisions,
        level=reached.level,
        reason=reached.reason,
        people=people,
        counted={} if impressions is None else impressions.counted,
        expected=0.0 if impressions is None else impressions.expected,
    )


def _describe_people(connection: ibis.BaseBackend, decisions: ir.Table) -> dict[str, dict[str, int]]:
    """What a profile says of each person, over all touchpoints: decisions, rewards, and days with decisions."""
    grouped = decisions.group_by("person").aggregate(
        decisions=decisions.count(),
        rewards=decisions.reward.sum().cast("int64"),
        days=(decisions.decided_ms // DAY_MS).nunique(),
    )
    rows = connection.to_pyarrow(grouped).to_pylist()
    return {row.pop("person"): row for row in rows}
