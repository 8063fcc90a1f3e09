"""What was trained about people, kept beside the model until it is published.

One Parquet file a model, a row for each person: the person's unit, the units of all devices, what the profile says
over all touchpoints (decisions, rewards, and days with decisions), scores by touchpoint and model version (means and
sds; six digits, which is finer than any of them is known), and the draws that several devices are to repeat, as JSON.

A person is there who has scores, or several devices, which must come to decide alike. Where a condition, a feature, a
phrase or the primary interest reads `profile.…`, so are all with as many decisions as the smallest
`min_person_decisions` asks for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from origin.attributes import referenced_paths
from origin.config import Config
from origin.draws import Record
from origin.errors import LakeError
from origin.individuals import People
from origin.lake import Lake

SCHEMA = pa.schema(
    [
        ("unit", pa.string()),
        ("units", pa.list_(pa.string())),
        ("decisions", pa.int64()),
        ("rewards", pa.int64()),
        ("days", pa.int64()),
        (
            "scores",
            pa.list_(
                pa.struct(
                    [
                        ("touchpoint", pa.string()),
                        ("model", pa.string()),
                        ("means", pa.list_(pa.float64())),
                        ("sds", pa.list_(pa.float64())),
                    ]
                )
            ),
        ),
        ("draws", pa.string()),
    ]
)
NO_DECISIONS: Mapping[str, int] = {"decisions": 0, "rewards": 0, "days": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as trained: the unit, the units of all devices (that one among them), the profile's attributes, scores
    by touchpoint and model version, and the draws that several devices are to repeat."""

    unit: str
    units: Sequence[str]
    attributes: Mapping[str, int]
    scores: Mapping[tuple[str, str], Mapping[str, list[float]]]
    draws: Sequence[Record] = ()


def reads_profiles(config: Config) -> bool:
    """Whether anything that is configured reads what profiles say of people."""
    touchpoints = config.touchpoints.values()
    conditions = [each.condition for each in config.segments.values()]
    conditions += [variant.condition for each in touchpoints for variant in each.expanded_variants if variant.condition]
    names = {config.site.interest, *config.phrases, *(config.intent.weights if config.intent is not None else ())}
    names.update(name for each in touchpoints for variant in each.expanded_variants for name in variant.shifts)
    names.update(*map(referenced_paths, conditions))
    return any(name.startswith("profile.") for name in names)


def gather_people(
    trained: Mapping[tuple[str, str], People],
    described: Mapping[str, Mapping[str, int]],
    devices: Mapping[str, Sequence[str]],
    draws: Mapping[str, Sequence[Record]],
    least: int | None,
) -> list[Person]:
    """Return the people to keep, in the order of their units.

    `trained` are scores by touchpoint and model version, `described` the attributes of all persons with decisions by
    unit, `devices` the units of persons with several, `draws` what these are to repeat. `least` says how many decisions
    a person needs whose attributes are all there is to tell; None: no number is enough.
    """
    scores: dict[str, dict[tuple[str, str], Mapping[str, list[float]]]] = {}
    for key, people in trained.items():
        for i, unit in enumerate(people.units):
            own = {"means": _shorten(people.means[i].tolist()), "sds": _shorten(people.sds[i].tolist())}
            scores.setdefault(unit, {})[key] = own
    known = {unit for unit, each in described.items() if least is not None and each["decisions"] >= least}
    return [
        Person(
            unit=unit,
            units=devices.get(unit, (unit,)),
            attributes=described.get(unit, NO_DECISIONS),
            scores=scores.get(unit, {}),
            draws=draws.get(unit, ()),
        )
        for unit in sorted(known.union(scores, devices))
    ]


def write_people(lake: Lake, version: str, people: Iterable[Person]) -> None:
    """Write the people of a model. Raises LakeError where the lake cannot be written."""
    rows: list[dict[str, Any]] = [
        {
            "unit": person.unit,
            "units": list(person.units),
            **person.attributes,
            "scores": [
                {"touchpoint": touchpoint, "model": model, **scores}
                for (touchpoint, model), scores in person.scores.items()
            ],
            "draws": json.dumps(list(person.draws)),
        }
        for person in people
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
    lake.write(_path(lake, version), buffer.getvalue())


def read_people(lake: Lake, version: str, count: int) -> Iterator[Person]:
    """The `count` people of a model in the order of their units. Raises LakeError where the file is damaged or gone."""
    path = _path(lake, version)
    if not count:
        return
    if not path.exists():
        raise LakeError(f"{path}: missing, though the model has {count:,} people; run usher train")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from map(_read_person, batch.to_pylist())
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise LakeError(f"{path}: damaged ({error}); remove it and run usher train") from error


def _read_person(row: Mapping[str, Any]) -> Person:
    return Person(
        unit=row["unit"],
        units=row["units"],
        attributes={name: row[name] for name in NO_DECISIONS},
        scores={
            (each["touchpoint"], each["model"]): {"means": each["means"], "sds": each["sds"]} for each in row["scores"]
        },
        draws=tuple(json.loads(row["draws"])),
    )


def _path(lake: Lake, version: str) -> Path:
    return lake.models / f"{version}.people.parquet"


def _shorten(values: list[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
